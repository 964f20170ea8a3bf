"""What the host itself knows of a picture: its kind, its size, and how its file's name ends.

Only for pictures that no plugin vouches for: what a person brings, and what lies there without a
word of where it comes from. Pillow reads the head of the file, and all of what a person names.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import BinaryIO, Final

EXTENSIONS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""What a picture may be; the plugin stage3 has the same."""
MOST_BYTES: Final = 1 << 28
"""Of a picture that a person brings; a file that is larger is none, and is not read."""
_KINDS: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_WORD: Final = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """A picture as its file's head has it.

    Attributes:
        media_type: One of :data:`EXTENSIONS`.
        width: In pixels.
        height: Likewise.
    """

    media_type: str
    width: int
    height: int


def look_at(file: BinaryIO) -> Looks | None:
    """Return what a file shows; ``None`` if it is no picture that people can be shown."""
    from PIL import Image  # noqa: PLC0415 - only where somebody brings a picture

    try:
        with Image.open(file, formats=tuple(_KINDS)) as picture:
            kind, (width, height) = picture.format, picture.size
    except Exception:  # noqa: BLE001 - Pillow raises whatever a hostile file makes it raise
        return None
    if kind not in _KINDS or width < 1 or height < 1:
        return None
    return Looks(media_type=_KINDS[kind], width=width, height=height)


def is_whole(file: BinaryIO) -> bool:
    """Return whether all of a picture can be read, from where the file is."""
    from PIL import Image  # noqa: PLC0415 - likewise

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # beyond it is an error
            with Image.open(file, formats=tuple(_KINDS)) as picture:
                picture.load()
    except Exception:  # noqa: BLE001 - likewise
        return False
    return True


def extension_of(media_type: str) -> str:
    """Return how the name of a picture of this kind ends, without the dot."""
    known = EXTENSIONS.get(media_type)
    if known is not None:
        return known
    word = media_type.rpartition("/")[2].partition("+")[0].removeprefix("x-")
    return word if _WORD.fullmatch(word) else "picture"
