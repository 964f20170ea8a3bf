"""One more take: a number that is wanted, said once however often it is said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import MOST_TAKES, Scene, SceneSurvey, WantedTakes
from host_stub.standing.standing import SceneStanding, standing_of
from host_stub.standing.take_list import price_of, reroll_of
from host_stub.story.takes import Take
from tests.host.takes import take


def standing(*takes: Take, wanted: int = 0, own: int = 1, **said: Any) -> SceneStanding:
    parts: dict[str, Any] = {"basis": "now", "cost_usd": Decimal("0.05"), **said}
    return standing_of(
        SceneSurvey(scene_id="s1", **parts),
        Scene(scene_id="s1", prompt="a pier", takes=own),
        takes,
        plugin="stage3",
        wants=[WantedTakes(basis="now", takes=wanted)] if wanted else [],
    )


@pytest.mark.parametrize(
    "said, words",
    [
        ({"basis": None, "waits_for": ("mira",)}, "the picture of mira is to be made anew first"),
        ({"basis": None}, "a picture that it shows is to be made anew first"),
        ({"problem": "reference 'a.png' is not there"}, "reference 'a.png' is not there"),
    ],
)
def test_what_cannot_be_made_is_not_wanted(said: dict[str, Any], words: str) -> None:
    """It says why, and has no basis that it could be said for."""
    found = reroll_of(standing(take(1), **said))

    assert words in (found.problem or "")
    assert (found.basis, found.to_make) == (None, 0)


def test_there_is_an_end_of_takes() -> None:
    """What the contract allows, and no more."""
    takes = [take(number) for number in range(1, MOST_TAKES + 1)]

    assert reroll_of(standing(*takes)).problem is not None
    assert reroll_of(standing(*takes[1:])).problem is None


def test_an_unknown_price_stays_unknown() -> None:
    """One that is makes the sum unknown, and never smaller."""
    known, unknown = (reroll_of(standing(take(1), cost_usd=usd)) for usd in (Decimal(1), None))

    assert price_of([known, unknown]).usd is None
    assert price_of([known, known]).usd == 2
    assert price_of([]).usd == 0


@given(
    kinds=st.lists(st.sampled_from(["made", "draft", "import", "rejected", "stale"]), max_size=6),
    wanted=st.integers(0, 6),
    own=st.integers(1, 4),
)
def test_a_reroll_wants_one_more_and_saying_it_again_nothing(
    kinds: list[str], wanted: int, own: int
) -> None:
    """Whatever there is: fulfilled, it is over; repeated, it is the same number."""
    said: dict[str, dict[str, Any]] = {
        "made": {},
        "draft": {"is_draft": True},
        "import": {"is_import": True, "plugin": None, "purchase": None},
        "rejected": {"is_rejected": True},
        "stale": {"basis": "then"},
    }
    takes = [take(number, **said[kind]) for number, kind in enumerate(kinds, start=1)]
    before = standing(*takes, wanted=wanted, own=own)
    first = reroll_of(before)
    number = max(wanted, first.takes) if first.is_new else wanted
    after = standing(*takes, wanted=number, own=own)
    again = reroll_of(after)
    made = [take(len(takes) + 1 + more) for more in range(after.to_make)]

    assert after.to_make == (1 if first.is_new else before.to_make) == first.to_make
    assert (again.is_new, again.takes) == (False, first.takes)
    assert standing(*takes, *made, wanted=number, own=own).to_make == 0
