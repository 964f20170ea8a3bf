"""Programs of their own that call the library: interrupted, killed, and beside the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stage3_plugin import make_pictures
from tests.doors import bills
from tests.fakes.behaviours import Gate, Hang, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import first_of
from tests.library.calling import code, painter, scenes
from tests.projects import Project, wait_until

SCRIPT = """
from stage3_plugin import make_pictures
make_pictures("scenes.json", "host.toml", max_cost_usd="1.00")
"""
IN_A_LOOP = """
import anyio, sys
from stage3_plugin import open_stage

async def main():
    async with open_stage("host.toml") as stage:
        async for outcome in stage.run("scenes.json"):
            pass

anyio.run(main, backend=sys.argv[1])
"""
PROGRAMS = {"script": (SCRIPT,), "asyncio": (IN_A_LOOP, "asyncio"), "trio": (IN_A_LOOP, "trio")}


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


@pytest.mark.parametrize("program", first_of(PROGRAMS, "trio"))
def test_ctrl_c_ends_a_program_and_loses_no_paid_picture(
    program: str, project: Project, image_api: ImageApi
) -> None:
    """The answer on its way is waited for; nothing new is sent."""
    gate = Gate()
    image_api.script(bills(0.05, gate=gate), scene="s01")
    process = started(project, *PROGRAMS[program])
    wait_until(lambda: image_api.received("s01") == 1)
    process.send_signal(signal.SIGINT)
    gate.open()
    done = ended(process)
    again = make_pictures(
        scenes(1),
        painter(image_api),
        project_dir=project.folder,
        out_dir=project.folder / "pictures",
    )

    assert done.returncode in {-signal.SIGINT, 130, 1}
    assert "KeyboardInterrupt" in done.stderr
    assert [code(one) for one in again] == ["reused"]
    assert image_api.billed("s01") == 1


def test_a_killed_program_pays_for_nothing_twice(project: Project, image_api: ImageApi) -> None:
    """What may be billed is held for a person, everything else is made by the next call."""
    gate = Gate()
    image_api.script(bills(0.05, gate=gate), scene="s02")
    process = started(project, SCRIPT)
    wait_until(lambda: image_api.received("s02") == 1)
    process.kill()
    ended(process)
    gate.open()
    next_call = make_pictures(
        scenes(3),
        painter(image_api),
        project_dir=project.folder,
        out_dir=project.folder / "pictures",
        check=False,
    )

    assert [code(one) for one in next_call] == ["reused", "unknown", "made"]
    assert [image_api.received(scene["scene_id"]) for scene in scenes(3)] == [1, 1, 1]


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
