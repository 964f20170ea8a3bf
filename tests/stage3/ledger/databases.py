"""Which database the ledger's own tests run on: SQLite's file, or a server's schema.

With ``pytest --database postgres`` a real server keeps each test's ledger, in a schema named after
the test's folder. What a test does past the ledger goes through :func:`raw`, on either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

from stage3_plugin.ledger import sqlite
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.database import Engine
from stage3_plugin.ledger.engine import Cursor
from stage3_plugin.ledger.place import LEDGER_NAME, FilePlace, LedgerPlace
from stage3_plugin.runtime.database_url import DatabaseUrl

if TYPE_CHECKING:
    from stage3_plugin.ledger.postgres.engine import PostgresEngine
    from stage3_plugin.ledger.postgres.place import PostgresPlace

of_sqlite = pytest.mark.of_sqlite
"""Marks, with the reason, what is about SQLite or opens its file behind its back."""
refused: tuple[type[Exception], ...] = (sqlite3.IntegrityError,)
"""What a database raises where a rule of its schema refuses."""
_url: DatabaseUrl | None = None
_text = ""


class Raw(Protocol):
    """Somebody else's connection, which knows nothing of the ledger; each statement by itself."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Cursor: ...


def use_server(url: str) -> None:
    """Keep the ledgers of this process on a server from now on."""
    global _url, _text, refused  # noqa: PLW0603 - set once, by the option
    from psycopg import IntegrityError
    from psycopg.errors import GeneratedAlways

    _url, _text = DatabaseUrl.parse(url), url
    refused = (IntegrityError, GeneratedAlways)


def is_server() -> bool:
    """Return whether ledgers are kept on a server."""
    return _url is not None


def place_in(folder: Path) -> LedgerPlace:
    """Return where the ledger of a folder is."""
    if _url is None:
        return FilePlace(folder / LEDGER_NAME)
    return server_place(folder)


def server_place(folder: Path) -> PostgresPlace:
    """Return the place on the server for a folder."""
    from stage3_plugin.ledger.postgres.place import PostgresPlace

    assert _url is not None
    return PostgresPlace(_url, f"t{sha256(str(folder).encode()).hexdigest()[:24]}")


def named(folder: Path) -> tuple[str, str, str]:
    """Return what another process calls ``place_of`` with: the address, the project, the folder."""
    return (_text, "" if _url is None else server_place(folder).project, str(folder))


def engine_in(folder: Path) -> Engine:
    """Open what the ledger of a folder works on, for one of a class of its own."""
    return (
        sqlite.open_to_write(folder / LEDGER_NAME)
        if _url is None
        else server_place(folder).engine()
    )


def place_of(ledger: Ledger) -> LedgerPlace:
    """Return where a ledger is."""
    if _url is None:
        return FilePlace(ledger.path)
    from stage3_plugin.ledger.postgres.place import PostgresPlace

    engine = cast("PostgresEngine", ledger.engine)
    return PostgresPlace(engine.url, engine.project)


@contextmanager
def raw(ledger: Ledger, *, lawless: bool = False) -> Generator[Raw]:
    """Open somebody else's connection to a ledger, without any of our settings.

    Args:
        ledger: The ledger.
        lawless: Past its triggers, too, and its references.
    """
    if _url is None:
        with closing(sqlite3.connect(ledger.path, isolation_level=None)) as connection:
            if lawless:
                names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                for (name,) in connection.execute(names).fetchall():
                    connection.execute(f"DROP TRIGGER {name}")
            yield cast("Raw", connection)
        return
    engine = cast("PostgresEngine", ledger.engine)
    with closing(engine.another()) as session:
        session.execute(f'SET search_path TO "{engine.project}"'.encode())
        if lawless:
            session.execute(b"SET session_replication_role TO replica")
        yield _Session(session)


class _Session:
    """A server's connection that takes statements as SQLite's does."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        from stage3_plugin.ledger.postgres.engine import in_dollars

        cursor: Cursor = self._connection.execute(in_dollars(statement), values)
        return cursor


def refused_by(error: BaseException) -> str:
    """Return which kind of rule refused."""
    if isinstance(error, sqlite3.Error):
        if error.sqlite_errorcode == 3091:  # has no name in Python 3.11
            return "DATATYPE"
        return error.sqlite_errorname.removeprefix("SQLITE_CONSTRAINT_")
    kinds = {"23000": "TRIGGER", "428C9": "TRIGGER", "23514": "CHECK", "23502": "NOTNULL",
             "23505": "UNIQUE", "23503": "FOREIGN"}  # fmt: skip
    return kinds[str(getattr(error, "sqlstate", None))]
