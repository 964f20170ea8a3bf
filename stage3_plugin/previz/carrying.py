"""Who carries what: things in hands, by the words of the prompt and by the hands that are free.

A hand has one thing. What words put into a hand goes there; a sword or an umbrella does so by
itself, and outdoors, where there is no table, so does any small thing that words put nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stage3_plugin.previz.people import Person
from stage3_plugin.previz.props import HELD_AS, LANTERNS
from stage3_plugin.previz.reading import Reading
from stage3_plugin.previz.things import Held, Prop

_HANGING = LANTERNS | {"briefcase"}
_BOTH_HANDS = frozenset({"concertina", "guitar", "open-book", "laptop"})
_SMALL_HEADS = 1.3
"""Up to this size, in heads, a thing is carried without words for it."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Who has what.

    Attributes:
        people: As before, with what their hands do in their look.
        carried: By rank among the people.
        between: What hangs from two hands that hold each other.
        rest: What no person has.
    """

    people: tuple[Person, ...]
    carried: dict[int, Prop] = field(default_factory=dict[int, Prop])
    between: Prop | None = None
    rest: tuple[Prop, ...] = ()


def hand_out(reading: Reading, handy: Sequence[Prop], *, has_table: bool) -> Hands:
    """Put things into hands."""
    people = list(reading.people)
    carried: dict[int, Prop] = {}
    between: Prop | None = None
    rest: list[Prop] = []
    first = 0 if len(people) < 3 else 1
    is_close, is_outdoors = reading.shot.is_close, not reading.setting.indoor
    for prop in handy:
        if prop.held is Held.BETWEEN and reading.hand_in_hand and between is None:
            between = prop
            continue
        by_words = prop.held.is_carried
        by_itself = prop.icon in HELD_AS and not is_close and prop.held is not Held.PLACED
        no_table = is_outdoors and not has_table and prop.held is Held.UNSAID
        small = prop.heads <= _SMALL_HEADS and prop.icon not in LANTERNS
        taken = by_words or by_itself or (no_table and small and not is_close)
        holder = first if prop.holder is None else prop.holder
        if not by_words and by_itself:
            holder = first
        if not taken or holder >= len(people) or holder in carried:
            rest.append(prop)
            continue
        look = people[holder].look
        if look.hold:
            rest.append(prop)
            continue
        hold = HELD_AS.get(prop.icon)
        if hold is not None and not is_close:
            if look.pose == "sit":
                rest.append(prop)
            else:
                people[holder] = replace(people[holder], look=replace(look, hold=hold))
            continue
        hands = _hands(prop, is_close=is_close)
        people[holder] = replace(people[holder], look=replace(look, hands=hands))
        carried[holder] = prop
    return Hands(tuple(people), carried, between, tuple(rest))


def _hands(prop: Prop, *, is_close: bool) -> str:
    if is_close or prop.held is Held.RAISED:
        return "raise"
    if prop.icon in _BOTH_HANDS:
        return "both"
    return "hang" if prop.icon in _HANGING else "carry"
