"""What the command line says, and where: results on stdout, everything else on stderr.

With ``--json`` stdout carries one JSON object and nothing else, errors included, even if a plugin
prints. All text for people goes through the one escaper and the redactor. A reader who has gone
away (``host-stub plugins | head -1``) is no error: the rest is not written, and the exit code still
says what happened.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Final, TextIO

from host_stub.errors import Action, HostError, SystemLacks
from host_stub.text.escape import escaped

if TYPE_CHECKING:
    from host_stub.text.redaction import Redactor

ERROR_FORMAT: Final = "stage3-error/1"


class Console:
    """The two streams of one command.

    Args:
        json_only: Keep stdout for one JSON object.
        debug: Show tracebacks, without local variables.

    Attributes:
        lost_output: Something could not be written to stdout, which leads to a full disk, say.
    """

    def __init__(self, *, json_only: bool, debug: bool) -> None:
        self.json_only = json_only
        self.debug = debug
        self.lost_output = False
        self._out = sys.stdout
        self._shows_progress = False
        self._secrets: set[str] = set()
        self._redactor: Redactor | None = None
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show Chinese shows escapes instead of ending the command.
                stream.reconfigure(errors="backslashreplace")

    @contextmanager
    def owning_stdout(self) -> Generator[None]:
        """Send what others print to stderr, if stdout must stay clean."""
        if not self.json_only:
            yield
            return
        with redirect_stdout(sys.stderr):
            yield

    def hide(self, secrets: Iterable[str]) -> None:
        """Take these texts out of all that is said from now on."""
        self._secrets.update(secrets)
        if self._secrets:
            from host_stub.text.redaction import Redactor  # noqa: PLC0415  - needs pydantic; listing does not

            self._redactor = Redactor(self._secrets)  # once: making one costs twenty lines' time

    def say(self, text: str) -> None:
        """Write lines for people to stdout; with ``--json`` nothing is written."""
        if not self.json_only:
            self._write(self._clean(text))

    def result(self, value: Mapping[str, object], *, next_actions: Iterable[Action] = ()) -> None:
        """Write the one JSON object; ASCII, so that it is safe on every terminal.

        Args:
            value: It.
            next_actions: What may come next, the best first.
        """
        self.write_object({**value, "next_actions": [one.as_json() for one in next_actions]})

    def schema(self, value: Mapping[str, object]) -> None:
        """Write a JSON Schema, which is no document of ours and has nothing added."""
        self.write_object(value)

    def progress(self, text: str) -> None:
        """Show how far a long command is, on a terminal only; empty text takes it away."""
        if sys.stderr is None or not sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # closed by the parent process
            return
        if text or self._shows_progress:
            self._shows_progress = bool(text)
            with suppress(OSError):
                sys.stderr.write(f"\r\x1b[K{escaped(self._redacted(text))}")
                sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Write lines for people to stderr."""
        if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  # likewise
            return
        self._end_progress()
        try:
            sys.stderr.write(self._clean(text) + "\n")
            sys.stderr.flush()
        except OSError:  # stderr has no reader any more
            _divert(sys.stderr)

    def trace(self, error: BaseException) -> None:
        """Show where an error came from, with ``--debug``; the values of variables are left out."""
        if self.debug:
            self.warn("".join(traceback.format_exception(error)).rstrip())

    def error(self, error: BaseException) -> int:
        """Write an error and its hint, and return the exit code that goes with it."""
        self.trace(error)
        known = error if isinstance(error, HostError) else _surprise(error)
        said = str(known)
        self.warn(f"error: {said}" if said == known.code else f"error: {said} [{known.code}]")
        if known.hint:
            self.warn(f"hint: {known.hint}")
        if self.json_only:
            shown = {"code": known.code, "message": str(known), "hint": known.hint}
            retry = known.retry_with
            self.result(
                {
                    "format": ERROR_FORMAT,
                    "error": {**shown, **known.details(), "exit_code": known.exit_code},
                    "retry_with": None if retry is None else retry.as_json(),
                },
                next_actions=known.next_actions,
            )
        return known.exit_code

    def write_object(self, value: Mapping[str, object]) -> None:
        """Write an object as it is; :meth:`result` and :meth:`schema` say what is in it."""
        self._write(self._redacted(json.dumps(value, indent=2, allow_nan=False)))

    def _write(self, text: str) -> None:
        """Write a line to stdout and flush it; a reader who is gone gets no more."""
        if self._out is None:  # pyright: ignore[reportUnnecessaryComparison]  # likewise
            return
        self._end_progress()
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except BrokenPipeError:
            _divert(self._out)
        except OSError as error:
            _divert(self._out)
            self.lost_output = True
            self.warn(f"error: cannot write to standard output: {error.strerror}")

    def _end_progress(self) -> None:
        if self._shows_progress:
            self.progress("")

    def _clean(self, text: str) -> str:
        return "\n".join(escaped(line) for line in self._redacted(text).split("\n"))

    def _redacted(self, text: str) -> str:
        return text if self._redactor is None else self._redactor.text(text)


def _surprise(error: BaseException) -> HostError:
    """Wrap an error that no part of the host expects."""
    return SystemLacks.behind(error) or HostError(
        f"this should not have happened: {type(error).__name__}",
        hint="run it again with --debug and report what it shows",
    )


def _divert(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush succeeds."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
