"""The worker processes: how many, which are free, and what happens when one dies or is not needed.

Work that holds the GIL, as drawing does, needs a process of its own to use a core. Workers are
started when first needed, live as long as the pool, and do one job at a time. They are in sessions
of their own, so that Ctrl-C in the terminal reaches only the process that decides what it means,
and they are given an environment without anything that could be a secret.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from types import TracebackType
from typing import IO, Self

import anyio
from anyio.abc import ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from stage3_plugin.errors import JobFailed, NoWorker, WorkerLost
from stage3_plugin.executors.worker import asked, problem_in

_MODULE = "stage3_plugin.executors.worker"
_LONGEST_ANSWER = 65_536
_LAST_WORDS = 2_000
"""Bytes of a dead worker's standard error that are looked at."""
_LAST_BREATH_S = 1
"""How long a process whose files are closed may take to end."""
_GOODBYE_S = 5
"""How long an idle worker may take to notice that its input has ended."""
_KEPT = re.compile(
    r"PATH|PYTHON\w*|LANG|LANGUAGE|LC_\w+|TZ|HOME|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|PATHEXT|COMSPEC"
    r"|LD_LIBRARY_PATH|DYLD_\w+|VIRTUAL_ENV|COVERAGE_\w+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


def usable_cores() -> int:
    """Count the cores this process may use, which in a container are fewer than the machine's."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker needs of an environment, and nothing that could be a secret."""
    return {
        name: value
        for name, value in environment.items()
        if _KEPT.fullmatch(name) and not _SECRET.search(name)
    }


_GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)
"""What anyio says when the other end of a pipe, or this one, is no longer there."""


class Processes:
    """A pool of worker processes; an :class:`~stage3_plugin.executors.base.Executor`.

    Args:
        work: The function that does a job, ``module:name``; bytes in, bytes out.
        slots: At most so many processes; by default, one for each usable core.
    """

    def __init__(self, work: str, slots: int | None = None) -> None:
        self._command = _command(work)
        self.slots = slots or usable_cores()
        self._limiter = anyio.CapacityLimiter(self.slots)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                for worker in self._idle:
                    closing.start_soon(worker.close)
                for worker in self._busy:
                    closing.start_soon(worker.kill)
        self._idle.clear()

    @property
    def process_ids(self) -> frozenset[int]:
        """Name the processes that are alive, as far as is known."""
        return frozenset(worker.process_id for worker in (*self._idle, *self._busy))

    async def run(self, job: bytes, into: Path) -> None:
        """Have a job done; waits for a free worker.

        When cancelled, the worker that does it is killed, and a fresh one is started when next
        needed. Nothing but a whole file is left behind.

        Raises:
            JobFailed: It could not be done.
            WorkerLost: The worker died over it.
            NoWorker: None can be started.
        """
        into, part = _places(into)
        async with self._limiter:
            worker = await self._free_worker()
            self._busy.add(worker)
            try:
                problem = await worker.run(asked(job, into, part))
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await worker.kill()
                    await anyio.Path(part).unlink(missing_ok=True)
                raise
            finally:
                self._busy.discard(worker)
            self._idle.append(worker)
        if problem is not None:
            raise JobFailed(problem)

    async def _free_worker(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            with anyio.CancelScope(shield=True):
                await worker.kill()
        return await _Worker.start(self._command)


class _Worker:
    """One process and the three files to it."""

    def __init__(self, process: Process, standard_error: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._jobs: ByteSendStream = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self._standard_error = standard_error

    @classmethod
    async def start(cls, command: list[str]) -> _Worker:
        process: Process | None = None
        standard_error = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close() and kill()
        try:
            # Shielded, or a cancellation could leave a process behind that no pool knows.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    command,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=standard_error,
                    env=worker_environment(os.environ),
                    start_new_session=True,
                )
        except OSError as error:
            standard_error.close()
            raise NoWorker(str(error)) from error
        assert process is not None
        return cls(process, standard_error)

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def run(self, job: bytes) -> str | None:
        """Send one job and wait for its answer: what was wrong, or ``None``."""
        try:
            await self._jobs.send(job)
            return problem_in(await self._answers.receive_until(b"\n", _LONGEST_ANSWER))
        except _GONE as error:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_BREATH_S):
                # Its files are closed, so it is dying of itself, and how it does is worth knowing:
                # asyncio on Python 3.11 can lose the status of a process that is killed just now.
                await self._process.wait()
            raise WorkerLost(_ending(self._process.returncode), self._last_words()) from error

    async def close(self) -> None:
        """End the process by ending its input; kill it if it does not listen."""
        await self._jobs.aclose()
        with anyio.move_on_after(_GOODBYE_S):
            await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the process at once."""
        self._kill_process()
        await self._process.aclose()
        self._standard_error.close()

    def _kill_process(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def _last_words(self) -> str:
        """Return the last line of its standard error, where a traceback says what it was."""
        if self._standard_error.closed:  # the pool is being left
            return ""
        self._standard_error.seek(0, os.SEEK_END)
        self._standard_error.seek(max(0, self._standard_error.tell() - _LAST_WORDS))
        lines = self._standard_error.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


def _places(into: Path) -> tuple[Path, Path]:
    """Return where a file is to be, and where it is written first, wherever a worker stands."""
    into = into.absolute()
    return into, into.with_name(f".{uuid.uuid4().hex}.part")


def _command(work: str) -> list[str]:
    """Return the command line of a worker that finds the modules this process finds."""
    # With -m, a file random.py in the current folder would be imported in place of Python's own.
    looks_here = "" in sys.path
    with suppress(OSError):  # it was removed, and nothing is imported from it
        looks_here = looks_here or str(Path.cwd()) in sys.path
    return [sys.executable, *([] if looks_here else ["-P"]), "-m", _MODULE, work]


def _ending(returncode: int | None) -> str:
    if returncode is None:
        return "closed its files"
    if returncode < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"
