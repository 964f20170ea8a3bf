"""A worker process, as the kit's own process sees it: asked, waited for, and ended.

What a plugin does to its process is seen from here: that it hung, by which signal or with which
code it ended. Processes that it started are in its group and end with it; those that left it are
known by their home, where the system shows it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final, cast

_PASSED_ON: Final = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV", "SYSTEMROOT", "LD_LIBRARY_PATH"}
)
_PASSED_ON_FROM: Final = ("LC_", "PYTHON", "COVERAGE_", "DYLD_")
_ROOMS: Final = ("home", "elsewhere", "temporary")
_MOST_SHOWN: Final = 400
_MOST_OF_A_LINE: Final = 1 << 20
_SECONDS_TO_DIE: Final = 10.0


class WorkerLost(Exception):
    """A worker gave no answer; the message says what became of it."""


class Worker:
    """A process that tries one plugin.

    Args:
        name: The plugin.
        case_file: A file with its case, if one was named.
        room: An empty folder for all that the process writes.
    """

    def __init__(self, name: str, case_file: Path | None, room: Path) -> None:
        self.room = room
        self._asked = 0
        self._is_closed = False
        self._rest = b""
        self._wrote_else = False
        self.begun = ""
        """What the process last said that it begins; empty before."""
        for folder in _ROOMS:
            (room / folder).mkdir(parents=True)
        reading, writing = os.pipe()
        self._answers = reading
        self._output = room / "output"
        case = "" if case_file is None else str(case_file.resolve())
        module = "host_stub.conformance.worker"
        with self._output.open("w+b") as output:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, with our own module
                [sys.executable, "-P", "-m", module, name, case, str(writing)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=room / "elsewhere",
                env=_environment(room),
                pass_fds=[writing],
                start_new_session=True,
            )
        os.close(writing)

    def ask(self, requirement: str, limit_s: float, *, alone: bool = False) -> dict[str, Any]:
        """Try one requirement, and return the answer; waits for it.

        Args:
            requirement: Its name.
            limit_s: How long it may take.
            alone: Try it in a process of its own, before which the plugin was in none.

        Raises:
            WorkerLost: None came within ``limit_s`` seconds, or the process ended before.
        """
        self._asked += 1
        self._wrote_else = False
        word = token_hex(16)
        folder = self.room / f"{self._asked:03}"
        question = {"word": word, "id": requirement, "folder": str(folder), "alone": alone}
        try:
            pipe = cast("BinaryIO", self._process.stdin)
            pipe.write(json.dumps(question).encode() + b"\n")
            pipe.flush()
        except OSError:
            raise WorkerLost(self._end()) from None
        until = time.monotonic() + limit_s
        while True:
            line = self._line(until, limit_s)
            with suppress(ValueError):
                answer: object = json.loads(line)
                if isinstance(answer, dict) and cast("Any", answer).get("word") == word:
                    if "begins" not in answer:
                        return self._with_verdict(cast("dict[str, Any]", answer))
                    self.begun = str(cast("Any", answer)["begins"])
                    continue
            self._wrote_else = True
            self._check(until)

    def _with_verdict(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return an answer that is one: what ended without is known by how it ended."""
        if "verdict" not in answer:
            raise WorkerLost(self._ended(int(answer["ended"])))
        return answer

    def _check(self, until: float, *, is_over: bool = False) -> None:
        """Give up on a process that writes, and never an answer."""
        if is_over or time.monotonic() > until or len(self._rest) > _MOST_OF_A_LINE:
            raise WorkerLost("it wrote to the pipe that answers are read from, and was ended")

    def _line(self, until: float, limit_s: float) -> bytes:
        while b"\n" not in self._rest:
            left_s = until - time.monotonic()
            ready, _, _ = select.select([self._answers], [], [], max(0.0, left_s))
            if not ready and (self._rest or self._wrote_else):
                self._check(until, is_over=True)
            if not ready:
                raise WorkerLost(f"it gave no sign of life for {limit_s:g} s, and was ended")
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                raise WorkerLost(self._end())
            self._rest += piece
            if b"\n" not in piece:
                self._check(until)
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _end(self) -> str:
        """Say how the process ended; it has closed its answers, and may still be on its way."""
        try:
            code = self._process.wait(_SECONDS_TO_DIE)
        except subprocess.TimeoutExpired:
            return "it closed the pipe of its process that answers are read from"
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what it started lives on
        return self._ended(code)

    def _ended(self, code: int) -> str:
        said = self._said()
        shown = f"; it said: {said}" if said else ""
        if code < 0:
            with suppress(ValueError):
                return f"it ended its own process by {signal.Signals(-code).name}{shown}"
        return f"it ended its own process with code {code}{shown}"

    def _said(self) -> str:
        """Return the end of what the process wrote to its outputs."""
        with suppress(OSError), self._output.open("rb") as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - _MOST_SHOWN))
            return " ".join(output.read().decode(errors="replace").split())
        return ""

    def end(self) -> None:
        """End the process and all that it started, from whatever thread; waits for nothing."""
        if self._process.returncode is None:  # after that its number may be another one's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and all that it started; doing so twice is the same."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(OSError):
            cast("BinaryIO", self._process.stdin).close()
        self.end()
        self._process.wait()
        with suppress(OSError):
            os.close(self._answers)


def end_strays(room: Path) -> None:
    """End what left the group of its worker, where the system shows it: its home is in a room."""
    mark = f"HOME={room}{os.sep}".encode()
    for _ in range(3):  # one that starts others may have started some meanwhile
        found = False
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if any(one.startswith(mark) for one in environ.read_bytes().split(b"\0")):
                    found = True
                    os.kill(int(environ.parent.name), signal.SIGKILL)
        if not found:
            return


def _environment(room: Path) -> dict[str, str]:
    """Return the worker's environment: no key of the user's, and no home but an empty one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_FROM)
    }
    if "PYTHONPATH" in kept:  # it works elsewhere
        parts = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(part).resolve()) for part in parts if part)
    return kept | {"HOME": str(room / "home"), "TMPDIR": str(room / "temporary")}
