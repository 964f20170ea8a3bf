"""The service that is never killed, the processes that are, and how often."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.killing.chains import project_folder
from tests.killing.processes import Servers, started

AT_ONCE = 3
"""Runs at one time; most of each is waiting for another process."""
KILLS = int(os.environ.get("KILLS", "30"))

collect_ignore_glob = [] if hasattr(os, "fork") else ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a long run be asked for: ``pytest tests/killing --kills 1000``, or ``KILLS=1000``."""
    parser.addoption(
        "--kills",
        type=int,
        default=KILLS,
        help="how many runs are killed at random moments (default: %(default)s)",
    )
    parser.addoption(
        "--kill-seed",
        type=int,
        default=0,
        help="where the seeds of the random kills begin (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def service() -> Iterator[ImageApi]:
    """Run one service for all; chains differ by their scenes' names."""
    with ImageApi() as api:
        api.always(Ok(usage=None, heavy=True))
        yield api


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Start the processes that fork runs."""
    with started(AT_ONCE) as ready:
        yield ready


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for projects."""
    with project_folder(tmp_path) as folder:
        yield folder
