"""How takes are written into the book's tables, and read from them.

What is read is looked at: the file may have been changed by anybody, and a digest becomes part of
a path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from host_stub.contract import Cost
from host_stub.errors import StoryError
from host_stub.story.takes import NewTake, Take

COLUMNS: Final = (
    "scene",
    "role",
    "sha256",
    "media_type",
    "width",
    "height",
    "plugin",
    "purchase",
    "basis",
    "provider",
    "model",
    "cost_usd",
    "cost_basis",
    "is_draft",
    "is_import",
    "made_at",
    "run_id",
    "row",
    "number",
    "is_rejected",
)
"""Of a take, in the order in which :func:`take_from` reads them."""

SELECTED: Final = ", ".join(COLUMNS)

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_write_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_read_json = json.JSONDecoder().decode


def text(value: str) -> str:
    """Write a text that came from outside."""
    return _write_json(value)


def maybe(value: str | None) -> str | None:
    """Write a text that came from outside, if there is one."""
    return None if value is None else _write_json(value)


def read(written: str | None) -> Any:
    """Read what :func:`text` or :func:`maybe` wrote."""
    return None if written is None else _read_json(written)


def moment(when: datetime) -> str:
    """Write a time; those of one story sort as texts."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def values_of(take: NewTake, number: int) -> tuple[object, ...]:
    """Return what is written of a new take, by :data:`COLUMNS`."""
    return (
        text(take.scene_id),
        take.role,
        take.sha256,
        text(take.media_type),
        take.width,
        take.height,
        maybe(take.plugin),
        maybe(take.purchase),
        maybe(take.basis),
        maybe(take.provider),
        maybe(take.model),
        money(take.cost),
        take.cost.basis,
        int(take.is_draft),
        int(take.is_import),
        moment(take.made_at),
        maybe(take.run_id),
        _write_json(dict(take.row)),
        number,
        0,
    )


def money(cost: Cost) -> str | None:
    """Write an amount; ``None`` if it is not known."""
    return None if cost.usd is None else format(cost.usd, "f")


def take_from(row: Sequence[Any], path: Path) -> Take:
    """Read a take.

    Args:
        row: Its columns, as :data:`COLUMNS` has them.
        path: The book, for messages.

    Raises:
        StoryError: It is none that a book of ours holds.
    """
    try:
        return _taken_from(row)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise StoryError(
            path,
            f"take {row[18]} of {str(row[0])[:80]} cannot be read ({type(error).__name__})",
            hint="put a copy of the folder back, or move it away and run again: takes that were "
            "paid for are found again",
        ) from error


def _taken_from(row: Sequence[Any]) -> Take:
    usd = row[11]
    if not _SHA256.fullmatch(row[2]) or row[1] not in {"scene", "sheet"}:
        raise ValueError("sha256 or role")
    made_with = _read_json(row[17])
    if not isinstance(made_with, dict):
        raise TypeError("row")
    return Take(
        scene_id=_text_from(row[0]),
        role=row[1],
        sha256=row[2],
        media_type=_text_from(row[3]),
        width=int(row[4]),
        height=int(row[5]),
        plugin=_maybe_from(row[6]),
        purchase=_maybe_from(row[7]),
        basis=_maybe_from(row[8]),
        provider=_maybe_from(row[9]),
        model=_maybe_from(row[10]),
        cost=Cost(usd=None if usd is None else Decimal(usd), basis=row[12]),
        is_draft=bool(row[13]),
        is_import=bool(row[14]),
        made_at=datetime.fromisoformat(row[15]).astimezone(UTC),
        run_id=_maybe_from(row[16]),
        row=cast("Mapping[str, Any]", made_with),
        number=int(row[18]),
        is_rejected=bool(row[19]),
    )


def _text_from(written: str) -> str:
    if "\\" not in written and written.count('"') == 2 and written[0] == written[-1] == '"':
        return written[1:-1]  # as most are: a tenth of the time
    value = _read_json(written)
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _maybe_from(written: str | None) -> str | None:
    return None if written is None else _text_from(written)
