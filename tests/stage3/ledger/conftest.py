"""Runs what a ledger promises on the database that ``pytest --database`` names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stage3.ledger import databases


@pytest.fixture(scope="session", autouse=True)
def _database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start the server, if one is to keep the ledgers."""
    if request.config.getoption("database") != "postgres":
        yield
        return
    from tests.engines.postgres_server import running

    with running() as server:
        databases.use_server(server.url(server.shared_database))
        yield


@pytest.fixture(autouse=True)
def _its_own_database(request: pytest.FixtureRequest) -> None:
    """Skip on a server what is about SQLite."""
    marker = request.node.get_closest_marker("of_sqlite")
    if marker is not None and request.config.getoption("database") == "postgres":
        pytest.skip(f"SQLite alone: {marker.args[0]}")
