"""Keeps a ledger as an older version left it, before its schema changes.

A copy has a name that no program opens as a ledger, so that nothing is bought by it: it is there
for a person who wants to go back. Apart from the schema, which knows statements and no files.
"""

from __future__ import annotations

import glob
import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from stage3_plugin.errors import StorageFailed


def keep_copy(path: Path, version: int) -> Path:
    """Copy a ledger to the file system's durable side, and return the copy's path.

    To be called under the database's write lock and before anything is written, so that the copy is
    what the change begins with, and no other program makes one meanwhile.

    Raises:
        StorageFailed: The copy cannot be made; nothing of it is left.
        sqlite3.Error: Likewise.
    """
    made = _unused(path, f"{path.stem}-schema-{version}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    unfinished = path.with_name(f"{path.stem}-schema-{version}.copying")
    try:
        unfinished.unlink(missing_ok=True)  # of a process that was killed over it
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        _copy(path, unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(made)
        _sync_folder(made.parent)
    except OSError as error:
        _forget(unfinished)
        raise StorageFailed(made, error) from error
    except BaseException:
        _forget(unfinished)
        raise
    return made


def copies_of(path: Path) -> list[Path]:
    """Find the copies that were kept of a ledger, oldest version first."""
    return sorted(path.parent.glob(f"{glob.escape(path.stem)}-schema-*.copy"))


def fault_of(copy: Path) -> str | None:
    """Return what is wrong with a copy; ``None`` for one that is whole."""
    try:
        # It is never written to, so that it can be read without a file beside it.
        uri = f"{copy.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as reader:
            (found,) = reader.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found)


def _copy(source: Path, target: Path) -> None:
    """Copy with a connection that only reads; the one that has the lock cannot be copied from."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
        closing(sqlite3.connect(target)) as writer,
    ):
        reader.backup(writer)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where a folder can be opened at all."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unused(path: Path, stem: str) -> Path:
    """Name a file that is not there yet: an earlier copy is never replaced."""
    number = 1
    made = path.with_name(f"{stem}.copy")
    while made.exists():
        number += 1
        made = path.with_name(f"{stem}-{number}.copy")
    return made


def _forget(unfinished: Path) -> None:
    for name in (unfinished.name, f"{unfinished.name}-wal", f"{unfinished.name}-shm",
                 f"{unfinished.name}-journal"):  # fmt: skip
        with suppress(OSError):
            unfinished.with_name(name).unlink(missing_ok=True)
