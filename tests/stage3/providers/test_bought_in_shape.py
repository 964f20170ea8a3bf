"""Stories bought from each vendor, by a service that refuses what the vendor would not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.fakes.requests import Refusing
from tests.stage3.running import Story, run_stage

pytestmark = pytest.mark.anyio

VENDORS: dict[str, dict[str, Any]] = {
    "openai": {"provider": "openai", "model": "gpt-image-2.5-flare"},
    "openrouter": {"provider": "openrouter", "model": "openai/gpt-image-2.5-flare"},
    "chat": {"provider": "openrouter", "api": "chat", "model": "google/gemini-nano-banana-2.1"},
    "gemini": {"provider": "gemini", "model": "gemini-nano-banana-2.1"},
}
PLAIN = Scene(scene_id="s0", prompt="s0: a harbour at dusk")
SCENES = [
    PLAIN,
    Scene(scene_id="s1", prompt="s1: 港口", negative_prompt="fog"),
    Scene(scene_id="s2", prompt="s2: a pier", width=128, height=64, seed=2**40),
    Scene(scene_id="s3", prompt="s3: a pier", seed=7),
]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"quality": "low", "output_format": "webp", "background": "transparent"},
        {"quality": "high", "output_format": "jpeg", "negative_prompt": "drop", "seed": 1},
    ],
    ids=["plain", "webp", "jpeg"],
)
async def test_a_vendor_takes_whatever_is_sent(
    image_api: ImageApi, tmp_path: Path, vendor: str, wishes: dict[str, Any]
) -> None:
    """Every field is one of its own, with a value that it has."""
    image_api.refuses = Refusing()
    url = image_api.root_url if vendor == "gemini" else image_api.base_url
    settings = settings_for(image_api, **VENDORS[vendor], base_url=url, **wishes)
    ran = await run_stage(settings, Story(SCENES), tmp_path)

    assert [ran.code(scene.scene_id) for scene in SCENES] == ["made"] * len(SCENES)
    assert image_api.received() == image_api.billed() == len(SCENES)


@pytest.mark.parametrize(
    "settings",
    [
        VENDORS["openai"] | {"model": "gpt-image-1.5", "size": "2048x64"},
        VENDORS["openai"] | {"quality": "hd"},
        VENDORS["openrouter"] | {"model": "painter"},
        VENDORS["chat"] | {"model": "painter"},
    ],
    ids=["size", "quality", "openrouter's model", "chat's model"],
)
async def test_what_a_vendor_does_not_take_is_refused_unbilled(
    image_api: ImageApi, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """The service sees it, so that the test above can fail; and the run ends as it should."""
    image_api.refuses = Refusing()
    ran = await run_stage(settings_for(image_api, **settings), Story([PLAIN]), tmp_path)

    assert ran.code("s0") == "rejected"
    assert (image_api.received(), image_api.billed()) == (1, 0)
