"""Models that vendors switch off are warned of in time; none that goes on is, and none refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.engine.build import open_stage
from stage3_plugin.providers.advice import warning_of
from stage3_plugin.providers.models import WARNED_BEFORE, end_of, table
from stage3_plugin.settings import Settings
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.rules.repository import ROOT
from tests.stage3.running import Story, asking, story

TODAY = date(2026, 11, 25)
ENDING = ["gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest"]
GOING_ON = [
    "gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-2.5-flare", "gpt-image-2.5-sunburst",
    "gpt-image-2.6-flare", "gpt-image-2.6-sunburst", "gpt-image-3", "gpt-image-12",
    "gpt-image-1.6", "dall-eight", "",
]  # fmt: skip


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


async def opened(day: date, folder: Path, **settings: Any) -> tuple[str, ...]:
    """Return what a stage warns of that is opened on a day; no plan says anything beyond that."""
    usual: dict[str, Any] = {"provider": "openai", "api_key": "sk-none"}
    chosen = Settings.model_validate(usual | settings)
    async with open_stage(chosen, folder, now=lambda: noon(day)) as stage:
        assert (await stage.plan(asking(story("a", "b")))).warnings == ()
        return stage.warnings


@pytest.mark.anyio
@pytest.mark.parametrize("model", ENDING)
async def test_an_end_is_warned_of_from_thirty_days_before(model: str, tmp_path: Path) -> None:
    """By the clock that was given, at opening, so that check, plan and run all say it."""
    end = end_of("openai", model)
    assert end is not None
    before, first, day, after = [
        await opened(end.on + timedelta(days=days), tmp_path, model=model)
        for days in (-31, -30, 0, 400)
    ]

    assert before == ()
    assert f"model {model!r} will be switched off by OpenAI on 2026-12-01" in first[0]
    assert "in its place: gpt-image-2.6-flare" in first[0]
    assert warning_of("openai", f"{model}-2026-01-31", today=end.on)
    for late in (day, after):
        assert "was switched off by OpenAI on 2026-12-01" in late[0]


SHEET = {"prompt": "Mira, four views on white", "name": "Mira"}


@pytest.mark.anyio
async def test_the_model_of_a_sheet_is_warned_of_like_any_other(tmp_path: Path) -> None:
    """At opening, so that ``check`` says it; once, however many sheets name it."""
    (tmp_path / "dog.png").write_bytes(make_png("a dog", 64, 64))
    cast = {
        "mira": SHEET | {"model": "gpt-image-1.5"},
        "tom": SHEET | {"model": "gpt-image-1.5", "quality": "high"},
        "board": SHEET | {"model": "gpt-image-2.6-flare"},
        "sea": SHEET,
        "dog": {"image": "dog.png"},
    }
    (ends,) = await opened(TODAY, tmp_path, model="gpt-image-2", cast=cast)

    assert "model 'gpt-image-1.5' will be switched off by OpenAI on 2026-12-01" in ends


@pytest.mark.anyio
async def test_the_model_of_a_scene_is_warned_of_by_the_plan(tmp_path: Path) -> None:
    """With the scene; the settings have none that ends."""
    settings = Settings.model_validate(
        {"provider": "openai", "api_key": "sk-none", "model": "gpt-image-2"}
    )
    first, second = story("a", "b").scenes
    scenes = Story([first, second.model_copy(update={"model": "gpt-image-1.5"})])
    async with open_stage(settings, tmp_path, now=lambda: noon(TODAY)) as stage:
        warnings = (await stage.plan(asking(scenes))).warnings

        assert stage.warnings == ()
    (told,) = warnings
    assert told.startswith("scene 'b': model 'gpt-image-1.5' will be switched off by OpenAI")


@pytest.mark.parametrize("model", GOING_ON)
def test_a_model_that_goes_on_is_not_warned_of(model: str) -> None:
    assert warning_of("openai", model, today=TODAY) is None
    assert warning_of("openrouter", f"openai/{model}", today=TODAY) is None


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-1", *ENDING])
def test_openrouter_sells_what_the_vendor_serves(model: str) -> None:
    told = warning_of("openrouter", f"openai/{model}", today=TODAY)

    assert told is not None
    assert "in its place: openai/gpt-image-2.6-flare" in told


@pytest.mark.anyio
@pytest.mark.parametrize(
    "base_url", ["https://api.openai.com/v1/", "HTTPS://API.OpenAI.com:443/v1"]
)
async def test_the_vendors_address_spelled_out_is_the_vendors(
    base_url: str, tmp_path: Path
) -> None:
    day = date(2026, 12, 2)
    told = await opened(day, tmp_path, model="gpt-image-1.5", base_url=base_url)

    assert "was switched off" in told[0]


@pytest.mark.anyio
async def test_a_server_of_ones_own_may_have_any_model(image_api: ImageApi, tmp_path: Path) -> None:
    async with open_stage(settings_for(image_api, model="gpt-image-1"), tmp_path) as stage:
        assert stage.warnings == ()


def test_an_end_is_of_one_api_and_not_of_a_model() -> None:
    """Google's own ends before what OpenRouter may be served by, and each names its own names."""
    day = date(2026, 11, 25)
    told = warning_of("gemini", "models/gemini-3.1-flash-image", today=day)
    later = warning_of("openrouter", "google/gemini-3.1-flash-image", today=date(2027, 5, 1))

    assert told is not None
    assert later is not None
    assert "was switched off by Google on 2026-10-29; in its place: gemini-nano-banana-2.1" in told
    assert warning_of("openrouter", "google/gemini-3.1-flash-image", today=day) is None
    assert "on 2027-05-28; in its place: google/gemini-nano-banana-2.1" in later


def test_nothing_that_a_user_is_shown_to_paste_ends_soon() -> None:
    """The pages' examples, and what ``init`` writes."""
    written = ROOT / "host_stub" / "config" / "template.py"
    pages = [ROOT / "README.md", written, *(ROOT / "docs").glob("*.md")]
    models = {
        model
        for page in pages
        for model in re.findall(r'^(?:# )?model = "([^"]+)"', page.read_text("utf-8"), re.MULTILINE)
    }

    assert {"openai/gpt-image-2.5-flare", "gemini-nano-banana-2.1"} <= models
    ends = [
        end_of(provider, model)
        for provider in ("openai", "openrouter", "gemini")
        for model in models
    ]
    assert [end for end in ends if end is not None] == []


def test_every_row_says_where_it_stands() -> None:
    assert all(row.source and row.instead and row.vendor for row in table().ends)
    assert timedelta(days=30) == WARNED_BEFORE
