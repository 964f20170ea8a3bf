"""The fixed limiter, and what every limiter does: places, pauses, books, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.events import CapacityChanged
from stage3_plugin.policy.capacity import AdaptiveLimiter, Limiter, Permission


def middle() -> float:
    return 0.5


def test_a_full_limiter_opens_when_one_has_ended() -> None:
    """It names no moment, since none is known."""
    limiter = Limiter(2)

    assert limiter.may_send(0, 1) == Permission(allowed=True)
    assert limiter.may_send(0, 2) == Permission(allowed=False)


def test_capacity_is_at_least_one() -> None:
    """Nothing could ever be made."""
    with pytest.raises(ValueError, match="at least 1"):
        Limiter(0)
    with pytest.raises(ValueError, match="at least 1"):
        AdaptiveLimiter(0, draw=middle)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 100)), min_size=1).map(sorted))
def test_a_pause_lasts_as_long_as_the_longest_that_was_asked_for(
    rejections: list[tuple[float, float]],
) -> None:
    """A shorter hint that comes later does not cut a longer one short."""
    limiter = Limiter(1)
    for now, wait_s in rejections:
        permit = limiter.enter()
        permit.sent(now)
        permit.rejected(now, wait_s)
    until = max(now + wait_s for now, wait_s in rejections)

    assert limiter.may_send(until - 0.001, 0) == Permission(allowed=False, wake_at=until)
    assert limiter.may_send(until, 0) == Permission(allowed=True)


def test_a_clock_that_is_set_back_makes_no_pause_longer() -> None:
    """Nobody knows how much of it is over; but it was ten seconds and not an hour."""
    limiter = Limiter(1)
    limiter.hold_back(3600, 10)

    assert limiter.may_send(0, 0) == Permission(allowed=False, wake_at=10)
    assert limiter.may_send(10, 0).allowed


def test_a_rejection_without_a_hint_pauses_nobody_at_a_fixed_limiter() -> None:
    """The scene backs off for itself; so it does with a hint, beside everybody's pause."""
    limiter = Limiter(4)
    first, second = limiter.enter(), limiter.enter()
    first.sent(0)
    second.sent(0)

    assert first.rejected(1, None) is False
    assert limiter.may_send(1, 0).allowed
    assert second.rejected(1, 5.0) is False
    assert limiter.may_send(1, 0) == Permission(allowed=False, wake_at=6)


@pytest.mark.parametrize("limiter", [Limiter(4), AdaptiveLimiter(4, draw=middle)])
def test_a_used_up_window_holds_everybody_back_until_it_begins_anew(limiter: Limiter) -> None:
    """An answer told that nothing is left: that is obeyed, and no reason to doubt the limit."""
    limiter.hold_back(0, 30)

    assert limiter.may_send(29.9, 0) == Permission(allowed=False, wake_at=30)
    assert limiter.may_send(30, 3).allowed
    assert limiter.state(10).pause_s == 20
    assert limiter.state(30).limit == 4


@pytest.mark.parametrize("limiter", [Limiter(8), AdaptiveLimiter(8, draw=middle)])
def test_the_state_tells_what_is_at_the_provider(limiter: Limiter) -> None:
    """Requests are counted from leaving to being answered, turned away, or lost."""
    passages = [limiter.enter() for _ in range(5)]
    for permit in passages[1:]:
        permit.sent(0)
    passages[1].answered(1)
    passages[2].rejected(1, None)
    with passages[3]:
        pass

    state = limiter.state(1)
    assert (state.sent, state.answered, state.turned_away) == (1, 1, 1)
    assert (state.ceiling, state.pause_s) == (8, 0)
    assert state.limit <= 8


def test_a_passage_that_has_ended_teaches_nothing_more() -> None:
    """Its place is given back once, whatever is told of it afterwards."""
    limiter = Limiter(2)
    with limiter.enter() as permit:
        permit.sent(0)
        permit.answered(1)
        permit.answered(2)
        assert permit.rejected(3, 100.0) is False
    with limiter.enter() as never_sent:
        never_sent.answered(3)

    state = limiter.state(3)
    assert (state.sent, state.answered, state.turned_away) == (0, 1, 0)
    assert limiter.may_send(3, 0).allowed


def test_a_fixed_limiter_tells_why_it_pauses() -> None:
    """A longer pause is a change, a shorter one within it is none."""
    told: list[CapacityChanged] = []
    limiter = Limiter(3, on_change=told.append)
    permit = limiter.enter()
    permit.sent(0)
    permit.rejected(0, 10.0)
    limiter.hold_back(1, 5)
    limiter.hold_back(2, 20)

    assert [(one.reason, one.pause_s, one.limit, one.in_flight) for one in told] == [
        ("asked_to_wait", 10, 3, 1),
        ("used_up", 20, 3, 0),
    ]
