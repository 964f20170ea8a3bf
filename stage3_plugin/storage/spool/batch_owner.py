"""Whose the folder of a batch is, from its making until the batch has a row in the ledger.

A file is written and uploaded before anything is held, so that a run may die and leave a folder
that nothing speaks of. Everything blocks; call it in a thread.
"""

from __future__ import annotations

import time
from pathlib import Path

from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.storage.spool.receipt import RECEIPT

_NAME = "owner"
_MOST_BYTES = 1024
_ABANDONED_S = 3600.0


def note(folder: Path, run_id: str) -> None:
    """Note which run makes a batch.

    Raises:
        StorageFailed: The disk did not take it.
    """
    path = folder / _NAME
    with on_disk(path), path.open("x", encoding="utf-8") as file:  # new, as all in the spool
        file.write(run_id)


def is_of_nothing_bought(folder: Path) -> bool:
    """Return whether a folder is a batch's whose create has never been begun.

    It was made before anything was held, so no row need have it. Whatever is paid for has its
    receipt there before the request leaves.
    """
    names = {path.name for path in folder.iterdir()}
    return RECEIPT not in names and (not names or _NAME in names)


def is_abandoned(folder: Path) -> bool:
    """Return whether a folder is empty, and has been for so long that no run is about to note it.

    Between its making and the note a run may die.
    """
    try:
        return not any(folder.iterdir()) and time.time() - folder.stat().st_mtime > _ABANDONED_S
    except OSError:
        return False


def of(folder: Path) -> str | None:
    """Return the run that makes a batch; ``None`` if that cannot be said."""
    try:
        with (folder / _NAME).open("rb") as file:
            return file.read(_MOST_BYTES).decode() or None
    except (OSError, UnicodeDecodeError):
        return None
