"""The hidden limits: what they take, what they count, and when they say that there is room."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.limits import (
    Bucket,
    FixedWindow,
    Limit,
    Taken,
    judge,
)


def taken(limit: Limit, moments: list[float], in_flight: int = 0) -> list[bool]:
    return [isinstance(judge(limit, now, in_flight), Taken) for now in moments]


@given(
    moments=st.lists(st.floats(0, 300), max_size=200).map(sorted),
    per_minute=st.integers(1, 100),
    burst=st.integers(1, 20),
)
def test_a_bucket_never_gives_more_than_it_got(
    moments: list[float], per_minute: int, burst: int
) -> None:
    """In any stretch of time: its burst and what flowed in."""
    limit = Bucket(per_minute, burst)
    when = [now for now, took in zip(moments, taken(limit, moments), strict=True) if took]

    for first in range(len(when)):
        for last in range(first, len(when)):
            flowed = (when[last] - when[first]) * per_minute / 60
            assert last - first + 1 <= burst + flowed + 1e-6


@pytest.mark.parametrize("limit", [Bucket(60, 5), FixedWindow(5)])
def test_after_the_wait_that_is_told_a_request_is_taken(limit: Limit) -> None:
    """So a client that knows the limit can be the yardstick."""
    now = 0.0
    for _ in range(50):
        wait_s = limit.wait_s(now, 0)
        assert wait_s < math.inf
        now += wait_s

        assert judge(limit, now, 0) == Taken()
