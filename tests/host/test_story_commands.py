"""The director's chair by its commands: what they say, write, and leave alone."""

from __future__ import annotations

import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from host_stub.cli import main
from host_stub.plain_image import flat_png
from host_stub.story.pictures import MOST_BYTES

CONFIG = """
[pipeline]
image = "painter"
[plugin.painter]
"""


class Chair:
    """A project with a small story, and its commands."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.out = ""
        self.err = ""
        self.story: list[dict[str, Any]] = [
            {"scene_id": "mira", "prompt": "mira, four views"},
            *({"scene_id": f"s{n}", "prompt": f"s{n}: a pier"} for n in range(1, 4)),
            {"scene_id": "s4", "prompt": "s4: mira", "references": ["scene:mira"]},
        ]
        self.config()
        self.write()

    def config(self, **settings: object) -> None:
        """Write the config; settings are the painter's."""
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (self.folder / "host.toml").write_text(CONFIG + "\n".join(lines), encoding="utf-8")

    def write(self) -> None:
        """Write the scene file."""
        (self.folder / "scenes.json").write_text(json.dumps(self.story), encoding="utf-8")

    def change(self, scene_id: str, **fields: object) -> None:
        """Change what the scene file says of a scene."""
        for scene in self.story:
            if scene["scene_id"] == scene_id:
                scene.update(fields)
        self.write()

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command; return what it says to people."""
        found = main(list(words))
        self.out, self.err = self._capsys.readouterr()
        assert found == code, self.err + self.out
        return self.out

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run a command; return what it says to programs."""
        self(*words, "--json", code=code)
        told: dict[str, Any] = json.loads(self.out)
        return told

    def run(self, *words: str) -> dict[str, Any]:
        """Run the story; return what was made and paid for in it."""
        return self.json("run", "scenes.json", *words)

    def image(self, scene_id: str) -> bytes:
        """Return the bytes that a scene shows."""
        return (self.folder / "out" / "images" / f"{scene_id}.png").read_bytes()

    def takes(self, scene_id: str) -> list[bytes]:
        """Return the bytes of a scene's takes, in their order."""
        listed = self.json("takes", scene_id)["takes"]
        return [Path(one["path"]).read_bytes() for one in listed]

    def bought(self) -> int:
        """Count the pictures that were paid for."""
        ledger = self.folder / ".painter" / "ledger.jsonl"
        rows = map(json.loads, ledger.read_text(encoding="utf-8").splitlines())
        return sum(Decimal(row["cost_usd"]) > 0 for row in rows)

    def states(self) -> dict[str, str]:
        """Return how each scene stands."""
        return {one["scene"]: one["state"] for one in self.json("status")["scenes"]}


@pytest.fixture
def chair(painters: Path, capsys: pytest.CaptureFixture[str]) -> Chair:
    return Chair(painters, capsys)


def own_picture(folder: Path, name: str = "mine.png", size: tuple[int, int] = (48, 32)) -> Path:
    path = folder / name
    path.write_bytes(flat_png(*size, b"\xff\x00\x01"))
    return path


class TestReroll:
    def test_the_next_command_works_for_a_scene_that_looks_like_an_option(
        self, chair: Chair
    ) -> None:
        """It is made for being typed as it stands."""
        chair.story[1]["scene_id"] = "-rf"
        chair.write()
        chair.run()
        told = json.loads(chair("reroll", "--json", "--", "-rf"))
        chair(*told["next"].split()[1:])

        assert told["next"] == "host-stub run scenes.json --scene=-rf"
        assert chair.bought() == 6

    def test_what_is_missing_is_not_wanted_twice(self, chair: Chair) -> None:
        """The next run makes it in any case."""
        said = chair("reroll", "s1", "--scenes", "scenes.json")
        chair.run()

        assert "s1: nothing is made of it yet, the next run makes it" in said
        assert chair.bought() == 5

    def test_a_new_prompt_ends_what_was_wanted_of_the_old_one(self, chair: Chair) -> None:
        """Three of that were wanted, and one is of this."""
        chair.run()
        chair("reroll", "s1")
        chair.change("s1", prompt="s1: another pier")
        chair.run()

        assert chair.bought() == 6

    def test_a_scene_whose_sheet_is_to_be_made_anew_waits(self, chair: Chair) -> None:
        """Nobody knows yet what one more of it would be made from; the others are wanted."""
        chair.run()
        chair.change("mira", prompt="mira in red")

        told = chair.json("reroll", "s4", "s1", code=1)

        problem, fine = told["rerolls"]
        assert "the picture of mira is to be made anew first" in problem["problem"]
        assert fine["new"]
        assert told["to_make"] == 1

    def test_no_scene_is_wanted_if_one_is_not_there(self, chair: Chair) -> None:
        """With the nearest name, and escaped."""
        chair.run()

        chair("reroll", "s1", "\x1b[2J", code=2)
        assert "\x1b" not in chair.err
        chair("reroll", "s1", "mrra", code=2)

        assert "did you mean 'mira'?" in chair.err
        assert chair.json("reroll", "s1")["rerolls"][0]["new"]


class TestShow:
    def test_no_plugin_is_needed_to_show_a_take(self, chair: Chair) -> None:
        """Nor a scene file."""
        chair.run("--takes", "2")
        chair.config(is_broken=True)
        (chair.folder / "scenes.json").unlink()

        assert chair.json("show", "s1", "2")["take"] == 2
        assert chair.json("show", "s1", "--undo")["take"] == 1

    def test_a_stale_pick_is_shown_until_the_next_run(self, chair: Chair) -> None:
        """And the command says so; after it the take of the present wish is back."""
        chair.run()
        old = chair.image("s1")
        chair.change("s1", prompt="s1: another pier")
        chair.run()
        new = chair.image("s1")
        chair("show", "s1", "1")
        warned, shown = chair.err, chair.image("s1")
        status = chair("status")
        chair.run()

        assert "so the next run shows take 2 again" in warned
        assert re.search(r"^s1 +current +1 of 2 +the next run shows take 2$", status, re.MULTILINE)
        assert old == shown != new == chair.image("s1")

    @pytest.mark.parametrize("named", ["4", "0", "zzz", "00000000", "-1", "sha256:ffffffff"])
    def test_a_take_that_is_not_there_is_refused(self, chair: Chair, named: str) -> None:
        """What is shown stays."""
        chair.run()
        shown = chair.image("s1")

        chair("show", "s1", "--", named, code=2)

        assert "takes SCENE' lists a scene's takes" in chair.err
        assert chair.image("s1") == shown

    def test_what_lists_the_takes_is_about_the_same_story(
        self, chair: Chair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From another folder, the command that is told works as it stands."""
        chair.run()
        (chair.folder / "below").mkdir()
        monkeypatch.chdir(chair.folder / "below")
        where = ["--config", "../host.toml", "--out=../out", "--scenes", "../scenes.json"]

        refused = chair.json("show", "s1", "4", *where, code=2)
        program, *words = refused["next_actions"][0]["command"]

        assert (program, words[0], words[-1]) == ("host-stub", "takes", "s1")
        assert json.loads(chair(*words))["scene"] == "s1"

    def test_one_of_the_two_has_to_be_said(self, chair: Chair) -> None:
        """A take, or that a choice is taken back."""
        chair("show", "s1", code=2)
        chair("show", "s1", "1", "--undo", code=2)


@pytest.mark.slow
class TestImport:
    def test_a_taken_back_import_stands_for_nothing(self, chair: Chair) -> None:
        """Where there was no other picture the scene is missing again, and is bought."""
        chair("import", "s1", str(own_picture(chair.folder)))
        chair("show", "s1", "--undo")
        said = chair.json("status")
        chair.run()

        assert said["scenes"][1]["state"] == "missing"
        assert said["story"]["missing"] == 5
        assert chair.bought() == 5
        assert chair.json("takes", "s1")["shown_take"] == 2

    @pytest.mark.parametrize("kind", ["empty", "words", "cut", "gone", "folder", "pipe", "huge"])
    def test_what_is_no_picture_is_refused(self, chair: Chair, kind: str) -> None:
        """And nothing is shown of it, and nobody waits for it."""
        chair.run()
        shown = chair.image("s1")
        path = chair.folder / "strange.png"
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind != "gone":
            content = {"empty": b"", "words": b"no picture", "cut": shown[:-26], "huge": shown}
            path.write_bytes(content[kind])
            os.truncate(path, MOST_BYTES + 1 if kind == "huge" else len(content[kind]))

        chair("import", "s1", str(path), code=2)

        assert "strange.png" in chair.err
        assert "hint: " in chair.err
        assert chair.image("s1") == shown
        assert len(chair.takes("s1")) == 1


class TestStatus:
    def test_each_scene_has_its_state_its_reason_and_its_price(self, chair: Chair) -> None:
        """For people and for programs, and the plan says the same."""
        chair.run("--scene", "mira", "--scene", "s1", "--scene", "s4")
        chair.change("mira", prompt="mira in red")
        chair.change("s1", width=96, height=32)
        said = chair("status")
        told = chair.json("status")
        plan = chair.json("plan", "scenes.json")

        assert said.splitlines() == [
            "5 scenes: 3 stale, 2 missing; 1 of a wrong aspect",
            "scene  state    take    about               at most",
            "mira   stale    1 of 1  prompt                $0.05",
            "s1     stale    1 of 1  size, wrong aspect    $0.05",
            "s2     missing  -                             $0.05",
            "s3     missing  -                             $0.05",
            "s4     stale    1 of 1  sheet                 $0.05",
            (
                "the next run remakes 3 scenes (at most $0.15): the prompt changed in 1, "
                "the size in 1, a referenced picture in 1"
            ),
            "5 pictures still to make; at most $0.25",
            "next: host-stub run scenes.json",
        ]
        story = {"scenes": 5, "current": 0, "stale": 3, "missing": 2, "held": 0, "pending": 0}
        assert told["story"] == plan["story"] == {**story, "wrong_aspect": 1}
        assert told["redo"] == {"pictures": 3, "cost_high_usd": "0.15"}
        assert (
            told["stale_reasons"]
            == plan["stale_reasons"]
            == dict.fromkeys(("prompt", "size", "sheet"), 1)
        )
        assert plan["stale"] == 3
        assert plan["stale_scenes"][0] == {
            "scene": "mira",
            "role": "scene",
            "reasons": ["prompt"],
            "cost_usd": "0.05",
        }

    def test_a_picture_edited_by_hand_is_what_is_shown(self, chair: Chair) -> None:
        """Status, plan and the listing count it as a run would, and leave it where it is."""
        chair.run()
        edited = own_picture(chair.folder, "edited.png").rename(
            chair.folder / "out" / "images" / "mira.png"
        )
        out = chair.folder / "out"
        files = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        status = chair.json("status")
        plan = chair.json("plan", "scenes.json")
        listed = chair.json("takes", "mira")
        after = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        ran = chair.run()

        assert [(one["scene"], one["state"]) for one in status["scenes"] if one["reasons"]] == [
            ("s4", "stale")
        ]
        assert (plan["make"], plan["stale"], plan["cost_high_usd"]) == (1, 1, "0.05")
        assert (listed["shown_take"], listed["takes"][1]["imported"]) == (2, True)
        assert Path(listed["takes"][1]["path"]) == Path("out", "images", "mira.png")
        assert after == files
        assert ran["cost_usd"] == "0.05"
        assert chair.image("mira") == edited.read_bytes()

    def test_it_writes_nothing(self, chair: Chair) -> None:
        """Not even where there is no story yet: then it is about the file that ``init`` writes."""
        before = sorted(chair.folder.rglob("*"))
        chair("status")
        chair("takes", "s1", "--scenes", "scenes.json")
        assert sorted(chair.folder.rglob("*")) == before
        (chair.folder / "scenes.json").rename(chair.folder / "story.json")
        chair("status", code=2)
        assert "--scenes FILE" in chair.err

        assert "5 missing" in chair("status", "--scenes", "story.json")

    def test_a_plan_narrows_as_a_run_does(self, chair: Chair) -> None:
        """``--only`` and imports leave the same scenes out."""
        chair.run("--scene", "s1", "--scene", "mira", "--scene", "s4")
        chair.change("s1", prompt="s1: another pier")
        chair("import", "s3", str(own_picture(chair.folder)))

        assert chair.json("plan", "scenes.json", "--only", "stale")["make"] == 1
        assert chair.json("plan", "scenes.json", "--only", "missing")["make"] == 1
        plan = chair.json("plan", "scenes.json")
        assert (plan["make"], plan["stale"], plan["cost_high_usd"]) == (2, 1, "0.10")


@pytest.mark.slow
class TestWhichStory:
    def test_a_scene_file_that_is_gone_is_named(self, chair: Chair) -> None:
        """With what to do."""
        chair.run()
        (chair.folder / "scenes.json").unlink()
        chair("status", code=2)

        assert "the scene file of this out folder is gone: " in chair.err
        assert "--scenes FILE" in chair.err

    def test_ids_and_words_say_nothing_to_a_terminal(self, chair: Chair) -> None:
        """Whatever a scene file has in them."""
        hostile = "\x1b[2J\u202e<b>&\u2028"
        chair.story.append({"scene_id": hostile, "prompt": hostile, "takes": 2})
        chair.write()
        chair.run()
        said = [
            chair("status"),
            chair("takes", hostile),
            chair("show", hostile, "2"),
            chair("reroll", hostile),
            chair("sheet"),
            chair("plan", "scenes.json"),
        ]

        assert not [text for text in said if {"\x1b", "\u202e", "\u2028"} & set(text)]
        assert chair.json("takes", hostile)["scene"] == hostile


class TestTakes:
    def test_a_take_says_what_it_is(self, chair: Chair) -> None:
        """As other people's scripts read it."""
        chair.run()
        chair.change("s1", prompt="s1: another pier")
        chair.run()

        told = chair.json("takes", "s1")
        first, second = told["takes"]
        assert told["scene"] == "s1"
        assert told["shown"] == second["sha256"]
        assert (first["state"], second["state"]) == ("stale", "current")
        agreed = "take sha256 path state plugin provider model cost_usd cost_basis draft imported"
        assert [*first][:12] == [*agreed.split(), "made_at"]
        assert (first["take"], first["plugin"], first["model"]) == (1, "painter", "oil")
        assert (first["cost_usd"], first["cost_basis"], first["draft"]) == ("0.05", "flat", False)
        assert Path(first["path"]).parts[:3] == ("out", "takes", "s1")

    def test_a_draft_is_one_and_counts_for_nothing(self, chair: Chair) -> None:
        """It is drawn for nothing, and the scene is missing as before."""
        chair.run("--draft")
        drafts = chair.json("takes", "s1")
        states = chair.states()
        chair.run()

        assert [one["state"] for one in drafts["takes"]] == ["draft"]
        assert set(states.values()) == {"missing"}
        assert chair.bought() == 5
        assert [one["draft"] for one in chair.json("takes", "s1")["takes"]] == [True, False]
        assert chair.json("takes", "s1")["shown_take"] == 2

    def test_a_scene_that_left_keeps_its_takes(self, chair: Chair) -> None:
        """They can be listed, and are compared with nothing."""
        chair.run()
        chair.story = [one for one in chair.story if one["scene_id"] != "s1"]
        chair.write()
        chair.run()

        (take,) = chair.json("takes", "s1")["takes"]
        assert take["state"] is None
        assert Path(take["path"]).exists()
        assert not (chair.folder / "out" / "images" / "s1.png").exists()


@pytest.mark.slow
class TestSheet:
    def test_the_contact_sheet_shows_what_every_scene_shows(self, chair: Chair) -> None:
        """As a picture; where there is none, it says so."""
        chair.run("--scene", "s1")
        told = chair.json("sheet")

        assert told["pages"] == [
            {"path": "out/sheet.png", "scenes": ["mira", "s1", "s2", "s3", "s4"]}
        ]
        with (
            Image.open(chair.folder / "out" / "sheet.png") as page,
            Image.open(chair.folder / "out" / "images" / "s1.png") as shown,
        ):
            colours = page.convert("RGB").getcolors(1 << 24) or []
            assert shown.convert("RGB").getpixel((0, 0)) in {colour for _, colour in colours}


def test_who_names_the_scene_file_as_a_run_does_is_told_the_option(chair: Chair) -> None:
    """And who asks before there is a story is told what makes one."""
    chair("status", "scenes.json", code=2)
    assert "--scenes FILE" in chair.err

    (chair.folder / "scenes.json").rename(chair.folder / "lighthouse.json")
    chair("status", code=2)
    assert "'host-stub run FILE'" in chair.err


def test_a_run_that_makes_nothing_names_what_is_shown_and_nothing_beside_it(chair: Chair) -> None:
    """That another take was picked is no news to who picked it."""
    chair.run("--takes", "3")
    chair("show", "s1", "3")
    again = chair("run", "scenes.json")

    assert "all of them reused" in again
    assert "out/images/s1.png\n" in again
    assert "beside" not in again


KINDS = [
    "",
    "drawn",
    "drawn shown",
    "made",
    "made rejected",
    "made changed",
    "made changed drawn",
    "made changed brought",
    "made brought",
    "made brought undone",
    "brought",
    "brought undone",
]
"""What may have been done to a scene, from first to last."""


def story_of(chair: Chair, kinds: list[str]) -> list[str]:
    """Make a story with a scene of each kind; return their names."""
    done = {f"s{number:02}": kind.split() for number, kind in enumerate(kinds, start=1)}

    def those(word: str) -> list[str]:
        return [one for one, words in done.items() if word in words]

    def named(word: str) -> list[str]:
        return [part for one in those(word) for part in ("--scene", one)]

    chair.story = [{"scene_id": one, "prompt": f"{one}: a pier"} for one in done]
    chair.write()
    chair.run(*named("made"))
    for one in those("changed"):
        chair.change(one, prompt=f"{one}: a quay")
    chair.run("--draft", *named("drawn"))
    mine = str(own_picture(chair.folder))
    for one in those("brought"):
        chair.json("import", one, mine)
    for one in those("shown"):
        chair.json("show", one, "1")
    for one in those("undone"):
        chair.json("show", one, "--undo")
    rejected = {one: chair.json("takes", one)["takes"][0]["sha256"] for one in those("rejected")}
    decisions = [{"scene": one, "reject": [sha256]} for one, sha256 in rejected.items()]
    wish = json.dumps({"format": "stage3-decisions/1", "decisions": decisions})
    (chair.folder / "ana.json").write_text(wish, encoding="utf-8")
    chair.run("--decisions", "ana.json", "--scene", those("rejected")[0])
    return list(done)


def test_a_manifest_says_of_every_scene_what_the_status_says(chair: Chair) -> None:
    """Whatever its takes are: each scene's row, and how many stand how."""
    names = story_of(chair, KINDS)
    status = chair.json("status")
    manifest = json.loads((chair.folder / "out" / "manifest.json").read_bytes())

    same = ("state", "take", "takes", "imported", "sha256")
    told = {row["scene_id"]: [row[name] for name in same] for row in manifest["images"]}
    assert [one["scene"] for one in status["scenes"]] == names
    assert manifest["story"] == status["story"]
    assert told == {
        one["scene"]: [one[name] for name in same] for one in status["scenes"] if one["take"]
    }
    states = dict(zip(KINDS, chair.states().values(), strict=True))
    assert [kind for kind, state in states.items() if state == "missing"] == [
        "", "drawn", "drawn shown", "brought undone"
    ]  # fmt: skip


@pytest.mark.parametrize("mostly", ["drawn", "made", "brought undone"])
def test_a_page_is_told_of_every_take_what_takes_says(chair: Chair, mostly: str) -> None:
    """What is said once for most of them is put in the place of nothing that is false or empty."""
    names = story_of(chair, [*KINDS, *[mostly] * 10])
    chair.json("review", "--no-wait")
    script = (chair.folder / "out" / "review" / "data.js").read_text("ascii")
    told = json.loads(re.sub(r"\\(['\\])", r"\1", script[script.index("'") + 1 : -4]))

    same = ("take", "sha256", "plugin", "provider", "model", "draft", "imported", "rejected",
            "cost_usd", "width", "height")  # fmt: skip
    page = {
        scene["scene"]: [told["usual"] | take for take in scene.get("takes", ())]
        for scene in told["scenes"]
    }
    assert [*page] == names
    for one in names:
        listed = chair.json("takes", one)["takes"]
        assert [[take[name] for name in same] for take in page[one]] == [
            [take[name] for name in same] for take in listed
        ]
