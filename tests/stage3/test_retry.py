"""The decision table, and its laws."""

import itertools
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.policy.retry import (
    HINT_JITTER_S,
    Again,
    Decision,
    GiveUp,
    History,
    Keep,
    Stop,
    backoff_bound_s,
    decide,
    was_turned_away,
)
from stage3_plugin.policy.streaks import Streaks
from stage3_plugin.settings import Settings


@dataclass(frozen=True)
class Rules:
    """A policy of one's own; the defaults are those of the settings."""

    max_attempts: int = 4
    backoff_base_s: float = 1.0
    backoff_max_s: float = 60.0
    max_wait_s: float = 120.0
    deadline_s: float = 3600.0
    on_unknown: Literal["hold", "resend"] = "hold"
    seeds_after_refusal: int = 0


def rules(**values: Any) -> Settings:
    return cast("Settings", Rules(**values))


FIRST = History(ran=1, turned_away=0, elapsed_s=1.0)
K = VerdictKind


@pytest.mark.parametrize(
    "verdict, expected",
    [
        (Verdict(kind=K.PICTURES), "keep"),
        (Verdict(kind=K.PICTURES, may_be_billed=True), "keep"),
        (Verdict(kind=K.REFUSED), "give up: refused"),
        (Verdict(kind=K.REJECTED), "give up: rejected"),
        (Verdict(kind=K.REJECTED, stops_run=True), "stop: rejected"),
        (Verdict(kind=K.RATE_LIMITED), "again: rate_limited"),
        (Verdict(kind=K.BUSY), "again: unavailable"),
        (Verdict(kind=K.BUSY, should_retry=False), "give up: unavailable"),
        (Verdict(kind=K.BUSY, may_be_billed=True), "give up: unknown"),
        (Verdict(kind=K.OUT_OF_MONEY), "stop: out_of_money"),
        (Verdict(kind=K.OUT_OF_MONEY, should_retry=True), "stop: out_of_money"),
        (Verdict(kind=K.BAD_CREDENTIALS), "stop: credentials"),
        (Verdict(kind=K.BAD_CREDENTIALS, may_be_billed=True), "stop: credentials"),
        (Verdict(kind=K.RATE_LIMITED, may_be_billed=True), "give up: unknown"),
        (Verdict(kind=K.NO_PICTURE), "again: no_picture"),
        (Verdict(kind=K.NO_PICTURE, may_be_billed=True), "give up: no_picture"),
        (Verdict(kind=K.UNREADABLE), "again: unreadable"),
        (Verdict(kind=K.UNREADABLE, may_be_billed=True), "give up: unreadable"),
        (Verdict(kind=K.NOT_SENT), "again: unavailable"),
        (Verdict(kind=K.NOT_SENT, should_retry=False), "give up: unavailable"),
        (Verdict(kind=K.UNKNOWN, may_be_billed=True), "give up: unknown"),
        (Verdict(kind=K.UNKNOWN), "give up: unknown"),
    ],
)
def test_the_first_answer_decides(verdict: Verdict, expected: str) -> None:
    """Each kind of first answer leads to one decision."""
    assert in_words(decide(verdict, FIRST, rules(), chance=0.5)) == expected


def unknown(**more: Any) -> History:
    return replace(FIRST, unknown=1, **more)


def in_words(decision: Decision) -> str:
    """Write a decision as the table has it."""
    match decision:
        case Keep():
            return "keep"
        case Again():
            return f"again: {decision.cause}"
        case GiveUp():
            return f"give up: {decision.failure.code}"
        case Stop():
            return f"stop: {decision.failure.code}"


def test_the_settings_are_a_policy() -> None:
    """The settings can be passed as they are, and their defaults are the ones tested here."""
    settings = Settings()

    assert {name: getattr(settings, name) for name in asdict(Rules())} == asdict(Rules())


def test_a_hint_is_waited_out_with_a_little_jitter() -> None:
    """The wait a provider asks for is never cut short."""
    decision = decide(Verdict(kind=K.RATE_LIMITED, hint_s=12), FIRST, rules(), chance=0.5)

    assert decision == Again(12 + HINT_JITTER_S / 2, "rate_limited", is_asked_for=True)


def test_being_turned_away_uses_up_the_deadline_but_no_attempts() -> None:
    """A hundred rejections are fine within the deadline, and none is beyond it.

    Even with all attempts used: the last one's answer was lost, and it is being sent once more.
    """
    often = History(ran=rules().max_attempts, turned_away=100, unknown=1, elapsed_s=3000)
    verdict = Verdict(kind=K.RATE_LIMITED, hint_s=30)

    within = decide(verdict, often, rules(), chance=0.0)
    beyond = decide(verdict, replace(often, elapsed_s=3571), rules(), chance=0.0)

    assert isinstance(within, Again)
    assert isinstance(beyond, GiveUp)
    assert "deadline_s" in beyond.failure.message


def test_an_unbilled_answer_without_a_picture_gets_one_more_chance() -> None:
    """It can be chance, but not twice."""
    verdict = Verdict(kind=K.NO_PICTURE)

    assert isinstance(decide(verdict, FIRST, rules(), chance=0), Again)
    assert isinstance(decide(verdict, replace(FIRST, ran=2), rules(), chance=0), GiveUp)


def test_overload_is_not_met_by_a_hail_of_requests() -> None:
    """It uses up no tries, so that chance must not make its wait nothing; a small maximum may."""
    overloaded = Verdict(kind=VerdictKind.BUSY, lower_capacity=True)
    history = History(ran=0, turned_away=1, elapsed_s=0.0)
    waits = [
        decide(overloaded, history, rules(backoff_max_s=most_s), chance=0.0)
        for most_s in (60.0, 0.02)
    ]

    assert waits == [Again(1.0, "unavailable"), Again(0.02, "unavailable")]


def test_backoff_doubles_up_to_its_maximum() -> None:
    """1, 2, 4 … 32, 60, 60 seconds, for ever without overflowing."""
    bounds = [backoff_bound_s(failed, rules()) for failed in (1, 2, 3, 6, 7, 8, 10_000)]

    assert bounds == [1, 2, 4, 32, 60, 60, 60]


verdicts = st.builds(
    Verdict,
    kind=st.sampled_from(VerdictKind),
    may_be_billed=st.booleans(),
    hint_s=st.none() | st.floats(0, 1000),
    stops_run=st.booleans(),
    lower_capacity=st.booleans(),
    should_retry=st.none() | st.booleans(),
)
policies = st.builds(
    Rules,
    max_attempts=st.integers(1, 10),
    backoff_base_s=st.floats(0.001, 100),
    backoff_max_s=st.floats(100, 1000),
    max_wait_s=st.floats(0.001, 500),
    deadline_s=st.floats(0.001, 5000),
)
histories = st.builds(
    History,
    ran=st.integers(1, 200),
    turned_away=st.integers(0, 200),
    elapsed_s=st.floats(0, 10_000),
    streaks=st.builds(Streaks, rejected=st.integers(0, 10)),
)
chances = st.floats(0, 1, exclude_max=True)


@given(verdicts, histories, policies, chances)
def test_nothing_that_may_have_been_billed_is_sent_again(
    verdict: Verdict, history: History, policy: Settings, chance: float
) -> None:
    """Whatever else the answer says."""
    decision = decide(replace(verdict, may_be_billed=True), history, policy, chance=chance)

    assert not isinstance(decision, Again)


@given(verdicts, histories, policies, chances)
def test_a_scene_is_never_sent_before_its_hint_nor_after_its_deadline(
    verdict: Verdict, history: History, policy: Settings, chance: float
) -> None:
    """And never waits longer than the settings allow."""
    decision = decide(verdict, history, policy, chance=chance)
    if not isinstance(decision, Again):
        return

    assert decision.wait_s >= (verdict.hint_s or 0)
    assert history.elapsed_s + decision.wait_s <= policy.deadline_s
    longest = policy.backoff_max_s if verdict.hint_s is None else policy.max_wait_s + HINT_JITTER_S
    assert 0 <= decision.wait_s <= longest


@example([Verdict(kind=K.BUSY, lower_capacity=True)], rules(max_attempts=1), [0.0] * 60)
@given(st.lists(verdicts, min_size=1, max_size=60), policies, st.lists(chances, min_size=60))
def test_a_scene_never_runs_more_often_than_max_attempts(
    answers: list[Verdict], policy: Settings, draws: list[float]
) -> None:
    """Requests that were turned away did not run; all others count, in any order of answers."""
    ran = turned_away = 0
    elapsed_s = 0.0
    for verdict, chance in zip(itertools.cycle(answers), draws, strict=False):
        turned_away += was_turned_away(verdict)
        ran += not was_turned_away(verdict)
        history = History(ran=ran, turned_away=turned_away, elapsed_s=elapsed_s)
        decision = decide(verdict, history, policy, chance=chance)
        if not isinstance(decision, Again):
            break
        elapsed_s += decision.wait_s

    assert ran <= policy.max_attempts
