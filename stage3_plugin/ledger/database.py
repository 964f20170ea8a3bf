"""The ledger's file: opened, made durable and current, and written to in transactions.

What a transaction promises is shown here alone: all of it or nothing, and true only once its end
has returned. Apart from the book, which knows what is written.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager
from errno import EACCES, EISDIR, EROFS
from functools import wraps
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from stage3_plugin.errors import LedgerFailed, StorageFailed
from stage3_plugin.files.private_folders import keep_private, make_anchored, sync_folder
from stage3_plugin.ledger import identity
from stage3_plugin.ledger.migrating import configure, migrate, prepare, version_of
from stage3_plugin.ledger.schema import MIGRATIONS
from stage3_plugin.ledger.translation import ledger_failed
from stage3_plugin.runtime.system_errors import says_not_there

D = TypeVar("D", bound="Database")
P = ParamSpec("P")
T = TypeVar("T")

_MAKING = Lock()


def translated(
    method: Callable[Concatenate[D, P], T],
) -> Callable[Concatenate[D, P], T]:
    """Let a method of the ledger raise the database's errors as ours."""

    @wraps(method)
    def translating(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise ledger_failed(self.path, error) from error

    return translating


def _make(path: Path) -> None:
    """Make an empty database that its owner alone can read, unless there is one.

    SQLite would let everybody read it; its other files take over this one's mode. One that is there
    is never opened here: closing a file, by any descriptor of it, takes this process's POSIX locks
    off it, and with them those of SQLite's connections. Another run that ended would then take
    itself for the last one and remove the log that this one goes on writing to
    (https://sqlite.org/howtocorrupt.html, section 2.2).

    Raises:
        OSError: It cannot be made, or what is there cannot be written to.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        with _MAKING:  # no thread here writes to one that is about to be closed
            os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        if stat.S_ISDIR(path.stat().st_mode):
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR)) from None
        if not os.access(path, os.R_OK | os.W_OK):  # SQLite would read, and fail to write later
            number = EROFS if is_read_only(path.parent) else EACCES
            raise OSError(number, os.strerror(number)) from None
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

    It keeps its memory for many readers in a file beside it. Where there is no log, nothing needs
    that; where the memory is there as well, it can be read as it is.

    Raises:
        LedgerFailed: There is a log, and no way to read it here.
    """
    log, memory = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    try:
        has_log = log.stat().st_size > 0
    except OSError as error:
        if not says_not_there(error):
            raise StorageFailed(log, error, reading=True) from error
        has_log = False
    if not has_log:
        return "mode=ro&immutable=1"
    if is_file(memory):
        return "mode=ro"
    raise LedgerFailed(
        path,
        f"a part of it is still in its log, {log.name}, which cannot be read where nothing can be "
        "written",
        number=EROFS if is_read_only(path.parent) else EACCES,
        hint="copy the whole folder to a disk that can be written to, and look there",
    )


class Database:
    """An opened database; made by :meth:`open` and :meth:`open_to_read`.

    Attributes:
        path: Its file.

    Raises:
        LedgerFailed: Here and in every method: the database did not do what it was asked.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, opening: identity.Opening
    ) -> None:
        self.path = path
        self._connection = connection
        self._opening = opening
        self._identity: identity.Identity | None = None
        self._moved: LedgerFailed | None = None
        self._execute = connection.execute

    # Opening -------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger to write, and bring it up to date; it is made if there is none.

        Raises:
            SettingsRefused: The file is a newer ledger, or something else.
            StorageFailed: It cannot be made or opened.
        """
        try:
            make_anchored(path.parent)
            _make(path)
            sync_folder(path.parent)
        except OSError as error:
            raise StorageFailed(path, error) from error
        before = identity.numbers_of(path)
        opened = cls._opened(
            path, lambda connection: prepare(connection, path, migrations=MIGRATIONS)
        )
        opened.note_identity(before)
        return opened

    @classmethod
    def open_to_read(cls, path: Path) -> Self | None:
        """Open a ledger so that nothing can be written; ``None`` if there is none.

        One of an older version is brought up to date in memory, and stays as it is on the disk.

        Raises:
            SettingsRefused: The file is a newer ledger, or something else.
            LedgerFailed: It cannot be opened.
        """
        if not is_file(path):
            return None
        how = "mode=rw" if may_write_in(path.parent) else _how_to_look(path)
        opened = cls._opened(path, lambda connection: configure(connection, path), how)
        try:
            return cls._current(opened)
        except BaseException:
            opened.close()
            raise

    @classmethod
    def _opened(
        cls,
        path: Path,
        make_ready: Callable[[sqlite3.Connection], None],
        how: str = "mode=rw",
    ) -> Self:
        opening = identity.opening(path)
        try:
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?{how}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=30,
            )
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
        return cls(path, connection, opening)

    @classmethod
    def _current(cls, opened: Self) -> Self:
        """Return a ledger that only reads, in the version that we know how to read."""
        try:
            if version_of(opened._connection, opened.path, MIGRATIONS) < len(MIGRATIONS):
                with closing(opened._connection) as stored:
                    copy = sqlite3.connect(
                        ":memory:", isolation_level=None, check_same_thread=False
                    )
                    stored.backup(copy)
                opened = cls(opened.path, copy, opened._opening)
                migrate(copy, opened.path, MIGRATIONS)
            opened._execute("PRAGMA query_only=1")
        except sqlite3.Error as error:
            raise ledger_failed(opened.path, error) from error
        return opened

    @translated
    def note_identity(self, before: identity.Numbers | None) -> None:
        """Note what was opened, so that each transaction sees whether it is still there.

        Args:
            before: What the ledger's name meant before it was opened.
        """
        self._execute("PRAGMA schema_version").fetchone()  # a log comes to be with the first read
        (_, _, stored) = self._execute("PRAGMA database_list").fetchone()
        self._identity = identity.Identity(self.path, before, Path(stored))

    def close(self) -> None:
        """Close the connection; a transaction that is not committed is undone.

        One that this process was forked with is left as it is: it is its parent's to be closed.
        """
        if identity.is_inherited(self._opening):
            return
        self._connection.close()
        identity.closed(self._opening)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Transactions --------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make what is written in the block durable at its end, or undo it if the block fails.

        No other connection writes meanwhile. Only once the block has ended without an error is
        anything of it durable.

        Raises:
            LedgerMoved: The ledger is not any more where it was opened. What settles a purchase
                was written all the same, to wherever it is now; nothing new is begun in it.
        """
        self._moved = None if self._identity is None else self._identity.why_not()
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            # A full disk has undone all of it already; then this says that there is none.
            self.run("COMMIT")
        except BaseException:
            self.undo("ROLLBACK")
            raise
        if self._identity is not None:
            self._identity.check()

    def is_where_it_was(self) -> None:
        """Check that the next run would find what is begun in this transaction.

        Raises:
            LedgerMoved: It would not.
        """
        if self._moved is not None:
            raise self._moved

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what is written in the block if it fails, and nothing else of the transaction."""
        self._inside()
        return _Savepoint(self)

    @translated
    def run(self, statement: str) -> None:
        """Run a statement that returns nothing."""
        self._execute(statement)

    @translated
    def undo(self, *statements: str) -> None:
        """Take back what was written, unless SQLite has done so already."""
        if self._connection.in_transaction:
            for statement in statements:
                self._execute(statement)

    def _inside(self) -> None:
        """Make sure that a transaction goes on: outside of one, each write would be its own."""
        if not self._connection.in_transaction:
            raise LedgerFailed(
                self.path,
                "there is no transaction, or it was undone",
                hint="look for an earlier error, such as a full disk",
            )


class _Savepoint:
    """A block inside a transaction that can be undone alone.

    Written out, because every purchase goes through two, and a generator takes twice the time.
    """

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.run("SAVEPOINT piece")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._database.run("RELEASE piece")
        else:
            self._database.undo("ROLLBACK TO piece", "RELEASE piece")
