"""A project's ledger on a server: found, made, and opened.

Whoever has made it owns its tables. That may be the program's own role, which is simple; or another
one, which grants what a driver needs (``docs/postgres.md`` has the statements), so that no driver
can delete anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from psycopg.errors import DatabaseError, InsufficientPrivilege, ReservedName
from psycopg.sql import Identifier

from stage3_plugin.domain.events import Warned
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.ledger import refusal
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.moved import MOVED_FROM, check_moved
from stage3_plugin.ledger.postgres import fitness, schema
from stage3_plugin.ledger.postgres.engine import Connection, PostgresEngine, lock_of
from stage3_plugin.ledger.schema import VERSION
from stage3_plugin.runtime.database_url import DatabaseUrl


class PostgresPlace:
    """A schema of a database on a server.

    Args:
        url: The database.
        project: The schema.
        file: Where the ledger of this state folder lay or lies as a file; it is opened only if
            that one is not there, has nothing in it, or was moved to this very ledger.
    """

    is_file = False

    def __init__(self, url: DatabaseUrl, project: str, *, file: Path | None = None) -> None:
        self.url = url
        self.project = project
        self._file = file
        self._known_id: str | None = None

    @property
    def shown(self) -> str:
        """Return the address without what is secret."""
        return self.url.shown(self.project)

    def exists(self) -> bool:
        """Return whether there is a ledger.

        Raises:
            LedgerFailed: The server does not say.
        """
        with closing(PostgresEngine(self.url, self.project, may_write=False)) as engine:
            return self._look_to_read(engine) is not None

    def open(self) -> Ledger:
        """Open it to write; it is made if there is none.

        Raises:
            SettingsRefused: It is of another version, or the schema has something else in it; or
                it is not there, and this role may not make it.
            LedgerFailed: The server does not answer, or a commit there would not be durable.
        """
        return Ledger(self.engine())

    def engine(self) -> PostgresEngine:
        """Open what :meth:`open` works on."""
        engine = PostgresEngine(self.url, self.project)
        try:
            self._look_at(engine)  # before anything is made there
            engine.prepare(self._make_ready)
        except BaseException:
            engine.close()
            raise
        return engine

    def _look_at(self, engine: PostgresEngine) -> tuple[Warned, ...]:
        """Return what weakens a ledger by this server; see :func:`fitness.check`."""
        with engine.asked() as connection:
            return fitness.check(connection, self.url, self.project, another=engine.another)

    def _look_to_read(self, engine: PostgresEngine) -> str | None:
        """Return the version of what is there; see :meth:`version`."""
        with engine.asked() as connection:
            fitness.check_own(connection, self.url, self.project, another=engine.another)
            return self.version(connection)

    def open_to_read(self) -> Ledger | None:
        """Open it so that nothing can be written; ``None`` if there is none."""
        engine = PostgresEngine(self.url, self.project, may_write=False)
        try:
            version = self._look_to_read(engine)
            with engine.asked() as connection:
                self._check_file(connection, version)
            if version is None:
                engine.close()
                return None
        except BaseException:
            engine.close()
            raise
        return Ledger(engine)

    def check_use(self) -> None:
        """Do nothing: a server has one name for a schema, and keeps those who write apart."""

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """Say what may do harm later.

        Raises:
            LedgerFailed: The server does not answer, or does not keep what a ledger promises.
        """
        with closing(PostgresEngine(self.url, self.project)) as engine:
            warnings = self._look_at(engine)
            with engine.asked() as connection:
                if self.version(connection) is not None:
                    warnings += fitness.check_rights(connection, self.url, self.project)
            return warnings

    def _check_file(self, connection: Connection, version: str | None) -> None:
        """Check that the ledger of this state folder is here, and not in its file.

        Raises:
            SettingsRefused: It is not: whoever bought by this one would buy all of it again.
        """
        if self._file is not None:
            token = None if version is None else noted(connection, MOVED_FROM)
            check_moved(self._file, token, self.shown)

    def _make_ready(self, connection: Connection) -> None:
        # Whoever brings a ledger here waits for all that work by it, and they for that one.
        connection.execute(
            f"SELECT pg_advisory_lock_shared({lock_of('use', self.project)})".encode()
        )
        version = self.version(connection)
        self._check_file(connection, version)
        if version is None:
            self._make(connection)
        # A connection that takes the place of one that was lost is to lead to the same ledger.
        found = noted(connection, schema.ID_NAME)
        self._known_id = self._known_id or found  # whoever comes second is to notice, too
        if found != self._known_id:
            raise SettingsRefused(
                "ledger",
                f"{self.shown} is another ledger than before: it was replaced meanwhile",
                hint="stop all drivers, and look at both before anything is bought",
            )

    def version(self, connection: Connection) -> str | None:
        """Return the version of the tables; ``None`` if there are none.

        Raises:
            SettingsRefused: They are not ours, or of a version that is not known here.
        """
        quoted = Identifier(self.project).as_string(connection)
        (has_meta, others) = connection.execute(
            b"SELECT to_regclass($1) IS NOT NULL, (SELECT count(*) FROM pg_class AS one "
            b"JOIN pg_namespace AS its ON its.oid = one.relnamespace WHERE its.nspname = $2)",
            (f"{quoted}.meta", self.project),
        ).fetchone() or (False, 0)
        if not (has_meta or others):
            return None
        version = noted(connection, schema.VERSION_NAME) if has_meta else None
        if version is None:
            raise SettingsRefused(
                "project",
                f"the schema {self.project!r} has tables, and is no ledger",
                hint="name another project, or another database",
            )
        if version.isdecimal() and int(version) < VERSION:
            raise refusal.of_a_snapshot("ledger", self.shown, version, partial(_rows, connection))
        if version != str(VERSION):
            raise refusal.newer("ledger", self.shown, version)
        return version

    def _make(self, connection: Connection) -> None:
        """Make it, wholly or not at all, unless another driver was faster."""
        quoted = Identifier(self.project).as_string(connection)
        made = "".join(f"{one.strip()};\n" for one in chain(tables(quoted), rules(quoted)))
        try:
            with connection.transaction():
                connection.execute(
                    f"SELECT pg_advisory_xact_lock({lock_of('making', self.project)})".encode()
                )
                if self.version(connection) is None:
                    connection.execute(made.encode())
        except ReservedName as error:
            raise SettingsRefused(
                "project",
                f"PostgreSQL keeps names such as {self.project!r} to itself",
                hint="name the project otherwise",
            ) from error
        except InsufficientPrivilege as error:
            raise SettingsRefused(
                "ledger",
                f"there is no ledger yet at {self.shown}, and this role may not make one",
                hint="let the owner of the database make it once, by a first run, and grant what "
                "docs/postgres.md has under Roles",
            ) from error


def noted(connection: Connection, name: str) -> str | None:
    """Return what ``meta`` of a ledger has under a name."""
    row = connection.execute(b"SELECT value FROM meta WHERE name = $1", (name,)).fetchone()
    return None if row is None else str(row[0])


def _rows(connection: Connection, statement: str) -> list[Any] | None:
    try:
        return connection.execute(statement.encode()).fetchall()
    except DatabaseError:
        return None


def tables(quoted: str) -> Iterator[str]:
    """Write what makes the tables; rows may be brought in then, as they are."""
    yield f"CREATE SCHEMA IF NOT EXISTS {quoted}"
    yield from schema.tables(quoted)


def rules(quoted: str) -> Iterator[str]:
    """Write what says that tables are a ledger, and which one, and what holds their rows."""
    known = {schema.VERSION_NAME: str(VERSION), schema.ID_NAME: uuid.uuid4().hex}
    for name, value in known.items():
        yield f"INSERT INTO {quoted}.meta VALUES ('{name}', '{value}')"  # noqa: S608 - words of ours
    yield from schema.rules(quoted)
