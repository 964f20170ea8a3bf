"""Two machines, one PostgreSQL server, one bucket, one image API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.doors import bills
from tests.engines.drivers.machines import Inside, Town, can_be_apart
from tests.engines.postgres_server import PostgresServer
from tests.fakes.image_api import ImageApi


@pytest.fixture(scope="session")
def inside() -> Iterator[Sequence[Inside]]:
    """Start what forks drivers on both machines, each in a network of its own if that can be."""
    apart = can_be_apart()
    with Inside(apart=apart) as one, Inside(apart=apart) as two:
        yield one, two


@pytest.fixture
def town(postgres: PostgresServer, inside: Sequence[Inside], tmp_path: Path) -> Iterator[Town]:
    """Two machines whose drivers share a ledger of their own."""
    url, project = postgres.url(postgres.shared_database), f"p{uuid.uuid4().hex[:12]}"
    with ImageApi() as api:
        api.always(bills(0.05))
        with Town(tmp_path, api, inside, url=url, project=project) as both:
            yield both
