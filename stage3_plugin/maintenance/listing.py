"""Finds the purchases that need a person, and says what each of them waits for.

Writes nothing. What an open purchase of a dead run waits for is decided by the same function that
the next run goes by (:func:`~stage3_plugin.policy.reuse.after_its_owner`).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import islice
from pathlib import Path

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.purchase import Asking, Correction, Purchase, Tally
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.errors import LookupRefused, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.policy.pricing import ABSURD
from stage3_plugin.policy.reuse import after_its_owner
from stage3_plugin.providers.replies.answers import request_id_of
from stage3_plugin.purchase.lost import name_of
from stage3_plugin.storage.spool.awaited import Awaited

_SHORT_DIGITS = 8
_GIVEN_UP = {State.PAID_BAD, State.WROTE_OFF, State.REFUSED}
_MAY_NEED = {State.UNKNOWN, State.ACCEPTED, *_GIVEN_UP} | OPEN
"""States in which a purchase can need a person; whether it does depends on its situation."""


class Situation(StrEnum):
    """What a purchase waits for."""

    SETTLED = "settled"
    """Nothing."""
    IN_FLIGHT = "in_flight"
    """A run that lives and has it in work."""
    UNBILLED = "unbilled"
    """The next run, which releases its money; its own has died."""
    ANSWERED = "answered"
    """The next run, which takes in the answer that is there; its own has died."""
    BEING_MADE = "being_made"
    """The next run, which asks its provider for it: until then it is kept there."""
    AWAITED = "awaited"
    """Its picture, which was bought, was asked for at its address and did not come."""
    NOT_TAKEN_IN = "not_taken_in"
    """A decision, or a run that understands the answer that is there and was not understood."""
    UNREADABLE = "unreadable"
    """The disk, which does not say now what was received for it."""
    ABANDONED = "abandoned"
    """A decision: its run has died before there was an answer."""
    ELSEWHERE = "elsewhere"
    """The driver of another home, where its answer would lie, or a decision about that home."""
    UNDECIDED = "undecided"
    """A decision."""
    LOST = "lost"
    """Nothing, but its money is gone, and a run that still has its scene pays for it again."""
    REPLACED = "replaced"
    """Nothing; its money is gone, and its scene was sent again since."""
    CAME_LATE = "came_late"
    """Nothing: its picture came after it had been given up, and is kept."""
    OVERBILLED = "overbilled"
    """A look at its bill, which is far above what was held for it."""


_OF_A_BATCH = {
    Situation.IN_FLIGHT,
    Situation.UNBILLED,
    Situation.ANSWERED,
    Situation.BEING_MADE,
    Situation.ABANDONED,
    Situation.ELSEWHERE,
    Situation.UNDECIDED,
}
"""What the lines of a batch come to together; all else is each line's own."""
_NEED_NOBODY = {Situation.IN_FLIGHT, Situation.REPLACED, Situation.SETTLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One purchase as it was found.

    Attributes:
        purchase: Its row.
        short_id: The beginning of its id, at least 8 digits, that no other purchase shares.
        situation: What it waits for.
        evidence: The folder of what was received, if anything was, and is kept.
        request_id: What the provider calls the exchange, if it said so.
        awaited: What is known of a picture that was asked for and did not come.
        corrections: The costs that a person put right, oldest first.
        asking: What its provider said last of a lost request, if it was asked.
        is_overbilled: Its bill is far above what was held for it, and no person has confirmed it.
        late: Its picture, if that came after it had been given up.
        home: The home of its run, if that is another one.
    """

    purchase: Purchase
    short_id: str
    situation: Situation
    evidence: Path | None
    request_id: str | None = None
    awaited: Awaited | None = None
    corrections: tuple[Correction, ...] = ()
    asking: Asking | None = None
    is_overbilled: bool = False
    late: Path | None = None
    home: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBatch:
    """Lines of one batch that wait for the same: what is true of one is true of all.

    Attributes:
        token: What the batch is found by, at its provider and in the ledger.
        lines: Each of them, as they were found.
    """

    token: str
    lines: tuple[Found, ...]

    @property
    def first(self) -> Found:
        """Return one of them, which stands for all."""
        return self.lines[0]

    @property
    def short_id(self) -> str:
        """Return how commands name the batch."""
        return self.token[:_SHORT_DIGITS]

    @property
    def held_microusd(self) -> int:
        """Return what is held for them."""
        return sum(one.purchase.new.hold_microusd for one in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What :func:`look` found.

    Attributes:
        found: The purchases asked for, newest first.
        left_out: How many more there are beyond the limit.
        tallies: Of all purchases of the ledger, by state.
        last_day: The latest day on which money was held.
    """

    found: tuple[Found, ...]
    left_out: int
    tallies: Mapping[State, Tally]
    last_day: date | None = None

    @property
    def counted_microusd(self) -> int:
        """Return what all purchases together add to the counters."""
        return sum(tally.counted_microusd for tally in self.tallies.values())

    def in_groups(self) -> list[Found | FoundBatch]:
        """Return what was found; lines of a batch that wait for the same stand together."""
        groups: dict[tuple[str, object], list[Found]] = {}
        for one in self.found:
            token = token_of(one.purchase)
            is_alone = token is None or one.situation not in _OF_A_BATCH
            key = (one.purchase.new.attempt_id if is_alone else token or "", one.situation)
            groups.setdefault(key, []).append(one)
        return [
            lines[0]
            if lines[0].situation not in _OF_A_BATCH or token_of(lines[0].purchase) is None
            else FoundBatch(token=name, lines=tuple(lines))
            for (name, _), lines in groups.items()
        ]

    def batches(self) -> list[FoundBatch]:
        """Return those of them that are lines of batches."""
        return [one for one in self.in_groups() if isinstance(one, FoundBatch)]


def look(
    folder: StateFolder,
    *,
    states: Collection[State] | None = None,
    scene_id: str | None = None,
    everything: bool = False,
    limit: int | None = None,
) -> Listing:
    """Find purchases, newest first; without a choice, those that a person should know of.

    These are the ones whose outcome is unknown, those that dead runs left open, those that were
    paid for without a picture, as long as a run would pay for their scene again, and those whose
    bill is absurd.

    Args:
        folder: Whose ledger.
        states: Only these.
        scene_id: Only this scene's.
        everything: Also those that need no decision.
        limit: At most so many.

    Raises:
        LedgerMissing: There is none.
        LedgerFailed: It cannot be read.
    """
    needing = states is None and scene_id is None and not everything
    wanted = _MAY_NEED if needing else states
    with folder.reading() as ledger:
        ask = _Situations(folder, ledger)
        purchases = ledger.purchases(states=wanted, scene_id=scene_id)
        if needing:
            purchases = _by_time(purchases, ask.overbilled(), wanted or set())
        waiting = ((purchase, ask.situation(purchase)) for purchase in purchases)
        if needing:
            waiting = (one for one in waiting if one[1] not in _NEED_NOBODY)
        found = tuple(ask.about(*one) for one in islice(waiting, limit))
        tallies = ledger.tallies()
        if needing or scene_id is not None:
            left_out = sum(1 for _ in waiting)
        else:  # counted already; reading them would take seconds in a large ledger
            among = State if states is None else set(states)
            left_out = max(0, sum(tallies[state].count for state in among) - len(found))
        return Listing(found=found, left_out=left_out, tallies=tallies, last_day=ledger.last_day())


def _by_time(
    purchases: Iterator[Purchase], overbilled: list[Purchase], known: Collection[State]
) -> Iterator[Purchase]:
    """Put two lists that are newest first into one; what both have is there once."""
    others = (one for one in overbilled if one.state not in known)
    return heapq.merge(purchases, others, key=lambda one: one.held_at, reverse=True)


class _Situations:
    """Finds out what purchases wait for; knows each bill that is absurd."""

    def __init__(self, folder: StateFolder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger
        self._corrections = ledger.corrections()
        self._askings = ledger.askings()
        self._overbilled: set[str] | None = None
        self._homes = folder.homes()

    def overbilled(self) -> list[Purchase]:
        """Return the purchases whose bill is absurd."""
        found = self._ledger.overbilled(**ABSURD)
        self._overbilled = {one.new.attempt_id for one in found}
        return found

    def about(self, purchase: Purchase, situation: Situation) -> Found:
        attempt_id = purchase.new.attempt_id
        return Found(
            purchase=purchase,
            short_id=self._short(attempt_id),
            situation=situation,
            evidence=self._folder.evidence(purchase),
            request_id=purchase.request_id or self._named_by(attempt_id),
            awaited=self._folder.awaited(attempt_id) if _is_undecided(purchase) else None,
            corrections=self._corrections.get(attempt_id, ()),
            asking=self._askings.get(attempt_id),
            is_overbilled=self._is_overbilled(purchase),
            late=self._late(purchase),
            home=self._homes.other(purchase.new.run_id),
        )

    def _named_by(self, attempt_id: str) -> str | None:
        """Return the name of an exchange that broke off behind its head."""
        headers = self._folder.headers(attempt_id)
        return request_id_of(Reply(status=0, headers=headers)) if headers else None

    def situation(self, purchase: Purchase) -> Situation:
        home = self._homes.other(purchase.new.run_id)
        if home is not None and purchase.state in {*OPEN, State.ACCEPTED}:
            is_there = self._ledger.home_is_connected(home)
            left = Situation.ELSEWHERE if purchase.state in OPEN else Situation.BEING_MADE
            return Situation.IN_FLIGHT if is_there else left
        if purchase.state in OPEN:
            if self._folder.may_be_going(purchase):
                return Situation.IN_FLIGHT
            return left_behind(purchase, self._folder)
        if purchase.state is State.ACCEPTED:
            lives = self._folder.owners.lives(purchase.new.run_id)
            return Situation.IN_FLIGHT if lives else Situation.BEING_MADE
        if purchase.state is State.UNKNOWN:
            return of_unknown(purchase, self._folder)
        if self._late(purchase) is not None:
            return Situation.CAME_LATE
        if purchase.state in {State.PAID_BAD, State.WROTE_OFF}:
            again = self._ledger.live(purchase.new.scene_key)
            if again is None:
                return Situation.LOST
        if self._is_overbilled(purchase):
            return Situation.OVERBILLED
        is_settled = purchase.state not in {State.PAID_BAD, State.WROTE_OFF}
        return Situation.SETTLED if is_settled else Situation.REPLACED

    def _is_overbilled(self, purchase: Purchase) -> bool:
        if self._overbilled is None:
            self.overbilled()
        return purchase.new.attempt_id in (self._overbilled or ())

    def _late(self, purchase: Purchase) -> Path | None:
        if purchase.state not in _GIVEN_UP or purchase.decided_by is None:
            return None
        return self._folder.late(purchase.new.attempt_id)

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


def token_of(purchase: Purchase) -> str | None:
    """Return what the batch is found by that a purchase is a line of; ``None`` if it is none."""
    job = purchase.new.job
    return None if purchase.new.line is None or job is None else job.token


def left_behind(purchase: Purchase, folder: StateFolder) -> Situation:
    """Return what an open purchase of a dead run waits for."""
    attempt_id = purchase.new.attempt_id
    try:
        whole = folder.has_whole_answer(name_of(purchase))
    except StorageFailed:
        return Situation.UNREADABLE
    situation = {
        State.VOID: Situation.UNBILLED,
        State.PAID: Situation.ANSWERED,
        State.UNKNOWN: Situation.ABANDONED,
    }[after_its_owner(purchase, answer_is_complete=whole)]
    if situation is Situation.ANSWERED and folder.awaited(attempt_id) is not None:
        return Situation.AWAITED
    return situation


def of_unknown(purchase: Purchase, folder: StateFolder) -> Situation:
    """Return what a purchase of unknown outcome waits for."""
    attempt_id, job = purchase.new.attempt_id, purchase.job
    try:
        whole = folder.has_whole_answer(attempt_id)
        is_line = purchase.new.line is not None  # which has an answer of its own
        if job is not None and job.accepted is not None and not is_line:
            whole = folder.has_answer_of_job(attempt_id)  # its first one was only its acceptance
    except StorageFailed:
        return Situation.UNREADABLE
    return Situation.NOT_TAKEN_IN if whole else Situation.UNDECIDED


def _is_undecided(purchase: Purchase) -> bool:
    return purchase.state in UNSETTLED
