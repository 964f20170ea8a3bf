"""A server that is killed or frozen in the middle of a run: it ends by itself; nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.place import place_of
from stage3_plugin.ledger.postgres import fitness
from stage3_plugin.ledger.postgres.engine import PostgresEngine
from stage3_plugin.ledger.postgres.place import PostgresPlace
from tests.engines.postgres_server import PostgresServer, running
from tests.fakes.behaviours import Gate, Ok
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until

SCENES = 60


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server that may be stopped: of its own, and durable."""
    del postgres  # this system has one
    with running(durable=True) as server:
        yield server


def project_on(server: PostgresServer, folder: Path, api: ImageApi, **more: object) -> Project:
    """Lay out a project whose ledger is on a server."""
    project = Project(folder)
    project.scenes(SCENES)
    project.config(
        api,
        ledger=server.url(more="&connect_timeout=1"),
        project="media",
        capacity=8,
        max_attempts=1,
        **more,
    )
    return project


def in_the_middle(api: ImageApi) -> Gate:
    """Have a third of the scenes answered at once, and all others once the gate is open."""
    gate = Gate()
    api.script(*[Ok()] * (SCENES // 3))
    api.always(Ok(gate=gate))
    return gate


def purchases(server: PostgresServer, folder: Path) -> list[Purchase]:
    """Read every row, and see that the counters are right."""
    with place_of(server.url(), "media", folder).open() as ledger:
        assert ledger.problems() == []
        return list(ledger.purchases())


def test_a_server_that_is_killed_ends_the_run_and_loses_nothing(
    server: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """The next run takes in what was answered meanwhile: billed is made, and nothing twice."""
    project = project_on(server, tmp_path, image_api)
    gate = in_the_middle(image_api)
    run = project.start("run", "scenes.json")
    wait_until(lambda: image_api.received() > SCENES // 3)
    server.stop(at_once=True)
    gate.open()

    first = ended(run)
    server.start()
    billed = image_api.received()
    second = project.run("run", "scenes.json")
    rows = purchases(server, tmp_path)

    assert first.returncode == 3, first.stderr
    assert "Traceback" not in first.stderr
    assert billed < SCENES
    assert second.returncode == 0, second.stderr
    assert set(project.codes().values()) == {"made"}
    assert image_api.received() == SCENES
    assert {row.state for row in rows} <= {State.PAID, State.VOID}
    assert len([row for row in rows if row.state is State.PAID]) == SCENES


def test_a_server_that_is_frozen_ends_the_run_within_its_time(
    server: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """Its connections stay, and no setting of a socket notices."""
    project = project_on(server, tmp_path, image_api)
    gate = in_the_middle(image_api)
    run = project.start("run", "scenes.json")
    wait_until(lambda: image_api.received() > SCENES // 3)
    with server.frozen():
        gate.open()
        first = ended(run, most_s=60)  # some 24: each that asks waits for it once, for six
    second = project.run("run", "scenes.json")

    assert first.returncode == 3, first.stderr
    assert any(words in first.stderr for words in ("has not answered for 3 s", "timeout expired"))
    assert "nothing is paid twice" in first.stderr
    assert second.returncode == 0, second.stderr
    assert image_api.received() == SCENES


@pytest.mark.parametrize(
    "step, door",
    [
        ("check", "open"),
        ("check", "warnings"),
        ("check_own", "open_to_read"),
        ("check_own", "exists"),
    ],
)
def test_a_server_that_is_frozen_as_it_is_looked_at_is_not_waited_for(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, door: str
) -> None:
    """What a server is like is asked before there is any run that could notice."""
    place = place_of(server.url(more="&connect_timeout=1"), "media", tmp_path)
    assert isinstance(place, PostgresPlace)
    place.open().close()
    original = getattr(fitness, step)

    def frozen(*arguments: Any, **named: Any) -> Any:
        with server.frozen():
            return original(*arguments, **named)

    def through() -> None:
        found = getattr(place, door)  # where a property asks already
        found()

    monkeypatch.setattr(fitness, step, frozen)
    with pytest.raises(LedgerFailed, match="has not answered for 3 s"):
        through()


# Waiting for it ----------------------------------------------------------------------------------


def engine_of(ledger: Ledger) -> PostgresEngine:
    """Return what a ledger works on, which waits for half a second."""
    assert isinstance(ledger.engine, PostgresEngine)
    ledger.engine.answers_within_s = 0.25
    return ledger.engine


def test_a_statement_that_ends_its_session_is_not_asked_for_ever(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """A server that is there each time, and dies of what it is asked, is away as well."""
    with place_of(postgres.url(), "dying", tmp_path).open() as ledger:
        engine, began_s = engine_of(ledger), time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            engine.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        took_s = time.monotonic() - began_s

    assert 0.5 <= took_s < 20


def test_a_server_that_refuses_a_role_meanwhile_is_not_waited_for(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but a person changes that."""
    role, database = postgres.new_role(), postgres.new_database()
    postgres.execute(f"ALTER DATABASE {database} OWNER TO {role}")
    with place_of(postgres.url(database, role=role), "media", tmp_path).open() as ledger:
        engine, tries, another = engine_of(ledger), list[int](), PostgresEngine.another

        def counted(of: PostgresEngine) -> psycopg.Connection[tuple[Any, ...]]:
            tries.append(1)
            return another(of)

        monkeypatch.setattr(PostgresEngine, "another", counted)
        postgres.execute(f"ALTER ROLE {role} NOLOGIN")
        engine.connection.close()
        with pytest.raises(LedgerFailed, match="not permitted to log in"):
            engine.execute("SELECT 1")

    assert len(tries) == 1
