"""Which library inflates and sums: isal where it is installed, else the standard one.

isal takes a third of zlib's time, and inflating is most of what checking a PNG costs. It is as
strict but for one thing, found by comparing them: Huffman codes that leave some bits without a
meaning are accepted if these bits never come. No encoder writes such codes, and the checksum over
the pixels is right all the same.
"""

from __future__ import annotations

import importlib
import zlib
from typing import Protocol, cast


class Inflater(Protocol):
    """What ``zlib.decompressobj()`` gives."""

    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Library(Protocol):
    """What this room needs of :mod:`zlib` and of what can stand in for it."""

    @property
    def error(self) -> type[Exception]: ...

    def crc32(self, data: bytes, value: int = 0, /) -> int: ...

    def decompressobj(self) -> Inflater: ...


def fastest() -> Library:
    """Give the fastest library at hand."""
    try:
        return cast("Library", importlib.import_module("isal.isal_zlib"))
    except ImportError:
        return cast("Library", zlib)


_fastest = fastest()
crc32 = _fastest.crc32
inflater = _fastest.decompressobj
InflateError = _fastest.error
"""What an inflater raises if the stream is damaged."""
