"""Programs of their own that call the library: killed, and beside the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stage3_plugin import make_pictures
from tests.doors import bills
from tests.fakes.behaviours import Hang, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.library.calling import code, painter, scenes
from tests.projects import Project, wait_until

SCRIPT = """
from stage3_plugin import make_pictures
make_pictures("scenes.json", "host.toml", max_cost_usd="1.00")
"""


@pytest.fixture
def project(image_api: ImageApi, tmp_path: Path) -> Project:
    """A folder as the command has it, with a config and three scenes."""
    image_api.always(bills(0.05))
    project = Project(tmp_path)
    project.config(image_api, capacity=1)
    story = json.dumps(scenes(3))
    (tmp_path / "scenes.json").write_text(story, encoding="utf-8")
    return project


def started(project: Project, *program: str) -> subprocess.Popen[str]:
    """Start a program that calls the library."""
    return subprocess.Popen(
        [sys.executable, "-c", *program],
        cwd=project.folder,
        env={**os.environ, "LOOPBACK_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a program, a minute at most."""
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def test_what_a_killed_program_had_an_answer_for_is_taken_in(
    project: Project, image_api: ImageApi
) -> None:
    """It was killed while it fetched the picture; the next call fetches it, and pays nothing."""
    image_api.script(Ok(url="own", usage={"cost": 0.05}), scene="s01")
    image_api.visit(Hang())
    process = started(project, SCRIPT)
    wait_until(image_api.visits)
    process.kill()
    ended(process)
    next_call = make_pictures(
        scenes(1),
        painter(image_api),
        project_dir=project.folder,
        out_dir=project.folder / "pictures",
    )

    assert [code(one) for one in next_call] == ["reused"]
    assert image_api.received() == 1


def test_the_command_and_the_library_have_one_ledger(project: Project, image_api: ImageApi) -> None:
    """What either has bought the other finds, and both count against one cap."""
    with (project.folder / "host.toml").open("a", encoding="utf-8") as file:
        file.write('\ntotal_usd = "0.15"\n')
    by_library = ended(started(project, SCRIPT))
    by_command = project.run("run", "scenes.json", "--json")
    story = json.dumps([*scenes(3), {"scene_id": "s04", "prompt": "s04: one too many"}])
    (project.folder / "scenes.json").write_text(story, encoding="utf-8")
    beyond = ended(started(project, SCRIPT))

    assert by_library.returncode == by_command.returncode == 0, by_library.stderr
    assert all(image["reused"] for image in project.manifest()["images"])
    assert "BudgetReached" in beyond.stderr
    assert "total_usd" in beyond.stderr
    assert image_api.received() == 3
