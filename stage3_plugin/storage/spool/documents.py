"""The one place where a provider's JSON becomes values.

A parser holds the interpreter, and with it every thread, until it is through, and makes of 4 MB of
brackets a hundred of memory. So the values of a document are counted first, in a few linear passes
that look at bytes alone, and a document of too many is not read: it stays on the disk as it came.
Numbers are bounded too, each by itself: an absurd one becomes ``None``, and what stands beside it
is read. Apart from the spool because nothing here knows a file, and because there must be no other
such place.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import cast

from pydantic import JsonValue

MOST_BYTES = 1 << 20
"""Of a document; pictures that were decoded do not count. One string of it takes some 10 ms."""
MOST_VALUES = 20_000
"""Parsing as many takes some 10 ms. Recorded answers have less than a hundred."""
MOST_LEVELS = 200
_MOST_DIGITS = 64
_MOST_EXPONENT = 40
"""A cost, a count or a time beyond this is none."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"{}[]")
_DIRECTIONS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a body said.

    Attributes:
        value: Its value; ``None`` also if it could not be read.
        is_json: Whether it was read.
        unread: Why it was not even tried, though it may be JSON; else empty.
    """

    value: JsonValue | Decimal = None
    is_json: bool = False
    unread: str = ""


def document_in(data: bytes) -> Document:
    """Read a document, if it is not too large to parse.

    Control characters within strings are accepted, as are bytes that are no UTF-8, and whatever a
    gateway puts behind the document: a paid picture is not lost to them.
    """
    if unread := why_not(data):
        return Document(unread=unread)
    try:
        text = data.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", "replace")
    try:
        text = text.lstrip("\ufeff \t\r\n")  # a byte order mark may stand behind blanks
        value, end = DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return Document()
    if not isinstance(value, dict | list) and text[end:].strip():
        return Document()
    return Document(value=cast("JsonValue | Decimal", value), is_json=True)


def why_not(data: bytes) -> str:
    """Return why a document must not be parsed; empty if it may."""
    if len(data) > MOST_BYTES:
        return TOO_LONG
    if count_of_values(data) > MOST_VALUES:
        if data.count(b'"') - data.count(rb"\"") > 2 * MOST_VALUES:
            return TOO_MANY
        data = _STRING.sub(b"", data)  # commas may be those of a long text
        if count_of_values(data) > MOST_VALUES:
            return TOO_MANY
    if data.count(b"[") + data.count(b"{") > MOST_LEVELS and _levels(data) > MOST_LEVELS:
        return f"the answer is nested more than {MOST_LEVELS} levels deep"
    return ""


TOO_LONG = f"the answer has over {MOST_BYTES:,} bytes beside its pictures"
TOO_MANY = f"the answer has over {MOST_VALUES:,} values"


def count_of_values(outside: bytes) -> int:
    """Count what stands before or between values, outside of strings: they are one more."""
    return len(outside) - len(outside.translate(None, b",:[{"))


def _levels(data: bytes) -> int:
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    return max(accumulate(_DIRECTIONS[bracket] for bracket in brackets), default=0)


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object; of a name that is there twice, an empty value hides no other."""
    made = dict(members)
    if len(made) < len(members):
        made.update((name, value) for name, value in members if value not in (None, "", [], {}))
    return made


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _decimal(text: str) -> Decimal | None:
    """Read a number with a fraction or an exponent; a fraction longer than any price is cut."""
    mantissa, sign, exponent = text.lower().partition("e")
    if len(mantissa) > _MOST_DIGITS:
        if "." not in mantissa[:_MOST_DIGITS]:
            return None
        mantissa = mantissa[:_MOST_DIGITS]
    if len(exponent) > _MOST_DIGITS:
        return None
    try:
        number = Decimal(mantissa + sign + exponent)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) <= _MOST_EXPONENT else None


def _no_number(_name: str) -> None:
    """Take ``NaN`` and ``Infinity``, which are no JSON, for a value that is not known."""


DECODER = json.JSONDecoder(
    strict=False,
    parse_int=_whole,
    parse_float=_decimal,
    parse_constant=_no_number,
    object_pairs_hook=_object,
)
