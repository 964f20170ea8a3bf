"""Expected costs: the shipped table, the settings' own prices, and what is not known."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.money import Estimate, Prices
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.prices import (
    batch_models_of,
    estimate,
    listed_usd,
    prices_of,
    share_in_batch,
)
from tests.stage3.providers.replies import openai, openrouter, request

UNKNOWN = Estimate(low_microusd=None, high_microusd=None)


def test_every_row_has_a_source_and_the_table_a_date() -> None:
    """Prices expire; a figure without an origin cannot be checked again."""
    text = files("stage3_plugin.providers").joinpath("models.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)

    assert isinstance(table["as_of"], date)
    for kind in ("price", "flat", "tokens", "batch"):
        assert all(row["source"] for row in table[kind])
        names = [name for row in table[kind] for name in row["models"]]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "model, output_image",
    [
        ("gpt-image-2", "30"),
        ("gpt-image-2-2026-04-21", "30"),
        ("gpt-image-2.5-sunburst-2026-09-08", "30"),
        ("gpt-image-1.5", "32"),
        ("google/gemini-3-pro-image", "120"),
    ],
)
def test_a_model_has_its_price_and_so_has_its_snapshot(model: str, output_image: str) -> None:
    """A dated name costs what its name costs."""
    prices = prices_of(model)

    assert prices is not None
    assert prices.output_image == Decimal(output_image)


@pytest.mark.parametrize(
    "model",
    ["", "gpt-image-3", "gpt-image-2-mini", "google/gemini-3-pro-image:free", "gpt-image"],
)
def test_a_model_that_is_not_listed_has_no_price(model: str) -> None:
    """A name that merely begins alike may cost anything."""
    assert prices_of(model) is None
    assert openai(model=model).estimate(request()) == UNKNOWN


def test_the_settings_prices_come_before_the_shipped_ones() -> None:
    """Who has a contract of their own says so."""
    own = Prices(output_image=Decimal(15))

    assert openai(prices=own).prices is own
    assert openai().prices == prices_of("gpt-image-2")


def test_a_known_size_and_quality_give_a_narrow_range() -> None:
    """gpt-image-1.5, high, square: 4160 tokens at $32, and a few for the prompt."""
    found = openai(model="gpt-image-1.5").estimate(request(quality="high"))

    assert found == Estimate(low_microusd=4160 * 32 + 3 * 5, high_microusd=4160 * 32 + 20 * 5)


def test_the_same_word_costs_differently_on_different_models() -> None:
    """2's medium is 2.5's high."""
    two = openai(model="gpt-image-2").estimate(request(quality="medium"))
    newer = openai(model="gpt-image-2.5-flare").estimate(request(quality="high"))

    assert two == newer


def test_a_quality_left_to_the_service_may_be_any() -> None:
    """``auto`` was recorded as billed at the highest."""
    low = openai().estimate(request(quality="low"))
    high = openai().estimate(request(quality="high"))
    auto = openai().estimate(request(quality="auto"))

    assert (auto.low_microusd, auto.high_microusd) != (None, None)
    assert auto.low_microusd is not None
    assert low.low_microusd is not None
    assert auto.low_microusd <= low.low_microusd
    assert auto.high_microusd == high.high_microusd


def test_words_beside_the_picture_are_counted_in() -> None:
    """Recorded: a 2K picture cost $0.136002, more than its picture tokens alone."""
    found = openrouter().estimate(request(width_px=1792, height_px=2400))

    assert found.low_microusd is not None
    assert found.high_microusd is not None
    assert found.low_microusd <= 136_002 <= found.high_microusd


@pytest.mark.parametrize(
    "model, size, low, high",
    [
        ("black-forest-labs/flux.2-pro", (1024, 1024), 30_000, 60_000),
        ("black-forest-labs/flux.2-pro", (1000, 1000), 30_000, 30_000),
        ("fal-ai/flux-2/turbo", (1024, 1024), 8_000, 8_000),
        ("fal-ai/flux-2/turbo", (1024, 1025), 16_000, 16_000),
        ("flux-2-pro", (1000, 1000), 30_000, 30_000),
        ("flux-2-pro", (2048, 2048), 75_000, 90_000),
        ("fal-ai/nano-banana-2", (512, 512), 60_000, 60_000),
        ("fal-ai/nano-banana-2", (1920, 1080), 120_000, 120_000),
        ("bytedance-seed/seedream-4.5", (1024, 1024), 40_000, 40_000),
        ("recraft/recraft-v4.1", (64, 64), 35_000, 35_000),
    ],
)
def test_a_flat_price_is_per_picture_or_per_megapixel_or_by_the_tier(
    model: str, size: tuple[int, int], low: int, high: int
) -> None:
    """Begun megapixels count whole, further ones at their own price; of a million pixels, perhaps.

    A vendor may call 1024x1024 one.
    """
    asked = request(width_px=size[0], height_px=size[1])
    found = estimate(asked, model=model, prices=None, flat_usd=None)

    assert found == Estimate(low_microusd=low, high_microusd=high)


@pytest.mark.parametrize(
    "model, usd",
    [
        ("fal-ai/flux-2/turbo", "0.0048"),
        ("fal-ai/flux-2-pro", None),
        ("fal-ai/nano-banana-2", None),
        ("of/tomorrow", None),
    ],
)
def test_what_was_billed_has_a_price_where_all_of_it_has_one(model: str, usd: str | None) -> None:
    """A vendor says a quantity, and not of what; only megapixels of one price are known."""
    assert listed_usd(model, Decimal("0.6")) == (None if usd is None else Decimal(usd))


def test_the_settings_flat_price_fills_in_where_tokens_are_not_known() -> None:
    """A server of one's own has the operator's price."""
    found = openai(model="my-model", flat_usd=Decimal("0.001")).estimate(request())

    assert found == Estimate(low_microusd=1000, high_microusd=1000)


def test_prices_without_one_for_pictures_are_no_estimate() -> None:
    """An unknown part makes the whole unknown."""
    assert openai(prices=Prices(input_text=Decimal(5))).estimate(request()) == UNKNOWN


@given(
    st.sampled_from(["gpt-image-1.5", "gpt-image-2", "gpt-image-2.5-flare", "gpt-image-1-mini"]),
    st.sampled_from(["low", "medium", "high", "max", "auto", "standard"]),
    st.integers(1, 8192),
    st.integers(1, 8192),
)
def test_an_estimate_is_a_range(model: str, quality: str, width: int, height: int) -> None:
    """For every size and quality the low end is below the high end, and both are known."""
    asked = request(width_px=width, height_px=height, quality=quality)
    found = estimate(asked, model=model, prices=prices_of(model), flat_usd=None)

    assert found.low_microusd is not None
    assert found.high_microusd is not None
    assert 0 < found.low_microusd <= found.high_microusd


def showing(count: int, **more: Any) -> PictureRequest:
    """Return a request that shows so many references, without a word about them."""
    sent = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
    one = Reference(wish=ReferenceWish(image="a"), sha256="a" * 64, sent=sent)
    return request(shown=(one,) * count, **more)


@pytest.mark.parametrize(
    "model, recorded_tokens, microusd_per_token",
    [
        ("gpt-image-2", 64, 8),
        ("gpt-image-2", 1536, 8),
        ("gpt-image-1.5", 194, 8),
        ("google/gemini-3.1-flash-lite-image", 1120, Decimal("0.25")),
        ("google/gemini-3-pro-image", 1120, 2),
    ],
)
@pytest.mark.parametrize("count", [1, 3, 16])
def test_what_references_were_billed_lies_within_the_estimate(
    model: str, recorded_tokens: int, microusd_per_token: Decimal, count: int
) -> None:
    """Each is tokens of what is sent, at the price of pictures where there is one."""
    provider = openrouter(model=model) if "/" in model else openai(model=model)
    without, shown = provider.estimate(request()), provider.estimate(showing(count))

    billed = count * recorded_tokens * microusd_per_token
    assert None not in (without.low_microusd, shown.low_microusd)
    assert (shown.low_microusd or 0) - (without.low_microusd or 0) <= billed + 1
    assert (shown.high_microusd or 0) - (without.high_microusd or 0) >= billed - 1


def test_the_names_of_references_are_counted_in() -> None:
    """They are words of the prompt."""
    plain = showing(1)
    wish = replace(plain.shown[0].wish, name="Mira of the lighthouse")
    named = replace(plain, shown=(replace(plain.shown[0], wish=wish),))
    high = openai().estimate(named).high_microusd or 0

    text = "Reference image 1 is Mira of the lighthouse."
    assert high - (openai().estimate(plain).high_microusd or 0) == 5 * len(text)
    off = replace(named, labels=False)
    assert openai().estimate(off) == openai().estimate(replace(plain, labels=False))


@pytest.mark.parametrize(
    "model, microusd",
    [
        ("black-forest-labs/flux.2-pro", 30_000 * 2 + 2 * 60_000),
        ("bytedance-seed/seedream-4.5", 40_000),
        ("recraft/recraft-v4.1", None),
    ],
)
def test_a_flat_price_says_what_references_add(model: str, microusd: int | None) -> None:
    """Where that is not known, the price is not."""
    estimate = openrouter(model=model).estimate(showing(2))

    assert estimate.high_microusd == microusd
    assert (estimate.low_microusd is None) is (microusd is None)
    own = openrouter(model=model, flat_usd=Decimal("0.5")).estimate(showing(2))
    assert own.high_microusd == 500_000


def test_without_a_price_for_what_is_shown_there_is_no_estimate() -> None:
    """The settings' prices say nothing about what goes in."""
    prices = Prices(output_image=Decimal(30))

    assert openai(prices=prices).estimate(request()) != UNKNOWN
    assert openai(prices=prices).estimate(showing(1)) == UNKNOWN


def test_a_request_is_priced_by_its_own_model() -> None:
    """A scene may name another than the settings."""
    asked = request(model="gpt-image-2.5-flare")

    assert openai().estimate(asked) == openai(model="gpt-image-2.5-flare").estimate(request())
    assert openai(model="of-tomorrow").estimate(asked) != UNKNOWN


@pytest.mark.parametrize(
    "provider, model, share",
    [
        ("openai", "gpt-image-2", "0.5"),
        ("openai", "gpt-image-2.5-flare-2026-09-08", "0.5"),
        ("openai", "gpt-image-2.6-flare", None),
        ("openai", "gpt-image-1-mini", None),
        ("gemini", "gemini-nano-banana-2.1", "0.5"),
        ("gemini", "models/gemini-3-pro-image", "0.5"),
        ("gemini", "gpt-image-2", None),
        ("openrouter", "gpt-image-2", None),
        ("openai", "", None),
    ],
)
def test_a_batch_costs_its_share_where_that_is_known(
    provider: str, model: str, share: str | None
) -> None:
    """Of a model that is not listed neither the price nor that it is taken is known."""
    assert share_in_batch(provider, model) == (None if share is None else Decimal(share))


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_models_of_batches_have_a_price_to_halve(provider: str) -> None:
    """Half of nothing known would be nothing known."""
    known = batch_models_of(provider)

    assert known
    assert all(prices_of(model) is not None for model in known)
