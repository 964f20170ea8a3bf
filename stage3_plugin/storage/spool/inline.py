"""What bytes a picture in the document stands for, however it is written.

A short picture stays in the document, and so does one in the middle of a text. It is read more
leniently than a long one is while it arrives: it is all there, and the structure of the bytes shows
whether they are a whole picture, so that nothing is taken for one that is none.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from stage3_plugin.domain.signature import is_picture_behind
from stage3_plugin.errors import PictureRefused

_DATA_URL = re.compile(r"[\s\"'`(<]*data:([^,\"]|\"[^\"]*\")*+,", re.IGNORECASE)
_IS_BASE64 = re.compile(r";\s*base64\s*,\Z", re.IGNORECASE)
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_OTHERS = bytes(code for code in range(256) if code not in _ALPHABET)
_PYTHON_BYTES = re.compile(r"""\s*b?["'`](.*)["'`]\s*""", re.DOTALL)


def inline_bytes(text: str) -> bytes:
    """Decode a picture that is base64 or a data URL.

    Raises:
        PictureRefused: It is neither.
    """
    if (quoted := _PYTHON_BYTES.fullmatch(text)) is not None:
        text = quoted[1]
    head = _DATA_URL.match(text)
    data = text[head.end() :] if head else text
    if head and not _IS_BASE64.search(head[0]):
        return unquote_to_bytes(data)
    raw = data.encode("utf-8", "replace")
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    raw = raw.translate(_TO_STANDARD)
    strict = b"".join(raw.split()).rstrip(b"=")
    try:
        return base64.b64decode(strict + b"=" * (-len(strict) % 4), validate=True)
    except (binascii.Error, ValueError):
        pass
    return _without_what_is_no_base64(strict)


def _without_what_is_no_base64(text: bytes) -> bytes:
    """Decode what is left without odd characters, if it begins as a picture does."""
    compact = text.translate(None, _OTHERS)
    decoded = binascii.a2b_base64(compact[: len(compact) // 4 * 4])
    if not is_picture_behind(decoded):
        raise PictureRefused("the picture is not base64")
    rest = compact[len(compact) // 4 * 4 :]
    return decoded + (binascii.a2b_base64(rest + b"=" * (-len(rest) % 4)) if len(rest) > 1 else b"")
