"""A result file of a batch, read line by line, each line into a folder as an answer of its own.

Such a file may have gigabytes, and a line of it a picture: neither is ever in memory. Whatever can
be done with a whole answer can be done with a line then, its picture decoded as it went by. Apart
from the spool because what bounds an answer here is the end of a line, and no connection. It
blocks; call it in a thread.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from io import SEEK_CUR
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.spool.polls import remove
from stage3_plugin.storage.spool.reading import SpooledAnswer
from stage3_plugin.storage.spool.writing import MOST_BODY_BYTES

_PIECE_BYTES = 256 * 1024
_END = b"\n"
_ESCAPE = b"\\u00"
SPOOLED_STRANGE = 100
"""Lines that do not name the batch and are spooled all the same, so that it can be told what they
are; what comes behind them is only counted. A file of a million such ones would be a million
folders."""
_SHORT_BYTES = 64 * 1024
_MOST_PASSED_BYTES = 1024 * 1024
"""In one call, so that whoever reads can stop."""
_HEADERS = (("content-type", "application/json"),)
_STATUS = 200


@dataclass(frozen=True, slots=True)
class SpooledLine:
    """A line that lies in a folder.

    Attributes:
        folder: Where.
        problem: Why it cannot be read, such as being too long; empty if it can.
    """

    folder: Path
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PassedBy:
    """Lines that cannot be the batch's were left out; there may be more.

    Attributes:
        lines: How many.
    """

    lines: int


class ResultFile:
    """A result file that is open for reading; a context manager.

    Args:
        path: The file.
        is_whole: All of it came. Of one that was cut, what stands behind the last end of a line is
            none, unless its document has come to its end.
        into: The folder in which the lines come to lie, each in one of its own.
        most_bytes: How much of a line is taken.
        masked: Covers secrets.
        token: What every line of the batch has in its key; by default all lines are spooled.

    Raises:
        StorageFailed: Here and in every method: the disk did not give it, or did not take a line.
    """

    def __init__(
        self,
        path: Path,
        *,
        is_whole: bool,
        into: Path,
        most_bytes: int = MOST_BODY_BYTES,
        masked: Masked = NOTHING,
        token: str = "",
    ) -> None:
        self._path = path
        self._is_whole = is_whole
        self._into = into
        self._most_bytes = most_bytes
        self._masked = masked
        self._token = token.encode()
        self._strange = 0
        with on_disk(path, reading=True):
            self._file: BinaryIO = path.open("rb", buffering=_SHORT_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def next_line(self) -> SpooledLine | PassedBy | None:
        """Spool the next line that is not blank; ``None`` if there is none any more."""
        passed_bytes = passed = 0
        while True:
            piece = self._piece()
            if not piece.strip():
                if not piece and not passed:
                    return None
            elif self._can_be_ours(piece):
                break
            else:
                passed += 1
            passed_bytes += len(piece)
            if not piece or passed_bytes > _MOST_PASSED_BYTES:
                return PassedBy(passed)
        if passed:  # it comes with the next call
            self._file.seek(-len(piece), SEEK_CUR)
            return PassedBy(passed)
        folder = self._into / f"line-{secrets.token_hex(8)}"
        try:
            line = self._spooled(folder, piece)
        except StorageFailed:
            remove(folder)
            raise
        if line is None:
            remove(folder)
        return line

    def _spooled(self, folder: Path, piece: bytes) -> SpooledLine | None:
        """Spool a line; ``None`` if not all of it came."""
        answer = SpooledAnswer(folder, most_bytes=self._most_bytes, masked=self._masked)
        problem = ""
        try:
            answer.head(_STATUS, _HEADERS)
            while piece:
                if not problem:
                    problem = _fed(answer, piece)
                if piece.endswith(_END):
                    break
                piece = self._piece()
            is_whole = answer.finish("whole" if piece or self._is_whole else "closed")
        finally:
            answer.close()
        return SpooledLine(folder, problem) if is_whole or problem else None

    def _can_be_ours(self, piece: bytes) -> bool:
        """Return whether a line is worth being spooled."""
        is_short = piece.endswith(_END) and len(piece) <= _SHORT_BYTES
        if not is_short or self._token in piece or _ESCAPE in piece:
            return True
        self._strange += 1
        return self._strange <= SPOOLED_STRANGE

    def _piece(self) -> bytes:
        """Return what comes next, to the end of a line at most; nothing at the end of the file."""
        with on_disk(self._path, reading=True):
            return self._file.readline(_PIECE_BYTES)


def _fed(answer: SpooledAnswer, piece: bytes) -> str:
    """Let an answer take a piece; return why it takes no more."""
    try:
        answer.feed(piece)
    except SpoolRefused as refusal:
        return str(refusal)
    return ""
