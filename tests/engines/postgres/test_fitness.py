"""A server that cannot keep a ledger is refused before money, with what to do, and no password."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from errno import ECONNREFUSED, EPROTO
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme

from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.postgres import fitness
from stage3_plugin.ledger.postgres.place import PostgresPlace
from stage3_plugin.runtime.database_url import DatabaseUrl
from tests.engines.conftest import need
from tests.engines.postgres import pooler
from tests.engines.postgres_server import PostgresServer, grants, running

PROJECT = "lighthouse"


def _connect(arguments: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(**arguments, autocommit=True, connect_timeout=5)


def _checked(
    url: DatabaseUrl, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> tuple[str, ...]:
    another = partial(_connect, url.arguments())
    with another() as connection:
        return fitness.check(connection, url, PROJECT, another=another, now=now)


def _refused(url: DatabaseUrl, **more: Any) -> LedgerFailed:
    with pytest.raises(LedgerFailed) as refused:
        _checked(url, **more)
    assert refused.value.hint
    assert url.shown(PROJECT) in str(refused.value)
    return refused.value


@pytest.fixture
def url(postgres: PostgresServer) -> DatabaseUrl:
    """The address of a server that is fit, by an ordinary role."""
    return DatabaseUrl.parse(postgres.tcp_url(role=postgres.new_role()))


def test_a_server_is_fit(url: DatabaseUrl) -> None:
    """The tests' own does not wait for its disk, of which it is warned."""
    (warning,) = _checked(url)

    assert "fsync = off" in warning


@pytest.mark.parametrize("setting", ["synchronous_commit = off", "synchronous_commit = local"])
def test_what_is_reported_as_written_is_on_a_disk(postgres: PostgresServer, setting: str) -> None:
    """A role or a database that is set otherwise is set right; nothing has to be changed there."""
    role, database = postgres.new_role(), postgres.new_database()
    postgres.execute(f"ALTER ROLE {role} SET {setting}")
    postgres.execute(f"ALTER DATABASE {database} SET {setting}")
    url = DatabaseUrl.parse(postgres.url(database, role=role))
    with _connect(url.arguments()) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() != ("on",)
        fitness.check(connection, url, PROJECT, another=partial(_connect, url.arguments()))
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_more_than_is_needed_stays_as_it_is(postgres: PostgresServer) -> None:
    """Whoever waits for a standby to show what is written goes on to."""
    role = postgres.new_role()
    postgres.execute(f"ALTER ROLE {role} SET synchronous_commit = remote_apply")
    url = DatabaseUrl.parse(postgres.url(role=role))
    with _connect(url.arguments()) as connection:
        fitness.check(connection, url, PROJECT, another=partial(_connect, url.arguments()))
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("remote_apply",)


class _Deaf:
    """A session in between which somebody swallows what is set, and only that."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.info = connection.info

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement.startswith("SET "):
            return None
        return self._connection.execute(statement.encode(), *parameters)


def test_a_commit_that_cannot_be_made_durable_is_refused(postgres: PostgresServer) -> None:
    """It is looked at, and not only asked for."""
    role = postgres.new_role()
    postgres.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
    url = DatabaseUrl.parse(postgres.url(role=role))
    another = partial(_connect, url.arguments())
    with another() as connection, pytest.raises(LedgerFailed, match="synchronous_commit = off"):
        fitness.check(_Deaf(connection), url, PROJECT, another=another)  # type: ignore[arg-type]  # it has what is asked for  # pyright: ignore[reportArgumentType]


def test_every_transaction_sees_what_was_committed_before_it_got_the_lock(
    postgres: PostgresServer,
) -> None:
    """A role whose transactions see an older state would pass the caps; it is set right."""
    role = postgres.new_role()
    postgres.execute(f"ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'")
    url = DatabaseUrl.parse(postgres.url(role=role))
    with _connect(url.arguments()) as connection:
        fitness.check(connection, url, PROJECT, another=partial(_connect, url.arguments()))
        connection.execute("BEGIN")
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_differs_is_refused(url: DatabaseUrl, minutes: int) -> None:
    """Days and lost requests are told by it; a driver on either side is told which way."""
    failed = _refused(url, now=lambda: datetime.now(UTC) + timedelta(minutes=minutes))

    assert f"6 minutes {'behind' if minutes < 0 else 'ahead of'} the server's" in str(failed)
    _checked(url, now=lambda: datetime.now(UTC) + timedelta(minutes=minutes * 0.75))


def test_a_server_that_can_only_be_read_is_refused(postgres: PostgresServer) -> None:
    """By a setting of the role; a standby has the same."""
    role = postgres.new_role()
    postgres.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")

    assert "only be read" in str(_refused(DatabaseUrl.parse(postgres.url(role=role))))


def test_a_standby_is_refused() -> None:
    """A real one, that waits for what its primary writes."""
    need("PostgreSQL server", is_there=True)
    with running() as server:
        server.stop()
        (server.folder / "data" / "standby.signal").touch()
        server.start()
        assert "only be read" in str(_refused(DatabaseUrl.parse(server.url())))


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer) -> None:
    """A prompt's letters are of all languages."""
    postgres.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    try:
        assert "LATIN1" in str(_refused(DatabaseUrl.parse(postgres.url("latin"))))
    finally:
        postgres.execute("DROP DATABASE latin")


def test_a_role_whose_rules_are_off_is_refused(postgres: PostgresServer) -> None:
    """It would pass every trigger by."""
    role = postgres.new_role("SUPERUSER")
    postgres.execute(f"ALTER ROLE {role} SET session_replication_role = replica")

    assert "switched off" in str(_refused(DatabaseUrl.parse(postgres.url(role=role))))


# Poolers -----------------------------------------------------------------------------------------


def _pooled(port: int) -> DatabaseUrl:
    return DatabaseUrl.parse(f"postgresql://owner@127.0.0.1:{port}/postgres")


@contextmanager
def _busy(url: DatabaseUrl, sessions: int) -> Generator[None]:
    """Let a pooler open so many sessions to the server, and leave them unused."""
    others = [_connect(url.arguments()) for _ in range(sessions)]
    for step in ("BEGIN", "SELECT 1", "COMMIT"):
        for other in others:
            other.execute(step.encode())
    yield
    for other in others:
        other.close()


@pytest.mark.parametrize(
    "size, robin", [(1, 0), (20, 0), (20, 1)], ids=["one session", "the last used", "in turns"]
)
def test_a_pooler_by_the_transaction_is_refused(
    postgres: PostgresServer, size: int, robin: int
) -> None:
    """A real one, however it chooses the session that it lends out."""
    need("pgbouncer", is_there=pooler.is_there())
    with pooler.pooling(postgres, "transaction", size=size, robin=robin) as port:
        url = _pooled(port)
        with _busy(url, 0 if size == 1 else 6):
            failed = _refused(url)
            place = PostgresPlace(url, PROJECT)
            for door in (place.open, place.open_to_read, lambda: place.warnings):
                with pytest.raises(LedgerFailed, match="a pooler lends its sessions out"):
                    door()

    assert "a pooler lends its sessions out" in str(failed)
    assert "pool_mode = session" in str(failed.hint)


def test_a_pooler_by_the_statement_is_refused(postgres: PostgresServer) -> None:
    """It has no transactions at all."""
    need("pgbouncer", is_there=pooler.is_there())
    with pooler.pooling(postgres, "statement", size=5) as port:
        assert "a pooler lends its sessions out" in str(_refused(_pooled(port)))


def test_a_pooler_by_the_session_is_let_pass(postgres: PostgresServer) -> None:
    """Whoever has a session of its own has its locks."""
    need("pgbouncer", is_there=pooler.is_there())
    with pooler.pooling(postgres, "session", size=20) as port, _busy(_pooled(port), 3):
        _checked(_pooled(port))


# No session at all -------------------------------------------------------------------------------


def _why_not(address: str, **more: Any) -> LedgerFailed:
    url = DatabaseUrl.parse(address)
    arguments: dict[str, Any] = {**url.arguments(), "connect_timeout": 1, **more}
    with pytest.raises(psycopg.Error) as raised:
        psycopg.connect(**arguments)
    failed = fitness.not_connected(url, PROJECT, raised.value)
    assert failed.hint
    for secret in url.secrets() if url.password is not None else ():
        assert secret not in f"{failed} {failed.hint}"
    return failed


def test_the_driver_says_what_is_wrong(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In its own words, which never show a password; and whether the server may be there yet."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    wrong = postgres.tcp_url().replace("postgresql://owner:", "postgresql://owner:hunter2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refusals = {
        wrong: "password authentication failed",
        f"postgresql://owner@127.0.0.1:{postgres.port}/postgres": "no password supplied",
        postgres.url("nowhere"): 'database "nowhere" does not exist',
        postgres.url(role="nobody_at_all"): 'role "nobody_at_all" does not exist',
    }
    absences = {
        f"postgresql://u@127.0.0.1:{port}/d": "onnection refused",
        f"postgresql://u@/d?host={tmp_path}": "No such file or directory",
    }

    for addresses, number in ((refusals, EPROTO), (absences, ECONNREFUSED)):
        for address, said in addresses.items():
            failed = _why_not(address)
            assert said in str(failed)
            assert failed.cause.errno == number


def test_a_server_that_does_not_answer_is_given_up() -> None:
    """It takes the connection, and says nothing."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        failed = _why_not(f"postgresql://u:hunter2@127.0.0.1:{mute.getsockname()[1]}/d")

    assert "timeout expired" in str(failed)
    assert failed.cause.errno == ECONNREFUSED


def test_a_role_that_may_not_log_in(postgres: PostgresServer) -> None:
    """It is there, and is only for belonging to."""
    role = postgres.new_role()
    postgres.execute(f"ALTER ROLE {role} NOLOGIN")

    assert "not permitted to log in" in str(_why_not(postgres.url(role=role)))


def test_a_database_that_a_role_may_not_enter(postgres: PostgresServer) -> None:
    """It is said which."""
    role, database = postgres.new_role(), postgres.new_database()
    postgres.execute(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")

    assert f'permission denied for database "{database}"' in str(
        _why_not(postgres.url(database, role=role))
    )


def test_whatever_else_is_said_has_no_password() -> None:
    """The driver's own words are shown, without what it may quote."""
    url = DatabaseUrl.parse("postgresql://u:hunter2%2Fx@127.0.0.1/d")
    said = psycopg.OperationalError('odd: password=hunter2/x in "postgresql://u:hunter2%2Fx@…"')
    failed = fitness.not_connected(url, PROJECT, said)

    assert "odd: password=**** in" in str(failed)
    assert "hunter2" not in str(failed)


# Encrypted ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server that encrypts, by a certificate for db.example.com, and its authority's."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    made = authority.issue_cert("db.example.com")
    with running() as server:
        key, certificate = server.folder / "server.key", server.folder / "server.pem"
        made.private_key_pem.write_to_path(str(key))
        made.cert_chain_pems[0].write_to_path(str(certificate))
        key.chmod(0o600)
        if os.geteuid() == 0:
            owner = (server.folder / "data").stat()
            os.chown(key, owner.st_uid, owner.st_gid)
        for line in ("ssl = on", f"ssl_key_file = '{key}'", f"ssl_cert_file = '{certificate}'"):
            server.execute(f"ALTER SYSTEM SET {line}")
        server.execute("SELECT pg_reload_conf()")
        yield server, folder / "ca.pem"


def _at(server: PostgresServer, host: str, more: str = "") -> str:
    return server.tcp_url(more=more).replace("@127.0.0.1:", f"@{host}:")


def test_a_server_elsewhere_is_believed_by_its_certificate(
    encrypted: tuple[PostgresServer, Path],
) -> None:
    """One that its authority has signed, for the name that was asked for."""
    server, authority = encrypted
    url = DatabaseUrl.parse(_at(server, "db.example.com", f"?sslrootcert={authority}"))
    with _connect({**url.arguments(), "hostaddr": "127.0.0.1"}) as connection:
        found = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert found.fetchone() == (True,)


def test_another_name_or_authority_is_not_believed(
    encrypted: tuple[PostgresServer, Path],
) -> None:
    """Nothing is sent to whoever only answers."""
    server, authority = encrypted
    here = {"hostaddr": "127.0.0.1"}
    other_name = _at(server, "other.example.com", f"?sslrootcert={authority}")

    assert "does not match host name" in str(_why_not(other_name, **here))
    assert "certificate verify failed" in str(_why_not(_at(server, "db.example.com"), **here))
    missing = _at(server, "db.example.com", "?sslrootcert=/nowhere/ca.pem")
    assert "root certificate file" in str(_why_not(missing, **here))


def test_a_server_elsewhere_that_does_not_encrypt_is_refused(postgres: PostgresServer) -> None:
    """No password is sent in clear, whatever the server would like."""
    address = _at(postgres, "db.example.com")

    assert "does not support SSL" in str(_why_not(address, hostaddr="127.0.0.1"))


# Rights ------------------------------------------------------------------------------------------


@pytest.fixture
def drivers_role(postgres: PostgresServer) -> tuple[str, str]:
    """A database with a ledger in it, and a role that has what a driver needs."""
    database, role = postgres.new_database(), postgres.new_role()
    PostgresPlace(DatabaseUrl.parse(postgres.url(database)), PROJECT).open().close()
    postgres.execute(grants(PROJECT, role), database=database)
    return database, role


def test_whoever_owns_the_tables_is_warned(postgres: PostgresServer) -> None:
    """With where to find what the owner grants to another one."""
    database = postgres.new_database()
    place = PostgresPlace(DatabaseUrl.parse(postgres.url(database)), PROJECT)
    assert not [one for one in place.warnings if "could" in one]  # there is no ledger yet
    place.open().close()

    (warning,) = [one for one in place.warnings if "could" in one]
    assert "could change its rules" in warning
    assert "docs/postgres.md" in warning


def test_whoever_may_delete_is_warned(
    postgres: PostgresServer, drivers_role: tuple[str, str]
) -> None:
    """A right that somebody has given for convenience."""
    database, role = drivers_role
    place = PostgresPlace(DatabaseUrl.parse(postgres.url(database, role=role)), PROJECT)
    assert not [one for one in place.warnings if "could" in one]
    postgres.execute(f"GRANT DELETE ON {PROJECT}.events TO {role}", database=database)
    place = PostgresPlace(DatabaseUrl.parse(postgres.url(database, role=role)), PROJECT)

    assert [one for one in place.warnings if "could delete what was bought" in one]
