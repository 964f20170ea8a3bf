"""The gate decides from what it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.capacity import FixedGate, Permission
from stage3_plugin.interrupt import Interrupt


def test_a_full_gate_opens_when_one_has_ended() -> None:
    """It names no moment, since none is known."""
    gate = FixedGate(2)

    assert gate.may_send(0, 1) == Permission(allowed=True)
    assert gate.may_send(0, 2) == Permission(allowed=False)


def test_capacity_is_at_least_one() -> None:
    """Nothing could ever be made."""
    with pytest.raises(ValueError, match="at least 1"):
        FixedGate(0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1))
def test_a_pause_lasts_as_long_as_the_longest_that_was_asked_for(
    rejections: list[tuple[float, float]],
) -> None:
    """A shorter hint that comes later does not cut a longer one short."""
    gate = FixedGate(1)
    for now, wait_s in rejections:
        gate.rejected(now, wait_s)
    until = max(now + wait_s for now, wait_s in rejections)

    assert gate.may_send(until - 0.001, 0) == Permission(allowed=False, wake_at=until)
    assert gate.may_send(until, 0) == Permission(allowed=True)


def test_an_interrupt_reaches_what_is_in_flight_and_what_comes_after() -> None:
    """Callbacks that left are not called; one that comes too late is called at once."""
    called: list[str] = []
    interrupt = Interrupt()

    with interrupt.calling(lambda: called.append("left")):
        pass
    with interrupt.calling(lambda: called.append("in flight")):
        interrupt.throw()
    with interrupt.calling(lambda: called.append("late")):
        pass

    assert called == ["in flight", "late"]
