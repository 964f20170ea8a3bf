"""Whether the compressed pixels of a PNG are exactly those its header promises.

They are inflated 256 KiB at a time and thrown away: what counts is that the stream is sound to its
own checksum, has not one byte too few or too many, and that each line names a filter there is.
A header that promises little cannot be made to inflate much.

isal takes a third of zlib's time, and inflating is most of what checking a PNG costs. It is as
strict but for one thing, found by comparing them: Huffman codes that leave some bits without a
meaning are accepted if these bits never come. No encoder writes such codes, and the checksum over
the pixels is right all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isal import isal_zlib

from stage3_plugin.errors import PictureRefused

_PIECE_BYTES = 1 << 18
_LAST_FILTER = 4
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""First column, first row, column step, row step of each pass (PNG specification, section 8.1)."""


ISAL: Any = isal_zlib
"""Its own types leave most unknown; it has what the standard library's :mod:`zlib` has."""

crc32: Callable[..., int] = ISAL.crc32


class Scanlines:
    """The lines of one picture, counted while they are inflated."""

    def __init__(
        self, width_px: int, height_px: int, bits_per_pixel: int, *, is_interlaced: bool
    ) -> None:
        passes = _ADAM7 if is_interlaced else ((0, 0, 1, 1),)
        self._passes: list[tuple[int, int]] = []
        """Bytes of a line, filter included, and bytes in all; the next pass is the last item."""
        for first_column, first_row, column_step, row_step in reversed(passes):
            columns = -(-(width_px - first_column) // column_step)
            rows = -(-(height_px - first_row) // row_step)
            if columns > 0 and rows > 0:
                line_bytes = 1 + (columns * bits_per_pixel + 7) // 8
                self._passes.append((line_bytes, line_bytes * rows))
        self._done_bytes = 0
        self._inflate = ISAL.decompressobj()

    def add(self, data: bytes) -> None:
        """Inflate more; ``data`` is not empty.

        Raises:
            PictureRefused: It is damaged or more than the header promises.
        """
        if self._inflate.eof:
            raise PictureRefused("has bytes behind its compressed pixels")
        is_full = True
        while is_full:
            try:
                lines = self._inflate.decompress(data, _PIECE_BYTES)
            except ISAL.error as error:
                raise PictureRefused("has damaged pixels") from error
            self._count(lines)
            data = self._inflate.unconsumed_tail
            is_full = len(lines) == _PIECE_BYTES
        if self._inflate.unused_data:
            raise PictureRefused("has bytes behind its compressed pixels")

    def _count(self, lines: bytes) -> None:
        position = 0
        while position < len(lines):
            if not self._passes:
                raise PictureRefused("has more pixels than its header says")
            line_bytes, pass_bytes = self._passes[-1]
            count = min(pass_bytes - self._done_bytes, len(lines) - position)
            first_filter = position + -self._done_bytes % line_bytes
            filters = lines[first_filter : position + count : line_bytes]
            if filters and max(filters) > _LAST_FILTER:
                raise PictureRefused("has a line with an unknown filter")
            position += count
            self._done_bytes += count
            if self._done_bytes == pass_bytes:
                self._passes.pop()
                self._done_bytes = 0

    def end(self) -> None:
        """Take the end of the compressed data.

        Raises:
            PictureRefused: Pixels or the checksum are lacking.
        """
        if self._passes or not self._inflate.eof:
            raise PictureRefused("has fewer pixels than its header says")
