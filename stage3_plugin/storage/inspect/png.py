"""What makes a PNG one: its chunks, their checksums and their order, and every pixel in place.

Follows the PNG specification, third edition (https://www.w3.org/TR/png-3/), sections 5, 9 to 11.
A chunk this module does not know is passed over after its checksum, C2PA's ``caBX`` among them, and
the frames of an animation: a viewer that cannot show these shows the still picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.inspect.scanlines import Scanlines, crc32
from stage3_plugin.storage.inspect.source import PixelLimit, Pixels, Source, Steps

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bits per sample, by colour type (section 11.2.1)."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_LONGEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields of ``IHDR``."""

    width_px: int
    height_px: int
    depth: int
    colour_type: int
    is_interlaced: bool

    @property
    def bits_per_pixel(self) -> int:
        return self.depth * _CHANNELS[self.colour_type]


def walk_png(source: Source, limit: PixelLimit) -> Steps[Pixels]:
    """Go through a PNG from its signature to its last byte.

    Raises:
        PictureRefused: It is not whole, not legal, or over the limit.
    """
    yield from source.take(8)
    header = yield from _read_header(source)
    limit.check(header.width_px, header.height_px)
    chunks = _Chunks(header)
    kind = b""
    while kind != b"IEND":
        length, kind = yield from _read_chunk_head(source)
        chunks.begin(kind, length)
        checksum = crc32(kind)
        while length:
            piece = yield from source.some(length)
            if not piece:
                raise PictureRefused(f"is cut off in its chunk {_name(kind)}")
            checksum = crc32(piece, checksum)
            if kind == b"IDAT":
                chunks.add_pixels(piece)
            length -= len(piece)
        yield from _check(source, kind, checksum)
    yield from source.ends_here(may_be_filled=False)
    return header.width_px, header.height_px


def _name(kind: bytes) -> str:
    return kind.decode("ascii")


def _read_chunk_head(source: Source) -> Steps[tuple[int, bytes]]:
    head = yield from source.take(8)
    length, kind = int.from_bytes(head[:4]), head[4:]
    if not kind.isalpha() or length > _LONGEST:
        raise PictureRefused("holds something that is not a chunk")
    return length, kind


def _check(source: Source, kind: bytes, checksum: int) -> Steps[None]:
    stored = yield from source.take(4)
    if int.from_bytes(stored) != checksum:
        raise PictureRefused(f"is damaged: wrong checksum of its chunk {_name(kind)}")


def _read_header(source: Source) -> Steps[Header]:
    length, kind = yield from _read_chunk_head(source)
    if kind != b"IHDR" or length != 13:
        raise PictureRefused("does not begin with IHDR")
    data = yield from source.take(13)
    yield from _check(source, kind, crc32(data, crc32(kind)))
    depth, colour_type, compression, filtering, interlacing = data[8:]
    if depth not in _DEPTHS.get(colour_type, ()):
        raise PictureRefused(f"has colour type {colour_type} with {depth} bits")
    if compression or filtering or interlacing > 1:
        raise PictureRefused("uses a method that PNG does not have")
    return Header(
        width_px=int.from_bytes(data[:4]),
        height_px=int.from_bytes(data[4:8]),
        depth=depth,
        colour_type=colour_type,
        is_interlaced=interlacing == 1,
    )


class _Chunks:
    """The rules on which chunk may come when, and what is in the ones that matter."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._scanlines = Scanlines(
            header.width_px,
            header.height_px,
            header.bits_per_pixel,
            is_interlaced=header.is_interlaced,
        )
        self._has_palette = False
        self._pixels_began = False
        self._last = b"IHDR"

    def begin(self, kind: bytes, length: int) -> None:
        if self._last == b"IDAT" and kind != b"IDAT":
            self._scanlines.end()
        if kind == b"IDAT":
            self._begin_pixels()
        elif kind == b"PLTE":
            self._begin_palette(length)
        elif kind == b"IEND":
            self._begin_end(length)
        elif kind[:1].isupper():  # critical: no viewer can show the picture without knowing it
            raise PictureRefused(f"has a second or unknown critical chunk {_name(kind)}")
        self._last = kind

    def _begin_pixels(self) -> None:
        if self._pixels_began and self._last != b"IDAT":
            raise PictureRefused("has its pixels in two places")
        if self._header.colour_type == _PALETTE and not self._has_palette:
            raise PictureRefused("has no palette")
        self._pixels_began = True

    def _begin_palette(self, length: int) -> None:
        if self._has_palette or self._pixels_began:
            raise PictureRefused("has a palette where none may be")
        if length % 3 or not 3 <= length <= 3 * 256:
            raise PictureRefused(f"has a palette of {length} bytes")
        self._has_palette = True

    def _begin_end(self, length: int) -> None:
        if length:
            raise PictureRefused(f"has a chunk IEND of {length} bytes")
        if not self._pixels_began:
            raise PictureRefused("has no pixels")

    def add_pixels(self, piece: bytes) -> None:
        self._scanlines.add(piece)
