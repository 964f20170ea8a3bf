"""What inflates and sums: isal, with the types that its own leave unknown.

isal takes a third of zlib's time, and inflating is most of what checking a PNG costs. It is as
strict but for one thing, found by comparing them: Huffman codes that leave some bits without a
meaning are accepted if these bits never come. No encoder writes such codes, and the checksum over
the pixels is right all the same.
"""

from __future__ import annotations

from typing import Protocol, cast

from isal import isal_zlib


class Inflater(Protocol):
    """What ``decompressobj()`` returns."""

    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Library(Protocol):
    """What is needed of isal; the standard library's :mod:`zlib` has the same."""

    @property
    def error(self) -> type[Exception]: ...

    def crc32(self, data: bytes, value: int = 0, /) -> int: ...

    def decompressobj(self) -> Inflater: ...


_isal = cast("Library", isal_zlib)
crc32 = _isal.crc32
inflater = _isal.decompressobj
InflateError = _isal.error
"""What an inflater raises if the stream is damaged."""
