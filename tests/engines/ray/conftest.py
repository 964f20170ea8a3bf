"""One cluster for all: a head, and two nodes that have room for two replicas each.

A test that takes a node away adds another.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec

import pytest

from tests.engines.conftest import need
from tests.engines.ray_cluster import Cluster, environment, running


@pytest.fixture(scope="session")
def needs_ray() -> None:
    """Ray itself, where a test starts no cluster."""
    need("Ray", is_there=find_spec("ray") is not None)


@pytest.fixture(scope="session")
def cluster(needs_ray: None) -> Generator[Cluster]:
    with running() as cluster:
        cluster.add(2)
        cluster.add(2)
        yield cluster


@pytest.fixture(autouse=True)
def _as_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the token that the cluster asks for."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
