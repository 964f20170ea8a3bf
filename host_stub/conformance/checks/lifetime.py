"""Opening and closing a stage: what it sends, what it leaves."""

from __future__ import annotations

import asyncio
import time

import anyio

from host_stub.conformance.case import HasConnections
from host_stub.conformance.checks.seen import with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import ImageStage

CLOSES_S = 30.0
"""Seconds in which a closed connection is known to be closed."""
SETTLES_S = 10.0
"""Seconds in which a task that was told to end has ended."""


@with_backend("lifetime.opening-sends-nothing", is_asked=False)
def opening_sends_nothing(lab: Lab) -> str:
    """Open a stage and close it, and count the requests."""

    async def nothing(_stage: ImageStage) -> None:
        await anyio.lowlevel.checkpoint()

    lab.ask(nothing)
    return _sent_nothing(lab, "opening and closing it")


@with_backend("lifetime.planning-sends-nothing", capability="plans", is_asked=False)
def planning_sends_nothing(lab: Lab) -> str:
    """Ask for a plan of three scenes, and count the requests."""
    lab.plan(lab.scenes(3))
    return _sent_nothing(lab, "a plan for 3 scenes")


def _sent_nothing(lab: Lab, what: str) -> str:
    asked = len(lab.service.calls())
    if asked:
        raise Broken(f"{what} sent {asked} requests for pictures")
    return f"{what} sent nothing"


@with_backend("lifetime.closes-connections")
def closes_connections(lab: Lab) -> str:
    """Make three scenes, close the stage, and count the connections."""
    service: object = lab.service
    if not isinstance(service, HasConnections) or service.connections() is None:
        raise NotShown("the case's backend does not count its connections")
    lab.made(lab.scenes(3))
    until = time.monotonic() + CLOSES_S
    while (left := service.connections()) and time.monotonic() < until:
        time.sleep(0.01)
    if left:
        raise Broken(f"{left} connections are open after the stage was closed")
    return "no connection is open after the stage was closed"


@tries("lifetime.ends-its-tasks")
def ends_its_tasks(lab: Lab) -> str:
    """Make two scenes, close the stage, and look for tasks that were not there before."""
    request, settings, left = lab.request(lab.scenes(2)), lab.settings(), [""]

    async def whole() -> None:
        before = asyncio.all_tasks()
        ran = Recorded()
        with anyio.move_on_after(lab.case.patience_s) as patience:
            await lab.session(ran, request, settings)
        ran.is_hung = patience.cancelled_caught
        lab.well(ran)
        with anyio.move_on_after(SETTLES_S):
            while left:
                tasks = asyncio.all_tasks() - before
                left[:] = [task.get_name() for task in tasks if not task.done()]
                await anyio.sleep(0.01)

    anyio.run(whole, backend="asyncio")
    if left:
        raise Broken(f"{len(left)} tasks go on after the stage was closed: {', '.join(left)}")
    return "no task goes on after the stage was closed"
