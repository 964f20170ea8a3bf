"""Real engines: PostgreSQL, a Ray cluster, an S3 server; what this system lacks is skipped.

With ``ENGINES=required`` in the environment, as ``.ci/run`` has it, what is lacking is an error.
Without the libraries, as in the lane that everybody runs, nothing here is even imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.engines.postgres_server import PostgresServer, binaries, running

IS_REQUIRED = os.environ.get("ENGINES") == "required"
if not IS_REQUIRED and any(find_spec(name) is None for name in ("psycopg", "obstore")):
    collect_ignore_glob = ["*"]


def need(what: str, *, is_there: bool) -> None:
    """Skip a test for want of an engine, or fail it where engines are required."""
    if is_there:
        return
    if IS_REQUIRED:
        pytest.fail(f"this system has no {what}, and ENGINES=required")
    pytest.skip(f"this system has no {what}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process; each takes a database or a project."""
    need("PostgreSQL server", is_there=binaries() is not None)
    with running() as server:
        yield server
