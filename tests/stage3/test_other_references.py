"""Pictures that scenes have although their references are others by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_stub.contract import Scene, StagePlan
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.stage3.buying import purchases
from tests.stage3.running import Ran, Story, asking, run_stage
from tests.stage3.test_shown import CAST, casting, scene

pytestmark = pytest.mark.anyio

MIRA = {"char_001": CAST["char_001"]}
SCENE = scene("s1", characters=["char_001"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a project with a reference, apart from what is bought for it."""
    (tmp_path / "refs").mkdir()
    for one in ("mira", "board"):
        (tmp_path / "refs" / f"{one}.png").write_bytes(make_png(one, 64, 64))
    return tmp_path


async def run(settings: Settings, folder: Path, *scenes: Scene) -> Ran:
    return await run_stage(settings, Story(scenes), folder, scenes_dir=folder)


async def planned(settings: Settings, folder: Path, *scenes: Scene) -> StagePlan:
    async with open_stage(settings, folder) as stage:
        return await stage.plan(asking(Story(scenes), scenes_dir=folder))


def warned(ran: Ran) -> list[str]:
    return [one["message"] for one in ran.named("stage.warned")]


def reused(ran: Ran) -> dict[str, bool]:
    assert {one: ran.code(one) for one in ran.outcomes} == dict.fromkeys(ran.outcomes, "made")
    return {one: outcome.reused for one, outcome in ran.outcomes.items()}


def _sha256(ran: Ran, scene_id: str) -> str:
    sha256 = ran.outcomes[scene_id].sha256
    assert sha256 is not None
    return sha256


@pytest.mark.parametrize("was", ["with it", "with another", "without"])
async def test_a_scene_whose_reference_is_gone_keeps_its_picture(
    was: str, image_api: ImageApi, folder: Path
) -> None:
    """It is told, and nothing is bought; a scene that has none is refused before money."""
    settings, mira = casting(image_api, cast=MIRA), folder / "refs" / "mira.png"
    await run(casting(image_api, cast={} if was == "without" else MIRA), folder, SCENE)
    if was == "with another":
        mira.write_bytes(make_png("mira, older", 64, 64))
        await run(settings, folder, SCENE)
    bought = len(image_api.entries)
    mira.unlink()
    other = scene("s2", characters=["char_001"])
    plan = await planned(settings, folder, SCENE, other)
    ran = await run(settings, folder, SCENE, other)

    assert (plan.make, plan.reused, plan.unsendable) == (0, 1, 1)
    problem = plan.scenes[0].problem or ""
    assert "its picture is there and stays" in problem
    assert plan.scenes[1].problem is not None
    assert {one: ran.code(one) for one in ran.outcomes} == {"s1": "made", "s2": "rejected"}
    newest = purchases(folder, "s1")[-1].picture
    assert newest is not None
    assert _sha256(ran, "s1") == newest.sha256
    assert any("refs/mira.png" in line for line in warned(ran))
    assert len(image_api.entries) == bought


@pytest.mark.parametrize(
    "before, said",
    [
        (MIRA, "reference 'refs/mira.png' has changed: 2 scenes (the first is 's1') would be made"),
        ({}, "reference 'refs/mira.png' is new: 2 scenes (the first is 's1') would be made"),
    ],
)
async def test_a_changed_reference_is_named_with_what_it_makes_stale(
    before: dict[str, dict[str, object]], said: str, image_api: ImageApi, folder: Path
) -> None:
    """And for how much; a scene that does not show it is current."""
    settings = casting(image_api, cast=MIRA)
    scenes = [scene(f"s{one}", characters=["char_001"]) for one in (1, 2)]
    await run(casting(image_api, cast=before), folder, *scenes, scene("s3"))
    (folder / "refs" / "mira.png").write_bytes(make_png("mira, older", 64, 64))
    plan = await planned(settings, folder, *scenes, scene("s3"))
    ran = await run(settings, folder, *scenes, scene("s3"))

    assert (plan.make, plan.reused, plan.stale) == (2, 1, 2)
    (line,) = plan.warnings
    assert line.startswith(said)
    cost, code = line.rpartition("for up to $")[2].split()
    assert (float(cost) > 0, code) == (True, "[references_changed]")
    assert reused(ran) == {"s1": False, "s2": False, "s3": True}


async def test_only_what_is_new_is_called_new(image_api: ImageApi, folder: Path) -> None:
    """A file that has moved has the same bytes; other words and another order are said as those."""
    (folder / "refs" / "rope.png").write_bytes(make_png("rope", 64, 64))
    both = scene("s1", "refs/rope.png", characters=["char_001"])
    settings = casting(image_api, cast=MIRA)
    await run(settings, folder, both)

    async def said(settings: Settings, one: Scene) -> str:
        plan = await planned(settings, folder, one)
        (line,) = plan.warnings
        assert (plan.make, plan.stale) == (1, 1)
        return line.partition(":")[0]

    assert (
        await said(casting(image_api, cast=MIRA, reference_labels=False), both)
        == "references have other names or roles"
    )
    fewer = scene("s1", characters=["char_001"])
    assert await said(settings, fewer) == "references are fewer, or in another order"
    (folder / "refs" / "mira.png").rename(folder / "refs" / "face.png")
    (folder / "refs" / "rope.png").write_bytes(make_png("rope, older", 64, 64))
    moved = {"char_001": {**MIRA["char_001"], "image": "refs/face.png"}}
    assert (
        await said(casting(image_api, cast=moved), both) == "reference 'refs/rope.png' has changed"
    )
