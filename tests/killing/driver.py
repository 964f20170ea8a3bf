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
import ssl
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import anyio
import structlog
from structlog.testing import CapturingLogger

from stage3_plugin.attempt import handing_over
from stage3_plugin.domain.outcome import Outcome
from stage3_plugin.domain.request import Scene
from stage3_plugin.engine import pending, run
from stage3_plugin.engine.build import open_stage
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.policy import polling, refetch, retry, waiting
from stage3_plugin.providers import gemini_batch, openai_batch
from stage3_plugin.purchase import batches, lost
from stage3_plugin.settings import Settings
from tests.killing import failpoints, mutations
from tests.killing.steps import Step, place_of
from tests.killing.writers import refuse_second_writers

PRELOADED = (
    "anyio._backends._asyncio",
    "anyio._backends._trio",
    "stage3_plugin.transport.client",
    "stage3_plugin.providers.openai_images",
)
"""Imported only when needed, and then in every child anew."""
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
    for name in PRELOADED:
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
        _hurry(order.hurry)
    _change_the_terms(order)
    for name in order.mutations:
        mutations.MUTATIONS[name]()
    if order.meeting is not None:
        mutations.meet_before_the_first_hold(Path(order.meeting))
    for name in order.trace:
        failpoints.trace(name, Path(order.folder, "trace"))
    if order.failpoint is not None:
        failpoints.plant(failpoints.point_named(order.failpoint), order.nth)


def _hurry(times: float) -> None:
    """Shorten the waits that are ours to choose; what a service asks for stays."""
    waits = {
        polling: ("FIRST_WAIT_S", "LONGEST_WAIT_S", "GONE_WAIT_S"),
        refetch: ("FIRST_WAIT_S", "LONGEST_WAIT_S"),
        retry: ("OVERLOADED_WAIT_S",),
        run: ("RECOVERY_LINGERS_S",),
        handing_over: ("_FIRST_WAIT_S", "_LONGEST_WAIT_S"),
        batches: ("SOON_S", "AGAIN_S"),
        waiting: ("FIRST_WAIT_S", "LONGEST_WAIT_S", "LEAST_WAIT_S"),
        lost: ("APART_S", "AGAIN_S", "PATIENCE_S"),
    }
    for module, names in waits.items():
        for name in names:
            setattr(module, name, getattr(module, name) / times)
    looks = tuple(look_s / times for look_s in pending.BATCH_LOOKS_S)
    setattr(pending, "BATCH_LOOKS_S", looks)  # noqa: B010 - a constant


def _change_the_terms(order: Order) -> None:
    """Let a vendor's batches be smaller, or its listing be sure sooner."""
    for module in (openai_batch, gemini_batch):
        terms = module.TERMS
        if order.settle_s is not None:
            terms = replace(terms, listing=replace(terms.listing, settle_s=order.settle_s))
        if order.most_lines is not None:
            terms = replace(terms, most_lines=order.most_lines)
        setattr(module, "TERMS", terms)  # noqa: B010 - a constant
    if order.settle_s is not None:
        place_of(Step.LATE).put(_never)  # and a slow machine is none that sleeps


def _never(*_arguments: object) -> bool:
    return False


def _note_answer(folder: str, answer: NewFile, _data: bytes) -> None:
    """Note outside of the state that an answer was received to its end, whatever comes later."""
    attempt = answer.path.parent
    if attempt.parent.name != "spool":  # of a job's answers only the ledger says what they were
        return
    with Path(folder, ANSWERS).open("a", encoding="utf-8") as file:
        file.write(f"{attempt.name}\n")


@dataclass(frozen=True, slots=True)
class _Story:
    scenes: tuple[str, ...]
    takes: int = 1

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Scene]:
        return (
            Scene(scene_id=one, prompt=f"{one}: a harbour at dusk", takes=self.takes)
            for one in self.scenes
        )


async def _run(order: Order) -> dict[str, str]:
    outcomes: dict[str, str] = {}

    def deliver(outcome: Outcome) -> None:
        of = outcome.scene_id if outcome.take == 1 else f"{outcome.scene_id} {outcome.take}"
        assert of not in outcomes, "a take ends once"
        made = "reused" if outcome.reused else "made"
        outcomes[of] = made if outcome.failure is None else outcome.failure.code

    folder = Path(order.folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates would be half of the run
    async with open_stage(Settings(**order.settings), folder, tls=tls) as stage:
        if order.stays:
            await stage.wait()
            return outcomes
        await stage.run(
            _Story(tuple(order.scenes), order.takes),
            pictures_dir=folder / "out" / "images",
            log=structlog.wrap_logger(CapturingLogger(), processors=[_say_nothing]),
            deliver=deliver,
            stopping=anyio.Event(),
        )
    return outcomes


def _say_nothing(_logger: object, _method: str, _event: object) -> str:
    return ""
