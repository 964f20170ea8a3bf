"""The takes that are wanted of one scene, and which purchase stands for each of them.

What counts as a take of a wish are the purchases that live, whichever number their keys have: those
made by a route of this run, and on whatever route what is in doubt. So many fewer are bought. In
one run no two takes of a scene are at the same purchase.

A slot is what is bought once, on whatever route: the first ``k`` of a subject where ``k`` pictures
of it are wanted, so that two runs that want the same number want the same slots.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import NamedTuple

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.states import LIVE, UNSETTLED, State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.reuse import OnUnknown, Reuse, may_be_resent, reuse_of


class LiveTake(NamedTuple):
    """A purchase that counts as one of the wanted takes.

    Attributes:
        purchase: That.
        number: Which take its key says it is; ``None`` if it is in doubt on a route that is none of
            this run's, whose picture would not be the one that is wanted.
    """

    purchase: Purchase
    number: int | None


def live_takes(
    ledger: Ledger, keys: Keys, *, wanted: int, rows: Sequence[Purchase] | None = None
) -> list[LiveTake]:
    """Return what counts for a wish: what is there first, in the order in which it came.

    Where one is wanted, and is there under its own key, that alone.

    Args:
        ledger: To read.
        keys: Of any of its takes.
        wanted: How many are wanted: so many numbers are looked for by their keys, and all others in
            the slots of the subject.
        rows: What is in those, if it was read already.
    """
    found: dict[str, LiveTake] = {}
    for number in range(1, wanted + 1):
        known_as = keys.of_take(number)
        purchase = ledger.live(known_as.scene_key, known_as)
        if purchase is not None:
            found[purchase.new.attempt_id] = LiveTake(purchase, number)
            if wanted == 1 and purchase.state is State.PAID:
                return list(found.values())
    for row in ledger.of_subject(keys.subject_key) if rows is None else rows:
        if row.state in LIVE and row.new.attempt_id not in found:
            number_of_it = keys.take_of(row.new)
            if number_of_it is not None or row.state in UNSETTLED:
                found[row.new.attempt_id] = LiveTake(row, number_of_it)
    return sorted(found.values(), key=_rank)


def standing(
    ledger: Ledger, take: LiveTake, keys: Keys, *, state: State, on_unknown: OnUnknown
) -> Reuse:
    """Return what a purchase means for the take that it stands for.

    Args:
        ledger: To read.
        take: It, which lives.
        keys: Of the wish.
        state: Where it stands, or will.
        on_unknown: The setting.
    """
    if take.number is None:
        return Reuse.AWAITED if state is State.ACCEPTED else Reuse.UNDECIDED
    is_unknown = state is State.UNKNOWN
    return reuse_of(
        state,
        on_unknown=on_unknown if may_be_resent(take.purchase) else "hold",
        resends=ledger.resends(keys, take.purchase.new.slot) if is_unknown else 0,
    )


def _rank(take: LiveTake) -> tuple[bool, bool, str, str]:
    purchase = take.purchase
    came_at = purchase.changed_at if purchase.state is State.PAID else purchase.held_at
    is_there = purchase.state is State.PAID
    return not is_there, take.number is None, came_at.isoformat(), purchase.new.attempt_id


def first_take(ledger: Ledger, keys: Keys) -> Purchase | None:
    """Return what stands for a scene where one picture of it is wanted, made by a route of ours."""
    ours = (take.purchase for take in live_takes(ledger, keys, wanted=1) if take.number is not None)
    return next(ours, None)


@dataclass(slots=True)
class WantedTakes:
    """The takes of a scene in one run.

    Attributes:
        wanted: How many.
    """

    wanted: int = 1
    _at: list[str | None] = field(default_factory=list[str | None])
    _reserved: dict[int, int] = field(default_factory=dict[int, int])

    def of_others(self, number: int) -> frozenset[str]:
        """Return the purchases that all others of them are at.

        It is asked in the thread that commits, too.
        """
        at = enumerate(tuple(self._at), start=1)
        return frozenset(one for other, one in at if one is not None and other != number)

    def turn_to(self, number: int, attempt_id: str | None) -> None:
        """Let one of them be at a purchase."""
        while len(self._at) < number:
            self._at.append(None)
        self._at[number - 1] = attempt_id

    def reserve(self, number: int, taken: Collection[int | None]) -> int:
        """Return which take of the wish one of them is to be: none that is taken, or another's."""
        others = {take for other, take in self._reserved.items() if other != number}
        free = [one for one in range(1, self.wanted + 1) if one not in taken]
        take = next((one for one in free if one not in others), free[0] if free else number)
        self._reserved[number] = take
        return take


@dataclass(frozen=True, slots=True)
class Part:
    """One take of a scene: its part in what is bought for that.

    Attributes:
        takes: All of them.
        number: Which one, from 1.
    """

    takes: WantedTakes = field(default_factory=WantedTakes)
    number: int = 1

    @property
    def wanted(self) -> int:
        """Return how many are wanted."""
        return self.takes.wanted

    @property
    def of_others(self) -> frozenset[str]:
        """Return the purchases that the other takes of the scene are at."""
        return self.takes.of_others(self.number)

    def turn_to(self, attempt_id: str | None) -> None:
        """Be at a purchase, before any other take can come to it."""
        self.takes.turn_to(self.number, attempt_id)

    def reserve(self, taken: Collection[int | None]) -> int:
        """Return which take of the wish it is to be, before it is held; see ``WantedTakes``."""
        return self.takes.reserve(self.number, taken)

    def among(self, live: Sequence[LiveTake]) -> LiveTake | None:
        """Return the first that no other take of the scene is at."""
        others: Collection[str] = self.of_others
        return next((one for one in live if one.purchase.new.attempt_id not in others), None)


def needed(
    rows: Iterable[Purchase],
    *,
    is_ours: Callable[[NewPurchase], bool],
    unseen: Collection[int] = (),
    wanted: int = 1,
    beside: int = 0,
) -> tuple[int, ...]:
    """Return the slots that are to be bought, lowest first.

    A picture of a route that is not among ours keeps its slot and counts for nothing; what is in
    doubt counts on whatever route it was bought.

    Args:
        rows: The purchases of the subject.
        is_ours: Returns whether a picture was made by a route of this run.
        unseen: Slots that were billed for nothing so lately that nobody can have seen it: they
            stay unfilled, and no other is taken in their place.
        wanted: So many pictures.
        beside: So many of them are in no slot of the subject: they differ in a wish that no route
            of this run is told of.
    """
    live = [row for row in rows if row.state in LIVE]
    counted = beside + sum(row.state in UNSETTLED or is_ours(row.new) for row in live)
    taken = {row.new.slot for row in live}
    free = (slot for slot in count(1) if slot not in taken)
    return tuple(slot for slot in islice(free, max(wanted - counted, 0)) if slot not in unseen)
