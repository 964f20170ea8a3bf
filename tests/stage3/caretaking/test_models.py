"""``stage3 models``: what is known of models, by whom and how old, and what vendors say now."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.maintenance.models import PAGES, known_models
from stage3_plugin.providers import openai_images
from stage3_plugin.providers.models import table
from tests import documents
from tests.fakes.image_api import KEY, ImageApi
from tests.said import Say


def names(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["provider"], one["model"]) for one in told["models"]]


def test_all_is_shown_in_a_table_of_a_hundred_columns(say: Say) -> None:
    """A line for each model, below the pages of its vendor; and as one object that fits."""
    text, told = say("models"), say("models", "--json").json
    lines = text.out.splitlines()

    assert text.code == 0
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == [
        "model", "price", "sizes", "refs", "ends", "how", "sure", "seen"
    ]  # fmt: skip
    assert documents.check(told) == []
    assert {provider for provider, _ in names(told)} == set(PAGES)
    (flare,) = [line for line in lines if line.startswith("gpt-image-2.6-flare ")]
    assert flare.split()[1] == "$30/M"
    assert "8.3 MP" in flare
    assert ("openai", "gpt-image-2.6-flare") in names(told)
    assert all(one["online"] is None for one in told["models"])


def test_each_row_that_is_said_to_be_a_providers_is_in_it() -> None:
    """No row is hidden, whoever's it is: what is not shown is looked at by nobody."""
    known, shown = table(), [its.row for one in known_models() for its in one.rows]
    rows = (*known.takes, *known.shapes, *known.ends, *known.batch)
    hidden = [row for row in rows if row not in shown and getattr(row, "api", "") != "chat"]

    assert hidden == []


def test_a_model_is_shown_with_every_row_and_its_source(say: Say) -> None:
    """Whose word it is, from which day, and what it says; money as text."""
    text, told = say("models", "gpt-image-1.5"), say("models", "gpt-image-1.5", "--json").json
    openai = next(one for one in told["models"] if one["provider"] == "openai")
    rows = {row["what"]: row for row in openai["rows"]}

    assert max(map(len, text.out.splitlines())) <= 100
    assert rows["price"]["figures"]["output_image"] == "32"
    assert rows["end"] | {"date": ""} == {
        "what": "end",
        "figures": {
            "on": "2026-12-01",
            "vendor": "OpenAI",
            "instead": ["gpt-image-2.6-flare", "gpt-image-2.6-sunburst"],
        },
        "source": "OpenAI's page of deprecations, 2026-11",
        "kind": "vendor",
        "date": "",
    }
    assert rows["takes"]["figures"]["references"]["most"] == 16
    assert "  end: on 2026-12-01, vendor OpenAI" in text.out
    assert "OpenAI's page of deprecations, 2026-11" in text.out


@pytest.mark.parametrize(
    "name, price",
    [
        ("gpt-image-2", "$0.05268 to $0.05276"),
        ("flux-2-pro", "$0.03 to $0.045"),
        ("flux-3-image", "$0.048 to $0.072"),
        ("fal-ai/nano-banana-2", "$0.08"),
        ("bytedance/seedream/v5/pro/text-to-image", "$0.0675"),
        ("grok-imagine-image-quality", "at a price that is not known"),
    ],
)
def test_a_model_is_shown_with_what_one_picture_costs_first(
    say: Say, name: str, price: str
) -> None:
    """As it is asked for where the settings say no more; as JSON, before its rows."""
    lines, told = say("models", name).out.splitlines(), say("models", name, "--json").json
    (one,) = [model for model in told["models"] if model["model"] == name]

    assert lines[0] == f"{one['provider']} {name}: one picture of 1024x1024 in medium, {price}"
    assert documents.check(told) == []
    assert list(one).index("one_picture") < list(one).index("rows")
    bounds = [one["one_picture"][bound] for bound in ("low_usd", "high_usd")]
    shown = [] if None in bounds else [f"${usd}" for usd in dict.fromkeys(bounds)]
    assert " to ".join(shown) == price.removeprefix("at a price that is not known")


def test_each_model_that_is_found_has_its_own_line(say: Say) -> None:
    """All of them before the table; names that several begin with have none, and no blank."""
    lines = say("models", "nano-banana").out.splitlines()
    first = lines[: lines.index("")]
    several = say("models", "flux-3").out
    everything = say("models").out

    assert len(first) > 3
    assert all(": one picture of 1024x1024 in medium, " in line for line in first)
    assert several.splitlines()[0].startswith("model ")
    assert "one picture of" not in everything


def test_a_part_of_a_name_or_a_provider_finds_all_that_have_it(say: Say) -> None:
    """What none has is refused, with where to look."""
    of_one, of_all = say("models", "xai", "--json"), say("models", "nano-banana", "--json")
    none = say("models", "no-such-model")

    assert {provider for provider, _ in names(of_one.json)} == {"fal", "xai"}
    assert {"gemini", "openrouter", "fal", "replicate"} == {one for one, _ in names(of_all.json)}
    assert none.code == 2
    assert "the table knows no model 'no-such-model'" in none.err
    assert "setting like" in none.err


def test_rows_that_are_old_are_named_with_the_page_to_look_at(say: Say) -> None:
    """A day of a row is old or not: by the day that is given, so many days before today."""
    today = datetime.now(UTC).date()
    rows = [row.date for one in known_models() for row in one.rows]
    days = (today - min(rows)).days
    old = say("models", "--older-than", str(days - 1), "--json").json["models"]
    text = say("models", "--older-than", str(days - 1)).out

    assert {row["date"] for one in old for row in one["rows"]} == {str(min(rows))}
    assert PAGES[old[0]["provider"]][0] in text
    assert f"{min(rows)}: " in text
    assert say("models", "--older-than", str(days)).out == "no row is that old\n"


def test_so_many_days_are_an_option(say: Say) -> None:
    """A whole number of them."""
    none, nonsense = (
        say("models", "--older-than", "99999", "--json"),
        say("models", "--older-than", "soon"),
    )

    assert none.json["models"] == []
    assert nonsense.code == 2
    assert "--older-than" in nonsense.err


@pytest.fixture
def shop(image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageApi:
    """Let a config here have the key of OpenAI, which is the loopback API."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    profile = replace(openai_images.PROFILE, base_url=image_api.base_url)
    monkeypatch.setattr(openai_images, "PROFILE", profile)
    Path("host.toml").write_text(
        '[plugin.stage3]\nprovider = "openai"\nmodel = "gpt-image-2"\n'
        'api_key = { env = "LOOPBACK_KEY" }\n',
        encoding="utf-8",
    )
    return image_api


def test_online_is_what_the_vendor_says_now(shop: ImageApi, say: Say) -> None:
    """Of each model of the providers that the config has a key of; nothing is bought or written."""
    shop.free.models |= {"gpt-image-1": None, "gpt-image-2": {"shutdown_date": "2199-01-01"}}
    text, told = say("models", "gpt-image", "--online"), say("models", "--online", "--json").json
    online = {(one["provider"], one["model"]): one["online"] for one in told["models"]}
    (gone,), (there,) = online["openai", "gpt-image-1"], online["openai", "gpt-image-2"]

    assert text.code == 0
    assert documents.check(told) == []
    assert "  now: bad, " in text.out
    assert "now: good, OpenAI has it, and says that it ends on 2199-01-01" in text.out
    assert (gone["verdict"], gone["is_warning"]) == ("bad", True)
    assert (there["verdict"], there["is_warning"]) == ("good", False)
    assert online["fal", "fal-ai/flux/dev"] is None
    assert online["openai", "gpt-image-2."] is None  # how several begin, and no name of one
    assert (
        "fal:\n  https://fal.ai/pricing\n  not asked: no route of the config is to it" in text.out
    )
    assert {entry.asked.method for entry in shop.entries} == {"GET"}
    assert [path.name for path in Path().iterdir()] == ["host.toml"]


def test_without_a_config_nobody_is_asked_and_that_is_said(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is shown all the same; a config that is named and not there is refused."""
    monkeypatch.chdir(tmp_path)
    text, lost = say("models", "xai", "--online"), say("models", "--online", "--config", "no.toml")

    assert text.code == 0
    assert "  not asked: no route of the config is to it" in text.out
    assert lost.code == 2


def test_it_needs_neither_a_config_nor_a_ledger(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``providers``: one that cannot be read is not looked at."""
    monkeypatch.chdir(tmp_path)
    Path("host.toml").write_text("[", encoding="utf-8")

    assert json.loads(say("models", "--json").out)["format"] == "stage3-models/1"
