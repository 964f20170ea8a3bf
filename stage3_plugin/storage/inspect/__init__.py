"""Whether bytes are a real picture, by their structure alone.

A walker per format goes over the bytes once, in whatever pieces they come, and refuses at the first
wrong one. Nothing is changed: of a picture that goes on behind its end, what belongs to it is
measured. Apart from the store because it is pure but for the functions that read a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO

from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.signature import (
    OPENING_BYTES,
    is_picture,
    media_type_of,
    name_of,
    nothing_before,
)
from stage3_plugin.errors import PictureRefused, StorageFailed
from stage3_plugin.storage.inspect.jpeg import walk_jpeg
from stage3_plugin.storage.inspect.png import walk_png
from stage3_plugin.storage.inspect.source import PixelLimit, Pixels, Source, Steps
from stage3_plugin.storage.inspect.webp import walk_webp

__all__ = ["InspectedFile", "Inspector", "inspect_file", "inspect_open", "is_whole_picture"]

_PIECE_BYTES = 256 * 1024
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}
_WALKERS = {"image/png": walk_png, "image/jpeg": walk_jpeg, "image/webp": walk_webp}


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedFile:
    """A file that was found to hold a picture.

    Attributes:
        picture: The picture alone.
        leading_bytes: How many stand before it and mean nothing.
        trailing_bytes: How many stand behind it that do not belong to it.
    """

    picture: Picture
    leading_bytes: int = 0
    trailing_bytes: int = 0


class Inspector:
    """Feed it a picture in any pieces.

    Args:
        max_pixels: More than these are refused, before any of them is inflated.
        may_go_on: Accept a picture with something behind its end.
    """

    def __init__(self, *, max_pixels: int, may_go_on: bool = False) -> None:
        self._source = Source()
        self._may_go_on = may_go_on
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._seen: tuple[str, Pixels] | None = None
        self._steps = _walk(self._source, PixelLimit(max_pixels=max_pixels))
        next(self._steps)

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            PictureRefused: They show that it is not an acceptable picture.
        """
        if data:
            self._source.add(data)
            self._go_on()
            self._digest.update(data)
            self._size_bytes += len(data)

    @property
    def trailing_bytes(self) -> int:
        """Return how many bytes behind the picture's end do not belong to it."""
        return self._source.trailing_bytes

    def finish(self) -> Picture:
        """Take the end of the bytes.

        Hash and length are of all of them, of what does not belong to the picture, too.

        Raises:
            PictureRefused: The picture is not whole, or goes on where it may not.
        """
        self._source.close()
        self._go_on()
        assert self._seen is not None
        media_type, (width_px, height_px) = self._seen
        if self.trailing_bytes and not self._may_go_on:
            format_name = _FORMATS[media_type]
            raise PictureRefused(f"the {format_name} is followed by bytes that do not belong to it")
        return Picture(
            sha256=self._digest.hexdigest(),
            media_type=media_type,
            width_px=width_px,
            height_px=height_px,
            size_bytes=self._size_bytes,
        )

    def _go_on(self) -> None:
        try:
            next(self._steps)
        except StopIteration as end:
            self._seen = end.value


def _walk(source: Source, limit: PixelLimit) -> Steps[tuple[str, Pixels]]:
    opening = yield from source.some(OPENING_BYTES, least=OPENING_BYTES)
    source.put_back(opening)
    media_type = media_type_of(opening)
    if media_type is None:
        raise PictureRefused(f"is {name_of(opening)}, not a PNG, JPEG or WebP picture")
    try:
        return media_type, (yield from _WALKERS[media_type](source, limit))
    except PictureRefused as refused:
        raise PictureRefused(f"the {_FORMATS[media_type]} {refused.reason}") from None


def inspect_file(path: Path, *, max_pixels: int, may_go_on: bool = False) -> InspectedFile:
    """Inspect a file and hash it in one pass of 256 KiB pieces; blocks, so call it in a thread.

    Args:
        path: The file.
        max_pixels: A larger picture is refused.
        may_go_on: What stands behind the picture's end, and blanks before its beginning, are
            measured, and not refused. Then the hash and the length are those of the picture alone.

    Raises:
        PictureRefused: It is not an acceptable picture.
        StorageFailed: It cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return inspect_open(file, max_pixels=max_pixels, may_go_on=may_go_on)
    except OSError as error:
        raise StorageFailed(path, error, reading=True) from error


def inspect_open(file: BinaryIO, *, max_pixels: int, may_go_on: bool = False) -> InspectedFile:
    """Inspect an open file as :func:`inspect_file` does.

    Raises:
        PictureRefused: It is not an acceptable picture.
        OSError: It cannot be read.
    """
    inspector = Inspector(max_pixels=max_pixels, may_go_on=may_go_on)
    leading_bytes = file.seek(start_of_picture(file) if may_go_on else 0)
    while piece := file.read(_PIECE_BYTES):
        inspector.feed(piece)
    picture = inspector.finish()
    trailing_bytes = inspector.trailing_bytes
    if trailing_bytes:
        size_bytes = picture.size_bytes - trailing_bytes
        digest = hashlib.sha256()
        end = file.seek(leading_bytes) + size_bytes
        while left := end - file.tell():
            digest.update(file.read(min(left, _PIECE_BYTES)))
        picture = replace(picture, sha256=digest.hexdigest(), size_bytes=size_bytes)
    return InspectedFile(
        picture=picture, leading_bytes=leading_bytes, trailing_bytes=trailing_bytes
    )


def start_of_picture(file: BinaryIO) -> int:
    """Return where a picture begins: behind what means nothing, however much of it there is."""
    start, held = 0, b""
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        held += piece
        before = nothing_before(held)
        if len(held) - before >= OPENING_BYTES:
            return start + before if is_picture(held[before:]) else 0
        start, held = start + before, held[before:]
    return start if is_picture(held) else 0


# Whether all of it came ------------------------------------------------------------------------

_MOST_CHUNKS = 20_000
_PNG_END = b"IEND"
_JPEG_END = b"\xff\xd9"
_FILLING = b"\0 \t\r\n"


def is_whole_picture(path: Path) -> bool:
    """Return whether a picture was not cut, at a glance; inspecting it says whether it is good.

    For a body whose end nothing else shows. Reads little of it, and never all.

    Raises:
        StorageFailed: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, SEEK_END)
            start = file.seek(start_of_picture(file))
            opening = file.read(OPENING_BYTES)
            match media_type_of(opening):
                case "image/png":
                    return _has_last_chunk(file, start, size_bytes)
                case "image/webp":
                    return size_bytes >= start + 8 + int.from_bytes(opening[4:8], "little")
                case "image/jpeg":
                    file.seek(max(0, size_bytes - _PIECE_BYTES))
                    return file.read().rstrip(_FILLING).endswith(_JPEG_END)
                case _:
                    return False
    except OSError as error:
        raise StorageFailed(path, error) from error


def _has_last_chunk(file: BinaryIO, start: int, size_bytes: int) -> bool:
    position = start + 8
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        position += 12 + int.from_bytes(head[:4])
        if len(head) < 8 or position > size_bytes:
            return False
        if head[4:] == _PNG_END:
            return True
    return False
