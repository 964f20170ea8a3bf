"""What SQLite's errors mean to a person who need not know SQLite.

The one place where they are turned into ours. It goes by the primary result code, which is the same
in every version; the wording of SQLite's messages is not. A full disk is asked for itself, because
SQLite calls it by several names.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Mapping
from errno import EACCES, EAGAIN, EDQUOT, EIO, ENAMETOOLONG, ENOENT, ENOSPC
from pathlib import Path
from typing import Final, NamedTuple

from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.sealing import says_moved
from stage3_plugin.runtime.system_errors import hint_for


class Meaning(NamedTuple):
    """What an error is called, its nearest number of the operating system, and what to do."""

    problem: str
    number: int
    hint: str

    def of(self, place: Path | str) -> LedgerFailed:
        """Say it of a ledger."""
        return LedgerFailed(place, self.problem, number=self.number, hint=self.hint)


_CHECK_DISK = "check the disk; 'stage3 verify' tells what is damaged"

MEANINGS: Final[Mapping[int, Meaning]] = {
    sqlite3.SQLITE_FULL: Meaning(
        "the disk is full", ENOSPC, "free space on the disk, and run again: nothing is paid twice"
    ),
    sqlite3.SQLITE_BUSY: Meaning(
        "another process keeps it locked", EAGAIN, "wait for the other process, and run again"
    ),
    sqlite3.SQLITE_LOCKED: Meaning(
        "another connection keeps it locked", EAGAIN, "wait for the other run, and run again"
    ),
    sqlite3.SQLITE_READONLY: Meaning(
        "it may not be written to", EACCES, "check the permissions of the file and its folder"
    ),
    sqlite3.SQLITE_PERM: Meaning(
        "it may not be opened", EACCES, "check the permissions of the file and its folder"
    ),
    sqlite3.SQLITE_CANTOPEN: Meaning(
        "it cannot be opened", ENOENT, "check the folder's permissions, and free space on the disk"
    ),
    # No word of 'stage3 verify': it needs the same disk, and may be what has just failed.
    sqlite3.SQLITE_IOERR: Meaning(
        "the disk failed to read or write it",
        EIO,
        "look for what the system's log says of the disk; copy the folder to another one before "
        "anything else",
    ),
    sqlite3.SQLITE_CORRUPT: Meaning(
        "it is damaged", EIO, "move it away and bring back a copy; the pictures are still there"
    ),
    sqlite3.SQLITE_NOTADB: Meaning(
        "the file is not a database", EIO, "name another folder with state_dir, or move it away"
    ),
    sqlite3.SQLITE_NOMEM: Meaning("there is no memory left for it", EIO, "free memory, run again"),
}
"""By primary result code (https://www.sqlite.org/rescode.html); those that are not our mistake."""

_OF_A_FULL_DISK_TOO: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
"""Even to read, SQLite keeps a file of shared memory beside the database; one that cannot be made
or grown is an input and output error (``SQLITE_IOERR_SHMSIZE``), or cannot be opened."""
_LONGEST_PATH_BYTES: Final = 512
"""``MAX_PATHNAME`` of SQLite's ``os_unix.c``, the ends of its other files included."""
_OF_ANOTHER_SCHEMA: Final = ("no such ", "duplicate column", "table ", "index ", "trigger ")
"""How SQLite says that a table is missing, or there already."""
_NEEDED_BYTES: Final = 64 * 1024
"""Twice the least length of that file."""


def ledger_failed(path: Path, error: sqlite3.Error) -> LedgerFailed:
    """Say in our words what a database error means."""
    # Errors of the module itself, such as a closed connection, have no code of SQLite.
    code: int = getattr(error, "sqlite_errorcode", 0)
    code &= 0xFF
    if code in _OF_A_FULL_DISK_TOO and _has_no_room(path.parent):
        code = sqlite3.SQLITE_FULL
    if code == sqlite3.SQLITE_CANTOPEN:
        if len(os.fsencode(path.absolute())) + len("-journal") >= _LONGEST_PATH_BYTES:
            return LedgerFailed(
                path,
                f"its path is longer than the {_LONGEST_PATH_BYTES} bytes that SQLite takes",
                number=ENAMETOOLONG,
                hint="choose a state_dir with a shorter path",
            )
        lack = _lack_of_descriptors()
        if lack is not None:
            return LedgerFailed(
                path, str(lack.strerror), number=lack.errno or EIO, hint=hint_for(lack)
            )
    meaning = MEANINGS.get(code)
    if meaning is not None:
        return meaning.of(path)
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(_OF_ANOTHER_SCHEMA):
        return LedgerFailed(
            path,
            f"its tables are not those of the version that it is marked with ({error})",
            hint="somebody has changed it: move it away and bring back a copy; the pictures are "
            "still there",
        )
    if says_moved(str(error)):  # while it was open here
        return LedgerFailed(
            path,
            str(error),
            number=EACCES,
            hint="run again with the setting `ledger` that it was moved by; nothing is paid twice",
        )
    # A rule of the schema, named by the schema, or a mistake of ours: no values in either.
    return LedgerFailed(path, str(error), hint="this is a mistake in the program; please report it")


def _lack_of_descriptors() -> OSError | None:
    """Return the error of a process, or a system, that has no more descriptors.

    By opening something else: closing the database would take this process's locks off it.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error
    return None


def _has_no_room(folder: Path) -> bool:
    """Return whether a disk takes no more, or no more of ours, by writing to it.

    How much is free by its own account does not show quotas, or that no file can be begun.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\1" * _NEEDED_BYTES)
            file.flush()
    except OSError as error:
        return error.errno in {ENOSPC, EDQUOT}
    return False


def damaged(place: Path | str, error: ValueError) -> LedgerFailed:
    """Say that a row was not written by us."""
    return LedgerFailed(place, str(error), hint=_CHECK_DISK)
