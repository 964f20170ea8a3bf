"""PostgreSQL's engine: one connection, what is set on it, and what its commits are worth.

Apart from the database that writes by it, which is the same for a file. A transaction that writes
first takes the ledger's lock, as ``BEGIN IMMEDIATE`` does: what guards a cap is a look at three
rows, which PostgreSQL does not repeat for a row that it had to wait for, and eight processes
without the lock sold 36 pictures under a cap for 30. The lock falls with its transaction.

Every call ends in time, also if the server does not answer: by the server's own limit, and by
:class:`~stage3_plugin.ledger.postgres.patience.Patience` where there is no server to keep it. A
server that has gone, as every update of one does, is waited for, and asked again what it had not
answered; not within a transaction, of which nothing is left, nor over a commit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, ENOENT, ESTALE, ETIMEDOUT
from functools import cache, lru_cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from re import Match
from re import compile as compiled
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg import RawCursor
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier
from psycopg.types.numeric import Int8Dumper

from stage3_plugin.errors import LedgerFailed, LedgerForked, LedgerInDoubt, SettingsRefused
from stage3_plugin.ledger.postgres import fitness
from stage3_plugin.ledger.postgres.patience import Patience
from stage3_plugin.ledger.postgres.translation import RUN_AGAIN, ledger_failed
from stage3_plugin.runtime.database_url import DatabaseUrl

T = TypeVar("T")
Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

CONNECTING_S: Final = 10
"""Seconds for a connection to come to be; the address may say otherwise (``connect_timeout``)."""
ANSWER_FACTOR: Final = 3
"""An answer may take so many times as long."""
AWAY_FACTOR: Final = 2
"""A server that has gone may be away for so many times as long as an answer may take."""
_AWAY: Final = frozenset({EAGAIN, ECONNREFUSED, ECONNRESET, ENOENT, ETIMEDOUT})
"""What is said of a server that is not there: not that it refuses somebody, which stays so."""
_PAUSE_S: Final = 0.25
"""Until a server that is away is tried again."""
_STATEMENT, _IDLE = 0.8, 0.4
"""Parts of that: after which the server ends a statement, so that its words arrive; and after which
it ends a transaction in which nothing is asked any more, so that one frozen driver does not keep
the others waiting for longer than they wait."""
_MARK: Final = compiled(r"\?(\d*)")
_FETCH: Final = "FETCH 2000 FROM found"
_CAN_END_THE_IDLE: Final = 140_000
_IDLED: Final = "25P03"
"""The server has ended a session that did nothing inside a transaction: before any commit came."""
_UNSETTLED_CLASSES: Final = ("08", "57", "58", "XX")
"""Of errors that may come after a commit was made."""


@cache
def in_dollars(statement: str) -> bytes:
    """Write a statement's ``?`` and ``?2`` as PostgreSQL numbers its values."""
    following = count(1)

    def numbered(mark: Match[str]) -> str:
        return f"${mark[1] or next(following)}"

    return _MARK.sub(numbered, statement).encode()


@lru_cache(maxsize=1024)
def lock_of(kind: str, project: str, name: str = "") -> int:
    """Return the number of a lock: of a ledger, or of a home in it."""
    digest = sha256(f"stage3\0{kind}\0{project}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class PostgresEngine:
    """A connection to a server.

    Args:
        url: The server.
        project: The schema there.
        may_write: Otherwise the server refuses whatever would.

    Raises:
        LedgerFailed: It cannot be reached.
    """

    begin: tuple[str, ...] = ("BEGIN",)

    def __init__(
        self,
        url: DatabaseUrl,
        project: str,
        *,
        may_write: bool = True,
    ) -> None:
        self.url = url
        self.project = project
        self.shown = url.shown(project)
        self.path = Path(self.shown)
        self._may_write = may_write
        self._make_ready: Callable[[Connection], None] = lambda _: None
        self._process = os.getpid()
        self._homes: list[str] = []
        self._is_inside = False
        """A transaction was begun, and not ended here, whatever became of the connection."""
        seconds = int(url.parameters.get("connect_timeout", CONNECTING_S))
        self.answers_within_s = float(seconds * ANSWER_FACTOR)
        lock = f"; SELECT pg_advisory_xact_lock({lock_of('ledger', project)})"
        # Of this level, whatever is set: a snapshot must not be older than the lock.
        self._begin = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE{lock}"
            if may_write
            else "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
        ).encode()
        self._connect()

    # Its connection ------------------------------------------------------------------------------

    def _connect(self) -> None:
        try:
            connection = self.another()
        except psycopg.Error as error:
            raise fitness.not_connected(self.url, self.project, error) from error
        try:
            self._watch = Patience(connection.fileno(), self.answers_within_s, self.shown)
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        try:
            # Of one width, so that a statement is prepared once and not for each size of a number.
            connection.adapters.register_dumper(int, Int8Dumper)
            with self._watch:
                self._set_up(connection)
                self._make_ready(connection)
                for home in self._homes:
                    self._show(home)
        except psycopg.Error as error:
            failed = self._failed(error)
            self._drop()
            raise failed from error
        except BaseException:
            self._drop()
            raise

    def prepare(self, make_ready: Callable[[Connection], None]) -> None:
        """Do something with this connection, and with each one that takes its place.

        Raises:
            LedgerFailed: The server failed over it.
        """
        self._make_ready = make_ready
        with self.asked() as connection:
            make_ready(connection)

    @contextmanager
    def asked(self) -> Generator[Connection]:
        """Have the connection itself asked in the block, no longer than this engine would wait.

        Raises:
            LedgerFailed: The server failed over it, or did not answer.
        """
        try:
            with self._watch:
                yield self.connection
        except psycopg.Error as error:
            raise self._failed(error) from error

    def another(self) -> Connection:
        """Open a session of the same kind, on which nothing is set.

        Raises:
            psycopg.Error: None came to be.
        """
        return psycopg.connect(**self._arguments(), autocommit=True, cursor_factory=RawCursor)

    def _arguments(self) -> dict[str, Any]:
        return {
            "connect_timeout": CONNECTING_S,
            "application_name": "stage3",
            **self.url.arguments(),
            "client_encoding": "UTF8",
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": int(self.answers_within_s * 1000),
        }

    def _set_up(self, connection: Connection) -> None:
        """Set what holds for one connection.

        Raises:
            LedgerFailed: A commit would not be durable.
        """
        limit_ms = self.answers_within_s * 1000
        connection.execute(
            SQL(
                "SET search_path TO {}; SET jit TO off; SET datestyle TO iso; "
                "SET statement_timeout TO {}; SET idle_in_transaction_session_timeout TO {}; "
                "SET default_transaction_read_only TO {}; SET row_security TO off"
            ).format(
                Identifier(self.project),
                int(limit_ms * _STATEMENT),
                int(limit_ms * _IDLE),
                "off" if self._may_write else "on",
            )
        )
        if connection.info.server_version >= _CAN_END_THE_IDLE:
            connection.execute(b"SET idle_session_timeout TO 0")  # a picture takes longer
        fitness.make_durable(connection, self.shown)

    def _ready(self) -> Connection:
        """Return the connection; a new one, if it was lost and nothing is under way.

        Raises:
            LedgerForked: It is that of the process which this one was forked from.
            LedgerFailed: It was lost, and the server does not answer again.
        """
        if os.getpid() != self._process:  # two would read each other's answers
            raise LedgerForked(self.shown)
        if self.connection.closed and not self._is_inside:
            self._drop()
            try:
                self._connect()
            except SettingsRefused as refused:  # the server came back with another ledger
                hint = refused.hint or RUN_AGAIN
                raise LedgerFailed(
                    self.shown, refused.problem, number=ESTALE, hint=hint
                ) from refused
        return self.connection

    def _answer(self, ask: Callable[[Connection], T]) -> T:
        """Ask for what changes nothing; a server that has gone is waited for, and asked again."""
        until_s: float | None = None
        while True:
            try:
                connection = self._ready()
                with self._watch:
                    return ask(connection)
            except (LedgerFailed, psycopg.Error) as error:
                now_s = time.monotonic()
                until_s = until_s or now_s + self.answers_within_s * AWAY_FACTOR
                if now_s > until_s or not self._has_gone(error):
                    raise
            time.sleep(_PAUSE_S)

    def _has_gone(self, error: LedgerFailed | psycopg.Error) -> bool:
        """Return whether the server may come back, and nothing of what was asked is under way."""
        if isinstance(error, LedgerFailed):
            return error.cause.errno in _AWAY
        return self.connection.closed and not (self._is_inside or self._watch.is_over)

    def _drop(self) -> None:
        self._watch.close()
        with suppress(psycopg.Error):
            self.connection.close()

    def close(self) -> None:
        """Close the connection; one that this process was forked with is its parent's."""
        if os.getpid() == self._process:
            self._drop()

    # Statements ----------------------------------------------------------------------------------

    def execute(
        self, statement: str, values: Sequence[object] = ()
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement."""
        return self._answer(
            lambda connection: connection.cursor().execute(in_dollars(statement), values)
        )

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """Yield what a statement finds, read a page at a time; the driver would keep all of it."""
        with self.one_moment():
            self.execute(f"DECLARE found NO SCROLL CURSOR FOR {statement}", values)
            while page := self.execute(_FETCH).fetchall():
                yield from page
            self.execute("CLOSE found")

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction goes on, or has failed; not after the connection is lost."""
        return self.connection.info.transaction_status in {
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
        }

    def run(self, statement: str) -> None:
        """Run a statement that begins, ends or divides a transaction.

        Raises:
            LedgerInDoubt: The connection was lost over a commit, which may have been made.
        """
        if statement == "BEGIN":
            self._is_inside = False
            self._answer(lambda connection: connection.execute(self._begin))
            self._is_inside = True
        elif statement == "COMMIT":
            try:
                self._commit()
            finally:
                self._is_inside = self.in_transaction
        else:
            with self._watch:
                self.connection.execute(statement.encode())
            if statement == "ROLLBACK":
                self._is_inside = False

    def _commit(self) -> None:
        """Commit; PostgreSQL's own word for a transaction that had failed before is a success."""
        if self.connection.info.transaction_status is not TransactionStatus.INTRANS:
            raise LedgerFailed(
                self.shown,
                "there is no transaction, or it has failed",
                number=ECONNRESET,
                hint=RUN_AGAIN,
            )
        try:
            with self._watch:
                ended = self.connection.execute(b"COMMIT")
        except psycopg.Error as error:
            if self._is_in_doubt(error):
                raise LedgerInDoubt(self.shown) from error
            raise
        if ended.statusmessage != "COMMIT":
            raise LedgerFailed(
                self.shown, "a transaction was undone", number=EINVAL, hint=RUN_AGAIN
            )

    def _is_in_doubt(self, error: psycopg.Error) -> bool:
        """Return whether a commit may have been made: nobody has said that it was not."""
        state = error.sqlstate
        if state == _IDLED:
            return False
        if state is None or self.connection.closed:
            return True
        return state.startswith(_UNSETTLED_CLASSES) and state != "57014"

    @contextmanager
    def one_moment(self) -> Generator[None]:
        """Read one state of the database in the block, also while others write."""
        if self.in_transaction:
            yield
            return
        begin = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._answer(lambda connection: connection.execute(begin))
        self._is_inside = True
        try:
            yield
        finally:
            if self.in_transaction:
                with self._watch:
                    self.connection.execute(b"ROLLBACK")
            self._is_inside = False

    # What only a database itself knows -----------------------------------------------------------

    def why_not_here(self) -> LedgerFailed | None:
        """Return whether this process may use the connection."""
        return None if os.getpid() == self._process else LedgerForked(self.shown)

    def damage(self) -> list[str]:
        """Return nothing: a server keeps checksums itself, and says so when it reads."""
        return []

    def translated(self, error: Exception) -> LedgerFailed | None:
        """Say in our words what an error of the driver means."""
        return self._failed(error) if isinstance(error, psycopg.Error) else None

    def _failed(self, error: psycopg.Error) -> LedgerFailed:
        waited_s = self.answers_within_s if self._watch.is_over else None
        return ledger_failed(self.url, self.shown, error, waited_s=waited_s)

    # Homes ---------------------------------------------------------------------------------------

    def show_home(self, home: str) -> None:
        """Show to all others that a home is connected, for as long as this connection lasts."""
        if home not in self._homes:
            with self._watch:
                self._show(home)
            self._homes.append(home)

    def _show(self, home: str) -> None:
        key = lock_of("home", self.project, home)
        self.connection.execute(f"SELECT pg_advisory_lock_shared({key})".encode())

    def home_is_connected(self, home: str) -> bool:
        """Return whether any connection shows a home."""
        key = lock_of("home", self.project, home) & (2**64 - 1)
        found = self.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND CAST(classid AS BIGINT) = ? AND CAST(objid AS BIGINT) = ? LIMIT 1",
            (key >> 32, key & (2**32 - 1)),
        )
        return found.fetchone() is not None
