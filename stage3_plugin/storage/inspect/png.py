"""What makes a PNG one: its chunks, their checksums and their order, and every pixel in place.

Follows the PNG specification, third edition (https://www.w3.org/TR/png-3/), sections 5, 9 to 11.
A chunk this module does not know is passed over after its checksum, C2PA's ``caBX`` among them. An
animation is taken for its still picture, but its own structure must be right.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.inspect.inflating import crc32
from stage3_plugin.storage.inspect.scanlines import Scanlines
from stage3_plugin.storage.inspect.source import PixelLimit, Pixels, Source, Steps

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bits per sample, by colour type (section 11.2.1)."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_LONGEST = (1 << 31) - 1
_LENGTHS = {b"IEND": 0, b"acTL": 8, b"fcTL": 26}
_KEPT = frozenset({b"acTL", b"fcTL"})


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
            chunks.add(kind, piece)
            length -= len(piece)
        yield from _check(source, kind, checksum)
        chunks.end(kind)
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
        self._animation = _Animation(header)
        self._has_palette = False
        self._pixels_began = False
        self._last = b"IHDR"
        self._data = b""

    def begin(self, kind: bytes, length: int) -> None:
        if self._last == b"IDAT" and kind != b"IDAT":
            self._scanlines.end()
        if length != _LENGTHS.get(kind, length):
            raise PictureRefused(f"has a chunk {_name(kind)} of {length} bytes")
        if kind == b"IDAT":
            self._begin_pixels()
        elif kind == b"PLTE":
            self._begin_palette(length)
        elif kind == b"IEND":
            if not self._pixels_began:
                raise PictureRefused("has no pixels")
            self._animation.end()
        elif kind[:1].isupper():  # critical: nobody can show the picture without knowing it
            raise PictureRefused(f"has a second or unknown critical chunk {_name(kind)}")
        elif kind == b"fdAT":
            self._animation.begin_data(length)
        self._last = kind
        self._data = b""

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

    def add(self, kind: bytes, piece: bytes) -> None:
        if kind == b"IDAT":
            self._scanlines.add(piece)
        elif kind in _KEPT:
            self._data += piece
        elif kind == b"fdAT" and len(self._data) < 4:
            self._data += piece[: 4 - len(self._data)]

    def end(self, kind: bytes) -> None:
        if kind == b"acTL":
            self._animation.begin(self._data, is_early=not self._pixels_began)
        elif kind == b"fcTL":
            self._animation.add_frame(self._data, is_still=not self._pixels_began)
        elif kind == b"fdAT":
            self._animation.add_data(self._data)


class _Animation:
    """The rules of section 11.3.6 on animations; without ``acTL`` there is none to check."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._frames: int | None = None
        self._seen = 0
        self._sequence = 0
        self._lacks_data = False

    def begin(self, data: bytes, *, is_early: bool) -> None:
        frames = int.from_bytes(data[:4])
        if self._frames is not None or self._seen or not is_early or not 1 <= frames <= _LONGEST:
            raise PictureRefused("is a broken animation")
        self._frames = frames

    def add_frame(self, data: bytes, *, is_still: bool) -> None:
        if self._frames is None:
            return
        width_px, height_px, x_px, y_px = (
            int.from_bytes(data[start : start + 4]) for start in (4, 8, 12, 16)
        )
        is_inside = (
            1 <= width_px <= self._header.width_px - x_px
            and 1 <= height_px <= self._header.height_px - y_px
        )
        is_whole = width_px == self._header.width_px and height_px == self._header.height_px
        if not is_inside or self._lacks_data or (is_still and (self._seen or not is_whole)):
            raise PictureRefused("is an animation with a broken frame")
        self._count(data[:4])
        self._seen += 1
        self._lacks_data = not is_still

    def begin_data(self, length: int) -> None:
        if self._frames is not None and (length < 4 or not self._seen):
            raise PictureRefused("is a broken animation")

    def add_data(self, sequence: bytes) -> None:
        if self._frames is None:
            return
        self._count(sequence)
        self._lacks_data = False

    def _count(self, sequence: bytes) -> None:
        if int.from_bytes(sequence) != self._sequence:
            raise PictureRefused("is an animation whose frames are out of order")
        self._sequence += 1

    def end(self) -> None:
        if self._frames is not None and (self._seen != self._frames or self._lacks_data):
            raise PictureRefused("is an animation that lacks frames")
