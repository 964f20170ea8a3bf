"""A disk that can only be read: a healthy ledger can be looked at, and what cannot be is said."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.book import Ledger
from tests.doors import bills, painter, run_stage, scenes
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import further
from tests.projects import Project
from tests.stage3.test_disk import FullDisk, can_mount

pytestmark = pytest.mark.anyio

MOUNTED = pytest.mark.skipif(not can_mount(), reason="needs a disk of its own")
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77; cd "$0"; exec "$@"'

READ_ONLY_RESULTS = (
    'mount --bind out out && mount -o remount,ro,bind out || exit 77; exec "$0" "$@"'
)


def on_a_read_only_disk(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", READ_ONLY, str(folder), sys.executable, "-m", *words],
        env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@pytest.fixture
def project(image_api: ImageApi, tmp_path: Path) -> Project:
    """Return a project with two pictures that were paid for."""
    image_api.always(bills(0.05))
    project = Project(tmp_path / "project")
    project.scenes(2)
    project.config(image_api)
    assert project.run("run", "scenes.json").returncode == 0
    return project


@MOUNTED
@pytest.mark.parametrize("log", ["with memory", *further(["none", "empty"])])
@pytest.mark.parametrize(
    "words",
    [
        ("stage3_plugin", "attempts", "--all"),
        ("stage3_plugin", "verify"),
        ("host_stub", "plan", "scenes.json"),
    ],
)
def test_a_healthy_ledger_can_be_looked_at(
    project: Project, words: tuple[str, ...], log: str
) -> None:
    """As a backup, or a disk that the system remounted after an error, has it."""
    state = project.folder / ".stage3"
    if log == "empty":
        (state / "ledger.db-wal").touch()
    elif log == "with memory":
        left_by_a_killed_run(state)

    done = on_a_read_only_disk(project.folder, *words)

    assert done.returncode == 0, done.stderr
    assert {"attempts": "s01", "verify": "2 pictures", "plan": "reused"}[words[1]] in done.stdout


def left_by_a_killed_run(state: Path) -> None:
    """Leave a log with rows in it, and the memory beside it."""
    ledger = state / "ledger.db"
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE more (x)")
    connection.execute("DROP TABLE more")
    for end in ("", "-wal", "-shm"):
        shutil.copyfile(f"{ledger}{end}", f"{ledger}{end}.as-it-was")
    connection.close()
    for end in ("", "-wal", "-shm"):
        Path(f"{ledger}{end}.as-it-was").replace(f"{ledger}{end}")


@MOUNTED
@pytest.mark.parametrize("command", ["attempts", "verify"])
def test_a_log_that_cannot_be_read_there_is_named(project: Project, command: str) -> None:
    """Without the memory beside it; nothing is shown that the log would have changed."""
    state = project.folder / ".stage3"
    left_by_a_killed_run(state)
    (state / "ledger.db-shm").unlink()

    done = on_a_read_only_disk(project.folder, "stage3_plugin", command)

    assert done.returncode == 2
    assert "still in its log, ledger.db-wal" in done.stderr
    assert "copy the whole folder to a disk that can be written to" in done.stderr


@MOUNTED
def test_a_run_on_it_says_what_is_in_its_way(image_api: ImageApi, project: Project) -> None:
    """Nothing is sent, and nobody is told to look at the permissions."""
    project.scenes(3)
    project.config(image_api, state_dir=".stage3")

    done = on_a_read_only_disk(
        project.folder,
        "host_stub",
        "run",
        "scenes.json",
        "--out",
        str(project.folder.parent / "out"),
    )
    checked = on_a_read_only_disk(project.folder, "host_stub", "check")

    assert done.returncode == 2
    assert "may only be read" in done.stderr or "Read-only file system" in done.stderr
    assert "can only be read: no run starts" in checked.stdout + checked.stderr
    assert image_api.received() == 2


# What is said of a ledger that cannot be opened --------------------------------------------------


def test_a_path_that_is_too_long_for_sqlite_is_called_that(tmp_path: Path) -> None:
    """It is no matter of permissions."""
    folder = tmp_path
    while len(os.fsencode(folder)) < 520:
        folder /= "deep" * 10
    folder.mkdir(parents=True)

    with pytest.raises(LedgerFailed, match="longer than the 512 bytes") as refused:
        Ledger.open(folder / "ledger.db").close()

    assert refused.value.hint == "choose a state_dir with a shorter path"


async def test_a_picture_that_cannot_be_put_into_out_comes_with_a_next_step(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It is paid for and kept, and another folder will do."""
    with FullDisk(tmp_path / "out", after=0).inserted():
        ran = await run_stage(painter(image_api, capacity=1), scenes(1), tmp_path)

    assert ran.ending is not None
    assert ran.ending.message is not None
    assert "run again with another --out: it is paid for and kept" in ran.ending.message


@MOUNTED
def test_results_on_a_disk_that_can_only_be_read_are_told_as_that(project: Project) -> None:
    """Nobody is sent to free space on it, and nothing is bought that could not be shown."""
    project.scenes(3)
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", READ_ONLY_RESULTS, sys.executable, "-m", "host_stub", "run",
         "scenes.json"],
        cwd=project.folder,
        env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )  # fmt: skip

    assert ran.returncode == 2, ran.stderr
    assert "make that file system writable, or choose another folder with --out" in ran.stderr
    assert "free space" not in ran.stderr
    assert len(project.purchases()) == 2
