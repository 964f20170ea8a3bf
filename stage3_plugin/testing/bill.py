"""What the fake bills for a picture: by the price table that the product ships, where it has one.

Tests want figures that never move, so this is for running the fake by hand: a rehearsal with a
model of the documentation is billed what the table expects. The table is read as a file and counted
anew here: the fake runs on a bare Python, and no mistake of the product's sums is repeated.
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

_TABLE = Path(__file__).parents[1] / "providers" / "models.toml"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_TIERS = {"512": "512x512", "1K": "1024x1024", "2K": "2048x2048", "4K": "4096x4096"}
SIDES = {"512": 512, "768": 768, "1K": 1024, "1.5K": 1536, "2K": 2048, "4K": 4096}
"""The side of a square of a tier, in pixels."""
_BYTES_PER_TOKEN = 4
_WORDS = 100
"""Tokens of text that a model puts out beside a picture, if it does: 87 and 101 were recorded."""
_MEGAPIXEL = 10**6


@dataclass(frozen=True, slots=True)
class Bill:
    """What one picture cost.

    Attributes:
        usd: The amount, in whole micro-dollars.
        text_in: Tokens of the prompt.
        text_out: Tokens of text that came with the picture.
        image_out: Tokens of the picture; 0 where they are not what is paid for.
        image_in: Tokens of the references.
    """

    usd: Decimal
    text_in: int
    text_out: int
    image_out: int
    image_in: int = 0


def by_the_table(document: Mapping[str, Any], prompt: str) -> Bill | None:
    """Return the bill for a request; ``None`` if the table does not know its model."""
    model = str(document.get("model", ""))
    price, tokens, flat = (_row(kind, model) for kind in ("price", "tokens", "flat"))
    text_in = max(1, len(prompt.split()), len(prompt.encode()) // _BYTES_PER_TOKEN)
    if flat is not None:
        more = Decimal(flat.get("per_reference", 0)) * _shown(document)
        return Bill(_flat_usd(flat, document) + more, text_in, 0, 0)
    if price is None or tokens is None:
        return None
    text_out = min(_WORDS, int(tokens.get("words", 0)))
    image_out = _picture_tokens(tokens, document)
    most_in = int(tokens.get("reference", {}).get("most", 0))
    image_in = _shown(document) * most_in * 4 // 5  # without the slack
    millionths = (
        text_in * Decimal(price.get("input_text", 0))
        + text_out * Decimal(price.get("output_text", 0))
        + image_out * Decimal(price["output_image"])
        + image_in * Decimal(price.get("input_image", price.get("input_text", 0)))
    )
    usd = millionths.to_integral_value(ROUND_CEILING) / 10**6
    return Bill(usd, text_in, text_out, image_out, image_in)


def _shown(document: Mapping[str, Any]) -> int:
    """Count the references of a request, in whichever field its endpoint has for them."""
    parts = [part for content in document.get("contents", ()) for part in content["parts"]]
    for message in document.get("messages", ()):
        parts += [] if isinstance(message["content"], str) else message["content"]
    bare = len(document.get("images", ())) + len(document.get("input_references", ()))
    return bare + sum(
        not part.keys().isdisjoint({"inlineData", "fileData", "image_url"}) for part in parts
    )


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"), parse_float=Decimal)


def _row(kind: str, model: str) -> dict[str, Any] | None:
    names = {model, _SNAPSHOT.sub("", model)}
    return next((row for row in _table()[kind] if names & {*row["models"]}), None)


def _flat_usd(row: Mapping[str, Any], document: Mapping[str, Any]) -> Decimal:
    size = _size(document)
    pixels = 1 if size is None else _pixels(size)  # the least, as with tokens
    known = row.get("per_quality", {})
    tiers = known.get(_quality(document)) or known.get("medium") or row.get("per_tier")
    if tiers is not None:
        reaching = (usd for tier, usd in tiers.items() if SIDES[tier] ** 2 >= pixels)
        return Decimal(next(reaching, max(tiers.values())))
    if "per_megapixel" in row:
        further = -(-pixels // int(row.get("megapixel_px", _MEGAPIXEL))) - 1
        first = Decimal(row["per_megapixel"])
        return first + further * Decimal(row.get("per_further_megapixel", first))
    return Decimal(row["per_picture"])


def _quality(document: Mapping[str, Any]) -> str:
    return str(document.get("quality") or _config(document).get("quality"))


def _picture_tokens(row: Mapping[str, Any], document: Mapping[str, Any]) -> int:
    """Count a picture as the listed size that is next to it, and beyond the largest by pixels.

    What a calculator counts has any size; of two figures, the dearer is billed.
    """
    config, quality, size = _config(document), _quality(document), _size(document)
    if "factor" in row:
        factor = _dearer(row["factor"].get(quality) or row["factor"]["medium"])
        return _calculated(factor, size or "1024x1024")
    known = row["quality"]
    column = known.get(quality) or known.get("any") or known["medium"]
    sizes = {each: _dearer(tokens) for each, tokens in column.items()}
    if size is None:  # some know tiers; of one that is not listed the least is billed
        asked = config.get("image_size") or config.get("imageSize") or "1K"
        tier = _TIERS.get(str(asked), "")
        return sizes.get(tier) or min(sizes.values())
    if size in sizes:
        return sizes[size]
    largest = max(sizes, key=_pixels)
    if _pixels(size) > _pixels(largest):
        return sizes[largest] * _pixels(size) // _pixels(largest)
    return sizes[min((each for each in sizes if _pixels(each) >= _pixels(size)), key=_pixels)]


def _dearer(figure: int | list[int]) -> int:
    return figure if isinstance(figure, int) else max(figure)


def _calculated(factor: int, size: str) -> int:
    """Count tokens as OpenAI's page does: in fractions here, so that no rounding is repeated."""
    short, long = sorted(map(int, size.split("x")))
    of_short = math.floor(Fraction(factor * short, long) + Fraction(1, 2))
    return math.ceil(Fraction(factor * of_short * (2_000_000 + short * long), 4_000_000))


def _config(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says of its picture where it knows no pixels."""
    inner = document.get("generationConfig")
    inner = cast("dict[str, Any]", inner).get("imageConfig") if isinstance(inner, dict) else None
    told = document.get("image_config", inner)
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _size(document: Mapping[str, Any]) -> str | None:
    size = str(document.get("size", ""))
    return size if re.fullmatch(r"\d{1,6}x\d{1,6}", size) else None


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height)
