"""Records what a person has found out, or decided, about purchases.

About those whose outcome is unknown, whether named or chosen; about a wrong bill; and about the
day, after a wrong clock. All that is asked for happens in one transaction, or nothing does. A
purchase goes the way the next run would take it: through the same states, under the lock of the run
that left it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Purchase, Settlement
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.errors import LookupRefused, SettingsRefused, Stage3Error, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import Homes, without_home
from stage3_plugin.maintenance import next_steps
from stage3_plugin.maintenance.listing import Situation, waits_for
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.report import (
    SHORT,
    Changed,
    Foreseen,
    Kept,
    Line,
    Report,
    counted,
    grouped,
    purchases_in_rows,
    token_of,
    usd,
)
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.purchase.lost import name_of
from stage3_plugin.purchase.messages import until

_ID: Final = re.compile(r"[0-9a-f]{6,32}")
_RUN_CHARACTERS: Final = 6
_MOST_NAMED: Final = 40
_UNCHANGED: Final = "nothing was changed; the same command with --yes records it"


class Decision(StrEnum):
    """What a person knows, or wants, about a purchase whose outcome is unknown."""

    BILLED = "billed"
    """It was paid for: it stays counted, and its scene may be made again."""
    NOT_BILLED = "not_billed"
    """It was not paid for: its money is free again, and its scene may be made again."""
    RESEND = "resend"
    """It stays unknown for ever: it stays counted, and its scene may be made again.

    Also for one whose picture was lost from the disk.
    """


class _Meaning(NamedTuple):
    """What a decision means.

    Attributes:
        becomes: Where it leads.
        said: What the ledger notes of it.
        next_step: What comes of it.
        undo: Whether it can be taken back, before it is made.
    """

    becomes: State
    said: str
    next_step: str
    undo: str


_MEANINGS: Final = {
    Decision.BILLED: _Meaning(
        State.PAID_BAD,
        "somebody found it billed",
        "a run that has such a scene makes it again, and pays for it anew",
        "what it costs can be put right afterwards, with 'stage3 resolve ID --cost USD', or 0; the "
        "old figure is kept",
    ),
    Decision.NOT_BILLED: _Meaning(
        State.REFUSED,
        "somebody found it not billed",
        "a run that has such a scene makes it",
        "there is none: who decides so lets go of the money for good, and a bill that comes later "
        "cannot be entered. Who is not sure says --billed, which --cost 0 takes back",
    ),
    Decision.RESEND: _Meaning(
        State.WROTE_OFF,
        "somebody wrote it off, to send it again",
        "a run that has such a scene sends it again, if the caps allow for both",
        "there is none: what is held for it stays counted for good",
    ),
}


class ResolveRefused(Stage3Error):
    """Purchases that no decision can be recorded for; nothing was changed for any of them.

    Attributes:
        problems: Why, by the id that was given.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        self.hint = "nothing was changed; 'stage3 attempts' lists what waits for a decision"
        super().__init__("; ".join(f"{one}: {why}" for one, why in self.problems.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is wanted of the purchases of unknown outcome; all of it has to hold.

    Attributes:
        run_id: Only this run's; the first 6 characters or more of its name in the ledger, or of
            what follows its home there, will do.
        scene_id: Only this scene's.
        since: Only those that were sent at this moment or later.
        batch: Only lines of this batch: its token, or what its provider calls it; the first 6
            characters or more will do.
    """

    run_id: str | None = None
    scene_id: str | None = None
    since: datetime | None = None
    batch: str | None = None

    def takes(self, purchase: Purchase) -> bool:
        """Return whether a purchase is meant."""
        return (
            self._is_of(purchase.new.run_id)
            and self.scene_id in {None, purchase.new.scene_id}
            and (self.since is None or purchase.held_at >= self.since)
            and self._is_of_batch(purchase)
        )

    def _is_of_batch(self, purchase: Purchase) -> bool:
        if self.batch is None:
            return True
        job = purchase.job
        if purchase.new.line is None or job is None:
            return False
        names = (job.new.token, None if job.accepted is None else job.accepted.job_id)
        return any(name is not None and name.startswith(self.batch) for name in names)

    def _is_of(self, run_id: str) -> bool:
        if self.run_id is None or self.run_id == run_id:
            return True
        of_its_home = without_home(run_id)  # or a home's word would mean all of its runs
        wanted = self.run_id.removeprefix(run_id.removesuffix(of_its_home))
        return len(wanted) >= _RUN_CHARACTERS and of_its_home.startswith(wanted)


def resolve(
    folder: StateFolder,
    which: Sequence[str] | Choice,
    decision: Decision,
    *,
    now: datetime,
    cost_microusd: int | None = None,
    is_sure: bool = False,
    again: Next | None = None,
) -> Decided:
    """Record a decision for purchases whose outcome is unknown: for all of them or for none.

    One that a dead run left open comes to be unknown first, under that run's lock, as the next run
    would have it. Of what was chosen, and not named, those are left out whose answer is on the
    disk.

    Args:
        folder: Whose ledger.
        which: Ids, or their beginnings of at least 6 hex digits; or which are chosen.
        decision: What is to be recorded.
        now: The time of it, aware.
        cost_microusd: What was billed for each, where that is known; for ``BILLED`` only.
        is_sure: Decide also where the next run would take in an answer that is there; what is
            chosen is recorded only so, and otherwise foreseen.
        again: The command that records what is foreseen.

    Raises:
        ResolveRefused: For one of them nothing can be decided, or not yet.
        LookupRefused: Several batches are called so.
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be changed; then nothing was.
    """
    if not isinstance(which, Choice):
        with _deciding(folder, now=now, gives_up_answers=is_sure) as deciding:
            resolved = deciding.decide(which, decision, cost_microusd)
            return _decided(folder, decision, resolved=resolved)
    if is_sure:
        with _deciding(folder, now=now) as deciding:
            before, answered = _choose(deciding.ledger, folder, which)
            ids = [one.new.attempt_id for one in before]
            resolved = deciding.decide(ids, decision, cost_microusd)
            return _decided(folder, decision, answered, resolved=resolved)
    with folder.reading() as ledger:
        before, answered = _choose(ledger, folder, which)
    would = [Foreseen(purchase=one, becomes=_MEANINGS[decision].becomes) for one in before]
    more: dict[str, Any] = {"would_resolve": would, "each_microusd": cost_microusd, "again": again}
    return _decided(folder, decision, answered, **more)


def _choose(
    ledger: Ledger, folder: StateFolder, choice: Choice
) -> tuple[list[Purchase], list[Purchase]]:
    """Find the purchases that a choice is about; of a batch also what a dead run has left open.

    Returns:
        Those that a decision may be recorded for, newest first, and those that are left out because
        their answer is on the disk: that one may still be understood, so it is given up only by
        name.

    Raises:
        LookupRefused: Several batches are called so, or a run has the batch in work.
    """
    states = {State.UNKNOWN} if choice.batch is None else {State.UNKNOWN, *OPEN}
    purchases = ledger.purchases(states=states, scene_id=choice.scene_id)
    found = [one for one in purchases if choice.takes(one)]
    if choice.batch is not None:
        _need_one_batch(found, choice.batch)
        going_on = next((one for one in found if one.state in OPEN), None)
        if going_on is not None and folder.may_be_going(going_on):
            raise LookupRefused(choice.batch, "a run that is still going has this batch in work")
    undecided, answered = list[Purchase](), list[Purchase]()
    for one in found:
        situation = waits_for(one, folder)
        if situation in {"abandoned", "undecided"}:
            undecided.append(one)
        elif situation != "unbilled":  # the next run lets go of it by itself
            answered.append(one)
    return undecided, answered


def _need_one_batch(found: Sequence[Purchase], batch: str) -> None:
    """See that lines are of one batch.

    Raises:
        LookupRefused: They are not.
    """
    if len({token_of(one) for one in found}) > 1:
        raise LookupRefused(batch, "several batches are called so; give more of its characters")


def correct(
    folder: StateFolder, ids: Sequence[str], cost_microusd: int, *, now: datetime
) -> Corrected:
    """Correct what was billed for purchases that were paid for; the old figures are kept.

    Args:
        folder: Whose ledger.
        ids: Ids, or their beginnings of at least 6 hex digits.
        cost_microusd: What each of them was really billed.
        now: The time of it, aware.

    Raises:
        ResolveRefused: One of them was not paid for.
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be changed.
    """
    why = "somebody put it right"
    with _deciding(folder, now=now) as deciding:
        found = deciding.find(ids, _why_no_correction)
        put_right = partial(deciding.ledger.correct_cost, now=now, why=why)
        corrected = tuple(
            Changed.of(before=one, after=put_right(one.new.attempt_id, cost_microusd))
            for one in found
        )
    return Corrected(
        ledger=folder,
        changed=any(one.cost_before_microusd != cost_microusd for one in corrected),
        resolved=corrected,
        each_microusd=cost_microusd,
    )


def correct_batch(
    folder: StateFolder, batch: str, cost_microusd: int, *, now: datetime, is_sure: bool
) -> Corrected:
    """Correct what was billed for the lines of a batch that a person has called billed.

    Args:
        folder: Whose ledger.
        batch: What the batch is called, as for :class:`Choice`.
        cost_microusd: What each of them was really billed.
        now: The time of it, aware.
        is_sure: Record it; otherwise nothing is changed.

    Raises:
        LookupRefused: Several batches are called so.
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be read, or cannot be changed.
    """
    with folder.reading() as ledger:
        is_meant = Choice(batch=batch).takes
        found = [one for one in ledger.purchases(states={State.PAID_BAD}) if is_meant(one)]
    _need_one_batch(found, batch)
    said = _MEANINGS[Decision.BILLED].said
    found = [one for one in found if one.decided_by == "user" and one.why.startswith(said)]
    if is_sure:
        return correct(folder, [one.new.attempt_id for one in found], cost_microusd, now=now)
    return Corrected(ledger=folder, changed=False, foreseen=found, each_microusd=cost_microusd)


def set_day(folder: StateFolder, day: date, *, now: datetime) -> DaySet:
    """Set the ledger's day back, after a clock that was once in the future.

    A day that is not before the ledger's changes nothing.

    Raises:
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be changed.
    """
    with folder.writing() as ledger, ledger.transaction():
        known = ledger.last_day()
        before = ledger.set_day(day, now=now, why="somebody set it after a wrong clock")
    last_day = known if before is None else day
    return DaySet(
        ledger=folder,
        changed=before is not None,
        last_day_before=known,
        last_day=last_day,
        wanted=day,
    )


def _why_no_correction(purchase: Purchase) -> str | None:
    """Return why the bill of a purchase cannot be put right."""
    if purchase.state in {State.PAID, State.PAID_BAD}:
        return None
    if purchase.state in UNSETTLED:
        return f"it is not settled, it is {purchase.state}; --billed --cost USD says what it cost"
    if purchase.state is State.WROTE_OFF:
        return "it is WROTE_OFF: what was held for it stays counted, since nobody knows its bill"
    if purchase.state is State.REFUSED and purchase.decided_by is not None:
        return (
            "somebody has found it not billed, which is final: it counts as nothing, and no bill "
            "can be entered for it any more; lower a cap by what it cost, if it was billed"
        )
    return f"it is {purchase.state}, and counts as nothing"


@contextmanager
def _deciding(
    folder: StateFolder, *, now: datetime, gives_up_answers: bool = False
) -> Generator[_Decisions]:
    with folder.writing() as ledger, ExitStack() as locks, ledger.transaction():
        yield _Decisions(folder, ledger, locks, folder.homes(), now, gives_up_answers)


@dataclass(frozen=True, slots=True)
class _Decisions:
    """One transaction of decisions. The locks are released after it."""

    folder: StateFolder
    ledger: Ledger
    locks: ExitStack
    homes: Homes
    now: datetime
    gives_up_answers: bool
    taken: dict[str, bool] = field(default_factory=dict[str, bool])

    def find(self, ids: Iterable[str], why_not: Callable[[Purchase], str | None]) -> list[Purchase]:
        """Find purchases, each once.

        Raises:
            ResolveRefused: One of them is not there, or something is against it.
        """
        problems: dict[str, str] = {}
        chosen: dict[str, Purchase] = {}
        for word in ids:
            purchase = self._find(word)
            if isinstance(purchase, str):
                problems[word] = purchase
            elif problem := why_not(purchase):
                problems[word] = problem
            else:
                chosen[purchase.new.attempt_id] = purchase
        if problems:
            raise ResolveRefused(problems)
        return list(chosen.values())

    def decide(
        self, ids: Iterable[str], decision: Decision, cost_microusd: int | None
    ) -> list[Changed]:
        """Bring purchases, each once, to where the decision leads: all of them, or none."""
        if cost_microusd is not None and decision is not Decision.BILLED:
            raise ValueError("only what was billed has a cost")
        found = self.find(ids, lambda one: self.why_not(one, decision))
        return [self._decide(one, decision, cost_microusd) for one in found]

    def _decide(self, purchase: Purchase, decision: Decision, cost_microusd: int | None) -> Changed:
        attempt_id = purchase.new.attempt_id
        if purchase.state in OPEN:
            left = Settlement(state=State.UNKNOWN, why=self._what_was_left(purchase))
            (purchase,) = self.ledger.settle(attempt_id, left, now=self.now)
        is_known = cost_microusd is not None
        becomes, said, *_ = _MEANINGS[decision]
        settlement = Settlement(
            state=becomes,
            cost_microusd=cost_microusd,
            basis="reported" if is_known else "held" if purchase.new.hold_microusd else "unknown",
            why=f"{said}; before that: {purchase.why}",
            image_url=purchase.image_url,
            details=purchase.details,
            dropped=purchase.dropped,
            took_s=purchase.took_s,
            decided_by="user",
        )
        if purchase.state is State.PAID:  # its picture is lost; what it cost stays counted
            settlement = replace(
                settlement,
                state=State.PAID_BAD,
                cost_microusd=purchase.cost_microusd,
                basis=purchase.basis or "unknown",
                why="its picture was lost from the disk, and somebody wants it made again",
                details={},
                dropped=(),
            )
        (after,) = self.ledger.settle(attempt_id, settlement, now=self.now)
        return Changed.of(before=purchase, after=after)

    def _what_was_left(self, purchase: Purchase) -> str:
        """Return what became of a purchase that a dead run left."""
        attempt_id = purchase.new.attempt_id
        awaited = self.folder.spool.awaited(attempt_id)
        if awaited is not None:
            return f"its picture was not to be had from {awaited.address}: {awaited.problem}"
        if self.folder.has_whole_answer(name_of(purchase)):
            return "its answer is there, and was given up"
        return "its run ended before the whole answer came"

    def _find(self, word: str) -> Purchase | str:
        """Find a purchase, or return why it cannot be found."""
        if not _ID.fullmatch(word.lower()):
            return "an id is at least 6 of the hex digits that 'stage3 attempts' shows"
        try:
            found = self.ledger.purchase(word.lower())
        except LookupRefused:
            return "several purchases begin so; give more of its digits"
        return found or f"no purchase in {self.folder.shown} begins so"

    def why_not(self, purchase: Purchase, decision: Decision) -> str | None:
        """Return why nothing can be decided about a purchase, or not yet."""
        too_early = self._too_early(purchase, decision)
        if too_early is not None:
            return too_early
        if purchase.state is State.UNKNOWN:  # also one whose answer is there: it was named
            return _WHY_NOT.get(waits_for(purchase, self.folder))
        if purchase.picture is not None and decision is Decision.RESEND:
            try:
                is_there = self.folder.store.holds(purchase.picture.sha256)
            except StorageFailed as failed:
                return f"its picture cannot be read now ({failed}), so nobody can say it is lost"
            return "its picture is there, in the store" if is_there else None
        return self._why_not_open(purchase) if purchase.state in OPEN else _known(purchase)

    def _why_not_open(self, purchase: Purchase) -> str | None:
        """Return why nothing can be decided about a purchase that a run has in work, or had."""
        home = self.homes.other(purchase.new.run_id)
        if home is not None:
            return (
                f"it was sent by home {home}, where its answer may lie: start that driver again, "
                "on its machine, and decide there; if it never comes back, first say so with "
                f"'stage3 recover --of-home {home}'"
            )
        if not self._has_lock_of(purchase):
            return "a run that is still going has it in work, and will tell what became of it"
        situation = waits_for(purchase, self.folder)
        is_given_up = situation == "answered" and self.gives_up_answers
        return None if is_given_up else _WHY_NOT.get(situation)

    def _too_early(self, purchase: Purchase, decision: Decision) -> str | None:
        """Return why a request cannot be called unbilled yet, which its provider could still list.

        Until then it may be on its way there; afterwards a person is believed.
        """
        job = purchase.job
        is_lost = purchase.state in {State.SENDING, State.UNKNOWN}
        if decision is not Decision.NOT_BILLED or not is_lost or job is None or job.accepted:
            return None
        listing = _listing_of(purchase)
        if listing is None:
            return None
        since = purchase.changed_at if purchase.state is State.UNKNOWN else self.now
        from_then = since + timedelta(seconds=listing.settle_s)
        if self.now >= from_then:
            return None
        return (
            "its provider may have it and not list it yet, so that nobody can say it was not "
            f"billed before {from_then:%Y-%m-%d %H:%M} UTC; 'stage3 ask' asks for it"
        )

    def _has_lock_of(self, purchase: Purchase) -> bool:
        """Return whether its dead run's lock is held here, until the decisions are durable."""
        run_id = purchase.new.run_id
        if not self.taken.get(run_id, False) and self.folder.may_be_going(purchase):
            return False
        if run_id not in self.taken:
            taken = self.folder.owners.take_over(run_id)
            self.taken[run_id] = self.locks.enter_context(taken)
        return self.taken[run_id]


def _listing_of(purchase: Purchase) -> Listing | None:
    """Return what a provider's listing can prove; ``None`` if it has none, or is not there.

    Batches have a listing of their own.
    """
    try:
        provider = provider_at(purchase.new.endpoint)
    except SettingsRefused:
        return None
    if purchase.new.line is None:
        return provider.profile.listing
    return None if provider.batch is None else provider.batch.terms.listing


def _known(purchase: Purchase) -> str:
    """Return what is known of a purchase that nobody needs to decide about."""
    if purchase.state is State.ACCEPTED and purchase.job is not None:
        return (
            "it is being made at its provider, where the next run asks for it, free of charge; "
            f"if it is not known there any more after {until(purchase.job)}, that run makes it "
            "UNKNOWN, and you can decide"
        )
    return f"its outcome is known, it is {purchase.state}"


_WHY_NOT: Final[Mapping[Situation, str]] = {
    "answered": "its answer is there; the next run takes in the picture, free of charge; to give "
    "it up all the same, say so with --yes",
    "unreadable": "what was received for it cannot be read now, and it may be its picture",
    "unbilled": "it was never billed; the next run lets go of its money by itself",
}
"""Why nobody decides about what waits so."""


# What was decided, or would be: in figures, so that a slip of the hand is seen -------------------


class Decided(Report):
    """What was decided of purchases, or would be."""

    format = "stage3-resolve/1"
    ledger: StateFolder
    changed: bool
    decision: Decision
    next_step: str
    is_final: bool
    resolved: tuple[Changed, ...]
    would_resolve: tuple[Foreseen, ...] = ()
    left_out: tuple[str, ...] = ()
    each_microusd: Kept[int | None] = None
    """What each was billed, if that was said."""
    again: Kept[Next | None] = None
    """What records it, where many were chosen, and none is recorded yet."""

    def sentences(self) -> Iterator[Line]:
        """Yield what was or would be done, what that costs, and how it can be taken back."""
        before = [one.purchase for one in self.would_resolve]
        if before:
            yield purchases_in_rows(self.would_resolve)
            yield _sum_in_words(self.decision, before, self.each_microusd)
        elif not self.resolved:
            yield "no purchase of unknown outcome is meant"
        if len(self.resolved) > 1:
            yield f"{len(self.resolved)} resolved"
        for group in grouped(self.resolved, lambda one: name_of(one.purchase)):
            yield _money_in_words(group)
        if self.left_out:
            ids = " ".join(one[:SHORT] for one in self.left_out[:_MOST_NAMED])
            more = len(self.left_out) - _MOST_NAMED
            ids += f" (and {more:,} more)" if more > 0 else ""
            are = "answer is" if len(self.left_out) == 1 else "answers are"
            yield (
                f"left out: {len(self.left_out):,}, whose {are} kept and may still give a picture; "
                f"who has seen that there is none decides by id: stage3 resolve {ids} ..."
            )
        if self.resolved:
            yield f"next: {self.next_step}"
            yield f"undo: {self._undo()}"
        elif before:
            yield f"undo: {_MEANINGS[self.decision].undo}"
            yield _UNCHANGED

    def _undo(self) -> Line:
        """Say whether and how it can be taken back: a bill can be corrected, up and down."""
        if not all(one.purchase.state is State.PAID_BAD for one in self.resolved):
            return _MEANINGS[self.decision].undo
        which, sure = self._which()
        more = " ..." if len(which) > _MOST_NAMED else ""
        command = " ".join(["stage3 resolve", *which[:_MOST_NAMED]]) + f"{more} --cost 0"
        return (
            f"'{' '.join([command, *sure])}' if it was not billed after all, '--cost USD' if "
            f"{'each' if sure else 'it'} was billed something else; the old figure is kept"
        )

    def _which(self) -> tuple[list[str], list[str]]:
        """Name what was decided: by their batch, which needs to be said for sure, or by ids."""
        tokens = {token_of(one.purchase) for one in self.resolved}
        token = tokens.pop() if len(tokens) == 1 else None
        if token is not None:
            return ["--batch", token[:SHORT]], ["--yes"]
        return [one.purchase.new.attempt_id[:SHORT] for one in self.resolved], []

    def next_steps(self) -> Iterator[Next]:
        """Yield what records it, or takes it back."""
        if self.again is not None and self.would_resolve:
            yield self.again
            return
        if self.decision is Decision.BILLED and self.resolved:
            which, sure = self._which()
            yield Next(
                next_steps.stage3(self.ledger, "resolve", *which, "--cost", "0", *sure),
                "takes it back: it was not billed after all; the old figure is kept",
                is_safe=False,
            )
        yield next_steps.looking(self.ledger)


def _decided(
    folder: StateFolder,
    decision: Decision,
    answered: Sequence[Purchase] = (),
    *,
    resolved: Sequence[Changed] = (),
    **more: Any,
) -> Decided:
    """Say what was decided, or would be."""
    return Decided(
        ledger=folder,
        changed=bool(resolved),
        decision=decision,
        next_step=_MEANINGS[decision].next_step,
        is_final=decision is not Decision.BILLED,
        resolved=tuple(resolved),
        left_out=tuple(one.new.attempt_id for one in answered),
        **more,
    )


def _money_in_words(group: Sequence[Changed]) -> Line:
    """Say what became of a purchase, or of lines of a batch, and of their money."""
    after, token = group[0].purchase, token_of(group[0].purchase)
    name, it, are = f"{after.new.attempt_id[:SHORT]} of scene {after.new.scene_id}", "it", "is"
    if token is not None:
        name, it = f"{counted(len(group), 'line')} of batch {token[:SHORT]}", "them"
        are = "is" if len(group) == 1 else "are"
    freed = sum(one.counted_before_microusd for one in group)
    spent = sum(one.purchase.counted_microusd for one in group)
    money = f"${usd(spent)} counts as spent"
    if after.state is State.REFUSED:
        money = f"the ${usd(freed)} held for {it} is free again"
    elif after.cost_microusd is None and not spent:
        money = "its cost stays unknown, and nothing is counted for it"
    elif after.cost_microusd is None and token is None:
        money = f"the ${usd(spent)} held for it counts as spent"
    elif token is None and 0 < after.new.hold_microusd < spent:
        money += f", ${usd(spent - after.new.hold_microusd)} more than was held for it"
    return f"{name} {are} now {after.state}: {money}"


def _sum_in_words(
    decision: Decision, before: Sequence[Purchase], cost_microusd: int | None
) -> Line:
    held = usd(sum(one.counted_microusd for one in before))
    purchases = counted(len(before), "purchase")
    if decision is Decision.NOT_BILLED:
        return f"{purchases}: the ${held} held for them is free again"
    words = f"the ${held} held for them counts as spent"
    unpriced = sum(not one.new.hold_microusd for one in before)
    if cost_microusd is not None:
        spent = usd(cost_microusd * len(before))
        words = f"${spent} counts as spent, in the place of ${held} held"
    elif unpriced:
        words += f"; the cost of {unpriced:,} is unknown, and counts as nothing"
    return f"{purchases}: {words}; a run that makes the scenes again pays for them once more"


class Corrected(Report):
    """Which bills were put right, or would be; the figures that were there are kept."""

    format = "stage3-resolve/1"
    ledger: StateFolder
    changed: bool
    decision: Literal["cost"] = "cost"
    resolved: tuple[Changed, ...] = ()
    foreseen: Kept[Sequence[Purchase] | None] = None
    """Lines of a batch of which it was only looked what it would change."""
    each_microusd: Kept[int]

    def sentences(self) -> Iterator[Line]:
        """Yield each with its figure of before, or by how much the sum would change."""
        if self.foreseen:
            lines = counted(len(self.foreseen), "line")
            now = usd(sum(one.counted_microusd for one in self.foreseen))
            would = f"${usd(self.each_microusd * len(self.foreseen))} would count"
            yield f"{lines} that somebody found billed: {would}, in the place of ${now}"
            yield _UNCHANGED
        elif not self.resolved:
            yield "nobody has called a line of this batch billed: there is nothing to put right"
        for one in self.resolved:
            new, before = one.purchase.new, one.cost_before_microusd
            was = "an unknown cost" if before is None else f"${usd(before)}"
            is_same = before == self.each_microusd
            how = ", as it did" if is_same else f" now, in the place of {was}"
            name = f"{new.attempt_id[:SHORT]} of scene {new.scene_id}"
            yield f"{name} costs ${usd(self.each_microusd)}{how}"
        if self.resolved:
            yield "the figure that was there is kept; 'stage3 attempts --all' shows it"


class DaySet(Report):
    """Which day a ledger goes on with."""

    format = "stage3-resolve/1"
    ledger: StateFolder
    changed: bool
    decision: Literal["day"] = "day"
    last_day_before: date | None
    last_day: date | None
    wanted: Kept[date]

    def sentences(self) -> Iterator[Line]:
        """Say what it is, and what it was."""
        if self.changed:
            yield (
                f"the ledger's day is {self.wanted} now; it was {self.last_day_before}. What was "
                "held and spent stays counted on the days it was counted on"
            )
        elif self.last_day is None:
            yield "the ledger knows no day yet: nothing was ever held; nothing was changed"
        else:
            last = f"the ledger's last day is {self.last_day}"
            yield f"{last}, which is not after {self.wanted}; nothing was changed"
