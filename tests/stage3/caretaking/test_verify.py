"""What ``stage3 verify`` finds out about a ledger and its pictures."""

import io
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.cli import main
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.book import Ledger
from tests.fakes.pngs import make_png
from tests.said import Say
from tests.stage3.caretaking.purchases import Project


def test_what_is_right_is_said_to_be_right(say: Say, project: Project) -> None:
    """Every picture is read; two scenes of one picture read it once."""
    project.paid("one")
    project.paid("two", prompt="one")
    project.paid("three")
    project.unknown("four")

    said = say("verify")
    told = say("verify", "--json")

    assert (said.code, told.code) == (0, 0)
    assert "ok: every picture is there and whole (2 pictures of 3 paid purchases), and" in said.out
    assert told.json["problems"] == []
    assert said.err == ""


def damage_by_removing(path: Path) -> None:
    path.unlink()


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_by_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_by_another_picture(path: Path) -> None:
    path.write_bytes(make_png("another", 64, 64))


def damage_by_emptying(path: Path) -> None:
    path.write_bytes(b"")


def damage_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage, kind",
    [
        (damage_by_removing, "missing"),
        (damage_by_a_folder, "missing"),
        (damage_by_emptying, "damaged"),
        (damage_by_cutting, "damaged"),
        (damage_by_a_bit, "damaged"),
        (damage_by_another_picture, "damaged"),
    ],
)
def test_a_picture_that_is_not_what_was_paid_for_is_found(
    say: Say, project: Project, damage: Any, kind: str
) -> None:
    """Gone, cut, flipped or exchanged: each is told with its scene and what to do."""
    project.paid("good")
    bad = project.paid("bad")
    path = project.object_of(bad)
    damage(path)

    said = say("verify")
    told = say("verify", "--json")

    assert (said.code, told.code) == (1, 1)
    (problem,) = told.json["problems"]
    assert (problem["kind"], problem["scene_ids"], problem["attempt_ids"]) == (
        kind,
        ["bad"],
        [bad],
    )
    assert problem["path"] == str(path)
    assert f"{path} of scene bad: the picture" in said.out
    assert "next: " in said.out


def test_a_picture_that_is_described_wrong_is_found(say: Say, project: Project) -> None:
    """Programs lay pictures out by what the ledger says of them."""
    picture = project.purchase(project.paid("right")).picture
    assert picture is not None
    wrong = project.begin("wrong")
    project.end(wrong, State.PAID, picture=replace(picture, height_px=640))

    said = say("verify", "--json")

    assert said.code == 1
    assert [(one["kind"], one["scene_ids"]) for one in said.json["problems"]] == [
        ("different", ["wrong"])
    ]


def test_counters_that_disagree_are_found(say: Say, project: Project) -> None:
    """A ledger somebody has edited by hand is not trusted with money."""
    project.unknown("one")
    with closing(sqlite3.connect(project.path)) as connection, connection:
        connection.execute("UPDATE counters SET committed_microusd = committed_microusd + 1")

    said = say("verify", "--json")

    assert said.code == 1
    assert {problem["kind"] for problem in said.json["problems"]} == {"ledger"}


def test_a_damaged_ledger_is_a_problem_and_no_surprise(say: Say, project: Project) -> None:
    """However much of it can still be read; nothing is said of pictures that it may speak of."""
    for number in range(40):
        project.unknown(f"scene_{number}", why="x" * 2000)
    data = bytearray(project.path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = b"\xff" * 8192
    project.path.write_bytes(data)

    said = say("verify", "--json")

    assert said.code == 1
    assert {problem["kind"] for problem in said.json["problems"]} == {"ledger"}
    assert said.json["problems"][0]["path"] == str(project.path)


def test_a_ledger_that_cannot_be_read_now_is_not_called_damaged(
    say: Say, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up meanwhile calls for room, and not for a copy of the ledger."""
    project.paid("one")

    def full(ledger: Ledger) -> list[str]:
        raise LedgerFailed(ledger.path, "the disk is full", number=ENOSPC, hint="free space")

    monkeypatch.setattr(Ledger, "problems", full)

    said = say("verify", "--json")

    assert said.code == 2
    assert said.json["error"]["hint"] == "free space"


def test_a_ledger_that_cannot_even_check_itself_is_a_problem(
    say: Say, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named once, and the pictures that it still knows of are looked at."""
    project.paid("one")

    def broken(ledger: Ledger) -> list[str]:
        raise LedgerFailed(ledger.path, "the database is malformed", hint="keep a copy")

    monkeypatch.setattr(Ledger, "problems", broken)

    said = say("verify", "--json")

    assert (said.code, said.json["pictures"]) == (1, 1)
    assert [one["message"] for one in said.json["problems"]] == ["the database is malformed"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("many, is_told", [(2, True), (3, False)])
def test_a_long_check_tells_how_far_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch, many: int, *, is_told: bool
) -> None:
    """On a terminal, on one line that is gone at the end; a short one says nothing."""
    project.paid("one")
    project.paid("two")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("stage3_plugin.maintenance.commands._MANY_PICTURES", many)
    monkeypatch.setattr("stage3_plugin.maintenance.commands._PROGRESS_EVERY", 1)

    code = main(["verify"])

    said = terminal.getvalue()
    assert code == 0
    assert ("checking pictures: 1 of 2" in said) is is_told
    assert said.rpartition("\x1b[K")[2] == ""


def test_looking_and_checking_change_nothing(say: Say, project: Project) -> None:
    """No file of the state folder differs afterwards, and none was added."""
    project.paid("one")
    project.unknown("two")
    project.begin("three")
    before = project.tree()

    say("attempts")
    say("verify")

    assert project.tree() == before


def test_a_bucket_that_cannot_be_looked_into_is_a_problem_and_cannot_be_filled(
    say: Say, project: Project
) -> None:
    """The pictures here are checked all the same; who wants it filled is told that it cannot be."""
    project.paid("one")
    (project.state_dir / "store").write_text("ftp://somewhere/pictures\n", encoding="utf-8")
    told, filling = say("verify", "--json"), say("verify", "--fill-store")
    (problem,) = told.json["problems"]

    assert (told.code, filling.code) == (1, 2)
    assert (problem["kind"], problem["url"]) == ("bucket", "ftp://somewhere/pictures")
    assert told.json["pictures"] == 1
    assert "setting 'store'" in filling.err
