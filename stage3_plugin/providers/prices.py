"""What a picture is expected to cost, from the shipped price table or the settings' own prices.

The table is a part of ``models``. Apart from ``money``, which prices answers, because this is a
guess: a size between two known ones gets a range, and a model that is not in the table has no
price at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from stage3_plugin.domain.labels import labels_of
from stage3_plugin.domain.money import Estimate, Prices, to_microusd
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.models import FlatRow, Tier, TokensRow, row_named, table, tier_of

_MEGAPIXELS_PX = (1024**2, 10**6)
"""What vendors call one; the second makes more of them, and so the higher price."""

BYTES_PER_TOKEN = 6
"""A long word of English; the least tokens a prompt can be. The most is one per byte."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Tokens of one picture, least and most."""

    low: int
    high: int


def prices_of(model: str) -> Prices | None:
    """Return the shipped prices of a model, or ``None``; a dated snapshot has those of its name."""
    row = row_named(table().price, model)
    if row is None:
        return None
    return Prices(
        input_text=row.input_text,
        input_image=row.input_image,
        output_text=row.output_text,
        output_image=row.output_image,
    )


def share_in_batch(provider: str, model: str) -> Decimal | None:
    """Return what part of the ordinary price a picture costs that is made in a batch.

    ``None`` where the table does not have the model among those that are.
    """
    rows = [row for row in table().batch if row.provider == provider]
    row = row_named(rows, model.removeprefix("models/"))
    return None if row is None else row.share


def batch_models_of(provider: str) -> tuple[str, ...]:
    """Return the models that a provider is known to make in batches, sorted."""
    rows = (row for row in table().batch if row.provider == provider)
    return tuple(sorted(model for row in rows for model in row.models))


def estimate(
    request: PictureRequest,
    *,
    model: str,
    provider: str = "",
    prices: Prices | None,
    flat_usd: Decimal | None,
) -> Estimate:
    """Return what a picture is expected to cost.

    Args:
        request: The picture.
        model: The provider's name of the model.
        provider: Its own rows are looked at as well.
        prices: The price table in force.
        flat_usd: The settings' price per picture, used where tokens or prices are not known.
    """
    by_tokens = _by_tokens(request, row_named(table().tokens, model), prices)
    if by_tokens is not None:
        return by_tokens
    rows = [row for row in table().flat if row.provider in {"", provider}]
    row = row_named(rows, model)
    if flat_usd is not None:
        ends: tuple[Decimal | None, ...] = (flat_usd, flat_usd)
    else:
        ends = (None, None) if row is None else _flat_usd(request, row)
    low, high = (None if usd is None else to_microusd(usd) for usd in ends)
    return Estimate(low_microusd=low, high_microusd=high)


def listed_usd(model: str, quantity: Decimal) -> Decimal | None:
    """Return what a quantity that a vendor billed comes to; ``None`` if it is not known of what.

    Only of models that have one price for every megapixel: what others count is not known.
    """
    row = row_named(table().flat, model)
    if row is None or row.per_megapixel is None or row.per_further_megapixel is not None:
        return None
    return row.per_megapixel * quantity


def _by_tokens(
    request: PictureRequest, row: TokensRow | None, prices: Prices | None
) -> Estimate | None:
    if row is None or prices is None or prices.output_image is None:
        return None
    each = prices.input_image if prices.input_image is not None else prices.input_text
    if request.shown and each is None:
        return None
    picture, shown = _picture_tokens(request, row), len(request.shown) * (each or Decimal(0))
    prompt_bytes = sum(
        len((text or "").encode("utf-8", "surrogatepass"))
        for text in (request.prompt, request.negative_prompt, labels_of(request))
    )
    input_text, words = prices.input_text or Decimal(0), prices.output_text or Decimal(0)
    low = (
        picture.low * prices.output_image
        + prompt_bytes // BYTES_PER_TOKEN * input_text
        + shown * row.reference.least
    )
    high = (
        picture.high * prices.output_image * (100 + row.slack_percent) / 100
        + prompt_bytes * input_text
        + shown * row.reference.most
        + row.words * words
    )
    return Estimate(
        low_microusd=int(low.to_integral_value(ROUND_FLOOR)),
        high_microusd=int(high.to_integral_value(ROUND_CEILING)),
    )


def _picture_tokens(request: PictureRequest, row: TokensRow) -> _Tokens:
    """Bound a picture's tokens; a quality the row does not know may be any that it knows."""
    sizes = row.quality.get(request.quality) or row.quality.get("any")
    columns = [sizes] if sizes is not None else list(row.quality.values())
    found = [_sized_tokens(request, column) for column in columns]
    return _Tokens(min(each.low for each in found), max(each.high for each in found))


def _sized_tokens(request: PictureRequest, column: Mapping[str, int]) -> _Tokens:
    """Bound the tokens of a size.

    One that is not listed costs at most what any listed one up to the next larger costs (a square
    can cost more than a larger oblong); beyond the largest, tokens grow with the pixels.
    """
    exact = column.get(request.size)
    if exact is not None:
        return _Tokens(exact, exact)
    asked_px = request.width_px * request.height_px
    listed = sorted((_pixels(size), tokens) for size, tokens in column.items())
    largest_px = listed[-1][0]
    reach_px = next((pixels for pixels, _ in listed if pixels >= asked_px), largest_px)
    high = max(tokens for pixels, tokens in listed if pixels <= reach_px)
    if asked_px > largest_px:
        high = -(-high * asked_px // largest_px)
    return _Tokens(min(tokens for _, tokens in listed), high)


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height)


def _flat_usd(request: PictureRequest, row: FlatRow) -> tuple[Decimal | None, Decimal | None]:
    """Return the least and the most that a picture costs by a flat price."""
    if request.shown and row.per_reference is None:
        return None, None
    shown = len(request.shown) * (row.per_reference or 0)
    if row.per_megapixel is not None:
        each = (row.megapixel_px,) * 2 if row.megapixel_px is not None else _MEGAPIXELS_PX
        low, high = (_by_megapixels(request, row, pixels) for pixels in each)
        return low + shown, high + shown
    if row.per_tier:
        usd = _by_tier(request, row.per_tier)
    elif row.per_picture is not None:
        usd = row.per_picture
    else:
        return None, None
    return usd + shown, usd + shown


def _by_tier(request: PictureRequest, per_tier: Mapping[Tier, Decimal]) -> Decimal:
    asked = tier_of(request.width_px, request.height_px, [*per_tier])
    return next(usd for tier, usd in per_tier.items() if tier == asked)


def _by_megapixels(request: PictureRequest, row: FlatRow, megapixel_px: int) -> Decimal:
    """Price the megapixels that are begun."""
    assert row.per_megapixel is not None  # asked by its only caller
    count = -(-request.width_px * request.height_px // megapixel_px)
    further = row.per_further_megapixel
    return row.per_megapixel + (count - 1) * (row.per_megapixel if further is None else further)
