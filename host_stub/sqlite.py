"""How a database file of ours is opened, whichever it is: the book of a story, or a ledger.

Apart from both, which know what is in theirs and say their errors: this knows files and
connections, and raises what the system and SQLite raise. Like the contract it is no host, and the
plugin's ledger imports it too.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, TypeAlias

BUSY_TIMEOUT_S: Final = 30
_LOG_TRIES, _LOG_WAIT_S = 100, 0.02
"""Two seconds in all: making a database takes some milliseconds."""
_MAKING: Final = Lock()
_PRAGMAS: Final = (
    "synchronous=FULL",  # else a power cut takes back what was reported as durable
    "fullfsync=1",
    "checkpoint_fullfsync=1",
    "foreign_keys=1",
    "trusted_schema=0",  # the file may be anybody's
)
Numbers: TypeAlias = tuple[int, int]
"""A file's device and its number there, by which the system knows it under any name."""


class Marks(NamedTuple):
    """What says whose database it is.

    Attributes:
        application_id: Of the program.
        version: Of its tables; 0 if there are none of ours.
    """

    application_id: int
    version: int


def make_file(path: Path) -> bool:
    """Make an empty file that its owner alone can read, unless there is one; return whether.

    SQLite would let everybody read it; its other files take over this one's mode. One that is there
    is never opened here: closing a file, by any descriptor of it, takes this process's POSIX locks
    off it, and with them those of SQLite's connections. Another run that ended would then take
    itself for the last one and remove the log that this one goes on writing to
    (https://sqlite.org/howtocorrupt.html, section 2.2).

    Raises:
        OSError: It cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        with _MAKING:  # no thread here writes to one that is about to be closed
            os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        return False
    return True


def connected(path: Path, how: str = "mode=rw") -> sqlite3.Connection:
    """Open a file that is there, in autocommit, so that what is committed is on the disk.

    Raises:
        sqlite3.Error: It cannot be opened, or is no database.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_S,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def in_memory() -> sqlite3.Connection:
    """Open an empty database that lies nowhere."""
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def how_to_look(path: Path) -> str | None:
    """Return how SQLite is to open a file beside which nothing can be written.

    It keeps its memory for many readers in a file beside it. Where there is no log, nothing needs
    that; where the memory is there as well, it can be read as it is. ``None``: there is a log that
    cannot be read here.
    """
    log, memory = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if not (log.is_file() and log.stat().st_size):
        return "mode=ro&immutable=1"
    return "mode=ro" if memory.is_file() else None


def keep_a_log(connection: sqlite3.Connection) -> str:
    """Switch to a write-ahead log, and return the mode that holds then.

    Where another one begins at the same moment, SQLite says at once that the database is locked,
    whatever ``busy_timeout`` is: its busy handler is not asked when the mode is changed.
    """
    for left in reversed(range(_LOG_TRIES)):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not left:
                raise
            time.sleep(_LOG_WAIT_S)
        else:
            return str(mode)
    raise ValueError("it was not even tried")


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Generator[None]:
    """Read one state of a database in the block, also while others write."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def all_or_nothing(connection: sqlite3.Connection) -> Generator[None]:
    """Write in the block alone; what fails is undone, unless a full disk has done so already."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def marks(connection: sqlite3.Connection) -> Marks:
    """Return what a database is marked with."""
    (name,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return Marks(name, version)


def mark(connection: sqlite3.Connection, marks: Marks) -> None:
    """Mark a database, inside a transaction."""
    connection.execute(f"PRAGMA application_id={marks.application_id}")
    connection.execute(f"PRAGMA user_version={marks.version}")


def marks_of_file(path: Path) -> Marks | None:
    """Return what a file is marked with before anything is opened; ``None`` if it does not say.

    Nothing is written beside it, and no lock of this process is let go. Its header lies in the file
    itself from its making on, whatever is in its log.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - never raises; and a pipe would be waited for
        return None
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as file:
            return marks(file)
    except sqlite3.Error:  # opening it says why
        return None


def has_tables(connection: sqlite3.Connection) -> bool:
    """Return whether there is anything in a database."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(tables)


def numbers_of(path: str | os.PathLike[str]) -> Numbers | None:
    """Return what the system knows a file by; ``None`` if there is none of this name."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at every commit, and a Path would take longer
    except OSError:  # gone; or a folder around it may not be searched: it is not to be found
        return None
    return found.st_dev, found.st_ino
