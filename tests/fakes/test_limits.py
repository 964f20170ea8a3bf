"""The hidden limits: what they take, what they count, and when they say that there is room."""

from __future__ import annotations

import http.client
import json
import math
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.hidden import Hidden
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.limits import (
    AtOnce,
    Bucket,
    ByChance,
    FixedWindow,
    Limit,
    NoLimit,
    Taken,
    TurnedAway,
    judge,
)


def taken(limit: Limit, moments: list[float], in_flight: int = 0) -> list[bool]:
    return [isinstance(judge(limit, now, in_flight), Taken) for now in moments]


def test_a_limit_on_what_is_at_once_has_room_when_one_ends() -> None:
    """When that will be is not told; the limit may change with time."""
    limit = AtOnce([(0, 2), (10, 1)])

    assert judge(limit, 100, 1) == Taken()
    assert judge(limit, 100, 2) == TurnedAway(None)
    assert judge(limit, 110, 1) == TurnedAway(None)


def test_a_bucket_takes_its_burst_and_then_what_flows_in() -> None:
    """Sixty a minute are one a second, and the wait is told."""
    limit = Bucket(60, burst=3)

    assert taken(limit, [0, 0, 0, 0, 0.9, 1, 1.5, 2]) == [1, 1, 1, 0, 0, 1, 0, 1]
    assert judge(limit, 2.25, 0) == TurnedAway(0.75)
    assert taken(limit, [1000] * 4) == [1, 1, 1, 0]


def test_a_bucket_may_charge_for_what_it_rejects() -> None:
    """Flooding then pays with waiting, down to a depth."""
    free, charged = Bucket(60, burst=1), Bucket(60, burst=1, charge=1, deepest=5)
    for limit in (free, charged):
        taken(limit, [0.0] * 20)

    assert free.wait_s(0, 0) == 1
    assert charged.wait_s(0, 0) == 6


def test_a_fixed_window_begins_anew() -> None:
    """Two at the end of one window and two at the beginning of the next are no offence."""
    limit = FixedWindow(2, window_s=10)

    assert taken(limit, [0, 9, 9.5, 10, 10, 10, 35, 35, 35]) == [1, 1, 0, 1, 1, 0, 1, 1, 0]
    assert limit.wait_s(36, 0) == 4


def test_chance_turns_a_share_away() -> None:
    """Whatever the client does."""
    limit = ByChance(0.5, iter([0.1, 0.9, 0.4, 0.6]).__next__)

    assert taken(limit, [0, 0, 0, 0]) == [0, 1, 0, 1]
    assert taken(NoLimit(), [0] * 3) == [1, 1, 1]


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


def post(api: ImageApi) -> tuple[int, dict[str, str]]:
    host = api.base_url.removeprefix("http://").removesuffix("/v1")
    connection = http.client.HTTPConnection(host, timeout=10)
    body = json.dumps({"model": "m", "prompt": "a lighthouse", "size": "8x8"})
    try:
        connection.request(
            "POST", "/v1/images/generations", body, {"Authorization": f"Bearer {KEY}"}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def test_the_loopback_api_can_hide_a_limit(image_api: ImageApi) -> None:
    """Of six at once two are worked on; the others get a 429 at once."""
    hidden = Hidden(limit=AtOnce([(0, 2)]), picture_s=lambda _: 30, speed=100)
    image_api.always(hidden)
    with ThreadPoolExecutor(6) as threads:
        statuses = [status for status, _ in threads.map(post, repeat(image_api, 6))]

    assert sorted(statuses) == [200, 200, 429, 429, 429, 429]
    assert (hidden.taken, hidden.turned_away) == (2, 4)
    assert post(image_api)[0] == 200


def test_a_hidden_limit_can_tell_when_there_is_room(image_api: ImageApi) -> None:
    """In our seconds, not in the compressed ones."""
    image_api.always(Hidden(limit=Bucket(60, 1), hint="retry-after-ms", speed=0.5))
    post(image_api)
    status, headers = post(image_api)

    assert status == 429
    assert 1000 < float(headers["retry-after-ms"]) <= 2000
