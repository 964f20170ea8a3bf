"""The takes of a scene: all that a ledger has of it, which are wanted, and what stands for each.

What counts as a take of a wish are the purchases that live, whichever number their keys have: those
made by a route of this run, and on whatever route what is in doubt. So many fewer are bought. In
one run no two takes of a scene are at the same purchase.

A slot is what is bought once, on whatever route: the first ``k`` of a subject where ``k`` pictures
of it are wanted, so that two runs that want the same number want the same slots. Nothing is
written here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count, islice
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.made_from import as_first_take, kept_of, shown_by
from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.states import LIVE, UNSETTLED, State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.reuse import OnUnknown, Reuse, may_be_resent, reuse_of

ShownWhere: TypeAlias = dict[str, tuple[set[str], int]]
"""By the hash of a picture: the scenes that were shown it, and how late the last of them was."""

_CAME_AT = attrgetter("changed_at")


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


@dataclass(frozen=True, slots=True)
class Part:
    """One take of a scene in one run: its part in what is bought for that.

    The other takes of its scene come from :meth:`more` of it, and share what it knows of all.

    Attributes:
        number: Which one, from 1.
    """

    number: int = 1
    _at: list[str | None] = field(default_factory=lambda: [None])
    """For each that is wanted the purchase that it is at."""
    _reserved: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def wanted(self) -> int:
        """Return how many are wanted."""
        return len(self._at)

    def more(self, wanted: int) -> list[Part]:
        """Let so many be wanted at least; return those that come with that."""
        before = self.wanted
        self._at.extend([None] * (wanted - before))
        return [replace(self, number=number) for number in range(before + 1, wanted + 1)]

    @property
    def of_others(self) -> frozenset[str]:
        """Return the purchases that the other takes of the scene are at.

        It is asked in the thread that commits, too.
        """
        at = enumerate(self._at.copy(), start=1)
        return frozenset(one for other, one in at if one is not None and other != self.number)

    def turn_to(self, attempt_id: str) -> None:
        """Be at a purchase, before any other take can come to it."""
        self._at[self.number - 1] = attempt_id

    def reserve(self, taken: Collection[int | None]) -> int:
        """Return which take of the wish it is to be: none that is taken, or another's."""
        others = {take for other, take in self._reserved.items() if other != self.number}
        free = [one for one in range(1, self.wanted + 1) if one not in taken]
        take = next((one for one in free if one not in others), free[0] if free else self.number)
        self._reserved[self.number] = take
        return take

    def among(self, live: Sequence[LiveTake]) -> LiveTake | None:
        """Return the first that no other take of the scene is at."""
        others = self.of_others
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


class Takes:
    """The pictures of all scenes, whatever they were made from.

    Which of them are the ones that are wanted now, and which of those comes first, is said for a
    run, a plan and a survey alike.

    Args:
        ledger: To read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, scene_id: str) -> list[Purchase]:
        """Return the pictures of a scene, or of a sheet, those that came first first."""
        return sorted(self._ledger.numbered(self._numbers.get(scene_id, ())), key=_CAME_AT)

    def first(self, scene_id: str, keys: Keys) -> Purchase | None:
        """Return the one of those that are current that others are shown, where nobody chose one.

        See :meth:`current_among`.
        """
        return next(iter(self.current_among(self.of(scene_id), keys)), None)

    def with_bytes(self, scene_id: str, sha256: str) -> Purchase | None:
        """Return the picture of a scene that has these bytes."""
        return next((one for one in self.of(scene_id) if _sha256(one) == sha256), None)

    def with_others(self, bare: Keys) -> Purchase | None:
        """Return the newest picture of a wish with whatever references, or with none."""
        return next(iter(self._ledger.with_base(bare.base_keys)), None)

    def current_among(self, takes: Sequence[Purchase], keys: Keys) -> list[Purchase]:
        """Return those pictures of a scene that are made from what is wanted now.

        In any way. The one is first that scenes were made from, if any was: of several, that which
        most scenes were shown, and then the one that was shown last. So nothing is stale where
        nobody knows any more which of them was meant.

        Args:
            takes: The pictures of the scene.
            keys: Those of the first take of what is wanted.
        """
        known = frozenset(keys.all)
        return self._in_order([one for one in takes if _is_current(one, keys, known)])

    def _in_order(self, current: Sequence[Purchase]) -> list[Purchase]:
        if len(current) < 2:
            return list(current)
        nobody = (set[str](), -1)
        shown = [self._shown_where.get(_sha256(one), nobody) for one in current]
        ranks = [(len(scenes), last) for scenes, last in shown]
        chosen = ranks.index(max(ranks))  # the first of them, if nobody was shown any
        return [current[chosen], *current[:chosen], *current[chosen + 1 :]]

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        return self._ledger.picture_numbers()

    @cached_property
    def _shown_where(self) -> ShownWhere:
        found: ShownWhere = {}
        for number, (scene_id, details) in enumerate(self._ledger.shown_others()):
            for sha256 in (shown_by(details) or {}).values():
                scenes, _ = found.get(sha256, (set[str](), 0))
                scenes.add(scene_id)
                found[sha256] = (scenes, number)
        return found


def _is_current(purchase: Purchase, keys: Keys, known: Collection[str]) -> bool:
    if as_first_take(purchase).scene_key in known:
        return True
    # A run that was killed leaves no facts, and the next one takes its answer in.
    return kept_of(purchase) is None and keys.take_of(purchase.new) is not None


def _sha256(purchase: Purchase) -> str:
    return "" if purchase.picture is None else purchase.picture.sha256
