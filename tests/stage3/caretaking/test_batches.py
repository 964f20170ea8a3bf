"""Lines of a batch, for a person: one thing, that is looked at, asked for and decided as one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.testing.image_api import KEY, ImageApi
from tests.doors import run_stage, scenes
from tests.said import Say
from tests.stage3.batch_shop import LATER, priced, shop
from tests.stage3.caretaking.purchases import Project

SCENES = [f"s{number:02}" for number in range(1, 6)]
TOKEN = "3f2a91c0" + "0" * 24
OTHER = "3f2a91c1" + "0" * 24


def states(project: Project, ids: list[str]) -> set[State]:
    return {project.purchase(one).state for one in ids}


# Looking -----------------------------------------------------------------------------------------


def test_a_batch_that_is_being_made_is_one_thing(project: Project, say: Say) -> None:
    """With what is held for it, what its provider calls it, until when, and how to stay for it."""
    project.batch(*SCENES, state=State.ACCEPTED, token=TOKEN)
    said = say("attempts")

    assert said.out.count("openai/gpt-image-2") == 1
    assert "batch 3f2a91c0  bought, being made  5 lines" in said.out
    assert "held $0.10 for all of them" in said.out
    assert "scenes s01, s02, s03 and 2 more" in said.out
    assert "job batch_3f2a91c0, accepted" in said.out
    assert "stage3 wait" in said.out
    assert "5 ACCEPTED" in said.out


def test_programs_have_the_lines_and_the_batch(project: Project, say: Say) -> None:
    """Each line says which batch it is of, and which line."""
    ids = project.batch(*SCENES, state=State.ACCEPTED, token=TOKEN)
    project.unknown("alone")
    told = say("attempts", "--json").json
    (batch,) = told["batches"]

    assert (batch["batch"], batch["short_id"], batch["lines"]) == (TOKEN, TOKEN[:8], 5)
    assert (batch["situation"], batch["state"]) == ("being_made", "ACCEPTED")
    assert batch["held_usd"] == "0.10"
    assert batch["job"]["job_id"] == "batch_3f2a91c0"
    lines = {one["attempt_id"]: one["line"] for one in told["attempts"] if one["batch"] == TOKEN}
    assert lines == {one: number for number, one in enumerate(ids)}
    (alone,) = [one for one in told["attempts"] if one["scene_id"] == "alone"]
    assert (alone["batch"], alone["line"]) == (None, None)
    staying = ["stage3", "wait", "--for", "10m", "--json"]
    assert staying in [one["command"] for one in told["next_actions"]]


def test_lines_that_came_to_different_ends_stand_apart(project: Project, say: Say) -> None:
    """A picture that was billed and did not come is its scene's own affair."""
    ids = project.batch(*SCENES, state=State.UNKNOWN, token=TOKEN)
    project.end(ids[0], State.PAID_BAD, cost_microusd=10_000, why="no picture came")
    said = say("attempts")

    assert "batch 3f2a91c0  UNKNOWN  4 lines" in said.out
    assert f"{ids[0][:8]}  PAID_BAD  s01" in said.out


def test_two_batches_are_two_things(project: Project, say: Say) -> None:
    """However alike they are called."""
    project.batch(*SCENES[:2], state=State.ACCEPTED, token=TOKEN)
    project.batch(*SCENES[2:], state=State.ACCEPTED, token=OTHER)
    batches = say("attempts", "--json").json["batches"]

    assert {one["batch"]: one["lines"] for one in batches} == {TOKEN: 2, OTHER: 3}


def test_what_a_dead_run_has_left_of_its_create_is_found_where_that_lies(
    project: Project, say: Say
) -> None:
    """Its one answer is that of all lines: the next run takes it in, and nobody decides before."""
    project.batch(*SCENES, token=TOKEN)
    with project.owners.claim("dead"):
        pass
    without = say("attempts", "--json").json["batches"][0]["situation"]
    project.receive(TOKEN, complete=True)
    told = say("attempts")

    assert without == "abandoned"
    assert "bought, answer received" in told.out
    assert str(project.state_dir / "spool" / TOKEN) in told.out
    assert "resolve" not in told.out


# Deciding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option, state, money",
    [
        ("--billed", State.PAID_BAD, "$0.10 counts as spent"),
        ("--not-billed", State.REFUSED, "the $0.10 held for them is free again"),
        ("--resend", State.WROTE_OFF, "$0.10 counts as spent"),
    ],
)
def test_a_whole_batch_is_decided_at_once(
    project: Project, say: Say, option: str, state: State, money: str
) -> None:
    """Shown first, and recorded with --yes; nothing else is touched."""
    ids = project.batch(*SCENES, state=State.UNKNOWN, token=TOKEN)
    alone = project.unknown("alone")
    shown = say("resolve", "--batch", TOKEN[:8], option)
    before = states(project, ids)
    done = say("resolve", "--batch", TOKEN[:8], option, "--yes")

    assert shown.code == done.code == 0
    assert "batch 3f2a91c0  s05 and 4 more" in shown.out
    assert "nothing was changed" in shown.out
    assert before == {State.UNKNOWN}
    assert states(project, ids) == {state}
    assert f"5 lines of batch 3f2a91c0 are now {state}: {money}" in done.out
    assert project.purchase(alone).state is State.UNKNOWN
    assert project.problems() == []


def test_what_is_shown_first_leads_to_the_command_that_records_it(
    project: Project, say: Say
) -> None:
    """For programs: the listing to the look, the look to the decision."""
    ids = project.batch(*SCENES, state=State.UNKNOWN, token=TOKEN)
    listed = say("attempts", "--json").json["next_actions"]
    (look,) = [one for one in listed if "--billed" in one["command"]]
    shown = say(*look["command"][1:]).json
    (record,) = shown["next_actions"]
    say(*record["command"][1:])

    assert look["kind"] == "safe"
    assert record["kind"] == "needs_confirmation"
    assert len(shown["would_resolve"]) == 5
    assert states(project, ids) == {State.PAID_BAD}


def test_a_batch_that_was_called_billed_is_put_right_as_one(project: Project, say: Say) -> None:
    """As it says itself; a line whose bill its provider has said stays as it is."""
    ids = project.batch(*SCENES, state=State.UNKNOWN, token=TOKEN)
    project.end(ids[0], State.PAID_BAD, cost_microusd=7_000, basis="reported", why="no picture")
    done = say("resolve", "--batch", TOKEN[:8], "--billed", "--yes")
    shown = say("resolve", "--batch", TOKEN[:8], "--cost", "0")
    before = [project.purchase(one).counted_microusd for one in ids]
    told = say("resolve", "--batch", TOKEN[:8], "--cost", "0.01", "--yes", "--json").json
    after = [project.purchase(one).counted_microusd for one in ids]

    assert "'stage3 resolve --batch 3f2a91c0 --cost 0 --yes' if it was not" in done.out
    assert "4 lines that somebody found billed: $0.00 would count" in shown.out
    assert "in the place of $0.08" in shown.out
    assert before == [7_000, *[20_000] * 4]
    assert after == [7_000, *[10_000] * 4]
    assert len(told["resolved"]) == 4
    assert project.problems() == []
    assert say("resolve", "--batch", TOKEN[:8], "--all", "--cost", "0").code == 2
    assert "nothing to put right" in say("resolve", "--batch", "f" * 8, "--cost", "0").out


def test_a_batch_that_a_dead_run_left_is_decided_with_its_lock(project: Project, say: Say) -> None:
    """All lines are unknown first, as the next run would have it."""
    ids = project.batch(*SCENES, token=TOKEN)
    with project.owners.claim("dead"):
        pass
    said = say("resolve", "--batch", TOKEN, "--billed", "--yes")

    assert said.code == 0, said.err
    assert states(project, ids) == {State.PAID_BAD}
    assert project.problems() == []


def test_a_batch_that_a_run_has_in_work_is_left_to_it(project: Project, say: Say) -> None:
    """Also where only a look is asked for."""
    ids = project.batch(*SCENES, token=TOKEN, run_id="alive")
    with project.owners.claim("alive"):
        said = [say("resolve", "--batch", TOKEN, "--billed", *yes) for yes in ((), ("--yes",))]

    assert [one.code for one in said] == [2, 2]
    assert all("still going" in one.err for one in said)
    assert states(project, ids) == {State.SENDING}


def test_several_of_one_dead_run_are_decided_together(project: Project, say: Say) -> None:
    """By their ids: its lock is taken once for all of them."""
    ids = [project.begin("s01"), project.begin("s02")]
    with project.owners.claim("dead"):
        pass
    said = say("resolve", *ids, "--billed")

    assert said.code == 0, said.err
    assert states(project, ids) == {State.PAID_BAD}


def test_a_name_that_several_batches_have_decides_nothing(project: Project, say: Say) -> None:
    """Nor does one that is too short, or nobody's."""
    ids = project.batch(*SCENES[:2], state=State.UNKNOWN, token=TOKEN)
    ids += project.batch(*SCENES[2:], state=State.UNKNOWN, token=OTHER)
    both = say("resolve", "--batch", TOKEN[:7], "--billed", "--yes")
    short = say("resolve", "--batch", TOKEN[:5], "--billed", "--yes")
    nobody = say("resolve", "--batch", "ffffffff", "--billed", "--yes")
    with_ids = say("resolve", ids[0], "--batch", TOKEN, "--billed")

    assert (both.code, short.code, nobody.code, with_ids.code) == (2, 2, 0, 2)
    assert "several batches" in both.err
    assert "at least 6 characters" in short.err
    assert "no purchase of unknown outcome is meant" in nobody.out
    assert states(project, ids) == {State.UNKNOWN}


def test_a_batch_is_known_by_its_providers_name_too(project: Project, say: Say) -> None:
    """As a bill would call it."""
    ids = project.batch(*SCENES, state=State.ACCEPTED, token=TOKEN)
    for one in ids:
        project.end(one, State.UNKNOWN, why="nobody can be asked any more")
    said = say("resolve", "--batch", "batch_3f2a91c", "--not-billed", "--yes")

    assert said.code == 0, said.err
    assert states(project, ids) == {State.REFUSED}


def test_before_a_lost_batch_would_be_listed_nobody_calls_it_unbilled(
    project: Project, say: Say
) -> None:
    """Its provider may have it on its way; billed can be said at any time."""
    project.now = datetime.now(UTC)
    ids = project.batch(*SCENES, state=State.UNKNOWN, token=TOKEN)
    refused = say("resolve", "--batch", TOKEN, "--not-billed", "--yes")

    assert refused.code == 2
    assert "may have it and not list it yet" in refused.err
    assert states(project, ids) == {State.UNKNOWN}
    assert say("resolve", "--batch", TOKEN, "--billed", "--yes").code == 0


# The other commands ------------------------------------------------------------------------------


def test_verify_counts_lines_as_purchases(project: Project, say: Say) -> None:
    """The folder of a batch is accounted for by its lines."""
    project.batch(*SCENES, state=State.ACCEPTED, token=TOKEN)
    project.receive(TOKEN, complete=True)
    said = say("verify")

    assert said.code == 0, said.out


# Staying -----------------------------------------------------------------------------------------


def test_the_run_that_comes_next_buys_the_rest_as_what_there_is(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, if all that was waited for was: else the rest would cost twice as much."""
    with ImageApi() as api:
        priced(api).batches.plan = LATER
        anyio.run(run_stage, shop(api), scenes(3), tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENAI_KEY_OF_A_TEST", KEY)
        (tmp_path / "scenes.json").write_text("[]", encoding="utf-8")
        lines = [
            '[pipeline]\nimage = "stage3"\n[plugin.stage3]\nprovider = "openai"',
            f'model = "gpt-image-2"\nbase_url = "{api.base_url}"',
            'api_key = { env = "OPENAI_KEY_OF_A_TEST" }',
        ]
        (tmp_path / "host.toml").write_text("\n".join(lines), encoding="utf-8")
        said = say("wait", "--for", "0s")
        told = say("wait", "--for", "0s", "--json").json
        (tmp_path / "host.toml").write_text("\n".join([*lines, 'lane = "batch"']), encoding="utf-8")
        set_so = say("wait", "--for", "0s")

    assert said.code == 5
    assert "3 lines, being made: " in said.out
    assert "'host-stub run scenes.json --lane batch' takes in the rest" in said.out
    assert "'host-stub run scenes.json' takes in the rest" in set_so.out
    assert told["jobs"][0]["lines"]["total"] == 3
    waiting, taking_in = told["next_actions"]
    assert waiting["command"][:2] == ["stage3", "wait"], "nothing has come yet"
    assert taking_in["command"] == [
        "host-stub", "run", "--max-cost", "0", "--json", "scenes.json", "--lane", "batch",
    ]  # fmt: skip
