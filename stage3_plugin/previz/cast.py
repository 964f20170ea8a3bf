"""The cast: who bears which name, looks like what and has which colour, over the whole story.

A character is an identifier to the scene file and a name to the prompts. Which belongs to which is
inferred from who appears where, so that a frame can look for the words about each person, and the
look found in the richest scene is kept in all others. The passes hold state per character and per
name, never per scene: a story of 100,000 scenes is read from its file again instead of piling up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stage3_plugin.previz.lexicon import people_words
from stage3_plugin.previz.palette import CAST_COLOURS
from stage3_plugin.previz.plate import Plate, Sheet
from stage3_plugin.previz.text import capitalised, clean, name_from, names, passage_about, wish

_ROUNDS = 4
"""How often a name that one character got is taken from the others' candidates."""


@dataclass(frozen=True, slots=True)
class Member:
    """One character.

    Attributes:
        name: What people call them, for the slate.
        alias: What the prompts call them, if it could be inferred.
        description: What the story's source says of them.
        passage: What the richest of the prompts says of them.
        colour: ``#rrggbb``, theirs alone as long as the palette lasts.
    """

    name: str | None = None
    alias: str | None = None
    description: str = ""
    passage: str = ""
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, by identifier. Empty where no story was studied."""

    members: Mapping[str, Member] = field(default_factory=dict[str, Member])

    def member(self, character: str) -> Member:
        """Return a character; one who was never seen has no name and no look yet."""
        return self.members.get(character, Member())

    def only(self, characters: Iterable[str]) -> Cast:
        """Return the cast of one frame, which is all that its renderer needs."""
        wanted = dict.fromkeys(characters)
        return Cast({who: self.members[who] for who in wanted if who in self.members})


class Naming:
    """The first pass: which name goes with which character.

    An identifier that prompts use is a name itself, in any script. Otherwise a name in Latin
    letters is a character's candidate if it stands in every scene of theirs and in no other.
    """

    def __init__(self) -> None:
        self._sheets: dict[str, Sheet] = {}
        self._candidates: dict[str, list[str]] = {}
        self._bearers: dict[str, frozenset[str]] = {}
        self._self_named: dict[str, str] = {}

    def see(self, plate: Plate) -> None:
        """Take one scene into account."""
        for sheet in plate.sheets:
            self._sheets.setdefault(sheet.character, sheet)
        named = names(plate.prompt)
        here = frozenset(plate.characters)
        for character in plate.characters:
            known = self._candidates.get(character)
            self._candidates[character] = (
                list(named) if known is None else [name for name in known if name in named]
            )
            if character not in self._self_named:
                own = name_from(character, plate.prompt)
                if own is not None:
                    self._self_named[character] = own
        for name in named:
            self._bearers[name] = self._bearers.get(name, here) & here

    def solve(self) -> Cast:
        """Name every character; looks and colours are for the second pass."""
        candidates = {
            character: [name for name in found if character in self._bearers[name]]
            for character, found in self._candidates.items()
        }
        for _ in range(_ROUNDS):
            solved = {found[0] for found in candidates.values() if len(found) == 1}
            for character, found in candidates.items():
                if len(found) > 1:
                    candidates[character] = [n for n in found if n not in solved] or found
        members = {
            sheet.character: Member(name=sheet.name, description=sheet.description)
            for sheet in self._sheets.values()
        }
        taken = {found[0] for found in candidates.values() if len(found) == 1}
        for character, found in candidates.items():
            free = found if len(found) == 1 else [name for name in found if name not in taken]
            taken.update(free[:1])
            alias = self._self_named.get(character) or (free[0] if free else None)
            if alias is not None:
                member = members.get(character, Member())
                members[character] = replace(member, alias=alias, name=member.name or alias)
        return Cast(members)


class Describing:
    """The second pass: the passage that says most about each character's look.

    It starts at the character's name; who has none is described by the scenes they have alone.
    """

    def __init__(self, named: Cast) -> None:
        self._members = dict(named.members)
        self._aliases = [member.alias for member in named.members.values() if member.alias]
        self._by_word: dict[str, list[str]] = {}
        for character, member in named.members.items():
            for word in capitalised(member.alias or ""):
                self._by_word.setdefault(word, []).append(character)
                break
        self._best: dict[str, tuple[int, str]] = {}

    def see(self, plate: Plate) -> None:
        """Take one scene into account."""
        for character in plate.characters:
            self._members.setdefault(character, Member())
        text = people_words().owned.sub("", clean(plate.prompt))
        for character in self._mentioned(text, plate.characters):
            alias = self._members[character].alias
            if alias:
                passage = passage_about(alias, text, self._aliases)
            else:
                passage = wish(text) if plate.characters == (character,) else ""
            wealth = _wealth(passage) if passage else 0
            if wealth > self._best.get(character, (0, ""))[0]:
                self._best[character] = (wealth, passage)

    def cast(self) -> Cast:
        """Return the finished cast, everybody with a colour."""
        finished: dict[str, Member] = {}
        for rank, (character, member) in enumerate(self._members.items()):
            found = self._best.get(character, (0, ""))[1]
            finished[character] = replace(
                member,
                passage=found,
                colour=CAST_COLOURS[rank % len(CAST_COLOURS)],
            )
        return Cast(finished)

    def _mentioned(self, text: str, characters: Iterable[str]) -> Iterable[str]:
        # Looking for each of a thousand names in each of 100,000 scenes would take minutes.
        mentioned = dict.fromkeys(characters)
        for word in capitalised(text):
            mentioned.update(dict.fromkeys(self._by_word.get(word, ())))
        return mentioned


def study(story: Iterable[Plate]) -> Cast:
    """Make the cast of a story that can be iterated twice."""
    naming = Naming()
    for plate in story:
        naming.see(plate)
    describing = Describing(naming.solve())
    for plate in story:
        describing.see(plate)
    return describing.cast()


def _wealth(passage: str) -> int:
    """Count what a passage says about a look."""
    words = people_words()
    tables = (words.outfits, words.hair_styles, words.ages)
    features = [words.female, words.glasses, *(each for table in tables for each in table.values())]
    return sum(feature.found_in(passage) for feature in features)
