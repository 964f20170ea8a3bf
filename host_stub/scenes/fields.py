"""How one entry of a scene file becomes a :class:`~host_stub.contract.Scene`.

It alone knows the other names that fields go by (those of the original pipeline's Stage 2) and says
in a person's words what is wrong with an entry. It knows nothing of files: the readers add the
line or the index.

Of references (``"refs/mira.png"``, or ``{image, name, role}``) it says what is malformed: whether a
file is there, may be read or can be sent at all is the plugin's to say, since today's files with
references go on where none are sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from host_stub.contract import Lane, Scene, SceneReference
from host_stub.errors import Problem, closest
from host_stub.scenes.strict_json import is_half_a_pair, kind
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


ALIASES: Mapping[str, str] = {
    "image_prompt": "prompt",
    "characters_in_scene": "characters",
}
"""Names of the original Stage 2 file and what they are called here."""

MAX_ID_BYTES = 1024
_LONGEST_NAME = 64  # far longer than any known one, so that what is cut off changes nothing

_SIZE = re.compile(r"(\d{1,5})\s*[xX×]\s*(\d{1,5})", re.ASCII)
_MADE = "reference_details"
"""A field that is made from ``references``; a person writes those."""
_FIELDS = frozenset(Scene.model_fields) - {"extra", _MADE} | {"size"}
_NEEDED = frozenset(name for name, field in Scene.model_fields.items() if field.is_required())
_SPELLINGS = (_FIELDS | frozenset(ALIASES)) - {"lane"}
_LANES = frozenset(get_args(Lane))
"""What is written there tells a misspelt ``lane`` from a ``line``, a ``lang`` or a ``plane``."""
_SEEDS = range(-(2**63), 2**63)
_WORDS: Mapping[str, str] = {
    "Value error, ": "",
    "Input should be": "expected",
    "String should have": "expected",
    "a valid tuple": "a list",
    "a valid integer": "a whole number",
    "a valid ": "a ",
}
"""How pydantic says things, and how this host does."""


def scene_from(entry: object) -> Scene | list[Problem]:
    """Make a scene of one entry, or return everything that is wrong with it.

    Unknown fields are kept in ``Scene.extra``, but one that is a known name misspelt is refused:
    the wish it holds would be paid for and not made. A known field that is ``null`` counts as
    absent; ``size`` as ``"1024x768"`` may stand for ``width`` and ``height``.
    """
    if not isinstance(entry, dict):
        return [Problem("", f"expected an object with scene_id and prompt, found {kind(entry)}")]
    fields, names, extra, problems = _sorted_out(cast("dict[str, Any]", entry))
    problems += _sized(fields, names)
    problems += _referring(fields)
    problems += _worded(fields, names)
    problems += _misspelt(fields, extra)
    try:
        scene = Scene.model_validate(fields | {"extra": extra}, strict=True)
    except ValidationError as error:
        named = {problem.where for problem in problems}
        found = _translated(error, entry=cast("dict[str, Any]", entry), names=names, extra=extra)
        return problems + [problem for problem in found if problem.where not in named]
    return problems or scene


def _sorted_out(
    entry: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any], list[Problem]]:
    """Part the fields we know (under our names, with the names they came by) from the rest."""
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    extra: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in entry.items():
        field = ALIASES.get(name, name)
        if field not in _FIELDS:
            extra[name] = value
        elif value is None:
            continue
        elif field in fields:
            problems.append(Problem(name, f"says the same as {names[field]}; give one of them"))
        else:
            fields[field] = _tupled(value)
            names[field] = name
    return fields, names, extra, problems


def _misspelt(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> list[Problem]:
    """Refuse what misspells a known name, but for a needed one: its absence is reported instead."""
    problems: list[Problem] = []
    if _MADE in extra:
        what = 'is made from references; write {"image": …, "name": …, "role": …} there'
        problems.append(Problem(_MADE, what))
    for name, value in extra.items():
        is_of_a_lane = isinstance(value, str) and value.strip().lower() in _LANES
        known = _SPELLINGS | {"lane"} if is_of_a_lane else _SPELLINGS
        near = misspelt(name[:_LONGEST_NAME], known)
        meant = ALIASES.get(near, near) if near is not None else None
        if meant is not None and (meant in fields or meant not in _NEEDED):
            what = f"is not known; did you mean {near!r}? Otherwise give it another name"
            problems.append(Problem(name, what))
    return problems


def _sized(fields: dict[str, Any], names: dict[str, str]) -> list[Problem]:
    """Put ``size`` in place of width and height."""
    if "size" not in fields:
        return []
    size = fields.pop("size")
    if "width" in fields or "height" in fields:
        return [Problem("size", "give either size, or width and height")]
    match = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match is None:
        found = repr(size[:20]) if isinstance(size, str) else kind(size)
        return [Problem("size", f"expected a string like '1024x768', found {found}")]
    fields["width"], fields["height"] = int(match[1]), int(match[2])
    names["width"] = names["height"] = "size"
    return []


def _referring(fields: dict[str, Any]) -> list[Problem]:
    """Put the pictures alone in place of ``references``, and what is said of them beside."""
    items = fields.get("references")
    if not isinstance(items, tuple):
        return []
    said, problems = read_references(cast("tuple[object, ...]", items))
    fields["references"] = tuple(one.image for one in said)
    if any(one.name or one.role for one in said):
        fields[_MADE] = tuple(said)
    return problems


def _worded(fields: dict[str, Any], names: Mapping[str, str]) -> list[Problem]:
    """Refuse what cannot be written to a file name, a row or a request."""
    problems: list[Problem] = []
    for field, value in fields.items():
        if isinstance(value, str):
            is_broken = is_half_a_pair(value)
        elif isinstance(value, tuple):
            texts = cast("tuple[object, ...]", value)
            is_broken = any(isinstance(text, str) and is_half_a_pair(text) for text in texts)
        else:
            continue
        if is_broken:
            problems.append(
                Problem(names.get(field, field), "holds half of a surrogate pair, which is no text")
            )
    scene_id = fields.get("scene_id")
    if isinstance(scene_id, str) and not problems:
        if "\0" in scene_id:
            problems.append(Problem("scene_id", "expected a name without NUL characters"))
        elif len(scene_id.encode()) > MAX_ID_BYTES:
            problems.append(Problem("scene_id", f"expected at most {MAX_ID_BYTES} bytes of UTF-8"))
    seed = fields.get("seed")
    if type(seed) is int and seed not in _SEEDS:
        problems.append(Problem("seed", "expected a whole number of at most 64 bits"))
    return problems


def _translated(
    error: ValidationError,
    *,
    entry: dict[str, Any],
    names: Mapping[str, str],
    extra: Mapping[str, Any],
) -> list[Problem]:
    """Say in our words, and under the names the file uses, what the model found."""
    problems: list[Problem] = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        field = str(fault["loc"][0]) if fault["loc"] else ""
        name = names.get(field, field)
        where = name + "".join(f"[{index}]" for index in fault["loc"][1:])
        if fault["type"] == "missing":
            problems.append(Problem(where, _missing(field, extra)))
            continue
        found: Any = entry.get(name)
        if len(fault["loc"]) > 1:
            found = found[int(fault["loc"][1])]
        what = fault["msg"]
        for model_words, our_words in _WORDS.items():
            what = what.replace(model_words, our_words)
        if fault["type"].endswith("_type"):
            what += f", found {kind(found)}"
        problems.append(Problem(where, what[:1].lower() + what[1:]))
    return list(dict.fromkeys(problems))  # width and height of one size are wrong in one way


def _missing(field: str, extra: Mapping[str, Any]) -> str:
    spellings = [field, *(alias for alias, meant in ALIASES.items() if meant == field)]
    said = f"missing; expected a string under {' or '.join(spellings)}"
    near = next((found for word in spellings if (found := closest(word, extra))), None)
    return f"{said}; found {near[:60]!r} instead" if near else said


def _tupled(value: Any) -> Any:
    """Return lists as the tuples that the model holds; its strict mode takes nothing else."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value
