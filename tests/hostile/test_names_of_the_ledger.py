"""One ledger under two names, and a ledger among results: said, and stopped where it would harm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_stub.contract import StageError
from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import SettingsRefused
from tests.doors import bills, painter, run_stage, scenes
from tests.fakes.image_api import ImageApi
from tests.projects import Project

pytestmark = pytest.mark.anyio

USES_IT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM meta").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


async def with_two_names(api: ImageApi, folder: Path) -> Path:
    """Buy a picture, give the ledger a second name elsewhere, and return that."""
    api.always(bills(0.05))
    await run_stage(painter(api), scenes(1), folder)
    other = folder / "other" / "ledger.db"
    other.parent.mkdir()
    os.link(folder / ".stage3" / "ledger.db", other)
    return other


async def test_a_second_name_is_warned_of_with_the_command_that_cures_it(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It harms nobody who is alone; after the command nothing is said any more."""
    await with_two_names(image_api, tmp_path)
    async with open_stage(painter(image_api), tmp_path) as stage:
        (told,) = [one for one in stage.warnings if "another name" in one]
    ran = await run_stage(painter(image_api), scenes(2), tmp_path)
    command = told.rpartition("going: ")[2].removesuffix(" [ledger_two_names]")
    subprocess.run(command, shell=True, check=True)  # noqa: ASYNC221 - as a person would
    async with open_stage(painter(image_api), tmp_path) as stage:
        after = [one for one in stage.warnings if "another name" in one]
    again = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert after == []
    assert {one.reused for one in again.outcomes.values()} == {True}
    assert image_api.received() == 2


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who has locks")
async def test_a_ledger_that_is_used_by_its_other_name_is_not_bought_by(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Each would have a log of its own; by one name any number may use it at once."""
    other = await with_two_names(image_api, tmp_path)
    for name, is_refused in ((other, True), (tmp_path / ".stage3" / "ledger.db", False)):
        with subprocess.Popen(  # noqa: ASYNC220 - nothing else waits here
            [sys.executable, "-c", USES_IT, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as user:
            assert user.stdout is not None
            assert user.stdout.readline() == b"open\n"
            before = image_api.received()
            if is_refused:
                with pytest.raises(StageError, match="by another name"):
                    await run_stage(painter(image_api), scenes(3), tmp_path)
            else:
                await run_stage(painter(image_api), scenes(3), tmp_path)
            user.communicate(b"")
        assert image_api.received() == before + (0 if is_refused else 2)


@pytest.mark.parametrize("out_dir", [".stage3", ".", ".stage3/out"])
async def test_no_ledger_is_begun_among_results(
    image_api: ImageApi, tmp_path: Path, out_dir: str
) -> None:
    """Deleting results costs nothing, as the page says; one that is there is only warned of."""
    with pytest.raises(SettingsRefused, match="folder of results"):
        async with open_stage(painter(image_api), tmp_path, out_dir=tmp_path / out_dir):
            pytest.fail("was opened")
    began = list(tmp_path.iterdir())
    image_api.always(bills(0.05))
    await run_stage(painter(image_api), scenes(1), tmp_path)
    async with open_stage(painter(image_api), tmp_path, out_dir=tmp_path / out_dir) as stage:
        warnings = stage.warnings
    async with open_stage(painter(image_api), tmp_path, out_dir=tmp_path / "out") as stage:
        none = stage.warnings

    assert began == []
    assert any("folder of results" in one for one in warnings)
    assert not any("folder of results" in one for one in none)


def test_check_and_run_refuse_a_ledger_among_results(image_api: ImageApi, tmp_path: Path) -> None:
    """By the host's own commands, before anything is made."""
    project = Project(tmp_path / "project")
    project.scenes(1)
    project.config(image_api, state_dir="out/state")
    for command in (("check",), ("run", "scenes.json")):
        done = project.start(*command)
        _, told = done.communicate(timeout=60)
        assert done.returncode == 2, told
        assert "folder of results" in told
    assert image_api.received() == 0
    assert not (project.folder / "out" / "state").exists()
