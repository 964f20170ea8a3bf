"""SQLite's engine: the ledger's file, opened, made durable and current.

Apart from the database that writes in it, which knows transactions and no files.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from errno import EACCES, EISDIR, EROFS
from pathlib import Path
from typing import Any

from host_stub import sqlite
from stage3_plugin.errors import LedgerFailed, StorageFailed
from stage3_plugin.files.private_folders import keep_private, make_anchored, sync_folder
from stage3_plugin.ledger import identity
from stage3_plugin.ledger.engine import Execute
from stage3_plugin.ledger.making import connected, is_made, make, prepare
from stage3_plugin.ledger.refusal import refuse_a_snapshots
from stage3_plugin.ledger.translation import ledger_failed
from stage3_plugin.runtime.system_errors import says_not_there


def _make(path: Path) -> None:
    """Make an empty database that its owner alone can read, unless there is one.

    Raises:
        OSError: It cannot be made, or what is there cannot be written to.
    """
    if sqlite.make_file(path):
        return
    if stat.S_ISDIR(path.stat().st_mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    if not os.access(path, os.R_OK | os.W_OK):  # SQLite would read, and fail to write later
        number = EROFS if is_read_only(path.parent) else EACCES
        raise OSError(number, os.strerror(number))
    for end in ("", "-wal", "-shm"):
        keep_private(path.with_name(path.name + end))


def is_file(path: Path) -> bool:
    """Return whether there is a file.

    Raises:
        StorageFailed: The system does not say: a folder above it may not be searched, say.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if says_not_there(error):
            return False
        raise StorageFailed(path, error, reading=True) from error


def is_read_only(folder: Path) -> bool:
    """Return whether a folder is on a file system that can only be read, by any user."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):  # Windows has no such question
        return False


def may_write_in(folder: Path) -> bool:
    """Return whether a file can be made in a folder, as far as the system says."""
    return os.access(folder, os.W_OK | os.X_OK)


def _how_to_look(path: Path) -> str:
    """Return how SQLite is to open a database beside which nothing can be written.

    Raises:
        LedgerFailed: There is a log, and no way to read it here.
    """
    try:
        how = sqlite.how_to_look(path)
    except OSError as error:
        raise StorageFailed(path, error, reading=True) from error
    if how is not None:
        return how
    raise LedgerFailed(
        path,
        f"a part of it is still in its log, {path.name}-wal, which cannot be read where nothing "
        "can be written",
        number=EROFS if is_read_only(path.parent) else EACCES,
        hint="copy the whole folder to a disk that can be written to, and look there",
    )


def open_to_write(path: Path) -> SqliteEngine:
    """Open a ledger to write; it is made if there is none.

    Raises:
        SettingsRefused: The file is a ledger of another version, or something else.
        StorageFailed: It cannot be made or opened.
    """
    refuse_a_snapshots(path)
    try:
        make_anchored(path.parent)
        _make(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageFailed(path, error) from error
    before = sqlite.numbers_of(path)
    opened = _opened(path, lambda connection: prepare(connection, path))
    try:
        opened.note_identity(before)
    except sqlite3.Error as error:
        raise ledger_failed(path, error) from error
    return opened


def open_to_read(path: Path) -> SqliteEngine | None:
    """Open a ledger so that nothing can be written; ``None`` if there is none.

    Raises:
        SettingsRefused: The file is a ledger of another version, or something else.
        LedgerFailed: It cannot be opened.
    """
    if not is_file(path):
        return None
    refuse_a_snapshots(path)
    how = "mode=rw" if may_write_in(path.parent) else _how_to_look(path)
    opened = _opened(path, lambda _connection: None, how)
    try:
        return _current(opened)
    except BaseException:
        opened.close()
        raise


def _opened(
    path: Path, make_ready: Callable[[sqlite3.Connection], None], how: str = "mode=rw"
) -> SqliteEngine:
    opening = identity.opening(path)
    try:
        connection = connected(path, how)
        try:
            make_ready(connection)
        except BaseException:
            connection.close()
            raise
    except BaseException as error:
        identity.closed(opening)
        if isinstance(error, sqlite3.Error):
            raise ledger_failed(path, error) from error
        raise
    return SqliteEngine(path, connection, opening)


def _current(opened: SqliteEngine) -> SqliteEngine:
    """Return a ledger that only reads; one that has no tables yet has them in memory."""
    try:
        if not is_made(opened.connection, opened.path):
            opened.connection.close()
            opened = in_memory(opened.path, opened.opening)
        opened.execute("PRAGMA query_only=1")
    except sqlite3.Error as error:
        raise ledger_failed(opened.path, error) from error
    return opened


def in_memory(path: Path, opening: identity.Opening) -> SqliteEngine:
    """Make a ledger that has nothing in it, and lies nowhere."""
    connection = sqlite.in_memory()
    make(connection, path)
    return SqliteEngine(path, connection, opening)


class SqliteEngine:
    """A connection to a file.

    Attributes:
        connection: SQLite's own.
        opening: By which a forked process knows that it is not its own.
    """

    begin: tuple[str, ...] = ("BEGIN IMMEDIATE",)

    def __init__(
        self, path: Path, connection: sqlite3.Connection, opening: identity.Opening
    ) -> None:
        self.path = path
        self.shown = str(path)
        self.connection = connection
        self.opening = opening
        self.execute: Execute = connection.execute
        self._identity: identity.Identity | None = None

    def note_identity(self, before: sqlite.Numbers | None) -> None:
        """Note what was opened, so that each transaction sees whether it is still there.

        Args:
            before: What the ledger's name meant before it was opened.
        """
        self.execute("PRAGMA schema_version").fetchone()  # a log comes to be with the first read
        # As bytes: what a folder is called need not be UTF-8.
        (stored,) = self.execute(
            "SELECT CAST(file AS BLOB) FROM pragma_database_list WHERE name = 'main'"
        ).fetchone()
        self._identity = identity.Identity(self.path, before, Path(os.fsdecode(stored)))

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """Yield what a statement finds, a row at a time: SQLite keeps none."""
        with self.one_moment():
            yield from self.execute(statement, values)

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction goes on: SQLite undoes one by itself on a full disk."""
        return self.connection.in_transaction

    def run(self, statement: str) -> None:
        """Run a statement that begins, ends or divides a transaction."""
        self.execute(statement)

    def one_moment(self) -> AbstractContextManager[None]:
        """Read one state of the file in the block."""
        return sqlite.one_moment(self.connection)

    def why_not_here(self) -> LedgerFailed | None:
        """Return whether the file that is open is still the one that its folder means."""
        return None if self._identity is None else self._identity.why_not()

    def damage(self) -> list[str]:
        """Ask SQLite what is damaged; where too much is for its own check, that is its answer."""
        try:
            checked = self.execute("PRAGMA integrity_check(20)").fetchall()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            return [str(error)]
        return [line for (line,) in checked if line != "ok"]

    def show_home(self, home: str) -> None:
        """Do nothing: a file has one home, and the system's locks show who lives there."""

    def home_is_connected(self, home: str) -> bool:
        """Return that none is known to be."""
        del home
        return False

    def translated(self, error: Exception) -> LedgerFailed | None:
        """Say in our words what an error of SQLite means."""
        return ledger_failed(self.path, error) if isinstance(error, sqlite3.Error) else None

    def close(self) -> None:
        """Close the connection; a transaction that is not committed is undone.

        One that this process was forked with is left as it is: it is its parent's to be closed.
        """
        if identity.is_inherited(self.opening):
            return
        self.connection.close()
        identity.closed(self.opening)
