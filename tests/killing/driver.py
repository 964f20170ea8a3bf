"""The process that is killed: one run of the stage over some scenes, started in milliseconds.

A server reads orders, one JSON object a line, and forks a child for each: what the child imports
is imported already, so that hundreds of kills take no longer than their runs do. The child is a
process of its own, with its own threads, files and locks, and dies as any other. It must be forked
before there is a thread, so the server does nothing else.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import anyio

from host_stub.contract import SceneOutcome
from stage3_plugin import open_stage
from stage3_plugin.settings import Settings
from tests import places
from tests.doors import run_stage, story
from tests.killing import failpoints
from tests.killing.steps import Step, place_of
from tests.killing.writers import refuse_second_writers

LONGEST_RUN_S = 60.0
_LOOKS_EVERY_S = 0.002
STATE = "state"
ANSWERS = "answers"
"""The file in the project's folder that names the attempts with a complete answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run.

    Attributes:
        folder: The project; its state is in ``state``, its pictures go to ``out/images``.
        settings: For the plugin.
        scenes: Their ids, in order; the prompt of each begins with its id.
        backend: The event loop.
        failpoint: Where it dies, or ``None``.
        nth: At which call of the failpoint.
        kill_after_s: When it is killed from outside, counted from its beginning, or ``None``.
        sign: It is killed as soon as there is such a file, or ``None``.
        mutations: What is broken in it.
        trace: Points whose calls are written into ``folder/trace``, in their order.
        hurry: Its waits are so many times shorter.
        takes: So many pictures are wanted of each scene.
        settle_s: What a listing of batches lacks so long after its create was lost, never arrived.
        most_lines: Of a batch.
        stays: It buys nothing, and stays for what earlier runs have left being made.
        meeting: A folder where two runs wait for each other before their first hold, or ``None``.
    """

    folder: str
    settings: dict[str, Any]
    scenes: tuple[str, ...]
    backend: str = "asyncio"
    failpoint: str | None = None
    nth: int = 1
    kill_after_s: float | None = None
    sign: str | None = None
    mutations: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    meeting: str | None = None
    hurry: float = 1.0
    takes: int = 1
    settle_s: float | None = None
    most_lines: int | None = None
    stays: bool = False

    def written(self) -> str:
        """Return the line that the server reads."""
        return json.dumps(asdict(self))


class Ended(TypedDict):
    """What the server answers.

    Attributes:
        killed: It died of ``SIGKILL``.
        outcomes: How each scene ended, ``made``, ``reused`` or the failure's code; ``None`` if it
            was killed.
        error: The traceback of a run that raised, or whatever else went wrong.
    """

    killed: bool
    outcomes: dict[str, str] | None
    error: str | None


def serve() -> None:
    """Carry out the orders that come in, one after the other, until there are no more."""
    for name in places.PRELOADED:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_carried_out(Order(**json.loads(line)))), flush=True)


def _carried_out(order: Order) -> Ended:
    """Fork a run, kill it when its time has come, and return how it ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_the_run(order, writing)
    os.close(writing)
    if order.sign is None:
        told = _read_until_it_ends(reading, pid, order.kill_after_s)
    else:
        told = _read_until_there_is(Path(order.sign), reading, pid)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        is_late = told is None  # killed because it never ended
        return Ended(killed=True, outcomes=None, error="it never ended" if is_late else None)
    report = json.loads(told or b"{}")
    error = report.get("error", f"status {status}" if status else None)
    return Ended(killed=False, outcomes=report.get("outcomes"), error=error)


def _read_until_it_ends(pipe: int, pid: int, kill_after_s: float | None) -> bytes | None:
    """Read what a run reports; its end of the pipe closes with it. ``None`` if it never ended.

    It is not waited for before it is killed, so its number cannot be another process's.
    """
    told = b""
    is_due = kill_after_s is not None
    deadline = time.monotonic() + (LONGEST_RUN_S if kill_after_s is None else kill_after_s)
    with os.fdopen(pipe, "rb", buffering=0) as file:
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([file], [], [], left_s)[0]:
                os.kill(pid, signal.SIGKILL)
                return b"" if is_due else None
            piece = file.read(1 << 16)
            if not piece:
                return told
            told += piece


def _read_until_there_is(sign: Path, pipe: int, pid: int) -> bytes | None:
    """Read what a run reports, and kill it when there is a sign."""
    told = b""
    deadline = time.monotonic() + LONGEST_RUN_S
    with os.fdopen(pipe, "rb", buffering=0) as file:
        while time.monotonic() < deadline:
            if sign.exists():
                os.kill(pid, signal.SIGKILL)
                return b""
            if select.select([file], [], [], _LOOKS_EVERY_S)[0]:
                piece = file.read(1 << 16)
                if not piece:
                    return told
                told += piece
    os.kill(pid, signal.SIGKILL)
    return None


def _be_the_run(order: Order, pipe: int) -> None:
    """Run, report, and end without coming back into the server's code."""
    status = 1
    try:
        _make_ready(order)
        outcomes = anyio.run(_run, order, backend=order.backend)
        os.write(pipe, json.dumps({"outcomes": outcomes}).encode())
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is reported, and nothing else runs
        os.write(pipe, json.dumps({"error": traceback.format_exc()}).encode())
    finally:
        os._exit(status)


def _make_ready(order: Order) -> None:
    refuse_second_writers(Path(order.folder, STATE))
    failpoints.do_at_each(failpoints.point_named("end.after"), partial(_note_answer, order.folder))
    if order.hurry != 1:
        places.shorten(order.hurry)
    if order.settle_s is not None or order.most_lines is not None:
        places.change_the_terms(settle_s=order.settle_s, most_lines=order.most_lines)
    if order.settle_s is not None:
        place_of(Step.LATE).put(_never)  # and a slow machine is none that sleeps
    if order.mutations or order.meeting is not None:
        _break(order)
    for name in order.trace:
        failpoints.trace(name, Path(order.folder, "trace"))
    if order.failpoint is not None:
        failpoints.plant(failpoints.point_named(order.failpoint), order.nth)


def _break(order: Order) -> None:
    """Break what the order says; only who asks for it knows the rooms that it takes."""
    mutations: Any = importlib.import_module("tests.killing.mutations")
    for name in order.mutations:
        mutations.MUTATIONS[name]()
    if order.meeting is not None:
        mutations.meet_before_the_first_hold(Path(order.meeting))


def _never(*_arguments: object) -> bool:
    return False


def _note_answer(folder: str, answer: Any, _data: bytes) -> None:
    """Note outside of the state that an answer was received to its end, whatever comes later."""
    attempt = answer.path.parent
    if attempt.parent.name != "spool":  # of a job's answers only the ledger says what they were
        return
    with Path(folder, ANSWERS).open("a", encoding="utf-8") as file:
        file.write(f"{attempt.name}\n")


async def _run(order: Order) -> dict[str, str]:
    folder, settings = Path(order.folder), Settings(**order.settings)
    if order.stays:
        async with open_stage(settings, project_dir=folder, out_dir=folder / "pictures") as stage:
            await stage.wait()
        return {}
    ran = await run_stage(settings, story(*order.scenes, takes=order.takes), folder)
    return {
        scene if take == 1 else f"{scene} {take}": _ended(outcome)
        for (scene, take), outcome in ran.takes.items()
    }


def _ended(outcome: SceneOutcome) -> str:
    if outcome.failure is not None:
        return outcome.failure.code
    return "reused" if outcome.reused else "made"
