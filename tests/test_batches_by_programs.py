"""Batches as a program drives them: the objects of run, status and wait, and what each offers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pytest

import stage3_plugin.cli
from host_stub.cli import main
from stage3_plugin.testing.batch_plans import Batched
from stage3_plugin.testing.image_api import KEY, ImageApi
from tests.fakes.behaviours import Gate
from tests.places import host_clock, wait
from tests.projects import Project
from tests.stage3.batch_shop import LATER, priced

MODEL = {"provider": "openai", "model": "gpt-image-2", "size": "1024x1024", "quality": "low"}
BY_BATCH = ("scenes.json", "--lane", "batch")


class Agent:
    """Types commands with ``--json`` in a project, and reads the one object of each."""

    def __init__(self, api: ImageApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.api = api
        self.project = Project(folder)
        self._capsys = capsys
        self.code: int | None = None

    def settings(self, **more: object) -> None:
        """Write the config."""
        self.project.config(self.api, **MODEL, price_usd="0.04", drain_s=0.05, **more)

    def __call__(self, *words: str) -> dict[str, Any]:
        program, *rest = words if words[0] in {"stage3", "host-stub"} else ("host-stub", *words)
        self._capsys.readouterr()
        self.code = {"host-stub": main, "stage3": stage3_plugin.cli.main}[program](
            [*rest, *(() if "--json" in rest else ("--json",))]
        )
        document: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return document


def offered(document: dict[str, Any]) -> list[list[str]]:
    """Return the commands that an object offers, in their order."""
    return [one["command"] for one in document["next_actions"]]


@pytest.fixture
def agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Agent]:
    """Return one in a project of three scenes, whose batches end when they are let."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=(0.0, 0.01))
    with ImageApi() as api:
        priced(api).batches.plan = LATER
        agent = Agent(api, tmp_path, capsys)
        agent.project.scenes(3)
        agent.settings()
        yield agent


def test_a_run_counts_what_is_on_its_way_as_status_does(agent: Agent) -> None:
    """Pending and not missing, in what it prints and in its manifest."""
    ran = agent("run", *BY_BATCH)
    code, manifest = agent.code, agent.project.manifest()
    looked = agent("status")

    assert code == 5
    assert ran["story"] == manifest["story"] == looked["story"]
    assert (ran["story"]["pending"], ran["story"]["missing"]) == (3, 0)


def test_a_scene_that_waits_for_a_sheet_is_not_bought_in_either(agent: Agent) -> None:
    """Its sheet is on its way; the scene is what a later run pays for."""
    config = Path("host.toml").read_text(encoding="utf-8")
    cast = '[plugin.stage3.cast.mira]\nprompt = "Mira, of the boats"\n'
    Path("host.toml").write_text(f"{config}\n{cast}", encoding="utf-8")
    story = json.loads(Path("scenes.json").read_text(encoding="utf-8"))
    story[0]["characters"] = ["mira"]
    Path("scenes.json").write_text(json.dumps(story), encoding="utf-8")
    ran = agent("run", *BY_BATCH)
    looked = agent("status")

    assert ran["failures_by_code"] == {"pending": 4}
    assert ran["story"] == looked["story"]
    assert (ran["story"]["pending"], ran["story"]["missing"]) == (2, 1)


WAITING = ["host-stub", "stage3", "wait", "--for", "10m", "--json"]
TAKING_IN = ["host-stub", "run", *BY_BATCH, "--max-cost", "0", "--json"]


def test_after_a_run_that_asked_for_a_batch_a_program_stays_first(agent: Agent) -> None:
    """For minutes and not for a day; a run would only look, again and again."""
    told = agent("run", *BY_BATCH, "--max-cost", "1")

    assert agent.code == 5
    assert offered(told) == [WAITING, TAKING_IN]
    assert {one["kind"] for one in told["next_actions"]} == {"safe"}


def test_what_was_confirmed_may_be_run_again_as_it_was(agent: Agent) -> None:
    """It buys what its batch did not bring, up to what was said yes to."""
    gate = Gate()
    agent.api.batches.script(Batched(polls=0, until=gate, ends="expired", done=0))
    planned = agent("plan", *BY_BATCH)
    (buying,) = [one for one in planned["next_actions"] if "--confirm" in one["command"]]
    first = agent(*buying["command"])
    code = agent.code
    staying, again, taking_in = first["next_actions"]
    gate.open()
    second = agent(*again["command"])

    assert (code, staying["command"], taking_in["command"]) == (5, WAITING, TAKING_IN)
    assert again["command"] == buying["command"]
    assert (again["kind"], again["cost_usd"]) == ("needs_confirmation", planned["cost_high_usd"])
    assert second["failures_by_code"] == {"pending": 3}
    assert len(agent.api.batches.all) == 2


@pytest.mark.parametrize("typed, kept", [("0s", "10m"), ("1s", "1s"), (None, "10m")])
def test_a_wait_goes_on_for_as_long_as_it_was_told(
    agent: Agent, typed: str | None, kept: str
) -> None:
    """Who only looked has said nothing of how long."""
    agent("run", *BY_BATCH)
    if typed is None:
        found = agent("stage3", "attempts")
    else:
        found = agent("stage3", "wait", "--for", typed)
        assert agent.code == 5

    assert offered(found)[0] == ["stage3", "wait", "--for", kept, "--json"]


def test_a_wait_for_no_time_asks_once_and_takes_in_what_is_done(agent: Agent) -> None:
    """As somebody does who looks every few minutes, by a clock of the system."""
    agent("run", *BY_BATCH)
    (batch,) = agent.api.batches.all
    batch.plan = Batched(polls=0)
    waited = agent("stage3", "wait", "--for", "0s")
    code = agent.code
    had = agent("status")

    assert (code, waited["taken_in"], waited["left"]) == (0, 3, 0)
    assert had["story"]["pending"] == 0
    assert len(agent.api.batches.all) == 1


@pytest.mark.parametrize(
    "duration_s, text", [(90.0, "90s"), (600.0, "10m"), (86_400.0, "1d"), (0.0, None), (None, None)]
)
def test_a_duration_is_typed_as_it_is_read(duration_s: float | None, text: str | None) -> None:
    """In the largest unit that has it whole."""
    assert stage3_plugin.cli.duration_text(duration_s) == text


@pytest.mark.parametrize("says_so", ["option", "setting", "scene"])
def test_of_a_batch_whose_create_is_in_doubt_a_program_asks_before_it_decides(
    agent: Agent, says_so: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found or disproved for nothing, whoever said that it goes by a batch."""
    wait(monkeypatch, "purchase.lost", PATIENCE_S=0.1)
    agent.api.batches.script(Batched(lost="begun", unlisted=10_000))
    words = ["scenes.json"]
    if says_so == "option":
        words += ["--lane", "batch"]
    elif says_so == "setting":
        agent.settings(lane="batch")
    else:
        story = json.loads(Path("scenes.json").read_text(encoding="utf-8"))
        story = [scene | {"lane": "batch"} for scene in story]
        Path("scenes.json").write_text(json.dumps(story), encoding="utf-8")
    told = agent("run", *words)

    assert agent.code == 4
    assert told["failures_by_code"] == {"unknown": 3}
    assert offered(told) == [WAITING, ["host-stub", "stage3", "attempts", "--json"]]
    assert {one["kind"] for one in told["next_actions"]} == {"safe"}


class Clocks:
    """The wall clock here and the vendor's, which may be set."""

    def __init__(self, api: ImageApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self._api = api
        self._monkeypatch = monkeypatch

    def at(self, minutes: float, *, there: float | None = None) -> None:
        """Set ours to so many minutes from now, and the vendor's likewise."""
        later = timedelta(minutes=minutes)

        class Later(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return super().now(tz) + later

        host_clock(self._monkeypatch, Later)
        theirs_s = 60 * (minutes if there is None else there)
        self._api.batches.date_s = lambda: time.time() + theirs_s


@pytest.fixture
def clocks(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Return the clocks, and let whoever waits for nothing be seen after some seconds."""
    agent.settings(deadline_s=4)
    return Clocks(agent.api, monkeypatch)


def ended(agent: Agent) -> tuple[int | None, dict[str, int]]:
    """Run the story, and return its code and how its scenes have ended."""
    ran = agent("run", *BY_BATCH)
    return agent.code, ran["failures_by_code"]


PENDING, UNKNOWN = (5, {"pending": 3}), (4, {"unknown": 3})


def test_a_batch_that_is_said_not_to_be_known_is_in_doubt_after_an_hour_and_then_at_once(
    agent: Agent, clocks: Clocks
) -> None:
    """Until then every run leaves it at its vendor, and says so; none waits for anything."""
    first = ended(agent)
    (batch,) = agent.api.batches.all
    batch.plan = Batched(kept=0)
    agent("run", *BY_BATCH)
    (told,) = {one["message"] for one in agent.project.manifest()["failures"]}
    polls = batch.looks
    clocks.at(59)
    early = ended(agent)
    clocks.at(61)
    late = [ended(agent), ended(agent)]

    assert first == early == PENDING
    assert "does not know the batch" in told
    assert "that it is lost is believed from" in told
    assert late == [UNKNOWN, UNKNOWN]
    assert (batch.looks, len(agent.api.batches.all)) == (polls, 1)


@pytest.mark.parametrize("ours, theirs", [(600, 0), (0, 600)], ids=["ours", "theirs"])
def test_a_clock_that_is_set_calls_no_batch_lost(
    agent: Agent, clocks: Clocks, ours: float, theirs: float
) -> None:
    """An hour has passed when both clocks have measured it."""
    ended(agent)
    (batch,) = agent.api.batches.all
    batch.plan = Batched(kept=0)
    ended(agent)
    clocks.at(ours, there=theirs)

    assert ended(agent) == PENDING


def test_a_batch_that_was_known_in_between_has_its_hour_once_more(
    agent: Agent, clocks: Clocks
) -> None:
    """Said not to be known twice, two hours apart, and known between."""
    ended(agent)
    (batch,) = agent.api.batches.all
    for minutes, plan in ((0, Batched(kept=0)), (100, LATER)):
        clocks.at(minutes)
        batch.plan = plan
        ended(agent)
    clocks.at(120)
    batch.plan = Batched(kept=0)

    assert ended(agent) == PENDING


def test_a_batch_that_comes_back_is_being_made_and_is_not_offered_to_be_sent_again(
    agent: Agent, clocks: Clocks
) -> None:
    """It was called lost: its lines are pending again, and its pictures are bought once."""
    ended(agent)
    (batch,) = agent.api.batches.all
    batch.plan = Batched(kept=0)
    ended(agent)
    clocks.at(61)
    lost_one, decisions = ended(agent), agent("stage3", "attempts")
    batch.plan = LATER
    back, looked = ended(agent), agent("stage3", "attempts")
    batch.plan = Batched(polls=0)
    made = agent("run", *BY_BATCH)

    assert lost_one == UNKNOWN
    assert any("--resend" in one for one in offered(decisions))
    assert back == PENDING
    assert not any("--resend" in one for one in offered(looked))
    assert (agent.code, made["failures_by_code"]) == (0, {})
    assert len(agent.api.batches.all) == 1


def test_beside_an_ordinary_run_the_batch_is_priced(agent: Agent) -> None:
    """Where there is one to go by, and nothing goes by it already."""
    by_batch = ["host-stub", "plan", "scenes.json", "--lane", "batch", "--json"]
    plain = agent("plan", "scenes.json")
    said_so = agent("plan", "scenes.json", "--lane", "ordinary")
    batch = agent(*by_batch)
    agent.settings(lane="batch")
    set_so = agent("plan", "scenes.json")

    for told in (plain, said_so):
        buying, pricing = told["next_actions"]
        assert "--confirm" in buying["command"]
        assert (pricing["command"], pricing["kind"]) == (by_batch, "safe")
    assert by_batch not in offered(batch) + offered(set_so)
    assert Decimal(batch["cost_high_usd"]) < Decimal(plain["cost_high_usd"])


def test_status_goes_on_by_the_lane_of_what_is_on_its_way(agent: Agent) -> None:
    """One that is missing is priced and offered by it, too, until nothing is on its way."""
    gate = Gate()
    agent.api.batches.script(Batched(polls=0, until=gate))
    agent("run", *BY_BATCH, "--scene", "s01", "--scene", "s02")
    waiting = agent("status")
    runs = [command for command in offered(waiting) if command[1] == "run"]
    by_batch = agent("status", "--lane", "batch")
    gate.open()
    agent("run", *BY_BATCH, "--scene", "s01", "--scene", "s02")
    had = agent("status")

    assert [command[2:5] for command in runs] == [
        ["--max-cost", waiting["make"]["cost_high_usd"], BY_BATCH[0]]
    ]
    assert [command[-3:-1] for command in runs] == [["--lane", "batch"]]
    assert waiting == by_batch
    assert not any("--lane" in command for command in offered(had))
    assert Decimal(had["make"]["cost_high_usd"]) > Decimal(waiting["make"]["cost_high_usd"])
