"""A plan and the run after it: the same figures, and nothing written before the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import Scene, StagePlan
from stage3_plugin.domain.money import to_usd
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from tests.doors import HOLD, bills, painter
from tests.fakes.behaviours import Json, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.laws import tried
from tests.stage3.buying import counted, purchases, scenes
from tests.stage3.running import Ran, Story, asking, run_stage

Past: TypeAlias = Literal["nothing", "bought", "unknown", "refused", "empty prompt"]
"""What a scene has behind it when it is planned."""

PASTS: Sequence[Past] = ("nothing", "bought", "unknown", "refused", "empty prompt")
REFUSED = Json({"error": {"code": "content_policy", "message": "policy"}}, status=403)


@pytest.fixture(scope="module")
def shared_api() -> Iterator[ImageApi]:
    """Run one API for all examples of a law."""
    with ImageApi() as api:
        api.always(bills(0.05))
        yield api


async def plan_of(
    wanted: Settings, story: Story, folder: Path, *, max_cost_usd: Decimal | None = None
) -> StagePlan:
    async with open_stage(wanted, folder) as stage:
        return await stage.plan(asking(story, max_cost_usd=max_cost_usd))


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file with its bytes and the time of its change, and every folder."""
    return {
        path.relative_to(folder).as_posix(): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mtime_ns if path.is_file() else 0,
        )
        for path in sorted(folder.rglob("*"))
    }


def told(ran: Ran) -> Counter[str]:
    """Count how the scenes ended, in the words of a plan."""
    words = {"made": "make", "unknown": "held", "budget": "refused", "not_tried": "refused"}
    counts = Counter[str]()
    for scene_id, outcome in ran.outcomes.items():
        code = ran.code(scene_id)
        counts["reused" if outcome.reused else words.get(code, code)] += 1
    return counts


def figures(plan: StagePlan) -> Counter[str]:
    """Return a plan's figures in the same words."""
    return +Counter(
        make=plan.make,
        reused=plan.reused,
        pending=plan.pending,
        held=plan.held,
        refused=plan.refused,
        busy=plan.busy,
        rejected=plan.unsendable,
    )


async def live_through(past: Sequence[Past], api: ImageApi, folder: Path) -> Story:
    """Make a ledger in which each scene has its past, and return the story."""
    scenes = [
        Scene(scene_id=f"s{number:02}", prompt="" if one == "empty prompt" else f"s{number:02}: x")
        for number, one in enumerate(past)
    ]
    before = [
        scene for scene, one in zip(scenes, past, strict=True) if one not in {"nothing", PASTS[-1]}
    ]
    for scene, one in zip(scenes, past, strict=True):
        if one == "unknown":
            api.script(ResetAfterRead(), scene=scene.scene_id)
        if one == "refused":
            api.script(REFUSED, scene=scene.scene_id)
    for scene in before:  # one by one, for the breaker counts within a run
        await run_stage(painter(api), Story([scene]), folder)
    return Story(scenes)


@tried(12)
@given(
    past=st.lists(st.sampled_from(PASTS), max_size=6),
    cap=st.sampled_from([None, "budget_usd", "daily_usd", "total_usd"]),
    cap_pictures=st.integers(min_value=0, max_value=6),
)
def test_a_run_does_what_its_plan_told(
    shared_api: ImageApi, past: Sequence[Past], cap: str | None, cap_pictures: int
) -> None:
    """Whatever lies behind its scenes and whatever cap there is, where bills are as expected."""

    async def main() -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            story = await live_through(past, shared_api, folder)
            caps = {} if cap is None else {cap: f"{cap_pictures * 0.05:.2f}"}
            wanted = painter(shared_api, capacity=1, **caps)
            plan = await plan_of(wanted, story, folder)
            before = shared_api.received()
            spent = counted(folder) if past else 0
            ran = await run_stage(wanted, story, folder)

            assert figures(plan) == told(ran)
            assert plan.make == shared_api.received() - before
            assert plan.cost_low_usd == plan.cost_high_usd == to_usd(counted(folder) - spent)

    anyio.run(main)


pytestmark = pytest.mark.anyio


async def test_a_plan_writes_nothing(image_api: ImageApi, tmp_path: Path) -> None:
    """Not before there is a ledger, and not beside one; nothing is sent either."""
    await plan_of(painter(image_api, total_usd="1"), scenes(3), tmp_path)
    first = tree(tmp_path)
    await run_stage(painter(image_api), scenes(2), tmp_path)
    image_api.script(ResetAfterRead(), scene="s03")
    await run_stage(painter(image_api), scenes(3), tmp_path)
    purchases(tmp_path)  # opens and closes the ledger, so that its log is written back
    (tmp_path / "out" / "images" / "s01.png").unlink()
    before = tree(tmp_path)
    plan = await plan_of(painter(image_api, total_usd="1"), scenes(5), tmp_path)

    assert first == {}
    assert tree(tmp_path) == before
    assert figures(plan) == Counter(make=2, reused=2, held=1)
    assert image_api.received() == 3


async def test_a_plan_tells_what_today_has_cost_and_how_long_it_takes(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """From what was counted for the day, and from what such pictures took."""
    image_api.always(bills(0.05, delay_s=0.1))
    nothing_yet = await plan_of(painter(image_api), scenes(3), tmp_path)
    await run_stage(painter(image_api), scenes(3), tmp_path)
    plan = await plan_of(painter(image_api, capacity=4), scenes(11), tmp_path)
    all_there = await plan_of(painter(image_api), scenes(3), tmp_path)

    assert (nothing_yet.expected_s, nothing_yet.day_spent_usd) == (None, {})
    assert plan.day_spent_usd == {"openrouter": to_usd(3 * HOLD)}
    assert plan.expected_s is not None
    assert 0.2 <= plan.expected_s < 20  # two rounds of four
    assert all_there.expected_s == 0
    assert (all_there.cost_low_usd, all_there.cost_high_usd) == (Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    "scene, problem",
    [
        (Scene(scene_id="s01", prompt="a pier", width=640, height=640), "640x640 is more than"),
        (Scene(scene_id="s01", prompt="  "), "the prompt is empty"),
        (Scene(scene_id="s01", prompt="a \ud800"), "the prompt holds half of a surrogate pair"),
    ],
    ids=["too large", "empty", "no text"],
)
async def test_what_no_picture_could_come_of_is_not_sent(
    image_api: ImageApi, tmp_path: Path, scene: Scene, problem: str
) -> None:
    """A plan and a run say it in the same words."""
    wanted = painter(image_api, max_pixels=64 * 64)
    plan = await plan_of(wanted, Story([scene]), tmp_path)
    ran = await run_stage(wanted, Story([scene]), tmp_path)
    failure = ran.outcomes["s01"].failure

    assert failure is not None
    assert failure.code == "rejected"
    assert failure.message.startswith(problem)
    assert [one.problem for one in plan.scenes] == [failure.message]
    assert plan.unsendable == 1
    assert image_api.received() == 0
