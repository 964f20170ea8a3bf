"""What the ``stage3`` command writes, and where: results on stdout, everything else on stderr.

With ``--json`` stdout carries one JSON object and nothing else, errors included. All text for
people goes through the one escaper. A reader who has gone away (``stage3 attempts | head -1``) is
no error. Apart from the command line so that no command can write past it.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from stage3_plugin.errors import SettingsRefused, Stage3Error
from stage3_plugin.maintenance.escape import escaped

EXIT_CANNOT = 2
"""Nothing was done: bad arguments, no ledger, no such purchase, a disk that failed."""
EXIT_INTERRUPTED = 130
"""SIGINT, as shells tell it."""


class Console:
    """The two streams of one command.

    Args:
        json_only: Keep stdout for one JSON object.
        debug: Show tracebacks, without local variables.

    Attributes:
        lost_output: Something could not be written to stdout: a full disk, say.
    """

    def __init__(self, *, json_only: bool, debug: bool) -> None:
        self.json_only = json_only
        self.debug = debug
        self.lost_output = False
        self._shows_progress = False
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show Chinese shows escapes instead of ending the command.
                stream.reconfigure(errors="backslashreplace")

    def say(self, text: str) -> None:
        """Write lines for people to stdout; with ``--json`` nothing is written."""
        if not self.json_only:
            self._write(_clean(text))

    def result(self, value: Mapping[str, object]) -> None:
        """Write the one JSON object; ASCII, so that it is safe on every terminal."""
        if self.json_only:
            self._write(json.dumps(value, indent=2, allow_nan=False))

    def progress(self, text: str) -> None:
        """Show how far a long command is, on a terminal only; empty text takes it away."""
        if sys.stderr is None or not sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # closed by whoever started us
            return
        if text or self._shows_progress:
            self._shows_progress = bool(text)
            with suppress(OSError):
                sys.stderr.write(f"\r\x1b[K{escaped(text)}")
                sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Write lines for people to stderr."""
        if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  # likewise
            return
        self.progress("")
        try:
            sys.stderr.write(_clean(text) + "\n")
            sys.stderr.flush()
        except OSError:  # nobody left to tell
            _divert(sys.stderr)

    def error(self, error: BaseException) -> int:
        """Tell an error and its hint, and return the exit code that goes with it."""
        if self.debug:
            self.warn("".join(traceback.format_exception(error)).rstrip())
        code, message, hint, exit_code = _told(error)
        self.warn(f"error: {message}")
        if hint:
            self.warn(f"hint: {hint}")
        told = {"code": code, "message": message, "hint": hint, "exit_code": exit_code}
        self.result({"error": told})
        return exit_code

    def _write(self, text: str) -> None:
        """Write a line to stdout and flush it; a reader who is gone is told no more."""
        if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # likewise
            return
        self.progress("")
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            _divert(sys.stdout)
        except OSError as error:
            _divert(sys.stdout)
            self.lost_output = True
            self.warn(f"error: cannot write to standard output: {error.strerror}")


def _told(error: BaseException) -> tuple[str, str, str | None, int]:
    """Give an error as code, message, hint and exit code."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "interrupted", None, EXIT_INTERRUPTED
    if isinstance(error, Stage3Error):
        message = error.message if isinstance(error, SettingsRefused) else str(error)
        return _code_of(error), message, error.hint, EXIT_CANNOT
    message = f"this should not have happened: {type(error).__name__}"
    hint = "run it again with --debug and report what it shows"
    return "surprise", message, hint, EXIT_CANNOT


def _code_of(error: Stage3Error) -> str:
    """Name an error for programs: ``LedgerMissing`` is ``ledger_missing``."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def _clean(text: str) -> str:
    return "\n".join(map(escaped, text.split("\n")))


def _divert(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush succeeds."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
