"""Known limits per minute: never more than allowed, and never later than needed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.policy.capacity.limiter import NEVER, Limiter, Permit
from stage3_plugin.policy.capacity.rate_limit import RateLimit

WINDOW_S = 10.0

moments = st.lists(st.integers(0, 60), max_size=30).map(sorted)
"""When scenes are ready to go: whole seconds, so that sums of them are exact."""


def departures(ready: Sequence[float], rate_limit: RateLimit) -> list[float]:
    """Send each scene as soon as the limit allows."""
    left: list[float] = []
    now = 0.0
    for at in ready:
        now = max(now, at)
        now = max(now, rate_limit.next_at(now, 0))
        rate_limit.sent(now)
        left.append(now)
    return left


def most_in_a_window(left: Sequence[float], window_s: float) -> int:
    """Count the departures of the fullest window, which begins with one of them."""
    return max((sum(a <= b < a + window_s for b in left) for a in left), default=0)


@given(ready=moments, most=st.integers(1, 6))
def test_no_window_lets_more_leave_than_it_may(ready: list[int], most: int) -> None:
    """Wherever the window is laid over the departures, however the scenes came."""
    assert most_in_a_window(departures(ready, RateLimit(most, WINDOW_S)), WINDOW_S) <= most


@given(ready=moments, most=st.integers(1, 6))
def test_nothing_leaves_a_window_later_than_needed(ready: list[int], most: int) -> None:
    """A scene that waited leaves at the moment at which one second less would be one too many."""
    left = departures(ready, RateLimit(most, WINDOW_S))

    for number, (at, when) in enumerate(zip(ready, left, strict=True)):
        if when > max(at, left[number - 1] if number else 0):
            assert when == left[number - most] + WINDOW_S


@given(ready=moments, interval_s=st.integers(1, 9))
def test_paced_departures_are_never_closer_and_no_farther_apart_than_asked(
    ready: list[int], interval_s: int
) -> None:
    """Each leaves at the latest of: when it is ready, and one interval after the last."""
    left = departures(ready, RateLimit(1, interval_s))

    for at, (before, when) in zip(ready[1:], itertools.pairwise(left), strict=True):
        assert when == max(at, before + interval_s)


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["enter", "send", "end"]))),
    most=st.integers(1, 4),
    pacing=st.sampled_from(["window", "paced"]),
)
def test_those_that_prepare_together_do_not_pass_together(
    steps: list[tuple[int, str]], most: int, pacing: str
) -> None:
    """Scenes are let through, sent and ended in any order and at any time; the law still holds.

    Being let through and being sent are apart, since the ledger is asked in between.
    """
    rate_limit = RateLimit(most, WINDOW_S) if pacing == "window" else RateLimit(1, WINDOW_S / most)
    limiter = Limiter(100, rate_limit=rate_limit)
    inside: list[Permit] = []
    left: list[float] = []
    now = 0.0
    for wait_s, step in steps:
        now += wait_s
        if step == "enter":
            if limiter.may_send(now, len(inside)).allowed:
                inside.append(limiter.enter())
        elif inside and step == "send":
            permit = next((one for one in inside if one.sent_at == NEVER), None)
            if permit is not None:
                permit.sent(now)
                left.append(now)
        elif inside:
            inside.pop(0).__exit__()

    assert most_in_a_window(left, WINDOW_S) <= most
    if pacing == "paced":
        assert all(b - a >= WINDOW_S / most for a, b in itertools.pairwise(left))


@pytest.mark.parametrize("rate_limit", [RateLimit(2, WINDOW_S), RateLimit(1, WINDOW_S)])
def test_what_was_let_through_and_never_sent_uses_up_nothing(rate_limit: RateLimit) -> None:
    """A thousand scenes whose picture is already there pass in no time."""
    limiter = Limiter(4, rate_limit=rate_limit)
    for _ in range(1000):
        assert limiter.may_send(0, 0).allowed
        with limiter.enter():
            pass

    assert limiter.may_send(0, 0).allowed
    assert limiter.state(0).sent == 0


def test_while_one_prepares_the_next_is_told_when_to_ask_again() -> None:
    """Nobody knows when it will leave; the moment named is the earliest, and never passed by."""
    limiter = Limiter(4, rate_limit=RateLimit(1, WINDOW_S))
    permit = limiter.enter()
    first = limiter.may_send(1, 1)
    permit.sent(3)
    second = limiter.may_send(11, 1)

    assert (first.allowed, first.wake_at) == (False, 11)
    assert (second.allowed, second.wake_at) == (False, 13)
    assert limiter.may_send(13, 1).allowed


@pytest.mark.parametrize("rate_limit", [RateLimit(2, WINDOW_S), RateLimit(1, WINDOW_S)])
def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_the_pace(
    rate_limit: RateLimit,
) -> None:
    """What left lies ahead then; an hour of waiting would be none that anybody asked for."""
    rate_limit.sent(3600)
    rate_limit.sent(3600)

    assert rate_limit.next_at(0, 0) <= WINDOW_S
