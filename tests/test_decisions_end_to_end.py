"""Decisions about a story that is paid for, through the commands as processes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until

pytestmark = pytest.mark.slow

LIVE = {State.PAID, State.UNKNOWN, State.SENDING}


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi() as api:
        api.always(Ok(usage=None, delay_s=0.05))
        yield api


def told(project: Project, *words: str) -> dict[str, Any]:
    """Return the one JSON object that a command says."""
    said: dict[str, Any] = json.loads(project.run(*words, "--json").stdout)
    return said


def seen(project: Project, scene_id: str) -> list[str]:
    return [one["sha256"] for one in told(project, "takes", scene_id)["takes"]]


def decided(project: Project, *decisions: dict[str, Any]) -> str:
    path = project.folder / "ana.json"
    document = {"format": "stage3-decisions/1", "reviewer": "ana", "decisions": decisions}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path.name


def _wait_for_a_request(process: Popen[str], api: ImageApi, *, answered: bool) -> None:
    """Wait until one more has come, and is answered; a run that sends none ends by itself."""
    before = api.received()
    wait_until(lambda: api.received() > before or process.poll() is not None)
    if answered:
        wait_until(lambda: api.in_flight == 0 or process.poll() is not None)


def test_what_is_killed_anywhere_is_taken_up_and_paid_for_once(
    api: ImageApi, tmp_path: Path
) -> None:
    """A wanted state: three takes are three, whoever is killed on the way, and how often."""
    project = Project(tmp_path)
    project.scenes(4)
    project.config(api, capacity=1)
    assert project.run("run", "scenes.json").returncode == 0
    twice = project.run("run", "scenes.json", "--scene", "s04", "--takes", "2")
    assert twice.returncode == 0, twice.stderr
    picked = seen(project, "s04")[1]
    file = decided(
        project,
        {"scene": "s01", "seen": seen(project, "s01"), "takes": 3},
        {"scene": "s02", "seen": seen(project, "s02"), "prompt": "s02: a storm", "takes": 2},
        {"scene": "s04", "seen": seen(project, "s04"), "show": picked},
    )
    planned = told(project, "plan", "scenes.json", "--decisions", file)

    for answered in (False, True, False):
        process = project.start("run", "scenes.json", "--decisions", file)
        _wait_for_a_request(process, api, answered=answered)
        process.kill()
        ended(process)
    last = project.run("run", "scenes.json", "--decisions", file)
    received = api.received()
    again = project.run("run", "scenes.json", "--decisions", file)

    rows = [one for one in project.purchases() if one.state in LIVE]
    counts = Counter(one.new.scene_id for one in rows)
    shown = (project.folder / "out" / "images" / "s04.png").read_bytes()
    assert planned["make"] == 4
    assert Decimal(planned["decisions_cost_usd"]) == Decimal("0.20")
    assert counts == {"s01": 3, "s02": 3, "s03": 1, "s04": 2}
    assert last.returncode in {0, 4}, last.stderr  # what was in flight at a kill may be unknown
    assert (again.returncode, api.received()) == (last.returncode, received)
    assert hashlib.sha256(shown).hexdigest() == picked
