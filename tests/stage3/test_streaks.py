"""What comes in a row: how it is counted, and when it is a reason to stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.money import FREE
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.policy.streaks import (
    NONE,
    REJECTED_IN_A_ROW,
    SAME_WORDS_IN_A_ROW,
    UNSENT_IN_A_ROW,
    Happened,
    happened_of,
)

K = VerdictKind
PICTURE = Picture(sha256="0" * 64, media_type="image/png", width_px=1, height_px=1, size_bytes=1)


def came_to(kind: VerdictKind, *, may_be_billed: bool = False, message: str = "") -> AttemptResult:
    """Make an attempt that an answer of this kind came of."""
    verdict = Verdict(kind=kind, may_be_billed=may_be_billed, message=message)
    return AttemptResult(verdict=verdict, cost=FREE)


MADE = replace(came_to(K.PICTURES), picture=PICTURE)
MISSING = replace(
    came_to(K.PICTURES, may_be_billed=True),
    not_here=MissingPicture(address="https://pictures.example/1", problem="404"),
)
NOT_ALLOWED = replace(
    MISSING,
    not_here=MissingPicture(address="https://other.example/1", problem="host", needs_setting=True),
)


@pytest.mark.parametrize(
    "attempted, happened",
    [
        (MADE, "made"),
        (MISSING, "other"),
        (NOT_ALLOWED, "pending"),
        (came_to(K.NOT_SENT), "unsent"),
        (came_to(K.UNKNOWN, may_be_billed=True), "unknown"),
        (came_to(K.BUSY, may_be_billed=True), "unknown"),
        (came_to(K.RATE_LIMITED, may_be_billed=True), "unknown"),
        (came_to(K.NO_PICTURE, may_be_billed=True), "billed"),
        (came_to(K.REJECTED, may_be_billed=True), "billed"),
        (came_to(K.REJECTED), "rejected"),
        (came_to(K.REFUSED), "other"),
        (came_to(K.BUSY), "other"),
        (came_to(K.RATE_LIMITED), "other"),
    ],
)
def test_each_attempt_counts_as_one_thing(attempted: AttemptResult, happened: Happened) -> None:
    """What may have been billed comes before what the answer calls itself."""
    assert happened_of(attempted) == happened


@pytest.mark.parametrize("kind", [K.NOT_SENT, K.UNKNOWN, K.REJECTED])
def test_what_we_cut_short_or_could_not_store_says_nothing(kind: VerdictKind) -> None:
    """Neither comes from the provider."""
    attempted = came_to(kind)
    full = StorageFailed(Path("spool"), OSError(28, "No space left on device"))

    assert NONE.after_attempt(replace(attempted, interrupted=True), 1) == NONE
    assert NONE.after_attempt(replace(attempted, storage=full), 1) == NONE
    assert NONE.after_attempt(attempted, 1) != NONE


@given(
    st.lists(
        st.sampled_from(["made", "rejected", "unknown", "billed", "pending", "unsent", "other"]),
        max_size=30,
    )
)
def test_rows_are_counted_apart(happened: list[Happened]) -> None:
    """A picture ends every row; what is paid for nothing and what is unknown never mix."""
    streaks = NONE
    for one in happened:
        streaks = streaks.after(one, "words")
    last = max((number for number, one in enumerate(happened) if one == "made"), default=-1)
    since = happened[last + 1 :]

    assert streaks.billed == since.count("billed")
    assert streaks.pending == since.count("pending")
    assert streaks.rejected == since.count("rejected")
    assert streaks.made == happened.count("made")
    assert (streaks.all_rejected is not None) == (
        streaks.rejected >= REJECTED_IN_A_ROW
        or (streaks.made == 0 and streaks.rejected >= SAME_WORDS_IN_A_ROW)
    )
    assert (streaks.unsent > 0) == (happened[-1:] == ["unsent"])


def test_what_cannot_be_sent_stops_only_after_a_while() -> None:
    """The row is timed from its first; what was sent in between ends it."""
    streaks = NONE.after("unsent", now=1).after("other").after("unsent", now=10)
    for now in range(11, 10 + UNSENT_IN_A_ROW):
        assert streaks.all_unsent(1000, for_s=3) is None
        streaks = streaks.after("unsent", now=now)

    assert streaks.unsent_since == 10
    assert streaks.all_unsent(12.9, for_s=3) is None
    assert streaks.all_unsent(13, for_s=3) is not None
