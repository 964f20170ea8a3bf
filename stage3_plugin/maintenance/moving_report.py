"""What ``stage3 move-ledger`` says: text for people, and the same as data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stage3_plugin.maintenance.moving import Moved
from stage3_plugin.maintenance.report import counted, on_one_line

_CALLED: Final[Mapping[str, str]] = {
    "purchases": "purchase",
    "jobs": "job",
    "events": "event",
    "counters": "counter",
    "meta": "note",
}


def moved_text(moved: Moved) -> str:
    """Put into words what was moved, and what holds from now on."""
    path = on_one_line(str(moved.path))
    if moved.was_there:
        lines = [f"{path} is at {moved.where}: an earlier move had brought it there already"]
    else:
        rows = ", ".join(counted(moved.rows[table], name) for table, name in _CALLED.items())
        lines = [f"{path} is at {moved.where} now: {rows}, each compared with what it was"]
    return "\n".join(
        [
            *lines,
            "the file is kept, and no program buys by it any more; each says where it went",
            "keep the state folder: answers and pictures are there, as before",
        ]
    )


def moved_json(moved: Moved) -> dict[str, object]:
    """Return what was moved as plain JSON values."""
    return {
        "format": "stage3-moved/1",
        "ledger": moved.where,
        "from": str(moved.path),
        "was_there": moved.was_there,
        "rows": dict(moved.rows),
    }


def back_text(path: Path) -> str:
    """Put into words that a move was given up."""
    return (
        f"nothing was moved: {on_one_line(str(path))} is the ledger again; take `ledger` out of "
        "the config, or move again"
    )


def back_json(path: Path) -> dict[str, object]:
    """Return that a move was given up as plain JSON values."""
    return {"format": "stage3-moved-back/1", "ledger": str(path)}
