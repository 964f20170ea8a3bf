"""What a picture is expected to cost, from the shipped price table or the settings' own prices.

The table is a part of ``models``. Apart from ``money``, which prices answers, because this is a
guess: a size between two known ones gets a range, what nobody but a third party says is held
higher, and a model that is not in the table has no price at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import TypeVar

from stage3_plugin.domain.money import Estimate, Prices, to_microusd
from stage3_plugin.domain.request import PictureRequest, labels_of
from stage3_plugin.providers.models import (
    FlatRow,
    PriceRow,
    Tier,
    TokensRow,
    row_named,
    shapes_of,
    side_of,
    table,
    takes_of,
    tier_of,
)

_MEGAPIXELS_PX = (1024**2, 10**6)
"""What vendors call one; the second makes more of them, and so the higher price."""

_WORD = re.compile(r" ?[A-Z]?[a-z]+")
"""A word that tokens are long of: every pair of its letters has one, with the space before it."""

_BESIDE_THE_PROMPT = 16
"""Tokens that an API may add to a prompt by itself: seven were billed for one word."""

_MOST_SHOWN = 3000
"""Tokens of a picture that is shown to a model of which that is not known."""

OfQualityT = TypeVar("OfQualityT")


@lru_cache
def _rows_of(provider: str, model: str) -> tuple[TokensRow | None, PriceRow | None, FlatRow | None]:
    """Return what the table has of a model's prices."""
    known = table(provider)
    return (
        row_named(known.tokens, provider, model),
        row_named(known.price, provider, model),
        row_named(known.flat, provider, model),
    )


@lru_cache
def prices_of(provider: str, model: str) -> Prices | None:
    """Return the shipped prices of a model, or ``None``; a dated snapshot has those of its name."""
    _, row, _ = _rows_of(provider, model)
    if row is None:
        return None
    return Prices(**{one.name: getattr(row, one.name) for one in fields(Prices)})


def share_in_batch(provider: str, model: str) -> Decimal | None:
    """Return what part of the ordinary price a picture costs that is made in a batch.

    ``None`` where the table does not have the model among those that are.
    """
    row = row_named(table(provider).batch, provider, model)
    return None if row is None else row.share


def batch_models_of(provider: str) -> tuple[str, ...]:
    """Return the models that a provider is known to make in batches, sorted."""
    rows = table(provider).batch
    return tuple(sorted(model for row in rows for model in row.models))


def estimate(
    request: PictureRequest,
    *,
    provider: str,
    model: str,
    api: str = "images",
    prices: Prices | None = None,
    flat_usd: Decimal | None = None,
) -> Estimate:
    """Return what a picture is expected to cost.

    Args:
        request: The picture.
        provider: Whose rows of the table are looked at.
        model: The provider's name of the model.
        api: Which of its ways of asking.
        prices: The settings' price table, used instead of the shipped one.
        flat_usd: The settings' price per picture, used where tokens or prices are not known; where
            they are, it is billed for an answer that says none, so that it is expected as well.
    """
    request = _as_billed(request, provider, model, api)
    rows: tuple[PriceRow | TokensRow | FlatRow | None, ...]
    tokens, price, flat = _rows_of(provider, model)
    found = _by_tokens(request, tokens, prices or prices_of(provider, model))
    if found is not None:
        rows = (tokens, None if prices else price)
    elif flat_usd is not None:
        return Estimate(low_microusd=to_microusd(flat_usd), high_microusd=to_microusd(flat_usd))
    else:
        found, rows = _by_flat_price(request, flat), (flat,)
    is_third_partys = any(row is not None and row.kind == "third party" for row in rows)
    found = found.of_third_party() if is_third_partys else found
    if flat_usd is None or found.high_microusd is None:
        return found
    return replace(found, high_microusd=max(found.high_microusd, to_microusd(flat_usd)))


def _as_billed(request: PictureRequest, provider: str, model: str, api: str) -> PictureRequest:
    """Return a request in the square of its tier, where it is ratios and tiers that are asked for.

    A model that makes any size is asked for pixels by the image API, and billed by them.
    """
    named = model.removeprefix("models/")
    shapes, takes = shapes_of(provider, named, api=api), takes_of(provider, named)
    makes_any = takes is not None and takes.free_sizes is not None
    if shapes is None or (makes_any and api == "images"):
        return request
    side_px = side_of(tier_of(request.width_px, request.height_px, shapes.tiers or ("1K",)))
    return replace(request, width_px=side_px, height_px=side_px)


def is_same_for_all(provider: str, model: str) -> bool:
    """Return whether a model has one price for a picture, whatever it is of and shows."""
    _, _, row = _rows_of(provider, model)
    return row is not None and row.per_picture is not None and not row.per_reference


def listed_usd(provider: str, model: str, quantity: Decimal) -> Decimal | None:
    """Return what a quantity that a vendor billed comes to; ``None`` if it is not known of what.

    Only of models that have one price for every megapixel: what others count is not known. Nobody
    is billed by what a third party says.
    """
    _, _, row = _rows_of(provider, model)
    if row is None or row.per_megapixel is None or row.per_further_megapixel is not None:
        return None
    return None if row.kind == "third party" else row.per_megapixel * quantity


def _by_tokens(
    request: PictureRequest, row: TokensRow | None, prices: Prices | None
) -> Estimate | None:
    if row is None or prices is None or prices.output_image is None:
        return None
    each = prices.input_image if prices.input_image is not None else prices.input_text
    if request.shown and (each is None or row.reference is None):
        return None
    shown = len(request.shown) * (each or Decimal(0))
    least_shown, most_shown = (
        (0, 0) if row.reference is None else (row.reference.least, row.reference.most)
    )
    least, most = _picture_tokens(row, request.width_px, request.height_px, request.quality)
    text = f"{request.whole_prompt}{labels_of(request) or ''}"
    input_text, words = prices.input_text or Decimal(0), prices.output_text or Decimal(0)
    low = (
        least * prices.output_image + len(request.prompt.split()) * input_text + shown * least_shown
    )
    high = (
        most * prices.output_image
        + (_most_tokens(text) + _BESIDE_THE_PROMPT) * input_text
        + shown * most_shown
        + row.words * words
    )
    return Estimate(
        low_microusd=int(low.to_integral_value(ROUND_FLOOR)),
        high_microusd=int(high.to_integral_value(ROUND_CEILING)),
    )


def _most_tokens(text: str) -> int:
    """Bound the tokens of a text from above: its bytes, but half as many for a word of English.

    From below it is its words, since no token has letters of two.
    """
    saved = sum(len(word) - (len(word.lstrip()) + 1) // 2 for word in _WORD.findall(text))
    return len(text.encode("utf-8", "surrogatepass")) - saved


def most_tokens_in(request: PictureRequest, provider: str, model: str) -> int:
    """Return the most tokens that a request can be: a byte of a text is one at most."""
    texts = (request.whole_prompt, labels_of(request))
    row, _, _ = _rows_of(provider, model)
    each = _MOST_SHOWN if row is None or row.reference is None else row.reference.most
    of_texts = sum(len((text or "").encode("utf-8", "surrogatepass")) for text in texts)
    return of_texts + each * len(request.shown)


def _of_quality(
    by_quality: Mapping[str, OfQualityT], request: PictureRequest
) -> tuple[OfQualityT, ...]:
    """Return what a row has of a quality; one that it does not know may be any that it knows."""
    found = by_quality.get(request.quality) or by_quality.get("any")
    return tuple(by_quality.values()) if found is None else (found,)


@lru_cache
def _picture_tokens(row: TokensRow, width_px: int, height_px: int, quality: str) -> tuple[int, int]:
    """Bound a picture's tokens, whatever is said of it."""
    request = PictureRequest(
        scene_id="", prompt="", width_px=width_px, height_px=height_px, quality=quality
    )
    found = [_sized_tokens(request, sizes) for sizes in _of_quality(row.quality, request)]
    found += [
        (_calculated_tokens(request, least), _calculated_tokens(request, most))
        for least, most in _of_quality(row.factor, request)
    ]
    return min(least for least, _ in found), max(most for _, most in found)


def _calculated_tokens(request: PictureRequest, factor: int) -> int:
    """Count a picture's tokens as OpenAI's own calculator does.

    The quality's factor is that of the longer side, and the shorter one has its part of it, rounded
    half up; their product grows with the pixels, from two millions of them on.
    """
    short_px, long_px = sorted((request.width_px, request.height_px))
    of_short = max((2 * factor * short_px + long_px) // (2 * long_px), 1)
    return -(-factor * of_short * (2_000_000 + short_px * long_px) // 4_000_000)


def _sized_tokens(request: PictureRequest, sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Bound the tokens of a size.

    One that is not listed costs at most what any listed one up to the next larger costs (a square
    can cost more than a larger oblong); beyond the largest, tokens grow with the pixels.
    """
    exact = sizes.get(request.size)
    if exact is not None:
        return exact
    asked_px = request.width_px * request.height_px
    listed = sorted((_pixels(size), most) for size, (_, most) in sizes.items())
    largest_px = listed[-1][0]
    reach_px = next((pixels for pixels, _ in listed if pixels >= asked_px), largest_px)
    high = max(tokens for pixels, tokens in listed if pixels <= reach_px)
    if asked_px > largest_px:
        high = -(-high * asked_px // largest_px)
    return min(least for least, _ in sizes.values()), high


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height)


def _by_flat_price(request: PictureRequest, row: FlatRow | None) -> Estimate:
    """Price a picture that has a price of its own; without one, nothing is known."""
    usd = () if row is None else _flat_usd(request, row)
    if row is None or not usd or (request.shown and row.per_reference is None):
        return Estimate(low_microusd=None, high_microusd=None)
    shown = len(request.shown) * (row.per_reference or 0)
    return Estimate(
        low_microusd=to_microusd(min(usd) + shown), high_microusd=to_microusd(max(usd) + shown)
    )


def _flat_usd(request: PictureRequest, row: FlatRow) -> tuple[Decimal, ...]:
    """Return what a picture may cost by a flat price."""
    if row.per_megapixel is not None:
        each = _MEGAPIXELS_PX if row.megapixel_px is None else (row.megapixel_px,)
        return tuple(_by_megapixels(request, row, pixels) for pixels in each)
    if row.per_picture is not None:
        return (row.per_picture,)
    tiers = _of_quality(row.per_quality or {"any": row.per_tier}, request)
    return tuple(_by_tier(request, per_tier) for per_tier in tiers)


def _by_tier(request: PictureRequest, per_tier: Mapping[Tier, Decimal]) -> Decimal:
    """Return the price of the smallest tier that has as many pixels."""
    asked_px = request.width_px * request.height_px
    reaching = (usd for tier, usd in per_tier.items() if side_of(tier) ** 2 >= asked_px)
    return next(reaching, max(per_tier.values()))


def _by_megapixels(request: PictureRequest, row: FlatRow, megapixel_px: int) -> Decimal:
    """Price the megapixels that are begun."""
    assert row.per_megapixel is not None  # asked by its only caller
    count = -(-request.width_px * request.height_px // megapixel_px)
    further = row.per_further_megapixel
    return row.per_megapixel + (count - 1) * (row.per_megapixel if further is None else further)
