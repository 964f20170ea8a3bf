r"""How a picture is read from base64 that is written in whatever way.

Servers differ: PHP writes ``\/``, .NET ``\u002B``, some wrap lines, some use the URL-safe alphabet,
percent-encode, or leave the padding out, and some put signs between that are none. All that is no
base64 is left out: the structure of the bytes shows whether they are a whole picture, so nothing
is taken for one that is none, and otherwise it would be lost.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from stage3_plugin.domain.signature import (
    OPENING_BYTES,
    UNKNOWN_KIND,
    is_picture,
    name_of,
    nothing_before,
)
from stage3_plugin.errors import PictureRefused

_URL_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_SIGNS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_NO_SIGNS = bytes(code for code in range(256) if code not in _SIGNS)
_ESCAPE = re.compile(
    rb"\\(?:u00([0-7][0-9a-fA-F])|u[0-9a-fA-F]{4}|(.))|%([0-7][0-9a-fA-F])", re.DOTALL
)
_LONGEST_ESCAPE = 6
_PREFIX = re.compile(
    rb"""(?:[\x00-\x20]|\\[nrt]|\\?["'`<(]){0,8}(?:b\\?["'])?
    (?:data:[ ]?(?:[\w.+-]{1,64}\\?/[\w.+-]{1,64})?
    (?:;[ ]?[\w.+-]{1,64}=(?:\\?"[^"]{0,256}"|[\w.+%-]{0,256})){0,8};[ ]?base64,)?""",
    re.IGNORECASE | re.VERBOSE,
)
"""What may stand before base64; quotes too: some put one string into another."""
_MEDIA_TYPE = re.compile(rb"data:[ ]?([\w.+-]{1,64})\\?/([\w.+-]{1,64})", re.IGNORECASE)
_DATA_URL = re.compile(r"[\s\"'`(<]*data:([^,\"]|\"[^\"]*\")*+,", re.IGNORECASE)
_IS_BASE64 = re.compile(r";\s*base64\s*,\Z", re.IGNORECASE)


def behind_prefix(source: bytes) -> int:
    """Return where base64 may begin in a string: behind a quote, or the head of a data URL."""
    found = _PREFIX.match(source)
    return 0 if found is None else found.end()


def media_type_in(prefix: bytes) -> str | None:
    """Return the media type that the head of a data URL names."""
    found = _MEDIA_TYPE.search(prefix)
    return None if found is None else f"{found[1].decode()}/{found[2].decode()}".lower()


def loosely_decoded(source: Iterable[bytes]) -> Iterator[bytes]:
    """Decode what a string's source in JSON says, in pieces; too few signs for a byte go."""
    held = signs = b""
    for piece in source:
        data = held + piece
        end = _end_of_escapes(data)
        held = data[end:]
        signs += _signs_of(data[:end])
        whole = len(signs) & ~3
        yield binascii.a2b_base64(signs[:whole])
        signs = signs[whole:]
    signs += _signs_of(held)
    if len(signs) > 1:
        yield binascii.a2b_base64(signs + b"=" * (-len(signs) % 4))


def _end_of_escapes(data: bytes) -> int:
    """Return where an escape begins that may not be all there, or the end of the data."""
    at = data.rfind(b"\\", -_LONGEST_ESCAPE)
    begins = (at + 1 - len(data[: at + 1].rstrip(b"\\"))) % 2 == 1
    percent = data.rfind(b"%", -3)
    starts = [start for start in (at if begins else -1, percent) if start >= 0]
    return min(starts, default=len(data))


def _signs_of(source: bytes) -> bytes:
    if b"\\" in source or b"%" in source:
        source = _ESCAPE.sub(_meant, source)
    return source.translate(_URL_TO_STANDARD, _NO_SIGNS)


def _meant(escape: re.Match[bytes]) -> bytes:
    code = escape[1] or escape[3]
    if code:
        return bytes([int(code, 16)])
    return b"/" if escape[2] == b"/" else b""


def inline_bytes(text: str) -> bytes:
    """Decode a picture that is base64 or a data URL.

    Raises:
        PictureRefused: It is neither.
    """
    head = _DATA_URL.match(text)
    data = text[head.end() :] if head else text
    if head and not _IS_BASE64.search(head[0]):
        return unquote_to_bytes(data)
    raw = data.encode("utf-8", "replace")
    decoded = b"".join(loosely_decoded([raw[behind_prefix(raw) :]]))
    opening = decoded[nothing_before(decoded) :][:OPENING_BYTES]
    if not is_picture(opening) and name_of(opening) == UNKNOWN_KIND:
        raise PictureRefused("the picture is not base64")
    return decoded
