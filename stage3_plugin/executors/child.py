"""How a replica is spoken with; and a process that works for this one, from its start to its end.

What it prints is kept in a file without a name for as long as it may be wanted, and is asked for
only when it dies: the last line says why.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from stage3_plugin.errors import NoWorker, WorkerLost, WorkUnusable
from stage3_plugin.executors.messages import LONGEST_ANSWER, Said, message
from stage3_plugin.executors.replica_process import GRACE_S
from stage3_plugin.runtime.masking import TOO_SHORT, Masked

_STARTER = (
    "import sys; sys.path[:] = __import__('json').loads(sys.argv[1]); "
    "from {module} import main; main()"
)
"""What the interpreter is started with, and the path of the process that starts it."""
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

GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
    ValueError,  # what it said is no answer
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


class DiedIdle(WorkerLost):
    """A worker is gone, and had not begun what it was asked."""


_RAISED = {"refused": NoWorker, "unusable": WorkUnusable, "lost": WorkerLost, "idle": DiedIdle}
"""What is raised of an answer that has one of these words."""


class Line(ABC):
    """How a replica is spoken with, wherever it is; see :mod:`.messages`.

    Args:
        process: That of this machine which is at its other end.
        questions: What is asked goes there.
        answers: And the answers come from there.
        masked: What they are shown without.
    """

    def __init__(
        self,
        process: Process,
        questions: ByteSendStream | None,
        answers: ByteReceiveStream | None,
        masked: Masked,
    ) -> None:
        assert questions is not None
        assert answers is not None
        self.process = process
        self._questions = questions
        self._answers = BufferedByteReceiveStream(answers)
        self._masked = masked

    @property
    def is_alive(self) -> bool:
        """Whether the process is not known to have ended."""
        return self.process.returncode is None

    async def ask(self, head: Said, parts: Sequence[bytes] = ()) -> Said:
        """Ask for something, and wait for the answer.

        Raises:
            WorkerLost: It is gone; or says what is no answer, and has to be killed.
            NoWorker: It says that there is none.
        """
        await self.send(head, parts)
        return await self.hear()

    async def send(self, head: Said, parts: Sequence[bytes] = ()) -> None:
        """Send what is asked.

        Raises:
            WorkerLost: It is gone.
        """
        try:
            await self._questions.send(message(head, parts))
        except GONE as error:
            raise await self._lost() from error

    async def hear(self) -> Said:
        """Wait for the next answer.

        Raises:
            WorkerLost: As of :meth:`ask`.
            NoWorker: Likewise.
        """
        try:
            said: dict[str, Any] = json.loads(
                await self._answers.receive_until(b"\n", LONGEST_ANSWER)
            )
        except GONE as error:
            raise await self._lost() from error
        for word in _RAISED.keys() & said:
            raise _RAISED[word](self._masked.text(said[word]))
        return said

    async def _lost(self) -> WorkerLost:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_BREATH_S):
            # Its files are closed, so it is dying of itself, and how it does is worth knowing:
            # asyncio on Python 3.11 can lose the status of a process that is killed just now.
            await self.process.wait()
        return self.how_it_went()

    @abstractmethod
    def how_it_went(self) -> WorkerLost:
        """Return why there is no answer."""

    @abstractmethod
    def kill_now(self) -> None:
        """Kill it without waiting for that: what is asked is answered by an error."""

    @abstractmethod
    async def kill(self) -> None:
        """Kill it; afterwards it writes nothing any more."""

    async def close(self) -> None:
        """End it, which does nothing."""
        await self.kill()

    def last_words(self) -> str:
        """Return the last line that it wrote, without secrets, if that is here."""
        return ""


class Child(Line):
    """One process, and the line that its life hangs on."""

    def __init__(
        self,
        process: Process,
        standard_error: IO[bytes],
        lifeline: socket.socket,
        masked: Masked,
    ) -> None:
        super().__init__(process, process.stdin, process.stdout, masked)
        self._standard_error = standard_error
        self._lifeline: socket.socket | None = lifeline

    @classmethod
    async def start(
        cls,
        module: str,
        environment: Mapping[str, str],
        masked: Masked,
        *,
        folder: str | None = None,
    ) -> Child:
        """Start a process.

        Args:
            module: Whose ``main`` it runs. It finds modules where this process does.
            environment: Its environment.
            masked: What its words are shown without.
            folder: Where it stands; by default, where this process does.

        Raises:
            NoWorker: It cannot be started.
        """
        process: Process | None = None
        starter = _STARTER.format(module=module)
        try:
            standard_error = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            theirs, ours = socket.socketpair()
        except OSError as error:
            raise NoWorker(str(error)) from error
        try:
            # Shielded, or a cancellation could leave a process behind that no pool knows.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    [sys.executable, "-P", "-c", starter, _path(), str(theirs.fileno())],
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=standard_error,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),) if os.name == "posix" else (),
                )
        except OSError as error:
            standard_error.close()
            ours.close()
            raise NoWorker(str(error)) from error
        finally:
            theirs.close()
        assert process is not None
        return cls(process, standard_error, ours, masked)

    async def hand_over(self, connection: socket.socket) -> None:
        """Hand a connection over, by the line that its life hangs on, and say so.

        Raises:
            WorkerLost: It is gone.
        """
        with anyio.CancelScope(shield=True):  # or what it takes next would be another one
            if self._lifeline is not None:
                with suppress(OSError):  # it is gone, which sending shows
                    socket.send_fds(self._lifeline, [b"."], [connection.fileno()])
            await self.send({})

    async def close(self, grace_s: float = GRACE_S) -> None:
        """End it by ending its input; kill it if it does not listen."""
        with suppress(*GONE):
            await self._questions.aclose()
        with anyio.move_on_after(grace_s):
            await self.process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End it at once, with all that it has started.

        One that the system cannot end, since its driver hangs in the kernel, is left behind.
        """
        self.kill_now()
        with anyio.move_on_after(_LAST_SECONDS) as dying:
            await self.process.wait()
        if not dying.cancelled_caught:
            await self.process.aclose()
        self._standard_error.close()

    def kill_now(self) -> None:
        """Kill it without waiting for that."""
        if self._lifeline is not None:
            with suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(self.process.pid, signal.SIGKILL)
                else:
                    self.process.kill()
            self._lifeline.close()
            self._lifeline = None

    def how_it_went(self) -> WorkerLost:
        """Return how it ended, and what it wrote last."""
        return WorkerLost(_ending(self.process.returncode), self.last_words())

    def last_words(self) -> str:
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


def _path() -> str:
    """Return where this process finds modules, in words that hold wherever one stands."""
    return json.dumps([str(Path(folder).absolute()) for folder in sys.path])


def _ending(returncode: int | None) -> str:
    if returncode is None:
        return "closed its files"
    if returncode < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"
