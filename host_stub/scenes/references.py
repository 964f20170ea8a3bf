"""How the references of a scene are written: ``"refs/mira.png"``, or ``{image, name, role}``.

It says what is malformed, and nothing more: whether a file is there, may be read or can be sent at
all is the plugin's to say, since today's files with references go on where none are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast

from host_stub.contract import SceneReference
from host_stub.errors import Problem
from host_stub.scenes.values import is_half_a_pair, kind
from host_stub.text.spelling import misspelt

LONGEST_NAME: Final = 100
"""Characters. A name stands in the text that is sent, so it is one short line."""
MOST_PROBLEMS: Final = 20
"""More are not looked for: a list that is wrong throughout has one cause, and may be endless."""
_FORMS: Final = 'a file, "scene:ID" or an object with "image"'
_KEYS: Final = frozenset(SceneReference.model_fields)
_SCENE: Final = "scene:"


def read_references(items: Iterable[object]) -> tuple[list[SceneReference], list[Problem]]:
    """Read the references of one scene; return those that are good, and what is wrong."""
    good: list[SceneReference] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        if isinstance(item, dict):
            said = cast("dict[str, object]", item)
            faults = [(f".{key}", what) for key, what in _faults(said)]
        else:
            said = {"image": item}
            what = _fault_of_image(item)
            faults = [("", what)] if what is not None else []
        problems += [Problem(f"references[{index}]{key}", what) for key, what in faults]
        if len(problems) >= MOST_PROBLEMS:
            break
        if not faults:
            good.append(SceneReference.model_validate(_without_null(said), strict=True))
    return good, problems


def _faults(said: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Return the key and what is wrong with it, for each that is wrong."""
    for key in said:
        if key not in _KEYS:
            near = misspelt(key[:LONGEST_NAME], _KEYS)
            guess = f"; did you mean {near!r}?" if near else ""
            yield key[:LONGEST_NAME], f"is not known; expected image, name and role{guess}"
    if said.get("image") is None:
        yield "image", 'missing; expected a file or "scene:ID"'
    for key, value in _without_null(said).items():
        if key not in _KEYS:
            continue
        what = _fault_of_image(value) if key == "image" else _fault_of_name(value)
        if what is not None:
            yield key, what


def _fault_of_image(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return f"expected {_FORMS}, found {_found(value)}"
    if is_half_a_pair(value):
        return "holds half of a surrogate pair, which is no text"
    if "\0" in value:
        return "expected a name without NUL characters"
    if value.startswith(_SCENE) and not value.removeprefix(_SCENE):
        return 'expected the id of a scene or of the cast behind "scene:"'
    return None


def _fault_of_name(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return f"expected a string, found {_found(value)}"
    if is_half_a_pair(value):
        return "holds half of a surrogate pair, which is no text"
    if len(value) > LONGEST_NAME or value.splitlines() != [value]:
        return f"expected one line of at most {LONGEST_NAME} characters"
    return None


def _found(value: object) -> str:
    return "only spaces" if isinstance(value, str) and value else kind(value)


def _without_null(said: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in said.items() if value is not None}
