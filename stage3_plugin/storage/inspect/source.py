"""How a walker asks for bytes that have not arrived yet.

A walker is a generator that says ``header = yield from source.take(8)`` as if it read a file, and
is resumed whenever a piece came. So the formats read top to bottom, hold nothing, and can be fed
from a file, from a socket or while base64 is decoded.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from stage3_plugin.errors import PictureRefused

_Result = TypeVar("_Result")
Steps: TypeAlias = Generator[None, None, _Result]
"""Yields whenever it needs another piece."""

Pixels: TypeAlias = tuple[int, int]
"""Width and height."""

_MOST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLimit:
    """The most pixels a picture may have: what someone who opens it must hold in memory."""

    max_pixels: int

    def check(self, width_px: int, height_px: int) -> None:
        """Refuse a size that is empty or over the limit.

        Raises:
            PictureRefused: It is.
        """
        if width_px < 1 or height_px < 1:
            raise PictureRefused(f"has no pixels: {width_px}x{height_px}")
        if width_px * height_px > self.max_pixels:
            raise PictureRefused(f"is {width_px}x{height_px}, more than {self.max_pixels:,} pixels")


class Source:
    """The bytes of one picture, as far as they have come.

    Attributes:
        trailing_bytes: How many there were behind its end that do not belong to it.
    """

    __slots__ = ("_at", "_data", "_has_ended", "trailing_bytes")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._has_ended = False
        self.trailing_bytes = 0

    def add(self, data: bytes) -> None:
        """Append what came."""
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    def close(self) -> None:
        """Note that nothing more will come."""
        self._has_ended = True

    def take(self, count: int) -> Steps[bytes]:
        """Return exactly ``count`` bytes.

        Raises:
            PictureRefused: The picture ends before them.
        """
        while len(self._data) - self._at < count:
            if self._has_ended:
                raise PictureRefused("is cut off")
            yield
        start = self._at
        self._at += count
        return self._data[start : self._at]

    def some(self, most: int = _MOST_BYTES, *, least: int = 1) -> Steps[bytes]:
        """Return what is there, ``least`` to ``most`` bytes; fewer only at the end."""
        while len(self._data) - self._at < least and not self._has_ended:
            yield
        start = self._at
        self._at = min(start + most, len(self._data))
        return self._data[start : self._at]

    def put_back(self, data: bytes) -> None:
        """Put back the end of what was taken last."""
        if self._data[self._at - len(data) : self._at] != data:
            raise ValueError("only what was given last is given back")
        self._at -= len(data)

    def skip(self, count: int) -> Steps[None]:
        """Pass over ``count`` bytes.

        Raises:
            PictureRefused: The picture ends before them.
        """
        while count:
            piece = yield from self.some(count)
            if not piece:
                raise PictureRefused("is cut off")
            count -= len(piece)

    def ends_here(self, *, may_be_filled: bool) -> Steps[None]:
        """Go to the end, and count what does not belong to the picture.

        Args:
            may_be_filled: Zeros do, if nothing else follows: some writers fill up with them.
        """
        are_zeros = True
        while piece := (yield from self.some()):
            self.trailing_bytes += len(piece)
            are_zeros = are_zeros and not piece.strip(b"\0")
        if may_be_filled and are_zeros:
            self.trailing_bytes = 0
