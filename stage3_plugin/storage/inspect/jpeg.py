"""What makes a JPEG one: its markers in order, a frame, a scan of every component, and its end.

Follows ITU-T T.81, annex B. JPEG has no checksums, so a changed byte within a scan cannot be seen;
a cut can, and so can restart markers out of order. Behind the end may stand zeros, as some writers
leave them, or, if the file announces it (``APP2 MPF``, CIPA DC-007), further pictures. Anything
else does not belong to it: it was not asked for, and no viewer shows it.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.inspect.source import PixelLimit, Pixels, Source, Steps

_END, _SCAN, _QUANTISATION, _HUFFMAN, _LINES, _APP2 = 0xD9, 0xDA, 0xDB, 0xC4, 0xDC, 0xE2
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; all with Huffman codes
_OTHER_FRAMES = frozenset({*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC})
_MISPLACED = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_IN_SCAN = re.compile(rb"\xff([\x01-\xfe])")  # FF 00 is a data byte, FF FF is filling


@dataclass(slots=True)
class _Seen:
    """What has been read so far."""

    size_px: tuple[int, int] | None = None
    components: AbstractSet[int] = frozenset()
    scanned: AbstractSet[int] = frozenset()
    markers: AbstractSet[int] = frozenset()
    announces_more: bool = False


def walk_jpeg(source: Source, limit: PixelLimit) -> Steps[Pixels]:
    """Go through a JPEG from its first marker to its last byte.

    Raises:
        PictureRefused: It is not whole, not legal, of a rare kind, or over the limit.
    """
    yield from source.take(2)
    seen = _Seen()
    while (marker := (yield from _next_marker(source))) != _END:
        if marker in _MISPLACED:
            raise PictureRefused(f"has a misplaced marker {marker:02X}")
        length = int.from_bytes((yield from source.take(2))) - 2
        if length < 0:
            raise PictureRefused(f"has a segment {marker:02X} without a length")
        yield from _segment(source, marker, length, seen, limit)
        seen.markers |= {marker}
    if seen.size_px is None or seen.scanned != seen.components:
        raise PictureRefused("ends before all of it was shown")
    if not seen.announces_more:
        yield from source.ends_here(may_be_filled=True)
    while (yield from source.some()):
        pass
    return seen.size_px


def _next_marker(source: Source) -> Steps[int]:
    if (yield from source.take(1)) != b"\xff":
        raise PictureRefused("has something between its segments")
    code = 0xFF
    while code == 0xFF:
        code = (yield from source.take(1))[0]
    return code


def _segment(
    source: Source, marker: int, length: int, seen: _Seen, limit: PixelLimit
) -> Steps[None]:
    if marker in _OTHER_FRAMES or marker == _LINES:
        raise PictureRefused("is a lossless, hierarchical or arithmetic JPEG, which few can show")
    if marker in _FRAMES:
        _read_frame((yield from source.take(length)), seen)
        assert seen.size_px is not None
        limit.check(*seen.size_px)
    elif marker == _SCAN:
        _read_scan((yield from source.take(length)), seen)
        yield from _pass_scan(source)
    elif marker == _APP2 and length >= 4:
        seen.announces_more |= (yield from source.take(4)) == b"MPF\0"
        yield from source.skip(length - 4)
    else:
        yield from source.skip(length)


def _read_frame(data: bytes, seen: _Seen) -> None:
    """Read the frame header (B.2.2)."""
    if seen.size_px is not None:
        raise PictureRefused("has two frames")
    if len(data) < 6 or data[0] != 8 or data[5] not in {1, 3, 4} or len(data) != 6 + 3 * data[5]:
        raise PictureRefused("has a broken frame header")
    components = frozenset(data[6::3])
    factors = [factor for both in data[7::3] for factor in divmod(both, 16)]
    if len(components) != data[5] or not all(1 <= factor <= 4 for factor in factors):
        raise PictureRefused("has a broken frame header")
    seen.size_px = (int.from_bytes(data[3:5]), int.from_bytes(data[1:3]))
    seen.components = components


def _read_scan(data: bytes, seen: _Seen) -> None:
    """Read the scan header (B.2.3)."""
    if seen.size_px is None or not {_QUANTISATION, _HUFFMAN} <= seen.markers:
        raise PictureRefused("has a scan before its frame or its tables")
    if not data or not 1 <= data[0] <= 4 or len(data) != 4 + 2 * data[0]:
        raise PictureRefused("has a broken scan header")
    components = frozenset(data[1:-3:2])
    if len(components) != data[0] or not components <= seen.components:
        raise PictureRefused("has a scan of something that is not in it")
    seen.scanned |= components


def _pass_scan(source: Source) -> Steps[None]:
    """Pass over coded pixels and stop at the marker behind them."""
    restarts = 0
    is_empty = True
    while True:
        piece = yield from source.some(least=2)
        if len(piece) < 2:
            raise PictureRefused("is cut off in its pixels")
        for match in _IN_SCAN.finditer(piece):
            code = match[1][0]
            if not 0xD0 <= code <= 0xD7:
                if is_empty and match.start() == 0:
                    raise PictureRefused("has a scan without pixels")
                source.put_back(piece[match.start() :])
                return
            if code - 0xD0 != restarts % 8:
                raise PictureRefused("lacks pixels: its restart markers are out of order")
            restarts += 1
        is_empty = False
        if piece.endswith(b"\xff"):
            source.put_back(b"\xff")
