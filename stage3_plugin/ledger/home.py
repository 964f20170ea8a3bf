"""The home of a run: the state folder that has its answers, by a word that says which one that is.

What a dead run had sent is judged by what lies in its spool, and that is on one disk alone. So a
row is only judged where its answer would lie: a driver whose state folder is another one finds no
answer for a reason that says nothing of the request. Each state folder has a word of its own, and
the runs in it begin their names with it. Apart from ``owners``, which says whether a run lives.

A ledger that lies in the state folder itself is of that folder alone, and so are all of its rows,
also where the word was lost.
"""

from __future__ import annotations

import os
import re
import secrets
import string
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stage3_plugin.errors import LedgerFailed, StorageFailed
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.files.private_folders import make_anchored, sync_folder
from stage3_plugin.runtime.system_errors import says_not_there

HOME_NAME: Final = "home"
"""The file in a state folder that has its word."""
_LETTERS: Final = string.ascii_lowercase + string.digits
_WORD: Final = re.compile(r"[a-z0-9]{12}")


def home_of(state_dir: Path) -> str:
    """Return the word of a state folder; it is drawn and made durable if there is none yet.

    Several processes may do so at once: one of them makes it, and all return that one.

    Raises:
        LedgerFailed: What lies there is no such word.
        StorageFailed: It cannot be read or made.
    """
    known = known_home(state_dir)
    if known is not None:
        return known
    path = state_dir / HOME_NAME
    drawn = state_dir / f"{HOME_NAME}.{secrets.token_hex(8)}.new"
    try:
        make_anchored(state_dir)
        with NewFile(drawn) as file:
            word = "".join(secrets.choice(_LETTERS) for _ in range(12))
            file.write(f"{word}\n".encode("ascii"))
            file.sync()
        try:
            with suppress(FileExistsError):  # another process was quicker
                os.link(drawn, path)  # all of it at once, and never over one that is there
        except OSError:  # a file system without links
            if not path.exists():
                drawn.replace(path)
        sync_folder(state_dir)
    except StorageFailed:
        raise
    except OSError as error:
        raise StorageFailed(path, error) from error
    finally:
        with suppress(OSError):
            drawn.unlink()
    made = known_home(state_dir)
    if made is None:
        raise StorageFailed(path, FileNotFoundError(2, "it was removed as it was made"))
    return made


def known_home(state_dir: Path) -> str | None:
    """Return the word of a state folder, or ``None`` if no run has ever begun there.

    Raises:
        LedgerFailed: What lies there is no such word.
        StorageFailed: It cannot be read.
    """
    path = state_dir / HOME_NAME
    try:
        with path.open("rb") as file:
            read = file.read(64)
    except OSError as error:
        if says_not_there(error):
            return None
        raise StorageFailed(path, error, reading=True) from error
    word = read.decode("ascii", "replace").strip()
    if _WORD.fullmatch(word) is None:
        raise LedgerFailed(
            path,
            "this is not the word of a state folder: 12 small letters and digits",
            hint="write the word there that the runs of this folder begin with, as `stage3 "
            "attempts --all --json` has them (run_id)",
        )
    return word


def new_run_id(home: str) -> str:
    """Return a name for a run of a home, which no other run has."""
    return f"{home}-{uuid.uuid4().hex}"


def without_home(run_id: str) -> str:
    """Return what tells a run from the others of its home: what people name it by."""
    return run_id.rpartition("-")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Homes:
    """Whose the runs of a ledger are, as one state folder sees it.

    Attributes:
        own: The word of this folder; ``None`` if no run has begun in it.
        is_alone: The ledger lies in this folder, so that all its runs are of it.
    """

    own: str | None
    is_alone: bool = True

    def other(self, run_id: str) -> str | None:
        """Return the home of a run that is of another folder; ``None`` if it is of this one."""
        if self.is_alone:
            return None
        home = run_id.partition("-")[0]
        return None if home == self.own else home
