"""A plan of what goes in batches, and the run after it: the same figures, whatever lies behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias, get_args

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub.contract import Lane, Scene, StagePlan
from stage3_plugin.domain.job import NewJob
from stage3_plugin.domain.money import to_usd
from stage3_plugin.engine import pending
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from stage3_plugin.testing.batch_plans import Batched, Line
from stage3_plugin.testing.bill import by_the_table
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.laws import tried
from tests.stage3.buying import counted, leave_list, scenes
from tests.stage3.running import Ran, Story, asking, run_stage
from tests.stage3.test_recovery import Dead

TOKEN = "f" * 32
JOB = NewJob(
    token=TOKEN,
    account="an account",
    endpoint="/v1/images/generations",
    lane="batch",
    input_file="file-1",
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "left, state",
    [
        ("nothing", "held"),
        ("half an answer", "held"),
        ("the create's whole answer", "pending"),
        ("a list without its mark", "make"),
    ],
)
async def test_what_a_dead_run_left_of_a_batch_is_foreseen(
    image_api: ImageApi, tmp_path: Path, left: str, state: str
) -> None:
    """What lies in the batch's folder speaks for all lines; none has a folder of its own yet."""
    dead = Dead(tmp_path, settings_for(image_api, lane="batch"))
    story = scenes(3)
    for line in range(2):
        one = replace(story, scenes=story.scenes[line:])
        dead.leaves(story=one, job=JOB, line=line)
    if left in {"half an answer", "the create's whole answer"}:
        dead.has_received(TOKEN, {"id": "batch_1"}, complete=left != "half an answer")
    if left == "a list without its mark":
        leave_list(tmp_path / ".stage3", dead.run_id, TOKEN)

    plan = await planned_with(dead.settings, scenes(3), dead.folder)

    figures = {"make": plan.make, "held": plan.held, "pending": plan.pending}
    expected = {"make": 1, "held": 0, "pending": 0}
    expected[state] += 2
    assert figures == expected
    assert image_api.received() == 0


Past: TypeAlias = Literal[
    "nothing", "at once", "in a batch", "being made", "is ready", "refused", "empty prompt"
]
"""What a scene has behind it when it is planned."""
PASTS: Sequence[Past] = get_args(Past)
LATER = Batched(polls=1_000_000)


def vendor(api: ImageApi, **more: Any) -> Settings:
    """Return settings of a vendor with batches, whose books bill by the table."""
    fixed = {"lane": "batch", "size": "1024x1024", "quality": "low", "drain_s": 0.05}
    return settings_for(api, **(fixed | more))


async def live_through(past: Sequence[Past], api: ImageApi, folder: Path) -> Story:
    """Make a ledger in which each scene has its past, and return the story."""
    story = [
        Scene(scene_id=f"s{number}", prompt="" if one == "empty prompt" else f"s{number}: x")
        for number, one in enumerate(past)
    ]
    for kind, plan in (
        ("at once", None),
        ("in a batch", Batched(polls=0)),
        ("refused", Batched(polls=0)),
        ("being made", LATER),
        ("is ready", Batched(polls=3)),
    ):
        scenes = [scene for scene, one in zip(story, past, strict=True) if one == kind]
        if not scenes:
            continue
        if plan is not None:
            api.batches.script(plan)
        for scene in scenes if kind == "refused" else ():
            api.batches.script_line(Line(ends="refused"), scene=f"{scene.scene_id}:")
        lane: Lane = "batch" if plan else "ordinary"
        await run_stage(vendor(api), Story(scenes), folder, lane=lane)
    api.batches.plan = Batched(polls=0)
    return Story(story)


def told(ran: Ran) -> Counter[str]:
    """Count how the scenes ended, in the words of a plan.

    What was pending is taken in, or is pending still.
    """
    words = {"made": "make", "budget": "refused", "not_tried": "refused", "rejected": "unsendable"}
    counts = Counter[str]()
    for scene_id, outcome in ran.outcomes.items():
        code = ran.code(scene_id)
        is_there = outcome.reused or code == "pending"
        counts["there" if is_there else words.get(code, code)] += 1
    return counts


def figures(plan: StagePlan) -> Counter[str]:
    """Return a plan's figures in the same words."""
    return +Counter(
        make=plan.make,
        there=plan.reused + plan.pending,
        held=plan.held,
        refused=plan.refused,
        busy=plan.busy,
        unsendable=plan.unsendable,
    )


@tried(5)
@given(
    past=st.lists(st.sampled_from(PASTS), min_size=1, max_size=5),
    cap=st.sampled_from([None, "budget_usd", "daily_usd", "total_usd"]),
    fits=st.integers(min_value=0, max_value=5),
)
@example(past=["is ready", "being made", "nothing", "at once"], cap=None, fits=0)
@example(past=["nothing", "nothing", "refused"], cap="total_usd", fits=2)
def test_a_run_does_what_its_plan_told(past: Sequence[Past], cap: str | None, fits: int) -> None:
    """Whatever lies behind its scenes and whatever cap there is, at the batch's price."""

    async def main(api: ImageApi, folder: Path) -> None:
        story = await live_through(past, api, folder)
        settings = vendor(api)
        one = await planned_with(settings, Story([Scene(scene_id="z", prompt="z0: x")]), folder)
        assert one.cost_high_usd is not None
        spent = counted(folder) if (folder / ".stage3").exists() else 0
        has_more = {} if cap in {None, "budget_usd"} else {"spent": spent}
        room = one.cost_high_usd * fits + to_usd(has_more.get("spent", 0))
        settings = settings if cap is None else vendor(api, **{cap: str(room)})
        sent = api.batches.received() + api.received()

        plan = await planned_with(settings, story, folder)
        ran = await run_stage(settings, story, folder)

        assert figures(plan) == told(ran)
        assert plan.make == api.batches.received() + api.received() - sent
        costs = [one.cost.usd for one in ran.outcomes.values() if not one.reused]
        paid = sum(cost for cost in costs if cost is not None)
        assert plan.cost_low_usd is not None
        assert plan.cost_high_usd is not None
        assert plan.cost_low_usd <= paid <= plan.cost_high_usd

    with (
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory() as name,
        ImageApi() as api,
    ):
        patch.setattr(pending, "BATCH_LOOKS_S", (0.0, 0.01))
        api.bill = by_the_table
        anyio.run(main, api, Path(name))


async def planned_with(settings: Settings, story: Story, folder: Path) -> StagePlan:
    async with open_stage(settings, folder) as stage:
        return await stage.plan(asking(story))
