"""How much room a project takes, by what, and what could be made again at no cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.pngs import make_png
from tests.said import Say
from tests.stage3.caretaking.purchases import Project


def kinds(place: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return how many files of each kind there are, and how many could be made again."""
    return {one["kind"]: (one["files"], one["again_files"]) for one in place["holds"]}


def put(path: Path, data: bytes = b"something") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def copy_of(project: Project, sha256: str, path: Path) -> Path:
    """Put a copy of a stored picture somewhere, as a run does: with its time."""
    source = project.store.objects.where(sha256)
    put(path, source.read_bytes())
    found = source.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return path


def sha256_of(project: Project, attempt_id: str) -> str:
    with project.open() as ledger:
        purchase = ledger.purchase(attempt_id)
    assert purchase is not None
    assert purchase.picture is not None
    return purchase.picture.sha256


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_where_nothing_is_nothing_is_said_and_nothing_made(
    say: Say, project: Project, out: Path
) -> None:
    """It is no error: there is simply no room taken."""
    said = say("room", "--out", str(out), "--json")

    assert (said.code, said.json["places"], said.json["bytes"]) == (0, [], 0)
    assert "there is nothing here yet" in say("room", "--out", str(out)).out
    assert not project.state_dir.exists()
    assert not out.exists()


def test_everything_is_counted_by_what_it_is(say: Say, project: Project, out: Path) -> None:
    """And what a run would put back, or draw again, could be made again at no cost."""
    bought, edited = project.paid("one"), project.paid("two")
    project.paid("three", is_local=True)
    sha256 = sha256_of(project, bought)
    other = sha256_of(project, edited)
    put(project.state_dir / "objects" / "00" / ("0" * 64), make_png("nobody's", 8, 8))
    put(project.state_dir / "spool" / ("a" * 32) / "answer.json")
    put(project.state_dir / "tmp" / ".tmp-1")
    copy_of(project, sha256, out / "takes" / "one" / f"{sha256[:12]}.png")
    copy_of(project, sha256, out / "images" / "one.png")
    put(copy_of(project, other, out / "images" / "two.png"), make_png("by hand", 8, 8))
    for name in ("manifest.json", "events.jsonl", "sheet.png", "sheet-2.png", "notes.txt"):
        put(out / name)
    put(out / "review" / "index.html")
    put(out / "review" / "thumbs" / f"{sha256}.webp")
    put(out / "runs" / "r1" / "manifest.json")
    put(project.state_dir.parent / ".story" / "out" / "story.db")

    said = say("room", "--out", str(out), "--json")

    state, results, story = said.json["places"]
    assert kinds(state) | {"the ledger": (0, 0), "anything else": (0, 0)} == {
        "pictures that were paid for": (2, 0),
        "pictures that were drawn here": (1, 1),
        "pictures of no purchase": (1, 0),
        "answers of providers": (1, 0),
        "the ledger": (0, 0),
        "files being written; after a day they are leftovers, and go by themselves": (1, 0),
        "anything else": (0, 0),
    }
    assert kinds(results) == {
        "takes": (1, 1),
        "pictures that are shown": (2, 1),
        "small pictures of the page": (1, 1),
        "the page": (1, 1),
        "records of earlier runs": (1, 0),
        "records of the last run": (2, 0),
        "contact sheets": (2, 2),
        "anything else": (1, 0),
    }
    assert kinds(story) == {"takes that were chosen, and pictures that people brought": (1, 0)}
    assert said.json["bytes"] == sum(one["bytes"] for one in said.json["places"])


def test_what_a_person_brought_is_put_back_from_where_the_host_keeps_it(
    say: Say, project: Project, out: Path
) -> None:
    """Its copies among the results could be made again; it itself could not."""
    project.paid("one")
    own = put(project.state_dir.parent / ".story" / "out" / "objects" / ("b" * 64))
    copy = put(out / "takes" / "one" / "bbbbbbbbbbbb.png")
    found = own.stat()
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))

    _, results, story = say("room", "--out", str(out), "--json").json["places"]

    assert kinds(results) == {"takes": (1, 1)}
    assert list(kinds(story).values()) == [(1, 0)]


def test_links_lead_nowhere_and_two_names_of_a_file_count_once(
    say: Say, project: Project, out: Path, tmp_path: Path
) -> None:
    """A folder of results may be anybody's: whatever it links to is not counted."""
    put(tmp_path / "elsewhere" / "large.bin", b"x" * 1000)
    put(out / "images" / "one.png", b"12345")
    os.link(out / "images" / "one.png", out / "images" / "two.png")
    (out / "images" / "three.png").symlink_to(tmp_path / "elsewhere" / "large.bin")
    (out / "linked").symlink_to(tmp_path / "elsewhere")
    (out / "images" / "round").symlink_to(out)

    [results] = say("room", "--out", str(out), "--json").json["places"]

    assert results["bytes"] < 1000
    [shown] = [one for one in results["holds"] if one["kind"] == "pictures that are shown"]
    assert shown["bytes"] >= 5
    del project


def test_a_state_folder_among_the_results_is_counted_once(
    say: Say, tmp_path: Path, project: Project
) -> None:
    """Whoever put it there sees it as what it is."""
    project.paid("one")
    put(tmp_path / "manifest.json")

    said = say("room", "--out", str(tmp_path), "--json")

    assert [kinds(one).get("anything else") for one in said.json["places"]][1:] == [None]
    assert said.json["files"] == len([one for one in tmp_path.rglob("*") if one.is_file()])


def test_people_read_it_in_lines(say: Say, project: Project, out: Path) -> None:
    """The largest first, with sizes as people write them, and a name that is no command."""
    purchase = project.paid("one")
    sha256 = sha256_of(project, purchase)
    copy_of(project, sha256, out / "images" / "one.png")
    put(out / "big.bin", b"x" * 1_234_567)

    said = say("room", "--out", str(out))

    lines = said.out.splitlines()
    assert f"{out}: 1.23 MB" in lines
    assert "   1.23 MB  1 file: anything else" in lines
    assert any(
        line.endswith("1 file: pictures that are shown  (could be made again at no cost)")
        for line in lines
    )
    assert "could be made again at no cost; nothing was deleted" in lines[-1]


def test_what_cannot_be_looked_into_is_named(
    say: Say, project: Project, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And everything else is counted."""
    put(out / "images" / "one.png")
    put(out / "takes" / "one" / "a.png")
    looked_into = os.scandir

    def scandir(path: Path) -> Any:
        if path == out / "takes":
            raise PermissionError(13, "Permission denied")
        return looked_into(path)

    monkeypatch.setattr(os, "scandir", scandir)
    said = say("room", "--out", str(out), "--json")

    assert said.json["unread"] == [str(out / "takes")]
    assert said.json["files"] == 1
    assert f"is not counted: {out / 'takes'}" in say("room", "--out", str(out)).out
    assert not project.state_dir.exists()
