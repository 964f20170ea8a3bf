"""isal against zlib: it may take less time, but it must accept nothing more."""

import re
import zlib
from random import Random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from stage3_plugin.storage.inspect.scanlines import ISAL

PIECE_BYTES = 1 << 10

UNUSED_CODES = bytes.fromhex(
    "181905c1010100000082a0add8ff0fd168b5369059ab35cacc62adda5a9a34ad66b6d2a40cb2586c1d8dd12645"
)
"""A stream whose code of distances is not complete, and never needs to be."""


INCOMPLETE = re.compile("invalid (distances|literal/lengths|code lengths) set")
"""What zlib says of Huffman codes that leave bits without a meaning, and of ones that clash."""


def inflated(library: Any, stream: bytes) -> bytes | str:
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
def test_what_zlib_accepts_isal_accepts_to_the_same_bytes(stream: bytes) -> None:
    """No more and no less is a whole picture, but for codes that are never used."""
    expected, found = inflated(zlib, stream), inflated(ISAL, stream)

    if isinstance(expected, bytes):
        assert found == expected
    elif isinstance(found, bytes):
        assert INCOMPLETE.search(expected)
        assert zlib.adler32(found) == int.from_bytes(stream[-4:])
