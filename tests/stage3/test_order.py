"""Scenes that wait for one another: how long that takes, in which order, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import Scene
from stage3_plugin.engine.showing import order
from tests.stage3.showing import Maker, Timed, ideal_s, picture_of, run, virtually

CAST: dict[str, dict[str, object]] = {
    f"c{number}": {"prompt": f"a face, {number}"} for number in range(5)
}


def scene(scene_id: str, *others: str, characters: Sequence[str] = ()) -> Scene:
    shown = tuple(f"scene:{one}" for one in others)
    return Scene(scene_id=scene_id, prompt="a pier", references=shown, characters=tuple(characters))


def in_order(maker: Maker, scenes: Sequence[Scene], **settings: Any) -> Timed:
    return virtually(lambda: run(maker, scenes, **settings))


def codes(ran: Timed) -> dict[str, str]:
    return {one: ran.code(one) for one in ran.outcomes}


@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_five_sheets_and_two_hundred_scenes_take_what_an_ideal_schedule_takes(
    seed: int, least: int
) -> None:
    """It knows what waits for what; ours is within 5 % at capacity 16."""
    draw = random.Random(seed)
    needs = {f"s{n}": draw.sample(sorted(CAST), draw.randint(least, 3)) for n in range(200)}
    takes_s = {one: draw.lognormvariate(3.0, 0.5) for one in (*CAST, *needs)}
    maker = Maker(takes_s)
    scenes = [scene(one, characters=cast) for one, cast in needs.items()]
    ran = in_order(maker, scenes, cast=CAST, capacity=16, adaptive=False)

    assert set(codes(ran).values()) == {"made"}
    assert len(ran.outcomes) == 205
    ideal = ideal_s([*CAST, *needs], needs, takes_s, 16)
    assert ran.took_s <= 1.05 * ideal
    assert maker.most == 16
    for one, faces in needs.items():
        assert maker.shown[one] == [picture_of(f"{c}: {CAST[c]['prompt']}").sha256 for c in faces]


@st.composite
def stories(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw scenes that refer to others before or behind them, and never in a circle."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    rank = draw(st.permutations(names))
    return {
        one: draw(st.lists(st.sampled_from(rank[: rank.index(one)] or [""]), max_size=3))
        if rank.index(one)
        else []
        for one in names
    }


@given(stories(), st.integers(1, 4), st.integers(1, 3))
def test_a_scene_begins_when_what_it_refers_to_has_ended(
    refers: dict[str, list[str]], capacity: int, most_held: int
) -> None:
    """Whatever the order of the file, and however few may be held back; each is made once."""
    maker = Maker()
    scenes = [scene(one, *others) for one, others in refers.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "MOST_HELD_BACK", most_held)
        ran = in_order(maker, scenes, capacity=capacity, adaptive=False)

    assert set(codes(ran).values()) == {"made"}
    assert ran.outcomes.keys() == refers.keys()
    for one, others in refers.items():
        assert all(maker.sent_at[other] + 1 <= maker.sent_at[one] for other in others)
    assert maker.most <= capacity
    (plan,) = ran.plans
    assert plan.make == len(refers)
    assert sum(wave.scenes for wave in plan.waves) == (plan.make if plan.waves else 0)


def test_a_cap_ends_what_waits() -> None:
    """The sheet takes what there is; its scenes are left out, and nothing is sent for them."""
    maker = Maker()
    ran = in_order(
        maker,
        [scene("s1", characters=["c0"]), scene("s2", "s1")],
        cast=CAST,
        budget_usd="0.07",
        prices={"output_image": "1"},
    )

    assert codes(ran) == {"c0": "made", "s1": "budget", "s2": "not_tried"}
    (plan,) = ran.plans
    assert (plan.make, plan.sheets, plan.refused) == (1, 1, 2)
    assert {one.scene_id: one.state for one in plan.scenes} == {
        "c0": "make",
        "s1": "refused",
        "s2": "refused",
    }
