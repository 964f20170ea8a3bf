# ruff: noqa: S608 - put together from names of this file's tables, never from data
"""What keeps a ledger's file from being bought by once it was moved to a server.

The file itself does it, by triggers and a view, so that it holds against programs of any version
and against one that has it open: from the moment the move begins, nothing can be written to it;
from its end on, no purchase can be read there either, and what SQLite says then is where it went.
Nothing is deleted: the rows stay for whoever has to look.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stage3_plugin.ledger.records import moment

TABLES: Final = ("jobs", "purchases", "events", "counters", "meta")
"""All that a ledger has, in an order in which a row comes after those that it speaks of."""
_KEPT: Final = "moved_purchases"
_BEING_MOVED: Final = "this ledger is being moved to "
_WAS_MOVED: Final = "this ledger was moved to "


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a file says of its move.

    Attributes:
        token: Drawn for it; what it became has the same.
        where: Where it goes or went, as people are shown it.
        is_finished: All of it is there, and nothing of it is here any more.
    """

    token: str
    where: str
    is_finished: bool

    @property
    def words(self) -> str:
        """Return what is said of the file."""
        return f"{_WAS_MOVED if self.is_finished else _BEING_MOVED}{self.where}"


def seal_of(connection: sqlite3.Connection) -> Seal | None:
    """Return a file's seal; ``None`` for one that was never moved."""
    row = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'moved'"
    ).fetchone()
    if row is None:
        return None
    token, where, is_finished = connection.execute(
        "SELECT token, where_to, is_finished FROM moved"
    ).fetchone()
    return Seal(token=token, where=where, is_finished=bool(is_finished))


def begin(connection: sqlite3.Connection, *, token: str, where: str, now: datetime) -> Seal:
    """Keep everybody from writing, inside a transaction of the caller's."""
    seal = Seal(token=token, where=where, is_finished=False)
    connection.execute(
        "CREATE TABLE moved (token TEXT NOT NULL, where_to TEXT NOT NULL, at TEXT NOT NULL, "
        "is_finished INTEGER NOT NULL CHECK (is_finished IN (0, 1))) STRICT"
    )
    connection.execute("INSERT INTO moved VALUES (?, ?, ?, 0)", (token, where, moment(now)))
    _guard(connection, seal, TABLES)
    return seal


def take_back(connection: sqlite3.Connection) -> None:
    """Let the file be written to again, inside a transaction of the caller's."""
    _unguard(connection, TABLES)
    connection.execute("DROP TABLE moved")


def finish(connection: sqlite3.Connection, seal: Seal) -> Seal:
    """Keep everybody from reading purchases, too, inside a transaction of the caller's.

    A program that has it open reads them before it buys, and looks at little else. SQLite has
    no way to raise words of one's own from a view; but it names the column that it cannot tell from
    another one, and adds nothing behind it.
    """
    done = Seal(token=seal.token, where=seal.where, is_finished=True)
    _unguard(connection, TABLES)
    connection.execute("UPDATE moved SET is_finished = 1")
    connection.execute(f"ALTER TABLE purchases RENAME TO {_KEPT}")
    _guard(connection, done, (*(table for table in TABLES if table != "purchases"), _KEPT))
    name = '"' + done.words.replace('"', '""') + '"'
    connection.execute(
        f"CREATE VIEW purchases AS SELECT {name} FROM (SELECT 1 AS {name}) JOIN "
        f"(SELECT 1 AS {name})"
    )
    return done


def _guard(connection: sqlite3.Connection, seal: Seal, tables: tuple[str, ...]) -> None:
    words = "'" + seal.words.replace("'", "''") + "'"
    for table in tables:
        for verb in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER moved_{table}_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, {words}); END"
            )


def _unguard(connection: sqlite3.Connection, tables: tuple[str, ...]) -> None:
    for table in tables:
        for verb in ("insert", "update", "delete"):
            connection.execute(f"DROP TRIGGER moved_{table}_{verb}")


def says_moved(message: str) -> bool:
    """Return whether an error of SQLite's is a seal's."""
    return _BEING_MOVED in message or _WAS_MOVED in message
