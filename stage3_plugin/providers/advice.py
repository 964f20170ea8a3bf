"""What a vendor is known not to take: a warning before spending, and hardly ever a refusal.

Only a quality is refused, of a model that has a row of its own: what it costs could be anything
that the row has. By the dated table of ``models``, for the vendors' own addresses only: another
server may take anything. It is old as soon as it is written, so that what is not in it is no reason
to warn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

from stage3_plugin.providers.models import (
    WARNED_BEFORE,
    FreeSizes,
    Takes,
    begin_of,
    end_of,
    is_known,
    is_named,
    is_same_ratio,
    models_known_of,
    nearest_ratio,
    shapes_of,
    table,
    takes_of,
)
from stage3_plugin.providers.prices import batch_models_of, share_in_batch

MOST_PROMPT = 32_000
"""Characters of a prompt that OpenAI takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What would be asked of a vendor.

    Attributes:
        vendor: As people call them.
        like: By whose name the rows of the model are found; empty where that is its own.
        prompt_characters: Of the prompt, as it would be sent.
        in_batch: It would be a line of a batch.
    """

    provider: str
    vendor: str
    api: str
    model: str
    quality: str
    width_px: int
    height_px: int
    like: str = ""
    prompt_characters: int = 0
    in_batch: bool = False


def advice(wish: Wish, *, today: date) -> tuple[str, ...]:
    """Say what the vendor is known not to take; nothing where nothing is known against it.

    Args:
        wish: What would be asked, at the vendor's own address.
        today: For models that are switched off.
    """
    family = takes_of(wish.provider, wish.like or wish.model)
    ends = warning_of(wish.provider, wish.model, today=today)
    lines: list[str] = []
    if wish.provider == "openai" and wish.prompt_characters > MOST_PROMPT:
        lines.append(
            f"a prompt of {wish.prompt_characters:,} characters: {wish.vendor} takes at most "
            f"{MOST_PROMPT:,}"
        )
    if ends is not None:
        lines.append(ends)
    elif family is not None and not wish.like:
        lines += _of_a_newer_one(wish)
    if wish.in_batch:
        lines += _of_batch(wish)
    if family is not None:
        lines += _of_quality(wish, family)
        lines += _of_size(wish, family)
    return tuple(f"{line} (as of {table(wish.provider).as_of})" for line in lines)


def refused_quality(wish: Wish) -> str | None:
    """Say why a quality is not asked for at all; ``None`` where the vendor may take it.

    xAI is sent its last one for what it has no word for, and a newer model may have brought others.
    """
    family = takes_of(wish.provider, wish.model)
    if family is None or wish.provider == "xai" or not is_named(wish.provider, wish.model):
        return None
    return next(iter(_of_quality(wish, family)), None)


def _of_a_newer_one(wish: Wish) -> list[str]:
    """Say of a model that is in no row by its own name that others of its family are."""
    if not is_known(wish.provider, wish.model):
        return [_of_a_stranger(wish)]
    model = wish.model.removeprefix("models/").partition(":")[0]
    begin = begin_of(wish.provider, model)
    siblings = [one for one in models_known_of(wish.provider) if begin and one.startswith(begin)]
    if begin == model or not siblings or is_named(wish.provider, model):
        return []
    told = f"model {wish.model!r} is not in the table by its own name: it is asked as those that"
    return [f"{told} begin with {begin!r}; without price_usd or prices, its price is not known"]


def _of_a_stranger(wish: Wish) -> str:
    going_on = [one for one in models_known_of(wish.provider) if not end_of(wish.provider, one)]
    near = get_close_matches(wish.model, going_on, n=1, cutoff=0.0)
    takes = "what sizes, qualities, formats and references it takes"
    say = f'; if it is like one that is known, write like = "{near[0]}"' if near else ""
    return (
        f"nothing is known of model {wish.model!r} at {wish.vendor}: neither {takes}, nor, without "
        f"price_usd or prices, what it costs{say}"
    )


def _of_batch(wish: Wish) -> list[str]:
    known = batch_models_of(wish.provider)
    if not known or share_in_batch(wish.provider, wish.model) is not None:
        return []
    told = f"model {wish.model!r} is not one that {wish.vendor} is known to make in batches"
    more = f"it may be refused, and may cost the whole price; known are {', '.join(known)}"
    return [f"{told}: {more}"]


def _of_quality(wish: Wish, family: Takes) -> list[str]:
    if not family.qualities or wish.quality in family.qualities:
        return []
    if wish.provider == "xai":  # it is asked for the last one instead, which `auto` leaves to it
        told = f"quality {wish.quality!r} is sent as {family.qualities[-1]!r}"
        return [] if wish.quality == "auto" else [told]
    known = ", ".join(family.qualities)
    return [
        f"quality {wish.quality!r} is not one that {wish.vendor} lists for {wish.model!r}: {known}"
    ]


def _of_size(wish: Wish, family: Takes) -> list[str]:
    size = f"{wish.width_px}x{wish.height_px}"
    bounds = family.free_sizes
    problem = None if bounds is None else _broken_bound(wish.width_px, wish.height_px, bounds)
    if wish.api == "images" and bounds is not None and problem is None:
        return []  # also where a ratio is asked for instead of what is out of bounds
    shapes = shapes_of(wish.provider, wish.like or wish.model, api=wish.api)
    if shapes is not None:
        ratio = nearest_ratio(wish.width_px, wish.height_px, shapes.ratios)
        if is_same_ratio(wish.width_px, wish.height_px, ratio):
            return []
        return [f"size {size!r}: {wish.vendor} takes ratios, and {ratio} is the nearest"]
    if family.sizes and size not in family.sizes:
        known = ", ".join(family.sizes)
        return [f"size {size!r} is not one that {wish.vendor} lists for {wish.model!r}: {known}"]
    return [] if problem is None else [f"size {size!r}: {wish.vendor} wants {problem}"]


def _broken_bound(width_px: int, height_px: int, bounds: FreeSizes) -> str | None:
    """Return which bound of the newer models a size breaks; ``None`` if none."""
    short, long = sorted((width_px, height_px))
    if width_px % bounds.step or height_px % bounds.step:
        return f"both sides divisible by {bounds.step}"
    if long > bounds.ratio * short:
        return f"a ratio between 1:{bounds.ratio} and {bounds.ratio}:1"
    if long > bounds.long:
        return f"sides of at most {bounds.long} pixels"
    if not bounds.least_px <= width_px * height_px <= bounds.most_px:
        return f"{bounds.least_px:,} to {bounds.most_px:,} pixels in all"
    return None


def warning_of(provider: str, model: str, *, today: date) -> str | None:
    """Say that a model has ended, or ends within :data:`WARNED_BEFORE`."""
    end = end_of(provider, model)
    if end is None or end.on - today > WARNED_BEFORE:
        return None
    when = "was switched off" if end.on <= today else "will be switched off"
    instead = " or ".join(end.instead)
    return f"model {model!r} {when} by {end.vendor} on {end.on}; in its place: {instead}"
