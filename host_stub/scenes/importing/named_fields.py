"""Words that people use for the fields of a scene, and how a cell of text becomes a field's value.

A table's columns, the fields of a Markdown scene and its front matter are the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from host_stub.scenes.importing.story import words_of

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
