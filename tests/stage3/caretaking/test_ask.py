"""``stage3 ask``: with the key of the config, what became of requests without an answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.testing.behaviours import Json
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from tests.doors import settings_for
from tests.places import wait
from tests.said import Say
from tests.stage3.buying import counted, only
from tests.stage3.caretaking.commands import enter
from tests.stage3.running import run_stage, story


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    wait(monkeypatch, "purchase.lost", APART_S=0.01, AGAIN_S=0.01, PATIENCE_S=0.01)


HOUR = timedelta(hours=1)


def _lost(
    api: ImageApi,
    folder: Path,
    plan: Queued,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ago: timedelta = HOUR,
) -> str:
    """Lose the answer of a submit some time ago, write a config, and return the purchase's id.

    The listing was whole then, and did not have it.
    """
    then = datetime.now(UTC) - ago
    dated = {"Date": format_datetime(then, usegmt=True)}
    nothing = Json({"jobs": [], "next": None}, headers=dated)
    api.script(plan, scene="s01")
    api.trouble = lambda _, kind: nothing if kind == "listing" else None
    settings = settings_for(
        api, provider="plain", model="m", price_usd="0.05", listing_is_whole=True
    )
    anyio.run(partial(run_stage, settings, story("s01"), folder, now=lambda: then))
    api.trouble = lambda _, __: None
    enter(folder, api, monkeypatch, "listing_is_whole = true")
    purchase = only(folder)
    assert purchase.state is State.UNKNOWN
    return purchase.new.attempt_id


def test_what_is_found_goes_on(
    say: Say, queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent but reads, and the ledger says by what proof."""
    attempt_id = _lost(queue_api, tmp_path, Queued(lost="begun", polls=5), monkeypatch)
    said = say("ask")
    listed = say("attempts", "--json", "--all").json["attempts"][0]

    assert said.code == 0
    assert f"{attempt_id[:8]}  s01  UNKNOWN -> ACCEPTED  plain/m" in said.out
    assert "found in the listing of plain: job plain-00000001" in said.out
    assert "asked for 1: 1 found, 0 never arrived" in said.out
    assert queue_api.received() == 1
    assert listed["asked_for"]["answered"] == "found"
    assert listed["state"] == "ACCEPTED"


def test_after_something_was_found_a_program_may_stay_for_it(
    say: Say, queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is being made: nobody has to decide anything any more."""
    _lost(queue_api, tmp_path, Queued(lost="begun", polls=5), monkeypatch)
    (staying,) = say("ask", "--json").json["next_actions"]

    assert staying["command"] == ["stage3", "wait", "--for", "10m", "--json"]
    assert staying["kind"] == "safe"


def test_what_never_arrived_gives_its_money_back(
    say: Say, queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As data: which, when, by what proof."""
    attempt_id = _lost(queue_api, tmp_path, Queued(lost="not begun"), monkeypatch)
    (one,) = say("ask", attempt_id[:8], "--json").json["asked"]

    assert (one["state_before"], one["state"]) == ("UNKNOWN", "REFUSED")
    assert one["answered"] == "absent"
    assert "two whole listings of plain" in one["asked_why"]
    assert counted(tmp_path) == 0


def test_until_it_can_be_listed_nobody_calls_it_unbilled(
    say: Say, queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the listing nor a person, by name or all at once; billed can be said at any time."""
    ago = timedelta(seconds=5)
    attempt_id = _lost(queue_api, tmp_path, Queued(lost="not begun"), monkeypatch, ago=ago)
    asked = say("ask")
    refused = [say("resolve", *words, "--not-billed") for words in ([attempt_id], ["--all"])]
    refused += [say("resolve", "--all", "--not-billed", "--yes")]

    assert "UNKNOWN -> UNKNOWN" in asked.out
    assert "that it never arrived is believed from" in asked.out
    told = say("attempts").out
    assert "that it never arrived is believed from" in told
    assert "stage3 ask " in told  # before what would be refused
    assert told.index("stage3 ask ") < told.index("--not-billed   ")
    assert [one.code for one in refused] == [2, 0, 2]
    assert all("'stage3 ask' asks for it" in one.err for one in (refused[0], refused[2]))
    assert say("resolve", attempt_id, "--billed").code == 0


def test_without_anything_lost_it_says_so(
    say: Say, queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a config whose pictures another plugin makes asks nobody."""
    attempt_id = _lost(queue_api, tmp_path, Queued(lost="not begun"), monkeypatch)
    say("ask")

    assert "there is nothing to ask for" in say("ask").out
    assert say("ask", "f" * 12).code == 2
    assert say("ask", attempt_id).code == 0
    (tmp_path / "other.toml").write_text('[pipeline]\nimage = "plain"\n', encoding="utf-8")
    assert say("ask", "--config", "other.toml").code == 2
    assert json.loads(say("ask", "--json").out)["format"] == "stage3-ask/1"
