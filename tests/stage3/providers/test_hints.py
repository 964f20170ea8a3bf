"""Every place where a provider says how long to wait, and what is not believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.providers.replies.hints import LONGEST_S, hint_of, used_up_s
from tests.stage3.providers.replies import FAILURES, NOW_S


def wait_s(headers: dict[str, str] | None = None, document: Any = None) -> float | None:
    return hint_of(headers or {}, document, now_s=NOW_S)


@pytest.mark.parametrize("row", FAILURES["hints"], ids=str)
def test_a_header_is_a_hint(row: dict[str, Any]) -> None:
    """Seconds, milliseconds, dates, moments and durations are all read."""
    expected = row["wait_s"]

    assert wait_s(row["headers"]) == (None if expected is None else pytest.approx(expected))


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


@pytest.mark.parametrize("row", FAILURES["used_up"], ids=str)
def test_a_window_is_used_up_where_an_answer_says_that_nothing_is_left(row: dict[str, Any]) -> None:
    """Nothing left, and when it begins anew: both must be said, for requests or for images."""
    assert used_up_s(row["headers"]) == row["wait_s"]
