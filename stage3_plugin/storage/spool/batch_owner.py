"""Whose the folder of a batch is, from its making until the batch has a row in the ledger.

A file is written and uploaded before anything is held, so that a run may die and leave a folder
that nothing speaks of. Everything blocks; call it in a thread.
"""

from __future__ import annotations

from pathlib import Path

from stage3_plugin.errors import StorageFailed

_NAME = "owner"
_MOST_BYTES = 1024


def note(folder: Path, run_id: str) -> None:
    """Note which run makes a batch.

    Raises:
        StorageFailed: The disk did not take it.
    """
    try:
        (folder / _NAME).write_text(run_id, encoding="utf-8")
    except OSError as error:
        raise StorageFailed(folder / _NAME, error) from error


def of(folder: Path) -> str | None:
    """Return the run that makes a batch; ``None`` if that cannot be said."""
    try:
        with (folder / _NAME).open("rb") as file:
            return file.read(_MOST_BYTES).decode() or None
    except (OSError, UnicodeDecodeError):
        return None
