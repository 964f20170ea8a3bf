"""How often who stays asks for a batch; that it does, is shown by ``test_waiting_for_batches``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.policy.waiting import (
    FIRST_WAIT_S,
    LEAST_WAIT_S,
    LONGEST_HINT_S,
    LONGEST_WAIT_S,
    batch_wait_s,
)


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
