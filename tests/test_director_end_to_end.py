"""A director's afternoon by commands, over real sockets: what is asked for and what is paid."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from host_stub.cli import main
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.projects import Project

CAST = """
[plugin.stage3.cast.mira]
prompt = "Mira, four views"

[plugin.stage3.cast.tom]
prompt = "Old Tom, four views"
"""


class Director:
    """Types commands in a project whose pictures are bought for 0.05 USD, none like another."""

    def __init__(self, folder: Path, api: ImageApi, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.api, self._capsys = folder, api, capsys
        self.project = Project(folder)
        self.project.config(api)
        numbers = itertools.count()
        api.otherwise = lambda asked: Ok(
            picture=make_png(f"{asked.prompt} {next(numbers)}", *asked.size_px)
        )
        self.err = ""

    def cast(self, changed: str = "") -> None:
        """Give the story a cast; ``changed`` becomes a word of Tom's."""
        self.project.config(self.api)
        with (self.folder / "host.toml").open("a", encoding="utf-8") as config:
            config.write(CAST.replace("Old Tom", f"Old Tom {changed}"))

    def write(self, scenes: int, **fields: Callable[[int], object]) -> None:
        """Write a story; fields of its scenes are told by their numbers."""
        story = [
            {
                "scene_id": f"s{number:02}",
                "image_prompt": f"s{number:02}: a harbour",
                **{key: of(number) for key, of in fields.items()},
            }
            for number in range(1, scenes + 1)
        ]
        (self.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")

    def __call__(self, *words: str, code: int = 0) -> str:
        """Type a command; return what it says."""
        found = main(words)
        out, self.err = self._capsys.readouterr()
        assert found == code, out + self.err
        return out

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Type a command; return what it says to programs."""
        told: dict[str, Any] = json.loads(self(*words, "--json", code=code))
        return told

    def shown(self) -> dict[str, str]:
        """Return the hash of what each scene and sheet shows."""
        files = (self.folder / "out" / "images").iterdir()
        return {one.stem: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}

    def takes(self, scene_id: str, *words: str) -> list[str]:
        """Return the hashes of a scene's takes, each of whose files has just these bytes."""
        listed = self.json("takes", scene_id, *words)["takes"]
        for take in listed:
            assert hashlib.sha256(Path(take["path"]).read_bytes()).hexdigest() == take["sha256"]
        return [take["sha256"] for take in listed]


@pytest.fixture
def director(
    image_api: ImageApi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Director:
    folder = tmp_path / "story"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    return Director(folder, image_api, capsys)


def test_these_twelve_again_and_keep_the_rest(director: Director) -> None:
    """With the price known before and after, whatever else wants to be made, and paid once."""
    director.write(20)
    director("run", "scenes.json")
    before = director.shown()
    director.write(20, image_prompt=lambda n: f"s{n:02}: a {'mole' if n > 18 else 'harbour'}")
    twelve = [f"s{number:02}" for number in range(3, 15)]
    told = director.json("reroll", *twelve)
    assert (told["to_make"], told["cost_high_usd"]) == (12, "0.60")
    command = [*told["next"].split()[1:], "--max-cost", "1.50"]
    plan = director.json("plan", *command[1:])
    director(*command)
    once = director.api.billed()
    director(*command)
    director("reroll", "s03", "--show")
    director("run", "scenes.json", "--scene", "s03")

    assert (plan["make"], plan["reused"], plan["cost_high_usd"]) == (12, 12, "0.6")
    assert plan["stale"] == 0
    assert (once, director.api.billed()) == (20 + 12, 20 + 12 + 1)
    assert {one: sha for one, sha in director.shown().items() if one != "s03"} == {
        one: sha for one, sha in before.items() if one != "s03"
    }
    assert director.shown()["s03"] == director.takes("s03")[2] != before["s03"]
    assert [len(director.takes(one)) for one in ("s01", "s04", "s19")] == [1, 2, 1]


def test_a_reroll_said_by_two_at_once_pays_once(director: Director) -> None:
    """Each in a process of its own, and their runs too: what is wanted is a number."""
    director.write(4)
    director("run", "scenes.json")
    both_said = Barrier(2, timeout=60)

    def say(_: int) -> tuple[int, int]:
        said = director.project.run("reroll", "s01", "s02")
        both_said.wait()
        ran = director.project.run("run", "scenes.json", "--out", "out")
        return said.returncode, ran.returncode

    with ThreadPoolExecutor(2) as two:
        codes = list(two.map(say, range(2)))
    director("run", "scenes.json")

    assert [said for said, _ in codes] == [0, 0]
    assert director.api.billed() == 4 + 2
    assert [len(director.takes(f"s0{number}")) for number in range(1, 5)] == [2, 2, 1, 1]


def test_a_take_is_shown_at_once_for_nothing_and_taken_back(director: Director) -> None:
    """No request leaves; a run keeps the choice, and shows it as its manifest has it."""
    director.write(2)
    director("run", "scenes.json", "--takes", "3")
    first, second, third = director.takes("s01")
    asked = len(director.api.entries)
    director("show", "s01", "3")
    assert director.shown()["s01"] == third
    director("run", "scenes.json")
    (row,) = (one for one in director.project.manifest()["images"] if one["scene_id"] == "s01")
    assert (row["take"], row["takes"], row["sha256"]) == (3, 3, third)
    assert director.shown()["s01"] == third
    director("show", "s01", "2")
    director("show", "s01", "--undo")
    assert director.shown()["s01"] == third
    director("show", "s01", "--undo")

    assert director.shown()["s01"] == first != second
    assert len(director.api.entries) == asked
    assert director.api.billed() == 6


@pytest.mark.parametrize("other", ["show s01 3", "show s01 --undo", "import s01 mine.png"])
def test_two_commands_at_once_leave_the_file_that_the_story_shows(
    director: Director, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Whichever of the one's steps the other falls between, whole, from first to last."""
    (director.folder / "mine.png").write_bytes(make_png("mine", 64, 64))
    director.write(1)
    director("run", "scenes.json", "--takes", "3")
    director("show", "s01", "3")
    steps = itertools.count(1)

    def between(number: int) -> bool:
        """Show the second take, and do the other before so many a file is put in its place."""
        numbers, was_done = itertools.count(1), False
        with monkeypatch.context() as patched:
            for name in ("replace", "rename", "link"):
                put = getattr(os, name)

                def slowly(*words: Any, put: Any = put, **more: Any) -> None:
                    nonlocal was_done
                    if next(numbers) == number:
                        was_done = True
                        director(*other.split())
                    put(*words, **more)

                patched.setattr(os, name, slowly)
            director("show", "s01", "2")
        return was_done

    while between(next(steps)):
        told = director.json("takes", "s01")
        assert director.shown()["s01"] == told["shown"]
        director("show", "s01", "1")
    assert next(steps) > 2


def test_ones_own_picture_is_current(director: Director, tmp_path: Path) -> None:
    """Nothing is bought for it; the scenes that refer to it are shown it; and it can be let go."""
    mine = tmp_path / "mine.png"
    mine.write_bytes(make_png("mine", 64, 64))
    sha256 = hashlib.sha256(mine.read_bytes()).hexdigest()
    director.write(3, references=lambda n: ["scene:s01"] if n == 3 else [])
    told = director.json("import", "s01", str(mine), "--scenes", "scenes.json")
    mine.unlink()
    director("run", "scenes.json")

    assert told["sha256"] == director.shown()["s01"] == sha256
    assert director.api.billed() == 2
    shown = next(one for one in director.project.manifest()["images"] if one["scene_id"] == "s03")
    assert [one["sha256"] for one in shown["generation_params"]["references"]] == [sha256]
    assert director.json("status")["story"]["current"] == 3
    director("reroll", "s01")
    director("run", "scenes.json")
    assert director.api.billed() == 3
    assert director.shown()["s01"] == sha256
    director("show", "s01", "2")
    status = director.json("status")

    assert [(one["scene"], one["reasons"]) for one in status["scenes"] if one["reasons"]] == [
        ("s03", ["sheet"])
    ]


def test_a_row_of_what_a_run_left_alone_says_that_it_did_nothing_for_it(
    director: Director,
) -> None:
    """So that rows add up to what the run cost; what a picture cost is said beside."""
    director.write(3)
    director("run", "scenes.json", "--scene", "s01")
    director("run", "scenes.json", "--scene", "s02")
    manifest = director.project.manifest()
    told = [
        (one["scene_id"], one["reused"], one["attempts"], one["cost_usd"], one["take_cost_usd"])
        for one in manifest["images"]
    ]

    cost = manifest["cost_usd"]
    assert Decimal(cost) > 0
    assert told == [("s01", True, 0, "0", cost), ("s02", False, 1, cost, cost)]


def directed(director: Director) -> dict[str, list[str]]:
    """Make a story with takes, choices, an import and a re-rolled sheet; return all takes."""
    director.write(5, characters_in_scene=lambda n: ["tom"] if n < 3 else [])
    director.cast()
    director("run", "scenes.json", "--takes", "2")
    director("show", "s04", "2")
    director("reroll", "tom", "--show")
    director("run", "scenes.json", "--takes", "2")
    mine = director.folder / "mine.png"
    mine.write_bytes(make_png("mine", 64, 64))
    director("import", "s05", str(mine))
    director("run", "scenes.json", "--takes", "2")
    names = ("tom", *(f"s0{number}" for number in range(1, 6)))
    return {one: director.takes(one) for one in names}


def test_everything_comes_back_after_out_is_deleted(director: Director) -> None:
    """Every take, every choice, imports too; and nothing is asked of the provider."""
    before, shown = directed(director), director.shown()
    asked = len(director.api.entries)
    shutil.rmtree(director.folder / "out")
    director("run", "scenes.json", "--takes", "2")

    assert director.shown() == shown
    assert {one: director.takes(one) for one in before} == before
    assert len(director.api.entries) == asked


def test_every_paid_take_comes_back_after_the_story_is_deleted(director: Director) -> None:
    """The first current one is shown, of a sheet the one its scenes have; nothing is stale."""
    before, shown = directed(director), director.shown()
    asked = len(director.api.entries)
    shutil.rmtree(director.folder / ".story")
    status = director.json("status", "--scenes", "scenes.json")
    director("run", "scenes.json", "--takes", "2")

    assert status["story"]["current"] == 5
    assert {one: set(director.takes(one)) for one in before} == {
        one: set(takes) for one, takes in before.items()
    }
    assert director.shown()["cast-tom"] == shown["cast-tom"]
    assert director.shown()["s04"] in before["s04"]  # both were bought at once: either came first
    assert len(director.api.entries) == asked
    assert director.json("status")["story"]["stale"] == 0


def test_a_pick_whose_picture_is_lost_gives_way_and_stays_so(director: Director) -> None:
    """What is shown, and what commands say of it, are one; nothing is bought in its place."""
    director.write(2)
    director("run", "scenes.json")
    director("reroll", "s01")
    director("run", "scenes.json")
    first, second = director.takes("s01")
    director("show", "s01", "2")
    files = [one for one in director.folder.rglob("*") if one.is_file()]
    for one in files:
        if hashlib.sha256(one.read_bytes()).hexdigest() == second:
            one.unlink()

    for _ in range(2):
        director("run", "scenes.json", code=1)  # take 2 is wanted, paid for and not here
        assert director.shown()["s01"] == first
        assert director.json("takes", "s01")["shown"] == first
    assert director.api.billed() == 3


def test_a_sheets_pick_that_holds_again_is_priced_before_it_is_paid_for(
    director: Director,
) -> None:
    """What a run will show is what its price is told for, and not what was shown before it."""
    director.cast()
    director.write(2, characters_in_scene=lambda n: ["mira", "tom"] if n == 1 else [])
    director("run", "scenes.json")
    director("reroll", "tom")
    director("run", "scenes.json")
    director("show", "tom", "2")
    director.cast("sadder")
    director("run", "scenes.json")
    before = director.api.billed()

    director.cast()
    status = director.json("status")
    plan = director.json("plan", "scenes.json")
    director("run", "scenes.json")
    said = director.err

    assert director.api.billed() == before + 1
    assert status["story"]["stale"] == 1
    assert (plan["make"], plan["stale"], plan["cost_high_usd"]) == (1, 1, "0.05")
    assert "this run remakes 1 scene (at most $0.05): a referenced picture changed in 1" in said
    assert director.json("plan", "scenes.json")["make"] == 0


def test_what_was_made_with_a_sheets_pick_is_not_priced_again(director: Director) -> None:
    """The pick holds again, and so do the pictures that show it."""
    director.cast()
    director.write(1, characters_in_scene=lambda _: ["tom"])
    mine = director.folder / "mine.png"
    mine.write_bytes(make_png("mine", 64, 64))
    director("import", "tom", "mine.png")
    director("run", "scenes.json")
    director.cast("sadder")
    director("run", "scenes.json")
    before = director.api.billed()

    director.cast()
    plan = director.json("plan", "scenes.json")
    director("run", "scenes.json")

    assert (plan["make"], plan["stale"], director.api.billed()) == (0, 0, before)
    assert "made anew" not in director.err


def test_takes_that_a_cap_leaves_out_are_counted_as_takes(director: Director) -> None:
    """Two scenes with three takes each are not said to be six scenes."""
    director.write(2)
    said = director("run", "scenes.json", "--takes", "3", "--max-cost", "0.10", code=3)

    assert "\n4 takes not made:\n" in said
    assert "\n4 takes were left out by a cap; " in said
