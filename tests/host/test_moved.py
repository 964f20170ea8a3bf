"""A story's book is found again wherever its results or its project went, or it is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from host_stub.plain_image import flat_png


class Mover:
    """Types commands in a project in which a person has picked, rejected, noted and imported."""

    def __init__(self, folder: Path, chdir: Callable[[Path], None], read: Any) -> None:
        self.folder, self._chdir, self._read = folder, chdir, read
        self.err = ""
        story = [{"scene_id": f"s{n}", "prompt": f"s{n}: a pier"} for n in (1, 2)]
        (folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
        self.config()

    def at(self, folder: Path) -> None:
        """Go into the project, where it lies now."""
        self.folder = folder
        self._chdir(folder)

    def config(self, out_dir: str | Path = "out", name: str = "host.toml") -> None:
        """Write the config."""
        (self.folder / name).write_text(
            f"[run]\nout_dir = {json.dumps(str(out_dir))}\n"
            '[pipeline]\nimage = "painter"\n[plugin.painter]\n',
            encoding="utf-8",
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        """Type a command; return what it says."""
        found = main(list(words))
        out, self.err = self._read()
        assert found == code, out + self.err
        return str(out)

    def direct(self) -> None:
        """Make two takes of each scene, pick, reject, and import one."""
        self("run", "scenes.json", "--takes", "2")
        self("show", "s1", "2")
        mine = self.folder / "mine.png"
        mine.write_bytes(flat_png(48, 32, b"\x01\x02\x03"))
        self("import", "s2", str(mine))
        first = json.loads(self("takes", "s1", "--json"))["takes"][0]["sha256"]
        decision = {"scene": "s1", "reject": [first], "note": "too dark"}
        (self.folder / "decisions.json").write_text(
            json.dumps({"format": "stage3-decisions/1", "decisions": [decision]}), encoding="utf-8"
        )
        self("run", "scenes.json", "--takes", "2", "--decisions", "decisions.json")

    def chosen(self, *words: str) -> dict[str, Any]:
        """Return all that people chose of the story."""
        found: dict[str, Any] = {}
        for scene in ("s1", "s2"):
            told = json.loads(self("takes", scene, "--json", *words))
            found[scene] = [
                told["shown"],
                [(one["sha256"], one["rejected"], one["imported"]) for one in told["takes"]],
                told["notes"],
            ]
        return found

    def pictures(self, out: Path) -> dict[str, bytes]:
        """Return the pictures that are shown in a folder of results."""
        return {one.name: one.read_bytes() for one in (out / "images").iterdir()}


@pytest.fixture
def mover(
    painters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Mover:
    return Mover(painters, monkeypatch.chdir, capsys.readouterr)


# Found again -------------------------------------------------------------------------------------


def elsewhere_behind_a_link(mover: Mover) -> list[str]:
    """Results move to a larger disk, and their name leads there."""
    (mover.folder.parent / "disk").mkdir()
    (mover.folder / "out").rename(mover.folder.parent / "disk" / "out")
    (mover.folder / "out").symlink_to(mover.folder.parent / "disk" / "out")
    return []


def renamed_with_the_config(mover: Mover) -> list[str]:
    """Results are called something else, and the config says so."""
    (mover.folder / "out").rename(mover.folder / "results")
    mover.config("results")
    return []


def moved_out_of_the_project(mover: Mover) -> list[str]:
    """The config names where they are now from the top."""
    results = mover.folder.parent / "results"
    (mover.folder / "out").rename(results)
    mover.config(results)
    return []


def project_moved(mover: Mover) -> list[str]:
    """As a whole, deeper than before."""
    deep = mover.folder.parent / "deep" / "er"
    deep.mkdir(parents=True)
    mover.at(mover.folder.rename(deep / "project"))
    return []


def project_moved_behind_a_link(mover: Mover) -> list[str]:
    """The link leads to the same results from another place."""
    elsewhere_behind_a_link(mover)
    mover("run", "scenes.json", "--takes", "2")
    return project_moved(mover)


def config_renamed(mover: Mover) -> list[str]:
    """The story is not the config's but the folder's."""
    (mover.folder / "host.toml").rename(mover.folder / "other.toml")
    return ["--config", "other.toml"]


def named_from_the_top(mover: Mover) -> list[str]:
    """The same folder, absolute and no more relative."""
    mover.config(mover.folder / "out")
    return []


def named_by_a_link(mover: Mover) -> list[str]:
    """Two names of one folder are one story."""
    (mover.folder / "link").symlink_to("out")
    return ["--out", "link"]


@pytest.mark.parametrize(
    "move",
    [
        elsewhere_behind_a_link,
        renamed_with_the_config,
        moved_out_of_the_project,
        project_moved,
        project_moved_behind_a_link,
        config_renamed,
        named_from_the_top,
        named_by_a_link,
    ],
    ids=lambda move: move.__name__,
)
def test_what_was_chosen_holds_wherever_results_and_project_went(
    mover: Mover, move: Callable[[Mover], list[str]]
) -> None:
    """Picks, imports, rejections and notes, before and after the next run; also without results."""
    mover.direct()
    before = mover.chosen()
    shown = mover.pictures(mover.folder / "out")
    words = move(mover)
    looked = mover.chosen(*words)
    mover("run", "scenes.json", "--takes", "2", *words)
    run = mover.chosen(*words)
    out = Path(json.loads(mover("takes", "s1", "--json", *words))["takes"][0]["path"]).parents[2]
    shown_then = mover.pictures(out)
    shutil.rmtree(out.resolve())
    without = mover.chosen(*words)

    assert len(before["s2"][1]) == 3
    assert before["s1"][2] == ["too dark"]
    assert looked == run == without == before
    assert shown_then == shown


def test_a_project_is_moved_away_from_what_its_config_names_from_the_top(mover: Mover) -> None:
    """The results stay, or are lost: what was chosen is found by what the config says."""
    mover.config(mover.folder.parent / "data" / "out")
    mover.direct()
    before, shown = mover.chosen(), mover.pictures(mover.folder.parent / "data" / "out")
    project_moved(mover)
    looked = mover.chosen()
    mover("run", "scenes.json", "--takes", "2")
    shutil.rmtree(mover.folder.parents[2] / "data")
    mover.at(mover.folder.rename(mover.folder.parents[2] / "again"))
    mover("run", "scenes.json", "--takes", "2")

    assert looked == mover.chosen() == before
    assert mover.pictures(mover.folder.parent / "data" / "out") == shown


def test_a_folder_of_results_that_is_new_begins_a_story(mover: Mover) -> None:
    """As ever: two folders are two stories, and the first is what it was."""
    mover.direct()
    before = mover.chosen()
    mover("run", "scenes.json", "--out", "second")

    assert mover.chosen("--out", "second")["s2"][2] == []
    assert mover.chosen() == before


def test_a_project_that_is_copied_as_a_whole_goes_its_own_way(mover: Mover) -> None:
    """Both copies have their own results, and what is chosen in one is not chosen in the other."""
    mover.direct()
    first, before = mover.folder, mover.chosen()
    mover.at(Path(shutil.copytree(first, first.parent / "copy")))
    copied = mover.chosen()
    mover("show", "s1", "1")
    mover("run", "scenes.json", "--takes", "2")
    changed = mover.chosen()
    mover.at(first)
    mover("run", "scenes.json", "--takes", "2")

    assert copied == before
    assert changed != before
    assert mover.chosen() == before


# Refused -----------------------------------------------------------------------------------------


def refused(mover: Mover, *words: str) -> str:
    """See that every command refuses a story, and replaces no picture; return what run says."""
    said: set[str] = set()
    for command in (
        ("status",), ("takes", "s1"), ("plan", "scenes.json"), ("review",),
        ("show", "s1", "1"), ("reroll", "s1"), ("run", "scenes.json"),
    ):  # fmt: skip
        mover(*command, *words, code=2)
        said.add(mover.err)
    assert len(said) == 1
    return said.pop()


def test_a_copy_of_results_is_not_guessed_to_be_either(mover: Mover) -> None:
    """Both ways out that are named lead on: with what was chosen, or anew."""
    mover.direct()
    before = mover.chosen()
    copy = Path(shutil.copytree(mover.folder / "out", mover.folder / "copy"))
    shown = mover.pictures(copy)
    said = refused(mover, "--out", "copy")
    untouched = mover.pictures(copy) == shown
    stories = mover.folder / ".story"
    shutil.copytree(stories / "out", stories / "copy")
    mover("run", "scenes.json", "--takes", "2", "--out", "copy")
    with_choices = mover.chosen("--out", "copy")
    shutil.rmtree(stories / "copy")
    (copy / ".story.json").unlink()
    mover("run", "scenes.json", "--out", "copy")

    assert f"a copy of those of {stories / 'out'}" in said
    assert f"copy that folder to {stories / 'copy'}" in said
    assert f"remove {copy / '.story.json'}, to begin anew" in said
    assert untouched
    assert with_choices == before == mover.chosen()
    assert mover.chosen("--out", "copy") != before


def test_two_copies_of_a_project_do_not_share_a_folder_of_results(mover: Mover) -> None:
    """The second would show its picks in place of those of the first."""
    results = mover.folder.parent / "results"
    mover.config(results)
    mover.direct()
    first, before, shown = mover.folder, mover.chosen(), mover.pictures(results)
    mover.at(Path(shutil.copytree(first, first.parent / "copy")))
    said = refused(mover)
    untouched = mover.pictures(results) == shown
    shutil.rmtree(first)
    mover("run", "scenes.json", "--takes", "2")

    assert str(first / ".story") in said
    assert "name another folder for the results" in said
    assert "if the other project is not used any more" in said
    assert untouched
    assert mover.chosen() == before


def test_results_of_another_project_are_not_taken_over(mover: Mover) -> None:
    """Its story may be moved here, if it is not used any more."""
    mover.direct()
    first, before = mover.folder, mover.chosen()
    second = first.parent / "second"
    second.mkdir()
    for name in ("scenes.json", "host.toml"):
        shutil.copy(first / name, second)
    shutil.copytree(first / ".painter", second / ".painter")
    mover.at(second)
    mover.config(first / "out")
    said = refused(mover)
    (second / ".story").mkdir(exist_ok=True)
    [story] = (first / ".story").iterdir()
    target = Path(said.rpartition("that story to ")[2].partition(", if")[0])
    story.rename(target)
    mover("run", "scenes.json", "--takes", "2")

    assert str(story) in said
    assert mover.chosen() == before


def test_results_that_were_swapped_are_not_shown_by_the_wrong_picks(mover: Mover) -> None:
    """Either name has a story, and neither is the results'."""
    mover.direct()
    mover("run", "scenes.json", "--out", "second")
    before, out, second = mover.chosen(), mover.folder / "out", mover.folder / "second"
    out.rename(mover.folder / "aside")
    second.rename(out)
    (mover.folder / "aside").rename(second)
    said = refused(mover)
    out.rename(mover.folder / "aside")
    second.rename(out)
    (mover.folder / "aside").rename(second)

    assert str(mover.folder / ".story" / "second") in said
    assert str(mover.folder / ".story" / "out") in said
    assert mover.chosen() == before


def test_results_of_which_nobody_knows_whose_they_are_are_refused(mover: Mover) -> None:
    """As those of an earlier version are, whose folders have no notes; both ways out lead on."""
    mover.direct()
    before, stories = mover.chosen(), mover.folder / ".story"
    (stories / "out" / "place.json").unlink(missing_ok=True)
    (mover.folder / "out" / ".story.json").unlink(missing_ok=True)
    (mover.folder / "out").rename(mover.folder / "results")
    said = refused(mover, "--out", "results")
    (stories / "results").mkdir()
    mover("takes", "s1", "--out", "results")
    (stories / "results").rmdir()
    (stories / "out").rename(stories / "results")
    mover("run", "scenes.json", "--takes", "2", "--out", "results")

    assert f"may be those of {stories / 'out'}" in said
    assert "rename that folder to results" in said
    assert f"make a folder {stories / 'results'}, to begin anew" in said
    assert mover.chosen("--out", "results") == before


# Emptied -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["missing", "emptied"])
@pytest.mark.parametrize("beside", ["objects", "place.json"])
def test_an_emptied_book_is_no_new_story(mover: Mover, what: str, beside: str) -> None:
    """It is refused by name, as an emptied ledger is, and moving it away leads on."""
    mover.direct()
    before, folder = mover.chosen(), mover.folder / ".story" / "out"
    shown, book = mover.pictures(mover.folder / "out"), folder / "story.db"
    kept = book.read_bytes()
    for one in ("objects", "place.json"):
        if one != beside:
            shutil.rmtree(folder / one, ignore_errors=True)
            (folder / one).unlink(missing_ok=True)
    book.unlink() if what == "missing" else book.write_bytes(b"")
    said = refused(mover)
    untouched = mover.pictures(mover.folder / "out") == shown
    is_made = book.exists() is (what == "emptied")
    if beside == "objects":
        book.write_bytes(kept)
        mover("run", "scenes.json", "--takes", "2")
        held = mover.chosen() == before
    else:
        folder.rename(mover.folder / "aside")
        mover("run", "scenes.json", "--takes", "2")
        held = mover.chosen() != before

    assert str(book) in said
    assert "it is empty or not there" in said
    assert "put the folder back from a copy; or move it out of .story and run again" in said
    assert untouched
    assert is_made
    assert held
