"""The run's end of the pipes to the cluster's driver: who waits for which answer.

The driver, see :mod:`.broker`, is in a session of its own, so that Ctrl-C in the terminal reaches
only the process that decides what it means, and its standard error goes to a file: what Ray writes
there is nobody's terminal, and its end is looked at when the process is gone.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from stage3_plugin.errors import (
    JobFailed,
    NoWorker,
    Stage3Error,
    StorageFailed,
    WorkerLost,
    WorkUnusable,
)
from stage3_plugin.executors.cluster.frames import LONGEST_LINE, frame
from stage3_plugin.runtime.masking import Masked

_BROKER = "stage3_plugin.executors.cluster.broker"
_STARTER = (
    "import sys; sys.path[:] = __import__('json').loads(sys.argv[1]); "
    f"from {_BROKER} import main; main()"
)
"""What the interpreter is started with: it finds what this process finds, and nothing else."""
_LAST_WORDS = 2_000
"""Bytes of the driver's standard error that are looked at when it is gone."""
_SEND_S = 30.0
"""Seconds for the driver to take a job in; it reads all the time, unless it is frozen."""
_TAKE_BACK_S = 5.0
"""Seconds for the driver to say that nothing of a job is written any more."""
_GOODBYE_S = 10.0
"""Seconds for the driver to leave its cluster, or to end its own."""
_GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)


class Link:
    """The process that is the cluster's driver, and who waits for its answers."""

    def __init__(self, process: Process, standard_error: IO[bytes], masked: Masked) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._jobs = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self._standard_error = standard_error
        self._masked = masked
        self._sending = anyio.Lock()
        self._waiting: dict[int, MemoryObjectSendStream[Mapping[str, Any]]] = {}
        self._number = 0
        self._refusal: str | None = None
        self.is_gone = False
        """It answers no more; another one is to be started."""

    @classmethod
    async def start(cls, environ: Mapping[str, str], masked: Masked) -> Link:
        """Start the process.

        Args:
            environ: Its environment.
            masked: What its words are shown without.

        Raises:
            NoWorker: It cannot be started.
        """
        process: Process | None = None
        standard_error = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            # Shielded, or a cancellation could leave a process behind that no pool knows.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    [sys.executable, "-P", "-c", _STARTER, json.dumps(_path())],
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=standard_error,
                    env=environ,
                    cwd=os.sep,  # where it stands, Ray has its members look for modules, first
                    start_new_session=True,
                )
        except OSError as error:
            standard_error.close()
            raise NoWorker(str(error)) from error
        assert process is not None
        return cls(process, standard_error, masked)

    @property
    def process_id(self) -> int:
        """Name the process."""
        return self._process.pid

    async def send(self, head: Mapping[str, object], content: bytes = b"") -> None:
        """Send one piece, whole: half of one would be the end of all that follow.

        Raises:
            WorkerLost: The process is gone, or does not read.
        """
        with anyio.CancelScope(shield=True), anyio.move_on_after(_SEND_S) as scope:
            async with self._sending:
                with suppress(*_GONE):  # whoever waits hears of it from listen()
                    await self._jobs.send(frame(head, content))
        if scope.cancelled_caught:
            self._kill()
            raise WorkerLost("did not take its job in, and was ended")

    async def have_done(self, job: bytes, into: Path, tell: Callable[[str], None]) -> None:
        """Send a job and wait for what becomes of it.

        Raises:
            JobFailed: It could not be done.
            WorkerLost: Its replica or the process is gone.
            WorkUnusable: No replica can do any.
            NoWorker: There is no cluster.
            StorageFailed: The disk did not take what was made.
        """
        if self.is_gone:
            raise self._lost()
        self._number += 1
        number = self._number
        part = into.with_name(f".{uuid.uuid4().hex}.part")
        answers, arrived = anyio.create_memory_object_stream[Mapping[str, Any]](math.inf)
        with answers, arrived:
            self._waiting[number] = answers
            try:
                await self.send({"id": number, "into": str(into), "part": str(part)}, job)
                async for answer in arrived:
                    if "notice" in answer:
                        tell(self._shown(answer["notice"]))
                    else:
                        return self._conclude(answer, into)
            except Stage3Error:
                raise
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await self._take_back(number, arrived)
                    for path in (part, into):
                        with suppress(OSError):
                            await anyio.Path(path).unlink(missing_ok=True)
                raise
            finally:
                self._waiting.pop(number, None)
        raise AssertionError("a stream of answers ends with one")

    async def listen(self) -> None:
        """Hand each answer to who waits for it, until the process is gone."""
        try:
            while True:
                line = await self._answers.receive_until(b"\n", LONGEST_LINE)
                self._take_in(json.loads(line))
        except (*_GONE, KeyError, ValueError):
            self.is_gone = True
            self._kill()
            with anyio.CancelScope(shield=True):
                await self._process.wait()
            for answers in self._waiting.values():
                answers.send_nowait({"lost": None})

    async def close(self) -> None:
        """Have the process leave its cluster and end; kill it if it does not listen."""
        with suppress(*_GONE):
            await self._jobs.aclose()
        with anyio.move_on_after(_GOODBYE_S):
            await self._process.wait()
        self.is_gone = True
        self._kill()
        await self._process.aclose()
        self._standard_error.close()

    def _take_in(self, answer: Mapping[str, Any]) -> None:
        if "refused" in answer:
            self.is_gone = True
            self._refusal = answer["refused"]
        elif "notice" in answer:
            for waiting in [*self._waiting.values()][:1]:
                waiting.send_nowait(answer)
        elif (waits := self._waiting.get(answer["id"])) is not None:
            waits.send_nowait(answer)

    async def _take_back(
        self, number: int, arrived: MemoryObjectReceiveStream[Mapping[str, Any]]
    ) -> None:
        """See that nothing of a job is written any more."""
        with anyio.move_on_after(_TAKE_BACK_S) as scope, suppress(WorkerLost):
            await self.send({"take_back": number})
            async for answer in arrived:
                if "taken_back" in answer or "lost" in answer:
                    return
        if scope.cancelled_caught:
            self._kill()

    def _conclude(self, answer: Mapping[str, Any], into: Path) -> None:
        """Return if a job is done, or raise why it is not."""
        if "errno" in answer:
            raise StorageFailed(into, OSError(answer["errno"], os.strerror(answer["errno"])))
        if "problem" in answer:
            raise JobFailed(self._shown(answer["problem"]), may_pass=answer["may_pass"])
        if "unusable" in answer:
            raise WorkUnusable(self._shown(answer["unusable"]))
        if "lost" in answer:
            raise self._lost(answer["lost"])

    def _lost(self, how: str | None = None) -> Stage3Error:
        """Return why there is no answer: of a replica, or of the process itself."""
        if how is not None:
            return WorkerLost(self._shown(how))
        if self._refusal is not None:
            return NoWorker(self._shown(self._refusal))
        return WorkerLost("that speaks with the cluster is gone", self._shown(self._last_words()))

    def _shown(self, words: str) -> str:
        return self._masked.text(words)

    def _kill(self) -> None:
        """End the process at once, and what it has started: it leads a group of its own."""
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _last_words(self) -> str:
        """Return the last line of its standard error."""
        if self._standard_error.closed:
            return ""
        self._standard_error.seek(0, os.SEEK_END)
        self._standard_error.seek(max(0, self._standard_error.tell() - _LAST_WORDS))
        lines = self._standard_error.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


def _path() -> list[str]:
    """Return where this process finds modules, in words that hold wherever one stands."""
    return [str(Path(folder).absolute()) for folder in sys.path]
