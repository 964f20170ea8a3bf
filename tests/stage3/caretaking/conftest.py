"""A project with a ledger, and a person who asks about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stage3_plugin.cli import main
from stage3_plugin.testing.image_api import ImageApi
from tests.fakes.plain import Plain, PlainDialect
from tests.places import offer
from tests.said import Say
from tests.stage3.caretaking.purchases import Project


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(capsys, main)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the current folder, with its state where a command looks for it."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path / ".stage3")


@pytest.fixture
def queue_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageApi]:
    """A provider ``plain`` whose pictures are jobs of a queue."""
    offer(monkeypatch, "plain", Plain)
    with ImageApi(dialect=PlainDialect()) as api:
        yield api
