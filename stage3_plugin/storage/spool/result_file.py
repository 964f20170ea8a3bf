"""A result file of a batch, read line by line, each line into a folder as an answer of its own.

Such a file may have gigabytes, and a line of it a picture: neither is ever in memory. Whatever can
be done with a whole answer can be done with a line then, its picture decoded as it went by. Apart
from the spool because what bounds an answer here is the end of a line, and no connection. It
blocks; call it in a thread.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, FileIO
from itertools import chain
from pathlib import Path

from stage3_plugin.errors import SpoolRefused
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.spool.polls import remove
from stage3_plugin.storage.spool.receipt import MOST_BODY_BYTES
from stage3_plugin.storage.spool.writing import SpooledAnswer

_PIECE_BYTES = 256 * 1024
_END = b"\n"
_BLANKS = re.compile(rb"\s+")
_ESCAPE = b"\\u00"
SPOOLED_STRANGE = 100
"""Lines that do not name the batch and are spooled all the same, so that it can be told what they
are; what comes behind them is only counted. A file of a million such ones would be a million
folders."""
_SHORT_BYTES = 64 * 1024
_MOST_PASSED_BYTES = 1024 * 1024
"""In one call, so that whoever reads can stop."""
_HEADERS = {"content-type": "application/json"}
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


def lines_in(
    path: Path,
    *,
    is_whole: bool,
    into: Path,
    most_bytes: int = MOST_BODY_BYTES,
    masked: Masked = NOTHING,
    token: str = "",
) -> Generator[SpooledLine | PassedBy]:
    """Spool the lines of a result file that are not blank, one after the other.

    Args:
        path: The file.
        is_whole: All of it came. Of one that was cut, what stands behind the last end of a line is
            none, unless its document has come to its end.
        into: The folder in which the lines come to lie, each in one of its own.
        most_bytes: How much of a line is taken.
        masked: Covers secrets.
        token: What every line of the batch has in its key; by default all lines are spooled.

    Raises:
        StorageFailed: The disk did not give the file, or did not take a line.
    """
    mark, strange, passed, passed_bytes = token.encode(), 0, 0, 0
    opened = partial(SpooledAnswer, most_bytes=most_bytes, masked=masked)
    with (
        on_disk(path, reading=True),
        BufferedReader(path.open("rb", buffering=0), _SHORT_BYTES) as file,
    ):
        piece_of = partial(file.readline, _PIECE_BYTES)
        while piece := piece_of():
            is_blank, is_strange = not piece.strip(), not _can_be_ours(piece, mark)
            if not is_blank and not (is_strange and strange == SPOOLED_STRANGE):
                strange += is_strange
                if passed:
                    yield PassedBy(passed)
                passed = passed_bytes = 0
                pieces = chain([piece], iter(piece_of, b""))
                line = _spooled(into / f"line-{secrets.token_hex(8)}", opened, pieces, is_whole)
                if line is None:
                    return
                yield line
                continue
            passed += not is_blank
            passed_bytes += len(piece) + (_pass_blanks(file) if is_blank else 0)
            if passed_bytes > _MOST_PASSED_BYTES:
                yield PassedBy(passed)
                passed = passed_bytes = 0
    if passed:
        yield PassedBy(passed)


def _pass_blanks(file: BufferedReader[FileIO]) -> int:
    """Pass by what is blank, as far as it was read; line by line, megabytes would take minutes."""
    found = _BLANKS.match(file.peek())
    return len(file.read(found.end())) if found else 0


def _can_be_ours(piece: bytes, mark: bytes) -> bool:
    """Return whether a line may name the batch; a long one may behind its beginning."""
    is_short = piece.endswith(_END) and len(piece) <= _SHORT_BYTES
    return not is_short or mark in piece or _ESCAPE in piece


def _spooled(
    folder: Path,
    opened: Callable[[Path], SpooledAnswer],
    pieces: Iterable[bytes],
    is_whole: bool,  # noqa: FBT001 - its one caller is above
) -> SpooledLine | None:
    """Spool a line; ``None`` if not all of it came."""
    problem, piece, counts = "", b"", False
    try:
        with closing(opened(folder)) as answer:
            answer.opened(_STATUS, _HEADERS)
            for piece in pieces:
                problem = problem or _fed(answer, piece)
                if piece.endswith(_END):
                    break
            counts = answer.finish("whole" if is_whole or piece.endswith(_END) else "closed")
    finally:
        if not (counts or problem):
            remove(folder)
    return SpooledLine(folder, problem) if counts or problem else None


def _fed(answer: SpooledAnswer, piece: bytes) -> str:
    """Let an answer take a piece; return why it takes no more."""
    try:
        answer.feed(piece)
    except SpoolRefused as refusal:
        return str(refusal)
    return ""
