"""Makes a connection durable, and a ledger's tables where there are none, wholly or not at all.

Apart from the schema, which is statements alone, and from the database, which opens files: this is
what happens once between the two, while no other program may use it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stage3_plugin.errors import LedgerFailed, LedgerSealed, SettingsRefused
from stage3_plugin.ledger.refusal import newer
from stage3_plugin.ledger.schema import APPLICATION_ID, SCHEMA, VERSION
from stage3_plugin.ledger.sealing import seal_of

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
BUSY_TIMEOUT_MS = 30_000
_LOG_TRIES, _LOG_WAIT_S = 100, 0.02
"""Two seconds in all: making a ledger takes some milliseconds."""


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make a connection durable, and the ledger's tables where there are none.

    Args:
        connection: In autocommit (``isolation_level=None``).
        path: For messages.

    Raises:
        SettingsRefused: The file is a newer ledger, or none at all.
        LedgerFailed: SQLite is too old, or the file system has no WAL.
        sqlite3.Error: To be translated by the caller.
    """
    configure(connection, path)
    if not is_made(connection, path):
        make(connection, path)
    # Only now: a file that is not a ledger was left as it is.
    mode = _with_a_log(connection)
    if mode != "wal":
        raise LedgerFailed(
            path,
            "the file system does not let SQLite keep a write-ahead log",
            hint="keep state_dir on a disk of this machine",
        )


def _with_a_log(connection: sqlite3.Connection) -> str:
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


def configure(connection: sqlite3.Connection, path: Path) -> None:
    """Set what holds for one connection; nothing is written.

    Without ``synchronous=FULL`` a power cut takes back commits that were reported as durable.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise LedgerFailed(
            path,
            f"SQLite {sqlite3.sqlite_version} is too old, {oldest} is needed",
            hint="use a Python that was built with a newer SQLite",
        )
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "synchronous=FULL",
        "fullfsync=1",
        "checkpoint_fullfsync=1",
        "foreign_keys=1",
        "trusted_schema=0",
    ):
        connection.execute(f"PRAGMA {pragma}")


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


def is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether a database is a ledger; one that is empty may become one.

    Raises:
        SettingsRefused: It is newer than we are, or not a ledger, or was moved to a server.
    """
    with one_moment(connection):  # another run may be making it
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (name,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        seal = seal_of(connection) if name == APPLICATION_ID else None
    if version == 0 and tables == 0:
        return False
    if name != APPLICATION_ID:
        raise SettingsRefused(
            "state_dir",
            f"{path} is a database, but not a ledger",
            hint="name another folder, or move the file away",
        )
    if version > VERSION:
        raise newer("state_dir", str(path), str(version))
    if seal is not None:
        raise LedgerSealed(path, seal.where, seal.token, is_finished=seal.is_finished)
    return True


def _fill(connection: sqlite3.Connection) -> None:
    """Make the tables and what holds their rows, inside a transaction."""
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def make(connection: sqlite3.Connection, path: Path) -> None:
    """Make a ledger of an empty database, wholly or not at all, unless another process was quicker.

    Args:
        connection: In autocommit.
        path: Its file; for messages.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_made(connection, path):  # again, now that no other program can be making it
            _fill(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
