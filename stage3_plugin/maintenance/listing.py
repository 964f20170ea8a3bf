"""Finds the purchases that need a person, and says what each of them waits for.

Writes nothing. What an open purchase of a dead run waits for is decided by the same function that
the next run goes by (:func:`~stage3_plugin.policy.reuse.after_its_owner`).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import BeforeValidator

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.purchase import Asking, Correction, Purchase, Tally
from stage3_plugin.domain.states import COUNTED, OPEN, UNSETTLED, State
from stage3_plugin.errors import LookupRefused, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.maintenance import next_steps
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.report import (
    SHORT,
    Bought,
    JobKeys,
    Kept,
    Part,
    Report,
    at,
    counted,
    grouped,
    job_keys,
    moment,
    named,
    route,
    token_of,
    usd,
)
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.policy.pricing import ABSURD
from stage3_plugin.policy.reuse import after_its_owner
from stage3_plugin.providers.replies.answers import request_id_of
from stage3_plugin.purchase.lost import name_of
from stage3_plugin.storage.spool import polls
from stage3_plugin.storage.spool.awaited import Awaited

_GIVEN_UP = {State.PAID_BAD, State.WROTE_OFF, State.REFUSED}
_MAY_NEED = {State.UNKNOWN, State.ACCEPTED, *_GIVEN_UP} | OPEN
"""States in which a purchase can need a person; whether it does depends on its situation."""
_INDENT: Final = " " * 10
_SCENES_NAMED: Final = 3
"""Scenes of a batch that are named; the others are counted."""
_DAYS_AHEAD: Final = 1  # two calendars may differ by one


Situation: TypeAlias = Literal[
    "settled",
    "in_flight",
    "unbilled",
    "answered",
    "being_made",
    "awaited",
    "not_taken_in",
    "unreadable",
    "abandoned",
    "elsewhere",
    "undecided",
    "lost",
    "replaced",
    "came_late",
    "overbilled",
]
"""What a purchase waits for; :data:`_KINDS` says it in words."""


class _Kind(NamedTuple):
    """What is said of a situation.

    Attributes:
        step: What to do.
        called: What a row is, where its state does not say it: it is SENDING or ACCEPTED until its
            picture is stored.
        is_decided: A person may decide.
        is_shared: The lines of a batch come to it together; all else is each line's own.
        needs_nobody: It is not listed unless it is asked for.
    """

    step: str
    called: str = ""
    is_decided: bool = False
    is_shared: bool = False
    needs_nobody: bool = False


_LOOK_IT_UP = "look it up in the provider's records of that time, and say what they say"
_KINDS: Final[Mapping[Situation, _Kind]] = {
    "settled": _Kind("", needs_nobody=True),
    "in_flight": _Kind(
        "nothing to do: a run that is still going has it in work",
        called="in flight",
        is_shared=True,
        needs_nobody=True,
    ),
    "unbilled": _Kind("nothing to do: the next run lets go of its money", is_shared=True),
    "answered": _Kind(
        "nothing to do: its answer is there; the next run takes it in for free",
        called="bought, answer received",
        is_shared=True,
    ),
    "being_made": _Kind(
        "run the same command again while its provider keeps it: it is asked for free, and nothing "
        "is bought twice",
        called="bought, being made",
        is_shared=True,
    ),
    "awaited": _Kind(
        "run the same command again: it asks for the picture for free, and buys nothing twice. "
        "Only if it is not to be had any more, say what became of it",
        called="bought, picture awaited",
        is_decided=True,
    ),
    "not_taken_in": _Kind(
        "its answer is there and was not understood: the next run tries again for free. Or look it "
        "up in the provider's records, and say what they say",
        is_decided=True,
    ),
    "unreadable": _Kind(
        "what was received for it cannot be read now; see to the disk and its permissions, and ask "
        "again"
    ),
    "elsewhere": _Kind(
        "start the driver of its home again, on that machine: its answer may lie there, and nobody "
        "else can see that",
        is_shared=True,
    ),
    "abandoned": _Kind(_LOOK_IT_UP, is_decided=True, is_shared=True),
    "undecided": _Kind(_LOOK_IT_UP, is_decided=True, is_shared=True),
    "lost": _Kind(
        "a run that still has this scene makes it again, for another price; take the scene out of "
        "the story if you do not want that"
    ),
    "replaced": _Kind("nothing to do: its scene was sent again since", needs_nobody=True),
    "came_late": _Kind("nothing to do: its picture came after it had been given up, and is kept"),
    "overbilled": _Kind(
        "its bill is far above what was held for it: look it up in the provider's records, and say "
        "what it was"
    ),
}


class Found(Part):
    """One purchase as it was found.

    Attributes:
        purchase: Its row.
        short_id: The beginning of its id, at least 8 digits, that no other purchase shares.
        situation: What it waits for.
        home: The home of its run, if that is another one.
        next_step: What to do about it.
        evidence: The folder of what was received, if anything was, and is kept.
        request_id: What the provider calls the exchange, if it said so.
        asked_for: What its provider said last of a lost request, if it was asked.
        overbilled: Its bill is far above what was held for it, and no person has confirmed it.
        late: Its picture, if that came after it had been given up.
        awaited: What is known of a picture that was asked for and did not come.
        corrections: The costs that a person put right, oldest first.
    """

    purchase: Bought
    short_id: str
    situation: Situation
    home: str | None
    next_step: str | None
    evidence: Path | None
    request_id: str | None
    asked_for: Asking | None
    overbilled: bool
    late: Path | None
    awaited: Awaited | None
    corrections: tuple[Correction, ...]


class BatchLines(Part):
    """Lines of a batch that wait for the same."""

    batch: str
    short_id: str
    situation: Situation = at("first", "situation")
    state: State = at("first", "purchase", "state")
    lines: int
    held_microusd: int
    provider: str = at("first", "purchase", "new", "endpoint", "provider")
    model: str = at("first", "purchase", "new", "endpoint", "model")
    job: Annotated[JobKeys | None, BeforeValidator(job_keys)] = at("first", "purchase", "job")


class Listing(Report):
    """Purchases of a ledger.

    Attributes:
        attempts: The purchases asked for, newest first.
        batches: The lines of batches that wait for the same.
        groups: Likewise, and all else alone.
        is_of_those_in_need: They were not chosen: these are those that a person should know of.
    """

    format = "stage3-attempts/1"
    ledger: StateFolder
    attempts: tuple[Found, ...]
    left_out: int
    states: dict[State, Tally]
    counted_microusd: int
    last_day: date | None
    batches: list[BatchLines]
    groups: Kept[Sequence[Sequence[Found]]]
    is_of_those_in_need: Kept[bool]

    def sentences(self) -> Iterator[str]:
        """Yield what there is to be said of each, what was left out, and what all come to."""
        for group in self.groups:
            head, *told = _told(group, self.ledger)
            yield head
            yield from (f"{_INDENT}{line}" for line in told)
            yield ""
        if not self.attempts:
            yield "no purchase needs you" if self.is_of_those_in_need else "no such purchase"
            yield ""
        if self.left_out:
            yield f"and {self.left_out} more; a higher --limit shows them"
            yield ""
        today = datetime.now(UTC).date()
        if self.last_day is not None and (self.last_day - today).days > _DAYS_AHEAD:
            where = next_steps.stage3(self.ledger, "resolve", "--day", str(today))
            was = f"the ledger's day is {self.last_day}, and this machine's is {today}"
            yield f"{was}: was a clock wrong?"
            yield "  daily caps begin anew only after it. If it was wrong, set the day right:"
            yield from next_steps.in_lines([Next(where, "sets it back to today")])
            yield ""
        for state, tally in self.states.items():
            yield _tally(state, tally, self.attempts)
        yield f"${usd(self.counted_microusd)} held and spent in all"
        yield f"ledger: {self.ledger.shown}"

    def next_steps(self) -> Iterator[Next]:
        """Yield what asks and waits before what decides."""
        steps = (_steps(group, self.ledger) for group in self.groups)
        yield from next_steps.best_first(chain.from_iterable(steps))


def _lines_of(group: Sequence[Found], token: str) -> BatchLines:
    held = sum(one.purchase.new.hold_microusd for one in group)
    size = {"lines": len(group), "held_microusd": held}
    return BatchLines.of(first=group[0], batch=token, short_id=token[:SHORT], **size)


def _told(group: Sequence[Found], folder: StateFolder) -> Iterator[str]:
    """Say of a purchase, or of lines of a batch that wait for the same, what there is."""
    first = group[0]
    purchase, new, token = first.purchase, first.purchase.new, _batch_of(first)
    state = _KINDS[first.situation].called or str(purchase.state)
    who, what = (
        (first.short_id, new.scene_id)
        if token is None
        else (f"batch {token[:SHORT]}", counted(len(group), "line"))
    )
    yield f"{who}  {state}  {what}  {moment(purchase.held_at)}  {route(new.endpoint)}"
    held = sum(one.purchase.new.hold_microusd for one in group)
    money = f"held ${usd(held)} for all of them" if token else _money_in_words(purchase)
    home = "" if first.home is None else f", of home {first.home}"
    yield f"{money}, of run {new.run_id[:64]}{home}"
    if token is not None:
        scenes = sorted(one.purchase.new.scene_id for one in group)
        yield f"scenes {named(scenes, _SCENES_NAMED)}"
    if purchase.why:
        yield purchase.why
    if first.request_id is not None:
        yield f"the provider calls it {first.request_id}"
    job = job_keys(purchase.job)
    if job is not None and purchase.state in UNSETTLED:
        yield str(job)
    if first.awaited is not None:
        awaited = first.awaited
        times = "once" if awaited.asked == 1 else f"{awaited.asked:,} times"
        yield f"its picture is awaited from {awaited.address}"
        yield f"asked for {times}, the last time at {awaited.last_at}: {awaited.problem}"
    if first.asked_for is not None:
        yield f"asked for {moment(first.asked_for.at)}: {first.asked_for.why}"
    for one in first.corrections:
        old = "an unknown cost" if one.old_microusd is None else f"${usd(one.old_microusd)}"
        now = f"${usd(one.new_microusd)} on {moment(one.at)}"
        yield f"corrected by a person: {old} to {now}"
    if first.late is not None:
        yield f"its picture: {first.late}"
    if first.evidence is not None:
        yield f"received: {first.evidence}"
    yield from _next(group, folder)


def _next(group: Sequence[Found], folder: StateFolder) -> Iterator[str]:
    """Say what to do about a group, and the commands that do it where there are some."""
    first = group[0]
    if first.next_step:
        yield f"next: {first.next_step}"
    steps = list(_steps(group, folder))
    yield from next_steps.in_lines(steps)
    if any(one.command[2] == "--batch" for one in steps):
        yield "  (each shows what it would be; with --yes it is recorded)"
    by_hand = " ".join(("stage3 resolve", first.short_id, *next_steps.located(folder)))
    if _KINDS[first.situation].is_decided or _batch_of(first) is not None:
        return
    if first.situation == "answered":
        yield f"  {by_hand} --resend --yes   to give it up all the same"
    if first.overbilled and first.situation != "overbilled":
        yield f"its bill is far above what was held for it; {_LOOK_IT_UP}"
    has_a_bill = first.purchase.state in {State.PAID, State.PAID_BAD}
    if has_a_bill and first.situation != "settled":
        yield f"  {by_hand} --cost USD     if it was billed something else"


def _steps(group: Sequence[Found], folder: StateFolder) -> Iterator[Next]:
    """Yield the commands that may come next for a group, as they stand."""
    first, token = group[0], _batch_of(group[0])
    if first.situation == "being_made":
        yield next_steps.waiting(next_steps.asking(folder))
    if first.situation == "elsewhere" and first.home is not None:
        command = next_steps.stage3(folder, "recover", "--of-home", first.home)
        yield Next(command, "if that machine never comes back")
    if not _KINDS[first.situation].is_decided:
        return
    if first.asked_for is not None or token is not None:
        what = "it" if token is None else "all of it"
        why = f"asks its provider for {what}, for nothing, before anybody decides"
        where = next_steps.asking(folder)
        yield Next(("stage3", "ask", first.short_id, *where, "--json"), why)
    if token is not None:
        yield from next_steps.deciding(folder, "--batch", token[:SHORT], shows_first=True)
        return
    awaited = "it never comes, and was billed; the scene may be made again"
    billed = awaited if first.situation == "awaited" else None
    yield from next_steps.deciding(folder, first.short_id, billed=billed)


def _tally(state: State, tally: Tally, attempts: Sequence[Found]) -> str:
    line = f"{tally.count:>7,} {state:<9}"
    if state in COUNTED:
        line += f"  ${usd(tally.counted_microusd)} counted"
    if tally.held_costs:
        line += f"; {tally.held_costs:,} of them by what was held"
    if unknown := tally.unknown_costs - tally.held_costs:
        line += f"; the cost of {unknown:,} is unknown"
    called = Counter(
        _KINDS[one.situation].called
        for one in attempts
        if one.purchase.state is state and _KINDS[one.situation].called
    )
    return (line + "".join(f"; {many:,} of them {name}" for name, many in called.items())).rstrip()


def _money_in_words(purchase: Purchase) -> str:
    held = f"held ${usd(purchase.new.hold_microusd)}"
    if not purchase.new.hold_microusd:
        held = "free" if purchase.new.is_local else "nothing held"
    if purchase.state not in COUNTED:
        return f"{held}, not billed"
    if purchase.counted_basis == "held":  # not known: the hold counts, as in the run's report
        return f"{held}, cost ${usd(purchase.counted_microusd)} (held)"
    if purchase.cost_microusd is None:
        is_open = purchase.state in {*OPEN, State.ACCEPTED}
        return f"{held}, cost {'not known yet' if is_open else 'unknown'}"
    return f"{held}, cost ${usd(purchase.cost_microusd)}"


def _batch_of(found: Found) -> str | None:
    """Return the batch that a purchase is told together with."""
    return token_of(found.purchase) if _KINDS[found.situation].is_shared else None


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
            others = (one for one in ask.overbilled.values() if one.state not in _MAY_NEED)
            purchases = heapq.merge(purchases, others, key=lambda one: one.held_at, reverse=True)
        waiting: Iterator[tuple[Purchase, Situation]]
        waiting = ((purchase, ask.situation(purchase)) for purchase in purchases)
        if needing:
            waiting = (one for one in waiting if not _KINDS[one[1]].needs_nobody)
        found = tuple(ask.about(*one) for one in islice(waiting, limit))
        tallies = ledger.tallies()
        if needing or scene_id is not None:
            left_out = sum(1 for _ in waiting)
        else:  # counted already; reading them would take seconds in a large ledger
            among = State if states is None else set(states)
            left_out = max(0, sum(tallies[state].count for state in among) - len(found))
        last_day = ledger.last_day()
    groups = grouped(found, lambda one: (_batch_of(one) or one.short_id, one.situation))
    batches = ((group, _batch_of(group[0])) for group in groups)
    return Listing(
        ledger=folder,
        attempts=found,
        left_out=left_out,
        states={state: tally for state, tally in tallies.items() if tally.count},
        counted_microusd=sum(one.counted_microusd for one in tallies.values()),
        last_day=last_day,
        batches=[_lines_of(group, token) for group, token in batches if token is not None],
        groups=groups,
        is_of_those_in_need=needing,
    )


class _Situations:
    """Finds out what purchases wait for; knows each bill that is absurd."""

    def __init__(self, folder: StateFolder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger
        self._corrections = ledger.corrections()
        self._askings = ledger.askings()
        self._homes = folder.homes()

    @cached_property
    def overbilled(self) -> Mapping[str, Purchase]:
        """The purchases whose bill is absurd, by id."""
        return {one.new.attempt_id: one for one in self._ledger.overbilled(**ABSURD)}

    def about(self, purchase: Purchase, situation: Situation) -> Found:
        attempt_id = purchase.new.attempt_id
        is_undecided = purchase.state in UNSETTLED
        awaited = self._folder.spool.awaited(attempt_id) if is_undecided else None
        request_id = purchase.request_id
        if not request_id and (head := self._folder.spool.head(attempt_id)):
            # Of an exchange that broke off behind its head.
            request_id = request_id_of(Reply(status=0, headers=head.headers))
        return Found(
            purchase=purchase,
            short_id=self._short(attempt_id),
            situation=situation,
            home=self._homes.other(purchase.new.run_id),
            next_step=_next_step(situation, awaited, request_id) or None,
            evidence=self._folder.evidence(purchase),
            request_id=request_id,
            asked_for=self._askings.get(attempt_id),
            overbilled=attempt_id in self.overbilled,
            late=self._late(purchase),
            awaited=awaited,
            corrections=self._corrections.get(attempt_id, ()),
        )

    def situation(self, purchase: Purchase) -> Situation:
        home = self._homes.other(purchase.new.run_id)
        if home is not None and purchase.state in {*OPEN, State.ACCEPTED}:
            if self._ledger.home_is_connected(home):
                return "in_flight"
            return "elsewhere" if purchase.state in OPEN else "being_made"
        if purchase.state in OPEN:
            if self._folder.may_be_going(purchase):
                return "in_flight"
            return waits_for(purchase, self._folder)
        if purchase.state is State.ACCEPTED:
            lives = self._folder.owners.lives(purchase.new.run_id)
            return "in_flight" if lives else "being_made"
        if purchase.state is State.UNKNOWN:
            return waits_for(purchase, self._folder)
        if self._late(purchase) is not None:
            return "came_late"
        is_settled = purchase.state not in {State.PAID_BAD, State.WROTE_OFF}
        if not is_settled and self._ledger.live(purchase.new.scene_key) is None:
            return "lost"
        if purchase.new.attempt_id in self.overbilled:
            return "overbilled"
        return "settled" if is_settled else "replaced"

    def _late(self, purchase: Purchase) -> Path | None:
        if purchase.state not in _GIVEN_UP or purchase.decided_by is None:
            return None
        sha256 = self._folder.spool.late(purchase.new.attempt_id)
        return None if sha256 is None else self._folder.store.where(sha256)

    def _short(self, attempt_id: str) -> str:
        for digits in range(SHORT, len(attempt_id)):
            with suppress(LookupRefused):
                self._ledger.purchase(attempt_id[:digits])
                return attempt_id[:digits]
        return attempt_id


def _next_step(situation: Situation, awaited: Awaited | None, request_id: str | None) -> str:
    step = _KINDS[situation].step
    if situation == "awaited" and awaited is not None and awaited.needs_setting:
        return f"change the setting that is in its way, and {step}"
    return step if request_id is None else step.replace("look it up in", f"look {request_id} up in")


def waits_for(purchase: Purchase, folder: StateFolder) -> Situation:
    """Return what an open purchase of a dead run waits for, or one of unknown outcome."""
    attempt_id, job = purchase.new.attempt_id, purchase.job
    is_open = purchase.state in OPEN
    try:
        whole = folder.has_whole_answer(name_of(purchase) if is_open else attempt_id)
        is_line = purchase.new.line is not None  # which has an answer of its own
        if not is_open and job is not None and job.accepted is not None and not is_line:
            # Its first one was only its acceptance.
            whole = bool(polls.kept(folder.spool.folder_of(attempt_id)))
    except StorageFailed:
        return "unreadable"
    if not is_open:
        return "not_taken_in" if whole else "undecided"
    if not whole and folder.owners.has_never_sent(purchase.new.run_id, name_of(purchase)):
        return "unbilled"
    match after_its_owner(purchase, answer_is_complete=whole):
        case State.VOID:
            return "unbilled"
        case State.UNKNOWN:
            return "abandoned"
        case _:
            return "answered" if folder.spool.awaited(attempt_id) is None else "awaited"
