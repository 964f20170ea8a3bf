"""How to read untrusted JSON without failing, and how to show what stands there.

Every key may be missing and every value may be of another type. What is shown is one line without
control characters and without anything that looks like a key. The patterns here take time in
proportion to the text, and the text is cut before they see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from http.client import responses
from itertools import islice
from typing import TypeAlias

from pydantic import JsonValue

Json: TypeAlias = JsonValue | Decimal

MOST_MESSAGE = 300
MOST_WORD = 80
_MOST_MEMBERS = 200
_MOST_NAME = 1000
_NOTHING: tuple[Json, ...] = (None, "", [], {})
_MOST_READ = 8
"""Times the length that will be shown is read, since white space and controls fall out of it."""

_KEY = re.compile(r"\bsk[-_][\w*.-]{8,}|\bAIza[\w*.-]{8,}|\bBearer \S+")
_MAYBE_KEY = re.compile(r"\b(?:rk|pk|key|xai|gsk|r8|fal)[-_][\w*.-]{8,}")
"""What keys look like; a service quotes them, partly starred, when it refuses one. The second ones
are keys if there is a digit or a star in them: there are words such as ``key-frames``."""
_OF_A_KEY = re.compile(r"[\d*]")

_STEP = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,500}", re.ASCII)


def at(value: Json, *path: str | int) -> Json:
    """Follow keys and indexes as far as they lead; ``None`` where they do not."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def text_at(value: Json, *path: str | int) -> str:
    """Return the string at a path, else an empty one."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def int_at(value: Json, *path: str | int) -> int | None:
    """Return the whole number at a path, which a truth value is not; else ``None``."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def name_at(value: Json, *path: str | int) -> str:
    """Return the name at a path that a job can have, one short line of ASCII; else an empty one."""
    found = text_at(value, *path)
    is_name = len(found) <= _MOST_NAME and found.isascii() and found.isprintable()
    return found if is_name and found.strip() else ""


def path_at(value: Json, kind: str, *path: str) -> str:
    """Return the name at a path that is one plain step below its kind, so that it is an address."""
    name = name_at(value, *path)
    begins, slash, rest = name.partition("/")
    return name if begins == kind and slash == "/" and _STEP.fullmatch(rest) else ""


def unwrapped(document: Json) -> Json:
    """Return an error that is the one entry of a list, as Google's OpenAI endpoint writes it."""
    is_wrapped = isinstance(document, list) and len(document) == 1 and at(document, 0, "error")
    return at(document, 0) if is_wrapped else document


def items_at(value: Json, *path: str | int) -> list[JsonValue]:
    """Return the list at a path; a lone object counts as a list of one, anything else as empty."""
    found = at(value, *path)
    if isinstance(found, dict):
        return [found]
    return found if isinstance(found, list) else []


def members_of(document: Json) -> Iterator[tuple[str, Json]]:
    """Return all that a document says: each value that is no container, with its field's name.

    Names are in lower case; those in a list have the list's. What says nothing is left out, and so
    is a usage. Beyond a bound one last member without a name stands for all the others.
    """
    return (member for member in _walk(document) if not isinstance(member[1], dict | list))


def fields_around(document: Json) -> frozenset[str]:
    """Return the names of a document's own fields, and of all fields that others stand in."""
    own = document.items() if isinstance(document, dict) else ()
    around = {name for name, value in _walk(document) if name and isinstance(value, dict | list)}
    return frozenset(around | {name.lower() for name, held in own if held not in _NOTHING})


def _walk(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield the members of a document, and the containers that they stand in."""
    waiting: list[tuple[str, Json]] = [("", document)]
    for _ in range(_MOST_MEMBERS):
        if not waiting:
            return
        name, value = waiting.pop()
        if value in _NOTHING:
            continue
        yield name, value
        rest = _MOST_MEMBERS - len(waiting)
        if isinstance(value, dict):
            waiting += [
                (key[:MOST_WORD].lower(), held)
                for key, held in islice(value.items(), max(0, rest))
                if key != "usage"
            ]
        elif isinstance(value, list):
            waiting += [(name, held) for held in value[: max(0, rest)]]
        if isinstance(value, dict | list) and len(value) > rest:
            break
    yield "", "and more"


def cleaned(text: str, *, most: int = MOST_MESSAGE) -> str:
    """Make a provider's words safe to show: one line, no control characters, no key, not long."""
    shown = _KEY.sub("[key]", one_line(text[: _MOST_READ * most]))
    shown = _MAYBE_KEY.sub(_unless_a_word, shown)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def with_step(text: str, step: str) -> str:
    """Make a provider's words safe to show before what follows from them; both are not long."""
    return cleaned(text, most=MOST_MESSAGE - len(step)).rstrip(" .") + step


def status_line(status: int) -> str:
    """Return a status as it is called."""
    return f"HTTP {status} {responses.get(status, '')}".rstrip()


def one_line(text: str) -> str:
    """Join a text's lines, and leave out what cannot be seen."""
    shown = " ".join(text.split())
    if shown.isprintable():
        return shown
    return " ".join("".join(filter(str.isprintable, shown)).split())


def _unless_a_word(found: re.Match[str]) -> str:
    return "[key]" if _OF_A_KEY.search(found[0]) else found[0]
