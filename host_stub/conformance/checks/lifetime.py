"""Opening and closing a stage: what it does and sends and leaves, and on which event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from importlib.util import find_spec
from typing import Any, Final, cast

import anyio

from host_stub.conformance.case import HasConnections
from host_stub.conformance.checks.seen import with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import changed, tree_of
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Capabilities, ImageStage, Provider
from host_stub.text.format import how_to_install

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


def _works(lab: Lab) -> str:
    scenes = lab.scenes(3)
    if lab.plugin.capabilities.plans:
        lab.plan(scenes)
    lab.made(scenes)
    return f"3 scenes, 3 pictures, on {lab.loop}"


@tries("loop.trio")
def trio(lab: Lab) -> str:
    """Plan and run on trio, where it is installed."""
    if find_spec("trio") is None:
        raise NotShown(f"trio is not installed: {how_to_install('trio')}")
    lab.loop = "trio"
    return _works(lab)


@tries("loop.thread")
def thread(lab: Lab) -> str:
    """Plan and run on an event loop of another thread, as a web server or a notebook does."""
    said: list[str] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            said.append(_works(lab))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    if raised:
        if isinstance(raised[0], Broken):
            raise Broken(f"in a thread: {raised[0]}") from raised[0]
        raise raised[0]
    return f"{said[0]}, in a thread"


_TIMES: Final = 5
"""More often than any other check opens a stage of one project."""


@tries("open.again")
def again(lab: Lab) -> str:
    """Open it and close it again and again, and make a picture at last."""
    for number in range(1, _TIMES):
        try:
            lab.ask(_nothing)
        except Broken as broken:
            raise Broken(f"opened for time {number}: {broken}") from broken
    recorded = lab.run(lab.scenes(1))
    if recorded.opening is not None:
        raise Broken(f"opened for time {_TIMES}: {recorded.trouble}")
    return f"opened {_TIMES} times"


@tries("open.two-at-once")
def two_at_once(lab: Lab) -> str:
    """Open two, and run both with scenes of their own while both are open."""
    first, second = lab.scenes(2), lab.scenes(2, first=3)
    for scenes, recorded in zip((first, second), lab.together(first, second), strict=True):
        lab.well(recorded)
        names = {one.scene_id for one in recorded.outcomes if one.failure is None}
        if names != {scene.scene_id for scene in scenes}:
            raise Broken(f"of {len(scenes)} scenes, {len(names)} got a picture")
    return "two stages, with 2 pictures each"


@tries("open.writes-nothing")
def writes_nothing(lab: Lab) -> str:
    """Open and close it, and look at the project's folder."""
    kept = [lab.project / name for name in lab.case.keeps]
    before = tree_of(lab.project, without=kept)
    lab.ask(_nothing)
    found = changed(before, tree_of(lab.project, without=kept))
    if found:
        raise Broken("; ".join(found))
    return "the project's folder is as it was"


async def _nothing(_stage: ImageStage) -> None:
    """Ask nothing."""


@tries("stage.extras")
def extras(lab: Lab) -> str:
    """Look at what an opened stage may have beside its methods."""

    async def question(stage: ImageStage) -> dict[str, Any]:
        names = ("warnings", "providers", "capabilities")
        return {name: getattr(stage, name) for name in names if hasattr(stage, name)}

    found = lab.ask(question)
    for name, kind in (("warnings", str), ("providers", Provider)):
        if name not in found:
            continue
        if not isinstance(found[name], tuple):
            raise Broken(f"{name} is {type(found[name]).__name__}, not a tuple")
        wrong = [
            one for one in cast("tuple[object, ...]", found[name]) if not isinstance(one, kind)
        ]
        if wrong:
            raise Broken(f"{name} has {type(wrong[0]).__name__}, not {kind.__name__}")
    if not isinstance(found.get("capabilities", Capabilities()), Capabilities):
        raise Broken(f"capabilities is {type(found['capabilities']).__name__}")
    return f"the stage has {', '.join(found) or 'none of them'}"
