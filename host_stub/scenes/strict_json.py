"""JSON as its standard has it, with the line and column of what is wrong.

Python's reader takes ``NaN``, lets the last of two equal keys win, and fails on long numbers and
deep nesting with exceptions that have no place. Scene files are written by people and by programs,
so each of these is refused where it stands.

The words for what a value is, and whether it is text at all, are those of a scene and of each of
its references.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

MAX_DIGITS = 40
"""Longer numbers are no seed, no size and no price."""

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
)
# Strings are matched first, so that a NaN within one is not taken for a number.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<number>-?(?:NaN|Infinity|\d[\d.eE+-]*))', re.DOTALL)


class JsonFault(Exception):
    """Text that is not JSON.

    Attributes:
        line: Counted from 1.
        column: In characters, counted from 1.
        problem: What was expected.
        hint: The next step, where one is known.
    """

    def __init__(self, line: int, column: int, problem: str, hint: str | None = None) -> None:
        self.line = line
        self.column = column
        self.problem = problem
        self.hint = hint
        super().__init__(f"line {line}, column {column}: {problem}")


class _NumberRefused(ValueError):
    pass


class _KeyRepeated(ValueError):
    pass


def parse(data: bytes) -> Any:
    """Read one JSON document from UTF-8 bytes; a byte order mark in front is skipped.

    Raises:
        JsonFault: It is not JSON, not UTF-8, has a key twice in one object, a number that is not
            finite or longer than :data:`MAX_DIGITS`, or is nested too deeply.
    """
    text = decoded(data)
    try:
        return _decode(text)
    except json.JSONDecodeError as error:
        raise JsonFault(error.lineno, error.colno, _in_our_words(error)) from None
    except _NumberRefused:
        line, column = _place(text, _refused_number(text))
        problem = f"expected a finite number of at most {MAX_DIGITS} digits"
        raise JsonFault(line, column, problem) from None
    except _KeyRepeated as error:
        line, column = _second_place(text, str(error))
        raise JsonFault(line, column, f"the key {str(error)[:60]!r} stands twice") from None
    except RecursionError:
        raise JsonFault(1, 1, "nested too deeply to be read") from None


def decoded(data: bytes) -> str:
    """Return UTF-8 bytes as text, without a byte order mark in front.

    Raises:
        JsonFault: They are no UTF-8, or hold a NUL.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            raise JsonFault(
                1, 1, f"expected UTF-8, found {encoding}", "save the file with the encoding UTF-8"
            )
    if b"\0" in data:
        place = data.index(b"\0")
        raise JsonFault(
            data.count(b"\n", 0, place) + 1,
            place - data.rfind(b"\n", 0, place),
            "expected UTF-8 text, found a NUL byte",
            "save the file with the encoding UTF-8",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder counts from behind a byte order mark.
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line_start = data.rfind(b"\n", 0, start) + 1
        raise JsonFault(
            data.count(b"\n", 0, start) + 1,
            len(data[line_start:start].decode("utf-8", "replace")) + 1,
            f"expected UTF-8, found the byte 0x{data[start]:02x}",
            "save the file with the encoding UTF-8",
        ) from None


def _number(text: str) -> int | float:
    """Read a number that any later program can hold."""
    if text.lstrip("-").isdigit():
        if len(text.lstrip("-")) > MAX_DIGITS:
            raise _NumberRefused
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise _NumberRefused
    return number


def _refused_number(text: str) -> int:
    """Find the first number that is refused."""
    for match in _TOKEN.finditer(text):
        if match["number"]:
            try:
                _number(match["number"])
            except ValueError:
                return match.start()
    return 0


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _KeyRepeated(key)
            seen.add(key)
    return made


# Made once: ``json.loads`` with options makes one per call.
_decode = json.JSONDecoder(
    parse_int=_number,
    parse_float=_number,
    parse_constant=_number,
    object_pairs_hook=_unique,
).decode


def _place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _second_place(text: str, key: str) -> tuple[int, int]:
    """Find where ``key`` stands twice in one object, by reading again with an eye on keys."""
    objects: list[set[str]] = []
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?|[{}]', text, re.DOTALL):
        mark = match.group()
        if mark == "{":
            objects.append(set())
        elif mark == "}":
            objects.pop()
        elif match["key"] and objects:
            name = json.loads(mark[: -len(match["key"])])
            if name == key and name in objects[-1]:
                return _place(text, match.start())
            objects[-1].add(name)
    return 1, 1


def _in_our_words(error: json.JSONDecodeError) -> str:
    """Put the reader's words the way the host speaks: what was expected."""
    message, before = error.msg, error.doc[: error.pos].rstrip()
    is_at_end = error.doc[error.pos : error.pos + 1] in {"]", "}"}
    if message.startswith("Illegal trailing comma") or (is_at_end and before.endswith(",")):
        return "a comma too many"
    if message.startswith("Expecting"):
        return "expected" + message.removeprefix("Expecting")
    return message[:1].lower() + message[1:]


_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    type(None): "null",
}


def kind(value: object) -> str:
    """Name what stands there, without showing it."""
    if value == "" and isinstance(value, str):
        return "an empty string"
    return _KINDS.get(type(value), type(value).__name__)


def is_half_a_pair(text: str) -> bool:
    """Return whether a string holds half of a surrogate pair, which JSON has and no file has."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return True
    return False
