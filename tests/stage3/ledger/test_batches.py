"""Batches in the ledger: what is true of all lines is one transaction, whatever else goes on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType] - hypothesis tells no types
)

from stage3_plugin.domain.job import Accepted, NewJob
from stage3_plugin.domain.purchase import Limits, OverCap, Purchase, Settlement
from stage3_plugin.domain.states import COUNTED, LEGAL, State
from stage3_plugin.errors import IllegalTransition
from stage3_plugin.ledger.book import Ledger
from tests.laws import tried
from tests.stage3.ledger.databases import is_server, place_in
from tests.stage3.ledger.samples import (
    DAY,
    HOLD,
    NO_CAPS,
    NOW,
    SETTLEMENTS,
    accepted,
    new_job,
    new_purchase,
    opened,
    paid,
)

UNKNOWN = SETTLEMENTS[State.UNKNOWN]
REFUSED = SETTLEMENTS[State.REFUSED]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with opened(tmp_path) as ledger:
        yield ledger


def a_batch(ledger: Ledger, lines: int, *, named: str = "a batch", run_id: str = "run-1") -> NewJob:
    """Hold the lines of a batch, from the last number on, and return the batch."""
    job = replace(new_job(named, lane="batch"), input_file="file-1")
    with ledger.transaction():
        for line in reversed(range(lines)):
            new = replace(new_purchase(f"{named}, line {line}", run_id=run_id), job=job, line=line)
            ledger.hold(new, NO_CAPS, day=DAY, now=NOW)
    return job


def token_of(job: NewJob) -> str:
    assert job.token is not None
    return job.token


def states(ledger: Ledger, job: NewJob) -> list[State]:
    """Return the state of each line, in the order of their numbers."""
    return [one.state for one in ledger.lines_of(token_of(job))]


def settle(ledger: Ledger, job: NewJob, line: int, settlement: Settlement) -> None:
    with ledger.transaction():
        one = ledger.lines_of(token_of(job))[line]
        ledger.settle(one.new.attempt_id, settlement, now=NOW)


def accept(ledger: Ledger, job: NewJob, said: Accepted | None = None) -> None:
    with ledger.transaction():
        ledger.accept(token_of(job), said or accepted("a batch"), now=NOW)


def committed(ledger: Ledger) -> int:
    """Return what the counters say; that its rows add up to it is looked at, too."""
    assert ledger.problems() == []
    return ledger.sums(run_id="run-1", provider="openrouter", day=DAY).total_microusd


def test_what_came_of_a_line_is_noted_until_it_was_told(ledger: Ledger) -> None:
    """By its subject; what is undone with its transaction was never noted."""
    lines = [replace(one, subject_key="wish") for one in (new_purchase("a"), new_purchase("b"))]
    lines = [replace(one, slot=slot) for slot, one in enumerate(lines, start=1)]
    with ledger.transaction():
        for one in lines:
            ledger.hold(one, NO_CAPS, day=DAY, now=NOW)
    with ledger.transaction():
        first, second = (ledger.settle(one.attempt_id, REFUSED, now=NOW)[0] for one in lines)
        ledger.note_untold(first, "refused:prompt")
        ledger.note_untold(second, "rejected:")
    assert ledger.untold("wish") == {
        first.new.attempt_id: "refused:prompt", second.new.attempt_id: "rejected:",
    }  # fmt: skip

    with suppress(ZeroDivisionError), ledger.transaction():
        ledger.tell(first)
        raise ZeroDivisionError
    assert len(ledger.untold("wish")) == 2
    for _ in range(2):
        with ledger.transaction():
            ledger.tell(first)
        assert ledger.untold("wish") == {second.new.attempt_id: "rejected:"}
    assert (ledger.untold("another"), committed(ledger)) == ({}, 0)


def test_whoever_buys_a_wish_again_is_told_nothing_of_it_before(ledger: Ledger) -> None:
    """And whoever cannot, for its cap, still is; so is another wish."""
    wishes = ("wish", "another")
    lines = [replace(new_purchase(wish), subject_key=wish) for wish in wishes]
    for one in lines:
        with ledger.transaction():
            ledger.hold(one, NO_CAPS, day=DAY, now=NOW)
            (after,) = ledger.settle(one.attempt_id, REFUSED, now=NOW)
            ledger.note_untold(after, "refused:")
    again = replace(lines[0], attempt_id="0" * 32)
    left = list[int]()
    for limits in (Limits(total_microusd=HOLD - 1), NO_CAPS):
        with ledger.transaction():
            ledger.hold(again, limits, day=DAY, now=NOW)
        left.append(len(ledger.untold("wish")))

    assert left == [1, 0]
    assert len(ledger.untold("another")) == 1


def test_a_line_teaches_nothing_of_what_is_bought_by_itself(ledger: Ledger) -> None:
    """Neither what it costs nor how long it takes, nor the other way round."""
    job = a_batch(ledger, 1)
    accept(ledger, job)
    settle(ledger, job, 0, paid(20_000, took_s=80_000.0))
    with ledger.transaction():
        one = replace(new_purchase("by itself"))
        ledger.hold(one, NO_CAPS, day=DAY, now=NOW)
        ledger.settle(one.attempt_id, paid(39_000, took_s=8.0), now=NOW)
    bills = [
        ledger.highest_bill(
            provider="openrouter",
            model="painter-1",
            size="1024x1024",
            quality="medium",
            shows=False,
            plausible_microusd=60_000,
            in_batch=in_batch,
        )
        for in_batch in (False, True)
    ]

    assert bills == [39_000, 20_000]
    assert ledger.typical_s(provider="openrouter", model="painter-1") == 8.0


# A law -------------------------------------------------------------------------------------------

ENDS = (State.VOID, State.REFUSED, State.UNKNOWN, State.PAID_BAD, State.WROTE_OFF)


class BatchMachine(RuleBasedStateMachine):
    """Batches of one ledger, in any order of what may happen to them, one line or all."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = place_in(Path(self.folder.name)).open()
        self.jobs: list[NewJob] = []
        self.lines: dict[str, list[State]] = {}
        self.named = set[str]()
        self.cap = 0

    @initialize(cap=st.integers(2, 12))
    def begin(self, cap: int) -> None:
        self.cap = cap * HOLD

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    @precondition(lambda self: len(self.jobs) < 4)
    @rule(count=st.integers(1, 5))
    def hold_all(self, count: int) -> None:
        """All or nothing: what does not fit undoes what did."""
        job = new_job(f"batch {len(self.jobs)}", lane="batch")
        limits = Limits(total_microusd=self.cap)
        before = self.committed()
        try:
            with self.ledger.transaction():
                for line in range(count):
                    scene_id = f"{len(self.jobs)}, {line}"
                    new = replace(new_purchase(scene_id), job=job, line=line)
                    _need_room(self.ledger.hold(new, limits, day=DAY, now=NOW))
        except _NoRoom:
            assert before + count * HOLD > self.cap
            assert self.ledger.job_named(token_of(job)) is None
            return
        self.jobs.append(job)
        self.lines[token_of(job)] = [State.SENDING] * count

    @precondition(lambda self: self.jobs)
    @rule(n=st.integers(0, 3))
    def accept(self, n: int) -> None:
        token = token_of(self.jobs[n % len(self.jobs)])
        with self.ledger.transaction():
            self.ledger.accept(token, accepted(token), now=NOW)
        if token not in self.named:  # said again it changes nothing
            self.named.add(token)
            self.lines[token] = [
                State.ACCEPTED if State.ACCEPTED in LEGAL[one] else one for one in self.lines[token]
            ]

    @precondition(lambda self: self.jobs)
    @rule(
        n=st.integers(0, 3),
        state=st.sampled_from(ENDS),
        of=st.sets(st.sampled_from(tuple(State))),
        lines=st.none() | st.sets(st.integers(0, 5)),
    )
    def settle_all(self, *, n: int, state: State, of: set[State], lines: set[int] | None) -> None:
        """Those in some states, if all of them may; else nothing changes."""
        token = token_of(self.jobs[n % len(self.jobs)])
        settlement = replace(SETTLEMENTS[state], decided_by="user")
        wanted = [
            line
            for line, one in enumerate(self.lines[token])
            if one in of and (lines is None or line in lines)
        ]
        may = all(state in LEGAL[self.lines[token][line]] for line in wanted)
        try:
            with self.ledger.transaction():
                after = self.ledger.settle(token, settlement, of=of, lines=lines, now=NOW)
        except IllegalTransition:
            assert not may
            return
        assert may
        assert [one.new.line for one in after] == wanted
        for line in wanted:
            self.lines[token][line] = state

    @precondition(lambda self: self.jobs)
    @rule(n=st.integers(0, 3), line=st.integers(0, 4), cost=st.none() | st.integers(0, 2 * HOLD))
    def come(self, *, n: int, line: int, cost: int | None) -> None:
        """The picture of one line comes."""
        token = token_of(self.jobs[n % len(self.jobs)])
        line %= len(self.lines[token])
        one = self.ledger.lines_of(token)[line]
        with suppress(IllegalTransition), self.ledger.transaction():
            self.ledger.settle(one.new.attempt_id, paid(cost), now=NOW)
            self.lines[token][line] = State.PAID

    def committed(self) -> int:
        return sum(one.counted_microusd for one in self.all if one.state in COUNTED)

    @property
    def all(self) -> list[Purchase]:
        return [one for job in self.jobs for one in self.ledger.lines_of(token_of(job))]

    @invariant()
    def counters_are_the_sum_of_the_lines(self) -> None:
        assert self.ledger.problems() == []
        sums = self.ledger.sums(run_id="run-1", provider="openrouter", day=DAY)
        assert sums.total_microusd == self.committed()

    @invariant()
    def every_line_is_where_it_was_brought(self) -> None:
        for token, expected in self.lines.items():
            assert [one.state for one in self.ledger.lines_of(token)] == expected
            job = self.ledger.job_named(token)
            assert job is not None
            is_named = job.accepted is not None
            assert is_named or State.ACCEPTED not in expected


class _NoRoom(Exception):
    """A line does not fit."""


def _need_room(held: object) -> None:
    if isinstance(held, OverCap):
        raise _NoRoom


def test_batches_hold_in_any_order() -> None:
    """What the counters say, what each line is, and that all of it is one transaction."""
    examples = 5 if is_server() else 20  # a round trip takes longer than a step
    run_state_machine_as_test(BatchMachine, settings=tried(examples))  # asserts in every invariant
