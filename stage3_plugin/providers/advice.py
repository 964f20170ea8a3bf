"""What a vendor is known not to take: a warning before spending, and never a refusal.

A small table with dates, for the vendors' own addresses only: another server may take anything. It
is old as soon as it is written, so that what is not in it is no reason to warn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from stage3_plugin.providers.model_ends import warning_of

AS_OF = date(2026, 11, 25)
"""When the table was read off the vendors' packages: openai 3.57.0, openrouter 1.3.84. When models
end is in ``model_ends``."""

MOST_PROMPT = 32_000
"""Characters of a prompt that OpenAI takes."""

_USUAL = ("auto", "low", "medium", "high")
_FINER = (*_USUAL, "xhigh", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What models whose names begin alike are known to take.

    Attributes:
        begins: Of the model's name; the first family that fits counts.
        qualities: Those it knows; empty where that is not known.
        sizes: The only sizes it makes, if it makes only some.
        free_sizes: It makes every size within the bounds of :func:`_bounds`.
    """

    begins: str
    qualities: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    free_sizes: bool = False


_THREE_SIZES = ("1024x1024", "1536x1024", "1024x1536")

_OPENAI = (
    _Family(begins="gpt-image-1", qualities=_USUAL, sizes=_THREE_SIZES),
    _Family(begins="chatgpt-image-latest", qualities=_USUAL, sizes=_THREE_SIZES),
    _Family(begins="gpt-image-2.", qualities=_FINER, free_sizes=True),
    _Family(begins="gpt-image-2", qualities=_USUAL, free_sizes=True),
)
_OPENROUTER = (
    _Family(begins="openai/gpt-image-2.", qualities=_FINER, free_sizes=True),
    _Family(begins="openai/gpt-image-2", qualities=_USUAL, free_sizes=True),
    _Family(begins="", qualities=_USUAL),
)
"""Its document of 2026-08 ends at ``high``; its newest package has ``xhigh`` and ``max``, too, and
only some models know them."""

_TABLE = {"openai": _OPENAI, "openrouter": _OPENROUTER}
_NAMES = {"openai": "OpenAI", "openrouter": "OpenRouter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What would be asked of a vendor.

    Attributes:
        prompt_characters: Of the prompt, as it would be sent.
    """

    provider: str
    api: str
    model: str
    quality: str
    width_px: int
    height_px: int
    prompt_characters: int = 0


def advice(wish: Wish, *, today: date) -> tuple[str, ...]:
    """Say what the vendor is known not to take; nothing where nothing is known against it.

    Args:
        wish: What would be asked, at the vendor's own address.
        today: For models that are switched off.
    """
    vendor = _NAMES.get(wish.provider, "")
    families = _TABLE.get(wish.provider, ())
    family = next((one for one in families if wish.model.startswith(one.begins)), None)
    told: list[str] = []
    if wish.provider == "openai" and wish.prompt_characters > MOST_PROMPT:
        told.append(
            f"a prompt of {wish.prompt_characters:,} characters: {vendor} takes at most "
            f"{MOST_PROMPT:,}"
        )
    ends = warning_of(wish.provider, wish.model, today=today)
    if ends is not None:
        told.append(ends)
    if family is not None:
        told += _of_quality(wish, family, vendor)
        told += _of_size(wish, family, vendor)
    return tuple(f"{line} (as of {AS_OF})" for line in told)


def _of_quality(wish: Wish, family: _Family, vendor: str) -> list[str]:
    if not family.qualities or wish.quality in family.qualities:
        return []
    known = ", ".join(family.qualities)
    return [f"quality {wish.quality!r} is not one that {vendor} lists for {wish.model!r}: {known}"]


def _of_size(wish: Wish, family: _Family, vendor: str) -> list[str]:
    if wish.api == "chat":  # it knows ratios, and no pixels
        return []
    size = f"{wish.width_px}x{wish.height_px}"
    if family.sizes and size not in family.sizes:
        known = ", ".join(family.sizes)
        return [f"size {size!r} is not one that {vendor} lists for {wish.model!r}: {known}"]
    problem = _bounds(wish.width_px, wish.height_px) if family.free_sizes else None
    return [] if problem is None else [f"size {size!r}: {vendor} wants {problem}"]


def _bounds(width_px: int, height_px: int) -> str | None:
    """Tell which bound of the newer models a size breaks; ``None`` if none."""
    short, long = sorted((width_px, height_px))
    if width_px % 16 or height_px % 16:
        return "both sides divisible by 16"
    if long > 3 * short:
        return "a ratio between 1:3 and 3:1"
    if long > 3840 or short > 2160:
        return "at most 3840x2160, or as much upright"
    return None
