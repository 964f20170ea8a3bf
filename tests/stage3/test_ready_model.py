"""The ready model class before it is made: what its settings and its folder show, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from stage3_plugin import errors
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import ExtraMissing, SettingsRefused
from stage3_plugin.renderers.diffusion import folder as folders
from stage3_plugin.renderers.diffusion.folder import is_name
from stage3_plugin.renderers.diffusion.ready import ReadyModel, ready_model
from stage3_plugin.settings import Settings
from tests.stage3.diffusion_folders import PLAIN, pipeline_folder

NOWHERE: Mapping[str, str] = {"HF_HUB_CACHE": "/nowhere"}


def _nothing_lacks(_extra: str) -> None:
    """Answer as where the extra is installed."""


def _torch_lacks(_extra: str) -> str:
    """Answer as where it is not."""
    return "torch"


@pytest.fixture(autouse=True)
def extra_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the extra be installed, as far as anybody asks; nothing of it is imported here."""
    monkeypatch.setattr(errors, "lacking", _nothing_lacks)


def settings(
    model: str | None = "weights",
    args: Mapping[str, JsonValue] | None = None,
    *,
    size: str = "64x64",
) -> Settings:
    return Settings(provider="local", model=model, size=size, model_args=dict(args or {}))


def refusal(
    folder: Path, model: str | None = "weights", args: Mapping[str, JsonValue] | None = None
) -> str:
    """Return what keeps settings from being used, in a project's folder."""
    with pytest.raises(SettingsRefused) as caught:
        ready_model(settings(model, args), folder, NOWHERE)
    return str(caught.value)


def test_a_folder_of_weights_is_all_it_takes(tmp_path: Path) -> None:
    """It is found from the config on; where it lies is no part of what decides a picture."""
    folder = pipeline_folder(tmp_path / "weights")

    ready = ready_model(
        settings("weights", {"steps": 4, "at_once": 2, "device": "cpu"}), tmp_path, NOWHERE
    )

    assert ready.model_args == {
        "weights": str(folder), "steps": 4, "at_once": 2, "device": "cpu",
    }  # fmt: skip
    assert ready.decides == {"weights": "weights", "steps": 4}
    assert (ready.setting, ready.at_once, ready.warnings) == ("model", 2, ())


def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline_folder(tmp_path / "weights")
    monkeypatch.setattr(errors, "lacking", _torch_lacks)

    with pytest.raises(ExtraMissing, match=r"pip install '\.\[diffusers\]'"):
        ready_model(settings(), tmp_path, NOWHERE)


@pytest.mark.parametrize(
    "model_args, words",
    [
        ({"step": 4}, "'model_args.step': is not an option of the ready model class (it takes "),
        ({"steps": 0}, "'model_args.steps': Input should be greater than or equal to 1"),
        ({"steps": "4"}, "'model_args.steps': Input should be a valid integer"),
        ({"guidance": -1}, "'model_args.guidance': Input should be greater"),
        ({"dtype": "float8"}, "'model_args.dtype': Input should be 'auto', 'float32'"),
        ({"device": "gpu"}, "'model_args.device': String should match"),
        ({"scheduler": "Euler"}, "'model_args.scheduler': String should match"),
        ({"strength": 1.5}, "'model_args.strength': Input should be less than or equal to 1"),
        ({"strength": 0.1, "steps": 5}, "'model_args': strength 0.1 of 5 steps leaves no step"),
        ({"variant": "../x"}, "'model_args.variant': String should match"),
        ({"download": 1}, "'model_args.download': Input should be a valid boolean"),
        ({"at_once": 0}, "'model_args.at_once': Input should be greater"),
    ],
)
def test_an_option_that_is_none_is_refused(
    tmp_path: Path, model_args: dict[str, JsonValue], words: str
) -> None:
    pipeline_folder(tmp_path / "weights")

    assert words in refusal(tmp_path, args=model_args)


@pytest.mark.parametrize("size, near", [("500x512", "496x512"), ("1024x1022", "1024x1024")])
def test_a_size_that_no_pipeline_paints_is_said_beforehand(
    tmp_path: Path, size: str, near: str
) -> None:
    """In the settings, and of a single scene."""
    pipeline_folder(tmp_path / "weights")
    width, height = map(int, size.split("x"))
    request = PictureRequest(scene_id="s", prompt="p", width_px=width, height_px=height)

    with pytest.raises(SettingsRefused, match=f"multiples of 8, such as {near}") as caught:
        ready_model(settings(size=size), tmp_path, NOWHERE)

    assert caught.value.field == "size"
    assert near in (ReadyModel.refused(request) or "")


# Folders -----------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    said = refusal(tmp_path)

    assert f"setting 'model': the weights folder {tmp_path / 'weights'} is not there" in said


def test_a_folder_without_a_pipeline_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "one.safetensors").write_bytes(b"")

    assert "holds no pipeline: it has no model_index.json" in refusal(tmp_path)
    assert "is a file, and weights are a whole folder" in refusal(tmp_path, "one.safetensors")


@pytest.mark.parametrize(
    "content", ["{", "[]", "null", "[" * 100_000, "\xff", '{"a": 1}' + " " * 999]
)
@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json"])
def test_a_description_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    """Cut, of another kind, too deep, no text, or larger than it may be."""
    path = pipeline_folder(tmp_path / "weights") / name
    path.write_bytes(content.encode("latin-1"))
    if content.endswith(" "):
        monkeypatch.setattr(folders, "_MOST_BYTES", 900)

    assert f"{path} is not a JSON object" in refusal(tmp_path)


def test_weights_that_only_pickle_reads_are_refused(tmp_path: Path) -> None:
    """And taken where safetensors lie beside them."""
    folder = pipeline_folder(tmp_path / "weights")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"")
    ready_model(settings(), tmp_path, NOWHERE)

    (folder / "unet" / PLAIN).unlink()

    said = refusal(tmp_path)
    assert f"{folder / 'unet'} has weights that only Python's pickle reads" in said
    assert "safe_serialization=True" in said


def test_code_that_lies_beside_weights_is_refused(tmp_path: Path) -> None:
    """As a module, as a pipeline's own class, and as one that a config points to."""
    module = pipeline_folder(tmp_path / "module")
    (module / "unet" / "my_unet.py").write_text("", encoding="utf-8")
    pipeline_folder(tmp_path / "own", _class_name=["my_pipeline", "Mine"])
    mapped = pipeline_folder(tmp_path / "mapped")
    config = {"auto_map": {"AutoModel": "acme/x--modeling.Mine"}}
    (mapped / "unet" / "config.json").write_text(json.dumps(config), encoding="utf-8")

    for name in ("module", "own", "mapped"):
        assert "the weights bring code of their own" in refusal(tmp_path, name)


@pytest.mark.parametrize(
    "name",
    [
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
    ],
)
def test_weights_that_are_there_as_a_variant_alone(tmp_path: Path, name: str) -> None:
    folder = pipeline_folder(tmp_path / "weights")
    (folder / "unet" / PLAIN).rename(folder / "unet" / name)

    assert 'add variant = "fp16" to model_args' in refusal(tmp_path)
    assert "it has 'fp16'" in refusal(tmp_path, "weights", {"variant": "bf16"})
    ready_model(settings("weights", {"variant": "fp16"}), tmp_path, NOWHERE)


# Names -------------------------------------------------------------------------------------------


def test_a_name_comes_from_the_cache_alone(tmp_path: Path) -> None:
    """What is not there is not fetched, and the line says how it would be."""
    cache = tmp_path / "cache"
    environment = {"HF_HUB_CACHE": str(cache)}
    with pytest.raises(SettingsRefused, match="download = true to model_args") as caught:
        ready_model(settings("acme/tiny"), tmp_path, environment)

    pipeline_folder(cache / "models--acme--tiny" / "snapshots" / "0123")
    ready = ready_model(settings("acme/tiny"), tmp_path, environment)

    assert caught.value.field == "model"
    assert (ready.model_args, ready.warnings) == ({"weights": "acme/tiny"}, ())


def test_a_download_is_said_beforehand(tmp_path: Path) -> None:
    ready = ready_model(settings("acme/tiny", {"download": True}), tmp_path, NOWHERE)
    (warning,) = ready.warnings
    pinned = ready_model(
        settings("acme/tiny", {"download": True, "revision": "v1"}), tmp_path, NOWHERE
    )

    assert "'acme/tiny': what this machine's cache lacks of them is fetched" in warning
    assert "download = true" in warning
    assert "its state 'v1'" in pinned.warnings[0]
    assert "download" not in ready.decides


def test_offline_is_obeyed_over_download(tmp_path: Path) -> None:
    environment = {**NOWHERE, "HF_HUB_OFFLINE": "1"}
    with pytest.raises(SettingsRefused, match="unset HF_HUB_OFFLINE"):
        ready_model(settings("acme/tiny", {"download": True}), tmp_path, environment)


@pytest.mark.parametrize(
    "word, is_one",
    [
        ("acme/tiny", True),
        ("stable-diffusion-v1-5/stable_diffusion.v1-5", True),
        ("tiny", False),
        ("/models/tiny", False),
        ("./models/tiny", False),
        ("a/b/c", False),
        ("../tiny", False),
        ("acme/..", False),
        ("a--b/c", False),
    ],
)
def test_what_may_be_a_name(word: str, is_one: bool) -> None:  # noqa: FBT001 - a case of the table
    assert is_name(word) is is_one
