"""Makes a connection durable, and a ledger's tables where there are none, wholly or not at all.

Apart from the schema, which is statements alone, and from the database, which opens files: this is
what happens once between the two, while no other program may use it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from host_stub import sqlite
from stage3_plugin.errors import LedgerFailed, LedgerSealed, SettingsRefused
from stage3_plugin.ledger.refusal import newer
from stage3_plugin.ledger.schema import APPLICATION_ID, SCHEMA, VERSION
from stage3_plugin.ledger.sealing import seal_of

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""


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
    if not is_made(connection, path):
        make(connection, path)
    # Only now: a file that is not a ledger was left as it is.
    if sqlite.keep_a_log(connection) != "wal":
        raise LedgerFailed(
            path,
            "the file system does not let SQLite keep a write-ahead log",
            hint="keep state_dir on a disk of this machine",
        )


def connected(path: Path, how: str = "mode=rw") -> sqlite3.Connection:
    """Open a file, whatever is in it.

    Raises:
        LedgerFailed: SQLite is too old.
        sqlite3.Error: To be translated by the caller.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise LedgerFailed(
            path,
            f"SQLite {sqlite3.sqlite_version} is too old, {oldest} is needed",
            hint="use a Python that was built with a newer SQLite",
        )
    return sqlite.connected(path, how)


def is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether a database is a ledger; one that is empty may become one.

    Raises:
        SettingsRefused: It is newer than we are, or not a ledger, or was moved to a server.
    """
    with sqlite.one_moment(connection):  # another run may be making it
        name, version = sqlite.marks(connection)
        has_tables = sqlite.has_tables(connection)
        seal = seal_of(connection) if name == APPLICATION_ID else None
    if version == 0 and not has_tables:
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
    sqlite.mark(connection, sqlite.Marks(APPLICATION_ID, VERSION))


def make(connection: sqlite3.Connection, path: Path) -> None:
    """Make a ledger of an empty database, wholly or not at all, unless another process was quicker.

    Args:
        connection: In autocommit.
        path: Its file; for messages.
    """
    with sqlite.all_or_nothing(connection):
        if not is_made(connection, path):  # again, now that no other program can be making it
            _fill(connection)
