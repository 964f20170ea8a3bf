"""Lines on disk, found again by where they were put; what the disk does not take is remembered.

Apart from what the lines say. The lines of one place are a chain: each says where the one before it
begins, so that memory keeps eight bytes a place, however many lines it has. The file is written
without a buffer: one that could not be emptied would fail again at the next line, at every seek,
and once more when the file is closed.
"""

from __future__ import annotations

from array import array
from typing import BinaryIO

_NOWHERE = (1 << 64) - 1
_PLACE_BYTES = 8
_LENGTH_BYTES = 4


class Spill:
    """Some lines for each position, in whatever order they come.

    Args:
        file: Empty, open for reading and writing, without a buffer.
        positions: How many positions there are.
    """

    def __init__(self, file: BinaryIO, positions: int) -> None:
        self._file = file
        self._end = 0
        self._places = array("Q", [_NOWHERE]) * positions
        self._remembered: dict[int, list[bytes]] = {}

    def add(self) -> int:
        """Make room for one more position, and return it."""
        self._places.append(_NOWHERE)
        return len(self._places) - 1

    def put(self, position: int, line: bytes) -> None:
        """Keep a line; a disk that does not take it costs memory, and no line."""
        before = self._places[position].to_bytes(_PLACE_BYTES, "big")
        record = before + len(line).to_bytes(_LENGTH_BYTES, "big") + line
        try:
            self._file.seek(self._end)
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._remembered.setdefault(position, []).append(line)
        else:
            self._places[position] = self._end
            self._end += len(record)

    def get(self, position: int) -> list[bytes]:
        """Return the lines at a position, those that the disk took first, in their order.

        Raises:
            OSError: The disk does not return them.
        """
        lines: list[bytes] = []
        place = self._places[position]
        while place != _NOWHERE:
            self._file.seek(place)
            place = int.from_bytes(self._read(_PLACE_BYTES), "big")
            lines.append(self._read(int.from_bytes(self._read(_LENGTH_BYTES), "big")))
        return lines[::-1] + self._remembered.get(position, [])

    def _read(self, length: int) -> bytes:
        read = bytearray()
        while len(read) < length:
            piece = self._file.read(length - len(read))
            if not piece:
                raise OSError("the file of outcomes is shorter than it was")
            read += piece
        return bytes(read)
