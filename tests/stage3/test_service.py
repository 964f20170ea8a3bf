"""The original callers' service: same names, same files, over OpenRouter's chat completions."""

import inspect
from pathlib import Path

import pytest

import stage3_plugin
from stage3_plugin import ScenesFailed, Stage2Output, Stage3ImageGenerationService, Stage3Output
from stage3_plugin.errors import SettingsRefused
from tests.fakes.behaviours import ServerError, TextOnly
from tests.fakes.image_api import KEY, ImageApi

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage3ImageGenerationService:
    """A service that reaches the loopback API through the original's environment variables."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", image_api.base_url)
    monkeypatch.setenv("IMAGE_GENERATION_MODEL", "openai/gpt-image-2.5-flare")
    monkeypatch.chdir(tmp_path)
    return Stage3ImageGenerationService()


def scenes(count: int) -> list[Stage2Output]:
    return [
        Stage2Output(
            scene_id=f"scene_{number:03}",
            image_prompt=f"scene_{number:03}: a harbour",
            negative_prompt="people",
            style_tags=["anime"],
            characters_in_scene=["char_001"],
        )
        for number in range(1, count + 1)
    ]


async def test_one_scene_becomes_one_output(
    service: Stage3ImageGenerationService, image_api: ImageApi, tmp_path: Path
) -> None:
    """With the original's fields, its file name and its prompt."""
    output = await service.generate_scene_image(scenes(1)[0])
    (asked,) = image_api.asked()

    assert output.image_path == "output/images/scene_001.png"
    assert (tmp_path / output.image_path).read_bytes().startswith(b"\x89PNG")
    assert output.image_url is None
    assert output.generation_params["model"] == "openai/gpt-image-2.5-flare"
    assert output.generation_params["size"] == "1024x1024"
    assert output.generation_params["quality"] == "standard"
    assert output.generation_params["prompt"] == "scene_001: a harbour"
    assert asked.path.endswith("/chat/completions")
    assert "scene_001: a harbour. Avoid: people" in asked.prompt
    assert "anime" not in asked.prompt


async def test_outputs_come_in_input_order_and_progress_is_told(
    service: Stage3ImageGenerationService, tmp_path: Path
) -> None:
    """Files lie directly in the folder, and state lies in a folder of its own there."""
    told: list[tuple[int, int]] = []
    outputs = await service.generate_all_images(
        scenes(5), on_progress=lambda done, total: told.append((done, total))
    )
    names = sorted(path.name for path in (tmp_path / "output" / "images").iterdir())

    assert [output.scene_id for output in outputs] == [f"scene_{n:03}" for n in range(1, 6)]
    assert told == [(n, 5) for n in range(1, 6)]
    assert names == [".stage3", *(f"scene_{n:03}.png" for n in range(1, 6))]


async def test_not_concurrent_means_one_after_the_other(
    service: Stage3ImageGenerationService, image_api: ImageApi
) -> None:
    """In input order."""
    await service.generate_all_images(scenes(4), concurrent=False)

    assert image_api.most_in_flight == 1
    assert [asked.prompt.partition("scene_")[2][:3] for asked in image_api.asked()] == [
        "001", "002", "003", "004",
    ]  # fmt: skip


async def test_a_failed_scene_spares_the_others_and_is_raised_at_the_end(
    service: Stage3ImageGenerationService, image_api: ImageApi
) -> None:
    """The error carries what was made and why the rest was not."""
    image_api.script(TextOnly(), scene="scene_002")
    image_api.script(ServerError(500), scene="scene_003")
    with pytest.raises(ScenesFailed, match="1 of 4 scenes failed") as caught:
        await service.generate_all_images(scenes(4))

    assert [one.scene_id for one in caught.value.results] == ["scene_001", "scene_003", "scene_004"]
    assert caught.value.failures["scene_002"].code == "no_picture"
    assert caught.value.hint


async def test_a_missing_model_or_key_says_what_to_set(
    service: Stage3ImageGenerationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent."""
    monkeypatch.delenv("IMAGE_GENERATION_MODEL")
    with pytest.raises(SettingsRefused, match="model") as no_model:
        await service.generate_all_images(scenes(1))
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.delenv("OPENROUTER_BASE_URL")
    with pytest.raises(SettingsRefused, match="api_key") as no_key:
        await service.generate_all_images(scenes(1), model="m")

    assert "IMAGE_GENERATION_MODEL" in str(no_model.value.hint)
    assert "OPENROUTER_API_KEY" in str(no_key.value.hint)


async def test_an_argument_that_cannot_be_used_is_refused_in_our_own_words(
    service: Stage3ImageGenerationService,
) -> None:
    """And not with another library's error."""
    with pytest.raises(SettingsRefused, match="WIDTHxHEIGHT"):
        await service.generate_all_images(scenes(1), size="big")


async def test_a_scene_that_is_there_twice_is_refused(
    service: Stage3ImageGenerationService, image_api: ImageApi
) -> None:
    """Its file would be written twice, and paid for twice."""
    with pytest.raises(ValueError, match="scene_001"):
        await service.generate_all_images([*scenes(2), scenes(1)[0]])

    assert image_api.received() == 0


def test_the_signatures_are_the_originals() -> None:
    """Callers change one import line and nothing else."""
    service = Stage3ImageGenerationService
    parameters = inspect.signature(service.generate_all_images).parameters

    assert list(parameters) == [
        "self", "stage2_outputs", "size", "quality", "model", "concurrent", "on_progress",
    ]  # fmt: skip
    assert list(inspect.signature(service.generate_scene_image).parameters) == [
        "self", "stage2_output", "size", "quality", "model",
    ]  # fmt: skip
    assert inspect.signature(service).parameters["output_dir"].default == "./output/images"
    assert set(Stage3Output.model_fields) == {
        "scene_id", "image_path", "image_url", "width", "height", "generation_params",
    }  # fmt: skip


def test_the_public_names_are_those_that_are_listed() -> None:
    """Each can be imported; nothing else is promised."""
    assert sorted(stage3_plugin.__all__) == stage3_plugin.__all__
    assert all(hasattr(stage3_plugin, name) for name in stage3_plugin.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = stage3_plugin.nothing_such
