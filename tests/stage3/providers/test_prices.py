"""Expected costs: the shipped table, the settings' own prices, and what is not known."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import Estimate, Prices, to_microusd
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.models import row_named, side_of, table
from stage3_plugin.providers.prices import (
    batch_models_of,
    estimate,
    listed_usd,
    prices_of,
    share_in_batch,
)
from stage3_plugin.providers.registry import provider_at
from tests.stage3.providers.replies import openai, openrouter, request

ADDED = 16
"""Tokens of text that an API may add to a prompt."""
UNKNOWN = Estimate(low_microusd=None, high_microusd=None)


@pytest.mark.parametrize(
    "model",
    ["", "gpt-image-3", "gpt-image-2-mini", "google/gemini-3-pro-image:free", "gpt-image"],
)
def test_a_model_that_is_not_listed_has_no_price(model: str) -> None:
    """A name that merely begins alike may cost anything."""
    assert prices_of("openai", model) is None
    assert openai(model=model).estimate(request()) == UNKNOWN


def priced() -> list[tuple[str, str]]:
    """Return every model of the table with its provider."""
    known = table()
    rows = (*known.price, *known.flat, *known.tokens)
    return list(dict.fromkeys((row.provider, model) for row in rows for model in row.models))


@given(st.sampled_from(priced()), st.sampled_from(sorted({provider for provider, _ in priced()})))
def test_no_model_is_priced_by_the_row_of_another_provider(
    sold: tuple[str, str], other: str
) -> None:
    """Of all names in the table, at all providers in it: one that is not its own has no price."""
    _, model = sold
    is_its_own = (other, model) in priced()
    found = provider_at(Endpoint(provider=other, model=model)).estimate(request())

    assert is_its_own or found == UNKNOWN
    assert is_its_own or prices_of(other, model) is None
    assert is_its_own or listed_usd(other, model, Decimal(1)) is None


def test_words_beside_the_picture_are_counted_in() -> None:
    """Recorded: a 2K picture cost $0.136002, more than its picture tokens alone."""
    found = openrouter().estimate(request(width_px=1792, height_px=2400))

    assert found.low_microusd is not None
    assert found.high_microusd is not None
    assert found.low_microusd <= 136_002 <= found.high_microusd


@pytest.mark.parametrize(
    "provider, model, size, low, high",
    [
        ("openrouter", "black-forest-labs/flux.2-pro", (1024, 1024), 30_000, 60_000),
        ("openrouter", "black-forest-labs/flux.2-pro", (1000, 1000), 30_000, 30_000),
        ("fal", "fal-ai/flux-2/turbo", (1024, 1025), 16_000, 16_000),
        ("bfl", "flux-2-pro", (2048, 2048), 75_000, 90_000),
        ("fal", "fal-ai/nano-banana-2", (512, 512), 60_000, 60_000),
        ("fal", "bytedance/seedream/v5/pro/text-to-image", (1536, 1552), 135_000, 135_000),
        ("openrouter", "bytedance-seed/seedream-5-0-pro", (2048, 2048), 90_000, 90_000),
    ],
)
def test_a_flat_price_is_per_picture_or_per_megapixel_or_by_the_tier(
    provider: str, model: str, size: tuple[int, int], low: int, high: int
) -> None:
    """Begun megapixels count whole, further ones at their own price; of a million pixels, perhaps.

    A vendor may call 1024x1024 one.
    """
    asked = request(width_px=size[0], height_px=size[1])
    found = estimate(asked, provider=provider, model=model)

    assert found == Estimate(low_microusd=low, high_microusd=high)


TIERS_OF_FLUX_3 = {"768": 41, "1K": 48, "1.5K": 70, "2K": 100, "4K": 607}
"""Thousandths of a dollar; 1.5K is in one list alone."""


@given(st.integers(256, 5760), st.integers(256, 5760), st.integers(0, 10))
def test_flux_3_is_held_for_by_what_its_tier_costs(width: int, height: int, count: int) -> None:
    """Whatever size is asked for, at its maker's and where pixels are; what it shows is free."""
    asked = request(width_px=width, height_px=height, shown=showing(count).shown)
    sent = provider_at(Endpoint(provider="bfl", model="flux-3-image")).begin(asked).payload
    tier = str(sent["resolution"]).removesuffix("sq").upper()
    at_makers = estimate(asked, provider="bfl", model="flux-3-image")
    reaching = [usd for one, usd in TIERS_OF_FLUX_3.items() if side_of(one) ** 2 >= width * height]
    elsewhere = estimate(asked, provider="openrouter", model="black-forest-labs/flux-3-image")

    assert at_makers.low_microusd == TIERS_OF_FLUX_3[tier] * 1000
    assert at_makers.high_microusd == TIERS_OF_FLUX_3[tier] * 1500
    assert elsewhere.high_microusd == (reaching or [607])[0] * 1500


@pytest.mark.parametrize(
    "model, usd",
    [
        ("fal-ai/flux-2/turbo", "0.0048"),
        ("fal-ai/flux-2-pro", None),
        ("fal-ai/nano-banana-2", None),
        ("blackforestlabs/flux-3/text-to-image", None),
        ("of/tomorrow", None),
    ],
)
def test_what_was_billed_has_a_price_where_all_of_it_has_one(model: str, usd: str | None) -> None:
    """A vendor says a quantity, and not of what; only megapixels of one price are known."""
    assert listed_usd("fal", model, Decimal("0.6")) == (None if usd is None else Decimal(usd))


def test_the_settings_flat_price_fills_in_where_tokens_are_not_known() -> None:
    """A server of one's own has the operator's price."""
    found = openai(model="my-model", flat_usd=Decimal("0.001")).estimate(request())

    assert found == Estimate(low_microusd=1000, high_microusd=1000)


# OpenAI's calculator ------------------------------------------------------------------------------

FACTORS = {
    "gpt-image-2": {"low": 16, "medium": 48, "high": 96},
    "gpt-image-2.5-flare": {"low": 16, "medium": 24, "high": 48, "xhigh": 64, "max": 96},
}
SIZES = ("1024x1024", "1024x1536", "1920x1080", "2560x1440", "3840x2160")
LISTED = {
    ("gpt-image-2", "low"): (196, 158, 147, 205, 371),
    ("gpt-image-2", "medium"): (1756, 1372, 1320, 1843, 3336),
    ("gpt-image-2", "high"): (7024, 5488, 5280, 7370, 13342),
    ("gpt-image-2.5-flare", "low"): (196, 158, 147, 205, 371),
    ("gpt-image-2.5-flare", "medium"): (439, 343, 343, 478, 865),
    ("gpt-image-2.5-flare", "high"): (1756, 1372, 1320, 1843, 3336),
    ("gpt-image-2.5-flare", "xhigh"): (3122, 2459, 2347, 3276, 5930),
    ("gpt-image-2.5-flare", "max"): (7024, 5488, 5280, 7370, 13342),
}
"""Tokens that follow from the prices by size and quality that OpenAI lists."""
RECORDED = {"1536x864": 120, "1152x1536": 181, "1328x1824": 213}
"""Tokens of gpt-image-2, low, in recorded answers."""
FIGURES = [
    (model, quality, size, tokens)
    for (model, quality), row in LISTED.items()
    for size, tokens in zip(SIZES, row, strict=True)
] + [("gpt-image-2", "low", size, tokens) for size, tokens in RECORDED.items()]


def tokens_by_the_formula(factor: int, width: int, height: int) -> int:
    """Count as the calculator is quoted: ceil(f · round(f·short/long) · (2M + w·h) / 4M)."""
    of_short = math.floor(
        Fraction(factor * min(width, height), max(width, height)) + Fraction(1, 2)
    )
    return math.ceil(Fraction(factor * of_short * (2_000_000 + width * height), 4_000_000))


def test_all_figures_that_are_known_are_the_calculators() -> None:
    """43 of them, those of recorded answers included, at both turns of each size."""
    assert len(FIGURES) == 43
    for model, quality, size, tokens in FIGURES:
        across, down = map(int, size.split("x"))
        for width, height in ((across, down), (down, across)):
            found = openai(model=model).estimate(
                request(prompt="", width_px=width, height_px=height, quality=quality)
            )

            most = tokens * 30 + ADDED * 5
            assert found == Estimate(low_microusd=tokens * 30, high_microusd=most)


@st.composite
def legal_sizes(draw: st.DrawFn) -> tuple[int, int]:
    """Draw a size that OpenAI makes, by its own bounds."""
    width = draw(st.integers(30, 240)) * 16
    least = max(-(-width // 3), -(-655_360 // width))
    most = min(3 * width, 3840, 8_294_400 // width)
    height = draw(st.integers(-(-least // 16), most // 16)) * 16
    return width, height


WORDS = ("lighthouse", "at", "dusk", "a", "keeper", "in", "yellow", "raincoat", "Mira", "cinematic")
PROMPTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=50).map(" ".join)


@given(
    st.sampled_from([(model, quality) for model, by in FACTORS.items() for quality in by]),
    legal_sizes(),
    PROMPTS,
    st.data(),
)
def test_a_plan_contains_the_bill_and_is_narrow(
    asked: tuple[str, str], size: tuple[int, int], prompt: str, data: st.DataObject
) -> None:
    """Of every size that is made and every quality, with a prompt of up to fifty words.

    A word is one token at least, and two letters of it are.
    """
    model, quality = asked
    of_prompt = sum(data.draw(st.integers(1, -(-len(word) // 2))) for word in prompt.split())
    tokens = tokens_by_the_formula(FACTORS[model][quality], *size)
    found = openai(model=model).estimate(
        request(prompt=prompt, quality=quality, width_px=size[0], height_px=size[1])
    )

    assert found.low_microusd is not None
    assert found.high_microusd is not None
    assert found.low_microusd <= tokens * 30 + of_prompt * 5 <= found.high_microusd
    assert found.high_microusd <= Fraction(13, 10) * found.low_microusd
    assert not found.is_third_partys


@given(legal_sizes())
def test_a_quality_left_to_openai_may_cost_what_any_costs(size: tuple[int, int]) -> None:
    """The range goes from the cheapest quality to the dearest."""
    for model, factors in FACTORS.items():
        found = openai(model=model).estimate(
            request(prompt="", quality="auto", width_px=size[0], height_px=size[1])
        )
        tokens = [tokens_by_the_formula(factor, *size) for factor in factors.values()]

        assert found.low_microusd == min(tokens) * 30
        assert found.high_microusd == max(tokens) * 30 + ADDED * 5


@pytest.mark.parametrize("variant", ["flare", "sunburst"])
@given(legal_sizes(), st.sampled_from(["low", "medium", "high", "xhigh", "max"]), st.data())
def test_what_2_6_was_measured_to_cost_lies_within_its_plan(
    variant: str, size: tuple[int, int], quality: str, data: st.DataObject
) -> None:
    """Low and medium 3 to 4 times what 2.5 costs, the others the same; half more is held."""
    of_2_5 = tokens_by_the_formula(FACTORS["gpt-image-2.5-flare"][quality], *size)
    times = data.draw(st.fractions(3, 4)) if quality in {"low", "medium"} else Fraction(1)
    found = openai(model=f"gpt-image-2.6-{variant}").estimate(
        request(prompt="", quality=quality, width_px=size[0], height_px=size[1])
    )

    assert found.is_third_partys
    assert found.low_microusd is not None
    assert found.high_microusd is not None
    assert found.low_microusd <= of_2_5 * times * 30
    assert of_2_5 * times * 30 <= found.high_microusd / Fraction(14, 10)


@pytest.mark.parametrize(
    "text", ["", "x", "灯塔", "ПРИВЕТ", "a1b2-c3", "\ud800", "QQQQ", "  ", "Ab"]
)
def test_a_text_that_is_no_english_has_a_token_a_byte_at_most(text: str) -> None:
    """The hold is for the worst that a prompt can be, where it has no words."""
    least = openai().estimate(request(prompt="")).high_microusd or 0
    found = (openai().estimate(request(prompt=text)).high_microusd or 0) - least

    of_bytes = 5 * len(text.encode("utf-8", "surrogatepass"))
    assert found == (of_bytes if text != "Ab" else 5)


# A third party's word -----------------------------------------------------------------------------


@given(st.sampled_from(priced()), st.sampled_from(["low", "medium", "high", "auto"]))
def test_what_nobody_but_a_third_party_says_is_held_at_one_and_a_half(
    sold: tuple[str, str], quality: str
) -> None:
    """By the kinds of the rows that an estimate rests on, once, and by nothing else."""
    provider, model = sold
    known = table()
    rows = [row_named(each, provider, model) for each in (known.tokens, known.price, known.flat)]
    says = {row.kind for row in rows if row is not None}
    asked = request(quality=quality)
    found = estimate(asked, provider=provider, model=model)
    with monkeypatched_kinds():
        as_said = estimate(asked, provider=provider, model=model)

    assert found.low_microusd == as_said.low_microusd
    if found == UNKNOWN or "third party" not in says:
        assert found == as_said
    else:
        assert found.is_third_partys
        assert found.high_microusd == math.ceil(Fraction(3, 2) * (as_said.high_microusd or 0))


@contextmanager
def monkeypatched_kinds() -> Generator[None]:
    """Have every row of the table say that it is the vendor's word."""
    known = table()

    def rows_of(provider: str, model: str) -> tuple[Any, ...]:
        found = (
            row_named(rows, provider, model) for rows in (known.tokens, known.price, known.flat)
        )
        return tuple(row and row.model_copy(update={"kind": "vendor"}) for row in found)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stage3_plugin.providers.prices._rows_of", rows_of)
        yield


def test_a_price_of_ones_own_is_held_as_it_is() -> None:
    """A person knows what they pay; of how many tokens nobody but a third party knows."""
    flat = provider_at(
        Endpoint(provider="bfl", model="flux-3-image"), flat_usd=Decimal("0.05")
    ).estimate(request())
    tokens = openai(model="gpt-image-2.6-flare", prices=Prices(output_image=Decimal(30)))

    assert flat == Estimate(low_microusd=50_000, high_microusd=50_000)
    assert tokens.estimate(request()).is_third_partys


@pytest.mark.parametrize(
    "side_px, tokens", [(1024, (1120, 1120)), (2048, (1680, 1680)), (4096, (2520, 3780))]
)
def test_each_tier_of_googles_newest_model_has_its_tokens(
    side_px: int, tokens: tuple[int, int]
) -> None:
    """By Google's page of prices; of 4K its documentation says less, and the dearer is held."""
    asked = request(prompt="", width_px=side_px, height_px=side_px)
    found = provider_at(Endpoint(provider="gemini", model="gemini-nano-banana-2.1")).estimate(asked)

    words_microusd = 1500 * Decimal("7.5") + ADDED * Decimal("1.5")
    assert found == Estimate(
        low_microusd=tokens[0] * 30, high_microusd=int(tokens[1] * 30 + words_microusd)
    )


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

    # "Reference image 1 is Mira of the lighthouse.": words, the space and the 1, the full stop.
    tokens = (5 + 3) + 2 + (1 + 2 + 1 + 2 + 5) + 1
    assert high - (openai().estimate(plain).high_microusd or 0) == 5 * tokens
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


@pytest.mark.parametrize("flat", ["0", "0.01", "0.5"])
def test_a_plan_holds_what_is_billed_for_an_answer_that_says_no_tokens(flat: str) -> None:
    """The tokens of the model are known; a gateway that says none is billed by the settings."""
    by_tokens = openai(model="gpt-image-2").estimate(request())
    found = openai(model="gpt-image-2", flat_usd=Decimal(flat)).estimate(request())

    assert found.low_microusd == by_tokens.low_microusd
    assert by_tokens.high_microusd is not None
    assert found.high_microusd == max(by_tokens.high_microusd, to_microusd(Decimal(flat)))


def test_without_a_price_for_what_is_shown_there_is_no_estimate() -> None:
    """The settings' prices say nothing about what goes in."""
    prices = Prices(output_image=Decimal(30))

    assert openai(prices=prices).estimate(request()) != UNKNOWN
    assert openai(prices=prices).estimate(showing(1)) == UNKNOWN


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
    assert all(prices_of(provider, model) is not None for model in known)
