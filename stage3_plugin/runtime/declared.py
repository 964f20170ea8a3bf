"""What a field must be that a provider fills, as a type that says more than ``str`` or ``float``.

A checker reads the type alone. What a stranger's code has put there is held to the rule beside it
by :mod:`stage3_plugin.providers.guarding`: it is refused where something is decided by it, and else
taken for unknown, or cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import astuple
from math import isfinite
from typing import Annotated, Any, TypeAlias, cast
from urllib.parse import urlsplit

Rule: TypeAlias = Callable[[Any], Any]
"""Returns a value as it is believed; raises :class:`Wrong` where it is not what it should be."""
MOST_MESSAGE = 300
MOST_FACT = 2000
HEADER_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
OUR_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type",
        "cookie", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""What says how the request travels, or how long it is: only the client may set these."""


class Wrong(Exception):
    """What a value is instead of what it should be."""


def must(is_one: Callable[[Any], object], words: str) -> Rule:
    """Refuse what is not one."""

    def rule(found: object) -> object:
        if not is_one(found):
            raise Wrong(words)
        return found

    return rule


def if_it_is(is_one: Callable[[Any], object]) -> Rule:
    """Take what is not one for unknown."""
    return lambda found: found if is_one(found) else None


def counts_of(kind: Any) -> Rule:
    """Take one that does not count in each of its fields for unknown."""

    def counts(found: Any) -> bool:
        return isinstance(found, kind) and all(map(is_count, astuple(found)))

    return if_it_is(counts)


def is_count(found: Any) -> bool:
    """Return whether it is a whole number of 0 or more, and no truth value."""
    return type(found) is int and found >= 0


def _is_address(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_line(text: object) -> bool:
    return isinstance(text, str) and text != "" and text.isascii() and text.isprintable()


def _is_short(text: object) -> bool:
    return isinstance(text, str) and len(text) <= MOST_FACT


def _is_header(name: object) -> bool:
    return _is_line(name) and HEADER_NAME.fullmatch(cast("str", name)) is not None


def _is_seconds(found: object) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return isfinite(found) and found >= 0


def _is_mapping(found: object) -> bool:
    return isinstance(found, Mapping)


def _headers(found: Any) -> object:
    for name, value in MAPPING(found).items():
        if not (_is_line(name) and _is_header(name.lower()) and _is_line(value)):
            raise Wrong("a mapping with a header that is not one line of printable ASCII")
        if name.lower() in OUR_HEADERS:
            raise Wrong(f"a mapping with the header {name.lower()}, which the program itself sets")
    return found


def _facts(found: Any) -> object:
    facts: Mapping[Any, Any] = found if _is_mapping(found) else {}
    words = {one: fact for one, fact in facts.items() if isinstance(one, str) and type(fact) is str}
    return facts if words == facts else words


def _cut(found: object, most: int = MOST_FACT) -> str | None:
    return found[:most] if isinstance(found, str) else None


def _told(found: object) -> str:
    return _cut(found, MOST_MESSAGE) or ""


MAPPING = must(_is_mapping, "no mapping")

Address: TypeAlias = Annotated[str, must(_is_address, "no http address")]
Line: TypeAlias = Annotated[str, must(_is_line, "no line of printable ASCII")]
LineOrEmpty: TypeAlias = Annotated[
    str, must(lambda found: found == "" or _is_line(found), "no line of printable ASCII")
]
Name: TypeAlias = Annotated[
    str, must(lambda found: _is_line(found) and _is_short(found), "no short line")
]
Text: TypeAlias = Annotated[str, must(lambda found: isinstance(found, str), "no text")]
Header: TypeAlias = Annotated[
    str,
    must(
        lambda found: _is_header(found) and found not in OUR_HEADERS,
        "no name of a header of its own, in lower case",
    ),
]
Headers: TypeAlias = Annotated[Mapping[str, str], _headers]
Words: TypeAlias = Annotated[
    Mapping[str, str],
    must(
        lambda found: _is_mapping(found) and all(map(_is_line, (*found, *found.values()))),
        "no mapping of words",
    ),
]
Seconds: TypeAlias = Annotated[float, must(_is_seconds, "no number of seconds")]
Amount: TypeAlias = Annotated[
    int, must(lambda found: is_count(found) and found > 0, "no whole number above 0")
]
Count: TypeAlias = Annotated[int, must(is_count, "no whole number of 0 or more")]

# Nothing is decided by these.

Message: TypeAlias = Annotated[str, _told]
"""For people, in one line."""
Fact: TypeAlias = Annotated[str, _cut]
Facts: TypeAlias = Annotated[Mapping[str, str], _facts]
Key: TypeAlias = Annotated[str, if_it_is(_is_short)]
Hint: TypeAlias = Annotated[float, if_it_is(_is_seconds)]
"""Seconds."""
Status: TypeAlias = Annotated[int, if_it_is(is_count)]
