"""Which things a prompt speaks of, in which colour, and whether a person has them in the hand.

Words around a thing's word decide: a colour before it, "holds up" before it, "in her hand" behind
it, "on the table" behind it. It is apart from the rest of the reading because it alone looks at
where a word stands and not only whether it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from stage3_plugin.previz.lexicon import PropKind, PropWords, earliest, people_words, prop_words

_AROUND = 60
"""How many characters before and behind a word are looked at."""
_OWN = re.compile(
    r"(?:\b(?:the|their|her|his|its|our|my)(?: [a-z]+){0,2} |[他她我]们?的)$", re.IGNORECASE
)


class Held(StrEnum):
    """Where a thing is, as far as words say."""

    UNSAID = "unsaid"
    HAND = "hand"
    RAISED = "raised"
    BETWEEN = "between"
    PLACED = "placed"
    FEET = "feet"

    @property
    def is_carried(self) -> bool:
        """Return whether a person has it."""
        return self in {Held.HAND, Held.RAISED, Held.BETWEEN}


@dataclass(frozen=True, slots=True)
class Prop:
    """A thing in the picture.

    Attributes:
        icon: The name of its drawing.
        kind: Where such things belong.
        heads: How large it is on a table or in a hand, in heights of a head.
        colour: What words dye it, ``#rrggbb``.
        held: Whether a person has it.
        holder: Which of the people has it, if words say.
        is_known: Whether the prompt takes it for known: "the boat", "their boat".
        is_many: Whether there are several.
    """

    icon: str
    kind: PropKind
    heads: float = 1.0
    colour: str | None = None
    held: Held = Held.UNSAID
    holder: int | None = None
    is_known: bool = False
    is_many: bool = False


def things_in(text: str, called: Iterable[str]) -> tuple[Prop, ...]:
    """List the things in the order of the text.

    Args:
        text: A prompt without what misleads.
        called: What the prompt calls each of the people; a thing is in the hand of the one who was
            named last before it.
    """
    names = tuple(called)
    hits = [
        (match.start(), _thing(name, words, match, text, names))
        for name, words in prop_words().items()
        if (match := _deciding(words, text)) is not None
    ]
    return tuple(prop for _, prop in sorted(hits, key=lambda hit: (hit[0], hit[1].icon)))


def _deciding(words: PropWords, text: str) -> re.Match[str] | None:
    """Return the first mention that says where the thing is, or the first of all."""
    first: re.Match[str] | None = None
    if words.kind != "hand":
        return words.words.pattern.search(text)
    for match in words.words.pattern.finditer(text):
        if _held(words, match, text) is not Held.UNSAID:
            return match
        first = first or match
    return first


def _thing(
    name: str, words: PropWords, match: re.Match[str], text: str, names: tuple[str, ...]
) -> Prop:
    before = text[max(0, match.start() - _AROUND) : match.start()]
    word = match.group().lower()
    prop = Prop(
        icon=name,
        kind=words.kind,
        heads=words.heads,
        colour=None if words.is_undyed else _colour(before),
        held=_held(words, match, text),
        is_known=_OWN.search(before) is not None,
        is_many=word.isascii() and word.endswith("s") and not word.endswith("ss"),
    )
    return replace(prop, holder=_last_named(names, text, match.start()))


def _colour(before: str) -> str | None:
    found = people_words().dyed.search(before)
    if found is None:
        return None
    return earliest(people_words().colours, found.group("english") or found.group("chinese"))


def _held(words: PropWords, match: re.Match[str], text: str) -> Held:
    holding = people_words().holding
    behind = text[match.end() : match.end() + _AROUND]
    if words.kind == "animal" and holding.feet.search(behind):
        return Held.FEET
    if words.kind != "hand" or words.is_fixed:
        return Held.UNSAID
    before = text[max(0, match.start() - _AROUND) : match.start()]
    if holding.between.search(behind):
        return Held.BETWEEN
    if holding.raised.search(before):
        return Held.RAISED
    if holding.behind.search(behind) or holding.before.search(before):
        return Held.HAND
    if holding.placed.search(behind):
        return Held.PLACED
    return Held.HAND if holding.along.search(before) else Held.UNSAID


def _last_named(names: tuple[str, ...], text: str, start: int) -> int | None:
    places = [(text.rfind(name, 0, start), rank) for rank, name in enumerate(names) if name]
    named = [place for place in places if place[0] >= 0]
    return max(named)[1] if named else None
