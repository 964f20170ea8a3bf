"""Finds the purchases that need somebody, and tells what each of them waits for.

Writes nothing. What an open purchase of a dead run waits for is decided by the same function that
the next run goes by (:func:`~stage3_plugin.standing.after_its_owner`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from stage3_plugin.caretaking.folder import StateFolder
from stage3_plugin.errors import LookupRefused
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.rows import Purchase, Tally
from stage3_plugin.ledger.states import OPEN, State
from stage3_plugin.standing import after_its_owner

_SHORT_DIGITS = 8
_MAY_NEED = {State.UNKNOWN, State.PAID_BAD, State.WROTE_OFF} | OPEN
"""States in which a purchase can need somebody; whether it does is told by its situation."""


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
    """Nothing, but its money is gone, and a run that still has its scene pays for it again."""
    REPLACED = "replaced"
    """Nothing; its money is gone, and its scene was sent again since."""


_NEED_NOBODY = {Situation.IN_FLIGHT, Situation.REPLACED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One purchase as it was found.

    Attributes:
        purchase: Its row.
        short_id: The beginning of its id, at least 8 digits, that no other purchase shares.
        situation: What it waits for.
        evidence: The folder of what was received, if anything was, and is kept.
    """

    purchase: Purchase
    short_id: str
    situation: Situation
    evidence: Path | None


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
    """Find purchases, newest first; without a choice, those that somebody should know of.

    These are the ones whose outcome is unknown, those that dead runs left open, and those that were
    paid for without a picture, as long as a run would pay for their scene again.

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
    wanted = _MAY_NEED if needing else states
    with folder.reading() as ledger:
        ask = _Asking(folder, ledger)
        waiting = (
            (purchase, ask.situation(purchase))
            for purchase in ledger.purchases(states=wanted, scene_id=scene_id)
        )
        if needing:
            waiting = (one for one in waiting if one[1] not in _NEED_NOBODY)
        found = tuple(ask.about(*one) for one in islice(waiting, limit))
        tallies = ledger.tallies()
        if needing or scene_id is not None:
            left_out = sum(1 for _ in waiting)
        else:  # counted already; reading them would take seconds in a large ledger
            among = State if states is None else set(states)
            left_out = max(0, sum(tallies[state].count for state in among) - len(found))
        return Listing(found=found, left_out=left_out, tallies=tallies)


class _Asking:
    """Finds out what purchases wait for; asks about each owner once."""

    def __init__(self, folder: StateFolder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger
        self._living: dict[str, bool] = {}

    def about(self, purchase: Purchase, situation: Situation) -> Found:
        attempt_id = purchase.new.attempt_id
        return Found(
            purchase=purchase,
            short_id=self._short(attempt_id),
            situation=situation,
            evidence=self._folder.evidence(attempt_id),
        )

    def situation(self, purchase: Purchase) -> Situation:
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
