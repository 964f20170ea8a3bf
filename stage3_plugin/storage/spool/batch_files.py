"""The files of a batch in its folder: whose it is, what is uploaded, and what came of it.

::

    spool/<token>/
        owner                the run that makes it, until the batch has a row in the ledger
        lines.jsonl          what is uploaded, until that is done
        facts.jsonl          what the ledger is to keep of each line's picture
        results-…            a result file that came whole, named by its address
        results-….part-…     one that is coming in, or was cut
        lines-…/line-…       a line of a result file, until its purchase has it
        anew-…               notes that whole files had too little, and were asked for again

A file is written and uploaded before anything is held, so a run may die and leave a folder that
nothing speaks of. Whoever takes a line in, perhaps a week later, knows its purchase, and not what
the picture was wanted for: so that is written before anything is bought. A folder without it, as on
another machine, is no trouble: then as much is said as the purchase's columns tell.

What came whole is synced before it has its name, and stays until the last line is final. Two
processes that take one batch in write files of their own, and the first one's stays. Everything
blocks; call it in a thread.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import cast

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import sync_file, sync_folder
from stage3_plugin.storage.spool.receipt import RECEIPT

LINES = "lines.jsonl"
_OWNER = "owner"
_FACTS = "facts.jsonl"
_MOST_OWNER_BYTES = 1024
_ABANDONED_S = 3600.0
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


def note_owner(folder: Path, run_id: str) -> None:
    """Note which run makes a batch.

    Raises:
        StorageFailed: The disk did not take it.
    """
    path = folder / _OWNER
    with on_disk(path), path.open("x", encoding="utf-8") as file:  # new, as all in the spool
        file.write(run_id)


def is_of_nothing_bought(folder: Path) -> bool:
    """Return whether a folder is a batch's whose create has never been begun.

    It was made before anything was held, so no row need have it. Whatever is paid for has its
    receipt there before the request leaves.
    """
    names = {path.name for path in folder.iterdir()}
    return RECEIPT not in names and (not names or _OWNER in names)


def is_abandoned(folder: Path) -> bool:
    """Return whether a folder is empty, and has been for so long that no run is about to note it.

    Between its making and the note a run may die.
    """
    try:
        return not any(folder.iterdir()) and time.time() - folder.stat().st_mtime > _ABANDONED_S
    except OSError:
        return False


def owner_of(folder: Path) -> str | None:
    """Return the run that makes a batch; ``None`` if that cannot be said."""
    try:
        with (folder / _OWNER).open("rb") as file:
            return file.read(_MOST_OWNER_BYTES).decode() or None
    except (OSError, UnicodeDecodeError):
        return None


def write_facts(folder: Path, facts: Iterable[Mapping[str, str]]) -> None:
    """Write what is known of each line, in their order.

    Raises:
        StorageFailed: The disk did not take it.
    """
    path = folder / _FACTS
    with on_disk(path):
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{json.dumps(dict(one))}\n" for one in facts)
        sync_file(path)


def read_facts(folder: Path) -> dict[int, Mapping[str, str]]:
    """Return what is known of lines, by their numbers; of those that cannot be read nothing."""
    found: dict[int, Mapping[str, str]] = {}
    with suppress(OSError), (folder / _FACTS).open("rb") as file:
        for number, line in enumerate(file):
            if facts := _facts_in(line):
                found[number] = facts
    return found


def _facts_in(line: bytes) -> Mapping[str, str]:
    with suppress(ValueError, RecursionError):
        said = json.loads(line)
        if isinstance(said, dict):
            facts = cast("dict[str, object]", said)
            return {name: fact for name, fact in facts.items() if isinstance(fact, str)}
    return {}
