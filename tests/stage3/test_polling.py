"""When a job of a queue is asked for again, left to a later run, or given up: the law of it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.exchange import Gone, Poll, Unclear, Unsaid
from stage3_plugin.policy.polling import (
    FIRST_WAIT_S,
    GROWS,
    LONGEST_WAIT_S,
    STRANGE_WAITS,
    UNHEARD_S,
    GiveUp,
    follows,
)

STEPS = st.one_of(
    st.builds(
        Poll, url=st.just("https://queue.test/v1/jobs/j-1"), after_s=st.none() | st.floats(0, 1e6)
    ),
    st.builds(
        Unsaid, message=st.just("m"), hint_s=st.none() | st.floats(0, 1e6), stops_run=st.booleans()
    ),
    st.builds(Gone, message=st.just("m")),
    st.builds(Unclear, message=st.just("m")),
)


@given(
    step=STEPS,
    asked=st.integers(1, 10_000),
    was_gone=st.booleans(),
    strange=st.integers(0, 10),
    left_s=st.floats(-1e6, 1e7),
)
def test_a_job_is_given_up_only_when_its_time_is_over_or_it_is_gone_twice(
    *, step: Poll | Unsaid | Gone | Unclear, asked: int, was_gone: bool, strange: int, left_s: float
) -> None:
    """And every wait is long enough for the provider and short enough for its promise."""
    following = follows(step, asked=asked, was_gone=was_gone, strange=strange, left_s=left_s)
    grace_s = math.inf if isinstance(step, Poll) else UNHEARD_S * isinstance(step, Unsaid)

    is_gone_twice = was_gone and isinstance(step, Gone)
    assert isinstance(following, GiveUp) == (left_s <= -grace_s or is_gone_twice)
    if isinstance(following, float | int) and isinstance(step, Unclear):
        assert following > FIRST_WAIT_S * GROWS**strange  # of a word that is known
    elif isinstance(following, float | int):
        hint_s = step.after_s if isinstance(step, Poll) else getattr(step, "hint_s", None)
        assert following >= min(hint_s or 0.0, LONGEST_WAIT_S)
        assert 1.0 <= following <= max(LONGEST_WAIT_S, left_s / 2)
    if following is None:
        is_long = isinstance(step, Unclear) and strange >= len(STRANGE_WAITS)
        assert is_long or (isinstance(step, Unsaid) and step.stops_run)
