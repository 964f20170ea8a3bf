"""Whatever state a purchase is in, a person is told what it is and can go on, by real commands."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.commands import CommandError
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.states import State
from stage3_plugin.storage.spool import awaited
from stage3_plugin.testing.dialects.replicate import ReplicateDialect
from stage3_plugin.testing.queues import Queued
from tests.doors import bills, painter, purchases, run_stage, scenes, stage3
from tests.fakes.behaviours import Gate, Hang, Json, Ok, ResetAfterRead
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import first_of, further, some_of
from tests.projects import Project, wait_until
from tests.stage3.caretaking.commands import living, run_process
from tests.stage3.caretaking.purchases import Project as Ledgered

DECISIONS = ["--billed", "--not-billed", "--resend"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledgered:
    """A ledger that is filled by hand, where a command looks for it."""
    monkeypatch.chdir(tmp_path)
    return Ledgered(tmp_path / ".stage3")


def attempts(*words: str) -> list[dict[str, Any]]:
    listed = run_process("attempts", "--json", *words)
    assert listed.returncode == 0, listed.stderr
    told = json.loads(listed.stdout)
    assert told["format"] == "stage3-attempts/1"
    found: list[dict[str, Any]] = told["attempts"]
    return found


def answered(project: Ledgered, scene_id: str, *, asked: int = 0, **more: Any) -> str:
    """Leave a whole answer whose picture was asked for so often, and never came."""
    attempt_id = project.begin(scene_id, **more)
    folder = project.receive(attempt_id, complete=True)
    for _ in range(asked):
        awaited.note(
            folder, address="https://files.example/a.png", problem="HTTP 503", now=project.now
        )
    return attempt_id


# One by one


@pytest.mark.parametrize("decision", first_of(DECISIONS, "--billed"))
def test_a_picture_that_never_comes_can_be_decided(project: Ledgered, decision: str) -> None:
    """It is told where it was asked for, how often, and why; what was received is kept."""
    attempt_id = answered(project, "one", asked=3)

    listed = run_process("attempts")
    [told] = attempts()
    decided = run_process("resolve", attempt_id[:8], decision)

    assert told["situation"] == "awaited"
    assert told["awaited"]["address"] == "https://files.example/a.png"
    assert told["awaited"]["asked"] == 3
    assert "its picture is awaited from https://files.example/a.png" in listed.stdout
    assert "asked for 3 times" in listed.stdout
    assert "HTTP 503" in listed.stdout
    assert listed.stdout.startswith(f"{attempt_id[:8]}  bought, picture awaited  one  ")
    [head] = [line for line in listed.stdout.splitlines() if "next:" in line]
    assert "run the same command again" in head
    assert "Only if it is not to be had any more" in head
    assert "--billed       it never comes, and was billed" in listed.stdout
    assert f"stage3 resolve {attempt_id[:8]} {decision}" in listed.stdout
    assert decided.returncode == 0, decided.stderr
    after = project.purchase(attempt_id)
    assert after.decided_by == "user"
    assert "https://files.example/a.png" in after.why
    assert (project.store.spool.folder_of(attempt_id) / "answer").is_file()
    assert project.problems() == []


def test_an_answer_that_was_not_understood_can_be_decided(project: Ledgered) -> None:
    """It stays where it is: the next run tries again, or a person decides."""
    attempt_id = project.unknown("one")
    project.receive(attempt_id, complete=True)

    [told] = attempts()
    decided = run_process("resolve", attempt_id, "--billed", "--cost", "0.04")

    assert told["situation"] == "not_taken_in"
    assert "the next run tries again for free" in told["next_step"]
    assert decided.returncode == 0, decided.stderr
    assert project.purchase(attempt_id).cost_microusd == 40_000
    assert (project.store.spool.folder_of(attempt_id) / "answer").is_file()


def test_an_answer_that_no_run_has_tried_is_given_up_only_by_name_and_with_yes(
    project: Ledgered,
) -> None:
    """The next run would take it in for free; who has no such run any more can go on, too."""
    attempt_id = answered(project, "one")

    listed = run_process("attempts").stdout
    refused = run_process("resolve", attempt_id, "--resend")
    before = project.purchase(attempt_id).state
    given_up = run_process("resolve", attempt_id, "--resend", "--yes")

    assert f"stage3 resolve {attempt_id[:8]} --resend --yes" in listed
    assert refused.returncode == 2
    assert "takes in the picture, free of charge" in refused.stderr
    assert "--yes" in refused.stderr
    assert before is State.SENDING
    assert given_up.returncode == 0, given_up.stderr
    assert project.purchase(attempt_id).state is State.WROTE_OFF


@pytest.mark.parametrize("words", [["ids"], *further([["--all"]])], ids=["by id", "many"])
def test_a_decision_says_whether_it_can_be_taken_back(project: Ledgered, words: list[str]) -> None:
    """Before it is recorded, where it is shown first, and afterwards; and that is true."""
    for decision, is_final in (("--billed", False), ("--not-billed", True), ("--resend", True)):
        attempt_id = project.unknown(f"of{decision}")
        short = attempt_id[:8]
        chosen = [short] if words == ["ids"] else ["--scene", f"of{decision}"]
        yes = [] if words == ["ids"] else ["--yes"]
        before = run_process("attempts").stdout
        shown = "" if words == ["ids"] else run_process("resolve", *chosen, decision).stdout
        told = run_process("resolve", *chosen, decision, *yes).stdout
        undone = run_process("resolve", short, "--cost", "0")
        after = project.purchase(attempt_id)

        [line] = [one for one in before.splitlines() if f"{short} {decision} " in one]
        assert line.endswith("This is final") is is_final
        assert not shown or ("undo: there is none" in shown) is is_final
        assert ("undo: there is none" in told) is is_final
        assert (undone.returncode == 2) is is_final
        if not is_final:
            assert f"'stage3 resolve {short} --cost 0' if it was not billed after all" in told
            assert (after.cost_microusd, after.counted_microusd) == (0, 0)
    assert project.problems() == []


def test_a_bill_for_what_was_found_not_billed_says_why_it_cannot_be_entered(
    project: Ledgered,
) -> None:
    """The money was let go; what can be done instead is said, and programs are told, too."""
    attempt_id = project.unknown("one")
    decided = json.loads(run_process("resolve", attempt_id, "--not-billed", "--json").stdout)

    late = run_process("resolve", attempt_id[:8], "--cost", "0.04")

    assert decided["is_final"] is True
    assert late.returncode == 2
    assert "somebody has found it not billed, which is final" in late.stderr
    assert "lower a cap by what it cost" in late.stderr


def test_what_a_living_run_awaits_is_shown_and_left_to_it(project: Ledgered) -> None:
    """It goes on asking."""
    attempt_id = answered(project, "one", asked=1, run_id="alive")
    with living(project):
        [told] = attempts("--all")
        refused = run_process("resolve", attempt_id, "--resend", "--yes")

    assert (told["situation"], told["awaited"]["asked"]) == ("in_flight", 1)
    assert refused.returncode == 2
    assert "a run that is still going has it in work" in refused.stderr


@pytest.mark.parametrize(
    "odd",
    some_of([b"", b"[]", b"{", b'{"asked": 1}', b"\xff" * 99, b"[" * 20_000], every=6),
    ids=["empty", "a list", "cut", "other keys", "no text", "deep"],
)
def test_a_note_that_is_none_keeps_nobody_from_looking(project: Ledgered, odd: bytes) -> None:
    """It is a courtesy, and nothing is decided by it."""
    attempt_id = answered(project, "one", asked=1)
    (project.store.spool.folder_of(attempt_id) / "awaited.json").write_bytes(odd)

    [told] = attempts()

    assert (told["situation"], told["awaited"]) == ("answered", None)


def test_what_cannot_be_read_now_is_said_and_not_decided(project: Ledgered) -> None:
    """It may be the picture; the other purchases are listed and decided all the same."""
    attempt_id, other = answered(project, "one"), project.unknown("two")
    receipt = project.store.spool.folder_of(attempt_id) / "answer"
    receipt.unlink()
    receipt.mkdir()

    told = {one["attempt_id"]: one["situation"] for one in attempts()}
    refused = run_process("resolve", attempt_id, "--resend", "--yes")
    decided = run_process("resolve", other, "--resend")

    assert told == {attempt_id: "unreadable", other: "undecided"}
    assert refused.returncode == 2
    assert "cannot be read now" in refused.stderr
    assert decided.returncode == 0, decided.stderr


def test_what_the_provider_calls_an_exchange_is_shown(project: Ledgered) -> None:
    """From the ledger, or from the head of an answer that broke off behind it."""
    named, broken = project.begin("named"), project.begin("broken")
    project.end(named, State.UNKNOWN, request_id="req_0123")
    folder = project.store.spool.new_folder(broken)
    head = {"status": 200, "headers": {"x-request-id": "req_4567"}}
    (folder / "answer").write_text(json.dumps(head) + "\n", encoding="utf-8")

    told = {one["scene_id"]: one["request_id"] for one in attempts()}
    listed = run_process("attempts").stdout

    assert told == {"named": "req_0123", "broken": "req_4567"}
    assert "the provider calls it req_0123" in listed
    assert "next: look req_4567 up in the provider's records of that time" in listed


def test_a_picture_that_is_bought_and_not_here_from_first_to_last(
    tmp_path: Path, image_api: ImageApi
) -> None:
    """Exit code 5 as often as the command is run, and one purchase, until a person gives it up."""
    project = Project(tmp_path)
    project.scenes(1)
    project.config(image_api, provider="openai", model="gpt-image-2")
    image_api.always(Ok(url="foreign"))

    first, second = project.run("run", "scenes.json"), project.run("run", "scenes.json")
    bought = image_api.billed()
    [told] = json.loads(project.stage3("attempts", "--json").stdout)["attempts"]
    listed = project.stage3("attempts").stdout
    given_up = project.stage3("resolve", told["short_id"], "--not-billed")
    image_api.always(Ok())
    third = project.run("run", "scenes.json")
    kept = project.folder / ".stage3" / "spool" / told["attempt_id"] / "answer"

    assert (first.returncode, second.returncode, third.returncode) == (5, 5, 0), first.stderr
    assert bought == 1
    assert "1 scene is not here yet: run the same command again" in second.stdout
    assert told["situation"] == "awaited"
    assert told["awaited"]["needs_setting"] is True
    assert told["awaited"]["address"].startswith("http://localhost:")
    assert "change the setting that is in its way" in listed
    assert "picture_hosts" in listed
    assert given_up.returncode == 0, given_up.stderr
    assert image_api.billed() == 2
    assert kept.is_file()


# Many at once


def test_what_a_killed_run_has_just_sent_is_not_called_unbilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its provider may have it and not list it yet, as for one that a run has called lost."""
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with ImageApi(dialect=ReplicateDialect()) as api:
        api.script(Queued(gate=Gate()), scene="s01")
        project = Project(tmp_path)
        project.scenes(1)
        model = {"provider": "replicate", "model": "black-forest-labs/flux-2-pro"}
        project.config(api, **model, listing_is_whole=True)
        running = project.start("run", "scenes.json")
        wait_until(lambda: api.queue.jobs)
        running.kill()
        running.communicate()
        (sent,) = project.purchases()
        decide = ("resolve", sent.attempt_id, "--not-billed")
        with pytest.raises(CommandError, match="may have it and not list it yet"):
            stage3(*decide, "--state-dir", str(tmp_path / ".stage3"))
        (then,) = project.purchases()

    assert sent.state is then.state is State.SENDING


def test_many_are_shown_first_and_decided_with_yes(tmp_path: Path, image_api: ImageApi) -> None:
    """Eight lost answers are one command; without ``--yes`` it shows what it would cost."""
    project = Project(tmp_path)
    project.scenes(4)
    project.config(image_api, capacity=4)
    image_api.always(ResetAfterRead())
    lost = project.run("run", "scenes.json")
    ledger = (tmp_path / ".stage3" / "ledger.db").read_bytes()

    shown = project.stage3("resolve", "--all", "--not-billed")
    unchanged = (tmp_path / ".stage3" / "ledger.db").read_bytes()
    as_json = project.stage3("resolve", "--all", "--not-billed", "--json")
    states = [one.state for one in project.purchases()]
    done = project.stage3("resolve", "--all", "--not-billed", "--yes")
    image_api.always(bills(0.05))
    again = project.run("run", "scenes.json")

    assert lost.returncode == 4, lost.stderr
    assert shown.returncode == 0, shown.stderr
    assert all(f"s{number:02}" in shown.stdout for number in range(1, 5))
    assert "4 purchases: the $0.20 held for them is free again" in shown.stdout
    assert "nothing was changed; the same command with --yes records it" in shown.stdout
    assert unchanged == ledger
    assert states == [State.UNKNOWN] * 4
    told = json.loads(as_json.stdout)
    assert (told["format"], told["changed"]) == ("stage3-resolve/1", False)
    assert [one["becomes"] for one in told["would_resolve"]] == ["REFUSED"] * 4
    assert done.returncode == 0, done.stderr
    assert "4 resolved" in done.stdout
    assert again.returncode == 0, again.stderr
    assert (
        sorted(one.state for one in project.purchases()) == [State.PAID] * 4 + [State.REFUSED] * 4
    )


@pytest.mark.anyio
async def test_since_is_when_a_request_was_sent_and_not_when_it_was_called_lost(
    tmp_path: Path, image_api: ImageApi
) -> None:
    """Today's run finds out of yesterday's: who decides for today's has that one left out."""
    state_dir, yesterday = tmp_path / ".stage3", datetime.now(UTC) - timedelta(days=1)
    image_api.script(Hang(), scene="s01")
    image_api.script(ResetAfterRead(), scene="s02")
    first = partial(run_stage, painter(image_api), scenes(1), tmp_path, now=lambda: yesterday)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        while image_api.received("s01") == 0:
            await anyio.sleep(0.01)
        shutil.rmtree(state_dir / "owners")  # nobody lives any more, by what is to be seen
        await run_stage(painter(image_api), scenes(2), tmp_path)
        tasks.cancel_scope.cancel()
    unknown = [(one.scene_id, one.state) for one in purchases(tmp_path)]

    def chosen(since: str) -> set[str]:
        words = ("--since", since, "--not-billed", "--state-dir", str(state_dir))
        return {one["scene_id"] for one in stage3("resolve", *words).data["would_resolve"]}

    assert unknown == [("s01", State.UNKNOWN), ("s02", State.UNKNOWN)]
    assert (chosen("2h"), chosen("2d")) == ({"s02"}, {"s01", "s02"})


@pytest.mark.parametrize(
    "words, scenes",
    some_of(
        [
            (["--all"], {"a", "b", "c"}),
            (["--scene", "b"], {"b"}),
            (["--scene", "nobody"], set[str]()),
            (["--run", "second"], {"b", "c"}),
            (["--run", "secon"], set[str]()),
            (["--run", "second_run"], {"b", "c"}),
            (["--since", "2026-11-03T09:33"], {"b", "c"}),
            (["--since", "2026-11-03 09:33:00Z"], {"b", "c"}),
            (["--since", "2026-11-03T10:33+01:00"], {"b", "c"}),
            (["--since", "2026-11-03"], {"a", "b", "c"}),
            (["--since", "2062-01-01"], set[str]()),
            (["--since", "9999w"], {"a", "b", "c"}),
            (["--run", "second", "--scene", "c"], {"c"}),
            (["--all", "--scene", "a"], {"a"}),
        ],
        every=3,
    ),
)
def test_many_are_chosen_among_what_is_unknown(
    project: Ledgered, words: list[str], scenes: set[str]
) -> None:
    """By run, scene and time; never one that is settled, open, or whose answer is on the disk."""
    ids = {
        scene: project.unknown(scene, run_id=run)
        for scene, run in {"a": "first_run", "d": "first_run", "b": "second_run"}.items()
    }
    ids["c"] = project.unknown("c", run_id="second_run")
    project.receive(ids["d"], complete=True)
    project.receive(ids["c"], complete=False)
    project.paid("paid", run_id="second_run")
    project.begin("open", run_id="second_run")
    answered(project, "awaited", asked=2)

    done = run_process("resolve", *words, "--resend", "--yes", "--json")

    assert done.returncode == 0, done.stderr
    resolved = json.loads(done.stdout)["resolved"]
    assert {one["scene_id"] for one in resolved} == scenes
    assert all(project.purchase(ids[one]).state is State.WROTE_OFF for one in scenes)
    assert project.purchase(ids["d"]).state is State.UNKNOWN
    assert project.problems() == []


def test_what_is_left_out_is_named(project: Ledgered) -> None:
    """So that nobody takes it for decided."""
    kept = project.unknown("kept")
    project.receive(kept, complete=True)

    shown = run_process("resolve", "--all", "--billed", "--yes")

    assert shown.returncode == 0, shown.stderr
    assert "no purchase of unknown outcome is meant" in shown.stdout
    assert "left out: 1, whose answer is kept" in shown.stdout
    assert kept[:8] in shown.stdout


# Bills


def test_an_absurd_bill_is_shown_and_put_right(project: Ledgered) -> None:
    """It counts until then, and the figure that was there is kept."""
    attempt_id = project.begin("one")
    part = project.store.spool.new_folder(attempt_id) / "part-0"
    part.write_bytes(b"never looked at")
    picture = Picture(
        sha256="0" * 64, media_type="image/png", width_px=1, height_px=1, size_bytes=1
    )
    project.end(
        attempt_id,
        State.PAID,
        cost_microusd=999_999 * 10**6,
        basis="reported",
        picture=picture,
    )

    [told] = attempts()
    listed = run_process("attempts").stdout
    corrected = run_process("resolve", attempt_id[:8], "--cost", "0.04")
    quiet = attempts()
    [after] = attempts("--all")
    history = run_process("attempts", "--all").stdout
    checked = run_process("verify", "--json")

    assert (told["situation"], told["cost_usd"]) == ("overbilled", "999999.00")
    assert f"stage3 resolve {attempt_id[:8]} --cost USD" in listed
    assert corrected.returncode == 0, corrected.stderr
    assert "costs $0.04 now, in the place of $999999.00" in corrected.stdout
    assert quiet == []
    assert (after["cost_usd"], after["counted_usd"]) == ("0.04", "0.04")
    [one] = after["corrections"]
    assert (one["old_usd"], one["new_usd"]) == ("999999.00", "0.04")
    assert "corrected by a person: $999999.00 to $0.04" in history
    assert json.loads(checked.stdout)["corrected"] == 1
    assert project.problems() == []
    with project.open() as ledger:
        sums = ledger.sums(run_id="dead", provider="openrouter", day=date(2026, 11, 3))
    assert sums.total_microusd == 40_000


def test_an_absurd_bill_without_a_picture_is_told_with_what_a_run_would_do(
    project: Ledgered,
) -> None:
    """Both count: that its scene would be paid for again, and that its bill is wrong."""
    attempt_id = project.begin("one")
    project.end(attempt_id, State.PAID_BAD, cost_microusd=5_000_000, basis="reported")

    [told] = attempts()
    listed = run_process("attempts").stdout
    corrected = run_process("resolve", attempt_id, "--cost", "0.04", "--json")
    [after] = attempts()

    assert (told["situation"], told["overbilled"]) == ("lost", True)
    assert "makes it again, for another price" in listed
    assert "its bill is far above what was held for it" in listed
    assert f"stage3 resolve {attempt_id[:8]} --cost USD" in listed
    [one] = json.loads(corrected.stdout)["resolved"]
    assert (one["cost_before_usd"], one["cost_usd"]) == ("5.00", "0.04")
    assert (after["situation"], after["overbilled"]) == ("lost", False)
    assert project.problems() == []


@pytest.mark.parametrize(
    "state, words",
    [
        (State.UNKNOWN, "--billed --cost USD says what it cost"),
        (State.SENDING, "--billed --cost USD says what it cost"),
        (State.REFUSED, "counts as nothing"),
        (State.VOID, "counts as nothing"),
        (State.WROTE_OFF, "nobody knows its bill"),
    ],
)
def test_what_was_not_paid_for_has_no_bill_to_be_put_right(
    project: Ledgered, state: State, words: str
) -> None:
    """And what can be said instead is named."""
    attempt_id = project.begin("one")
    if state is State.WROTE_OFF:
        project.end(attempt_id, State.UNKNOWN)
    if state is not State.SENDING:
        project.end(attempt_id, state, decided_by="user")

    refused = run_process("resolve", attempt_id, "--cost", "0.04")

    assert refused.returncode == 2
    assert words in refused.stderr
    assert project.purchase(attempt_id).state is state


# The day


# Copies


# The name of an exchange


def test_what_the_provider_calls_an_exchange_is_kept_and_told(
    tmp_path: Path, image_api: ImageApi
) -> None:
    """With every purchase, in the journal and in the manifest: for a picture and for a refusal."""
    project = Project(tmp_path)
    project.scenes(2)
    project.config(image_api, capacity=1)
    error = {"message": "policy", "code": "content_policy"}
    image_api.always(bills(0.05))
    refused = Json({"error": error}, status=403, headers={"X-Request-Id": "req_refused"})
    image_api.script(refused, scene="s02")

    ran = project.run("run", "scenes.json")
    told = json.loads(project.stage3("attempts", "--all", "--json").stdout)["attempts"]

    assert ran.returncode == 1, ran.stderr
    [image], [failure] = project.manifest()["images"], project.manifest()["failures"]
    kept = {one.scene_id: one.request_id for one in project.purchases()}
    assert kept["s01"] is not None
    assert kept["s02"] == failure["request_id"] == "req_refused"
    assert image["request_id"] == kept["s01"]
    assert {one["scene_id"]: one["request_id"] for one in told} == kept
    journal = (tmp_path / "out" / "events.jsonl").read_text(encoding="utf-8")
    events = {one["event"]: one for one in map(json.loads, journal.splitlines())}
    assert events["scene.finished"]["request_id"] == kept["s01"]
    assert events["scene.failed"]["request_id"] == "req_refused"
