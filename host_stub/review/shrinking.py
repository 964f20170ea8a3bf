"""How a picture becomes a small one; alone, since it runs in worker processes.

Pictures come from providers and from people, so that each may be anything: what cannot be read, is
too large to be opened, or has other bytes than it should has no small picture, and says why.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import signal
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

SIDE_PX: Final = 320
_MOST_PIXELS: Final = 100_000_000
_MOST_BYTES: Final = 256 * 1024 * 1024


def begin() -> None:
    """Make room for a run, and leave interrupts to whoever waits for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(10)


def shrink(source: Path, target: Path, sha256: str) -> str | None:
    """Write a small picture whole, and return ``None``, or why there is none.

    Args:
        source: The picture.
        target: Where the small one goes, as WebP.
        sha256: Of the picture's bytes.
    """
    try:
        with source.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            return "it is too large a file"
        if hashlib.sha256(data).hexdigest() != sha256:
            return "it is another picture than it was"
        small = _small(data)
    except Exception as error:  # noqa: BLE001 - a decoder raises whatever it likes
        return f"{type(error).__name__}: {error}"
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        aside.write_bytes(small)
        aside.replace(target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        return f"it cannot be written: {error.strerror}"
    return None


def _small(data: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError(f"{picture.width}x{picture.height} pixels are too many")
            picture.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
            upright = ImageOps.exif_transpose(picture)
            has_holes = upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info
            small = upright.convert("RGBA" if has_holes else "RGB")
            small.thumbnail((SIDE_PX, SIDE_PX))
    written = io.BytesIO()
    small.save(written, "WEBP", method=0, quality=80)  # the fastest: 11 ms, 60 in every second
    return written.getvalue()
