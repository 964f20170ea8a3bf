"""Who stands in a frame: how many, how each looks, what each feels and does.

A character's look comes from the cast, so that it stays; emotion and pose come from what this
scene says near the character's name, so that they change. Without a list of characters the
prompt's own words are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stage3_plugin.providers.previz.cast import Cast
from stage3_plugin.providers.previz.chance import seed_of
from stage3_plugin.providers.previz.figure import Look
from stage3_plugin.providers.previz.lettering import drawable
from stage3_plugin.providers.previz.lexicon import highest, people_words
from stage3_plugin.providers.previz.looks import describe
from stage3_plugin.providers.previz.palette import CAST_COLOURS
from stage3_plugin.providers.previz.text import last_digits, names, passage_about

MOST_PEOPLE = 4
"""Who is in focus; further characters stand in the crowd."""
_MOST_BY_NAMES = 3


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in focus.

    Attributes:
        character: The identifier.
        name: For the slate, drawable.
        look: Everything the figure shows.
        colour: The character's own, ``#rrggbb``.
    """

    character: str
    name: str
    look: Look
    colour: str


def characters_in(prompt: str, told: str) -> tuple[str, ...]:
    """Tell who is in a scene that does not list its characters.

    Args:
        prompt: Cleaned, for names.
        told: The prompt without boilerplate, for words that stand for people.
    """
    words = people_words()
    if words.nobody.found_in(told):
        return ()
    named = names(prompt)
    count = max(
        [
            int(words.person.found_in(told)),
            min(_MOST_BY_NAMES, len(named)) if len(named) > 1 else 0,
            *(size for size, group in words.groups.items() if group.found_in(told)),
        ]
    )
    return tuple(
        named[rank] if rank < len(named) else f"figure-{rank + 1}" for rank in range(count)
    )


def people_in(prompt: str, characters: Sequence[str], cast: Cast) -> tuple[Person, ...]:
    """Give the people in focus, at most four of ``characters``."""
    characters = characters[:MOST_PEOPLE]
    members = [cast.member(character) for character in characters]
    called = [
        member.alias or member.name or character
        for character, member in zip(characters, members, strict=True)
    ]
    known = [member.name for member in members if member.name]
    all_sit = len(characters) > 1 and people_words().seated.found_in(prompt)
    people: list[Person] = []
    for character, member, name in zip(characters, members, called, strict=True):
        passage = passage_about(name, prompt, called)
        passage = passage or passage_about(member.name or "", prompt, known)
        look = _look(character, member.description, passage, prompt, alone=len(characters) == 1)
        people.append(
            Person(
                character=character,
                name=drawable(member.name or character),
                look=replace(look, pose="sit") if all_sit else look,
                colour=member.colour or colour_of(character),
            )
        )
    return tuple(people)


def colour_of(character: str) -> str:
    """Give the colour of a character no cast knows: by number, else by lot."""
    digits = last_digits(character)
    rank = int(digits) - 1 if digits else seed_of("cast", character)
    return CAST_COLOURS[rank % len(CAST_COLOURS)]


def _look(character: str, description: str, passage: str, prompt: str, *, alone: bool) -> Look:
    look = describe(description or passage or (prompt if alone else ""), character)
    if passage:
        words = people_words()
        return replace(
            look,
            emotion=highest(words.emotions, passage) or look.emotion,
            pose=highest(words.poses, passage) or "stand",
        )
    if not description and not alone:
        # Nobody is described by name: all share what the scene says.
        shared = describe(prompt, character)
        look = replace(
            look,
            emotion=shared.emotion,
            pose=shared.pose,
            outfit=shared.outfit,
            sweat=shared.sweat,
            age=look.age if shared.age == "old" else shared.age,
        )
    return look
