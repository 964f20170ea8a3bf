"""A database as companies have it: restarted, limited, set in its own ways, and read by many.

Through the commands alone: what an operator sees, and what comes of the pictures.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engines.conftest import need
from tests.engines.postgres import pooler
from tests.engines.postgres_server import PostgresServer, running
from tests.fakes.behaviours import Gate, Ok
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until

SCENES = 6


def project_at(folder: Path, api: ImageApi, address: str, **more: object) -> Project:
    """Lay out a project whose ledger is at an address."""
    project = Project(folder)
    project.scenes(SCENES)
    project.config(api, ledger=address, project="media", capacity=2, **more)
    return project


def owned(server: PostgresServer, rights: str = "") -> tuple[str, str]:
    """Make a role with a database of its own."""
    role, database = server.new_role(rights), server.new_database()
    server.execute(f"ALTER DATABASE {database} OWNER TO {role}")
    return role, database


def in_the_middle(api: ImageApi) -> Gate:
    """Have two scenes answered at once, and all others once the gate is open."""
    gate = Gate()
    api.script(Ok(), Ok())
    api.always(Ok(gate=gate))
    return gate


# A server that is away for a moment --------------------------------------------------------------


def test_a_server_that_is_restarted_is_waited_for(
    postgres: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """In order, within a second, as every update does it: the run goes on, and nothing is lost."""
    del postgres  # this system has one
    with running(durable=True) as server:
        project = project_at(tmp_path, image_api, server.url())
        gate = in_the_middle(image_api)
        run = project.start("run", "scenes.json")
        wait_until(lambda: image_api.received() > 3)  # no commit is under way then
        server.stop()
        server.start()
        gate.open()
        ran = ended(run)

    assert "Traceback" not in ran.stderr
    assert image_api.received() == image_api.billed()
    assert ran.returncode == 0, ran.stderr
    assert set(project.codes().values()) == {"made"}


@pytest.mark.heavy
def test_a_pooler_that_is_restarted_is_waited_for(
    postgres: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """One that keeps a session for each client, which all end with it."""
    need("pgbouncer", is_there=pooler.is_there())
    database = postgres.new_database()
    port = pooler.free_port()
    address = f"postgresql://owner@127.0.0.1:{port}/{database}"
    project = project_at(tmp_path, image_api, address)
    gate = in_the_middle(image_api)
    with pooler.pooling(postgres, "session", size=20, port=port):
        run = project.start("run", "scenes.json")
        wait_until(lambda: image_api.received() > 3)  # no commit is under way then
    with pooler.pooling(postgres, "session", size=20, port=port):
        gate.open()
        ran = ended(run)

    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0, ran.stderr


def test_a_session_that_waits_for_a_picture_is_not_ended(
    postgres: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """Whatever a server says of idle sessions: a picture takes longer than many of those limits."""
    role, database = owned(postgres)
    postgres.execute(f"ALTER ROLE {role} SET idle_session_timeout = '200ms'")
    image_api.always(Ok(delay_s=1))
    project = project_at(tmp_path, image_api, postgres.url(database, role=role))
    ran = project.run("run", "scenes.json")

    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0, ran.stderr


# What keeps a session from being -----------------------------------------------------------------


def test_a_role_with_no_session_left_is_told_as_that(
    postgres: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """The user is right, and whoever checks its spelling looks in vain."""
    role, database = owned(postgres, "CONNECTION LIMIT 0")
    project = project_at(tmp_path, image_api, postgres.url(database, role=role))
    checked = project.run("check")

    assert checked.returncode == 2, checked.stderr
    assert "too many connections" in checked.stderr, checked.stderr
    assert "has a connection left" in " ".join(checked.stderr.split())


@contextmanager
def hanging_up() -> Generator[int]:
    """Take connections, and end them before a word, as a balancer does with no server behind it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_that_hangs_up_is_told_with_a_next_step(
    tmp_path: Path, image_api: ImageApi
) -> None:
    """Not in those of the library below, which guesses at a crash."""
    with hanging_up() as port:
        project = project_at(tmp_path, image_api, f"postgresql://u@127.0.0.1:{port}/d")
        checked = project.run("check")

    assert checked.returncode == 2, checked.stderr
    assert f"127.0.0.1:{port}" in checked.stderr, checked.stderr
    assert "see that the server runs" in " ".join(checked.stderr.split())


# What a session is like --------------------------------------------------------------------------


def test_a_role_that_may_only_read_is_not_called_fit(
    postgres: PostgresServer, tmp_path: Path, image_api: ImageApi
) -> None:
    """``check`` is asked before a run because a run that stops has cost somebody's evening."""
    database, reader = postgres.new_database(), postgres.new_role()
    owner = project_at(tmp_path / "owner", image_api, postgres.url(database))
    assert owner.run("run", "scenes.json").returncode == 0
    postgres.execute(f"GRANT USAGE ON SCHEMA media TO {reader}", database=database)
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA media TO {reader}", database=database)
    project = project_at(tmp_path, image_api, postgres.url(database, role=reader))
    checked = project.run("check")

    assert checked.returncode == 2, checked.stdout
    assert "docs/postgres.md" in checked.stderr


@pytest.mark.parametrize("style", ["SQL, DMY", pytest.param("German", marks=pytest.mark.heavy)])
def test_how_a_role_likes_its_dates_makes_no_difference(
    postgres: PostgresServer, tmp_path: Path, image_api: ImageApi, style: str
) -> None:
    """It is a setting for people's eyes, and companies have it."""
    role, database = owned(postgres)
    postgres.execute(f"ALTER ROLE {role} SET datestyle = '{style}'")
    project = project_at(tmp_path, image_api, postgres.url(database, role=role))
    checked = project.run("check")

    assert checked.returncode == 0, checked.stderr
