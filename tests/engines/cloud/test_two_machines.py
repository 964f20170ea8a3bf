"""Two machines with one ledger on a server and one bucket: what each made, the other has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.postgres_server import PostgresServer
from tests.fakes.image_api import ImageApi
from tests.projects import Project


@pytest.fixture
def machine(
    tmp_path: Path, image_api: ImageApi, bucket: str, postgres: PostgresServer
) -> Callable[[str], Project]:
    """Return what sets up a machine with its own folders."""
    ledger = postgres.url(postgres.shared_database)

    def set_up(name: str) -> Project:
        project = Project(tmp_path / name)
        project.scenes(4)
        project.config(image_api, store=bucket, ledger=ledger, project="both")
        return project

    return set_up


def test_the_second_has_what_the_first_made_and_pays_nothing(
    machine: Callable[[str], Project], image_api: ImageApi
) -> None:
    """Byte for byte, also once the first is gone; verify there has the bucket from the config."""
    first, second = machine("first"), machine("second")
    made = first.run("run", "scenes.json")
    pictures = {one.name: one.read_bytes() for one in (first.folder / "out/images").iterdir()}
    shutil.rmtree(first.folder)
    before = second.stage3("verify", "--json")
    ran = second.run("run", "scenes.json")
    after = second.stage3("verify", "--json")

    assert made.returncode == 0, made.stderr
    assert ran.returncode == 0, ran.stderr
    assert {
        one.name: one.read_bytes() for one in (second.folder / "out/images").iterdir()
    } == pictures
    assert before.returncode == 0, before.stdout
    assert json.loads(before.stdout)["only_in_store"] == 4
    assert json.loads(after.stdout)["only_in_store"] == 0
    assert image_api.billed() == image_api.received() == 4


def test_check_says_what_a_shared_ledger_lacks_without_a_bucket(
    tmp_path: Path, image_api: ImageApi, postgres: PostgresServer
) -> None:
    """Another machine would find pictures paid for that it cannot have."""
    project = Project(tmp_path / "alone")
    project.config(image_api, ledger=postgres.url(postgres.shared_database), project="alone")
    check = project.run("check")

    assert check.returncode == 0, check.stderr
    assert "`ledger` is on a server and no `store` is set" in check.stderr
