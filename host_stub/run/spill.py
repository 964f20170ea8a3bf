"""Lines on disk, found again by where they were put; what the disk does not take is remembered.

Apart from what the lines say. The file is written without a buffer: one that could not be emptied
would fail again at the next line, at every seek, and once more when the file is closed.
"""

from __future__ import annotations

from array import array
from typing import BinaryIO

_NOWHERE = (1 << 64) - 1
_LENGTH_BYTES = 4


class Spill:
    """One line for each position, in whatever order they come.

    Args:
        file: Empty, open for reading and writing, without a buffer.
        positions: How many lines there may be.
    """

    def __init__(self, file: BinaryIO, positions: int) -> None:
        self._file = file
        self._end = 0
        self._places = array("Q", [_NOWHERE]) * positions
        self._remembered: dict[int, bytes] = {}

    def __contains__(self, position: int) -> bool:
        return self._places[position] != _NOWHERE

    def add(self) -> int:
        """Make room for one more line, and return its position."""
        self._places.append(_NOWHERE)
        return len(self._places) - 1

    def put(self, position: int, line: bytes) -> None:
        """Keep a line; a disk that does not take it costs memory, and no line."""
        self._places[position] = self._end
        record = len(line).to_bytes(_LENGTH_BYTES, "big") + line
        try:
            self._file.seek(self._end)
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._remembered[position] = line
        else:
            self._end += len(record)

    def get(self, position: int) -> bytes | None:
        """Return the line at a position, or ``None`` if none was put there.

        Raises:
            OSError: The disk does not return it.
        """
        if position not in self:
            return None
        remembered = self._remembered.get(position)
        if remembered is not None:
            return remembered
        self._file.seek(self._places[position])
        return self._read(int.from_bytes(self._read(_LENGTH_BYTES), "big"))

    def _read(self, length: int) -> bytes:
        read = bytearray()
        while len(read) < length:
            piece = self._file.read(length - len(read))
            if not piece:
                raise OSError("the file of outcomes is shorter than it was")
            read += piece
        return bytes(read)
