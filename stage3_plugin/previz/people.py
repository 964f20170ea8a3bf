"""Who stands in a frame: how many, how each looks, what each feels and does.

A character's look comes from the cast, so that it stays; emotion and pose come from what this
scene says near the character's name, so that they change. Without a list of characters the
prompt's own words are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stage3_plugin.previz.cast import Cast, Member
from stage3_plugin.previz.chance import seed_of
from stage3_plugin.previz.figure import Look
from stage3_plugin.previz.lettering import drawable
from stage3_plugin.previz.lexicon import highest, people_words
from stage3_plugin.previz.looks import describe, share
from stage3_plugin.previz.palette import CAST_COLOURS
from stage3_plugin.previz.text import clean, last_digits, names, passage_about, sentence_from

MOST_PEOPLE = 6
"""Who is in focus; further characters stand in the crowd."""
_MOST_BY_NAMES = 3
_CALM, _STANDING = "calm", "stand"
_SHOCK, _DELIGHT = "shock", "delight"
_SHOWING = "show"


@dataclass(frozen=True, slots=True)
class Person:
    """A person in focus.

    Attributes:
        character: The identifier.
        name: For the slate, drawable; empty for a stranger.
        look: Everything the figure shows.
        colour: The character's own, ``#rrggbb``.
        called: What the prompt calls them.
        aboard: Whether words put them on a boat.
    """

    character: str
    name: str
    look: Look
    colour: str
    called: str = ""
    aboard: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """A person a scene needs.

    Attributes:
        character: The identifier.
        passage: Words about this one alone, where the prompt has no name to look for.
        is_known: Whether people have a word for them, which the slate shows.
    """

    character: str
    passage: str = ""
    is_known: bool = True


def roles_in(prompt: str, wording: str) -> tuple[Role, ...]:
    """Return the people in a scene that does not list its characters.

    Args:
        prompt: Cleaned, for names.
        wording: The prompt without boilerplate, for words that stand for people.
    """
    words = people_words()
    if words.nobody.found_in(wording):
        return ()
    named = names(prompt)
    count = max(
        [
            int(words.person.found_in(wording)),
            min(_MOST_BY_NAMES, len(named)) if len(named) > 1 else 0,
            *(size for size, group in words.groups.items() if group.found_in(wording)),
        ]
    )
    if not named and count <= 2 and (couple := _couple(wording)):
        return couple
    return tuple(
        Role(named[rank]) if rank < len(named) else _stranger(rank) for rank in range(count)
    )


def people_in(prompt: str, roles: Sequence[Role], cast: Cast) -> tuple[Person, ...]:
    """Return the people in focus, at most six of ``roles``."""
    roles = roles[:MOST_PEOPLE]
    members = [cast.member(role.character) for role in roles]
    called = [
        member.alias or member.name or role.character
        for role, member in zip(roles, members, strict=True)
    ]
    known = [member.name for member in members if member.name]
    all_sit = len(roles) > 1 and people_words().seated.found_in(prompt)
    people: list[Person] = []
    for role, member, name in zip(roles, members, called, strict=True):
        passage = (
            role.passage
            or passage_about(name, prompt, called)
            or passage_about(member.name or "", prompt, known)
        )
        look = _look(role.character, member, passage, prompt, alone=len(roles) == 1)
        taken = [person.colour for person in people]
        people.append(
            Person(
                character=role.character,
                name=drawable(clean(member.name or role.character)) if role.is_known else "",
                look=replace(look, pose="sit") if all_sit else look,
                colour=member.colour or _free_colour(role.character, taken),
                called=name if name in prompt else member.name or "",
                aboard=people_words().aboard.found_in(passage),
            )
        )
    return tuple(people)


def _stranger(rank: int, passage: str = "") -> Role:
    return Role(f"figure-{rank + 1}", passage, is_known=False)


def _couple(wording: str) -> tuple[Role, ...]:
    """Find a man and a woman, each with the words that follow."""
    words = people_words()
    man, woman = words.men.start(wording), words.women.start(wording)
    if man is None or woman is None:
        return ()
    first, second = sorted((man, woman))
    return (_stranger(0, wording[first:second]), _stranger(1, wording[second:]))


def colour_of(character: str) -> str:
    """Return the colour of a character no cast knows: by number, else by lot."""
    digits = last_digits(character)
    rank = int(digits) - 1 if digits else seed_of("cast", character)
    return CAST_COLOURS[rank % len(CAST_COLOURS)]


def _free_colour(character: str, taken: Sequence[str]) -> str:
    """Return the character's colour, or the next one that no person beside them has."""
    own = CAST_COLOURS.index(colour_of(character))
    from_own_on = [*CAST_COLOURS[own:], *CAST_COLOURS[:own]]
    return next((colour for colour in from_own_on if colour not in taken), from_own_on[0])


def _felt(said: str, prompt: str) -> str | None:
    """Return one's own feeling, or everybody's where one's own is calm, as a whole scene may be."""
    own = _emotion(people_words().together.sub(" ", said))
    return own if own not in {None, _CALM} else _emotion(_about_all(prompt)) or own


def _about_all(prompt: str) -> str:
    """Return the clauses about everybody at once: "all three smiling", "determined faces"."""
    return " ".join(match.group() for match in people_words().together.finditer(prompt))


def _emotion(said: str) -> str | None:
    """Return what is felt; surprise with a smile is delight, not fright."""
    words = people_words().emotions
    found = highest(words, said)
    return _DELIGHT if found == _SHOCK and words["happy"].found_in(said) else found


def _pose(said: str) -> str | None:
    """Return what is done; who bends over something and points at it does both."""
    words = people_words().poses
    found = highest(words, said)
    return _SHOWING if found == "lean" and words["point"].found_in(said) else found


def _look(character: str, member: Member, passage: str, prompt: str, *, alone: bool) -> Look:
    words = people_words()
    known = f"{member.description} {member.passage}".strip()
    if known or passage:
        said = passage or prompt
        sentence = sentence_from(passage, prompt) if passage else prompt
        return replace(
            describe(known or passage, character),
            emotion=_felt(said, prompt)
            or _emotion(sentence)
            or _emotion(member.description)
            or _CALM,
            pose=_pose(said) or _pose(sentence) or _STANDING,
            sweat=words.sweat.found_in(said),
        )
    if alone:
        # The prompt names no other person.
        look = describe(prompt, character)
        return replace(
            look, emotion=_emotion(prompt) or look.emotion, pose=_pose(prompt) or look.pose
        )
    return share(prompt, character)  # no person is described by name
