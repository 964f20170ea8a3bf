"""The files of a batch in its folder: what is uploaded, and what came of it.

::

    spool/<token>/
        lines.jsonl          what is uploaded, until that is done
        results-…            a result file that came whole, named by its address
        results-….part-…     one that is coming in, or was cut
        lines-…/line-…       a line of a result file, until its purchase has it
        anew-…               notes that whole files had too little, and were asked for again

What came whole is synced before it has its name, and stays until the last line is final. Two
processes that take one batch in write files of their own, and the first one's stays. Everything
blocks; call it in a thread.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import sync_file, sync_folder

LINES = "lines.jsonl"
_STALE_S = 600.0
"""A file that is coming in is written to all the time, or its time is over."""


def whole_of(folder: Path, url: str) -> Path:
    """Return the name of a result file that came whole."""
    return folder / f"results-{sha256(url.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def new_part(whole: Path) -> Path:
    """Return the name for a result file that is coming in, and remove what others have left."""
    for left in whole.parent.glob(f"{whole.name}.part-*"):
        with suppress(OSError):
            if abs(time.time() - left.stat().st_mtime) > _STALE_S:
                left.unlink()
    return whole.with_name(f"{whole.name}.part-{secrets.token_hex(8)}")


def keep(part: Path, whole: Path) -> None:
    """Give a result file that came whole its name, safe from a power cut.

    Raises:
        StorageFailed: The disk did not take it.
    """
    with on_disk(whole):
        sync_file(part)
        part.replace(whole)
        sync_folder(whole.parent)


def is_there(whole: Path) -> bool:
    """Return whether a result file is here whole.

    Raises:
        StorageFailed: The system does not say.
    """
    with on_disk(whole, reading=True):
        return whole.is_file()


def ask_anew(folder: Path, files: Sequence[Path]) -> int:
    """Remove result files that cannot be all, so that they come again; return how often now.

    Raises:
        StorageFailed: The disk did not take a note of it.
    """
    note = folder / f"anew-{secrets.token_hex(8)}"
    with on_disk(note):
        note.touch(exist_ok=False)
        asked = sum(1 for _ in folder.glob("anew-*"))
        for file in files:
            file.unlink(missing_ok=True)
    return asked


def move_line(line: Path, to: Path) -> bool:
    """Give a line the name of its purchase's folder; return whether it has it now.

    It has not where there is a folder already.

    Raises:
        StorageFailed: The disk did not let us.
    """
    try:
        line.rename(to)
    except OSError as error:
        if to.is_dir():
            return False
        raise StorageFailed(to, error) from error
    return True


def put_aside(line: Path, before: Path) -> None:
    """Move what is in the place of a line into it, so that nothing that came is lost.

    Raises:
        StorageFailed: The disk did not let us.
    """
    aside = line / f"older-{secrets.token_hex(8)}"
    with on_disk(before), suppress(FileNotFoundError):
        before.rename(aside)
