"""What is known of a picture, and where an answer has it before it is taken in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.runtime.declared import Count

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""Of picture files, by their media type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture whose bytes were seen from end to end.

    Attributes:
        sha256: Of its bytes, lower-case hex; names the object.
        media_type: As the bytes have it, whatever their sender says.
        width_px: Real width.
        height_px: Real height.
        size_bytes: Its length.
    """

    sha256: str
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture that is safely on disk, and its file in the output folder."""

    picture: Picture
    path: Path


@dataclass(frozen=True, slots=True)
class SpooledPart:
    """A picture whose bytes were decoded into a part file while the answer arrived."""

    index: Count


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """A picture short enough to have stayed in the document: base64, data URLs included."""

    base64: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemotePicture:
    """A picture that must be fetched; the address is absolute, ``http`` or ``https``."""

    url: str


PictureSource: TypeAlias = SpooledPart | InlinePicture
"""A picture that lies in the answer itself."""
