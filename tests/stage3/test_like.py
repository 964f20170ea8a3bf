"""A model that came after the table is asked as the one that it is like, and never priced by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.models import is_known, models_known_of, table
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.settings import Settings
from stage3_plugin.testing.dialects.xai import XAIDialect
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.projects import Project
from tests.stage3.running import Story, run_stage, story

NEW = "of/tomorrow"
PROVIDERS = ("bfl", "fal", "gemini", "openai", "openrouter", "replicate", "xai")
PAIRS = [
    (provider, known)
    for provider in PROVIDERS
    for known in dict.fromkeys(
        [
            *models_known_of(provider),
            *(begin for row in table().takes if row.provider == provider for begin in row.begins),
        ]
    )
    if known
]


def at(provider: str, model: str, like: str = "", api: str = "images") -> Provider:
    return provider_at(Endpoint(provider=provider, api=api, model=model, like=like))


def said(send: Send) -> tuple[object, object]:
    """Return what a request says beside the name of its model."""
    payload = {name: one for name, one in send.payload.items() if name not in {"model", "version"}}
    return payload, send.dropped


def requests() -> Iterator[PictureRequest]:
    """Yield pictures of many forms, for any model."""
    for width_px, height_px in ((1024, 1024), (1536, 1024), (3840, 2160), (640, 2048)):
        for quality, output_format in (("low", "png"), ("medium", "webp"), ("max", "png")):
            yield PictureRequest(
                scene_id="a",
                prompt="a harbour at dusk",
                width_px=width_px,
                height_px=height_px,
                quality=quality,
                output_format=output_format,
                seed=7,
            )


@pytest.mark.parametrize("provider, known", PAIRS)
def test_a_model_is_asked_as_the_one_that_it_is_like_and_not_priced_by_it(
    provider: str, known: str
) -> None:
    """Whatever the picture is, every field and every wish left out is the same but its name.

    What it costs is not known, and no answer is priced by its tokens.
    """
    assert not is_known(provider, NEW)
    theirs, new = at(provider, known), at(provider, NEW, known)

    assert new.profile == theirs.profile
    for request in requests():
        estimate = new.estimate(request)
        assert said(new.begin(request)) == said(theirs.begin(request))
        assert (estimate.low_microusd, estimate.high_microusd) == (None, None)
    assert new.prices is None
    assert new.batch is None or new.batch.share(NEW) is None


def test_chat_asks_for_what_the_model_that_it_is_like_puts_out() -> None:
    """Some put out no text, and refuse to be asked for it."""
    (request, *_) = requests()
    pictures = at("openrouter", NEW, "black-forest-labs/flux.2-pro", "chat").begin(request)
    words = at("openrouter", NEW, "google/gemini-3-pro-image", "chat").begin(request)

    assert pictures.payload["modalities"] == ["image"]
    assert words.payload["modalities"] == ["image", "text"]


def test_a_models_own_name_counts_where_it_is_known() -> None:
    """A scene's own may be another one than that which the setting was said of."""
    xai = at("xai", "grok-9", "grok-imagine-image-2.0")
    (request, *_) = requests()

    assert "quality" in xai.begin(request).payload
    assert "quality" in xai.begin(replace(request, model="grok-10")).payload
    assert "quality" not in xai.begin(replace(request, model="grok-imagine-image")).payload


# Through the doors -------------------------------------------------------------------------------


def plan_of(project: Project, *words: str) -> tuple[int, Mapping[str, Any], str]:
    done = project.run("plan", "scenes.json", "--json", *words)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_under_a_cap_it_is_refused_with_the_line_to_write(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Without one, the plan says that its price is not known; with the line it is bought."""
    project = Project(tmp_path)
    project.scenes(2)
    new: dict[str, Any] = {
        "provider": "openai", "model": "gpt-image-3", "like": "gpt-image-2.6-flare"
    }  # fmt: skip
    project.config(image_api, **new | {"budget_usd": "1"})
    config = tmp_path / "host.toml"
    unpriced = config.read_text(encoding="utf-8").replace('price_usd = "0.05"', "")
    config.write_text(unpriced, encoding="utf-8")
    run = project.run("run", "scenes.json")
    config.write_text(unpriced.replace('budget_usd = "1"', ""), encoding="utf-8")
    _, plan, _ = plan_of(project)
    text = project.run("plan", "scenes.json").stdout

    assert run.returncode == 2
    assert "there is a cap, but what a picture of 64x64 in quality 'medium' costs" in run.stderr
    assert 'hint: write price_usd = "0.05", the most' in run.stderr
    assert "prices" not in run.stderr.partition("hint: ")[2]
    assert image_api.received() == 0
    assert (plan["cost_low_usd"], plan["cost_high_usd"]) == (None, None)
    assert "unknown" in text
    project.config(image_api, **new | {"budget_usd": "1"})
    assert project.run("run", "scenes.json").returncode == 0
    assert {one.document["model"] for one in image_api.asked()} == {"gpt-image-3"}


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"like": "gpt-image-9"}, "knows no model 'gpt-image-9' of provider 'openai'"),
        (
            {
                "fallback": [
                    {"provider": "xai", "model": "grok-9", "like": "grok-8", "api_key": "k"}
                ]
            },
            "knows no model 'grok-8' of provider 'xai'",
        ),
    ],
)
@pytest.mark.anyio
async def test_a_model_that_the_table_does_not_know_is_no_likeness(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    """The known ones are named, for each route its provider's own."""
    usual: dict[str, Any] = {"provider": "openai", "api_key": "sk-none", "model": "gpt-image-3"}
    with pytest.raises(SettingsRefused) as refused:
        async with open_stage(Settings.model_validate(usual | settings), tmp_path):
            raise AssertionError("it opened")

    assert told in refused.value.problem
    assert refused.value.field == ("fallback.0.like" if "fallback" in settings else "like")
    known = "grok-imagine-image-2.0" if "fallback" in settings else "gpt-image-2.6-flare"
    assert known in str(refused.value.hint)


@pytest.mark.parametrize("model", ["gpt-image-2.5-flare", "gpt-image-2.5-flare-2026-09-08"])
@pytest.mark.anyio
async def test_a_model_that_the_table_knows_itself_is_like_no_other(
    model: str, tmp_path: Path
) -> None:
    """It would lose nothing but what is known of it; one of the same family may be like one."""
    usual: dict[str, Any] = {"provider": "openai", "api_key": "sk-none"}
    for like in (model, "gpt-image-2.6-flare"):
        settings = Settings.model_validate(usual | {"model": model, "like": like})
        with pytest.raises(SettingsRefused) as refused:
            async with open_stage(settings, tmp_path):
                raise AssertionError("it opened")
        assert (refused.value.field, refused.value.hint) == ("like", "take `like` out")
        assert refused.value.problem == f"the table knows {model!r} itself"
    newer = usual | {"model": "gpt-image-2.7-flare", "like": "gpt-image-2.6-flare"}
    async with open_stage(Settings.model_validate(newer), tmp_path) as stage:
        assert stage.routes


@pytest.mark.anyio
async def test_it_is_part_of_what_a_picture_is_known_by(tmp_path: Path) -> None:
    """The same words are sent in other forms: another likeness is another picture, bought once.

    A scene's own model that the table knows stays what it was.
    """
    first, second = story("a", "b").scenes
    scenes = Story([first, second.model_copy(update={"model": "grok-imagine-image"})])
    older, newer = "grok-imagine-image", "grok-imagine-image-2.0"
    with ImageApi(dialect=XAIDialect()) as api:
        settings: dict[str, Any] = {"provider": "xai", "model": "grok-9", "base_url": api.root_url}
        counts = list[int]()
        for like, asked in ((None, scenes), (older, scenes), (older, scenes)):
            ran = await run_stage(settings_for(api, **settings, like=like), asked, tmp_path)
            assert [ran.code("a"), ran.code("b")] == ["made", "made"]
            counts.append(api.received())
        await run_stage(settings_for(api, **settings, like=newer), Story([first]), tmp_path)
        qualities = [one.document.get("quality") for one in api.asked() if one.prompt[0] == "a"]

    assert counts == [2, 3, 3]
    assert qualities == [None, None, "medium"]


@pytest.mark.anyio
async def test_a_fallback_has_a_likeness_of_its_own(image_api: ImageApi, tmp_path: Path) -> None:
    """That of the first route is not for it: it is of another provider's models."""
    first: dict[str, Any] = {"model": "gpt-image-3", "like": "gpt-image-2"}
    route: dict[str, Any] = {
        "provider": "openrouter", "model": "openai/gpt-image-4", "api_key": "sk",
        "base_url": image_api.base_url,
    }  # fmt: skip
    plain = settings_for(image_api, **first, fallback=[route])
    liked = settings_for(image_api, **first, fallback=[route | {"like": "openai/gpt-image-2"}])

    assert [one.like for one in plain.routes] == ["gpt-image-2", None]
    assert [one.like for one in liked.routes] == ["gpt-image-2", "openai/gpt-image-2"]
    for settings in (plain, liked):
        async with open_stage(settings, tmp_path) as stage:
            assert len(stage.routes) == 2
