"""What comes in a row stops a run, and what is wrong before the first byte costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.contract import Scene
from stage3_plugin import Stage2Output, Stage3ImageGenerationService
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State
from stage3_plugin.errors import SceneIdRefused
from stage3_plugin.providers.openrouter import OpenRouter
from tests.doors import Ran, Story, bills, counted, painter, run_stage, scenes, settings_for, states
from tests.fakes.behaviours import BadBase64, EmptyData, Json, Ok, ResetAfterRead
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import further
from tests.projects import Project


def rejected(words: str) -> Json:
    """Answer that the request is wrong, in these words."""
    return Json({"error": {"message": words, "type": "x", "code": "odd"}}, status=400)


@pytest.mark.anyio
@pytest.mark.parametrize("bad", [EmptyData(), BadBase64()], ids=["no picture", "no base64"])
async def test_five_pictures_in_a_row_paid_for_nothing_stop_the_run(
    bad: Any, image_api: ImageApi, tmp_path: Path
) -> None:
    """The sixth would be paid for as well; a request without any answer does not begin anew."""
    image_api.script(bad, bad, bad, ResetAfterRead(), bad)
    image_api.always(bad)
    ran = await run_stage(settings_for(image_api, capacity=1), scenes(20), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped in {"no_picture", "unreadable"}
    assert "in a row" in (ran.ending.message or "")
    assert states(tmp_path).count(State.PAID_BAD) == 5
    assert image_api.received() == 5 + 1


@pytest.mark.anyio
async def test_a_picture_begins_the_count_of_what_was_paid_for_nothing_anew(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Chance is no row."""
    image_api.script(*[EmptyData()] * 4, Ok(), *[EmptyData()] * 4)
    ran = await run_stage(settings_for(image_api, capacity=1), scenes(12), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped is None
    assert image_api.received() == 12


@pytest.mark.anyio
async def test_the_same_words_again_and_again_stop_the_run_before_any_picture(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """They come from the settings; what differs between two answers, such as an id, is no word."""
    image_api.script(*[rejected(f"Unknown thing (request 7f{number})") for number in range(9)])
    ran = await run_stage(painter(image_api, capacity=1), scenes(20), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped == "rejected"
    assert "the same words" in (ran.ending.message or "")
    assert image_api.received() == 3


@pytest.mark.anyio
async def test_words_about_the_single_scene_stop_nothing(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Three scenes with faults of their own, and pictures between them."""
    image_api.script(rejected("one"), rejected("two"), rejected("one"), rejected("three"))
    image_api.always(bills(0.05))
    ran = await run_stage(painter(image_api, capacity=1), scenes(8), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped is None
    assert [ran.code(one) for one in ran.outcomes].count("made") == 4


@pytest.mark.anyio
async def test_without_a_connection_the_run_stops_and_names_the_cause_once(tmp_path: Path) -> None:
    """Not every scene of a long story is tried four times in vain; nothing was sent."""
    with ImageApi() as gone:
        settings = settings_for(gone, capacity=4)
    with anyio.fail_after(20):
        ran = await run_stage(settings, scenes(400), tmp_path)
    tried = [outcome for outcome in ran.outcomes.values() if outcome.attempts]

    assert ran.ending is not None
    assert ran.ending.stopped == "unavailable"
    assert "could not be sent" in (ran.ending.message or "")
    assert len(ran.outcomes) == 400
    assert len(tried) < 100
    assert set(states(tmp_path)) == {State.VOID}
    assert counted(tmp_path) == 0


@pytest.mark.anyio
async def test_a_connection_that_fails_for_a_moment_stops_nothing(tmp_path: Path) -> None:
    """Nothing listens when the run begins, and many tries fail; then everything is made."""
    with ImageApi() as gone:
        port = int(gone.base_url.removesuffix("/v1").rpartition(":")[2])
        settings = settings_for(gone, capacity=8, backoff_base_s=1, backoff_max_s=2)
    ran = Ran()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await run_stage(settings, scenes(20), tmp_path, into=ran)

            tasks.start_soon(run)
            while sum(event["event"] == "scene.retried" for event in ran.events) < 8:
                await anyio.sleep(0.005)
            with ImageApi(port=port):
                while ran.ending is None:
                    await anyio.sleep(0.02)

    assert ran.ending is not None
    assert ran.ending.stopped is None
    assert {ran.code(one) for one in ran.outcomes} == {"made"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "scene",
    [
        Scene.model_construct(scene_id="odd", prompt="half a pair: \ud83d"),
        Scene.model_construct(scene_id="odd", prompt="whole", negative_prompt="half: \udc00"),
        Scene(scene_id="odd\0", prompt="whole"),
        Scene(scene_id="o" * 2000, prompt="whole"),
    ],
    ids=["a prompt", "a negative prompt", "NUL in a name", "a long name"],
)
async def test_what_cannot_be_sent_or_stored_is_rejected_and_costs_nothing(
    scene: Scene, image_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is held and nothing leaves; the scenes beside it are made, now and later."""
    story = Story([scene, Scene(scene_id="good", prompt="good: a harbour")])
    ran = await run_stage(painter(image_api), story, tmp_path)
    again = await run_stage(painter(image_api), story, tmp_path)

    assert (ran.code(scene.scene_id), ran.code("good")) == ("rejected", "made")
    assert again.outcomes["good"].reused
    assert image_api.received() == 1
    assert states(tmp_path) == [State.PAID]


@pytest.mark.anyio
async def test_a_fault_before_the_first_byte_gives_its_hold_back(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no money of unknown outcome: the request was never made, and the others are."""
    begin_well = OpenRouter.begin

    def begin(self: OpenRouter, request: PictureRequest) -> Any:
        if request.scene_id == "s02":
            return begin_well(self, request)
        raise ValueError("no such size")

    monkeypatch.setattr(OpenRouter, "begin", begin)
    ran = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert ran.code("s01") == "rejected"
    assert "nothing was sent" in str(ran.outcomes["s01"].failure)
    assert ran.code("s02") == "made"
    assert states(tmp_path, "s01") == [State.VOID]
    assert states(tmp_path, "s02") == [State.PAID]
    assert image_api.received() == 1


@pytest.mark.parametrize(
    "base_url",
    ["https://api.example:port/v1", *further(["http://127.0.0.1:99999/v1", "http://[::1/v1"])],
)
def test_an_address_that_cannot_be_asked_leaves_nothing_of_unknown_outcome(
    base_url: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """The command says so at the start, however often it is tried."""
    project = Project(tmp_path)
    project.scenes(1)
    project.config(image_api, base_url=base_url)
    first, second = project.run("run", "scenes.json"), project.run("run", "scenes.json")

    assert (first.returncode, second.returncode) == (2, 2), first.stderr
    assert "base_url" in first.stderr
    assert not (tmp_path / ".stage3").exists()


@pytest.mark.anyio
@pytest.mark.parametrize("scene_id", ["", "a\0b", "\ud800", "x" * 1025])
async def test_the_original_service_refuses_a_name_that_no_file_can_have(
    scene_id: str, image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is paid for, whatever place in the batch it has."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", image_api.base_url)
    service = Stage3ImageGenerationService(tmp_path)
    outputs = [
        Stage2Output.model_construct(scene_id=one, image_prompt="a harbour")
        for one in ("scene_001", scene_id)
    ]
    with pytest.raises(SceneIdRefused):
        await service.generate_all_images(outputs, model="openai/gpt-5-image-mini")

    assert image_api.received() == 0
