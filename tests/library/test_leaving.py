"""Every way of leaving a call: it stops, takes in what is in flight, and then raises.

The loopback API keeps books: whatever left a call, what it was asked for is what it has billed, is
what the ledger counts, and is reused by the next call.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import anyio
import pytest

from stage3_plugin import (
    Stop,
    make_pictures,
    open_stage,
)
from stage3_plugin.domain.states import State
from tests.doors import bills, states
from tests.fakes.behaviours import Gate, Hang
from tests.fakes.image_api import KEY, ImageApi
from tests.library.calling import code, painter, scenes, until
from tests.projects import Project, wait_until

SCENES = 12
AT_ONCE = 2
DRAIN_S = 20


class SoftTimeLimitExceeded(Exception):
    """What a queue's worker raises in the handler of a signal; an Exception like any other."""


class Abandoned(BaseException):
    """What a library of threads raises to end one."""


Error: TypeAlias = type[BaseException]
HANDLED: Mapping[str, tuple[signal.Signals, Error]] = {
    "SIGTERM's handler exits": (signal.SIGTERM, SystemExit),
    "a worker's time limit": (signal.SIGUSR1, SoftTimeLimitExceeded),
    "an alarm": (signal.SIGALRM, TimeoutError),
    "a handler's own": (signal.SIGHUP, Abandoned),
    "a handler that closes": (signal.SIGUSR2, GeneratorExit),
    "Ctrl-C": (signal.SIGINT, KeyboardInterrupt),
}
"""Ways that begin in the handler of a signal, while the call waits."""
CALLED: Mapping[str, Error] = {
    "on_progress fails": RuntimeError,
    "on_progress exits": SystemExit,
    "on_progress is interrupted": KeyboardInterrupt,
    "on_progress closes": GeneratorExit,
    "on_progress cancels": asyncio.CancelledError,
    "on_progress abandons": Abandoned,
}
"""Ways that begin in the caller's own function."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A program that has a picture made, and two more in flight."""

    api: ImageApi
    folder: Path
    gate: Gate

    @property
    def settings(self) -> dict[str, object]:
        return painter(self.api, capacity=AT_ONCE, adaptive=False)

    @property
    def where(self) -> dict[str, Any]:
        return {"project_dir": self.folder, "out_dir": self.folder / "pictures"}

    def is_in_flight(self) -> bool:
        return self.api.received() >= 1 + AT_ONCE

    def need_whole_books(self) -> None:
        """See to it that nothing is lost, and that nothing goes on leaving."""
        assert not [one for one in threading.enumerate() if one.name.startswith("stage3")]
        sent = self.api.received()
        rows = [one for one in states(self.folder) if one is not State.VOID]

        assert rows == [State.PAID] * sent
        assert self.api.billed() == sent < SCENES
        again = make_pictures(scenes(sent), self.settings, **self.where)

        assert [code(one) for one in again] == ["reused"] * sent
        assert self.api.received() == sent


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    """Have SIGINT handled as before: a loop that ends before its stage is left forgets its own."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def shop(image_api: ImageApi, tmp_path: Path) -> Shop:
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    image_api.script(bills(0.05), scene="s01")
    return Shop(image_api, tmp_path, gate)


Handle: TypeAlias = Callable[[signal.Signals, Error], None]


@pytest.fixture
def handle(shop: Shop) -> Iterator[Handle]:
    """Have the handler of a signal raise; what is in flight is answered from then on."""
    before: dict[signal.Signals, Any] = {}

    def install(number: signal.Signals, error: Error) -> None:
        def handler(_number: int, _frame: FrameType | None) -> None:
            shop.gate.open()
            raise error("by a handler")

        former = signal.signal(number, handler)
        before.setdefault(number, former)

    yield install
    for number, former in before.items():
        signal.signal(number, former)


def when(condition: Callable[[], object], then: Callable[[], object]) -> threading.Thread:
    """Do something in a thread once another one has come as far."""

    def watch() -> None:
        wait_until(condition)
        then()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def strike(number: signal.Signals) -> None:
    """Send a signal to the main thread, whatever it waits for."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, number)


def raising(shop: Shop, error: Error, *, waits: bool = True) -> Callable[..., None]:
    """Return a function that raises, with requests in flight, which are answered from then on."""

    def on_progress(*_: object) -> None:
        if waits:  # an event loop would not go on
            wait_until(shop.is_in_flight)
        shop.gate.open()
        raise error("by on_progress")

    return on_progress


# The call that blocks ----------------------------------------------------------------------------


def make(shop: Shop, **more: Any) -> None:
    make_pictures(scenes(SCENES), shop.settings, **shop.where, **more)


@pytest.mark.parametrize("way", HANDLED)
def test_what_a_handler_raises_leaves_a_call_that_blocks(
    way: str, shop: Shop, handle: Handle
) -> None:
    """It comes out of the call itself, and not before what is in flight has been taken in."""
    number, error = HANDLED[way]
    handle(number, error)
    watching = when(shop.is_in_flight, lambda: strike(number))
    with pytest.raises(error, match="by a handler"):
        make(shop)
    watching.join()

    shop.need_whole_books()


@pytest.mark.parametrize("way", CALLED)
def test_what_on_progress_raises_leaves_a_call_that_blocks(way: str, shop: Shop) -> None:
    """Whatever it is: a time limit may strike in the middle of it."""
    with pytest.raises(CALLED[way], match="by on_progress"):
        make(shop, on_progress=raising(shop, CALLED[way]))

    shop.need_whole_books()


def test_a_time_limit_that_strikes_within_on_progress_leaves_it_too(
    shop: Shop, handle: Handle
) -> None:
    """It is not taken for a fault of that function."""
    handle(signal.SIGUSR1, SoftTimeLimitExceeded)

    def on_progress(_: object) -> None:
        wait_until(shop.is_in_flight)
        signal.raise_signal(signal.SIGUSR1)

    with pytest.raises(SoftTimeLimitExceeded):
        make(shop, on_progress=on_progress)

    shop.need_whole_books()


def test_what_another_thread_raises_in_the_caller_leaves_a_call_that_blocks(shop: Shop) -> None:
    """As the time limits of workers with threads do it."""
    ends: list[BaseException] = []

    def on_progress(_: object) -> None:
        ident, error = ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Abandoned)
        strike_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
        try:
            when(shop.is_in_flight, lambda: strike_thread(ident, error))
            wait_until(lambda: False)
        finally:
            shop.gate.open()

    def work() -> None:
        try:
            make(shop, on_progress=on_progress)
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            ends.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()

    assert list(map(type, ends)) == [Abandoned]
    shop.need_whole_books()


def test_a_switch_that_was_set_before_sends_nothing(shop: Shop) -> None:
    """Whoever leaves before it has begun has left."""
    stop = Stop()
    stop.set()
    made = make_pictures(scenes(SCENES), shop.settings, stop=stop, check=False, **shop.where)

    assert {code(one) for one in made} == {"not_tried"}
    assert shop.api.received() == 0


def test_a_switch_that_is_set_again_may_give_up_what_is_in_flight(shop: Shop) -> None:
    """As a button that says so now: the first has stopped the run, which waits for its answers."""
    shop.api.always(Hang())
    stop = Stop()

    def set_it_twice() -> None:
        stop.set()
        stop.set(at_once=True)

    watching = when(shop.is_in_flight, set_it_twice)
    began = time.monotonic()
    settings = {**shop.settings, "drain_s": DRAIN_S}
    made = make_pictures(scenes(SCENES), settings, stop=stop, check=False, **shop.where)
    watching.join()

    assert time.monotonic() - began < DRAIN_S / 2
    assert [code(one) for one in made].count("not_tried") == SCENES - 1 - AT_ONCE
    assert states(shop.folder).count(State.UNKNOWN) == AT_ONCE


def test_a_second_one_gives_up_what_is_in_flight(shop: Shop, handle: Handle) -> None:
    """As a second Ctrl-C does; the money is kept in mind, and nothing leaves afterwards."""
    shop.api.always(Hang())
    handle(signal.SIGTERM, SystemExit)
    handle(signal.SIGUSR1, SoftTimeLimitExceeded)

    def strike_twice() -> None:
        strike(signal.SIGUSR1)
        wait_until(lambda: shop.gate.is_open)
        strike(signal.SIGTERM)

    watching = when(shop.is_in_flight, strike_twice)
    with pytest.raises(SystemExit):
        make(shop)
    watching.join()

    assert not [one for one in threading.enumerate() if one.name.startswith("stage3")]
    assert states(shop.folder).count(State.UNKNOWN) == AT_ONCE
    assert shop.api.received() == 1 + AT_ONCE


IN_A_DAEMON = """
import atexit, sys, threading
from stage3_plugin import make_pictures

work = threading.Thread(target=make_pictures, args=("scenes.json", "host.toml"), daemon=True)
work.start()
sys.stdin.readline()
atexit.register(print, "left", flush=True)
"""
WITH_A_HANDLER = """
import signal, sys
from stage3_plugin import make_pictures

def handler(number, frame):
    print("left", flush=True)
    sys.exit(143)

signal.signal(signal.SIGTERM, handler)
make_pictures("scenes.json", "host.toml")
"""
PROGRAMS: Mapping[str, tuple[str, int]] = {
    "it comes to its end, and a daemon of it makes pictures": (IN_A_DAEMON, 0),
    "it is told to by a signal": (WITH_A_HANDLER, 143),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_ends_takes_in_what_is_in_flight(program: str, shop: Shop) -> None:
    """And sends nothing more."""
    project = Project(shop.folder)
    project.config(shop.api, capacity=AT_ONCE, adaptive=False)
    story = json.dumps(scenes(SCENES))
    (shop.folder / "scenes.json").write_text(story, encoding="utf-8")
    source, exit_code = PROGRAMS[program]
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=shop.folder,
        env={**os.environ, "LOOPBACK_KEY": KEY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    wait_until(shop.is_in_flight)
    process.send_signal(signal.SIGTERM) if exit_code else process.stdin.write("end\n")
    process.stdin.flush()
    left = process.stdout.readline()
    shop.gate.open()
    _, errors = process.communicate(timeout=60)

    assert (left, process.returncode) == ("left\n", exit_code), errors
    shop.need_whole_books()


# The calls of an event loop ----------------------------------------------------------------------

Call: TypeAlias = Callable[..., Awaitable[object]]


async def make_in_a_stage(shop: Shop, **more: Any) -> None:
    async with open_stage(shop.settings, **shop.where) as stage:
        await stage.make(scenes(SCENES), **more)


async def run_in_a_stage(shop: Shop, **more: Any) -> None:
    async with open_stage(shop.settings, **shop.where) as stage:
        async for _ in stage.run(scenes(SCENES), **more):
            pass


BACKENDS = ("asyncio", "trio")


@pytest.mark.parametrize("call", [make_in_a_stage, run_in_a_stage])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", HANDLED)
def test_what_a_handler_raises_leaves_an_open_stage(
    way: str, backend: str, call: Call, shop: Shop, handle: Handle
) -> None:
    """It strikes the event loop wherever that is, and tears nothing there."""
    number, error = HANDLED[way]
    if way != "Ctrl-C":  # which both event loops have a handler of their own for
        handle(number, error)

    def strike_it() -> None:
        strike(number)
        if way == "Ctrl-C":
            shop.gate.open()

    watching = when(shop.is_in_flight, strike_it)
    with pytest.raises(error):
        anyio.run(call, shop, backend=backend)
    watching.join()

    shop.need_whole_books()


@pytest.mark.parametrize("call", [make_in_a_stage, run_in_a_stage])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", CALLED)
def test_what_on_progress_raises_leaves_an_open_stage(
    way: str, backend: str, call: Call, shop: Shop
) -> None:
    """Behind the last outcome."""

    async def caught() -> None:
        with pytest.raises(CALLED[way], match="by on_progress"):
            await call(shop, on_progress=raising(shop, CALLED[way], waits=False))

    anyio.run(caught, backend=backend)

    shop.need_whole_books()


# Cancelling, and what else ends a block ----------------------------------------------------------


async def scope_is_cancelled(shop: Shop, call: Call) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(then_answer, shop, scope.cancel)
            await call(shop)
    assert scope.cancelled_caught


async def time_is_over(shop: Shop, call: Call) -> None:
    async def limited() -> None:
        with anyio.fail_after(3600) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(then_answer, shop, lambda: setattr(scope, "deadline", -math.inf))
                await call(shop)

    with pytest.raises(TimeoutError):
        await limited()


async def task_beside_fails(shop: Shop, call: Call) -> None:
    def fail() -> None:
        raise LookupError("beside")

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(then_answer, shop, fail)
            await call(shop)

    with pytest.raises(BaseExceptionGroup) as caught:
        await both()
    assert caught.value.subgroup(LookupError) is not None


async def generator_is_closed(shop: Shop, _call: Call) -> None:
    async def pictures() -> AsyncGenerator[object]:
        async with open_stage(shop.settings, **shop.where) as stage:
            async for outcome in stage.run(scenes(SCENES)):
                yield outcome

    made = pictures()
    await anext(made)
    await then_answer(shop, lambda: None)
    await made.aclose()


async def body_exits(shop: Shop, _call: Call) -> None:
    async def body() -> None:
        async with open_stage(shop.settings, **shop.where) as stage:
            async for _ in stage.run(scenes(SCENES)):
                await until(shop.is_in_flight)
                shop.gate.open()
                raise SystemExit("by the body")

    with pytest.raises(SystemExit, match="by the body"):
        await body()


async def loop_is_broken(shop: Shop, _call: Call) -> None:
    async with open_stage(shop.settings, **shop.where) as stage:
        async for _ in stage.run(scenes(SCENES)):
            await until(shop.is_in_flight)
            shop.gate.open()
            break


async def then_answer(shop: Shop, leave: Callable[[], object]) -> None:
    """Leave with two requests in flight, which are answered from then on."""
    try:
        await until(shop.is_in_flight)
        leave()
    finally:
        shop.gate.open()


LEFT: Mapping[str, Callable[[Shop, Call], Awaitable[None]]] = {
    "a scope is cancelled": scope_is_cancelled,
    "the time is over": time_is_over,
    "a task beside it fails": task_beside_fails,
    "a generator around it is closed": generator_is_closed,
    "its body exits": body_exits,
    "its loop is broken": loop_is_broken,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", LEFT)
def test_whatever_leaves_an_open_stage_loses_nothing(way: str, backend: str, shop: Shop) -> None:
    """On both event loops."""
    anyio.run(LEFT[way], shop, make_in_a_stage, backend=backend)

    shop.need_whole_books()


async def task_is_cancelled(shop: Shop) -> None:
    task = asyncio.create_task(make_in_a_stage(shop))
    await then_answer(shop, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def timeout_is_over(shop: Shop) -> None:
    async with asyncio.timeout(3600) as limit:
        answering = asyncio.create_task(then_answer(shop, lambda: limit.reschedule(0)))
        await make_in_a_stage(shop)
    await answering


async def another_task_exits(shop: Shop) -> None:
    def leave() -> None:
        raise SystemExit("by another task")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(then_answer(shop, leave))
        tasks.create_task(make_in_a_stage(shop))


async def program_ends_first(shop: Shop) -> None:
    task = asyncio.create_task(make_in_a_stage(shop))
    await then_answer(shop, lambda: None)
    del task


OF_ASYNCIO: Mapping[str, tuple[Callable[[Shop], Any], Error | None]] = {
    "its task is cancelled": (task_is_cancelled, None),
    "asyncio.timeout is over": (timeout_is_over, TimeoutError),
    "another task exits": (another_task_exits, SystemExit),
    "the program ends before its task": (program_ends_first, None),
}


@pytest.mark.parametrize("way", OF_ASYNCIO)
def test_asyncios_own_ways_lose_nothing_either(way: str, shop: Shop) -> None:
    """Also those that cancel every task of the event loop at once."""
    program, error = OF_ASYNCIO[way]
    with nullcontext() if error is None else pytest.raises(error):
        asyncio.run(program(shop))

    shop.need_whole_books()
