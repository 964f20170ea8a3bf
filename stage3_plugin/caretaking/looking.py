"""Finds the purchases that need somebody, and tells what each of them waits for.

Writes nothing. What an open purchase of a dead run waits for is decided by the same function that
the next run goes by (:func:`~stage3_plugin.standing.after_its_owner`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from stage3_plugin.caretaking.folder import StateFolder
from stage3_plugin.errors import LookupRefused
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.rows import Purchase
from stage3_plugin.ledger.states import COUNTED, OPEN, State
from stage3_plugin.standing import after_its_owner

_SHORT_DIGITS = 8
_NEEDING = {State.UNKNOWN, State.PAID_BAD, State.WROTE_OFF} | OPEN


class Situation(StrEnum):
    """What a purchase waits for."""

    SETTLED = "settled"
    """Nothing."""
    IN_FLIGHT = "in_flight"
    """The run that lives and has it in work."""
    UNBILLED = "unbilled"
    """The next run, which lets go of its money; its own has died."""
    ANSWERED = "answered"
    """The next run, which takes in the answer that is there; its own has died."""
    ABANDONED = "abandoned"
    """A decision: its run has died before there was an answer."""
    UNDECIDED = "undecided"
    """A decision."""
    LOST = "lost"
    """Nothing, but its money is gone and its scene has no picture."""
    REPLACED = "replaced"
    """Nothing; its money is gone, and its scene was sent again since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One purchase as it was found.

    Attributes:
        purchase: Its row.
        short_id: The beginning of its id, at least 8 digits, that no other purchase shares.
        situation: What it waits for.
        evidence: The folder of what was received, if it is kept.
    """

    purchase: Purchase
    short_id: str
    situation: Situation
    evidence: Path | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """All purchases of one state.

    Attributes:
        count: How many.
        counted_microusd: What they add to the counters.
        unknown_costs: How many of them count, and nobody knows what they cost.
    """

    count: int = 0
    counted_microusd: int = 0
    unknown_costs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What :func:`look` found.

    Attributes:
        found: The purchases asked for, newest first.
        left_out: How many more there are beyond the limit.
        tallies: Of all purchases of the ledger, by state.
    """

    found: tuple[Found, ...]
    left_out: int
    tallies: Mapping[State, Tally]

    @property
    def counted_microusd(self) -> int:
        """Give what all purchases together add to the counters."""
        return sum(tally.counted_microusd for tally in self.tallies.values())


def look(
    folder: StateFolder,
    *,
    states: Collection[State] | None = None,
    scene_id: str | None = None,
    everything: bool = False,
    limit: int | None = None,
) -> Listing:
    """Find purchases, newest first; without a choice, those that need somebody.

    Args:
        folder: Whose ledger.
        states: Only these.
        scene_id: Only this scene's.
        everything: Also those that need nobody.
        limit: At most so many.

    Raises:
        LedgerMissing: There is none.
        LedgerFailed: It cannot be read.
    """
    needing = states is None and scene_id is None and not everything
    wanted = _NEEDING if needing else states
    with folder.reading() as ledger:
        ask = _Asking(folder, ledger)
        found = (ask.about(one) for one in ledger.purchases(states=wanted, scene_id=scene_id))
        if needing:
            found = (one for one in found if one.situation is not Situation.IN_FLIGHT)
        return Listing(
            found=tuple(islice(found, limit)),
            left_out=sum(1 for _ in found),
            tallies=_tallies(ledger.purchases()),
        )


class _Asking:
    """Finds out what purchases wait for; asks about each owner once."""

    def __init__(self, folder: StateFolder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger
        self._living: dict[str, bool] = {}

    def about(self, purchase: Purchase) -> Found:
        attempt_id = purchase.new.attempt_id
        return Found(
            purchase=purchase,
            short_id=self._short(attempt_id),
            situation=self._situation(purchase),
            evidence=self._folder.evidence(attempt_id),
        )

    def _situation(self, purchase: Purchase) -> Situation:
        if purchase.state in OPEN:
            if self._lives(purchase.new.run_id):
                return Situation.IN_FLIGHT
            return left_behind(purchase, self._folder)
        if purchase.state is State.UNKNOWN:
            return Situation.UNDECIDED
        if purchase.state in {State.PAID_BAD, State.WROTE_OFF}:
            again = self._ledger.live(purchase.new.scene_key)
            return Situation.LOST if again is None else Situation.REPLACED
        return Situation.SETTLED

    def _lives(self, run_id: str) -> bool:
        if run_id not in self._living:
            self._living[run_id] = self._folder.owners.lives(run_id)
        return self._living[run_id]

    def _short(self, attempt_id: str) -> str:
        for digits in range(_SHORT_DIGITS, len(attempt_id)):
            if self._is_unique(attempt_id[:digits]):
                return attempt_id[:digits]
        return attempt_id

    def _is_unique(self, prefix: str) -> bool:
        try:
            return self._ledger.purchase(prefix) is not None
        except LookupRefused:
            return False


def left_behind(purchase: Purchase, folder: StateFolder) -> Situation:
    """Tell what an open purchase waits for whose run has died."""
    whole = folder.has_whole_answer(purchase.new.attempt_id)
    return {
        State.VOID: Situation.UNBILLED,
        State.PAID: Situation.ANSWERED,
        State.UNKNOWN: Situation.ABANDONED,
    }[after_its_owner(purchase, answer_is_complete=whole)]


def _tallies(purchases: Iterable[Purchase]) -> dict[State, Tally]:
    tallies = {state: Tally() for state in State}
    for purchase in purchases:
        tally = tallies[purchase.state]
        tally.count += 1
        tally.counted_microusd += purchase.counted_microusd
        tally.unknown_costs += purchase.state in COUNTED and purchase.cost_microusd is None
    return tallies
