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
