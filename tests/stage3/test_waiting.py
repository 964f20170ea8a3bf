"""Who stays for what is being made: how often it is asked for, and when the waiting is over.

The ledger is a dictionary, and asking is a script of what comes next; the clock is the event
loop's, and moves by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TypeAlias, cast

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Accepted, BeingMade, Job, LineCount, NewJob
from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.domain.waited import Waited
from stage3_plugin.engine.waiting import IN_HANDS_S, LOST_S, Waiting
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.waiting import (
    FIRST_WAIT_S,
    LEAST_WAIT_S,
    LONGEST_HINT_S,
    LONGEST_WAIT_S,
    batch_wait_s,
)
from stage3_plugin.purchase.lost import Brought
from stage3_plugin.purchase.recovery import Recovery

START = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
HOLD = 20_000


def job_of(token: str, *, lane: str = "batch", is_accepted: bool = True) -> Job:
    new = NewJob(
        token=token, account="a", endpoint="images", lane="batch" if lane == "batch" else "one"
    )
    job = Job(new=new, provider="openai", opened_at=START)
    if not is_accepted:
        return job
    accepted = Accepted(job_id=f"job-{token}", poll_url="https://x.test/b", keeps_s=86_400)
    return replace(job, accepted=accepted, accepted_at=START, expires_at=START + timedelta(days=1))


def line_of(
    attempt_id: str, job: Job, *, state: State = State.ACCEPTED, number: int = 0
) -> Purchase:
    new = NewPurchase(
        attempt_id=attempt_id,
        scene_key=attempt_id,
        scene_id=f"scene-{attempt_id}",
        run_id="gone",
        endpoint=Endpoint(provider="openai", model="gpt-image-2"),
        size="64x64",
        quality="low",
        is_local=False,
        hold_microusd=HOLD,
        content_key=attempt_id,
        subject_key=attempt_id,
        job=job.new,
        line=number if job.new.lane == "batch" else None,
    )
    return Purchase(
        new=new,
        state=state,
        day=date(2026, 11, 30),
        held_at=START,
        changed_at=START,
        job=job,
    )


Answers: TypeAlias = "Callable[[Shop, Purchase, int], BeingMade | None]"


@dataclass
class Shop:
    """A ledger, what asking comes to, and when it was asked.

    Attributes:
        answers: Called with the purchase and how often its job was asked for; returns what it
            came to, and may settle purchases.
    """

    answers: Answers
    purchases: dict[str, Purchase] = field(default_factory=dict[str, Purchase])
    living: set[str] = field(default_factory=set[str])
    asked: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def have(self, *purchases: Purchase) -> Shop:
        for one in purchases:
            self.purchases[one.new.attempt_id] = one
        return self

    def accepted(self) -> Sequence[Purchase]:
        return self._of({State.ACCEPTED})

    def open_purchases(self) -> Sequence[Purchase]:
        return self._of(OPEN)

    def lost(self) -> Sequence[Purchase]:
        unknown = self._of({State.UNKNOWN})
        return [one for one in unknown if one.job is not None and one.job.accepted is None]

    def _of(self, states: Collection[State]) -> list[Purchase]:
        return [one for one in self.purchases.values() if one.state in states]

    def purchase(self, attempt_id: str, /) -> Purchase | None:
        return self.purchases.get(attempt_id)

    def halt(self) -> None:
        """Nothing is under way here."""

    def lives(self, purchase: Purchase, /) -> bool:
        return purchase.new.attempt_id in self.living

    def settle(self, job: Job, state: State, *, cost: int | None = None, why: str = "") -> None:
        for key, one in self.purchases.items():
            if one.new.job == job.new and one.state in {*OPEN, State.ACCEPTED}:
                self.purchases[key] = replace(one, state=state, cost_microusd=cost, why=why)

    async def bring_on(self, attempt_id: str, /) -> Brought:
        purchase = self.purchases[attempt_id]
        token = purchase.new.job.token if purchase.new.job else ""
        self.asked.append((token or "", anyio.current_time()))
        await anyio.lowlevel.checkpoint()
        making = self.answers(self, purchase, sum(1 for one, _ in self.asked if one == token))
        return Brought(purchase=self.purchases[attempt_id], making=making)

    def waits(self, token: str) -> list[float]:
        moments = [at for one, at in self.asked if one == token]
        return [later - earlier for earlier, later in pairwise(moments)]


@dataclass
class Stood:
    """How the waiting ended, when, and what was reported meanwhile."""

    waited: Waited
    took_s: float
    reports: list[Waited]


def stay(
    shop: Shop,
    *,
    for_s: float | None = None,
    can_ask: bool = True,
    beside: Callable[[], Awaitable[None]] | None = None,
) -> Stood:
    """Wait in virtual time."""
    reports: list[Waited] = []

    async def main() -> Stood:
        began = trio.current_time()

        def now() -> datetime:
            return START + timedelta(seconds=trio.current_time() - began)

        waiting = Waiting(
            cast("Session", SimpleNamespace(reader=shop, now=now)),
            cast("Recovery", shop),
            can_ask=lambda _: can_ask,
            report=reports.append,
        )
        async with trio.open_nursery() as nursery:
            if beside is not None:
                nursery.start_soon(beside)
            waited = await waiting.to_the_end(for_s)
            nursery.cancel_scope.cancel()
        return Stood(waited, trio.current_time() - began, reports)

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def ends_after(times: int) -> Answers:
    def answer(shop: Shop, purchase: Purchase, asked: int) -> BeingMade | None:
        job = purchase.job
        assert job is not None
        if asked < times:
            done = LineCount(total=3, done=asked, failed=1)
            return BeingMade(job=job, asked=asked, again_s=batch_wait_s(asked), lines=done)
        shop.settle(job, State.PAID, cost=10_000)
        return None

    return answer


# How often ---------------------------------------------------------------------------------------


@given(asked=st.integers(0, 10_000), hint_s=st.none() | st.floats(-10, 1e9))
def test_the_pace_is_gentle_and_never_ends(asked: int, hint_s: float | None) -> None:
    """It grows from a minute to ten; what its provider asks for goes before it, within reason."""
    wait_s = batch_wait_s(asked, hint_s=hint_s)

    if hint_s is None:
        assert FIRST_WAIT_S <= wait_s <= LONGEST_WAIT_S
        assert wait_s <= batch_wait_s(asked + 1)
    else:
        assert LEAST_WAIT_S <= wait_s <= LONGEST_HINT_S
        assert wait_s >= min(hint_s, LONGEST_HINT_S)


def test_a_batch_is_asked_for_gently_until_it_has_ended() -> None:
    """Once for all of its lines, at once, after a minute, and then at waits that grow to ten."""
    job = job_of("t1")
    shop = Shop(ends_after(9)).have(*(line_of(f"a{n}", job, number=n) for n in range(3)))
    stood = stay(shop)
    (one,) = stood.waited.jobs

    assert shop.waits("t1") == [60, 90, 135, 202.5, 303.75, 455.625, 600, 600]
    assert stood.waited.is_over
    assert (one.left, one.ended, one.spent_microusd) == (0, {State.PAID: 3}, 30_000)
    assert [each.jobs[0].lines for each in stood.reports[:2]] == [
        LineCount(total=3, done=1, failed=1),
        LineCount(total=3, done=2, failed=1),
    ]
    assert stood.reports[0].next_s == 60


# When it is over ---------------------------------------------------------------------------------


@pytest.mark.parametrize("for_s, asked", [(0.0, 1), (59.0, 1), (60.0, 2), (200.0, 3)])
def test_the_time_that_was_given_is_kept(for_s: float, asked: int) -> None:
    """It asks once however short that is, and not once more at the end."""
    shop = Shop(ends_after(100)).have(line_of("a", job_of("t1")))
    stood = stay(shop, for_s=for_s)

    assert stood.took_s == for_s
    assert len(shop.asked) == asked
    assert not stood.waited.is_over
    assert stood.waited.jobs[0].left == 1


def test_what_cannot_be_asked_for_is_not_waited_for() -> None:
    """It says why, stays being made, and keeps nobody who waits for another."""
    refused, other = job_of("t1"), job_of("t2")

    def answer(shop: Shop, purchase: Purchase, asked: int) -> BeingMade | None:
        if purchase.new.job == refused.new:
            return BeingMade(job=refused, asked=1, problem="the key is refused", stops_run=True)
        return ends_after(2)(shop, purchase, asked)

    shop = Shop(answer).have(line_of("a", refused), line_of("b", other))
    stood = stay(shop)
    by_token = {one.job.new.token: one for one in stood.waited.jobs}

    assert stood.took_s == 60
    assert (by_token["t1"].is_given_up, by_token["t1"].left) == (True, 1)
    assert by_token["t1"].problem == "the key is refused"
    assert by_token["t2"].left == 0
    assert not stood.waited.is_over


def test_what_the_config_names_no_way_to_is_not_asked_for() -> None:
    """Another config can."""
    shop = Shop(ends_after(1)).have(line_of("a", job_of("t1")))
    stood = stay(shop, can_ask=False)

    assert shop.asked == []
    assert stood.waited.jobs[0].is_given_up
    assert "config" in stood.waited.jobs[0].problem


def test_what_a_living_run_has_in_work_is_left_to_it_until_it_ends() -> None:
    """Then it is asked for here, as any other."""
    shop = Shop(ends_after(1)).have(line_of("a", job_of("t1")))
    shop.living.add("a")

    async def end_the_run() -> None:
        await trio.sleep(25)
        shop.living.clear()

    stood = stay(shop, beside=end_the_run)

    assert stood.took_s == 3 * IN_HANDS_S
    assert len(shop.asked) == 1
    assert any(one.jobs[0].is_in_hands for one in stood.reports)
    assert stood.waited.pictures == 1


# What was lost -----------------------------------------------------------------------------------


def test_a_lost_batch_is_waited_for_as_long_as_it_may_come_to_be_listed() -> None:
    """Its lines are unknown then, and yours to decide; it is asked for gently all the while."""
    job = job_of("t1", is_accepted=False)
    lines = [line_of(f"a{n}", job, state=State.UNKNOWN, number=n) for n in range(2)]
    stood = stay(Shop(lambda _shop, _purchase, _asked: None).have(*lines))
    (one,) = stood.waited.jobs

    assert LOST_S <= stood.took_s <= LOST_S + LONGEST_WAIT_S
    assert (one.left, one.ended) == (0, {State.UNKNOWN: 2})
    assert stood.waited.is_over


def test_what_dead_runs_have_left_is_looked_at_first() -> None:
    """A create whose answer lies there may have been accepted: then it is waited for."""
    job = job_of("t1", is_accepted=False)

    def answer(shop: Shop, purchase: Purchase, asked: int) -> BeingMade | None:
        if purchase.state is State.SENDING:
            for key, one in shop.purchases.items():
                shop.purchases[key] = replace(one, state=State.ACCEPTED, job=job_of("t1"))
            return None
        return ends_after(3)(shop, purchase, asked)

    lines = [line_of(f"a{n}", job, state=State.SENDING, number=n) for n in range(2)]
    stood = stay(Shop(answer).have(*lines))

    assert stood.waited.pictures == 2
