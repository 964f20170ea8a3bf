"""Whether a run is at work, as its journal tells: the page is then told anew as takes come."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Final

JOURNAL: Final = "events.jsonl"
SILENT_S: Final = 300.0
"""A journal that has said nothing for so long, and does not say that its run is over, is of a run
that was killed."""
_TAIL_BYTES: Final = 65_536


def is_running(out_dir: Path, *, now: float | None = None) -> bool:
    """Return whether a run is at work in a folder of results.

    Args:
        out_dir: The folder.
        now: The time of the disk's clock, in seconds; the present one if absent.
    """
    path = out_dir / JOURNAL
    try:
        found = path.lstat()
        silent_s = (time.time() if now is None else now) - found.st_mtime
        return found.st_size > 0 and silent_s < SILENT_S and not _is_over(path)
    except OSError:
        return False


def last_change(out_dir: Path) -> int:
    """Return something that is another number once a run has said more."""
    try:
        return (out_dir / JOURNAL).lstat().st_size
    except OSError:
        return -1


def _is_over(path: Path) -> bool:
    if not path.is_file():
        return True
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        record: Any = json.loads(last)
    except ValueError:  # it is being written
        return False
    return isinstance(record, dict) and "host.run_finished" in record.values()
