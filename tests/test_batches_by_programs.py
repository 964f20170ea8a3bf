"""Batches as a program drives them: the objects of run, status and wait, and what each offers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stage3_plugin.cli
from host_stub.cli import main
from stage3_plugin.engine import pending
from stage3_plugin.testing.image_api import KEY, ImageApi
from tests.projects import Project
from tests.stage3.batch_shop import LATER, priced

MODEL = {"provider": "openai", "model": "gpt-image-2", "size": "1024x1024", "quality": "low"}
BY_BATCH = ("scenes.json", "--lane", "batch")


class Agent:
    """Types commands with ``--json`` in a project, and reads the one object of each."""

    def __init__(self, api: ImageApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.api = api
        self.project = Project(folder)
        self._capsys = capsys
        self.code: int | None = None

    def settings(self, **more: object) -> None:
        """Write the config."""
        self.project.config(self.api, **MODEL, price_usd="0.04", drain_s=0.05, **more)

    def __call__(self, *words: str) -> dict[str, Any]:
        program, *rest = words if words[0] in {"stage3", "host-stub"} else ("host-stub", *words)
        self._capsys.readouterr()
        self.code = {"host-stub": main, "stage3": stage3_plugin.cli.main}[program](
            [*rest, *(() if "--json" in rest else ("--json",))]
        )
        document: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return document


def offered(document: dict[str, Any]) -> list[list[str]]:
    """Return the commands that an object offers, in their order."""
    return [one["command"] for one in document["next_actions"]]


@pytest.fixture
def agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Agent]:
    """Return one in a project of three scenes, whose batches end when they are let."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    monkeypatch.setattr(pending, "BATCH_LOOKS_S", (0.0, 0.01))
    with ImageApi() as api:
        priced(api).batches.plan = LATER
        agent = Agent(api, tmp_path, capsys)
        agent.project.scenes(3)
        agent.settings()
        yield agent


def test_a_run_counts_what_is_on_its_way_as_status_does(agent: Agent) -> None:
    """Pending and not missing, in what it prints and in its manifest."""
    ran = agent("run", *BY_BATCH)
    code, manifest = agent.code, agent.project.manifest()
    looked = agent("status")

    assert code == 5
    assert ran["story"] == manifest["story"] == looked["story"]
    assert (ran["story"]["pending"], ran["story"]["missing"]) == (3, 0)


def test_a_scene_that_waits_for_a_sheet_is_not_bought_in_either(agent: Agent) -> None:
    """Its sheet is on its way; the scene is what a later run pays for."""
    config = Path("host.toml").read_text(encoding="utf-8")
    cast = '[plugin.stage3.cast.mira]\nprompt = "Mira, of the boats"\n'
    Path("host.toml").write_text(f"{config}\n{cast}", encoding="utf-8")
    story = json.loads(Path("scenes.json").read_text(encoding="utf-8"))
    story[0]["characters"] = ["mira"]
    Path("scenes.json").write_text(json.dumps(story), encoding="utf-8")
    ran = agent("run", *BY_BATCH)
    looked = agent("status")

    assert ran["failures_by_code"] == {"pending": 4}
    assert ran["story"] == looked["story"]
    assert (ran["story"]["pending"], ran["story"]["missing"]) == (2, 1)
