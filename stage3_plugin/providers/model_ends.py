"""When vendors switch image models off: a dated table, and nothing else knows these dates.

A warning comes from the day before which there are so many left, and never a refusal: vendors move
dates. Only what a vendor has announced, or a price map of many users holds, is in here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain

AS_OF = date(2026, 11, 25)
"""When the table was last compared with its sources."""

WARNED_BEFORE = timedelta(days=30)
_PARTING = "-:@"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEnd:
    """When a model was, or will be, switched off, with its snapshots and variants.

    Attributes:
        begins: The model's name, up to its end or to a mark that parts a snapshot from it; the
            first row that fits counts.
        on: The first day without it.
        vendor: Who switches it off.
        instead: What the vendor names in its place, or its successor.
        source: Where that stands.
    """

    begins: str
    on: date
    vendor: str
    instead: str
    source: str


_OPENAI = "gpt-image-2.6-flare or gpt-image-2.6-sunburst"
_GOOGLE = "google/gemini-nano-banana-2.1"
_PAGE = "OpenAI's page of deprecations, 2026-11"
_MAP = "price map of litellm 1.110.2"

_OF_OPENAI = tuple(
    ModelEnd(begins=begins, on=on, vendor="OpenAI", instead=_OPENAI, source=_PAGE)
    for begins, on in (
        ("dall-e", date(2026, 5, 12)),
        ("gpt-image-1-mini", date(2026, 12, 1)),
        ("gpt-image-1.5", date(2026, 12, 1)),
        ("chatgpt-image-latest", date(2026, 12, 1)),
        ("gpt-image-1", date(2026, 10, 23)),
    )
)
_OF_GOOGLE = tuple(
    ModelEnd(begins=begins, on=on, vendor="Google", instead=_GOOGLE, source=_MAP)
    for begins, on in (
        ("google/gemini-2.5-flash-image", date(2027, 3, 15)),
        ("google/gemini-3.1-flash-image", date(2027, 5, 28)),
        ("google/gemini-3-pro-image", date(2027, 5, 28)),
    )
)


def _through_openrouter(row: ModelEnd) -> ModelEnd:
    """Return the row of a model as OpenRouter names it, which sells what the vendor serves."""
    names = (f"openai/{name}" for name in row.instead.split(" or "))
    return ModelEnd(
        begins=f"openai/{row.begins}",
        on=row.on,
        vendor=row.vendor,
        instead=" or ".join(names),
        source=row.source,
    )


_TABLE = {
    "openai": _OF_OPENAI,
    "openrouter": (*map(_through_openrouter, _OF_OPENAI), *_OF_GOOGLE),
}


def all_ends() -> Iterator[ModelEnd]:
    """Return every row."""
    return chain.from_iterable(_TABLE.values())


def end_of(provider: str, model: str) -> ModelEnd | None:
    """Return when a model is, or was, switched off; ``None`` where nothing is known of it."""
    rows = _TABLE.get(provider, ())
    return next((row for row in rows if _is_of(model, row.begins)), None)


def _is_of(model: str, name: str) -> bool:
    rest = model.removeprefix(name)
    return model == name or (rest != model and rest[0] in _PARTING)


def warning_of(provider: str, model: str, *, today: date) -> str | None:
    """Say that a model has ended, or ends within :data:`WARNED_BEFORE`."""
    end = end_of(provider, model)
    if end is None or end.on - today > WARNED_BEFORE:
        return None
    when = "was switched off" if end.on <= today else "will be switched off"
    return f"model {model!r} {when} by {end.vendor} on {end.on}; in its place: {end.instead}"
