"""The faster library against zlib: it may take less time, but it must accept nothing more."""

import re
import sys
import zlib
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stage3_plugin.storage.inspect import inflating

PIECE_BYTES = 1 << 10
ZLIB = cast("inflating.Library", zlib)

UNUSED_CODES = bytes.fromhex(
    "181905c1010100000082a0add8ff0fd168b5369059ab35cacc62adda5a9a34ad66b6d2a40cb2586c1d8dd12645"
)
"""A stream whose code of distances is not complete, and never needs to be."""


INCOMPLETE = re.compile("invalid (distances|literal/lengths|code lengths) set")
"""What zlib says of Huffman codes that leave bits without a meaning, and of ones that clash."""


def inflated(library: inflating.Library, stream: bytes) -> bytes | str:
    """Inflate a whole stream as the scanlines do, or tell why it is not one."""
    inflater = library.decompressobj()
    lines: list[bytes] = []
    data = stream
    try:
        while not lines or len(lines[-1]) == PIECE_BYTES:
            lines.append(inflater.decompress(data, PIECE_BYTES))
            data = inflater.unconsumed_tail
    except library.error as error:
        return str(error)
    return b"".join(lines) if inflater.eof and not inflater.unused_data else "not whole"


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Compress something in any way, and damage it in any way, or not at all."""
    random = Random(draw(st.integers(0, 2**32)))
    raw = bytes(
        random.choices(
            range(draw(st.sampled_from([1, 3, 256]))), k=random.choice([0, 9, 999, 5000])
        )
    )
    window, strategy = draw(st.sampled_from([9, 12, 15])), draw(st.integers(0, 4))
    compressor = zlib.compressobj(draw(st.sampled_from([0, 1, 6, 9])), 8, window, 8, strategy)
    stream = bytearray(compressor.compress(raw) + compressor.flush())
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, min(len(stream) - 1, draw(st.sampled_from([1, 12, 9999])))))
        stream[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        stream = stream or bytearray(b"x")
    return bytes(stream)


@given(stream=streams())
@example(stream=zlib.compress(bytes(100_000)))
@example(stream=UNUSED_CODES)
def test_what_one_library_accepts_the_other_accepts_to_the_same_bytes(stream: bytes) -> None:
    """A picture is as good wherever it is checked, but for codes that are never used."""
    faster = pytest.importorskip("isal.isal_zlib")
    expected, found = inflated(ZLIB, stream), inflated(faster, stream)

    if isinstance(expected, bytes):
        assert found == expected
    elif isinstance(found, bytes):
        assert INCOMPLETE.search(expected)
        assert zlib.adler32(found) == int.from_bytes(stream[-4:])


def test_the_faster_library_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the standard one where it is not: everything works without the extra."""
    faster = SimpleNamespace(crc32=zlib.crc32)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", faster)
    assert inflating.fastest() is faster

    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert inflating.fastest() is zlib
