"""The receipt of an answer: one file that says what its other files are, and whether it is whole.

A line of JSON for the head, as soon as that is there; a line for everything else, once it came; and
last, of a complete answer, the word ``end``. None of the lines holds a line break, so a file that
was cut anywhere does not end with that word. Apart from the spool, which knows how a body is taken
apart, because this decides what counts as received, also after the run that received it has died.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.descriptors import KEPT_FOR_EACH, release
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.spool.part import LongString

SKELETON = "skeleton"
"""The file of a document that is too long for a line."""
RECEIPT = "answer"
"""The file itself."""
_TAKING_IN_S = 10.0
_ROOM_BYTES = 16 << 20
"""Memory that there is room for before a request leaves: several answers, and a thread's stack."""
_END_OF_LINE = b"\n"
_END = b"end\n"
_MOST_BYTES = 4 << 20
"""Far more than there ever is: what is long has a file of its own."""

BodyKind: TypeAlias = Literal["json", "text", "picture"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the first line holds."""

    status: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the second line holds.

    Attributes:
        body: What kind of body it is.
        media_type: As the answer's header says.
        nonce: In every placeholder.
        received_bytes: Of the body.
        skeleton: The body with its placeholders, a character for each byte; ``None`` if it has a
            file of its own.
        skeleton_bytes: How long it is.
        picture_bytes: Of a body that is one picture.
        strings: What the placeholders stand for.
        values: In the body, roughly; 0 where they were not counted.
        is_cut: Not all of it came. If it is complete all the same, something in it is whole.
    """

    body: BodyKind
    media_type: str | None
    nonce: str
    received_bytes: int
    skeleton: str | None
    skeleton_bytes: int
    picture_bytes: int
    strings: list[LongString]
    values: int = 0
    is_cut: bool = False


_HEAD = TypeAdapter(Head)
_CONTENTS = TypeAdapter(Contents)


def placeholder(nonce: str, index: int) -> str:
    """Name a string so that no text of a model can be taken for it."""
    return f"spooled:{nonce}:{index}:"


class Receipt:
    """The receipt of an answer that is coming in, or will; made once, and open until it ends.

    Made before a paid request leaves, it has what the answer will need: its own file, and
    descriptors that are kept for the others.

    Args:
        directory: The answer's folder.

    Raises:
        StorageFailed: Here and in every method: the disk did not take it, or there is a receipt
            already, or the system has no more descriptors for it.
    """

    def __init__(self, directory: Path) -> None:
        self._kept = 0
        self._has_head = False
        try:  # mapped and let go untouched, which costs some microseconds
            mmap.mmap(-1, _ROOM_BYTES).close()
        except OSError as error:
            raise StorageFailed(directory / RECEIPT, error) from error
        self._file = NewFile(directory / RECEIPT)
        try:
            self._file.keep_aside()
        except StorageFailed:
            self._file.close()
            raise
        self._kept = KEPT_FOR_EACH

    def make_way(self) -> None:
        """Release a descriptor that is kept, right before a file of the answer is opened."""
        if self._kept:
            self._kept -= 1
            release()

    def head(self, head: Head | None) -> None:
        """Write the first line; without a head it is empty, and the answer can never be read."""
        self._has_head = True
        try:
            self._file.write((b"" if head is None else _HEAD.dump_json(head)) + _END_OF_LINE)
        except StorageFailed:
            self.close()
            raise

    def end(self, contents: Contents, *, complete: bool) -> None:
        """Write the other lines."""
        if not self._has_head:
            self.head(None)
        lines = _CONTENTS.dump_json(contents) + _END_OF_LINE + (_END if complete else b"")
        try:
            self._file.write(lines)
        finally:
            self.close()

    def close(self) -> None:
        """Close the file, whatever it holds; a second time does nothing."""
        kept, self._kept = self._kept, 0
        release(kept)
        self._file.close()


def is_complete(directory: Path) -> bool:
    """Return whether the answer in ``directory`` was received to its end.

    Raises:
        StorageFailed: The system does not say.
    """
    path = directory / RECEIPT
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - len(_END) - 1))
            return file.read() == _END_OF_LINE + _END
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageFailed(path, error, reading=True) from error


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
            line = file.readline(_MOST_BYTES)
        return _HEAD.validate_json(line) if line.endswith(_END_OF_LINE) else None
    except (OSError, ValueError):
        return None


def read(directory: Path) -> tuple[Head, Contents]:
    """Read the receipt of a complete answer.

    Raises:
        SpoolRefused: The answer is not complete, or the receipt is not what was written.
    """
    path = directory / RECEIPT
    try:
        with path.open("rb") as file:
            lines = file.read(_MOST_BYTES).splitlines(keepends=True)
    except OSError as error:
        raise SpoolRefused(f"{RECEIPT} cannot be read: {error.strerror}") from error
    if len(lines) < 2 or lines[-1] != _END:
        raise SpoolRefused(f"the answer in {directory.name} is not complete")
    try:
        head, contents = lines[:-1]
        return _HEAD.validate_json(head), _CONTENTS.validate_json(contents)
    except ValueError as error:
        raise SpoolRefused(f"{RECEIPT} is not what was written") from error
