"""Fixtures every room shares: both event loops, and hypothesis' profiles."""

from collections.abc import Iterator

import pytest

from tests.fakes.image_api import ImageApi
from tests.laws import register_profiles

register_profiles()


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
