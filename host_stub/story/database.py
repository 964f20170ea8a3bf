"""The book's file: opened, made durable and current, and written to in transactions.

What is written in a transaction is durable once its end has returned, or was never there. Reads go
through a connection of their own, so that an event loop that asks what is wanted does not wait for
a disk that is just taking what another thread writes. Apart from the book, which knows what is
written.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock, RLock, get_ident
from typing import Any, Final

from host_stub.errors import StoryError
from host_stub.story.folder import (
    BOOK,
    is_begun,
    make_folders,
    refuse_other_kinds,
    sync_folder,
    way_out,
)
from host_stub.story.schema import APPLICATION_ID, SCHEMA, VERSION

BUSY_TIMEOUT_MS: Final = 30_000
_LOG_TRIES, _LOG_WAIT_S = 100, 0.02
_MAKING: Final = Lock()
_OF_THE_SYSTEM: Final = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN
)  # fmt: skip

AWAY: Final = (
    "put the folder back from a copy; or move it out of .story and run again: takes that were paid "
    "for are found again, and what was picked, imported, rejected and noted is lost"
)


class Database:
    """An opened book's file, for several threads; made by :meth:`to_write` and :meth:`to_read`.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self.path = path
        self._writer, self._reader = writer, reader
        self._writing = RLock()
        self._reading = self._writing if writer is reader else RLock()
        self._depth = 0
        self._owner: int | None = None
        self._identity = _numbers_of(path)

    @classmethod
    def to_write(cls, folder: Path) -> Database:
        """Open the book in a folder; both are made if they are not there.

        Raises:
            StoryError: It is a book of another version, something else, or it cannot be opened.
        """
        path = folder / BOOK
        try:
            make_folders(folder)
            _is_written(path)
            _make(path)
            sync_folder(folder)
        except OSError as error:
            raise StoryError(
                path, error.strerror or type(error).__name__, hint=way_out(path)
            ) from error
        with _translated(path):
            writer = _connected(path, "mode=rw")
            try:
                _make_tables(writer, path)
                _keep_a_log(writer)
                reader = _connected(path, "mode=rw")
                reader.execute("PRAGMA query_only=1")
            except BaseException:
                writer.close()
                raise
        return cls(path, writer, reader)

    @classmethod
    def to_read(cls, folder: Path) -> Database:
        """Open the book in a folder so that nothing can be written; an absent one is empty.

        Raises:
            StoryError: It is a book of another version, something else, or it cannot be opened.
        """
        path = folder / BOOK
        for one in (folder.parent, folder, path):
            refuse_other_kinds(one)
        with _translated(path):
            reader = _connected(path, _how_to_look(path)) if _is_written(path) else _in_memory()
            try:
                if not _is_made(reader, path):
                    reader.close()
                    reader = _in_memory()
                    _make_tables(reader, path)
                reader.execute("PRAGMA query_only=1")
            except BaseException:
                reader.close()
                raise
        return cls(path, reader, reader)

    def in_memory(self) -> Database:
        """Return a copy of the book that lies in memory and can be written to."""
        copy = _in_memory()
        try:
            with _translated(self.path), self._reading:
                self._reader.backup(copy)
                copy.execute("PRAGMA foreign_keys=1")
        except BaseException:
            copy.close()
            raise
        return Database(self.path, copy, copy)

    def close(self) -> None:
        """Close it; a transaction that is not ended is undone."""
        self._reader.close()
        self._writer.close()

    def read(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query; inside a transaction of this thread, what it has written."""
        try:
            if self._owner == get_ident():
                return self._writer.execute(statement, values).fetchall()
            with self._reading:
                return self._reader.execute(statement, values).fetchall()
        except (OSError, sqlite3.Error) as error:
            raise _as_ours(self.path, error) from error

    def write(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement inside a transaction of this thread."""
        if self._owner != get_ident():
            raise AssertionError("outside of a transaction each write would be its own")
        with _translated(self.path):
            return self._writer.execute(statement, values)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make what is written in the block durable at its end, or undo it if the block fails.

        A transaction inside another one is part of it.

        Raises:
            StoryError: The disk did not take it, or the book is not any more where it was opened.
        """
        with self._writing:
            if self._depth:
                yield
                return
            with _translated(self.path):
                self._writer.execute("BEGIN IMMEDIATE")
            self._depth, self._owner = 1, get_ident()
            try:
                yield
                with _translated(self.path):
                    self._writer.execute("COMMIT")
            except BaseException:
                with _translated(self.path):
                    if self._writer.in_transaction:  # a full disk has undone it already
                        self._writer.execute("ROLLBACK")
                raise
            finally:
                self._depth, self._owner = 0, None
            is_copy = self._writer is self._reader
            if not is_copy and _numbers_of(self.path) != self._identity:
                raise StoryError(
                    self.path,
                    "it was moved or removed while it was open, so what was written is lost",
                    hint="run again; takes that were paid for are found again",
                )


def _is_written(path: Path) -> bool:
    """Return whether there is a book.

    Raises:
        StoryError: There was one: what lies beside it is of a story that had begun.
    """
    was_begun = is_begun(path.parent)  # looked at first: another run may be making the story
    is_there = path.is_file() and path.stat().st_size > 0
    if was_begun and not is_there:
        raise StoryError(
            path, "it is empty or not there, and what lies beside it is of a story", hint=AWAY
        )
    return is_there


def _make(path: Path) -> None:
    """Make an empty file that its owner alone can read, unless there is one.

    One that is there is not opened here: closing a file takes this process's POSIX locks off it,
    and with them those of SQLite's connections (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    refuse_other_kinds(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        with _MAKING:
            os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StoryError(path, "it is no file", hint=AWAY) from None


def _connected(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    try:
        for pragma in (
            "synchronous=FULL",  # else a power cut takes back what was reported as durable
            "fullfsync=1",
            "checkpoint_fullfsync=1",
            "foreign_keys=1",
            "trusted_schema=0",  # the file may be anybody's
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:  # it is no database, say
        connection.close()
        raise
    return connection


def _in_memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _how_to_look(path: Path) -> str:
    """Return how SQLite is to open a file beside which nothing can be written.

    Where there is no log, nothing beside it is needed.
    """
    if os.access(path.parent, os.W_OK | os.X_OK) and os.access(path, os.W_OK):
        return "mode=rw"
    log, memory = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    has_log = log.is_file() and log.stat().st_size > 0
    return "mode=ro" if has_log and memory.is_file() else "mode=ro&immutable=1"


def refuse_a_snapshots(folder: Path) -> None:
    """Refuse a story whose book a snapshot made; anything else is left to whoever opens it.

    Nothing is written beside it.

    Raises:
        StoryError: It is one.
    """
    path = folder / BOOK
    if not os.path.isfile(path):  # noqa: PTH113 - never raises; and a pipe would be waited for
        return
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as reader:
            (version,) = reader.execute("PRAGMA user_version").fetchone()
            (name,) = reader.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error:  # opening it says why
        return
    if name == APPLICATION_ID and 0 < version < VERSION:
        raise StoryError(
            path,
            f"it is the book of a snapshot before the first release (its form is {version}, known "
            f"here is {VERSION}), and is left as it is: what was picked, imported, rejected and "
            "noted is in it, and a new book has none of that",
            hint="go on with it by the checkout that wrote it; or begin anew: move the folder out "
            "of .story, or use another folder for the results with --out, and bring pictures along "
            "with 'host-stub import SCENE FILE'",
        )


def _is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether a database is a book; one that is empty may become one.

    Raises:
        StoryError: It is a newer one, or something else.
    """
    connection.execute("BEGIN")  # another run may be making it
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (name,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.execute("ROLLBACK")
    if (version or tables) and name != APPLICATION_ID:
        raise StoryError(path, "it is a database, but no story's", hint=AWAY)
    if version > VERSION:
        raise StoryError(
            path,
            f"it was written by a newer version (its form is {version}, known here is {VERSION})",
            hint="install the newer version of stage3-plugin again, or use another folder for the "
            "results with --out",
        )
    return bool(version)


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    if _is_made(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:  # else another run was quicker
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite's busy handler is not asked when the mode is changed."""
    for left in reversed(range(_LOG_TRIES)):
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not left:
                raise
            time.sleep(_LOG_WAIT_S)
        else:
            return


def _numbers_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _translated(path: Path) -> Generator[None]:
    """Raise the database's errors, and the system's, as the host's."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise _as_ours(path, error) from error


def _as_ours(path: Path, error: OSError | sqlite3.Error) -> StoryError:
    if isinstance(error, OSError):
        return StoryError(path, str(error.strerror), hint=way_out(path))
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    hint = way_out(path) if kind in _OF_THE_SYSTEM else AWAY
    if kind == sqlite3.SQLITE_BUSY:
        hint = "wait until the other run has ended"
    return StoryError(path, str(error), hint=hint)
