"""Runs by a ledger that was moved, through the host: what was in doubt stays, no password shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from stage3_plugin.domain.states import State
from stage3_plugin.ledger.place import place_of
from stage3_plugin.ledger.postgres.place import PostgresPlace
from stage3_plugin.maintenance.moving import move
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.runtime.database_url import DatabaseUrl
from tests.doors import bills, painter
from tests.engines.postgres_server import PASSWORD, PostgresServer
from tests.fakes.behaviours import ResetAfterRead
from tests.fakes.image_api import KEY, ImageApi
from tests.stage3.buying import scenes
from tests.stage3.running import run_stage
from tests.stage3.test_recovery import Dead, answer_with_picture

PROJECT = "lighthouse"


@pytest.mark.anyio
async def test_the_answer_of_a_dead_run_is_taken_in_after_the_move(
    image_api: ImageApi, tmp_path: Path, postgres: PostgresServer
) -> None:
    """By the same state folder, from its spool; nothing is sent for it, and nothing is lost."""
    image_api.always(bills(0.05))
    dead = Dead(tmp_path, painter(image_api))
    answered = dead.leaves()
    dead.has_received(answered, answer_with_picture())
    lost = dead.leaves(story=scenes(2), scene_key="0" * 64, scene_id="s02")
    url = postgres.tcp_url(postgres.new_database())
    server = PostgresPlace(DatabaseUrl.parse(url), PROJECT)
    moved = move(StateFolder(tmp_path / ".stage3"), server, now=datetime.now(UTC))
    assert "2 purchases" in moved.text

    there = dead.settings.model_copy(update={"ledger": SecretStr(url), "project": PROJECT})
    ran = await run_stage(there, scenes(1), tmp_path)

    assert ran.outcomes["s01"].reused
    assert image_api.connections == 0
    place = place_of(url, PROJECT, tmp_path / ".stage3")
    ledger = place.open_to_read()
    assert ledger is not None
    with ledger:
        found = {one.new.attempt_id: one.state for one in ledger.purchases()}
        assert ledger.problems() == []
    assert found == {answered: State.PAID, lost: State.UNKNOWN}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as ``host-stub init`` makes it, whose config has its address from a variable."""
    _host(tmp_path, {}, "init")
    config = tmp_path / "host.toml"
    text = config.read_text(encoding="utf-8")
    addition = f'[plugin.stage3]\nledger = {{ env = "LEDGER" }}\nproject = "{PROJECT}"\n'
    config.write_text(text.replace("[plugin.stage3]\n", addition, 1), encoding="utf-8")
    return tmp_path


def _host(folder: Path, more: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host_stub", *words],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def _files(folder: Path) -> bytes:
    """Return all that a project has in files, one behind the other."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_password_is_shown_or_written_anywhere(project: Path, postgres: PostgresServer) -> None:
    """By no command, in no file, and with no trouble."""
    right = {"LEDGER": postgres.tcp_url(postgres.new_database())}
    said = ""
    for words in (
        ["check"], ["run", "scenes.json", "--json"], ["stage3", "attempts", "--all", "--json"],
        ["run", "scenes.json", "--set", "plugin.stage3.seed=7", "--debug"],
    ):  # fmt: skip
        done = _host(project, right, *words)
        assert done.returncode == 0, (words, done.stderr)
        said += done.stdout + done.stderr
    address = postgres.tcp_url("nowhere")
    for wrong in (address, address.replace(":", ":hunter2", 2).replace(":hunter2", ":", 1)):
        for words in (["check"], ["run", "scenes.json", "--debug"], ["stage3", "attempts"]):
            done = _host(project, {"LEDGER": wrong}, *words)
            assert done.returncode == 2, (words, done.stderr)
            said += done.stdout + done.stderr

    assert "project lighthouse" in said
    for secret in (*DatabaseUrl.parse(right["LEDGER"]).secrets(), "hunter2", address):
        assert secret not in said
        assert secret.encode() not in _files(project)
    assert PASSWORD not in said


def test_a_next_step_can_be_typed(
    image_api: ImageApi, tmp_path: Path, postgres: PostgresServer
) -> None:
    """A config of another name, in another folder, is named by each line that is to be typed."""
    url = postgres.tcp_url(postgres.new_database())
    folder = tmp_path / "film"
    folder.mkdir()
    image_api.always(ResetAfterRead())
    (folder / "paid.toml").write_text(
        f"""
[plugin.stage3]
provider = "openai"
model = "gpt-image-2"
base_url = "{image_api.base_url}"
api_key = {{ env = "KEY" }}
size = "64x64"
price_usd = "0.05"
ledger = {{ env = "LEDGER" }}
""",
        encoding="utf-8",
    )
    scene = {"scene_id": "s01", "image_prompt": "s01: a harbour"}
    (folder / "scenes.json").write_text(json.dumps({"prompts": [scene]}), encoding="utf-8")
    more = {"LEDGER": url, "KEY": KEY}

    done = _host(tmp_path, more, "run", "film/scenes.json", "--config", "film/paid.toml")

    said = done.stdout + done.stderr
    assert "stage3 attempts --config film/paid.toml" in said, said
    listed = _host(tmp_path, more, "stage3", "attempts", "--config", "film/paid.toml")
    assert listed.returncode == 0
    (line,) = [one for one in listed.stdout.splitlines() if "--not-billed" in one]
    words = line.split()[: line.split().index("--not-billed") + 1]
    decided = _host(tmp_path, more, *words)
    assert decided.returncode == 0, decided.stderr
    assert "--config film/paid.toml" in line
