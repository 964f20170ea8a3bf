"""The file of an answer: its head, what came as it came, and last that it is whole.

::

    {"status": 200, "headers": …, "nonce": …}       as soon as the head is there
    …                                               the body; see the module cutting
    {"nonce": …, "is_cut": false, "parts": […]}     in the moment of the last byte
    end

The nonce is made anew for each answer, so nothing that a body says can be taken for its end, and a
file that was cut anywhere has none. Apart from the spool because this decides what counts as
received, also after the run that received it has died.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.system_errors import says_not_there

RECEIPT = "answer"
"""The file itself."""
MOST_PARTS = 64
"""So many are cut out of a body while it arrives, and as many are found by its judge."""
MOST_BODY_BYTES = 64 << 20
"""Of a body, where nothing else is said."""
_TAKING_IN_S = 10.0
_END_OF_LINE = b"\n"
_END = b"\nend\n"
_MOST_BYTES = 1 << 20
"""Of the head's line; far more than there ever is."""
_MOST_END_BYTES = 4 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the first line holds."""

    status: int
    headers: dict[str, str]
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What the last line but one holds.

    Attributes:
        nonce: That of the head.
        body_bytes: What stands between the head and this.
        parts: How many bytes lie in the file of each part.
        is_cut: Not all of it came. If it counts all the same, something in it is whole.
    """

    nonce: str
    body_bytes: int
    parts: tuple[int, ...] = ()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """An answer in its folder.

    Attributes:
        directory: Where.
        head: Its head.
        end: What is known of it in the end.
        start: Where its body begins in the file.
    """

    directory: Path
    head: Head
    end: End
    start: int

    @property
    def path(self) -> Path:
        return self.directory / RECEIPT

    @property
    def stop(self) -> int:
        return self.start + self.end.body_bytes


_HEAD = TypeAdapter(Head)
_ENDED = TypeAdapter(End)


def as_head(head: Head) -> bytes:
    """Write the first line."""
    return _HEAD.dump_json(head) + _END_OF_LINE


def as_end(end: End) -> bytes:
    """Write the last lines."""
    return _END_OF_LINE + _ENDED.dump_json(end) + _END


def is_complete(directory: Path) -> bool:
    """Return whether the answer in ``directory`` was received to its end.

    Raises:
        StorageFailed: The system does not say.
    """
    path = directory / RECEIPT
    is_missing = suppress(FileNotFoundError, NotADirectoryError)
    with on_disk(path, reading=True), is_missing, path.open("rb") as file:
        return _ending_of(file) is not None
    return False


def is_left(directory: Path) -> bool:
    """Return whether a whole answer has lain for longer than taking it in can need.

    Raises:
        StorageFailed: The system does not say.
    """
    if not is_complete(directory):
        return False
    return age_s(directory) > _TAKING_IN_S


def age_s(directory: Path) -> float:
    """Return for how long an answer has lain there; 0 if another run has just removed it.

    Raises:
        StorageFailed: The system does not say.
    """
    path = directory / RECEIPT
    try:
        return abs(time.time() - path.stat().st_mtime)
    except OSError as error:
        if says_not_there(error):
            return 0.0
        raise StorageFailed(path, error, reading=True) from error


def head_of(directory: Path) -> Head | None:
    """Return the head of an answer, also of one that broke off behind it; ``None`` without one."""
    try:
        with (directory / RECEIPT).open("rb") as file:
            return _head_of(file.readline(_MOST_BYTES))
    except OSError:
        return None


def read(directory: Path) -> Received:
    """Read what is known of a complete answer.

    Raises:
        SpoolRefused: The answer is not complete, or its file is not what was written.
    """
    path = directory / RECEIPT
    with readable(path), path.open("rb") as file:
        first, found = file.readline(_MOST_BYTES), _ending_of(file)
    if found is None:
        raise SpoolRefused(f"the answer in {directory.name} is not complete")
    head, (ending, stop) = _head_of(first), found
    try:
        end = _ENDED.validate_json(ending)
    except ValueError as error:
        raise SpoolRefused(f"{RECEIPT} is not what was written") from error
    if head is None or head.nonce != end.nonce or len(first) + end.body_bytes != stop:
        raise SpoolRefused(f"{RECEIPT} is not what was written")
    return Received(directory, head, end, len(first))


@contextmanager
def readable(path: Path) -> Generator[None]:
    """Refuse an answer of which the system does not let the block read a file.

    Raises:
        SpoolRefused: It does not.
    """
    try:
        yield
    except OSError as error:
        raise SpoolRefused(f"{path.name} cannot be read: {error.strerror}") from error


def _head_of(line: bytes) -> Head | None:
    try:
        return _HEAD.validate_json(line) if line.endswith(_END_OF_LINE) else None
    except ValueError:
        return None


def _ending_of(file: BinaryIO) -> tuple[bytes, int] | None:
    """Return the last line but one of a whole answer, and where its body stops."""
    size = file.seek(0, os.SEEK_END)
    at = file.seek(max(0, size - _MOST_END_BYTES))
    last = file.read()
    line = last.rfind(_END_OF_LINE, 0, -len(_END)) if last.endswith(_END) else -1
    return None if line < 0 else (last[line + 1 : -len(_END)], at + line)
