"""Picture addresses that do not give what was paid for: asked again, and never bought again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.errors import FetchReason
from stage3_plugin.policy.refetch import MISSING_LASTS_S, next_of, shown, wait_s
from tests.doors import Ran, counted, only, painter, run_stage, scenes, states
from tests.fakes.behaviours import (
    Behaviour,
    HalfPicture,
    Hang,
    Missing,
    Ok,
    Page,
    ResetAfterRead,
    ServerError,
)
from tests.fakes.image_api import ImageApi
from tests.places import wait

BILLED = 30_000
"""What each picture is billed at, in micro-USD."""
BY_ADDRESS = Ok(url="own", usage={"cost": 0.03})


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after hundredths of a second; the waits themselves are tested without sockets."""
    wait(monkeypatch, "policy.refetch", FIRST_WAIT_S=0.01, LONGEST_WAIT_S=0.05)


def impatient(monkeypatch: pytest.MonkeyPatch, patience_s: float = 0.2) -> None:
    wait(monkeypatch, "engine.pending", PATIENCE_S=patience_s)


TROUBLE: dict[str, Behaviour] = {
    "a reset": ResetAfterRead(),
    "503": ServerError(503),
    "403": Missing(403),
    "404 of a slow store": Missing(404),
    "a page with 200": Page(200),
    "a cut picture": HalfPicture(is_cut=True),
    "half a picture, told as whole": HalfPicture(),
    "206": HalfPicture(206),
}


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
async def test_a_picture_whose_address_is_down_for_a_while_is_delivered(
    trouble: Behaviour, image_api: ImageApi, tmp_path: Path
) -> None:
    """It is bought once, asked for until it comes, and its events pair."""
    image_api.always(BY_ADDRESS)
    image_api.visit(trouble, times=6)
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    outcome = ran.outcomes["s01"]

    assert ran.code("s01") == "made"
    assert (outcome.attempts, str(outcome.cost.usd), outcome.reused) == (1, "0.03", False)
    assert image_api.received() == 1
    assert len(image_api.visits()) == 7
    assert states(tmp_path) == [State.PAID]
    assert counted(tmp_path) == BILLED
    assert [one["cause"] for one in ran.named("scene.retried")] == ["pending"]
    assert not list((tmp_path / ".stage3" / "spool").iterdir())


@pytest.mark.anyio
async def test_a_picture_that_stays_away_is_pending_and_the_next_run_has_it(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its purchase stays open, its money counted; no run buys it again."""
    impatient(monkeypatch)
    image_api.always(BY_ADDRESS)
    image_api.visit_always(ServerError(503))
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    failure = ran.outcomes["s01"].failure
    again = await run_stage(painter(image_api), scenes(1), tmp_path)
    open_states = states(tmp_path)
    image_api.visit_always(None)
    last = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert failure is not None
    assert (failure.code, failure.retryable) == ("pending", True)
    assert "/pictures/1.png" in failure.message
    assert "503" in failure.message
    assert only(tmp_path).attempt_id[:8] in failure.message
    assert ran.ending is not None
    assert ran.ending.stopped is None
    assert str(ran.outcomes["s01"].cost.usd) == "0.03"
    assert again.code("s01") == "pending"
    assert open_states == [State.SENDING]
    assert last.outcomes["s01"].reused
    assert image_api.received() == image_api.billed() == 1
    assert states(tmp_path) == [State.PAID]


@pytest.mark.anyio
async def test_other_scenes_are_made_while_a_picture_is_waited_for(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting takes no capacity: with one place in all, five others are made meanwhile."""
    impatient(monkeypatch, 30)
    image_api.always(Ok(usage={"cost": 0.03}))
    image_api.script(BY_ADDRESS, scene="s01")
    image_api.visit_always(ServerError(503))
    ran = Ran()
    async with anyio.create_task_group() as tasks:

        async def heal() -> None:
            while len(ran.outcomes) < 5:
                await anyio.sleep(0.01)
            image_api.visit_always(None)

        tasks.start_soon(heal)
        with anyio.fail_after(20):
            await run_stage(painter(image_api, capacity=1), scenes(6), tmp_path, into=ran)

    assert list(ran.outcomes)[-1] == "s01"
    assert {ran.code(one) for one in ran.outcomes} == {"made"}


@pytest.mark.anyio
async def test_a_stop_ends_the_waiting_at_once(image_api: ImageApi, tmp_path: Path) -> None:
    """The scene is pending, also while its address just hangs, and the purchase stays open."""
    image_api.always(BY_ADDRESS)
    image_api.visit(ServerError(503))
    image_api.visit_always(Hang())
    stopping = anyio.Event()
    ran = Ran()

    async def stop() -> None:
        while len(image_api.visits()) < 2:
            await anyio.sleep(0.01)
        stopping.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            await run_stage(painter(image_api), scenes(1), tmp_path, into=ran, stopping=stopping)

    assert ran.code("s01") == "pending"
    assert states(tmp_path) == [State.SENDING]


@pytest.mark.anyio
async def test_cancelling_loses_no_picture_that_is_waited_for(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It returns at once, every scene has its outcome, and the next run takes the picture in."""
    image_api.always(BY_ADDRESS)
    image_api.visit(ServerError(503), times=2)
    image_api.visit_always(Hang())
    ran = Ran()
    with anyio.fail_after(4):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_run_into, painter(image_api), tmp_path, ran)
            while len(image_api.visits()) < 4:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    image_api.visit_always(None)
    after = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert {ran.code(one) for one in ("s01", "s02")} == {"cancelled"}
    assert all(outcome.reused for outcome in after.outcomes.values())
    assert image_api.received() == 2


async def _run_into(settings: Any, folder: Path, ran: Ran) -> None:
    await run_stage(settings, scenes(2), folder, into=ran)


@pytest.mark.anyio
async def test_five_pictures_in_a_row_that_cannot_be_had_stop_the_run(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Money goes out and nothing comes; what was bought is kept for the next run."""
    impatient(monkeypatch)
    image_api.always(BY_ADDRESS)
    image_api.visit_always(ServerError(503))
    ran = await run_stage(painter(image_api, capacity=1), scenes(20), tmp_path)
    image_api.visit_always(None)
    bought = image_api.received()
    after = await run_stage(painter(image_api, capacity=1), scenes(20), tmp_path)

    assert 5 <= bought < 20
    assert ran.ending is not None
    assert ran.ending.stopped == "pending"
    assert "in a row" in (ran.ending.message or "")
    assert {after.code(one) for one in after.outcomes} == {"made"}
    assert image_api.received() == 20


@pytest.mark.anyio
async def test_addresses_that_are_ready_a_moment_later_stop_nothing(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """All that are in flight say 404 the first time: they are asked again, and come."""
    image_api.always(BY_ADDRESS)
    image_api.visit(ServerError(404), times=8)
    ran = await run_stage(painter(image_api, capacity=8), scenes(8), tmp_path)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert ran.ending is not None
    assert ran.ending.stopped is None
    assert image_api.received() == 8


@pytest.mark.anyio
async def test_a_good_second_picture_behind_a_bad_first_is_delivered(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Whether the first is no picture or cannot be fetched: it was paid for, and it is there."""
    good = Ok(usage={"cost": 0.03})
    image_api.script(_Two("!!!!"), scene="s01")
    image_api.script(_Two("http://127.0.0.1:9/gone.png"), scene="s02")
    image_api.always(good)
    ran = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert (ran.code("s01"), ran.code("s02")) == ("made", "made")
    assert image_api.received() == 2
    assert states(tmp_path) == [State.PAID] * 2


class _Two:
    """Answer two pictures, the first of which is none."""

    def __init__(self, first: str) -> None:
        self.first = first

    async def answer(self, exchange: Any) -> None:
        import base64
        import json

        exchange.is_billed = True
        good = base64.b64encode(Ok().made(exchange)).decode()
        field = "url" if self.first.startswith("http") else "b64_json"
        document = {"data": [{field: self.first}, {"b64_json": good}], "usage": {"cost": 0.03}}
        await exchange.reply(200, json.dumps(document).encode(), Ok().headers(exchange))


@pytest.mark.anyio
async def test_what_is_gone_for_good_is_unknown_and_never_bought_again(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """404 that has lasted: nothing will come any more, which is for somebody to decide."""
    impatient(monkeypatch)
    image_api.always(BY_ADDRESS)
    image_api.visit_always(Missing())
    first = await run_stage(painter(image_api), scenes(1), tmp_path)
    later = datetime.now(UTC) + timedelta(minutes=61)
    second = await run_stage(painter(image_api), scenes(1), tmp_path, now=lambda: later)
    settled = states(tmp_path)
    third = await run_stage(painter(image_api), scenes(1), tmp_path, now=lambda: later)
    image_api.visit_always(None)
    fourth = await run_stage(painter(image_api), scenes(1), tmp_path, now=lambda: later)

    assert first.code("s01") == "pending"
    assert (second.code("s01"), third.code("s01")) == ("unknown", "unknown")
    assert settled == [State.UNKNOWN]
    assert fourth.outcomes["s01"].reused  # it was not gone after all: its answer was kept
    assert image_api.received() == 1


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", [Page(200), HalfPicture(is_cut=True)], ids=["page", "cut"])
async def test_what_is_no_picture_is_trouble_however_long_it_lasts(
    trouble: Behaviour, image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not say that there is nothing: nobody has to decide, and the next run has it."""
    impatient(monkeypatch)
    image_api.always(BY_ADDRESS)
    image_api.visit_always(trouble)
    first = await run_stage(painter(image_api), scenes(1), tmp_path)
    later = datetime.now(UTC) + timedelta(minutes=61)
    second = await run_stage(painter(image_api), scenes(1), tmp_path, now=lambda: later)
    open_states = states(tmp_path)
    image_api.visit_always(None)
    third = await run_stage(painter(image_api), scenes(1), tmp_path, now=lambda: later)

    assert (first.code("s01"), second.code("s01")) == ("pending", "pending")
    assert open_states == [State.SENDING]
    assert third.outcomes["s01"].reused
    assert image_api.received() == 1


@pytest.mark.anyio
async def test_a_cap_is_not_waited_for_under_what_stays_pending(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open purchase that ended pending makes no room any more: the run says so and ends."""
    impatient(monkeypatch, 0.1)
    image_api.always(BY_ADDRESS)
    image_api.visit_always(ServerError(503))
    with anyio.fail_after(10):
        ran = await run_stage(
            painter(image_api, budget_usd="0.10", capacity=1), scenes(4), tmp_path
        )

    assert [ran.code(one) for one in ("s01", "s02", "s03")] == ["pending", "pending", "budget"]
    assert image_api.received() == 2


def test_waits_double_up_to_a_minute() -> None:
    """One second, two, four …: minutes go by with a dozen visits."""
    assert [round(wait_s(asked) * 100) for asked in (1, 2, 3)] == [1, 2, 4]
    assert wait_s(10_000) == 0.05


@pytest.mark.parametrize(
    "reason, age_s, lasts_s, follows",
    [
        ("trouble", 0, None, "again"),
        ("trouble", 1e9, None, "again"),
        ("trouble", 599, 600, "again"),
        ("trouble", 601, 600, "gone"),
        ("missing", 60, None, "again"),
        ("missing", MISSING_LASTS_S + 1, None, "gone"),
        ("missing", 601, 600, "gone"),
        ("host", 1e9, 600, "setting"),
        ("address", 0, None, "gone"),
    ],
)
def test_the_table_of_addresses(
    reason: FetchReason, age_s: float, lasts_s: float | None, follows: str
) -> None:
    """Trouble never ends a purchase by itself; time does where a document says so."""
    assert next_of(reason, age_s=age_s, lasts_s=lasts_s) == follows


@pytest.mark.parametrize(
    "url, text",
    [
        ("https://u:p@h.example:8443/a.png?sig=secret#x", "https://h.example:8443/a.png"),
        ("http://[", "an address that is none"),
        ("https://h.example/a\nb", "https://h.example/a?b"),
    ],
)
def test_an_address_is_shown_without_what_is_signed(url: str, text: str) -> None:
    """A query can be a key."""
    assert shown(url) in {text, text.replace("?", "")}
