"""Every place where a provider says how long to wait, and what is not believed."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.providers.replies.hints import LONGEST_S, hint_of, used_up_s
from tests.stage3.providers.replies import NOW_S

IN_20_S = formatdate(NOW_S + 20, usegmt=True)


def wait_s(headers: dict[str, str] | None = None, document: Any = None) -> float | None:
    return hint_of(headers or {}, document, now_s=NOW_S)


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "3, 9"}, 9.0),
        ({"retry-after": "12s"}, 12.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "\uff11\uff10"}, None),
        ({"retry-after": "\u0661"}, None),
        ({"retry-after-ms": "2_50", "retry-after": "1"}, 1.0),
        ({"ratelimit-reset": "1_0"}, None),
        ({"x-ratelimit-reset-requests": "\uff16s"}, None),
        ({"retry-after": "0", "ratelimit-reset": "8"}, 8.0),
        ({"retry-after": IN_20_S}, 20.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"x-ratelimit-reset": str(int((NOW_S + 8) * 1000))}, 8.0),
        ({"x-ratelimit-reset": str(int(NOW_S + 8))}, 8.0),
        ({"ratelimit-reset": "8"}, 8.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "150ms", "x-ratelimit-remaining-requests": "0"}, 0.15),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "4"}, None),
        (
            {
                "x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "4",
                "x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "0",
            },
            9.0,
        ),
    ],
)  # fmt: skip
def test_a_header_is_a_hint(headers: dict[str, str], expected: float | None) -> None:
    """Seconds, milliseconds, dates, moments and durations are all read."""
    assert wait_s(headers) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "document, expected",
    [
        ({"error": {"message": "Please try again in 12s."}}, 12.0),
        ({"error": {"message": "Please try again in 467ms."}}, 0.467),
        ({"error": {"message": "Please try again in 1m30.5s. Visit"}}, 90.5),
        ({"error": {"message": "Please retry in 57.238747106s."}}, 57.238747106),
        ({"error": {"message": "try again in 2 minutes"}}, 120.0),
        ({"error": {"message": "Try again in 1h2m3s"}}, 3723.0),
        ({"error": "Retry after 5 seconds"}, 5.0),
        ({"detail": "Your rate limit resets in ~30s."}, 30.0),
        ({"error": {"details": [{"retryDelay": "57s"}]}}, 57.0),
        ({"error": {"details": [{}, {"retryDelay": {"seconds": 57}}]}}, 57.0),
        ({"error": {"details": {"retryDelay": "1.5s"}}}, 1.5),
        ({"error": {"availability": {"retry_after": 4}}}, 4.0),
        ({"error": {"metadata": {"headers": {"Retry-After": "3"}}}}, 3.0),
        ({"error": {"metadata": {"raw": '{"retryDelay": "11s"}'}}}, 11.0),
        ({"error": {"message": "Limit 5 per min, used 5"}}, None),
        ({"error": {"message": "try again in a moment"}}, None),
        ({"error": {"message": "try again in 5 miles"}}, None),
        ([], None),
        ("try again in 5s", None),
    ],
)
def test_the_body_can_hold_the_hint(document: Any, expected: float | None) -> None:
    """Fields made for it, and words for people."""
    assert wait_s(None, document) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "value",
    ["-5", "-0.5", "nan", "inf", "-inf", "1e400", "", "soon", "1e9", "Thu, 99 Foo", formatdate(0)],
)
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms", "x-ratelimit-reset"])
def test_an_absurd_hint_is_none(name: str, value: str) -> None:
    """Backoff decides where a figure cannot be meant."""
    assert wait_s({name: value}) in {None, 1e6 if name == "retry-after-ms" else None}


def test_the_servers_own_clock_is_preferred() -> None:
    """A date is compared with the answer's Date, so that a wrong clock here does not matter."""
    headers = {
        "date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT",
    }

    assert wait_s(headers) == 30.0


@given(
    st.dictionaries(
        st.sampled_from(["date", "retry-after", "retry-after-ms", "x-ratelimit-reset",
                         "x-ratelimit-reset-requests", "ratelimit-reset"]),
        st.text(max_size=40) | st.from_regex(r"-?\d{1,20}(\.\d{1,9})?(s|ms|m|h)?", fullmatch=True),
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "metadata", "headers", "message", "details", "retryDelay",
                             "availability", "retry_after", "detail", "Retry-After"]),
            inner, max_size=4,
        ),
        max_leaves=12,
    ),
)  # fmt: skip
def test_no_answer_gives_an_impossible_wait(headers: dict[str, str], document: Any) -> None:
    """Whatever is written, the wait is at least 0 and at most a month, or there is none."""
    found = wait_s(headers, document)

    assert found is None or 0 <= found <= LONGEST_S


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": "150ms"}, 0.15),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "0s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "6s"}, None),
        ({}, None),
    ],
)
def test_a_window_is_used_up_where_an_answer_says_that_nothing_is_left(
    headers: dict[str, str], expected: float | None
) -> None:
    """Nothing left, and when it begins anew: both must be said, for requests or for images."""
    assert used_up_s(headers) == expected
