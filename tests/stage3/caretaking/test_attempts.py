"""What ``stage3 attempts`` shows of a ledger, and what it says to do."""

import pytest

from stage3_plugin.domain.states import State
from tests.said import Say
from tests.stage3.caretaking.commands import living
from tests.stage3.caretaking.purchases import Project


def test_what_needs_somebody_is_listed_newest_first(say: Say, project: Project) -> None:
    """Unknown, lost, written off and left behind; what is made, refused or void is only counted."""
    unknown = project.unknown("scene_1")
    lost = project.begin("scene_2")
    project.end(lost, State.PAID_BAD, cost_microusd=50_000, basis="reported", why="no picture")
    written_off = project.unknown("scene_3")
    project.end(written_off, State.WROTE_OFF, decided_by="user")
    left = project.begin("scene_4")
    project.paid("scene_5")
    project.end(project.begin("scene_6"), State.REFUSED, why="the prompt was refused")
    project.end(project.begin("scene_7"), State.VOID)

    said = say("attempts", "--json")

    assert said.code == 0
    assert [one["attempt_id"] for one in said.json["attempts"]] == [
        left,
        written_off,
        lost,
        unknown,
    ]
    assert [one["situation"] for one in said.json["attempts"]] == [
        "abandoned",
        "lost",
        "lost",
        "undecided",
    ]
    assert {state: row["count"] for state, row in said.json["states"].items()} == {
        "SENDING": 1,
        "UNKNOWN": 1,
        "PAID": 1,
        "PAID_BAD": 1,
        "REFUSED": 1,
        "VOID": 1,
        "WROTE_OFF": 1,
    }


def test_a_printed_command_finds_the_ledger_again(say: Say, project: Project) -> None:
    """Where a folder was named, the next command has to name it too, quoted."""
    named = Project(project.state_dir.parent / "state of things")
    named.unknown("one")

    said = say("attempts", "--state-dir", "state of things")

    assert "--state-dir 'state of things' --billed" in said.out


def test_what_a_living_run_has_in_work_is_in_flight(say: Say, project: Project) -> None:
    """It needs nobody, and nothing is said about it but that."""
    project.begin("one", run_id="alive")
    with living(project):
        quiet = say("attempts")
        shown = say("attempts", "--all")

    assert "no purchase needs you" in quiet.out
    assert "in flight  one" in shown.out
    assert "stage3 resolve" not in shown.out


def test_the_tally_calls_what_is_open_as_its_lines_do(say: Say, project: Project) -> None:
    """And ends no line in blanks, where a state counts nothing."""
    project.receive(project.begin("one"), complete=True)
    project.begin("two")
    project.end(project.begin("three"), State.REFUSED)

    said = say("attempts", "--all").out.splitlines()

    assert "bought, answer received  one" in "\n".join(said)
    (tally,) = [line for line in said if line.startswith("      2 SENDING")]
    assert tally.endswith("; 1 of them bought, answer received")
    assert "      1 REFUSED" in said
    assert [line for line in said if line != line.rstrip()] == []


@pytest.mark.parametrize(
    "case, situation",
    [
        ({}, "abandoned"),
        ({"complete": False}, "abandoned"),
        ({"complete": True}, "answered"),
        ({"is_local": True}, "unbilled"),
    ],
)
def test_what_a_dead_run_left_is_told_as_the_next_run_takes_it(
    say: Say, project: Project, case: dict[str, bool], situation: str
) -> None:
    """A complete answer is taken in, what was never sent is let go, the rest is unknown."""
    complete = case.pop("complete", None)
    attempt_id = project.begin("one", **case)
    if complete is not None:
        project.receive(attempt_id, complete=complete)

    assert situations(say) == {attempt_id: situation}


def situations(say: Say, *words: str) -> dict[str, str]:
    """Return what each purchase waits for, by its id."""
    listed = say("attempts", "--json", *words).json["attempts"]
    return {one["attempt_id"]: one["situation"] for one in listed}


@pytest.mark.parametrize("state", [State.PAID_BAD, State.WROTE_OFF])
def test_a_lost_one_needs_nobody_once_its_scene_was_bought_again(
    say: Say, project: Project, state: State
) -> None:
    """Until then a run would pay for it again, and that is said; later it is shown on demand."""
    first = project.unknown("one")
    project.end(first, state, decided_by="user")
    lost, warned = situations(say), say("attempts")
    again = project.unknown("one")
    waiting = situations(say)
    project.end(again, State.PAID_BAD, basis="held")
    both_lost = situations(say)
    paid = project.paid("one")

    assert lost == {first: "lost"}
    assert "makes it again, for another price" in warned.out
    assert waiting == {again: "undecided"}
    assert both_lost == {first: "lost", again: "lost"}
    assert situations(say) == {}
    assert situations(say, "--all") == {first: "replaced", again: "replaced", paid: "settled"}
    assert set(situations(say, "--state", state).values()) == {"replaced"}


def test_what_is_left_out_is_counted_without_what_needs_nobody(say: Say, project: Project) -> None:
    """Of what was asked for, beyond the limit."""
    for number in range(3):
        project.unknown(f"unknown {number}")
        project.paid(f"paid {number}")
    project.end(project.begin("again"), State.PAID_BAD)
    project.paid("again")

    left_out = [
        say("attempts", "--json", "--limit", limit, *words).json["left_out"]
        for limit, *words in (
            ["1"], ["1", "--all"], ["1", "--state", "paid", "--state", "paid"],
            ["1", "--scene", "again"], ["9", "--all"],
        )
    ]  # fmt: skip

    assert left_out == [2, 7, 3, 1, 0]


def test_a_folder_in_which_nothing_was_received_is_not_shown(say: Say, project: Project) -> None:
    """It is made before the request is sent, and stays empty after a reset or a kill."""
    attempt_id = project.unknown("one")
    folder = project.store.spool.new_folder(attempt_id)
    (folder / "part-0").touch()

    said = say("attempts")
    told = say("attempts", "--json").json["attempts"][0]
    (folder / "answer").write_text("{}\n", encoding="utf-8")
    received = say("attempts", "--json").json["attempts"][0]

    assert "received:" not in said.out
    assert told["evidence"] is None
    assert received["evidence"] == str(folder)


@pytest.mark.parametrize(
    "options, scenes",
    [
        ([], ["b", "a"]),
        (["--state", "unknown"], ["b"]),
        (["--state", "PAID", "--state=paid-bad"], ["c", "a"]),
        (["--scene", "c"], ["c"]),
        (["--scene", "nobody"], []),
        (["--all"], ["c", "b", "a"]),
        (["--all", "--limit", "2"], ["c", "b"]),
    ],
)
def test_a_part_can_be_chosen(
    say: Say, project: Project, options: list[str], scenes: list[str]
) -> None:
    """By state, by scene, by number; without a choice it is what needs somebody."""
    project.end(project.begin("a"), State.PAID_BAD)
    project.unknown("b")
    project.paid("c")

    said = say("attempts", "--json", *options)

    assert [one["scene_id"] for one in said.json["attempts"]] == scenes
    assert said.json["left_out"] == (1 if "--limit" in options else 0)
    assert sum(row["count"] for row in said.json["states"].values()) == 3


def test_ids_that_begin_alike_are_shown_longer(say: Say, project: Project) -> None:
    """What is shown names one purchase only."""
    ids = ["0123456789ab" + "0" * 20, "0123456789ac" + "0" * 20]
    for number, attempt_id in enumerate(ids):
        project.unknown(f"scene_{number}", attempt_id=attempt_id)

    said = say("attempts", "--json")

    assert [one["short_id"] for one in said.json["attempts"]] == ["0123456789ac", "0123456789ab"]


def test_text_of_others_stays_text(say: Say, project: Project) -> None:
    """Escapes, line breaks and direction marks of a provider or a story do nothing here."""
    hostile = "\x1b]0;gone\x07\x1b[2J\r\n1 PAID \u202e\u2028 ok"
    project.unknown("scene\n" + hostile, why=hostile)

    said = say("attempts")

    assert not set("\x1b\x07\r\u202e\u2028") & set(said.out)
    assert "scene\\n\\x1b]0;gone\\x07" in said.out
    assert [line for line in said.out.splitlines() if line.startswith("1 PAID")] == []
    assert say("attempts", "--json").json["attempts"][0]["why"] == hostile


def test_a_job_is_listed_until_a_run_has_it(say: Say, project: Project) -> None:
    """By its provider's name, with the time until which it is kept; a living run needs nobody."""
    left = project.accepted("scene_1")
    in_work = project.accepted("scene_2", run_id="living")

    with living(project, "living"):
        said, told = say("attempts"), say("attempts", "--json")

    assert f"{left[:8]}  bought, being made  scene_1" in said.out
    assert "job j-scene_1, accepted 2026-11-03 09:31:00 UTC" in said.out
    assert "kept there until 2026-11-03 10:31:00 UTC" in said.out
    assert "run the same command again" in said.out
    assert in_work[:8] not in said.out
    (one,) = told.json["attempts"]
    assert (one["situation"], one["state"], one["cost_usd"]) == ("being_made", "ACCEPTED", None)
    assert one["job"] == {
        "job_id": "j-scene_1",
        "accepted_at": "2026-11-03T09:31:00+00:00",
        "expires_at": "2026-11-03T10:31:00+00:00",
    }


@pytest.mark.parametrize("option", ["--billed", "--not-billed", "--resend"])
def test_nobody_decides_about_a_job_that_is_asked_for(
    say: Say, project: Project, option: str
) -> None:
    """It has its end by itself; until then a decision would only be a guess."""
    attempt_id = project.accepted("scene_1")

    said = say("resolve", attempt_id, option)

    assert said.code != 0
    assert "2026-11-03 10:31 UTC" in said.err
    assert project.purchase(attempt_id).state is State.ACCEPTED


def test_a_job_that_was_lost_is_looked_up_by_its_name(say: Say, project: Project) -> None:
    """That its submit was answered whole says nothing of what became of it."""
    attempt_id = project.accepted("scene_1")
    project.receive(attempt_id, complete=True)
    project.end(attempt_id, State.UNKNOWN, why="its provider does not know the job any more")

    said, told = say("attempts"), say("attempts", "--json")

    assert "job j-scene_1" in said.out
    assert "look it up in the provider's records" in said.out
    assert told.json["attempts"][0]["situation"] == "undecided"
