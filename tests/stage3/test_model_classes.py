"""A model class of the user's before anything runs: settings, finding it, what it is sent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stage3_plugin.domain.model import ModelReference, ModelRequest
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.executors.child import replica_environment
from stage3_plugin.executors.registry import executor_of
from stage3_plugin.executors.replicas import devices_of
from stage3_plugin.renderers.finding import find_class
from stage3_plugin.renderers.model import ModelClass, ModelRenderer, decided_by
from stage3_plugin.renderers.replica import WORK, job_of, request_from
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.settings import Settings
from tests.stage3.in_process import InProcess

LOCAL: dict[str, Any] = {"provider": "local", "model_class": "my_models:Sdxl"}


# Settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value",
    [
        ("api_key", "k"),
        ("base_url", "http://localhost:1/v1"),
        ("endpoint", "studio"),
        ("headers", {"x-a": "b"}),
        ("picture_hosts", ["cdn.example.com"]),
        ("fallback", [{"provider": "openai", "model": "m"}]),
        ("price_usd", "0.05"),
        ("prices", {"output_image": "40"}),
        ("budget_usd", "1"),
        ("on_unknown", "resend"),
        ("requests_per_minute", 5),
        ("options", {"steps": 4}),
        ("caption", False),
        ("negative_prompt", "drop"),
    ],
)
def test_what_has_no_use_beside_a_model_class_is_refused(name: str, value: object) -> None:
    """By its name, and not in silence."""
    with pytest.raises(ValidationError, match=f"`{name}` is set, .*has no use for it"):
        Settings.model_validate({**LOCAL, name: value})


@pytest.mark.parametrize(
    "name, value",
    [
        ("model_class", "a:B"),
        ("model_args", {"a": 1}),
        ("edition", "2"),
        ("executor", {"replicas": 2}),
    ],
)
@pytest.mark.parametrize("provider", ["previz", "openai"])
def test_a_model_class_that_nobody_runs_is_refused(provider: str, name: str, value: object) -> None:
    """Whoever forgot the provider is told, before storyboards stand in for pictures."""
    with pytest.raises(ValidationError, match=f"`{name}` is set, .*runs no model class"):
        Settings.model_validate({"provider": provider, "model": "m", name: value})


@pytest.mark.parametrize(
    "written",
    ["models/my.py", "A", ":A", "a:", "a:b c", "a-b:C", "a:1B", "a..b:C"],
)
def test_a_model_class_is_a_module_and_a_class(written: str) -> None:
    """What could be a path or a part of a command line is neither."""
    with pytest.raises(ValidationError):
        Settings(provider="local", model_class=written if len(written) > 2 else f"{written}  ")


@pytest.mark.parametrize(
    "executor, words",
    [
        ({"kind": "proceses"}, "did you mean 'processes'"),
        ({"kind": 3}, "should be text"),
        ({"replicas": 0}, "executor.replicas"),
        ({"replicas": "4"}, "executor.replicas"),
        ({"gpu": 1}, "'executor.gpu': is nothing that"),
        ({"start_s": -1.0}, "executor.start_s"),
    ],
)
def test_an_executor_that_cannot_be_is_refused(executor: dict[str, Any], words: str) -> None:
    """With the field, and what there is."""
    with pytest.raises(SettingsRefused, match=words):
        executor_of(executor)


# Finding it --------------------------------------------------------------------------------------

SOURCE = """
raise SystemExit("imported")
from elsewhere import Brought
import weights as Imported

class Plain:
    at_once = 4
    class Inner:
        at_once: int = 8

class Computed:
    at_once = 2 * 2

try:
    class Tried: ...
except ImportError:
    Tried = None
Made = type("Made", (), {})
def function(): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "found_models.py").write_text(SOURCE, encoding="utf-8")
    package = tmp_path / "found_package" / "below"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (package / "deep.py").write_text("class Deep: at_once = 3", encoding="utf-8")
    (tmp_path / "found_broken.py").write_text("class A:\n  def", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "written, at_once",
    [
        ("found_models:Plain", 4),
        ("found_models:Plain.Inner", 8),
        ("found_models:Computed", None),
        ("found_models:Tried", None),
        ("found_models:Made", None),
        ("found_models:Brought", None),
        ("found_models:Imported", None),
        ("found_package.below.deep:Deep", 3),
        ("json:JSONDecoder", None),
    ],
)
def test_a_class_is_found_without_importing_it(
    folder: Path, written: str, at_once: int | None
) -> None:
    """Nor the packages around it; how many it renders at once is read from its source."""
    assert find_class(written, (str(folder),)) == at_once
    assert not [name for name in sys.modules if name.startswith("found_")]


@pytest.mark.parametrize(
    "written, words, hint",
    [
        ("no_such_models:A", "there is no module 'no_such_models'", "install it"),
        ("found_models.py:A", "there is no module", "without .py"),
        ("found_package.no:A", "there is no module 'found_package.no'", "correct the name"),
        ("found_models:Plian", "has no Plian", "did you mean 'Plain'?"),
        ("found_models:Plain.Outer", "has no Plain.Outer", ""),
        ("found_models:function", "is a function, and no class", "write a class"),
        ("found_broken:A", "is no Python: .*line 2", "correct it"),
    ],
)
def test_a_class_that_is_not_there_is_refused(
    folder: Path, written: str, words: str, hint: str
) -> None:
    """With what could be meant."""
    with pytest.raises(SettingsRefused, match=words) as caught:
        find_class(written, (str(folder),))

    assert hint in str(caught.value.hint)
    assert not [name for name in sys.modules if name.startswith("found_")]


# What it is sent ---------------------------------------------------------------------------------


def test_a_request_reads_as_it_was_written() -> None:
    """Lone surrogates and every script pass; references are bytes, and there are no paths."""
    request = ModelRequest(
        scene_id="s\0\ud800",
        prompt="两人 \udfff\n",
        negative_prompt="x",
        width_px=8,
        height_px=16,
        seed=3,
        references=(
            ModelReference(data=b"\n{}\0", media_type="image/png", name="Mira", role="character"),
            ModelReference(data=b"", media_type="image/webp", sha256="0" * 64),
        ),
        characters=("a", "b"),
        style_tags=("ink",),
        extra={"n": [1, {"x": None}]},
    )
    written = job_of(request)

    assert request_from(written) == request
    assert written.partition(b"\n")[0].isascii()


@pytest.mark.parametrize(
    "args, edition", [({"steps": 31}, ""), ({"steps": 30, "more": 1}, ""), ({"steps": 30}, "2")]
)
def test_what_decides_a_picture_is_in_its_edition(args: dict[str, Any], edition: str) -> None:
    """The class, what it is made with, the user's word, and what it sees that no key has."""

    def of(decides: str, **more: Any) -> str:
        renderer = ModelRenderer(InProcess(WORK), made_with(), decides)
        return renderer.edition(
            PictureRequest(scene_id="s", prompt="p", width_px=8, height_px=8, **more)
        )

    usual = decided_by(made_with(steps=30), "")

    assert of(usual) == of(decided_by(made_with(steps=30), ""))
    assert of(usual) != of(decided_by(made_with(**args), edition))
    assert of(usual) != of(decided_by(made_with("a:C", steps=30), ""))
    assert of(usual) != of(usual, style_tags=("ink",))
    assert of(usual) != of(usual, characters=("mira",))
    assert of(usual) != of(usual, extra={"mood": "grim"})


def test_another_token_is_no_other_picture() -> None:
    """A secret among what a class is made with decides nothing."""
    decided = [
        decided_by(made_with(token=token), "", hidden=Masked([token]).text)
        for token in ("first-secret-token", "second-secret-token")
    ]

    assert decided[0] == decided[1]
    assert "first" not in decided[0]


def made_with(model_class: str = "a:B", **args: Any) -> ModelClass:
    return ModelClass(
        model_class=model_class, model_args=args, decides=args, what="it", setting="model_class"
    )


# A replica ---------------------------------------------------------------------------------------


def test_a_replica_has_the_environment_without_secrets() -> None:
    """Whatever the variable is called, and whatever stands around the secret in it."""
    secret = "sk-0123456789abcdef"
    environment = {
        "PATH": "/bin:/usr/bin",
        "HF_HOME": "/models",
        "LOCAL_KEY": secret,
        "DATABASE": f"postgresql://me:{secret}@db/media",
        "QUOTED": f'{{"key": "{secret}"}}',
        "FLAG": "on",
        "SHORT": "abc",
        "NUMBER": "7",
    }

    kept = replica_environment(environment, (secret, "abc"), Masked((secret, "abc")))

    assert set(kept) == {"PATH", "HF_HOME", "FLAG", "NUMBER"}


@pytest.mark.parametrize(
    "replicas, gpus, visible, devices",
    [
        (4, 1, "4,5,6,7", ["4", "5", "6", "7"]),
        (2, 2, "4,5,6,7", ["4,5", "6,7"]),
        (2, 1, "GPU-a, GPU-b,GPU-c", ["GPU-a", "GPU-b"]),
        (3, 0, "4,5", [None, None, None]),
        (2, 1, "", [None, None]),
        (2, 1, "-1", [None, None]),
    ],
)
def test_each_replica_has_gpus_of_its_own(
    replicas: int, gpus: int, visible: str, devices: list[str | None]
) -> None:
    """Of those that this process was given; where it was given none, none are looked for."""
    assert devices_of(replicas, gpus, visible) == devices


def test_more_gpus_than_there_are_is_refused() -> None:
    """Before anything is started."""
    with pytest.raises(SettingsRefused, match="need 6, and CUDA_VISIBLE_DEVICES names 4"):
        devices_of(3, 2, "4,5,6,7")
