"""Asks a command for a secret: ``{ command = ["pass", "show", "openai"] }``.

Without a shell, so that no text of a config is ever taken for more than a word; without standard
input; and neither for long nor for much, whatever the command does. What it writes to standard
error is shown to nobody: it may be the secret, said in another way.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import IO, Final

LONGEST_S: Final = 60.0
"""Long enough for a person to touch a key, or to be asked by another program."""
MOST_BYTES: Final = 64 << 10
"""More than this is not a secret but a mistake, such as ``yes``."""


class NoSecret(Exception):
    """The command gave none; the text says why, without a word that it wrote."""


def secret_of(command: Sequence[str], *, folder: Path, longest_s: float = LONGEST_S) -> str:
    """Run a command, and return what it writes to standard output, without its last line break.

    Args:
        command: The program and its arguments, as they are.
        folder: Where it runs.
        longest_s: Seconds that it may take.

    Raises:
        NoSecret: It cannot be run, failed, took too long, or wrote nothing that is a secret.
    """
    known = f"the command {command[0]!a}" if shutil.which(command[0]) else "its command"
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own words, and no shell reads them
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word
        reason = error.strerror if isinstance(error, OSError) else None
        raise NoSecret(f"{known} cannot be run: {reason or type(error).__name__}") from None
    assert process.stdout is not None
    reader = _Reader(process.stdout)
    reader.start()
    reader.join(longest_s)
    is_late = reader.is_alive()
    if is_late or len(reader.content) > MOST_BYTES:
        process.kill()
    try:
        code = process.wait(longest_s)
    except subprocess.TimeoutExpired:  # it closed its output, and goes on
        process.kill()
        code, is_late = process.wait(), True
    if is_late:
        raise NoSecret(f"{known} did not end within {longest_s:g} s")
    if len(reader.content) > MOST_BYTES:
        raise NoSecret(f"{known} wrote more than {MOST_BYTES} bytes")
    if code != 0:
        raise NoSecret(f"{known} ended with code {code}")
    try:
        secret = reader.content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise NoSecret(f"{known} wrote what is not UTF-8 text") from None
    if not secret:
        raise NoSecret(f"{known} wrote nothing")
    return secret


class _Reader(Thread):
    """Reads as much as there may be; what the command has begun may keep it from its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self.content = b""

    def run(self) -> None:
        with self._pipe:
            self.content = self._pipe.read(MOST_BYTES + 1)
