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
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Final, cast

from host_stub.contract import Cost
from host_stub.errors import StoryError
from host_stub.story.takes import Glance, Lying, NewTake, Take

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
_NONE: Final = "null"
_TEXTS: Final = frozenset({str, type(None)})
_write_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_read_json = json.JSONDecoder().decode


text = encode_basestring_ascii
"""Writes a text that came from outside."""


def maybe(value: str | None) -> str | None:
    """Write a text that came from outside, if there is one."""
    return None if value is None else text(value)


def read(written: str | None) -> Any:
    """Read what :func:`text` or :func:`maybe` wrote."""
    if written is None:
        return None
    if "\\" not in written and written.count('"') == 2 and written[0] == written[-1] == '"':
        return written[1:-1]  # as most are: a tenth of the time
    return _read_json(written)


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
        raise _unreadable(row[0], row[18], path, error) from error


def glance_from(rows: Sequence[Sequence[Any]], path: Path) -> Glance:
    """Read what :meth:`~host_stub.story.book.Book.glances` asks for of one scene.

    Raises:
        StoryError: It is none that a book of ours holds.
    """
    scene, role, shown, *_ = rows[0]
    try:
        takes = tuple([_lying_from(row) for row in rows])
        return Glance(scene_id=_text_from(scene), role=role, shown=shown, takes=takes)
    except (ValueError, TypeError) as error:
        raise _unreadable(scene, rows[0][4], path, error) from error


def _lying_from(row: Sequence[Any]) -> Lying:
    _, role, _, place, number, sha256, media_type, width, height, *more = row
    is_draft, basis, is_withdrawn, size_bytes, time_ns = more
    _expect(sha256, role)
    return Lying(
        place=place,
        number=number,
        sha256=sha256,
        media_type=_text_from(media_type),
        size=(width, height),
        is_draft=bool(is_draft),
        is_withdrawn=bool(is_withdrawn),
        basis=None if basis is None else _text_from(basis),
        stamp=None if size_bytes is None else (size_bytes, time_ns),
    )


def _text_from(written: str) -> str:
    value = read(written)
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _expect(sha256: str, role: str) -> None:
    if not _SHA256.fullmatch(sha256) or role not in {"scene", "sheet"}:
        raise ValueError("sha256 or role")


def _unreadable(scene: object, number: object, path: Path, error: Exception) -> StoryError:
    return StoryError(
        path,
        f"take {number} of {str(scene)[:80]} cannot be read ({type(error).__name__})",
        hint="put a copy of the folder back, or move it away and run again: takes that were "
        "paid for are found again",
    )


def _taken_from(row: Sequence[Any]) -> Take:
    _expect(row[2], row[1])
    # All texts at once: they are JSON, one by one, and reading each takes as long as reading all.
    said = (
        f"[{row[0]},{row[3]},{row[6] or _NONE},{row[7] or _NONE},{row[8] or _NONE},"
        f"{row[9] or _NONE},{row[10] or _NONE},{row[16] or _NONE},{row[17]}]"
    )
    scene_id, media_type, *texts, made_with = _read_json(said)
    plugin, purchase, basis, provider, model, run_id = texts
    if {type(scene_id), type(media_type)} != {str} or not _TEXTS.issuperset(map(type, texts)):
        raise TypeError("no text")
    if not isinstance(made_with, dict):
        raise TypeError("row")
    return Take(
        scene_id=scene_id,
        role=row[1],
        sha256=row[2],
        media_type=media_type,
        width=int(row[4]),
        height=int(row[5]),
        plugin=plugin,
        purchase=purchase,
        basis=basis,
        provider=provider,
        model=model,
        cost=_cost_from(row[11], row[12]),
        is_draft=bool(row[13]),
        is_import=bool(row[14]),
        made_at=datetime.fromisoformat(row[15]).astimezone(UTC),
        run_id=run_id,
        row=cast("Mapping[str, Any]", made_with),
        number=int(row[18]),
        is_rejected=bool(row[19]),
    )


@lru_cache(maxsize=256)
def _cost_from(usd: str | None, basis: Any) -> Cost:
    """Read a cost; most takes have that of the one before."""
    return Cost(usd=None if usd is None else Decimal(usd), basis=basis)
