"""A file of results, made while it is sent: no picture of it is kept, and its length is known."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stage3_plugin.testing.pngs import make_png

HERE = "<the picture's base64>"
"""Where in a line's document its picture goes."""
_PIECE_BYTES = 3 << 16


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture that is drawn when it is wanted, and how many bytes it will have."""

    size_bytes: Callable[[], int]
    make: Callable[[], bytes]


def drawing(prompt: str, width_px: int, height_px: int, *, heavy: bool) -> Drawn:
    """Return a picture to be; those of one size have as many bytes."""
    return Drawn(
        functools.partial(_size_bytes, width_px, height_px, heavy=heavy),
        functools.partial(make_png, prompt, width_px, height_px, heavy=heavy),
    )


@functools.cache
def _size_bytes(width_px: int, height_px: int, *, heavy: bool) -> int:
    return len(make_png("any", width_px, height_px, heavy=heavy))


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One line: its document, and the picture that goes where it says so."""

    document: object
    picture: Drawn | None = None

    @property
    def size_bytes(self) -> int:
        """Return its length with the line's end."""
        encoded = 0 if self.picture is None else -(-self.picture.size_bytes() // 3) * 4
        return sum(map(len, self._halves())) + encoded + 1

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes."""
        before, after = self._halves()
        yield before
        if self.picture is not None:
            data = self.picture.make()
            for start in range(0, len(data), _PIECE_BYTES):
                yield base64.b64encode(data[start : start + _PIECE_BYTES])
        yield after + b"\n"

    def _halves(self) -> tuple[bytes, bytes]:
        text = json.dumps(self.document)
        before, _, after = text.partition(HERE) if self.picture is not None else (text, "", "")
        return before.encode(), after.encode()


@dataclass(frozen=True, slots=True)
class ResultFile:
    """The lines of a file, in its order."""

    lines: Sequence[ResultLine]

    @property
    def size_bytes(self) -> int:
        """Return its length."""
        return sum(line.size_bytes for line in self.lines)

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes; no more than one picture is in memory."""
        for line in self.lines:
            yield from line.pieces()
