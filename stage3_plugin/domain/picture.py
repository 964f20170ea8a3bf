"""Where an answer has a picture: in a part file, in its document, or behind an address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SpooledPart:
    """A picture whose bytes were decoded into a part file while the answer arrived."""

    index: int


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """A picture short enough to have stayed in the document: base64, data URLs included."""

    base64: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemotePicture:
    """A picture that must be fetched; the address is absolute, ``http`` or ``https``."""

    url: str


PictureSource: TypeAlias = SpooledPart | InlinePicture | RemotePicture
