"""A scene may have a model of its own: it is asked for, and priced, by that."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.engine.build import open_stage
from tests.fakes.image_api import ImageApi
from tests.stage3.running import Story, run_stage, settings_for, story

pytestmark = pytest.mark.anyio

# 12 tokens of text and 1056 of a picture, by the table
COST = {"gpt-image-2": Decimal("0.03174"), "gpt-image-1.5": Decimal("0.033852")}
OWN = {"input_text": 1, "input_image": 1, "output_text": 1, "output_image": 10}


def mixed() -> Story:
    """Return a story of two models."""
    first, second = story("a", "b").scenes
    return Story([first, replace(second, model="gpt-image-1.5")])


async def test_a_scene_is_bought_and_priced_by_its_own_model(
    image_api: ImageApi, tmp_path: Path
) -> None:
    ran = await run_stage(settings_for(image_api), mixed(), tmp_path)

    asked = {one.prompt[0]: one.document["model"] for one in image_api.asked()}
    assert asked == {"a": "gpt-image-2", "b": "gpt-image-1.5"}
    assert ran.outcomes["a"].cost.usd == COST["gpt-image-2"]
    assert ran.outcomes["b"].cost.usd == COST["gpt-image-1.5"]


@pytest.mark.parametrize("own", ["gpt-image-1.5", "of-tomorrow"])
async def test_the_settings_prices_are_those_of_their_model(
    image_api: ImageApi, tmp_path: Path, own: str
) -> None:
    """Another one that the shipped table knows has its own; for the rest they are all there is."""
    more: dict[str, Any] = {"model": "a/painter", "prices": OWN}
    first, second = story("a", "b").scenes
    scenes = Story([first, replace(second, model=own)])
    ran = await run_stage(settings_for(image_api, **more), scenes, tmp_path)

    by_settings = Decimal("0.010572")
    assert ran.outcomes["a"].cost.usd == by_settings
    assert ran.outcomes["b"].cost.usd == COST.get(own, by_settings)


async def test_a_plan_prices_each_scene_by_its_model(image_api: ImageApi, tmp_path: Path) -> None:
    first, second = mixed().scenes
    totals: list[int] = []
    for scenes in ([first], [second], [first, second]):
        async with open_stage(settings_for(image_api), tmp_path) as stage:
            high = (await stage.plan(Story(scenes))).high_microusd
        assert high is not None
        totals.append(high)

    assert totals[0] != totals[1]
    assert totals[0] + totals[1] == totals[2]
