"""How judged decisions are written down in a story's book.

Only what is not there yet is written: applied twice, decisions change nothing the second time. All
of it is one transaction, so that a kill leaves a story with all of the decisions or with none. No
file is moved here: who applies decisions brings the pictures to where the pointers say.

What is wanted is bound to what a scene would be made from, and a new prompt or another shown sheet
changes that. So how many takes are wanted is said last, when it is known what the rest came to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from host_stub.decisions.judge import Judged, Order, Standing
from host_stub.decisions.merge import Note
from host_stub.story.book import Book
from host_stub.story.takes import Take, is_current
from host_stub.text.format import counted

BY_DECISION: Final = "decided"
"""Why a pointer was moved, in the book."""
_MOST_NAMED: Final = 20


@dataclass(slots=True, kw_only=True)
class Applied:
    """What decisions came to.

    Attributes:
        decided: How many scenes there is a decision about that counts.
        changed: What was written, by kind.
        moves_bases: Something was written on which hangs what scenes are made from.
        refused: Decisions that are not obeyed, each with its reason.
        conflicts: Decisions that count for nothing, since a later one says something else.
        warnings: What is obeyed and does not last.
    """

    decided: int = 0
    changed: Counter[str] = field(default_factory=Counter[str])
    moves_bases: bool = False
    refused: tuple[Note, ...] = ()
    conflicts: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what a plan, or a manifest, says of it."""
        return {
            "decisions_refused": [one.as_json() for one in self.refused],
            "decisions_conflicts": [one.as_json() for one in self.conflicts],
            "decisions_warnings": [one.as_json() for one in self.warnings],
        }

    def as_lines(self) -> list[str]:
        """Say it to a person; each refused one and each conflict by its scene, up to 20."""
        done = [counted(number, *_NOUNS[kind]) for kind, number in sorted(self.changed.items())]
        refused = f"; {len(self.refused)} refused" if self.refused else ""
        new = f": {', '.join(done)}" if done else ", nothing new in them"
        return [
            f"decisions about {counted(self.decided, 'scene')}{refused}{new}",
            *_named("refused", self.refused),
            *_named("decided twice", self.conflicts),
            *_named("not for long", self.warnings),
        ]


_NOUNS: Final[Mapping[str, tuple[str, str]]] = {
    "notes": ("note", "notes"),
    "prompts": ("new prompt", "new prompts"),
    "rejected": ("take rejected", "takes rejected"),
    "shown": ("take picked", "takes picked"),
    "unrejected": ("take not rejected any more", "takes not rejected any more"),
    "wanted": ("scene with a new number of takes", "scenes with a new number of takes"),
}


def apply_orders(judged: Judged, book: Book, *, own: Mapping[str, str]) -> Applied:
    """Write down what is decided, but for how many takes are wanted.

    Args:
        judged: The decisions.
        book: Where they are written down.
        own: The digest of the scene file's own prompt, of each scene with a prompt in a decision.
    """
    applied = Applied(decided=len(judged.orders) + len(judged.refused), refused=judged.refused)
    with book.transaction():
        for order in judged.orders:
            applied.changed.update(_apply(order, book, own))
    applied.warnings = tuple(_passing(judged.orders))
    applied.moves_bases = bool(applied.changed["shown"] or applied.changed["prompts"])
    return applied


def apply_wants(
    judged: Judged, standings: Iterable[Standing], book: Book, *, own: Mapping[str, str]
) -> Applied:
    """Write down how many takes are wanted, for what each scene is made from now.

    Args:
        judged: The decisions, as far as they are obeyed; all but the numbers is written down.
        standings: How their scenes stand since.
        book: Where they are written down.
        own: As for :func:`apply_orders`.
    """
    bases = {standing.scene_id: standing for standing in standings}
    refused: list[Note] = []
    changed: Counter[str] = Counter()
    with book.transaction():
        for order in judged.orders:
            decision = order.decision
            standing = bases.get(decision.scene_id)
            basis = None if standing is None else standing.basis
            if order.learns and basis is not None:
                book.say_prompt(
                    decision.scene_id,
                    decision.prompt,
                    said_for=own[decision.scene_id],
                    basis=order.without,
                    gave=basis,
                )
            if decision.takes is None:
                continue
            if basis is not None:
                changed["wanted"] += _want(decision.scene_id, basis, decision.takes, book)
            elif decision.takes > 1:
                why = (
                    "how many takes of it are wanted can be said once a picture that it refers to "
                    "is made: run, and then decide"
                )
                refused.append(Note(scene_id=decision.scene_id, why=why))
    return Applied(changed=+changed, refused=tuple(refused))


def _apply(order: Order, book: Book, own: Mapping[str, str]) -> Counter[str]:
    decision = order.decision
    scene_id = decision.scene_id
    done: Counter[str] = Counter()
    for kind, takes in (("rejected", order.reject), ("unrejected", order.keep)):
        if takes:
            numbers = [_number(take, order, book) for take in takes]
            book.reject(scene_id, numbers, rejected=kind == "rejected")
            done[kind] += len(numbers)
    if order.show is not None:
        number = _number(order.show, order, book)
        if book.pick(scene_id) != number:
            book.point(scene_id, number, by="person", why=BY_DECISION)
            done["shown"] += 1
    if order.prompt is not None:
        book.say_prompt(scene_id, order.prompt, said_for=own[scene_id], basis=order.without)
        done["prompts"] += 1
    if decision.note is not None:
        who = decision.origin.reviewer or ""
        there = {said.reviewer: said.note for said in book.notes_of(scene_id)}.get(who, "")
        if there != decision.note:
            book.note(scene_id, decision.note or None, who or None)
            done["notes"] += 1
    return done


def _passing(orders: Iterable[Order]) -> Iterator[Note]:
    """Name the picks that the next run takes back: a pick holds as long as its basis does."""
    for order in orders:
        take = order.show
        if take is None:
            continue
        if order.prompt is not None or not is_current(take, order.basis):
            what = "is a draft" if take.is_draft else "was made from something else"
            why = (
                f"take {take.number} {what}, so it is shown only until a run makes, or finds, a "
                "picture of what the scene is now"
            )
            yield Note(scene_id=order.decision.scene_id, why=why)


def _number(take: Take, order: Order, book: Book) -> int:
    """Return a take's number in the book, which may not have it yet: the plugin told of it."""
    there = book.take(take.scene_id, take.number)
    if there is not None and there.sha256 == take.sha256:
        return take.number
    for mine, written in zip(order.takes, book.add(order.takes), strict=True):
        if mine is take:
            return written.number
    raise AssertionError("an order names takes of its scene")


def _want(scene_id: str, basis: str, takes: int, book: Book) -> bool:
    there = next((want.takes for want in book.wanted(scene_id) if want.basis == basis), 1)
    if there == takes:
        return False
    book.want(scene_id, basis=basis, takes=takes)
    return True


def _named(what: str, notes: Sequence[Note]) -> list[str]:
    lines = [f"  {what}: {note}" for note in notes[:_MOST_NAMED]]
    more = len(notes) - _MOST_NAMED
    return [*lines, *([f"  and {more} more; --json has all of them"] if more > 0 else [])]
