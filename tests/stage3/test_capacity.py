"""The fixed limiter, and what every limiter does: places, pauses, books, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.policy.capacity.limiter import Limiter, Permission


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
