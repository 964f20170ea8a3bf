"""A ledger on a server: who may do what there, and what holds if a server, or a driver, is lost."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from stage3_plugin.domain.purchase import Held, Limits, OverCap, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.errors import (
    LedgerFailed,
    LedgerForked,
    LedgerInDoubt,
    SettingsRefused,
)
from stage3_plugin.ledger import sqlite
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.postgres import schema
from stage3_plugin.ledger.postgres.place import PostgresPlace
from stage3_plugin.runtime.database_url import DatabaseUrl
from tests.engines.postgres_server import PostgresServer, grants
from tests.stage3.ledger.samples import (
    DAY,
    HOLD,
    NO_CAPS,
    NOW,
    bring_to,
    hold,
    key_of,
    new_purchase,
)


@pytest.fixture
def project() -> str:
    """A name that no other test has, with what a name may have."""
    return f'a "project" {uuid.uuid4().hex[:12]}'


@pytest.fixture
def place(postgres: PostgresServer, project: str) -> PostgresPlace:
    """Where there is no ledger yet; whoever asks owns what is made."""
    return PostgresPlace(DatabaseUrl.parse(postgres.url(postgres.shared_database)), project)


@pytest.fixture
def ledger(place: PostgresPlace) -> Iterator[Ledger]:
    """A new ledger."""
    with place.open() as ledger:
        yield ledger


def quoted(project: str) -> str:
    """Write a schema's name in SQL."""
    doubled = project.replace('"', '""')
    return f'"{doubled}"'


# Roles -------------------------------------------------------------------------------------------


@pytest.fixture
def buyer(postgres: PostgresServer, place: PostgresPlace, project: str) -> PostgresPlace:
    """The same ledger as a role finds it that does not own it, by what an owner grants."""
    role = postgres.new_role()
    place.open().close()
    postgres.execute(grants(project, role), database=place.url.database)
    url = postgres.url(postgres.shared_database, role=role)
    return PostgresPlace(DatabaseUrl.parse(url), project)


def test_a_role_that_owns_nothing_may_buy(buyer: PostgresPlace) -> None:
    """Whatever state a purchase comes to, and all that a person decides."""
    with buyer.open() as ledger:
        for state in State:
            bring_to(ledger, state)
        paid = bring_to(ledger, State.PAID, new_purchase("rain"))
        with ledger.transaction():
            ledger.correct_cost(paid.new.attempt_id, 7, now=NOW)
            ledger.set_day(DAY.replace(day=1), now=NOW)
            ledger.acknowledge(["an answer"], now=NOW)
            ledger.agree_on_zone("UTC", now=NOW)
            ledger.show_home("abc")
        assert ledger.problems() == []
        assert ledger.home_is_connected("abc")


@pytest.mark.parametrize(
    "statement",
    [
        *(f"DELETE FROM {table}" for table in schema.TABLES),
        *(f"TRUNCATE {table} CASCADE" for table in schema.TABLES),
        "UPDATE purchases SET scene_key = 'another'",
        "UPDATE purchases SET hold_microusd = 0",
        "UPDATE jobs SET token = NULL",
        "UPDATE events SET why = 'another'",
        "UPDATE counters SET scope = 'another'",
        "UPDATE meta SET name = 'another'",
        "ALTER TABLE purchases DISABLE TRIGGER ALL",
        "DROP TRIGGER nothing_is_deleted ON purchases",
        "CREATE TRIGGER another BEFORE INSERT ON purchases EXECUTE FUNCTION refuse('')",
        "CREATE TABLE another (one TEXT)",
        "DROP TABLE purchases CASCADE",
        "SET session_replication_role TO replica",
    ],
)
def test_a_role_that_owns_nothing_may_neither_delete_nor_change_a_rule(
    postgres: PostgresServer, buyer: PostgresPlace, statement: str
) -> None:
    """Not even if it wants to: the server says no, before any trigger."""
    with buyer.open() as ledger:
        hold(ledger, new_purchase("rain"))

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        postgres.execute(
            f"SET search_path TO {quoted(buyer.project)}; {statement}",
            database=buyer.url.database,
            role=str(buyer.url.user),
        )


@pytest.mark.parametrize("table", schema.TABLES)
@pytest.mark.parametrize("how", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_whoever_owns_it_deletes_nothing_by_mistake(
    postgres: PostgresServer, ledger: Ledger, project: str, table: str, how: str
) -> None:
    """Also where nothing is in a table yet."""
    bring_to(ledger, State.ACCEPTED)

    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="never deleted"):
        postgres.execute(
            how.format(f"{quoted(project)}.{table}"), database=postgres.shared_database
        )


def test_who_may_not_make_a_ledger_is_referred_to_the_owner(
    postgres: PostgresServer, project: str
) -> None:
    """And there is none then."""
    url = postgres.url(postgres.shared_database, role=postgres.new_role())
    place = PostgresPlace(DatabaseUrl.parse(url), project)

    with pytest.raises(SettingsRefused, match="may not make one") as refused:
        place.open()

    assert "docs/postgres.md" in str(refused.value.hint)
    assert place.open_to_read() is None
    assert not place.exists()


# Its tables --------------------------------------------------------------------------------------


def test_both_databases_have_the_same_tables_and_rules(
    postgres: PostgresServer, ledger: Ledger, project: str, tmp_path: Path
) -> None:
    """Each column of a file's is there, and each rule but those that a server has no need of."""
    file = sqlite.open_to_write(tmp_path / "ledger.db")
    columns = {
        (table, row[1])
        for table in schema.TABLES
        for row in file.execute(f"PRAGMA table_info({table})")
    }
    rules = {
        name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    }
    file.close()
    found = postgres.execute(
        f"SELECT table_name, column_name FROM information_schema.columns "
        f"WHERE table_schema = '{project}'",
        database=postgres.shared_database,
    )
    triggers = postgres.execute(
        f"SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = '{project}'",
        database=postgres.shared_database,
    )

    assert set(found) == columns
    assert rules - {name for (name,) in triggers} == {
        "a_purchase_is_not_replaced", "a_job_is_not_replaced", "an_event_is_not_replaced",
        "a_purchase_stays", "a_job_stays", "an_event_stays", "a_counter_stays",
        "what_is_known_stays",
    }  # fmt: skip


def test_a_ledger_is_made_once_by_many_at_once(place: PostgresPlace) -> None:
    """Whoever comes first makes it; nobody meets half of one."""
    met: list[BaseException] = []

    def open_it() -> None:
        try:
            with place.open() as ledger:
                assert ledger.problems() == []
        except BaseException as error:  # noqa: BLE001 - told below
            met.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert met == []
    assert place.exists()


def test_looking_makes_nothing(place: PostgresPlace) -> None:
    """A plan for a project without a ledger leaves it without one."""
    assert place.open_to_read() is None
    assert not place.exists()


@pytest.mark.parametrize("is_read", [True, False])
def test_a_ledger_of_another_version_is_refused_by_name(
    postgres: PostgresServer, place: PostgresPlace, *, is_read: bool
) -> None:
    """Nothing is read from it, and nothing written."""
    place.open().close()
    postgres.execute(
        f"SET session_replication_role TO replica; UPDATE {quoted(place.project)}.meta "
        f"SET value = '99' WHERE name = '{schema.VERSION_NAME}'",
        database=place.url.database,
    )

    with pytest.raises(SettingsRefused, match="its schema is 99, known here is"):
        place.open_to_read() if is_read else place.open()


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("lacks", ["", "counters", "purchases"])
def test_a_snapshots_ledger_is_refused_with_its_money(
    postgres: PostgresServer, place: PostgresPlace, *, lacks: str, is_read: bool
) -> None:
    """As far as its tables tell it: whatever they lack is not called nothing."""
    with place.open() as ledger:
        for state in (State.SENDING, State.ACCEPTED, State.UNKNOWN, State.PAID):
            bring_to(ledger, state)
    change = f"ALTER TABLE {quoted(place.project)}.{lacks} RENAME TO gone; " if lacks else ""
    postgres.execute(
        f"SET session_replication_role TO replica; {change} UPDATE {quoted(place.project)}.meta "
        f"SET value = '1' WHERE name = '{schema.VERSION_NAME}'",
        database=place.url.database,
    )

    with pytest.raises(SettingsRefused, match="of a snapshot before the first release") as refused:
        place.open_to_read() if is_read else place.open()
    told = str(refused.value)
    open_in_it = "what is open in it cannot be read here"
    counted = "what its caps have counted cannot be read here"
    if lacks != "purchases":
        open_in_it = "open in it: 2, of unknown outcome: 1"
    if lacks != "counters":
        counted = "total_usd has counted $0.159, daily_usd $0.159 of openrouter on 2026-11-24"
    assert f"; {open_in_it}; {counted}; a new ledger begins at 0" in told
    assert "set another `project`" in told


def test_a_schema_with_something_else_in_it_is_left_alone(
    postgres: PostgresServer, place: PostgresPlace
) -> None:
    """Somebody has a schema of that name already."""
    name = quoted(place.project)
    postgres.execute(
        f"CREATE SCHEMA {name}; CREATE TABLE {name}.theirs (one TEXT)", database=place.url.database
    )

    for ask in (place.open, place.open_to_read, place.exists):
        with pytest.raises(SettingsRefused, match="is no ledger"):
            ask()


def test_what_a_ledger_is_never_changes(
    postgres: PostgresServer, ledger: Ledger, project: str
) -> None:
    """Its version, and the word by which it is known."""
    assert ledger.problems() == []
    for name in (schema.VERSION_NAME, schema.ID_NAME):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            postgres.execute(
                f"UPDATE {quoted(project)}.meta SET value = 'x' WHERE name = '{name}'",
                database=postgres.shared_database,
            )


def test_odd_characters_of_a_provider_are_stored(ledger: Ledger) -> None:
    """NUL, and half of a pair: a paid picture is not lost for a message."""
    attempt_id = hold(ledger, new_purchase("rain"))
    said = Settlement(
        state=State.REFUSED, why="nul \0, half \ud800, whole \U0001f600", request_id="\0"
    )

    with ledger.transaction():
        ledger.settle(attempt_id, said, now=NOW)
    settled = ledger.purchase(attempt_id)

    assert settled is not None
    assert settled.why == "nul \ufffd, half ?, whole \U0001f600"
    assert settled.request_id == "\ufffd"


# The lock ----------------------------------------------------------------------------------------


def two_buyers(place: PostgresPlace) -> list[object]:
    """Let two hold at once under a cap for one: the second while the first has not committed."""
    held: list[object] = []

    def hold_second() -> None:
        with place.open() as second, second.transaction():
            held.append(second.hold(new_purchase("snow"), only_one, day=DAY, now=NOW))

    only_one = Limits(total_microusd=HOLD)
    with place.open() as first:
        bring_to(first, State.VOID)  # the counters are there
        thread = threading.Thread(target=hold_second)
        with first.transaction():
            held.append(first.hold(new_purchase("rain"), only_one, day=DAY, now=NOW))
            thread.start()
            time.sleep(0.3)  # it waits: for the lock, or without one for the counters' rows
            assert thread.is_alive()
        thread.join()
    return held


def test_two_buyers_share_a_cap(place: PostgresPlace) -> None:
    """The second one sees what the first has held."""
    first, second = two_buyers(place)

    assert isinstance(first, Held)
    assert isinstance(second, OverCap)


def two_holds(ledger: Ledger, between: Callable[[], object]) -> None:
    """Hold twice in one transaction, and let something happen in between."""
    with ledger.transaction():
        ledger.hold(new_purchase("rain"), NO_CAPS, day=DAY, now=NOW)
        between()
        ledger.hold(new_purchase("snow"), NO_CAPS, day=DAY, now=NOW)


def end_all_sessions(postgres: PostgresServer, place: PostgresPlace) -> None:
    """Have the server end every session of a database, and wait until they are gone."""
    postgres.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()",
        database=place.url.database,
    )


def test_a_driver_that_is_frozen_in_a_transaction_does_not_keep_the_others_waiting(
    postgres: PostgresServer, place: PostgresPlace
) -> None:
    """Its transaction is undone, and what it does when it thaws fails."""
    url = DatabaseUrl.parse(postgres.url(postgres.shared_database, more="&connect_timeout=1"))
    frozen = PostgresPlace(url, place.project).open()
    with place.open() as other, frozen:
        began_s = time.monotonic()
        with pytest.raises(LedgerFailed, match="connection to the database was lost"):
            two_holds(frozen, lambda: hold(other, new_purchase("rain")))
        assert time.monotonic() - began_s < 3
        hold(frozen, new_purchase("hail"))  # by a new connection

        assert len(list(other.purchases())) == 2
        assert other.problems() == []


# What is lost ------------------------------------------------------------------------------------


def test_a_look_ends_where_the_server_is_frozen(
    postgres: PostgresServer, place: PostgresPlace
) -> None:
    """In words, within the time that the address gives."""
    url = DatabaseUrl.parse(postgres.url(postgres.shared_database, more="&connect_timeout=1"))
    with PostgresPlace(url, place.project).open() as ledger:
        with postgres.frozen():
            began_s = time.monotonic()
            with pytest.raises(LedgerFailed, match="has not answered for 3 s"):
                ledger.live(key_of("rain"))
            took_s = time.monotonic() - began_s

        assert 2 < took_s < 6
        assert ledger.live(key_of("rain")) is None  # and it is asked again


def test_a_connection_that_was_lost_is_made_anew_between_transactions(
    postgres: PostgresServer, place: PostgresPlace, ledger: Ledger
) -> None:
    """With all that was set on it; inside a transaction it is an error, and nothing was written."""
    with ledger.transaction():
        ledger.show_home("abc")
    with pytest.raises(LedgerFailed, match="was lost"):
        two_holds(ledger, lambda: end_all_sessions(postgres, place))

    hold(ledger, new_purchase("hail"))
    looking = place.open_to_read()
    assert looking is not None
    with looking:
        assert [one.new.scene_id for one in looking.purchases()] == ["hail"]
        assert looking.home_is_connected("abc")
        assert not looking.home_is_connected("another")


def test_a_home_is_connected_as_long_as_its_connection(
    place: PostgresPlace, ledger: Ledger
) -> None:
    """Of any number of drivers of it."""
    with place.open() as first, place.open() as second:
        for one in (first, second):
            with one.transaction():
                one.show_home("abc")
        assert ledger.home_is_connected("abc")
        first.close()
        assert ledger.home_is_connected("abc")
    until_s = time.monotonic() + 10
    while ledger.home_is_connected("abc"):
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_another_ledger_under_the_same_address_is_noticed(
    postgres: PostgresServer, place: PostgresPlace, ledger: Ledger
) -> None:
    """A server that comes back with a backup, or with a new ledger, would buy all again."""
    hold(ledger, new_purchase("rain"))
    drop = f"DROP SCHEMA {quoted(place.project)} CASCADE"
    postgres.execute(drop, database=place.url.database)
    end_all_sessions(postgres, place)
    PostgresPlace(place.url, place.project).open().close()  # by another driver

    for _ in range(2):
        with pytest.raises(LedgerFailed, match="another ledger than before"):
            ledger.last_day()


def test_a_forked_process_does_not_talk_on_its_parents_connection(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would read the other's answers, and closing it would end the parent's."""
    with monkeypatch.context() as forked:
        forked.setattr("os.getpid", lambda: -1)
        with pytest.raises(LedgerForked):
            ledger.last_day()
        with pytest.raises(LedgerForked):
            hold(ledger, new_purchase("rain"))
        ledger.close()

    assert ledger.last_day() is None


def test_a_name_that_the_server_keeps_to_itself_is_refused(place: PostgresPlace) -> None:
    """As the setting that it is."""
    with pytest.raises(SettingsRefused, match="'project'"):
        PostgresPlace(place.url, "pg_lighthouse").open()


def test_a_transaction_that_the_server_ended_for_idling_is_not_in_doubt(
    postgres: PostgresServer, place: PostgresPlace
) -> None:
    """It ended before the commit came, so nothing of it is there."""
    url = DatabaseUrl.parse(postgres.url(postgres.shared_database, more="&connect_timeout=1"))
    with PostgresPlace(url, place.project).open() as ledger:
        with pytest.raises(LedgerFailed) as failed:
            hold_and_sleep(ledger, 2.0)

        assert not isinstance(failed.value, LedgerInDoubt)
        assert list(ledger.purchases()) == []


def hold_and_sleep(ledger: Ledger, seconds: float) -> None:
    """Hold, and do nothing for longer than the server waits."""
    with ledger.transaction():
        ledger.hold(new_purchase("rain"), NO_CAPS, day=DAY, now=NOW)
        time.sleep(seconds)
