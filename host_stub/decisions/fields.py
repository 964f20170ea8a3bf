"""How one entry of a decisions file becomes a :class:`Decision`, and what is wrong with it.

It knows nothing of files: the reader adds the place. What cannot be read as a decision at all is a
problem of the file. What can be read and cannot be obeyed (a scene that is not there, more takes
than can be wanted) is refused for that one scene, by :mod:`host_stub.decisions.judge`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from host_stub.decisions.decision import Decision, Origin
from host_stub.errors import Problem, closest
from host_stub.scenes.fields import MAX_ID_BYTES
from host_stub.scenes.values import is_half_a_pair, kind
from host_stub.text.escape import escaped

FIELDS: Final = ("scene", "seen", "show", "reject", "takes", "prompt", "note", "at")
MOST_HASHES: Final = 1_000
"""Takes that one decision can name; a scene has far fewer."""
LONGEST_NOTE: Final = 20_000
LONGEST_PROMPT: Final = 200_000
"""Characters; ten times what the longest provider takes."""

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_MOST_SHOWN: Final = 40


class Misfit(Exception):
    """A value that does not fit its field.

    Attributes:
        problem: Which field, and what was expected there.
    """

    def __init__(self, where: str, what: str) -> None:
        self.problem = Problem(where, what)
        super().__init__(what)


def decision_from(entry: object, origin: Origin) -> Decision | list[Problem]:
    """Make a decision of one entry, or return everything that is wrong with it.

    A field that is ``null`` counts as absent; one that is not known is refused, since the wish it
    holds would be passed over in silence.
    """
    if not isinstance(entry, dict):
        return [Problem("", f"expected an object with scene, found {kind(entry)}")]
    said = cast("dict[str, Any]", entry)
    problems = [Problem(named(name), _unknown(name)) for name in said if name not in FIELDS]
    if said.get("scene") is None:
        problems.append(Problem("scene", "missing; expected the id of a scene"))
    fields: dict[str, Any] = {}
    for name, read in _READERS.items():
        try:
            if said.get(name) is not None:
                fields[name] = read(name, said[name])
        except Misfit as misfit:
            problems.append(misfit.problem)
    if problems:
        return problems
    scene_id = fields.pop("scene")
    return Decision(scene_id=scene_id, origin=origin, **fields)


def named(field: str) -> str:
    """Return a field's name as a message shows it; a file may have called it anything."""
    return escaped(field, limit=_MOST_SHOWN)


def text(where: str, value: object, *, longest: int) -> str:
    """Return a value that is text.

    Raises:
        Misfit: It is none, or too much of it.
    """
    if not isinstance(value, str):
        raise Misfit(where, f"expected a string, found {kind(value)}")
    if len(value) > longest:
        raise Misfit(where, f"expected at most {longest:,} characters, found {len(value):,}")
    if is_half_a_pair(value):
        raise Misfit(where, "holds half of a surrogate pair, which is no text")
    return value


def _unknown(name: str) -> str:
    near = closest(name[:_MOST_SHOWN], FIELDS)
    guess = f"; did you mean {near!r}?" if near else f"; there are {', '.join(FIELDS)}"
    return f"is not known{guess}"


def _scene(where: str, value: object) -> str:
    if value == "":
        raise Misfit(where, "expected the id of a scene, found an empty string")
    return text(where, value, longest=MAX_ID_BYTES)


def _sha256(where: str, value: object) -> str:
    match = _SHA256.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        found = "another string" if isinstance(value, str) and value else kind(value)
        raise Misfit(where, f"expected a sha256 of 64 hex digits, found {found}")
    return match[1].lower()


def _hashes(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Misfit(where, f"expected a list of sha256, found {kind(value)}")
    items = cast("list[object]", value)
    if len(items) > MOST_HASHES:
        raise Misfit(where, f"expected at most {MOST_HASHES:,} takes, found {len(items):,}")
    found = (_sha256(f"{where}[{index}]", item) for index, item in enumerate(items))
    return tuple(dict.fromkeys(found))


def _takes(where: str, value: object) -> int:
    if type(value) is not int:
        raise Misfit(where, f"expected a whole number of at least 1, found {kind(value)}")
    if value < 1:
        raise Misfit(where, "expected a whole number of at least 1")
    return value


def _prompt(where: str, value: object) -> str:
    prompt = text(where, value, longest=LONGEST_PROMPT)
    if not prompt.strip():
        raise Misfit(where, "expected words, found none; leave it out to keep the scene's own")
    return prompt


def _note(where: str, value: object) -> str:
    return text(where, value, longest=LONGEST_NOTE)


def _at(where: str, value: object) -> datetime:
    at = _moment(value) if isinstance(value, str) else None
    if at is None:
        raise Misfit(where, "expected a time with its zone, such as 2026-11-25T14:02:11Z")
    return at


def _moment(value: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_READERS: Final[Mapping[str, Any]] = {
    "scene": _scene,
    "seen": _hashes,
    "show": _sha256,
    "reject": _hashes,
    "takes": _takes,
    "prompt": _prompt,
    "note": _note,
    "at": _at,
}
