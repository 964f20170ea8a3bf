"""What there is of a story: takes, which of them are current, and why the others are not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene, SceneSurvey
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.stage3.running import Story, asking, run_stage

pytestmark = pytest.mark.anyio


def scene(scene_id: str, *references: str, characters: Sequence[str] = (), **more: Any) -> Scene:
    values: dict[str, Any] = {"prompt": f"{scene_id}: a harbour at dusk", **more}
    return Scene(
        scene_id=scene_id,
        references=references,
        characters=tuple(characters),
        **values,
    )


async def survey(
    settings: Settings, scenes: Sequence[Scene], folder: Path, **more: Any
) -> dict[str, SceneSurvey]:
    """Look at a story, and return what is told in the order in which it is told."""
    found: dict[str, SceneSurvey] = {}

    def tell(one: SceneSurvey) -> None:
        assert one.scene_id not in found
        found[one.scene_id] = one

    async with open_stage(settings, folder) as stage:
        await stage.survey(asking(Story(scenes), scenes_dir=folder, **more), tell)
    return found


def states(found: dict[str, SceneSurvey]) -> dict[str, list[object]]:
    """Say of each scene's takes ``True`` if they are current, and else why they are not."""
    return {
        one.scene_id: [take.current or take.stale for take in one.takes] for one in found.values()
    }


@pytest.fixture
def api(image_api: ImageApi) -> ImageApi:
    return image_api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hat.png").write_bytes(make_png("hat", 64, 64))
    return tmp_path


async def test_a_story_that_nobody_has_run_has_no_takes_and_a_price(
    folder: Path, api: ImageApi
) -> None:
    """Nothing is made by looking, a state folder neither."""
    settings = settings_for(api)
    found = await survey(settings, [scene("s1")], folder)

    assert found["s1"].takes == ()
    async with open_stage(settings, folder) as stage:
        plan = await stage.plan(asking(Story([scene("s1")])))
    assert found["s1"].cost_usd == plan.cost_high_usd
    assert found["s1"].basis is not None
    assert (found["s1"].size, found["s1"].model) == ("64x64", "gpt-image-2")
    assert not (folder / ".stage3").exists()
    assert not api.entries


async def test_a_picture_is_fetched_by_its_bytes(folder: Path, api: ImageApi) -> None:
    """Whole, where nothing is; what is not there is not made up."""
    settings = settings_for(api)
    ran = await run_stage(settings, Story([scene("s1")]), folder)
    sha256 = ran.outcomes["s1"].sha256
    assert sha256 is not None
    async with open_stage(settings, folder) as stage:
        into = folder / "elsewhere" / "one.png"
        was_there = await stage.pictures.fetch(sha256, into)
        is_no_name = await stage.pictures.fetch("../../etc/passwd", folder / "two")
        is_unknown = await stage.pictures.fetch("0" * 64, folder / "three")

    assert (was_there, is_no_name, is_unknown) == (True, False, False)
    assert hashlib.sha256(into.read_bytes()).hexdigest() == sha256
    assert not (folder / "two").exists()
    assert not (folder / "three").exists()
