"""Several reviewers: which decision counts in a scene, and what is said of the others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.decisions.merge import Decision, merge
from host_stub.errors import DecisionsError
from tests.host.decisions.stories import decision
from tests.host.takes import WHEN


def test_without_times_the_last_one_read_counts() -> None:
    """And one with a time before one without."""
    first, second = decision(takes=1), decision(takes=2, reviewer="ben")
    timed = decision(takes=3, reviewer="cleo", at=WHEN)

    assert merge([first, second]).decisions["s1"] is second
    assert merge([timed, first, second]).decisions["s1"] is timed
    assert "without a time, wants something else" in merge([first, second]).conflicts[0].why


def test_all_that_are_left_out_are_named_beside_the_one_that_counts() -> None:
    """Not beside one that does not count in the end; and each once, however often it was read."""
    ana, ben, cleo = (
        decision(takes=number, reviewer=who, at=WHEN + timedelta(hours=number))
        for number, who in enumerate(["ana", "ben", "cleo"], start=1)
    )

    merged = merge([ana, ben, cleo, ana, ben])

    assert [conflict.why.split(",")[0] for conflict in merged.conflicts] == [
        "decisions[0] of cleo (cleo.json)"
    ] * 2
    assert ["(ana.json)" in conflict.why for conflict in merged.conflicts] == [True, False]


def test_more_scenes_than_a_story_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a thousand files could hold more than there is memory."""
    monkeypatch.setattr("host_stub.decisions.merge.MOST_SCENES", 2)
    three = [decision(f"s{number}") for number in (1, 2, 3)]

    assert len(merge(three[:2] * 2).decisions) == 2
    with pytest.raises(DecisionsError, match="are about more than 2 scenes"):
        merge(three)


def test_two_that_agree_are_no_conflict() -> None:
    """The same file twice, or two reviewers who want the same of what they saw."""
    ana = decision(takes=2, reject=("a", "b"), seen=("a", "b"))
    ben = decision(takes=2, reject=("b", "a"), seen=("a",), reviewer="ben", at=WHEN)

    assert merge([ana, ana, ben]).conflicts == ()


AT = st.none() | st.integers(0, 3).map(lambda hours: WHEN + timedelta(hours=hours))
DECISIONS = st.lists(
    st.builds(
        decision,
        st.sampled_from(["s1", "s2"]),
        takes=st.integers(1, 3),
        at=AT,
        reviewer=st.sampled_from(["ana", "ben"]),
    ),
    max_size=6,
)


@given(DECISIONS)
def test_one_that_is_not_earlier_than_any_other_counts(read: list[Decision]) -> None:
    """For every scene that is named; and reading all of it twice changes nothing."""
    merged = merge(read)

    def key(one: Decision) -> Any:
        return (one.at is not None, one.at or WHEN)

    assert set(merged.decisions) == {one.scene_id for one in read}
    for scene_id, counts in merged.decisions.items():
        others = [one for one in read if one.scene_id == scene_id]
        last = max(range(len(others)), key=lambda place: (key(others[place]), place))
        assert counts.wish == others[last].wish
    assert {one: d.wish for one, d in merge(read + read).decisions.items()} == {
        one: d.wish for one, d in merged.decisions.items()
    }
