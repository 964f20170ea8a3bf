r"""Where a picture stands in bytes on their way, so that :mod:`.masking` leaves it alone.

A picture may well hold what is also a secret: its metadata name programs and services. One letter
of it covered is a picture destroyed, and a paid one. So one is found by its first bytes, as they
are or as base64 or percent-encoded in a JSON string, in the spellings of
:mod:`stage3_plugin.storage.spool.base64_stream` and :mod:`stage3_plugin.storage.spool.inline`; it
reaches to the end of the string it begins, and within a text as far as an address does. Apart from
masking because nothing here knows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

BEGINNING_BYTES = 2048
"""More than what shows a picture takes, with all that may stand before it in its string."""

_ANY_CODE = rb"(?:%[2-7][0-9a-fA-F]|\\{1,8}(?:[/nrt]|[uU]00[0-7][0-9a-fA-F]))"
_SIGN = rb"(?:[A-Za-z0-9+/=_-]|[ \t\r\n]|%b)" % _ANY_CODE
_MORE_SIGNS = rb"(?=%b{32})" % _SIGN
_BEFORE = (
    rb"(?:[ \t\r\n'`<(]|\\{1,8}(?:[\"'nrt]|[uU]00(?:09|0[aAdD]|2[027]|3[cC]|60))|b(?=\\{1,8}\"|'))"
)
_ADDRESS_HEAD = rb"[dD][aA][tT][aA]:(?:[^,\"]|\\\"){0,256},"


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a picture that has begun may reach.

    Attributes:
        inside: Matches as much of it as stands there.
        takes_odd_signs: Its reader passes over what is no base64, so that does not end it.
    """

    inside: re.Pattern[bytes]
    takes_odd_signs: bool = False


_STRING = Extent(re.compile(rb'[^"]*+'), takes_odd_signs=True)
"""Base64 to the end of its string."""
REST = Extent(re.compile(rb"(?s:.*+)"), takes_odd_signs=True)
"""Base64 of which nothing but its string comes."""
_PERCENT_STRING = Extent(re.compile(rb'[^"]*+'))
_RUN = Extent(re.compile(rb"(?:[A-Za-z0-9+/=_%%-]++|%b)*+" % _ANY_CODE))
"""Within a text: as far as the pictures in one are read."""
_ALL = Extent(re.compile(rb"(?s:.*+)"))
"""Raw bytes, whose end is not known here."""


def _spelled(code: int) -> bytes:
    """Match one character of base64, as what it may be written in JSON or an address."""
    digits = b"".join(
        b"[%c%c]" % (digit, digit - 32) if digit > ord("9") else b"%c" % digit
        for digit in b"%02x" % code
    )
    raw = rb"\\{0,8}/" if code == ord("/") else re.escape(bytes([code]))
    return rb"(?:%b|%%%b|\\{1,8}[uU]00%b)" % (raw, digits, digits)


def _base64(text: bytes) -> bytes:
    either = {ord("/"): b"/_", ord("+"): b"+-"}
    return b"".join(
        b"(?:%b)" % b"|".join(map(_spelled, either.get(code, bytes([code])))) for code in text
    )


def _percent(data: bytes) -> bytes:
    units: list[bytes] = []
    for code in data:
        digits = (b"[%c%c]" % (d, d - 32) if d > ord("9") else b"%c" % d for d in b"%02x" % code)
        raw = b"|" + re.escape(bytes([code])) if 0x20 < code < 0x7F else b""
        units.append(rb"(?:(?:%%|\\{1,8}[uU]0025)%b%b)" % (b"".join(digits), raw))
    return b"".join(units)


def _any(patterns: Iterable[bytes]) -> bytes:
    return b"(?:%b)" % b"|".join(patterns)


_STRONG = _any(
    [
        _base64(b"iVBORw0KGg"),
        _base64(b"UklGR") + _SIGN + b"{6}" + _base64(b"XRUJQ"),
        _base64(b"R0lGOD") + _any([_base64(b"dh"), _base64(b"lh")]),
    ]
)
_ANY_BASE64 = _any([_STRONG, _base64(b"/9j/") + _MORE_SIGNS])
"""Three bytes begin a JPEG, too few to distinguish one from a path; further signs must follow."""
_ANY_PERCENT = _any(
    [
        _percent(b"\x89PNG\r\n\x1a\n"),
        _percent(b"\xff\xd8\xff"),
        _percent(b"RIFF") + rb"[^\",]{4,12}" + _percent(b"WEBP"),
        _percent(b"GIF8"),
    ]
)


@cache
def beginnings() -> re.Pattern[bytes]:
    """Return what matches where a picture begins.

    Compiled when it is first wanted: it takes 6 ms, and many a command receives nothing.
    """
    return re.compile(
        rb"""(?x: (?P<opened> "%(before)b{0,32}+ (?:%(head)b)?+ (?=%(base64)b) )
        | (?P<percent> "%(before)b{0,32}+ %(head)b (?=%(percents)b) )
        | (?P<within> %(head)b (?=%(base64)b|%(percents)b) | (?=%(strong)b) )
        | (?P<raw> (?=\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xc0-\xfe]|RIFF(?s:....)WEBP|GIF8[79]a) ) )"""
        % {
            b"before": _BEFORE.replace(b" ", rb"\x20"),
            b"head": _ADDRESS_HEAD,
            b"base64": _ANY_BASE64.replace(b" ", rb"\x20"),
            b"percents": _ANY_PERCENT,
            b"strong": _STRONG.replace(b" ", rb"\x20"),
        }
    )


_SIGNS = (
    b"\\", b"%", b"iVBOR", b"9j", b"UklGR", b"R0lGOD", b"\x89PNG", b"\xff\xd8\xff", b"WEBP", b"GIF8"
)  # fmt: skip
"""Fixed bytes, of which one is in every beginning."""
_EXTENTS = {"opened": _STRING, "percent": _PERCENT_STRING, "within": _RUN, "raw": _ALL}


def next_picture(data: bytes, start: int) -> tuple[int, int, Extent] | None:
    """Find the next picture: where its signs begin, where it begins itself, and its extent."""
    match = beginnings().search(data, start)
    if match is None or match.lastgroup is None:
        return None
    return match.start(), match.end(), _EXTENTS[match.lastgroup]


def may_hold_picture(data: bytes) -> bool:
    """Look for fixed bytes first, which is far quicker than a pattern."""
    return any(sign in data for sign in _SIGNS)
