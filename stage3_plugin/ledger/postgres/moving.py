# ruff: noqa: S608 - put together from names of tables and columns, never from data
"""Rows of a ledger's file, brought to a server as they are: all of them and compared, or none.

In one transaction, under the ledger's lock: whoever is killed over it, or cut off, leaves a server
as it was. The rules of the tables are not asked, since they are about how purchases go on, and
these have gone on already; what was brought is read back and compared row by row before it is
committed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.sql import SQL, Identifier

from stage3_plugin.errors import LedgerFailed, SettingsRefused
from stage3_plugin.ledger.moved import MOVED_FROM
from stage3_plugin.ledger.postgres.engine import Connection, PostgresEngine, lock_of
from stage3_plugin.ledger.postgres.patience import Patience
from stage3_plugin.ledger.postgres.place import PostgresPlace, noted, rules, tables
from stage3_plugin.ledger.sealing import TABLES

_KEYS: Final = {"counters": "scope", "meta": "name"}
_NUMBERED: Final = ("jobs", "purchases", "events")
_BATCH: Final = 2_000
MOVING_S: Final = 3_600.0
"""For so long a move waits for its server, which has an index to make of many rows, at most."""

Row: TypeAlias = tuple[Any, ...]
Told: TypeAlias = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a file has.

    Attributes:
        columns: Of each table, by name.
        of: Reads a table's rows, in the order of their numbers or names; as often as is asked.
    """

    columns: Mapping[str, Sequence[str]]
    of: Callable[[str], Iterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What is on the server now.

    Attributes:
        is_new: It was brought just now, and not by an earlier attempt.
        rows: How many rows of each table; none are counted for an earlier attempt.
    """

    is_new: bool
    rows: Mapping[str, int] = field(default_factory=dict[str, int])


def token_of(place: PostgresPlace) -> str | None:
    """Return by which move a ledger came to a server; ``None`` if by none, or there is no ledger.

    Waits for whoever is bringing one.

    Raises:
        LedgerFailed: The server does not say.
    """
    with _session(place, None) as (_, connection):
        if place.version(connection) is None:
            return None
        return noted(connection, MOVED_FROM)


def bring(
    place: PostgresPlace, rows: Rows, token: str, *, tell: Told = lambda _table, _count: None
) -> Brought:
    """Bring all rows, unless that was done by this very move already.

    Args:
        place: Where to; its ledger is made if there is none.
        rows: What is brought.
        token: The move's.
        tell: Called with a table and how many of its rows are there.

    Raises:
        SettingsRefused: There is another ledger with rows, somebody uses it, or the role may not.
        LedgerInDoubt: The connection was lost over the commit: it may be there.
        LedgerFailed: The server failed, or has not what it was given; nothing was brought.
    """
    with _session(place, MOVING_S) as (engine, connection):
        quoted = Identifier(place.project).as_string(connection)
        is_there = place.version(connection) is not None
        if is_there and noted(connection, MOVED_FROM) == token:
            return Brought(is_new=False)
        if is_there:
            _check_free(place, connection)
            for table in TABLES:
                connection.execute(f"ALTER TABLE {quoted}.{table} DISABLE TRIGGER USER".encode())
        else:
            for statement in tables(quoted):
                connection.execute(statement.encode())
        brought = {table: copied(connection, quoted, table, rows, tell) for table in TABLES}
        for table in TABLES:
            _compare(place, connection, quoted, table, rows)
        _note(connection, quoted, MOVED_FROM, token)
        if is_there:
            for table in TABLES:
                connection.execute(f"ALTER TABLE {quoted}.{table} ENABLE TRIGGER USER".encode())
        else:
            for statement in rules(quoted):
                connection.execute(statement.encode())
        for table in _NUMBERED:
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{quoted}.{table}', 'seq'), max(seq)) "
                f"FROM {quoted}.{table} HAVING max(seq) IS NOT NULL".encode()
            )
        engine.run("COMMIT")
    return Brought(is_new=True, rows=brought)


@contextmanager
def _session(
    place: PostgresPlace, limit_s: float | None
) -> Generator[tuple[PostgresEngine, Connection]]:
    """Have the ledger to oneself for one transaction, which the block ends; else it is undone.

    Args:
        place: Where it is.
        limit_s: Seconds for the block, also where the server is frozen and keeps its connections;
            without it, as long as any answer may take.
    """
    engine = PostgresEngine(place.url, place.project)
    try:
        connection = engine.connection
        connection.execute(
            b"SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0"
        )
        engine.run("BEGIN")
        connection.execute(
            f"SELECT pg_advisory_xact_lock({lock_of('making', place.project)})".encode()
        )
        limit_s = engine.answers_within_s if limit_s is None else limit_s
        with closing(Patience(connection.fileno(), limit_s, place.shown)) as watch, watch:
            yield engine, connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise SettingsRefused(
            "ledger",
            f"this role may not bring a ledger to {place.shown}",
            hint="move it as the owner of the tables, or of the database; afterwards name the role "
            "of the drivers in the setting `ledger`, which needs less",
        ) from error
    except psycopg.Error as error:
        ours = engine.translated(error)
        if ours is None:
            raise
        raise ours from error
    finally:
        engine.close()


def _check_free(place: PostgresPlace, connection: Connection) -> None:
    """Check that a ledger that is there has nothing in it, and nobody who works by it.

    Raises:
        SettingsRefused: It has.
    """
    (is_mine,) = connection.execute(
        f"SELECT pg_try_advisory_xact_lock({lock_of('use', place.project)})".encode()
    ).fetchone() or (False,)
    if not is_mine:
        raise SettingsRefused(
            "ledger",
            f"somebody works by {place.shown} just now",
            hint="wait for all drivers of this project to end, and move again",
        )
    for table in _NUMBERED:
        if connection.execute(f"SELECT 1 FROM {table} LIMIT 1".encode()).fetchone() is not None:
            raise SettingsRefused(
                "project",
                f"{place.shown} has purchases of its own, and two ledgers cannot become one",
                hint="name another project to move to; or leave this file, and go on there",
            )


def copied(connection: Connection, quoted: str, table: str, rows: Rows, tell: Told) -> int:
    """Bring the rows of one table."""
    columns = SQL(", ").join(map(Identifier, rows.columns[table])).as_string(connection)
    count = 0
    if table == "meta":
        for name, value in rows.of(table):
            _note(connection, quoted, storable(name), storable(value))
            count += 1
        return count
    with connection.cursor().copy(f"COPY {quoted}.{table} ({columns}) FROM STDIN".encode()) as copy:
        for row in rows.of(table):
            copy.write_row(tuple(map(storable, row)))
            count += 1
            if count % _BATCH == 0:
                tell(table, count)
    return count


def _note(connection: Connection, quoted: str, name: str, value: str) -> None:
    connection.execute(
        f"INSERT INTO {quoted}.meta (name, value) VALUES ($1, $2) "
        "ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value".encode(),
        (name, value),
    )


def storable(value: Any) -> Any:
    """Return a value as a server takes it: no text there has a NUL, which a file may have."""
    if isinstance(value, str) and "\0" in value:
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return value


def _compare(
    place: PostgresPlace, connection: Connection, quoted: str, table: str, rows: Rows
) -> None:
    """Check that what is there is what was brought.

    Raises:
        LedgerFailed: A row is not, or is another one.
    """
    key = _KEYS.get(table, "seq")
    columns = SQL(", ").join(map(Identifier, rows.columns[table])).as_string(connection)
    order = f'{key} COLLATE "C"' if table in _KEYS else key
    with connection.cursor("brought") as cursor:  # of the server, a batch at a time
        cursor.itersize = _BATCH
        cursor.execute(f"SELECT {columns} FROM {quoted}.{table} ORDER BY {order}".encode())
        there: Iterator[Row] = iter(cursor)
        if table == "meta":
            names = {storable(name) for name, _ in rows.of(table)}
            there = (row for row in there if row[0] in names)
        for number, (given, found) in enumerate(zip_longest(rows.of(table), there), start=1):
            wanted = None if given is None else tuple(map(storable, given))
            if wanted != found:
                raise LedgerFailed(
                    place.shown,
                    f"row {number:,} of {table} is not there as it was brought",
                    hint="nothing was moved; report it, with the versions of both databases",
                )
