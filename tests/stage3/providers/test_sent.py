"""What every vendor is sent, model by model: its own fields, and nothing that is left to it.

What a vendor would choose by itself is said where it changes a picture, its price or its prompt; an
option that a model does not have ends the run before money is held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from host_stub.cli import main
from host_stub.contract import Scene
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.backend import route_of
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.hosted import need_options
from stage3_plugin.providers.models import (
    models_known_of,
    option_problem,
    table,
    takes_of,
    who_has,
)
from stage3_plugin.providers.registry import hosted_named, maker_named, provider_at
from stage3_plugin.runtime.offers import PROVIDERS
from stage3_plugin.settings import Settings
from stage3_plugin.testing.dialects.bfl import BflDialect
from stage3_plugin.testing.dialects.fal import FalDialect
from tests.doors import settings_for
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import Refusing
from tests.places import hurry
from tests.stage3.running import Story, run_stage, story

PROMPT = "a pier at dawn"
PIER = PictureRequest(scene_id="s", prompt=PROMPT, width_px=1920, height_px=1088)
RUNS = pytest.mark.anyio
PAID = [name for name in PROVIDERS.names if hosted_named(name) is not None]
Options: TypeAlias = dict[str, JsonValue]


def sent(
    provider: str, model: str, options: Options | None = None, **wishes: Any
) -> tuple[Send, dict[str, Any]]:
    """Return the request for a picture, and its body."""
    endpoint = Endpoint(provider=provider, model=model)
    send = provider_at(endpoint, options=options).begin(replace(PIER, **wishes))
    return send, dict(send.payload)


# The body of each --------------------------------------------------------------------------------

BODIES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("bodies.json").read_text(encoding="utf-8")
)
"""What is sent for a pier at dawn: a row for each model, with what else is wished for there."""


@pytest.mark.parametrize("row", BODIES, ids=lambda row: f"{row['provider']} {row['model']}")
def test_each_model_is_sent_its_own_fields(row: dict[str, Any]) -> None:
    """And no other one: that is refused, or left alone in a picture that is paid for.

    What is dear or wrong where it is left out is said: size, quality, one picture.
    """
    wishes = row.get("wishes", {})

    assert sent(row["provider"], row["model"], **wishes)[1] == row["body"]


@pytest.mark.parametrize(
    "model, config",
    [
        ("gemini-nano-banana-2.1", {"thinkingConfig": {"thinkingLevel": "MEDIUM"}}),
        ("models/gemini-nano-banana-2.1", {"thinkingConfig": {"thinkingLevel": "MEDIUM"}}),
        ("gemini-3.1-flash-image", {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}),
        ("gemini-3-pro-image", {}),
        ("gemini-2.5-flash-image", {}),
        ("gemini-3.1-flash-lite-image", {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}),
        ("gemini-9-image", {}),
    ],
)
def test_how_much_it_thinks_is_said_to_the_models_that_know_it(
    model: str, config: dict[str, Any]
) -> None:
    """Thoughts are charged as words, and a line of a batch says the same."""
    _, body = sent("gemini", model)
    kept = {name: value for name, value in body["generationConfig"].items() if "think" in name}

    assert kept == config


# One law of all ----------------------------------------------------------------------------------

REWRITES = {
    "prompt_upsampling": False, "disable_pup": True, "enable_prompt_expansion": False,
    "enhance_prompt": False, "expand_prompt": False, "grounding": False,
    "enable_web_search": False, "prompt_extend": False,
}  # fmt: skip
"""Fields by which a vendor writes another prompt than was written, or searches for it, and how each
says that it is not to."""
HAVE_ONE = {
    "bfl": ("flux-2-pro", "flux-2-pro-preview", "flux-2-max", "flux-2-flex", "flux-3-image",
            "flux-kontext-pro", "flux-kontext-max", "flux-pro-1.1", "flux-pro-1.1-ultra"),
    "fal": ("fal-ai/flux-2", "fal-ai/flux-2/turbo", "fal-ai/flux-2/flash", "fal-ai/flux-2-flex",
            "fal-ai/flux-pro/kontext", "fal-ai/flux-pro/v1.1", "fal-ai/ideogram/v3",
            "fal-ai/nano-banana-2", "fal-ai/nano-banana-pro",
            "blackforestlabs/flux-3/text-to-image"),
    "replicate": ("black-forest-labs/flux-2-pro", "black-forest-labs/flux-2-max",
                  "black-forest-labs/flux-2-flex", "black-forest-labs/flux-3-image",
                  "black-forest-labs/flux-kontext-pro", "black-forest-labs/flux-1.1-pro",
                  "bytedance/seedream-4", "qwen/qwen-image-2"),
}  # fmt: skip
"""Models that have such a field."""


def all_models() -> Iterator[tuple[str, str]]:
    """Yield every model that the table has a name for, those with a price and those of families."""
    for provider in PAID:
        named = {begin for row in table().takes if row.provider == provider for begin in row.begins}
        for model in {*models_known_of(provider), *named, *HAVE_ONE.get(provider, ()), "a/b"}:
            yield provider, model.removesuffix("/") or "a/b"


def prompt_in(body: Mapping[str, Any]) -> str:
    """Return the prompt, wherever a vendor wants it."""
    if "contents" in body:
        return str(body["contents"][0]["parts"][0]["text"])
    return str(body.get("input", body)["prompt"])


@given(
    st.sampled_from(sorted(set(all_models()))),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
)
def test_a_prompt_goes_out_as_it_was_written(who: tuple[str, str], prompt: str) -> None:
    """Byte for byte, and whatever would write another one there is said to be off."""
    _, body = sent(*who, prompt=prompt)
    fields = body.get("input", body)

    assert prompt_in(body).encode() == prompt.encode()
    assert {name: fields[name] for name in REWRITES if name in fields} == {
        name: off for name, off in REWRITES.items() if name in fields
    }


@pytest.mark.parametrize(
    "provider, model", [(a, b) for a, names in HAVE_ONE.items() for b in names]
)
def test_who_has_a_switch_for_it_is_told(provider: str, model: str) -> None:
    """Never left to the vendor, whose own choice is often to rewrite."""
    _, body = sent(provider, model)

    assert set(REWRITES) & set(body.get("input", body))


# Options, and models that do not have them --------------------------------------------------------


LACKING: list[tuple[str, str, Options, str]] = [
    ("openai", "gpt-image-2.5-flare", {"complexity": "low"}, "is no option of model"),
    ("gemini", "gemini-3-pro-image", {"thinking_level": "high"}, "is no option of model"),
    ("gemini", "gemini-3.1-flash-image", {"thinking_level": "medium"}, "is minimal, high of model"),
    ("bfl", "flux-3-image", {"safety_tolerance": 5}, "is 0, 1, 2, 3, 4 of model"),
    ("fal", "fal-ai/flux-2-pro", {"num_inference_steps": 9}, "is no option of model"),
    ("replicate", "google/nano-banana-2", {"google_search": True}, "is no option of model"),
]


@pytest.mark.parametrize("provider, model, options, problem", LACKING)
def test_an_option_that_a_model_does_not_have_is_refused(
    provider: str, model: str, options: Options, problem: str
) -> None:
    """By its name, with the model and what to do; also where a scene names the model itself."""
    with pytest.raises(SettingsRefused) as refused:
        need_options(provider, model, options)

    assert refused.value.field == f"options.{next(iter(options))}"
    assert problem in refused.value.message
    assert repr(model) in refused.value.message
    assert str(refused.value.hint).startswith("take it out of options")
    having = who_has(*next(iter(options.items())), provider=provider)
    assert (", or name a model that has it: " in str(refused.value.hint)) is bool(having)


SAMPLES: dict[str, JsonValue] = {
    "provider": {"only": ["azure"]}, "safety_tolerance": 4, "thinking_level": "high",
    "complexity": "low", "moderation": "low", "guidance": 2.5, "guidance_scale": 2.5, "steps": 9,
    "num_inference_steps": 9, "output_compression": 80, "output_quality": 80, "strength": 0.5,
    "prompt_strength": 0.5, "image_prompt_strength": 0.5, "megapixels": "0.25",
    "input_fidelity": "high", "safety_filter_level": "block_only_high", "loras": "a",
}  # fmt: skip
"""A value of each option that is no switch."""
OPTION_NAMES = {name for row in table().takes for name in (*row.always, *(row.options or ()))}


def every_option(provider: str) -> Iterator[tuple[str, JsonValue]]:
    """Yield every option that anybody has, with a value; the number as fal writes it, too."""
    own = maker_named(provider).Options.model_fields
    for name in sorted({*OPTION_NAMES, *own, *SAMPLES}):
        yield name, SAMPLES.get(name, True)
        if name == "safety_tolerance":
            yield name, "4"


def values_in(value: Any) -> Iterator[Any]:
    """Yield all that stands in a body."""
    yield value
    if isinstance(value, list):
        for one in cast("Sequence[Any]", value):
            yield from values_in(one)
    elif isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            yield from values_in(one)


@pytest.mark.parametrize("provider, model, api", [
    *((provider, model, "images") for provider, model in sorted(set(all_models()))),
    ("openrouter", "google/gemini-3-pro-image", "chat"),
])  # fmt: skip
def test_an_option_is_on_the_wire_or_refused_or_told(provider: str, model: str, api: Any) -> None:
    """Never left out without a word; and what another option says is still said beside it."""
    endpoint = Endpoint(provider=provider, model=model, api=api)
    plain = dict(provider_at(endpoint).begin(PIER).payload)
    for option, value in every_option(provider):
        try:
            provider_asked = provider_at(endpoint, options={option: value})
            need_options(provider, model, {option: value})
        except SettingsRefused as refused:
            assert refused.field == f"options.{option}"  # noqa: PT017 - one of three ways
            continue
        send, takes = provider_asked.begin(PIER), takes_of(provider, model)
        body = dict(send.payload)
        always = takes is not None and takes.always.get(option) == value
        told = option in send.dropped

        assert (body == plain) is (told or always), option
        assert told or any(
            type(one) is type(value) and one in (value, str(value).upper(), not value)
            for one in values_in(body)
        )


def test_what_is_always_said_is_a_value_that_the_model_has() -> None:
    """A slip in the table would be refused at every picture."""
    for row in table().takes:
        for name, value in row.always.items():
            if row.options is not None and name in row.options:
                assert option_problem(row, name, value) is None


@RUNS
@pytest.mark.parametrize(
    "shop, options, other",
    [
        ({"model": "gpt-image-2.6-flare"}, {"complexity": "high"}, {"complexity": "low"}),
        (
            {"model": "gpt-image-9", "like": "gpt-image-2.6-flare"},
            {"complexity": "high"},
            {"complexity": "low"},
        ),
        (
            {"provider": "gemini", "model": "models/gemini-nano-banana-2.1"},
            {"thinking_level": "medium"},
            {"thinking_level": "high"},
        ),
    ],
)
async def test_who_writes_down_what_is_sent_anyway_pays_for_nothing_anew(
    image_api: ImageApi, tmp_path: Path, shop: Options, options: Options, other: Options
) -> None:
    """The bytes are the same, and so is the picture; another value is another one."""
    if "provider" in shop:
        shop = {**shop, "base_url": image_api.root_url}
    more: dict[str, Any] = {**shop, "price_usd": "0.05"}
    made = [
        await run_stage(settings_for(image_api, **more, options=one), story("a"), tmp_path)
        for one in ({}, options, other, options)
    ]
    bodies = [entry.asked.document for entry in image_api.entries]

    assert [ran.code("a") for ran in made] == ["made"] * 4
    assert [ran.outcomes["a"].reused for ran in made] == [False, True, False, True]
    assert len(bodies) == 2
    assert bodies[0] != bodies[1]


@pytest.mark.parametrize("provider", ["bfl", "fal", "gemini", "openai", "replicate"])
def test_of_every_model_with_a_price_the_options_are_known(provider: str) -> None:
    """So that what one lacks is refused; of xAI's none has any, and OpenRouter has its own."""
    takes = {model: takes_of(provider, model) for model in models_known_of(provider)}

    assert takes
    assert [model for model, row in takes.items() if row is None or row.options is None] == []


# Seeds that a model does not have -----------------------------------------------------------------

SEEDLESS = [
    ("bfl", "flux-3-image"),
    ("fal", "blackforestlabs/flux-3/text-to-image"),
    ("fal", "xai/grok-imagine-image/v2.0/text-to-image"),
    ("replicate", "black-forest-labs/flux-3-image"),
]


@pytest.mark.parametrize("provider, model", SEEDLESS)
def test_another_seed_buys_nothing_anew_where_none_is_sent(provider: str, model: str) -> None:
    """The request as sent is the same."""
    endpoint = Endpoint(provider=provider, model=model)
    profile = provider_at(endpoint).profile
    scope = route_of(Settings(provider=provider, model=model), profile)
    one, other = (scene_keys(replace(PIER, seed=seed), scope) for seed in (7, 8))

    assert (profile.seed, one.scene_key) == (False, other.scene_key)


# Through the doors --------------------------------------------------------------------------------

SEEN = Scene(
    scene_id="a",
    prompt="a: a harbour at dusk",
    references=("mira.png",),
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual time."""
    hurry(monkeypatch, 100, "policy.polling")


@pytest.fixture
def bfl_api(quick: None) -> Iterator[ImageApi]:
    with ImageApi(dialect=BflDialect()) as api:
        api.refuses = Refusing()
        yield api


@pytest.fixture
def fal_api(quick: None) -> Iterator[ImageApi]:
    with ImageApi(dialect=FalDialect()) as api:
        api.refuses = Refusing()
        yield api


def mira(folder: Path, side_px: int) -> None:
    (folder / "mira.png").write_bytes(make_png("Mira", side_px, side_px))


@RUNS
async def test_a_reference_that_would_be_turned_away_as_too_small_is_not_sent(
    bfl_api: ImageApi, tmp_path: Path
) -> None:
    """FLUX 3 takes none of under 256 pixels a side."""
    mira(tmp_path, 64)
    shop: dict[str, Any] = {"provider": "bfl", "model": "flux-3-image", "price_usd": "0.05"}
    ran = await run_stage(
        settings_for(bfl_api, **shop), Story([SEEN]), tmp_path, scenes_dir=tmp_path
    )

    assert ran.code("a") == "rejected"
    message = ran.outcomes["a"].failure and ran.outcomes["a"].failure.message
    assert message == (
        "reference 'mira.png' is sent as 64x64, and the model takes 256x256 at the least (show a "
        "larger picture of it); nothing was sent"
    )
    assert bfl_api.received() == 0


@RUNS
@pytest.mark.parametrize("model", ["somebody/painter", "fal-ai/painter-9"])
async def test_an_endpoint_of_which_nothing_is_known_is_shown_no_picture(
    fal_api: ImageApi, tmp_path: Path, model: str
) -> None:
    """A field that it does not know would be left alone there, in a picture that is paid for."""
    mira(tmp_path, 300)
    settings = settings_for(fal_api, provider="fal", model=model, price_usd="0.05")
    ran = await run_stage(settings, Story([SEEN]), tmp_path, scenes_dir=tmp_path)

    assert ran.code("a") == "rejected"
    message = ran.outcomes["a"].failure and ran.outcomes["a"].failure.message
    assert message == (
        f"it shows 1 references, and {model} takes 0 (take them out, the cast's too, or name a "
        "model that is known to take some); nothing was sent"
    )
    assert (fal_api.received(), takes_of("fal", f"{model}/text-to-image") is None) == (0, False)


@pytest.mark.parametrize("provider, model, option, having", [
    ("fal", "fal-ai/flux-2-pro", "num_inference_steps = 9", "'fal-ai/flux/' of fal"),
    ("fal", "fal-ai/flux-2-pro", 'thinking_level = "high"', "'gemini-nano-banana-2.1', "),
    ("replicate", "google/nano-banana-2", "guidance = 3.5", "'qwen/qwen-image-2512' of"),
])  # fmt: skip
def test_an_option_that_would_be_paid_and_ignored_ends_the_command(
    provider: str,
    model: str,
    option: str,
    having: str,
    *,
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By its field and with the models that have it, before anything is asked or held."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes.json").write_text('[{"scene_id": "s1", "image_prompt": "a pier"}]', "utf-8")
    (tmp_path / "host.toml").write_text(
        f'[plugin.stage3]\nprovider = "{provider}"\nmodel = "{model}"\nprice_usd = "0.05"\n'
        f'base_url = "{image_api.base_url}"\napi_key = "{KEY}"\noptions = {{ {option} }}\n',
        "utf-8",
    )

    for command in ("plan", "run"):
        assert main([command, "scenes.json"]) == 2
        told = capsys.readouterr().err
        assert f"setting 'options.{option.partition(' ')[0]}': is no" in told
        assert having in told
    assert image_api.entries == []
    assert not (tmp_path / ".stage3").exists()


@RUNS
async def test_a_scenes_own_model_that_lacks_an_option_is_not_asked(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """That scene ends with the reason, and the others are made."""
    settings = settings_for(image_api, model="gpt-image-2.6-flare", options={"complexity": "low"})
    own = Scene(scene_id="b", prompt="b: a pier", model="gpt-image-2")
    ran = await run_stage(settings, Story([*story("a").scenes, own]), tmp_path)

    assert (ran.code("a"), ran.code("b")) == ("made", "rejected")
    message = ran.outcomes["b"].failure and ran.outcomes["b"].failure.message
    assert "'options.complexity': is no option of model 'gpt-image-2' (take it out" in str(message)
    assert [one.asked.document["complexity"] for one in image_api.entries] == ["low"]
