"""Whether a server, and the way to it, keep what a ledger promises: looked at before any money.

A ledger is only as good as its database. A server that reports a commit before it is on a disk, a
pooler that lends a session to somebody else between two transactions, or a clock that is another
one than ours would each break a promise long after it was made, so each is refused when a ledger is
opened, with what to do. What merely weakens it is a warning.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from errno import EACCES, ECONNREFUSED, EPROTO
from re import compile as compiled
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.postgres.translation import NOT_ALLOWED

if TYPE_CHECKING:
    import psycopg

    from stage3_plugin.runtime.database_url import DatabaseUrl

    Connection: TypeAlias = psycopg.Connection[Any]

OLDEST_SERVER: Final = 13
"""The oldest major version that is tried; those before it are no longer mended by their makers."""
MOST_APART: Final = timedelta(minutes=5)
"""Between our clock and the server's. Two drivers then differ by ten minutes at most, which is what
a proof that a provider never got a request allows for."""
_SEATS: Final = 4
"""Further sessions that are asked for where a pooler may stand in between."""


# Connecting --------------------------------------------------------------------------------------


_AWAY: Final = compiled(
    "connection refused|timeout|translate host name|failed to resolve host|no such file or dir"
    "|too many c|remaining connection slots|the database system is|server closed the connection"
)
"""Of what libpq says where no session came to be, which has no codes: the server may be there yet.
In all else it refuses, or its own words are not known."""


def not_connected(url: DatabaseUrl, project: str, error: Exception) -> LedgerFailed:
    """Say why no session came to be, in the driver's words and without a password."""
    said = url.without_password(" ".join(str(error).split()))
    if _AWAY.search(said.lower()):
        number = ECONNREFUSED
        hint = (
            "see that the server runs, can be reached, and has a connection left (each driver "
            "needs three), and run again: nothing is paid twice"
        )
    else:
        number = EPROTO
        hint = (
            "check the address in the setting `ledger`: user, password (in it, write %2F for /, "
            "%40 for @ and %3A for :), database, and ?sslrootcert=/PATH; and what the server's "
            "pg_hba.conf asks of it"
        )
    problem = f"no session came to be: {said[:300]}"
    return LedgerFailed(url.shown(project), problem, number=number, hint=hint)


# What a session is like --------------------------------------------------------------------------


_LOOK: Final = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
  current_setting('server_encoding'), current_setting('fsync'),
  current_setting('session_replication_role'), clock_timestamp()
"""


def check(
    connection: Connection,
    url: DatabaseUrl,
    project: str,
    *,
    another: Callable[[], Connection],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Warned, ...]:
    """Check that a ledger can be kept by a session, and make its commits durable.

    Args:
        connection: In autocommit.
        url: For messages.
        project: Likewise.
        another: Opens one more session of the same kind; called only where a pooler is likely.
        now: The wall clock of this machine, aware.

    Returns:
        What a person should know.

    Raises:
        LedgerFailed: It cannot be.
    """
    place = url.shown(project)
    major = connection.info.server_version // 10_000
    if major < OLDEST_SERVER:
        raise LedgerFailed(
            place,
            f"its server is PostgreSQL {major}, {OLDEST_SERVER} is needed",
            number=EPROTO,
            hint="use a newer server",
        )
    connection.execute("SET default_transaction_isolation = 'read committed'")
    make_durable(connection, place)
    check_own(connection, url, project, another=another)
    before = now()
    row = connection.execute(_LOOK).fetchone()
    assert row is not None
    is_read_only, encoding, fsync, replication, theirs = row
    if is_read_only:
        raise LedgerFailed(
            place,
            "it can only be read there: the server is a standby, or set to be read only",
            number=EACCES,
            hint="name the server that is written to",
        )
    if encoding != "UTF8":
        raise LedgerFailed(
            place,
            f"the database keeps texts as {encoding}, which does not hold all of them",
            hint="make a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        )
    if replication != "origin":
        raise LedgerFailed(
            place,
            "its rules are switched off for this role (session_replication_role)",
            hint="ALTER ROLE … RESET session_replication_role",
        )
    _check_clock(place, before, theirs, now())
    if fsync == "on":
        return ()
    warning = (
        f"the ledger {place}: its server does not wait for its disk (fsync = off): a power cut "
        "takes back what it has reported as written, and what is taken back may be paid twice"
    )
    return (coded("server_not_durable", warning),)


def make_durable(connection: Connection, place: str) -> None:
    """Have what a session reports as written be on a disk, whatever its role is set to.

    Raises:
        LedgerFailed: That cannot be set.
    """
    if connection.execute("SHOW synchronous_commit").fetchone() != ("remote_apply",):
        connection.execute("SET synchronous_commit = on")
    (commit,) = connection.execute("SHOW synchronous_commit").fetchone() or ("",)
    if commit not in {"on", "remote_apply"}:
        raise LedgerFailed(
            place,
            f"what it reports as written is not on a disk yet (synchronous_commit = {commit}), and "
            "that cannot be changed from here",
            hint="a ledger needs synchronous_commit = on; take out what keeps it from that",
        )


def check_own(
    connection: Connection,
    url: DatabaseUrl,
    project: str,
    *,
    another: Callable[[], Connection],
) -> None:
    """Check that a session is ours for as long as it lasts, also between two transactions.

    Args:
        connection: In autocommit.
        url: For messages.
        project: Likewise.
        another: Opens one more session of the same kind; called only where a pooler is likely.

    Raises:
        LedgerFailed: It is not.
    """
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    if connection.info.backend_pid != pid and _is_shared(connection, pid, another):
        raise LedgerFailed(
            url.shown(project),
            "a pooler lends its sessions out by the transaction, so that nothing of a session "
            "lasts: locks, settings",
            number=EPROTO,
            hint="name the server itself, and not the pooler; or have the pooler keep a session "
            "for each client (pgbouncer: pool_mode = session)",
        )


def _check_clock(place: str, before: datetime, theirs: datetime, after: datetime) -> None:
    apart = max(before - theirs, theirs - after)
    if apart <= MOST_APART:
        return
    how = "behind" if theirs > after else "ahead of"
    minutes = round(apart / timedelta(minutes=1))
    raise LedgerFailed(
        place,
        f"the clock of this machine is {minutes:,} minutes {how} the server's; "
        f"{MOST_APART // timedelta(minutes=1)} are allowed",
        hint="set both by a time server: days, and the time after which a request counts as lost, "
        "are told by them",
    )


def _is_shared(connection: Connection, pid: int, another: Callable[[], Connection]) -> bool:
    """Return whether somebody else is given the session of an open connection.

    A pooler answers in the server's place, so the process that it names at connecting is none. A
    proxy that does only that is let pass. Others take their session while they are in a
    transaction; whoever gets ours, or leaves us with another one, shows that it is no longer ours.
    """
    import psycopg  # noqa: PLC0415 - an extra

    token = secrets.token_hex(8)
    connection.execute(f"SELECT set_config('stage3.seat', '{token}', false)".encode())
    with ExitStack() as stack:
        for _ in range(_SEATS):
            other = stack.enter_context(another())
            other.autocommit = True
            try:
                other.execute("BEGIN")
            except psycopg.Error:  # by the statement, even
                return True
            seat = "SELECT pg_backend_pid(), current_setting('stage3.seat', true)"
            if other.execute(seat).fetchone() in {(pid, token), (pid, ""), (pid, None)}:
                return True
            if connection.execute(seat).fetchone() != (pid, token):
                return True
    return False


# What its role may do ----------------------------------------------------------------------------


_RIGHTS: Final = """
SELECT current_user, bool_or(pg_has_role(its.relowner, 'USAGE')),
  bool_or(has_table_privilege(its.oid, 'DELETE') OR has_table_privilege(its.oid, 'TRUNCATE')),
  bool_and(
    has_table_privilege(its.oid, 'SELECT') AND has_table_privilege(its.oid, 'INSERT')
    AND (its.relname = 'events' OR has_any_column_privilege(its.oid, 'UPDATE'))
  )
FROM pg_class AS its JOIN pg_namespace AS here ON here.oid = its.relnamespace
WHERE here.nspname = $1 AND its.relkind = 'r'
"""


def check_rights(connection: Connection, url: DatabaseUrl, project: str) -> tuple[Warned, ...]:
    """Check that a role may write to a ledger that is there.

    Args:
        connection: Whose cursors number their values.
        url: For messages.
        project: The schema.

    Returns:
        A warning, where the role could switch off the ledger's rules, or empty it.

    Raises:
        LedgerFailed: It may not.
    """
    row = connection.execute(_RIGHTS.encode(), (project,)).fetchone()
    assert row is not None
    role, is_owner, may_delete, may_write = row
    if not may_write:
        raise NOT_ALLOWED.of(url.shown(project))
    if not is_owner and not may_delete:
        return ()
    could = "change its rules, and delete what was bought" if is_owner else "delete what was bought"
    warning = (
        f"the ledger {url.shown(project)}: the role {role!r} could {could}; a driver needs less: "
        "docs/postgres.md has under Roles what the owner grants to another one"
    )
    return (coded("role_too_strong", warning),)
