"""``provider = "local"`` through the command line: what takes more runs than others wait for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.local_models import ModelProject


def test_another_edition_makes_every_picture_anew(tmp_path: Path) -> None:
    """And so do other arguments; where neither is another, all of them are there."""
    project = ModelProject(tmp_path)
    project.story(["paint"] * 3)
    project.local()
    project.run("run", "scenes.json")
    project.local(edition="2026-12")
    stale = json.loads(project.run("status", "--json").stdout)
    project.run("run", "scenes.json")
    project.local(edition="2026-12", model_args={"steps": 3})
    project.run("run", "scenes.json")
    project.local(edition="2026-12", model_args={"steps": 3}, executor={"replicas": 2})
    project.run("run", "scenes.json")

    assert {one["state"] for one in stale["scenes"]} == {"stale"}
    assert len(project.log("rendered")) == 9


def test_a_secret_is_neither_in_words_nor_in_last_words(tmp_path: Path) -> None:
    """Though the class has it and prints it: errors are shown, and go into the manifest."""
    project = ModelProject(tmp_path)
    project.environ = {"OWN_TOKEN": "a-token-of-ours-1234"}
    project.story(["tell", "say"])
    project.local(model_args={"token": {"env": "OWN_TOKEN"}})
    ran = project.run("run", "scenes.json")
    everything = [ran.stdout, ran.stderr] + [
        path.read_text("utf-8", "replace")
        for root in ("out", ".stage3")
        for path in (project.folder / root).rglob("*")
        if path.is_file()
    ]

    assert "my token is" in ran.stdout
    assert not [text for text in everything if "a-token-of-ours" in text]
