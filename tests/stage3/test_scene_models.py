"""A scene may have a model of its own: it is asked for, and priced, by that."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.money import to_usd
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from stage3_plugin.testing.dialects.fal import FalDialect
from tests.doors import settings_for
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import purchases
from tests.stage3.running import Story, asking, run_stage, story

pytestmark = pytest.mark.anyio

# 12 tokens of text and 1056 of a picture, by the table
COST = {"gpt-image-2": Decimal("0.03174"), "gpt-image-1.5": Decimal("0.033852")}
OWN = {"input_text": 1, "input_image": 1, "output_text": 1, "output_image": 10}


def of_model(scene: Scene, model: str) -> Scene:
    """Return a scene with a model of its own."""
    return scene.model_copy(update={"model": model})


@pytest.mark.parametrize("own", ["gpt-image-1.5", "of-tomorrow"])
async def test_the_settings_prices_are_those_of_their_model(
    image_api: ImageApi, tmp_path: Path, own: str
) -> None:
    """Another one that the shipped table knows has its own; for the rest they are all there is."""
    more: dict[str, Any] = {"model": "a/painter", "prices": OWN}
    first, second = story("a", "b").scenes
    scenes = Story([first, of_model(second, own)])
    ran = await run_stage(settings_for(image_api, **more), scenes, tmp_path)

    by_settings = Decimal("0.010572")
    assert ran.outcomes["a"].cost.usd == by_settings
    assert ran.outcomes["b"].cost.usd == COST.get(own, by_settings)


@pytest.mark.parametrize(
    "own, held",
    [
        ("bytedance-seed/seedream-4.5", 40_000),
        ("recraft/recraft-v4.1", 35_000),
        ("of/tomorrow", 10_000),
    ],
)
async def test_the_settings_price_of_a_picture_is_that_of_their_model(
    image_api: ImageApi, tmp_path: Path, own: str, held: int
) -> None:
    """What is held for another one, and counted where no answer says a cost, is by the table."""
    image_api.always(Ok(usage=None))
    more: dict[str, Any] = {"provider": "openrouter", "model": "a/painter", "price_usd": "0.01"}
    first, second = story("a", "b").scenes
    scenes = Story([first, of_model(second, own)])
    settings = settings_for(image_api, **more, budget_usd="1")
    ran = await run_stage(settings, scenes, tmp_path)

    holds = {one.new.scene_id: one.new.hold_microusd for one in purchases(tmp_path)}
    assert holds == {"a": 10_000, "b": held}
    assert [ran.outcomes[one].cost.usd for one in "ab"] == [to_usd(10_000), to_usd(held)]


async def test_no_cap_is_passed_by_the_price_of_another_model(tmp_path: Path) -> None:
    """At a queue that reports nothing: a tenth of a dollar is less than one such picture."""
    with ImageApi(dialect=FalDialect()) as api:
        more: dict[str, Any] = {
            "provider": "fal", "base_url": api.root_url, "model": "of/tomorrow",
            "price_usd": "0.01", "budget_usd": "0.1", "size": "4096x4096",
        }  # fmt: skip
        one = of_model(story("a").scenes[0], "fal-ai/nano-banana-2")
        ran = await run_stage(settings_for(api, **more), Story([one]), tmp_path)

    assert ran.code("a") == "budget"
    assert api.received() == 0


async def test_a_version_of_a_model_has_the_price_of_its_name(tmp_path: Path) -> None:
    """At Replicate, where a scene may name one."""
    own = "black-forest-labs/flux-dev"
    settings = Settings.model_validate(
        {"provider": "replicate", "model": "of/tomorrow", "price_usd": "0.001", "api_key": "k"}
    )
    highs = list[Decimal | None]()
    for model in (own, f"{own}:{'a' * 64}"):
        async with open_stage(settings, tmp_path) as stage:
            plan = await stage.plan(asking(Story([of_model(story("a").scenes[0], model)])))
        highs.append(plan.cost_high_usd)

    assert highs[0] == highs[1] != to_usd(1000)
