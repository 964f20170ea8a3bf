"""Lanes through the command line: who is asked for one, what a plan says, what is confirmed."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from host_stub.contract import Lane, PlannedLane, PlannedLanes
from host_stub.stage.scene_plans import lane_lines
from tests.host.conftest import Distribute
from tests.host.test_planning import FULL, SCRIPTED, Planner, here

__all__ = ["here"]

LANES: dict[str, Any] = {
    "ordinary": {"scenes": 2, "cost_low_usd": "0.08", "cost_high_usd": "0.16", "expected_s": 42.4},
    "batch": {
        "scenes": 1,
        "cost_low_usd": "0.04",
        "cost_high_usd": "0.08",
        "within_s": 86400,
        "cannot": ["no picture comes at once"],
    },
}


@pytest.fixture
def planner(distribute: Distribute, capsys: pytest.CaptureFixture[str]) -> Planner:
    """Run commands with a plugin that notes what it is asked."""
    recording = SCRIPTED.replace('"scenes": [', '"lane": request.lane,\n        "scenes": [', 1)
    return Planner(distribute, capsys, source=recording)


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("lane", ["ordinary", "batch", None])
def test_the_plugin_is_asked_by_the_lane(
    planner: Planner, command: Literal["plan", "run"], lane: Lane | None
) -> None:
    """A plan and its run alike."""
    planner.script(FULL, records=True)

    planner(command, *(() if lane is None else ("--lane", lane)))

    assert planner.recorded(command)["lane"] == lane


@pytest.mark.parametrize("word", ["fast", "Batch", ""])
def test_another_word_is_no_lane(planner: Planner, word: str) -> None:
    """It is refused by name, and nothing is asked."""
    planner.script(FULL, records=True)

    assert planner("plan", "--lane", word) == 2
    assert "argument --lane: should be ordinary or batch" in planner.err


def test_a_draft_is_drawn_by_no_lane(planner: Planner) -> None:
    """It costs nothing."""
    planner.script(FULL)

    assert planner("plan", "--draft", "--lane", "batch") == 2
    assert "drafts cost nothing, in whichever lane" in planner.err


def test_a_plan_has_both_lanes_side_by_side(planner: Planner) -> None:
    """Price, time, what cannot be had, and how many go by which; no time for all together."""
    planner.script({**FULL, "expected_s": None, "lanes": LANES})

    planner("plan")

    assert (
        "price by lane, if all goes by it:\n"
        "  ordinary: $0.08 to $0.16, about 42 s (2 pictures by this plan)\n"
        "  batch (--lane batch): $0.04 to $0.08, within 24 h 00 min (1 picture by this plan)\n"
        "    no picture comes at once\n"
    ) in planner.out
    assert "expected time" not in planner.out


@pytest.mark.parametrize(
    "by_batch, more", [(1, ""), (0, "; in a batch more may fit: plan with --lane batch")]
)
def test_what_a_cap_leaves_out_is_in_neither_price(by_batch: int, more: str) -> None:
    """Half the price is half of what is held: the other lane may have room for it."""
    batch = PlannedLane(scenes=by_batch, cost_low_usd=None, cost_high_usd=None)
    lanes = PlannedLanes(ordinary=PlannedLane(cost_low_usd=None, cost_high_usd=None), batch=batch)

    said = [*lane_lines(lanes, left_out=3)]

    assert said[-1] == f"  left out by a cap, and not in these prices: 3{more}"
    assert len(said) == 1 + len([*lane_lines(lanes)])


def test_a_plan_is_confirmed_with_its_lane(planner: Planner) -> None:
    """The run it leads to asks for the same one; one that asks for another is refused."""
    planner.script({"make": 9, "cost_low_usd": "0.1", "cost_high_usd": "0.1", "lanes": LANES})
    planner("plan", "--lane", "batch", "--json")
    told = json.loads(planner.out)
    (buying,) = [one for one in told["next_actions"] if "--confirm" in one["command"]]
    words = buying["command"][2:]

    code = planner("run", "--confirm", told["confirm"], "--max-cost", "1", "--json")
    refused = json.loads(planner.out)

    assert tuple(words[words.index("--lane") :][:2]) == ("--lane", "batch")
    assert code == 2
    assert refused["error"]["code"] == "not_confirmed"
    planner("plan", "--json")
    assert json.loads(planner.out)["confirm"] != told["confirm"]
