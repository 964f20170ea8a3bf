"""What a compressed body stands for, also one that is damaged or is none.

``identity`` is asked for, and some servers and proxies compress all the same, and some of those say
so of what they did not compress. The first bytes say what a body is, and not its name: plain JSON
that is called gzip is plain JSON, and ``deflate`` is written with zlib's frame and without. Read
from what lies on the disk, so that nothing here ever loses what came.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.domain.signature import is_picture
from stage3_plugin.errors import SpoolRefused
from stage3_plugin.files.new_file import replacing
from stage3_plugin.files.on_disk import on_disk

Pieces: TypeAlias = Callable[[], Iterable[bytes]]
"""Begins to yield a body, anew each time."""

_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
_MOST_LAYERS = 4
_PIECE_BYTES = 16 * 1024
"""Bytes inflated at a time: what is left over is copied every time."""
_OPENING_BYTES = 12
_GZIP = b"\x1f\x8b"
_AS_GZIP, _AS_ZLIB, _AS_DEFLATE = 31, 15, -15
_MOST = 1000
"""Members of a gzip file."""
_MOST_EASILY = 8 << 20
_MOST_TIMES = 200
"""A picture in base64 inflates to 1.3 times its length, words to ten times, one of a single colour
that was not compressed to some hundred."""
_PLAIN = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Damaged(Exception):
    """A compressed body has no end, or goes wrong; all that could be had of it was yielded."""


def codings_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return in which ways a body with these headers is compressed; none if one is not known."""
    named = headers.get("content-encoding", "").lower().split(",")
    codings = tuple(coding for name in named if (coding := name.strip()) not in {"", "identity"})
    is_known = len(codings) <= _MOST_LAYERS and _COMPRESSED.issuperset(codings)
    return codings if is_known else ()


def inflate_into(
    write: Callable[[bytes], object],
    pieces: Pieces,
    codings: Sequence[str],
    *,
    most_bytes: int | None,
) -> bool:
    """Write what a body stands for, as far as it can be had; return whether that is all there."""
    for _ in codings:
        pieces = partial(_inflated, pieces)
    inflated_bytes = 0
    try:
        for piece in pieces():
            write(piece)
            inflated_bytes += len(piece)
            if most_bytes is not None and inflated_bytes > most_bytes:
                return False
    except (Damaged, SpoolRefused):
        return False
    return True


def inflate(body: bytes, codings: Sequence[str], *, most_bytes: int) -> bytes:
    """Return what a body stands for: what can be had of it, and little more than so many bytes."""
    pieces: list[bytes] = []
    inflate_into(pieces.append, lambda: [body], codings, most_bytes=most_bytes)
    return b"".join(pieces)


def inflate_file(path: Path, codings: Sequence[str], *, most_bytes: int | None) -> bool:
    """Put what a file stands for in its place; return whether that is all there.

    Raises:
        StorageFailed: The disk did not take it.
    """
    if not codings:
        return True
    with on_disk(path), replacing(path) as file:
        return inflate_into(file.write, partial(pieces_of, path), codings, most_bytes=most_bytes)


def pieces_of(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield a file, or what stands between two places of it."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while piece := file.read(_PIECE_BYTES if end is None else min(_PIECE_BYTES, end - start)):
            start += len(piece)
            yield piece


def _inflated(pieces: Pieces) -> Iterator[bytes]:
    """Yield what one layer stands for; what is not compressed as it says comes as it is."""
    way = _way_of(next(iter(pieces()), b"")[:_OPENING_BYTES])
    came = False
    try:
        for piece in filter(None, _by(way, pieces()) if way else ()):
            came = True
            yield piece
    except Damaged:
        if came:
            raise
    if not came:
        yield from pieces()


def _by(way: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(way)
    received_bytes = inflated_bytes = members = 0
    for data in pieces:
        rest = data
        received_bytes += len(data)
        while rest:
            if inflate.eof:
                rest = rest.lstrip(b"\0")  # filling, as tar leaves it
                if rest and not (way == _AS_GZIP and rest.startswith(_GZIP[: len(rest)])):
                    return  # what follows is looked at no more
                inflate = zlib.decompressobj(way) if rest else inflate
                members += 1
                continue
            out, is_damaged = _step(inflate.decompress, inflate.copy().decompress, rest)
            if way == _AS_DEFLATE and out and not inflated_bytes and not _is_sensible(out):
                raise Damaged
            inflated_bytes += len(out)
            if inflated_bytes > _MOST_EASILY + _MOST_TIMES * received_bytes or members > _MOST:
                raise SpoolRefused(f"the answer inflates more than {_MOST_TIMES} times")
            yield out
            if is_damaged:
                raise Damaged
            rest = inflate.unconsumed_tail or inflate.unused_data
    if not inflate.eof:
        raise Damaged


def _step(
    decompress: Callable[[bytes, int], bytes], before: Callable[[bytes], bytes], data: bytes
) -> tuple[bytes, bool]:
    """Inflate the beginning of some data; return also whether it goes wrong there."""
    try:
        return decompress(data, _PIECE_BYTES), False
    except zlib.error:
        return b"".join(_sound(before, data)), True


def _sound(inflate: Callable[[bytes], bytes], data: bytes) -> Iterator[bytes]:
    """Inflate what stands before a byte that goes wrong."""
    for at in range(len(data)):
        try:
            yield inflate(data[at : at + 1])
        except zlib.error:
            return


def _way_of(opening: bytes) -> int:
    """Return how a body is compressed, by how it begins; 0 if it is not.

    No deflated body begins as zlib's frame does: it would be stored, with filling that is not 0.
    """
    if opening.startswith(_GZIP):
        return _AS_GZIP
    if not opening or _is_sensible(opening):
        return 0
    is_zlib = opening[0] & 0x0F == 8 and int.from_bytes(opening[:2]) % 31 == 0
    return _AS_ZLIB if is_zlib else _AS_DEFLATE


def _is_sensible(opening: bytes) -> bool:
    """Return whether bytes begin as an answer would: a picture, or signs that can be typed."""
    text = opening.removeprefix(_BYTE_ORDER_MARK)[:_OPENING_BYTES]
    return is_picture(opening) or _PLAIN.issuperset(text)
