"""When vendors switch image models off; the dates are a part of the table of ``models``.

A warning comes from the day before which there are so many left, and never a refusal: vendors move
dates.
"""

from __future__ import annotations

from datetime import date, timedelta

from stage3_plugin.providers.models import EndRow, table

WARNED_BEFORE = timedelta(days=30)
_PARTING = "-:@"


def ends_at(provider: str) -> tuple[EndRow, ...]:
    """Return the rows of a provider's API: what ends at one may go on at another."""
    return table(provider).ends


def end_of(provider: str, model: str) -> EndRow | None:
    """Return when a model is, or was, switched off; ``None`` where nothing is known of it.

    A row is of its names, and of their snapshots and variants; the first that fits counts.
    """
    name = model.removeprefix("models/")
    return next(
        (row for row in ends_at(provider) if any(_is_of(name, one) for one in row.begins)), None
    )


def _is_of(model: str, name: str) -> bool:
    rest = model.removeprefix(name)
    return model == name or (rest != model and rest[0] in _PARTING)


def warning_of(provider: str, model: str, *, today: date) -> str | None:
    """Say that a model has ended, or ends within :data:`WARNED_BEFORE`."""
    end = end_of(provider, model)
    if end is None or end.on - today > WARNED_BEFORE:
        return None
    when = "was switched off" if end.on <= today else "will be switched off"
    instead = " or ".join(end.instead)
    return f"model {model!r} {when} by {end.vendor} on {end.on}; in its place: {instead}"
