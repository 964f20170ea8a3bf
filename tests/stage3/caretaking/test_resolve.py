"""What ``stage3 resolve`` records, and what it refuses to."""

import pytest

from stage3_plugin.domain.states import State
from tests.said import Say
from tests.stage3.caretaking.commands import living
from tests.stage3.caretaking.purchases import Project


@pytest.mark.parametrize(
    "option, state, counted, words",
    [
        (["--billed"], State.PAID_BAD, 42_000, "the $0.042 held for it counts as spent"),
        (["--billed", "--cost", "0.03"], State.PAID_BAD, 30_000, "$0.03 counts as spent"),
        (["--billed", "--cost=1.5"], State.PAID_BAD, 1_500_000, "$1.458 more than was held"),
        (["--not-billed"], State.REFUSED, 0, "the $0.042 held for it is free again"),
        (["--resend"], State.WROTE_OFF, 42_000, ""),
    ],
)
def test_a_decision_settles_what_was_unknown(
    *, say: Say, project: Project, option: list[str], state: State, counted: int, words: str
) -> None:
    """The row says what it came to and that somebody decided it; the counters follow.

    What was done is said in figures, so that a slip of the hand is seen.
    """
    attempt_id = project.unknown("one")

    said = say("resolve", attempt_id[:6], *option)

    after = project.purchase(attempt_id)
    assert said.code == 0
    assert (after.state, after.counted_microusd, after.decided_by) == (state, counted, "user")
    assert "the connection was lost" in after.why
    assert f"{attempt_id[:8]} of scene one is now {state}" in said.out
    assert words in said.out
    assert "next: a run that has such a scene" in said.out
    assert project.problems() == []
    with project.open() as ledger:
        assert ledger.live(after.new.scene_key) is None


def test_a_decision_is_told_to_programs(say: Say, project: Project) -> None:
    """With the state before and after, and money as decimal strings."""
    attempt_id = project.unknown("one", hold_microusd=0)

    said = say("resolve", attempt_id, "--billed", "--json")

    assert said.code == 0
    assert said.json["decision"] == "billed"
    (one,) = said.json["resolved"]
    assert (one["attempt_id"], one["state_before"], one["state"]) == (
        attempt_id,
        "UNKNOWN",
        "PAID_BAD",
    )
    assert (one["cost_usd"], one["counted_usd"]) == (None, "0.00")


def test_several_are_resolved_at_once(say: Say, project: Project) -> None:
    """One that is named twice is resolved once."""
    ids = [project.unknown(scene) for scene in ("one", "two")]

    said = say("resolve", *ids, ids[0][:10], "--not-billed")

    assert said.code == 0
    assert "2 resolved" in said.out
    assert {project.purchase(one).state for one in ids} == {State.REFUSED}


def test_all_are_resolved_or_none(say: Say, project: Project) -> None:
    """One that cannot be leaves the others as they are, and every reason is told."""
    good, paid = project.unknown("one"), project.paid("two")
    before = [project.purchase(one) for one in (good, paid)]

    said = say("resolve", good, paid, "ffffff", "xyz", "--not-billed")

    assert said.code == 2
    assert f"{paid}: its outcome is known, it is PAID" in said.err
    assert "ffffff: no purchase in" in said.err
    assert "xyz: an id is at least 6" in said.err
    assert "nothing was changed" in said.err
    assert [project.purchase(one) for one in (good, paid)] == before


def test_a_beginning_of_several_ids_is_refused(say: Say, project: Project) -> None:
    """Whoever decides about money says exactly about what."""
    for number in range(2):
        project.unknown(f"scene_{number}", attempt_id=f"abcdef{number}" + "0" * 25)

    said = say("resolve", "abcdef", "--billed")

    assert said.code == 2
    assert "several purchases begin so" in said.err
    assert say("resolve", "ABCDEF1", "--billed").code == 0


def test_one_a_dead_run_left_is_resolved_by_way_of_unknown(say: Say, project: Project) -> None:
    """The ledger's own table allows no other way, and its events tell it."""
    attempt_id = project.begin("one")
    project.receive(attempt_id, complete=False)

    said = say("resolve", attempt_id, "--not-billed", "--json")

    after = project.purchase(attempt_id)
    assert said.code == 0
    assert said.json["resolved"][0]["state_before"] == "UNKNOWN"
    assert after.state is State.REFUSED
    assert "its run ended before the whole answer came" in after.why
    assert project.problems() == []


def test_one_that_is_in_work_is_left_alone(say: Say, project: Project) -> None:
    """Its run lives, and would be told wrong."""
    attempt_id = project.begin("one", run_id="alive")
    with living(project):
        said = say("resolve", attempt_id, "--resend")

    assert said.code == 2
    assert "a run that is still going has it in work" in said.err
    assert project.purchase(attempt_id).state is State.SENDING


@pytest.mark.parametrize(
    "case, reason",
    [
        ({"complete": True}, "the next run takes in the picture, free of charge"),
        ({"is_local": True}, "the next run lets go of its money"),
    ],
)
def test_what_the_next_run_does_by_itself_is_not_decided(
    say: Say, project: Project, case: dict[str, bool], reason: str
) -> None:
    """A paid picture that lies there must not be written off."""
    complete = case.pop("complete", False)
    attempt_id = project.begin("one", **case)
    if complete:
        project.receive(attempt_id, complete=True)
    before = project.purchase(attempt_id)

    said = say("resolve", attempt_id, "--not-billed")

    assert said.code == 2
    assert reason in said.err
    assert project.purchase(attempt_id) == before


@pytest.mark.parametrize(
    "words, problem",
    [
        (["abcdef"], "required"),
        (["abcdef", "--billed", "--resend"], "not allowed with"),
        (["abcdef", "--resend", "--cost", "1"], "--cost tells what was billed"),
        (["abcdef", "--billed", "--cost", "1e9"], "US dollars"),
        (["abcdef", "--billed", "--cost", "$5"], "US dollars"),
        (["abcdef", "--billed", "--cost", "0.0000001"], "US dollars"),
        (["abcdef", "--billed", "--cost=-1"], "US dollars"),
        (["--billed"], "required"),
        (["abcdef", "--bill"], "unrecognized arguments: --bill"),
        (["--all"], "required"),
        (["--all", "--cost", "1"], "an ID is required"),
        (["--cost", "1"], "an ID is required"),
        (["abcdef", "--all", "--billed"], "not allowed together"),
        (["abcdef", "--day", "2026-11-03"], "--day stands alone"),
        (["--day", "2026-11-3"], "should be a day"),
        (["--day", "20261103aa"], "should be a day"),
        (["--since", "yesterday", "--billed"], "--since: should be a date"),
        (["--since", "9999999w", "--billed"], "--since: should be a date"),
        (["--since", "999999w", "--billed"], "--since: should be a date"),
    ],
)
def test_a_slip_of_the_hand_is_refused(
    say: Say, project: Project, words: list[str], problem: str
) -> None:
    """With JSON too, and before anything is opened."""
    said = say("resolve", *words, "--json")

    assert said.code == 2
    assert problem in said.json["error"]["message"]
    assert said.json["error"]["exit_code"] == 2
    assert "resolve --help" in said.err or "--billed" in said.err


def test_a_picture_that_was_lost_may_be_made_again(say: Say, project: Project) -> None:
    """Once somebody says so, and only where it is really gone; its cost stays counted."""
    attempt_id = project.paid("one")
    kept = project.object_of(attempt_id)

    refused = say("resolve", attempt_id, "--resend")
    kept.unlink()
    unfit = say("resolve", attempt_id, "--not-billed")
    said = say("resolve", attempt_id, "--resend")

    after = project.purchase(attempt_id)
    assert (refused.code, unfit.code, said.code) == (2, 2, 0)
    assert "its picture is there" in refused.err
    assert "its outcome is known" in unfit.err
    assert "$0.031 counts as spent" in said.out
    assert (after.state, after.counted_microusd) == (State.PAID_BAD, 31_000)
    assert after.decided_by == "user"
    assert project.problems() == []
    with project.open() as ledger:
        assert ledger.live(after.new.scene_key) is None
