"""``options = { … }``: what only one provider has, from the settings to the request and the key."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from PIL import Image
from pydantic import BaseModel, ConfigDict, JsonValue

from host_stub.cli import main
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import ProviderBroken, SettingsRefused
from stage3_plugin.providers.models import models_known_of
from stage3_plugin.providers.options import options_of, reserved
from stage3_plugin.providers.registry import hosted_named, maker_named, provider_at
from stage3_plugin.renderers.previz import WORK, Previz
from stage3_plugin.runtime.offers import PROVIDERS
from stage3_plugin.settings import ProviderOptions
from tests.fakes.image_api import KEY, ImageApi
from tests.stage3.in_process import InProcess

RUNS = pytest.mark.anyio
PIER = PictureRequest(scene_id="s", prompt="a pier at dawn", width_px=96, height_px=64)


@pytest.mark.parametrize(
    "provider, options, field, problem",
    [
        ("openai", {"moderation": "none"}, "moderation", "Input should be 'auto' or 'low'"),
        ("openai", {"output_compression": 101}, "output_compression", "less than or equal to 100"),
        ("openai", {"steps": 30}, "steps", "is not an option of provider 'openai'"),
        ("openai", {"n": 2}, "n", "is no option: one request buys one picture"),
        ("openai", {"stream": True}, "stream", "the program itself says how the answer comes"),
        ("openai", {"quality": "low"}, "quality", "it is the setting quality, or the scene's"),
        ("openrouter", {"provider": {"onyl": ["azure"]}}, "provider.onyl", "is not an option of"),
        ("openrouter", {"provider": {"sort": 1}}, "provider.sort", "Input should be"),
        ("gemini", {"seed": 1}, "seed", "it is the setting seed, or the scene's"),
        ("gemini", {"top_k": 1}, "top_k", "is not an option of provider 'gemini'"),
        ("previz", {"tone": "sepia"}, "tone", "Input should be 'colour' or 'grey'"),
    ],
)
def test_an_option_that_is_none_is_refused_by_its_name_and_with_what_there_is(
    provider: str, options: dict[str, JsonValue], field: str, problem: str
) -> None:
    """Before anything is made, and without the value."""
    with pytest.raises(SettingsRefused) as refused:
        options_of(maker_named(provider).Options, provider, options)

    assert refused.value.field == f"options.{field}"
    assert problem in refused.value.message
    assert str(refused.value.hint).startswith(f"provider {provider!r} takes ")


PAID = [name for name in PROVIDERS.names if hosted_named(name) is not None]
MAY_BE_CHOSEN = {
    "replicate": {"megapixels", "prompt_upsampling", "go_fast"},
    "bfl": {"prompt_upsampling", "grounding"},
    "fal": {"enable_prompt_expansion"},
    "openai": {"complexity"},
}
"""What is always sent and may be said otherwise: it buys nothing more."""


@pytest.mark.parametrize("provider", PAID)
def test_no_option_says_otherwise_what_a_request_says_by_itself(provider: str) -> None:
    """Neither how many pictures there are, nor a token of ours, nor what a setting is for."""
    wish = replace(PIER, seed=7, token="a" * 32, background="opaque", width_px=1024, height_px=1024)
    money = ("n", "num_images", "num_outputs", "max_images", "sync_mode", "stream", "webhook")
    sent: dict[str, Any] = dict.fromkeys((*money, *reserved()), 2)
    for model in (*models_known_of(provider), "a/painter"):
        payload: Any = provider_at(Endpoint(provider=provider, model=model)).begin(wish).payload
        sent |= {**payload, **payload.get("input", {})}
    chosen: set[str] = set()
    for name, value in sent.items():
        with suppress(SettingsRefused):
            options_of(maker_named(provider).Options, provider, {name: value})
            chosen.add(name)

    assert chosen == MAY_BE_CHOSEN.get(provider, set())


class Anything(ProviderOptions):
    model_config = ConfigDict(extra="allow")
    reserved: ClassVar = {"image_size": "it is the setting size"}


class PassesOver(BaseModel):
    colour: str = "red"


class Raising(BaseModel):
    def __init__(self, **more: Any) -> None:
        raise KeyError(*more)


def test_a_strangers_model_takes_what_it_likes_but_not_what_the_money_rules_own() -> None:
    """One that takes whatever a model has names what its requests say already."""
    taken: dict[str, JsonValue] = {"guidance_scale": 3.5, "loras": [{"path": "a", "scale": 1}]}

    assert options_of(Anything, "painter", taken) == taken
    otherwise = ("Num_Outputs", "numImages", "SEED", "n-images", "imageSize")
    for name in (*reserved(), "image_size", *otherwise):
        with pytest.raises(SettingsRefused, match=rf"options\.{name}"):
            options_of(Anything, "painter", taken | {name: 4})
    with pytest.raises(SettingsRefused, match=r"'options\.color': is not an option"):
        options_of(PassesOver, "painter", {"color": "blue"})
    with pytest.raises(ProviderBroken, match="Options of the provider 'painter' raised KeyError"):
        options_of(Raising, "painter", {"colour": "red"})


def test_a_plan_shows_them(
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In words and as JSON; and one that is none ends it before anything is asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes.json").write_text('[{"scene_id": "s1", "image_prompt": "a pier"}]', "utf-8")
    (tmp_path / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "openai"\nmodel = "gpt-image-2"\n'
        f'base_url = "{image_api.base_url}"\napi_key = "{KEY}"\n'
        'options = { moderation = "low", output_compression = 80 }\n',
        "utf-8",
    )

    assert main(["plan", "scenes.json"]) == 0
    told = 'asked of openai, gpt-image-2, with moderation = "low", output_compression = 80\n'
    assert f"\n  {told}" in capsys.readouterr().out
    assert main(["plan", "scenes.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["routes"] == [
        {
            "provider": "openai",
            "model": "gpt-image-2",
            "options": {"moderation": "low", "output_compression": 80},
        }
    ]
    assert main(["plan", "scenes.json", "--set=plugin.stage3.options.n=2"]) == 2
    assert "setting 'options.n': is no option: one request" in capsys.readouterr().err
    assert image_api.entries == []


@RUNS
async def test_a_storyboard_may_be_grey_and_have_guides(tmp_path: Path) -> None:
    """Other options are other pictures, and those that say what is usual are not."""
    executor = InProcess(WORK)
    pictures: dict[str, Image.Image] = {}
    for name, options in {
        "plain": None,
        "grey": {"tone": "grey"},
        "thirds": {"guides": "thirds"},
        "safe": {"guides": "safe"},
    }.items():
        path = tmp_path / f"{name}.png"
        await Previz(executor, caption=False, options=options).render(PIER, path)
        pictures[name] = Image.open(io.BytesIO(await anyio.Path(path).read_bytes()))
    red, green, blue = pictures["grey"].split()
    plain, usual = Previz(executor), Previz(executor, options={"tone": "colour"})

    assert red.tobytes() == green.tobytes() == blue.tobytes()
    assert pictures["plain"].tobytes() != pictures["grey"].tobytes()
    where = {"thirds": (32, 5), "safe": (5, 20)}
    for name, place in where.items():
        assert pictures[name].getpixel(place) != pictures["plain"].getpixel(place)
        assert pictures[name].getpixel((50, 30)) == pictures["plain"].getpixel((50, 30))
    assert plain.edition(PIER) == usual.edition(PIER)
    assert plain.edition(PIER) != Previz(executor, options={"tone": "grey"}).edition(PIER)
