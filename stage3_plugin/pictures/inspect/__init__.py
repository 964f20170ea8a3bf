"""Whether bytes are a real picture, told from their structure alone.

A walker per format goes over the bytes once, in whatever pieces they come, and refuses at the first
wrong one. Nothing is changed: pictures are stored exactly as received. Apart from the store because
it is pure but for :func:`inspect_file`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from stage3_plugin.errors import PictureRefused, StorageFailed
from stage3_plugin.pictures.inspect.jpeg import walk_jpeg
from stage3_plugin.pictures.inspect.png import walk_png
from stage3_plugin.pictures.inspect.signature import OPENING_BYTES, media_type_of, name_of
from stage3_plugin.pictures.inspect.source import PictureFacts, PixelLimit, Source, Steps
from stage3_plugin.pictures.inspect.webp import walk_webp

__all__ = ["InspectedPicture", "Inspector", "PictureFacts", "inspect_file"]

_PIECE_BYTES = 256 * 1024
_WALKERS = {"image/png": walk_png, "image/jpeg": walk_jpeg, "image/webp": walk_webp}


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedPicture:
    """A file that was found to be a picture.

    Attributes:
        facts: What its structure tells.
        sha256: Of its bytes, lower-case hex.
        size_bytes: Its length.
    """

    facts: PictureFacts
    sha256: str
    size_bytes: int


class Inspector:
    """Feed it a picture in any pieces.

    Args:
        max_pixels: More than these are refused, before any of them is inflated.
    """

    def __init__(self, *, max_pixels: int) -> None:
        self._source = Source()
        self._facts: PictureFacts | None = None
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

    def finish(self) -> PictureFacts:
        """See the end of the bytes.

        Raises:
            PictureRefused: The picture is not whole.
        """
        self._source.close()
        self._go_on()
        assert self._facts is not None
        return self._facts

    def _go_on(self) -> None:
        try:
            next(self._steps)
        except StopIteration as end:
            self._facts = end.value


def _walk(source: Source, limit: PixelLimit) -> Steps[PictureFacts]:
    opening = yield from source.some(OPENING_BYTES, least=OPENING_BYTES)
    source.give_back(opening)
    media_type = media_type_of(opening)
    if media_type is None:
        raise PictureRefused(f"is {name_of(opening)}, not a PNG, JPEG or WebP picture")
    try:
        return (yield from _WALKERS[media_type](source, limit))
    except PictureRefused as refused:
        format_name = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}[media_type]
        raise PictureRefused(f"the {format_name} {refused.reason}") from None


def inspect_file(path: Path, *, max_pixels: int) -> InspectedPicture:
    """Inspect a file and hash it in one pass of 256 KiB pieces; blocks, so call it in a thread.

    Raises:
        PictureRefused: It is not an acceptable picture.
        StorageFailed: It cannot be read.
    """
    inspector = Inspector(max_pixels=max_pixels)
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                inspector.feed(piece)
                digest.update(piece)
                size_bytes += len(piece)
    except OSError as error:
        raise StorageFailed(path, error) from error
    return InspectedPicture(
        facts=inspector.finish(), sha256=digest.hexdigest(), size_bytes=size_bytes
    )
