"""What a file is, by its first bytes; names and media types are not to be believed.

Apart from the walkers because the spool asks it too, and because most of what it knows is about
formats that are refused: "an HTML page" helps a person more than "not a PNG".
"""

from __future__ import annotations

import re

UNKNOWN_KIND = "of no known kind"
OPENING_BYTES = 64
"""As many bytes as ever matter here."""

_BLANKS = b" \t\r\n"
_NOTHING_YET = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*+")
_BEFORE_PICTURE = re.compile(rb"(?:[\x00-\x20]|\xef\xbb\xbf|\xc2\xa0)*+")

_OTHERS = (
    (b"GIF87a", "a GIF"),
    (b"GIF89a", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "compressed with gzip"),
)

_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<", "markup"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"data:", "a data URL"),
)


def blanks_before(opening: bytes) -> int:
    """Return how many bytes are blanks, or the mark of a byte order, before anything else comes."""
    before = _NOTHING_YET.match(opening)
    return 0 if before is None else before.end()


def nothing_before(data: bytes, start: int = 0) -> int:
    """Return how many bytes may stand before a picture and mean nothing; no picture begins so.

    Blanks and other signs that cannot be seen: some servers send them before every answer.
    """
    before = _BEFORE_PICTURE.match(data, start)
    return 0 if before is None else before.end() - start


def media_type_of(opening: bytes) -> str | None:
    """Return the media type of a PNG, JPEG or WebP from its first 12 bytes, else ``None``."""
    if opening.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if opening.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if opening.startswith(b"RIFF") and opening[8:12] == b"WEBP":
        return "image/webp"
    return None


def is_picture(opening: bytes) -> bool:
    """Return whether the bytes begin as a picture of any kind that is served in one piece."""
    return media_type_of(opening) is not None or opening.startswith((b"GIF87a", b"GIF89a"))


def is_picture_behind(opening: bytes) -> bool:
    """Return whether a picture begins behind what means nothing, if anything does."""
    return is_picture(opening) or is_picture(opening[nothing_before(opening) :])


def name_of(opening: bytes) -> str:
    """Say for people what begins like this and is no acceptable picture."""
    if not opening:
        return "empty"
    for signature, name in _OTHERS:
        if opening.startswith(signature):
            return name
    if opening[4:8] == b"ftyp":
        return "an AVIF" if opening[8:11] == b"avi" else "a HEIF picture or a video"
    text = opening.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS).lower()
    for beginning, name in _TEXTS:
        if text.startswith(beginning):
            return name
    return UNKNOWN_KIND
