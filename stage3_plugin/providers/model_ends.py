"""When vendors switch image models off; the dates are a part of the table of ``models``.

A warning comes from the day before which there are so many left, and never a refusal: vendors move
dates.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain

from stage3_plugin.providers.models import EndRow, table

WARNED_BEFORE = timedelta(days=30)
_PARTING = "-:@"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEnd:
    """When a model was, or will be, switched off, with its snapshots and variants.

    Attributes:
        begins: The model's name, up to its end or to a mark that parts a snapshot from it; the
            first row that fits counts.
        on: The first day without it.
        vendor: The vendor that switches it off.
        instead: What the vendor names in its place, or its successor.
        source: Where that stands.
    """

    begins: str
    on: date
    vendor: str
    instead: str
    source: str


@functools.cache
def _rows() -> Mapping[str, tuple[ModelEnd, ...]]:
    """Return the rows of each provider; OpenRouter sells what the vendors serve."""
    rows: dict[str, list[ModelEnd]] = {}
    for row in table().ends:
        for begins in row.begins:
            rows.setdefault(row.provider, []).append(_end(row, begins, ""))
            rows.setdefault("openrouter", []).append(_end(row, begins, row.at_openrouter))
    return {provider: tuple(ends) for provider, ends in rows.items()}


def _end(row: EndRow, begins: str, prefix: str) -> ModelEnd:
    return ModelEnd(
        begins=prefix + begins,
        on=row.on,
        vendor=row.vendor,
        instead=" or ".join(prefix + name for name in row.instead),
        source=row.source,
    )


def all_ends() -> Iterator[ModelEnd]:
    """Return every row."""
    return chain.from_iterable(_rows().values())


def end_of(provider: str, model: str) -> ModelEnd | None:
    """Return when a model is, or was, switched off; ``None`` where nothing is known of it."""
    rows = _rows().get(provider, ())
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
