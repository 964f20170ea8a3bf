"""What a scene asks for in vain is said before anything is spent: by check, plan and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from tests.doors import painter, settings_for
from tests.fakes.image_api import ImageApi
from tests.stage3.running import Ran, Story, asking, run_stage, story

pytestmark = pytest.mark.anyio

STORYBOARDS = Settings(size="64x36")


def warned(ran: Ran) -> list[str]:
    return [event["message"] for event in ran.named("stage.warned")]


def wishing(*scene_ids: str, **wishes: Any) -> Story:
    """Return scenes that all ask for something."""
    return Story([scene.model_copy(update=wishes) for scene in story(*scene_ids)])


async def planned(settings: Settings, scenes: Story, folder: Path) -> tuple[str, ...]:
    async with open_stage(settings, folder) as stage:
        return (await stage.plan(asking(scenes))).warnings


async def test_a_wish_that_is_not_sent_is_said_before_the_first_request(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """With how many scenes and the first; once, and again only for what is still to be made."""
    scenes = Story([*story("a"), *wishing("b", "c", seed=7)])
    foretold = await planned(settings_for(image_api), scenes, tmp_path)
    ran = await run_stage(settings_for(image_api), scenes, tmp_path)
    again = await run_stage(settings_for(image_api), scenes, tmp_path)

    [told] = warned(ran)
    assert told == (
        "seed of 2 scenes (the first is 'b') will be left out: openai is not asked for that"
        " [wish_left_out]"
    )
    assert foretold == (told,)
    order = [event["event"] for event in ran.events]
    assert order.index("stage.warned") < order.index("scene.started")
    assert ran.outcomes["b"].dropped == ("seed",)
    assert warned(again) == []
    assert image_api.billed() == 3


async def test_a_reference_that_is_not_there_is_said_although_nobody_is_sent_it(
    tmp_path: Path,
) -> None:
    """A storyboard shows none; a misspelt name is found before the scenes are paid for."""
    (tmp_path / "mara.png").touch()
    scenes = wishing("a", references=("mara.png", "old-tom.png", "data:image/png;base64,AAAA"))
    foretold = await planned(STORYBOARDS, scenes, tmp_path)
    ran = await run_stage(STORYBOARDS, scenes, tmp_path)

    assert any("1 reference is not there: 'old-tom.png' of scene 'a'" in one for one in foretold)
    assert tuple(warned(ran)) == foretold


@pytest.mark.parametrize("reference", ["\0", "x" * 5000, "\ud83d", "", "C:\\mara.png", "a:b"])
async def test_an_odd_reference_harms_nothing(tmp_path: Path, reference: str) -> None:
    """It is a name that no file can have, and the scene is drawn without."""
    ran = await run_stage(STORYBOARDS, wishing("a", references=(reference,)), tmp_path)

    assert ran.code("a") == "made"
    assert warned(ran)[0].startswith("references of 1 scene ")


async def test_what_the_settings_ask_for_in_vain_is_said_at_opening(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """So ``check`` says it, which sees no scenes; a plan and a run do not say it twice."""
    settings = settings_for(image_api, seed=7)
    async with open_stage(settings, tmp_path) as stage:
        assert stage.warnings == (
            "seed is set and will be left out: openai is not asked for that [wish_left_out]",
        )
        assert (await stage.plan(asking(story("a")))).warnings == ()
    assert warned(await run_stage(settings, story("a"), tmp_path)) == []


async def test_a_chat_says_what_it_has_no_word_for(image_api: ImageApi, tmp_path: Path) -> None:
    settings = painter(image_api, api="chat", background="opaque", size="640x480")
    async with open_stage(settings, tmp_path) as stage:
        assert [line.split()[0] for line in stage.warnings] == ["background"]
        odd = next(iter(story("a"))).model_copy(update={"width": 977, "height": 64})
        [told] = (await stage.plan(asking(Story([odd])))).warnings
    assert told.startswith("size of 1 scene (the first is 'a') will be left out")


async def test_a_storyboard_says_that_it_follows_no_references(tmp_path: Path) -> None:
    """What must not be in the picture is in nearly every story, and is left to the manifest."""
    scenes = wishing("a", references=("https://example.com/mara.png",), negative_prompt="text")
    ran = await run_stage(STORYBOARDS, scenes, tmp_path)

    (told,) = warned(ran)
    assert told == (
        "references of 1 scene (the first is 'a') will be left out: previz is not asked for that"
        " [wish_left_out]"
    )
    assert set(ran.outcomes["a"].dropped) == {"references", "negative_prompt"}


async def test_a_story_that_breaks_while_it_is_looked_at_is_told_as_ever(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """What came before it is made, and what is wrong comes from the run itself."""

    class Broken(Story):
        def __iter__(self) -> Any:
            yield Scene(scene_id="a", prompt="a: a pier", seed=1)
            raise OSError("the file changed")

    ran = Ran()
    with pytest.raises(OSError, match="the file changed"):
        await run_stage(settings_for(image_api), Broken([]), tmp_path, into=ran)
    assert ran.code("a") == "made"
