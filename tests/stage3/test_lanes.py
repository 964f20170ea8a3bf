"""The lane of each picture: who says it, who cannot have it, and what a plan says of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Lane, PlannedLane, Scene, StagePlan
from stage3_plugin.domain.money import to_usd
from stage3_plugin.engine.asked import request_for
from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.openai_batch import TERMS
from stage3_plugin.settings import Settings
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.stage3.running import Story, asking, run_stage

pytestmark = pytest.mark.anyio

LANES: Sequence[Lane | None] = (None, "ordinary", "batch")
WITHOUT: dict[str, Any] = {"provider": "xai", "model": "grok-imagine-image"}


def story(*lanes: Lane | None) -> Story:
    """Make a scene for each lane."""
    return Story(
        [
            Scene(scene_id=f"s{number}", prompt=f"s{number}: a harbour", lane=lane)
            for number, lane in enumerate(lanes)
        ]
    )


async def planned(
    settings: Settings, scenes: Story, folder: Path, *, lane: Lane | None = None, **more: Any
) -> StagePlan:
    """Open a stage, and return its plan."""
    async with open_stage(settings, folder) as stage:
        return await stage.plan(asking(scenes, lane=lane, **more))


# Whose word it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("own", LANES)
@pytest.mark.parametrize("asked", LANES)
@pytest.mark.parametrize("setting", ["ordinary", "batch"])
def test_a_scenes_own_lane_goes_before_the_runs_and_that_before_the_settings(
    own: Lane | None, asked: Lane | None, setting: Lane
) -> None:
    """As the pages say."""
    scene = Scene(scene_id="a", prompt="a", lane=own)

    request = request_for(scene, Settings(lane=setting), lane=asked)

    assert request.lane == (own or asked or setting)


# Who has none --------------------------------------------------------------------------------


async def test_the_settings_lane_is_refused_before_anything_is_sent(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Opening says who has none, in which setting, and who has one."""
    with pytest.raises(SettingsRefused) as caught:
        await planned(settings_for(image_api, **WITHOUT, lane="batch"), story(None), tmp_path)

    assert caught.value.field == "lane"
    assert "provider 'xai' has no batch lane" in caught.value.problem
    assert "gemini" in str(caught.value.hint)
    assert "openai" in str(caught.value.hint)
    assert not (tmp_path / ".stage3").exists()


@pytest.mark.parametrize("lane, own", [("batch", None), (None, "batch")])
async def test_a_runs_lane_or_a_scenes_is_refused_before_anything_is_sent(
    image_api: ImageApi, tmp_path: Path, lane: Lane | None, own: Lane | None
) -> None:
    """By a plan and by a run, also where it is the last scene of many that wants it."""
    settings = settings_for(image_api, **WITHOUT)
    scenes = story(None, "ordinary", own)

    for ask in (planned, run_stage):
        with pytest.raises(SettingsRefused, match="'xai' has no batch lane") as caught:
            await ask(settings, scenes, tmp_path, lane=lane)
        assert ("scene 's2'" in caught.value.problem) == (own == "batch")

    assert image_api.received() == 0
    assert not (tmp_path / ".stage3").exists()


async def test_a_look_refuses_no_scenes_lane(image_api: ImageApi, tmp_path: Path) -> None:
    """A story whose provider was changed can be looked at, and is said what one costs by now."""
    seen: list[str] = []
    async with open_stage(settings_for(image_api, **WITHOUT), tmp_path) as stage:
        await stage.survey(asking(story("batch", None)), lambda one: seen.append(one.scene_id))

    assert seen == ["s0", "s1"]


async def test_a_storyboard_is_drawn_and_the_lane_is_said_to_mean_nothing(tmp_path: Path) -> None:
    """Whoever says it; nothing is bought, and the story is the same."""
    for settings, lane, own in (
        (Settings(lane="batch"), None, None),
        (Settings(), "batch", None),
        (Settings(), None, "batch"),
    ):
        scenes = story(own)  # type: ignore[arg-type]  # a literal, one by one
        plan = await planned(settings, scenes, tmp_path, lane=lane)  # type: ignore[arg-type]  # likewise
        ran = await run_stage(settings, scenes, tmp_path, lane=lane)  # type: ignore[arg-type]  # likewise

        async with open_stage(settings, tmp_path) as stage:
            opened = stage.warnings
        told_by_run = [one["message"] for one in ran.named("stage.warned")]
        assert len(opened) == (1 if settings.lane == "batch" else 0)
        (warned,) = list[str]([*opened, *plan.warnings])
        assert "'previz' has no use for it" in warned
        assert (*opened, *told_by_run) == (warned,)
        assert plan.lanes is None
        assert ran.code("s0") == "made"


# Side by side --------------------------------------------------------------------------------


def both(plan: StagePlan) -> tuple[PlannedLane, PlannedLane]:
    """Return both columns of a plan that has two."""
    assert plan.lanes is not None
    assert plan.lanes.batch is not None
    return plan.lanes.ordinary, plan.lanes.batch


async def test_a_price_that_is_not_known_in_batches_is_from_half_to_all(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """So that a cap holds, whatever is billed."""
    settings = settings_for(image_api, model="a-new-model", price_usd="0.04")

    plan = await planned(settings, story("batch"), tmp_path)

    assert (plan.cost_low_usd, plan.cost_high_usd) == (to_usd(20_000), to_usd(40_000))


async def test_a_batch_behind_a_sheet_takes_two(image_api: ImageApi, tmp_path: Path) -> None:
    """One after the other, each as long as it may take."""
    cast = {"mira": {"prompt": "Mira, a keeper"}}
    scenes = Story([Scene(scene_id="a", prompt="a", characters=("mira",), lane="batch")])

    plan = await planned(settings_for(image_api, cast=cast), scenes, tmp_path, lane="batch")

    _, batch = both(plan)
    assert (plan.make, plan.sheets, batch.scenes) == (2, 1, 2)
    assert batch.within_s == 2 * TERMS.within_s
    assert any("goes in a later batch" in one for one in batch.cannot)
