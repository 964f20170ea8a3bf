"""One replica process as its starter sees it: started, made, called, ended with all it has started.

What it prints is kept in a file without a name for as long as it may be wanted, and is asked for
only when it dies: the last line says why.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from subprocess import PIPE
from typing import IO

import anyio
from anyio.abc import ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from stage3_plugin.errors import NoWorker, WorkerLost, WorkUnusable
from stage3_plugin.executors.base import Work
from stage3_plugin.executors.replica import Unusable
from stage3_plugin.executors.replica_process import (
    GRACE_S,
    LONGEST_ANSWER,
    STARTER,
    Answer,
    Order,
    answers_in,
    asked,
    at_once_in,
    made,
)
from stage3_plugin.runtime.masking import TOO_SHORT, Masked

_LAST_WORDS = 16_000
"""Bytes of a dead replica's output that are looked at; a longer line is not shown."""
_MOST_OUTPUT = 1 << 20
"""Bytes of output that are kept on the disk; what comes then begins anew."""
_LONGEST_LINE = 500
_LAST_BREATH_S = 1
"""How long a process whose files are closed may take to end."""
_LAST_SECONDS = 10
"""How long a process that was killed may take to be gone."""
_LINES = re.compile(rb"[\r\n]+")

_GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
    ValueError,  # what it said is no answer
    KeyError,
    TypeError,
    RecursionError,
)
"""What is raised when the other end of a pipe is no longer there, or says what it must not."""


def replica_environment(
    environment: Mapping[str, str], secrets: Sequence[str], masked: Masked
) -> dict[str, str]:
    """Return an environment without any variable whose value holds a secret.

    Args:
        environment: That of this process.
        secrets: The secrets. One of fewer than four characters counts where it is all of a value:
            it turns up in others by chance.
        masked: Finds them, in whatever spelling.
    """
    short = {secret for secret in secrets if 0 < len(secret) < TOO_SHORT}
    return {
        name: value
        for name, value in environment.items()
        if value not in short and masked.text(value) == value
    }


class ReplicaHandle:
    """One process, the files to it, and the line that its life hangs on."""

    def __init__(
        self, process: Process, standard_error: IO[bytes], lifeline: int, masked: Masked
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._jobs: ByteSendStream = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self._standard_error = standard_error
        self._lifeline: int | None = lifeline
        self._masked = masked
        self.at_once = 1

    @classmethod
    async def start(cls, environment: Mapping[str, str], masked: Masked) -> ReplicaHandle:
        """Start a process; nothing is made yet.

        Raises:
            NoWorker: It cannot be started.
        """
        process: Process | None = None
        try:
            standard_error = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            theirs, ours = os.pipe()
        except OSError as error:
            raise NoWorker(str(error)) from error
        try:
            # Shielded, or a cancellation could leave a process behind that no pool knows.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    [sys.executable, "-P", "-c", STARTER, json.dumps(sys.path), str(theirs)],
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=standard_error,
                    env=environment,
                    start_new_session=True,
                    pass_fds=(theirs,) if os.name == "posix" else (),
                )
        except OSError as error:
            standard_error.close()
            os.close(ours)
            raise NoWorker(str(error)) from error
        finally:
            os.close(theirs)
        assert process is not None
        return cls(process, standard_error, ours, masked)

    @property
    def process_id(self) -> int:
        """Return the number of the process, and of its session."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Return whether it is not known to have ended."""
        return self._process.returncode is None

    async def make(self, work: Work, longest_s: float) -> None:
        """Have it make what does the work.

        Raises:
            WorkUnusable: It cannot, or takes too long.
            WorkerLost: It died over it.
        """
        try:
            with anyio.fail_after(longest_s):
                await self._jobs.send(made(work))
                answer = await self._answers.receive_until(b"\n", LONGEST_ANSWER)
            self.at_once = at_once_in(answer)
        except TimeoutError as error:
            problem = f"it was not made within start_s, {longest_s:g} s"
            raise WorkUnusable(problem, self._last_words()) from error
        except Unusable as error:
            raise WorkUnusable(self._masked.text(str(error))) from error
        except _GONE as error:
            raise await self._lost() from error

    async def do(self, orders: Sequence[Order], longest_s: float) -> list[Answer]:
        """Have one call done.

        Args:
            orders: Its jobs.
            longest_s: Seconds that it may take.

        Raises:
            WorkerLost: It died over it, or took too long; it has to be killed then.
        """
        try:
            with anyio.fail_after(longest_s):
                await self._jobs.send(asked(orders))
                answer = await self._answers.receive_until(b"\n", LONGEST_ANSWER * len(orders))
            found = answers_in(answer, len(orders))
        except TimeoutError as error:
            how = f"did not end its work within timeout_s, {longest_s:g} s"
            raise WorkerLost(how, self._last_words()) from error
        except _GONE as error:
            raise await self._lost() from error
        self.forget_output()
        return found

    async def close(self) -> None:
        """End it by ending its input; kill it if it does not listen."""
        await self._jobs.aclose()
        with anyio.move_on_after(GRACE_S):
            await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End it at once, with all that it has started.

        One that the system cannot end, since its driver hangs in the kernel, is left behind.
        """
        self.kill_now()
        with anyio.move_on_after(_LAST_SECONDS) as dying:
            await self._process.wait()
        if not dying.cancelled_caught:
            await self._process.aclose()
        self._standard_error.close()

    def kill_now(self) -> None:
        """Kill it without waiting for that."""
        if self._lifeline is not None:
            with suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
            os.close(self._lifeline)
            self._lifeline = None

    async def _lost(self) -> WorkerLost:
        """Return how it went."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_BREATH_S):
            # Its files are closed, so it is dying of itself, and how it does is worth knowing:
            # asyncio on Python 3.11 can lose the status of a process that is killed just now.
            await self._process.wait()
        return WorkerLost(_ending(self._process.returncode), self._last_words())

    def _last_words(self) -> str:
        """Return the last line that it wrote, without secrets."""
        if self._standard_error.closed:  # the pool is being left
            return ""
        began = max(0, self._standard_error.seek(0, os.SEEK_END) - _LAST_WORDS)
        self._standard_error.seek(began)
        lines = [line.strip() for line in _LINES.split(self._standard_error.read(_LAST_WORDS))]
        if began:  # it begins anywhere in a line: half a secret would not be known for one
            del lines[0]
        last = next((line for line in reversed(lines) if line), b"")
        return self._masked.text(last.decode("utf-8", "replace"))[:_LONGEST_LINE]

    def forget_output(self) -> None:
        """Keep what it prints from filling the disk; both ends write and read at one position."""
        if self._standard_error.closed:
            return
        if self._standard_error.seek(0, os.SEEK_END) > _MOST_OUTPUT:
            self._standard_error.seek(0)
            self._standard_error.truncate()


def _ending(returncode: int | None) -> str:
    if returncode is None:
        return "closed its files"
    if returncode < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"
