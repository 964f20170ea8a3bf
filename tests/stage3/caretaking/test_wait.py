"""``stage3 wait``: stays for what is being made at providers, and takes it in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.settings import Settings
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from tests.doors import settings_for
from tests.places import wait
from tests.said import Say
from tests.stage3.buying import counted, only, states
from tests.stage3.caretaking.commands import enter
from tests.stage3.running import run_stage, story

ENDLESS = 10_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    wait(monkeypatch, "policy.polling", FIRST_WAIT_S=0.01, LONGEST_WAIT_S=0.01, GONE_WAIT_S=0.01)


Left = Callable[..., None]


async def _run_until_all_are_looked_at(
    api: ImageApi, settings: Settings, scene_ids: Sequence[str], folder: Path
) -> None:
    """Run, and stop as Ctrl-C does once each job was looked at: so it is accepted."""
    stopping = anyio.Event()

    async def watch() -> None:
        while len({one.path for one in api.polls()}) < len(scene_ids):
            await anyio.sleep(0.005)
        stopping.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await run_stage(settings, story(*scene_ids), folder, stopping=stopping)


@pytest.fixture
def left(queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Left:
    """Leave jobs of a run that has ended, in a project that is the current folder."""

    def leave(*scene_ids: str, plan: Queued | None = None) -> None:
        for scene_id in scene_ids:
            queue_api.script(Queued(polls=ENDLESS), scene=scene_id)
        settings = settings_for(
            queue_api, provider="plain", model="m", price_usd="0.05", drain_s=0.05
        )
        anyio.run(partial(_run_until_all_are_looked_at, queue_api, settings, scene_ids, tmp_path))
        for job in queue_api.queue.jobs:
            job.plan = plan or Queued(polls=2)
        enter(tmp_path, queue_api, monkeypatch)
        assert set(states(tmp_path)) == {State.ACCEPTED}

    return leave


def test_it_stays_until_all_is_taken_in(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """The ledger has the pictures and their cost; which run comes next is said; nothing is sent."""
    left("s01", "s02")
    (tmp_path / "scenes.json").write_text("[]", encoding="utf-8")
    said = say("wait")

    assert said.code == 0
    assert states(tmp_path) == [State.PAID, State.PAID]
    assert queue_api.received() == queue_api.billed() == 2
    assert counted(tmp_path) == 60_000
    assert "2 taken in; $0.06 counted" in said.out
    assert "next: 'host-stub run scenes.json'" in said.out
    assert say("verify").code == 0


def test_while_something_is_being_made_it_ends_with_5(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """What was asked once stays as it is; how to go on is said, to programs too."""
    left("s01", plan=Queued(polls=ENDLESS))
    said = say("wait", "--for", "0s", "--json")
    told = said.json
    (job,) = told["jobs"]

    assert said.code == 5
    assert (told["is_over"], told["left"], told["taken_in"]) == (False, 1, 0)
    assert (job["lane"], job["left"], job["is_given_up"]) == ("one", 1, False)
    assert job["expires_at"] is not None
    assert [one["command"] for one in told["next_actions"]] == [
        ["stage3", "wait", "--for", "10m", "--json"]
    ]
    assert states(tmp_path) == [State.ACCEPTED]
    text = say("wait", "--for", "0s").out
    assert "being made; kept until" in text
    assert "'stage3 wait' goes on waiting" in text


def test_what_its_provider_refuses_is_named_and_its_money_is_free(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """By its own word; the waiting is over all the same."""
    left("s01", plan=Queued(polls=1, ends="refused"))
    said = say("wait")

    assert said.code == 0
    assert states(tmp_path) == [State.REFUSED]
    assert "1 without a picture, and not billed" in said.out
    assert "$0.05 free again" in said.out
    assert "s01: " in said.out


def test_a_key_that_is_refused_is_no_end_of_what_was_bought(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and does not stay for what it may not ask for."""
    left("s01", plan=Queued(polls=ENDLESS))
    monkeypatch.setenv("PLAIN_KEY", "another")
    said = say("wait")

    assert said.code == 5
    assert "it is not asked for any more" in said.out
    assert states(tmp_path) == [State.ACCEPTED]


def test_what_the_config_names_no_way_to_is_not_asked_for(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """Another config can; it stays being made."""
    left("s01", plan=Queued(polls=ENDLESS))
    looks = len(queue_api.polls())
    (tmp_path / "host.toml").write_text('[plugin.stage3]\nprovider = "previz"', encoding="utf-8")
    said = say("wait", "--for", "1s")

    assert said.code == 5
    assert "the config names no way to ask for it" in said.out
    assert len(queue_api.polls()) == looks
    assert states(tmp_path) == [State.ACCEPTED]


def test_what_a_living_run_has_in_work_is_left_to_it_until_it_ends(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """Then it is asked for here, as any other."""
    left("s01")
    looks, run_id = len(queue_api.polls()), only(tmp_path).new.run_id
    with Owners(tmp_path / ".stage3").claim(run_id):
        (job,) = say("wait", "--for", "0s", "--json").json["jobs"]
        asked = len(queue_api.polls()) - looks
    after = say("wait")

    assert (job["in_hands"], asked) == (True, 0)
    assert after.code == 0
    assert states(tmp_path) == [State.PAID]


def test_with_nothing_to_wait_for_it_says_so_and_begins_no_ledger(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """Also where nothing was ever bought."""
    left("s01")
    say("wait")
    again = say("wait")
    shutil.rmtree(tmp_path / ".stage3")
    never = say("wait")

    assert (again.code, never.code) == (0, 0)
    assert "nothing is being made at a provider" in again.out
    assert "nothing is being made at a provider" in never.out
    assert not (tmp_path / ".stage3").exists()


@pytest.mark.parametrize("words", ["1x", "", "-1s", "1.5h", "1 h", "10000000s"])
def test_a_duration_that_is_none_is_refused(say: Say, words: str) -> None:
    """Before the config is read."""
    said = say("wait", f"--for={words}")

    assert said.code == 2
    assert "such as 90s, 30m, 2h or 1d" in said.err
