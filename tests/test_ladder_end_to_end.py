"""A ladder by the commands a person types: checked, planned, run, and run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.behaviours import Json
from tests.fakes.image_api import KEY, ImageApi
from tests.projects import Project

SECOND_KEY = "sk-second-91c3e7a2b5d84f60"
STORY = [
    {"scene_id": "s1", "image_prompt": "s1: a fight", "if_refused": ["s1: an argument"]},
    {"scene_id": "s2", "image_prompt": "s2: the sea"},
]


def _no(message: str) -> dict[str, Any]:
    return {"error": {"code": 403, "message": message, "metadata": {"reasons": ["violence"]}}}


@pytest.fixture
def second() -> Iterator[ImageApi]:
    """Run another service, with a key of its own."""
    with ImageApi(key=SECOND_KEY) as api:
        yield api


def test_a_ladder_goes_through_the_commands(
    image_api: ImageApi, second: ImageApi, tmp_path: Path
) -> None:
    """What is said of it, who was asked, in one slot and once; no key stands anywhere."""
    project = Project(tmp_path)
    project.config(image_api, budget_usd="2")
    (tmp_path / "second.key").write_text(SECOND_KEY, encoding="utf-8")
    with (tmp_path / "host.toml").open("a", encoding="utf-8") as config:
        config.write(
            '\n[[plugin.stage3.fallback]]\nprovider = "openrouter"\nmodel = "b/painter"\n'
            f'base_url = "{second.base_url}"\nprice_usd = "0.07"\n'
            'api_key = { file = "second.key" }\n'
        )
    (tmp_path / "scenes.json").write_text(json.dumps(STORY), encoding="utf-8")
    image_api.script(Json(_no("Input was flagged."), status=403), times=2, scene="s1")
    second.script(Json(_no(f"flagged for {SECOND_KEY}"), status=403), scene="s1: a fight")
    checked = project.run("check")
    planned = project.run("plan", "scenes.json", "--json")
    first = project.run("run", "scenes.json")
    manifest = project.manifest()
    again = project.run("run", "scenes.json")

    assert (checked.returncode, first.returncode, again.returncode) == (0, 0, 0), first.stderr
    plan: dict[str, Any] = json.loads(planned.stdout)
    assert (plan["cost_high_usd"], plan["cost_worst_usd"]) == ("0.14", "0.36")
    assert [(one["model"], one["prompt"], one["scenes"]) for one in plan["steps"]] == [
        ("a/painter", 0, 2), ("b/painter", 0, 2), ("a/painter", 1, 1), ("b/painter", 1, 1)
    ]  # fmt: skip
    pictures = {one["scene_id"]: one for one in manifest["images"]}
    assert [
        (one["model"], one["prompt"], one["failure"] and one["failure"]["code"])
        for one in pictures["s1"]["steps"]
    ] == [
        ("a/painter", 0, "refused"), ("b/painter", 0, "refused"),
        ("a/painter", 1, "refused"), ("b/painter", 1, None),
    ]  # fmt: skip
    assert (pictures["s1"]["generation_params"]["route"], "steps" in pictures["s2"]) == (2, False)
    assert (image_api.received(), second.received()) == (3, 2)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    said = "".join(one.stdout + one.stderr for one in (checked, planned, first, again))
    assert written.count(SECOND_KEY.encode()) == 1  # the file that has it
    assert KEY.encode() not in written
    assert SECOND_KEY not in said
