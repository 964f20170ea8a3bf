"""What makes a WebP one: a RIFF container as long as it says, holding one still picture.

Follows RFC 9649. WebP has no checksums, so a changed byte within the picture cannot be seen; a cut
can. Behind the end may stand zeros. Animations are refused: they have no still picture to take.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.inspect.source import PixelLimit, Pixels, Source, Steps

_ANIMATED = 0b0000_0010
_PICTURES = frozenset({b"VP8 ", b"VP8L"})


@dataclass(slots=True)
class _Seen:
    """What has been read so far."""

    canvas_px: tuple[int, int] | None = None
    size_px: tuple[int, int] | None = None


def walk_webp(source: Source, limit: PixelLimit) -> Steps[Pixels]:
    """Go through a WebP from its RIFF header to its last byte.

    Raises:
        PictureRefused: It is not whole, not legal, an animation, or over the limit.
    """
    container = yield from source.take(12)
    rest = int.from_bytes(container[4:8], "little") - 4
    seen = _Seen()
    is_first = True
    while rest > 0:
        head = yield from source.take(8)
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        rest -= 8 + length + length % 2
        # some writers leave the last byte of padding out of the container's length
        if rest < -(length % 2):
            raise PictureRefused("has a chunk that is longer than the file says it is")
        used = yield from _read_chunk(source, kind, length, seen, is_first=is_first)
        if seen.size_px is not None:
            limit.check(*seen.size_px)
        yield from source.skip(length - used + (length % 2 if rest >= 0 else 0))
        is_first = False
    if seen.size_px is None:
        raise PictureRefused("has no pixels")
    if seen.canvas_px not in {None, seen.size_px}:
        raise PictureRefused("has a picture of another size than its canvas")
    yield from source.ends_here(may_be_filled=True)
    return seen.size_px


def _read_chunk(
    source: Source, kind: bytes, length: int, seen: _Seen, *, is_first: bool
) -> Steps[int]:
    """Read what matters of a chunk; return the number of bytes read of it."""
    if is_first and kind not in {*_PICTURES, b"VP8X"}:
        raise PictureRefused("does not begin with a picture")
    if kind in _PICTURES and seen.size_px is not None:
        raise PictureRefused("holds two pictures")
    needed = {b"VP8 ": 10, b"VP8L": 5, b"VP8X": 10 if is_first else 0}.get(kind, 0)
    if length < needed:
        raise PictureRefused(f"has a chunk {kind.decode().strip()} of {length} bytes")
    data = yield from source.take(needed)
    if kind == b"VP8 ":
        seen.size_px = _lossy_size(data, length)
    elif kind == b"VP8L":
        seen.size_px = _lossless_size(data)
    elif kind == b"VP8X" and is_first:
        seen.canvas_px = _canvas(data)
    elif kind in {b"ANIM", b"ANMF"}:
        raise PictureRefused("is an animation")
    return needed


def _canvas(data: bytes) -> tuple[int, int]:
    if data[0] & _ANIMATED:
        raise PictureRefused("is an animation")
    return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")


def _lossy_size(data: bytes, length: int) -> tuple[int, int]:
    """Read a VP8 frame header (RFC 6386, section 9.1)."""
    tag = int.from_bytes(data[:3], "little")
    is_key_frame, version, is_shown = not tag & 1, tag >> 1 & 7, tag >> 4 & 1
    if not is_key_frame or version > 3 or not is_shown or data[3:6] != b"\x9d\x01\x2a":
        raise PictureRefused("has a broken picture header")
    if (tag >> 5) + 10 > length:
        raise PictureRefused("lacks pixels: its first partition is longer than its chunk")
    width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    return width & 0x3FFF, height & 0x3FFF


def _lossless_size(data: bytes) -> tuple[int, int]:
    """Read a VP8L header (RFC 9649, section 3.4)."""
    bits = int.from_bytes(data[1:5], "little")
    if data[0] != 0x2F or bits >> 29:
        raise PictureRefused("has a broken picture header")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
