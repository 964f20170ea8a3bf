"""Fixtures every room shares: both event loops, and hypothesis' profile."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.image_api import ImageApi

settings.register_profile(
    "shared-machine",
    deadline=None,  # other people's load must not fail a law
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared-machine")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every async test on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture
def image_api() -> Iterator[ImageApi]:
    """Run a loopback image API that keeps books; see ``tests/fakes/image_api.py``."""
    with ImageApi() as api:
        yield api
