"""What every reader of a foreign story makes of it, by which words, and how it refuses one.

The readers are pure: bytes of a file in, scenes or a refusal out. What a reader understood and did
not take over is said in words, since a wish that goes lost is found out only when it is paid for.

A table's columns, the fields of a Markdown scene and its front matter are the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from host_stub.errors import Problem
from host_stub.scenes.strict_json import kind

MOST_BYTES: Final = 8 * 1024 * 1024
"""A longer file is refused: no story, and too much to hold at once."""
MOST_SCENES: Final = 20_000
MOST_NAMED: Final = 5
"""Scenes or fields that one sentence names."""
_LONGEST_NAME: Final = 60

Entry: TypeAlias = dict[str, Any]
"""One scene as a scene file has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a scene stands in the file that it comes from.

    Attributes:
        where: In words: a line, or an index.
        names: What the file calls a field of ours, where that is another word.
    """

    where: str
    names: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A story that was read.

    Attributes:
        kind: What it was, in words: ``a mulmoscript``.
        entries: Its scenes, in order, each as a scene file has it.
        origins: Where each stands, as many.
        cast: Who or what is shown in several scenes: settings of one member, by its id.
        notes: What was not taken over and what was made up, a sentence each.
    """

    kind: str
    entries: tuple[Entry, ...]
    origins: tuple[Origin, ...]
    cast: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    notes: tuple[str, ...] = ()


class NotAStory(Exception):
    """A file that no scenes can be made of.

    Attributes:
        problems: What is wrong, and where; at least one.
        hint: The next step.
    """

    def __init__(self, *problems: Problem, hint: str) -> None:
        self.problems = problems
        self.hint = hint
        super().__init__("; ".join(map(str, problems)))


class Names:
    """Ids that are given out once each: a second scene of the same name gets a number."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._counts: dict[str, int] = {}

    def new(self, name: str) -> str:
        """Return ``name``, or ``name-2`` and so on where it is taken."""
        made = name
        while made in self._given:
            self._counts[name] = self._counts.get(name, 1) + 1
            made = f"{name}-{self._counts[name]}"
        self._given.add(made)
        return made


def numbered(count: int) -> str:
    """Name a scene that has no name by its place, counted from 1."""
    return f"scene_{count:03d}"


def listed(names: Iterable[str]) -> str:
    """Name the first few, shortened, and how many more there are."""
    every = list(dict.fromkeys(names))
    more = len(every) - MOST_NAMED
    shown = ", ".join(repr(name[:_LONGEST_NAME]) for name in every[:MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def refuse_too_many(count: int) -> None:
    """Refuse a story of more scenes than are imported.

    Raises:
        NotAStory: It has.
    """
    if count > MOST_SCENES:
        raise NotAStory(
            Problem("", f"expected at most {MOST_SCENES:,} scenes"),
            hint="split the file, or write the scenes as JSON Lines, of which there may be more",
        )


def words_of(value: object) -> Iterator[str]:
    """Return the texts of a list, or of one text with commas or semicolons between."""
    if isinstance(value, str):
        for part in value.replace(";", ",").split(","):
            if part.strip():
                yield part.strip()
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            if text := text_of(item):
                yield text


def object_at(where: str, value: object, *, hint: str) -> Mapping[str, Any]:
    """Return a JSON object, an empty one where there is none.

    Raises:
        NotAStory: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotAStory(Problem(where, f"expected an object, found {kind(value)}"), hint=hint)
    return cast("dict[str, Any]", value)


def list_at(where: str, value: object, *, hint: str) -> list[object]:
    """Return a JSON list, an empty one where there is none.

    Raises:
        NotAStory: It is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise NotAStory(Problem(where, f"expected a list, found {kind(value)}"), hint=hint)
    return cast("list[object]", value)


def text_of(value: object) -> str:
    """Return a JSON string without spaces around it; an empty one where it is something else."""
    return value.strip() if isinstance(value, str) else ""


_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "scene_id": (
        "id",
        "scene id",
        "scene",
        "scene name",
        "no",
        "nr",
        "number",
        "#",
        "shot",
        "slug",
    ),
    "prompt": ("image prompt", "picture", "image", "description", "visual", "visual description"),
    "negative_prompt": ("negative", "avoid"),
    "style_tags": ("style", "styles", "style tag", "tags"),
    "characters": ("character", "cast", "characters in scene"),
    "references": ("reference", "reference images", "refs"),
    "size": ("resolution", "dimensions"),
    "width": (),
    "height": (),
    "seed": (),
    "takes": ("take", "variants"),
    "model": (),
    "quality": (),
    "lane": (),
    "if_refused": (),
}
"""Our field, and other words for it; a space stands for a space, a dash and an underscore."""
_FIELDS: Final = {
    word: ours for ours, others in _SAID.items() for word in (ours.replace("_", " "), *others)
}
LISTS: Final = frozenset({"style_tags", "characters", "references"})
_NUMBERS: Final = frozenset({"width", "height", "seed", "takes"})
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_RUNS: Final = re.compile(r"[\s_-]+")


def field_named(name: str) -> str | None:
    """Return the field that a person means by a name; ``None`` for a name of their own."""
    return _FIELDS.get(_RUNS.sub(" ", name.casefold()).strip(" :*"))


def value_of(field: str, text: str) -> Any:
    """Return the value of a field that was written as text; what is no number stays a text.

    Whoever checks the scene then says what was expected there.
    """
    text = text.strip()
    if field in LISTS:
        return list(words_of(text))
    if field == "if_refused":
        return [text]
    if field in _NUMBERS and _WHOLE.fullmatch(text):
        return int(text)
    return text
