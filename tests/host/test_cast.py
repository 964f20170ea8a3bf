"""A story with a cast, by the commands of the host: what they say, count and write."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.behaviours import Json
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.heavy import further
from tests.projects import Project

pytestmark = pytest.mark.slow
REFUSED = Json(
    {"error": {"code": "moderation_blocked", "type": "image_generation_user_error"}}, status=400
)
STORY: list[dict[str, Any]] = [
    {"scene_id": "s1", "image_prompt": "s1: a harbour", "characters_in_scene": ["mira"]},
    {"scene_id": "s2", "image_prompt": "s2: a pier", "characters_in_scene": ["mira", "bo", "who"]},
    {"scene_id": "s3", "image_prompt": "s3: an empty beach"},
]
CAST = """
[plugin.stage3.cast.mira]
name = "Mira"
prompt = "sheet of mira, four views"
[plugin.stage3.cast.bo]
name = "Bo"
image = "refs/bo.png"
"""


class Film(Project):
    """A project whose scenes show a sheet, a file, or nothing."""

    def __init__(self, folder: Path, api: ImageApi, *, backend: str = "asyncio") -> None:
        super().__init__(folder, backend=backend)
        self.api = api
        self.write(STORY)
        self.config(api)
        with (folder / "host.toml").open("a", encoding="utf-8") as file:
            file.write(CAST)
        (folder / "refs").mkdir()
        (folder / "refs" / "bo.png").write_bytes(make_png("bo", 64, 64))

    def write(self, story: list[dict[str, Any]]) -> None:
        (self.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")

    def planned(self, *words: str) -> dict[str, Any]:
        """Return the plan as the command prints it."""
        plan: dict[str, Any] = json.loads(self.run("plan", "scenes.json", "--json", *words).stdout)
        return plan

    def made(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("run", "scenes.json", *words)

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (self.folder / "out" / "events.jsonl").read_bytes().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]


@pytest.fixture
def film(tmp_path: Path) -> Iterator[Film]:
    with ImageApi() as api:
        yield Film(tmp_path, api)


def test_a_sheet_that_fails_leaves_its_scenes_untried_for_nothing(film: Film) -> None:
    """With the reason; the scene without it is made, and the run does not call itself stopped."""
    film.api.script(REFUSED, scene="sheet of mira")

    done = film.made()

    manifest = film.manifest()
    assert done.returncode == 1
    assert film.codes() == {"mira": "refused", "s1": "not_tried", "s2": "not_tried", "s3": "made"}
    assert [row["role"] for row in manifest["failures"]] == ["sheet", "scene", "scene"]
    assert all("mira" in row["message"] for row in manifest["failures"][1:])
    assert {row["cost_usd"] for row in manifest["failures"][1:]} == {"0"}
    assert film.api.billed() == 1
    assert [event["waits_for"] for event in film.events("scene.skipped")] == [["mira"], ["mira"]]
    assert "2 scenes and 1 sheet without a picture" in done.stdout


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_long_chain_says_where_it_is_broken_and_not_the_way_there(
    film: Film, *, is_missing: bool
) -> None:
    """Each scene's reason is the first one's, so that it is as short behind forty as behind one."""
    first = {"scene_id": "s0", "image_prompt": "the first"}
    chain = [
        {"scene_id": f"s{number}", "image_prompt": "p", "references": [f"scene:s{number - 1}"]}
        for number in range(1, 40)
    ]
    film.write([first | ({"references": ["gone.png"]} if is_missing else {}), *chain])
    film.api.script(REFUSED, scene="the first")

    plan = film.planned()
    done = film.made()

    failures = film.manifest()["failures"][1:]
    assert {row["code"] for row in failures} == {"not_tried"}
    [reason] = {row["message"] for row in failures}
    assert reason.startswith("scene 's0' has no picture: ")
    assert "s38" not in done.stdout
    if is_missing:
        problems = {one["problem"] for one in plan["scene_plans"][1:]}
        assert len(problems) == 1
        assert "gone.png" in problems.pop()


def test_a_missing_file_is_said_before_money_and_keeps_back_its_scene_alone(film: Film) -> None:
    """By name, in plan and in run."""
    (film.folder / "refs" / "bo.png").unlink()

    plan = film.planned()
    done = film.made()

    problems = {one["scene_id"]: one["problem"] for one in plan["scene_plans"] if one["problem"]}
    assert list(problems) == ["s2"]
    assert "refs/bo.png" in problems["s2"]
    assert (plan["make"], plan["unsendable"]) == (3, 1)
    assert film.codes() == {"s1": "made", "s2": "rejected", "s3": "made"}
    assert done.returncode == 1
    assert film.api.billed() == 3


def test_a_scene_whose_picture_is_there_outlives_its_references(film: Film) -> None:
    """It is told of, and neither refused nor bought again."""
    film.made()
    (film.folder / "refs" / "bo.png").unlink()

    plan = film.planned()
    done = film.made()

    problems = {one["scene_id"]: one["problem"] for one in plan["scene_plans"] if one["problem"]}
    assert (plan["make"], plan["reused"], plan["unsendable"]) == (0, 4, 0)
    assert problems["s2"].endswith("its picture is there and stays")
    assert "refs/bo.png" in done.stderr
    assert set(film.codes().values()) == {"made"}
    assert (done.returncode, film.api.billed()) == (0, 4)


def test_only_the_sheets_that_the_asked_scenes_need_are_made(film: Film) -> None:
    """A scene without a cast needs none; a plan of it knows that."""
    plan = film.planned("--scene", "s3")
    film.made("--scene", "s3")

    assert (plan["make"], plan["sheets"], plan["waves"]) == (1, 0, [])
    assert film.manifest()["sheets"] == []
    assert film.api.billed() == 1


def test_ids_that_the_cast_has_not_are_said_in_one_short_line(film: Film) -> None:
    """However long they are; the scene is made without them, as it always was."""
    film.write([STORY[2] | {"characters_in_scene": ["x" * 50_000, "y"]}])

    [warning] = film.planned()["warnings"]
    done = film.made()

    assert warning.startswith("2 ids in characters_in_scene are not in the cast and left out")
    assert len(warning) < 250
    assert done.returncode == 0


@pytest.mark.parametrize(
    "written, meant",
    [("Mria", "mira"), *further([("bo_2", None), ("somebody", None), ("x" * 50_000, None)])],
)
def test_a_misspelt_id_is_asked_after(film: Film, written: str, meant: str | None) -> None:
    """Where it is close to one of the cast and has its numbers: char_002 is no char_001."""
    film.write([STORY[2] | {"characters_in_scene": ["y", written]}])

    [warning] = film.planned()["warnings"]

    asked = f"; is '{meant}' of the cast meant by '{written}'?"
    assert warning.endswith(f"'y' of scene 's3'{asked if meant else ''} [not_in_cast]")
