"""Who stays for batches that runs have left: what comes is taken in, and nothing is bought.

The vendors are those of the loopback server, whose books say what was bought and billed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.domain.waited import Waited
from stage3_plugin.engine.build import open_stage
from stage3_plugin.engine.waiting import LOST_S
from stage3_plugin.settings import Settings
from stage3_plugin.testing.batch_plans import Batched, Line
from stage3_plugin.testing.behaviours import Gate, Hang, Json, Page
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.wire import Asked
from tests.places import hurry, wait
from tests.stage3.batch_shop import (
    LOOKS_S,
    billed_microusd,
    codes,
    gemini,
    left_in_spool,
    priced,
    shop,
    sizes,
)
from tests.stage3.buying import counted, scenes, states
from tests.stage3.running import run_stage

pytestmark = pytest.mark.anyio

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what an event loop has no part in."""
PATIENCE_S = 60
REFUSED = Json({"error": {"message": "no", "code": "moderation_blocked"}}, status=400)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the pace, a thousand times as fast."""
    hurry(monkeypatch, 1000, "policy.waiting")
    wait(monkeypatch, "purchase.known", AGAIN_S=0.05)
    wait(monkeypatch, "purchase.lost", APART_S=0.01, AGAIN_S=0.01, PATIENCE_S=0.01)
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=LOOKS_S)
    wait(monkeypatch, "engine.run", RECOVERY_LINGERS_S=0.1)


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi() as one:
        yield priced(one)


async def left(
    api: ImageApi, settings: Settings, count: int, folder: Path, *plans: Batched
) -> None:
    """Leave batches of a run that has ended."""
    for plan in plans:
        api.batches.script(plan)
    ran = await run_stage(settings, scenes(count), folder)
    assert codes(ran) == {"pending": count}


async def stay(
    settings: Settings,
    folder: Path,
    *,
    for_s: float | None = None,
    report: Callable[[Waited], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Waited:
    """Wait, a minute at most."""
    with anyio.fail_after(PATIENCE_S):
        async with open_stage(settings, folder, now=now) as stage:
            return await stage.wait(for_s=for_s, report=report)


@pytest.mark.parametrize("vendor", [shop, gemini])
async def test_who_stays_has_all_lines_taken_in(
    api: ImageApi, tmp_path: Path, vendor: Callable[..., Settings]
) -> None:
    """Progress is its provider's; the books agree; the run that follows places it for nothing."""
    gate, settings = Gate(), vendor(api)
    await left(api, settings, 5, tmp_path, Batched(polls=0, until=gate))
    stood: list[Waited] = []

    def report(waited: Waited) -> None:
        stood.append(waited)
        gate.open()

    waited = await stay(settings, tmp_path, report=report)
    (one,) = waited.jobs

    lines = stood[0].jobs[0].lines
    assert lines is not None
    assert (lines.total, lines.failed, lines.expired) == (5, 0, 0)
    assert (one.left, one.ended) == (0, {State.PAID: 5})
    assert one.spent_microusd == counted(tmp_path) == billed_microusd(api)
    assert left_in_spool(tmp_path) == []
    again = await run_stage(settings, scenes(5), tmp_path)
    assert codes(again) == {"made": 5}
    assert all(outcome.reused for outcome in again.outcomes.values())
    assert (sizes(api), api.batches.billed(), api.received()) == ([5], 5, 0)


@pytest.mark.parametrize("vendor", [shop, gemini])
async def test_what_was_refused_is_said_by_the_next_run_that_wants_it_and_then_sent_again(
    api: ImageApi, tmp_path: Path, vendor: Callable[..., Settings]
) -> None:
    """Once, and only by a run of that scene: else run, wait and run would go on for ever."""
    gate = Gate()
    api.batches.script_line(Line(ends="refused"), scene="s02")
    await left(api, vendor(api), 3, tmp_path, Batched(polls=0, until=gate))
    gate.open()
    waited = await stay(vendor(api), tmp_path)
    assert [line.new.scene_id for line in waited.jobs[0].without] == ["s02"]
    of_another = await run_stage(vendor(api), scenes(1), tmp_path)
    told = await run_stage(vendor(api), scenes(3), tmp_path)
    assert codes(of_another) == {"made": 1}
    assert {one: told.code(one) for one in told.outcomes} == {
        "s01": "made", "s02": "refused", "s03": "made",
    }  # fmt: skip
    assert (sizes(api), counted(tmp_path)) == ([3], billed_microusd(api))

    again = await run_stage(vendor(api), scenes(3), tmp_path)
    assert codes(again) == {"made": 3}
    assert (sizes(api), counted(tmp_path)) == ([3, 1], billed_microusd(api))


@ONE_LOOP
async def test_what_was_refused_in_a_batch_is_bought_at_once_where_it_is_wanted_by_itself(
    api: ImageApi, tmp_path: Path
) -> None:
    """And whatever that comes to, what the batch said is said no more."""
    gate = Gate()
    api.batches.script_line(Line(ends="refused"), scene="s01")
    await left(api, shop(api), 1, tmp_path, Batched(polls=0, until=gate))
    gate.open()
    await stay(shop(api), tmp_path)
    api.script(REFUSED, scene="s01")
    assert codes(await run_stage(shop(api, lane="ordinary"), scenes(1), tmp_path)) == {"refused": 1}

    assert codes(await run_stage(shop(api), scenes(1), tmp_path)) == {"made": 1}
    assert (api.received(), sizes(api)) == (1, [1, 1])


@pytest.mark.parametrize(
    "trouble",
    [
        Page(503, billed=False),
        Page(404, billed=False),
        Page(200, billed=False),
    ],
)
@ONE_LOOP
async def test_trouble_on_the_way_is_waited_out(
    api: ImageApi, tmp_path: Path, trouble: Page
) -> None:
    """A poll that is not answered as it should be says nothing; so does what nobody understands."""
    await left(api, shop(api), 3, tmp_path, Batched(polls=3))
    api.batches.meet(trouble, at="batch")
    waited = await stay(shop(api), tmp_path)

    assert waited.pictures == 3


@ONE_LOOP
@pytest.mark.parametrize("vendor", [shop, gemini])
async def test_who_stays_asks_on_in_a_word_that_nobody_knows(
    api: ImageApi, tmp_path: Path, vendor: Callable[..., Settings]
) -> None:
    """However often, more slowly than in a word that is known; then it is as if it had not been."""
    await left(api, vendor(api), 3, tmp_path, Batched(polls=0, word="PONDERING"))
    (batch,) = api.batches.all
    stood: list[Waited] = []

    def report(waited: Waited) -> None:
        stood.append(waited)
        if waited.jobs[0].asked == 9:
            batch.plan = Batched(polls=0)

    waited = await stay(vendor(api), tmp_path, report=report)

    assert waited.pictures == 3
    assert "PONDERING" in stood[3].jobs[0].problem
    assert counted(tmp_path) == billed_microusd(api)


@ONE_LOOP
async def test_a_batch_that_was_called_being_made_after_its_time_has_it_once_more(
    api: ImageApi, tmp_path: Path
) -> None:
    """So that a word that nobody knows, right after that, gives it up as little as before."""
    await left(api, shop(api), 3, tmp_path, Batched(polls=5, word="PONDERING"))
    (batch,) = api.batches.all
    now = datetime.now(UTC) + timedelta(days=90)

    def report(waited: Waited) -> None:
        if waited.jobs[0].asked == 9:
            batch.plan = Batched(polls=0)

    waited = await stay(shop(api), tmp_path, report=report, now=lambda: now)

    assert waited.pictures == 3
    assert waited.jobs[0].asked > 9


async def test_a_lost_create_is_found_and_waited_for(api: ImageApi, tmp_path: Path) -> None:
    """Its run has died over it, say: its lines are unknown, until the listing has it."""
    api.batches.script(Batched(polls=1, lost="begun", unlisted=10_000))
    ran = await run_stage(shop(api), scenes(3), tmp_path)
    assert set(codes(ran)) <= {"unknown", "pending"}
    assert states(tmp_path) == [State.UNKNOWN] * 3
    for batch in api.batches.all:
        batch.plan = Batched(polls=1)
    waited = await stay(shop(api), tmp_path)

    assert waited.pictures == 3
    assert (sizes(api), counted(tmp_path)) == ([3], billed_microusd(api))


@ONE_LOOP
async def test_a_create_that_never_arrived_is_free_when_that_is_proved(
    api: ImageApi, tmp_path: Path
) -> None:
    """After half an hour, by two whole listings; until then it is asked for again, for an hour."""
    settings = shop(api)
    for ago in (timedelta(minutes=40), timedelta(0)):
        then = datetime.now(UTC) - ago
        api.batches.date_s = then.timestamp
        api.batches.script(Batched(lost="not begun"))
        folder = tmp_path / str(ago.seconds)
        await run_stage(settings, scenes(3), folder, now=partial(_always, then))
        assert states(folder) == [State.UNKNOWN] * 3
    api.batches.date_s = time.time
    late, early = tmp_path / "2400", tmp_path / "0"
    waited = await stay(settings, late)
    not_yet = await stay(settings, early, for_s=0.3)
    hours = datetime.now(UTC) + timedelta(seconds=LOST_S)
    given_up = await stay(settings, early, now=partial(_always, hours))

    assert states(late) == [State.REFUSED] * 3
    assert (waited.is_over, counted(late)) == (True, 0)
    assert [one.ended for one in waited.jobs] == [{State.REFUSED: 3}]
    assert states(early) == [State.UNKNOWN] * 3
    assert (not_yet.is_over, given_up.is_over) == (False, True)


def _always(then: datetime) -> datetime:
    return then


@ONE_LOOP
async def test_several_who_wait_take_each_line_in_once(api: ImageApi, tmp_path: Path) -> None:
    """Two that stay at once, over one ledger."""
    gate = Gate()
    await left(api, shop(api), 4, tmp_path, Batched(polls=0, until=gate))

    looks = len(api.entries)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(stay, shop(api), tmp_path)
        while len(api.entries) < looks + 3:
            await anyio.sleep(0.005)
        gate.open()

    assert states(tmp_path) == [State.PAID] * 4
    assert counted(tmp_path) == billed_microusd(api)


@pytest.mark.parametrize("page", ["batch", "results"])
async def test_who_leaves_waits_for_no_answer_that_does_not_come(
    api: ImageApi, tmp_path: Path, page: str
) -> None:
    """What was asked costs nothing, and is asked again by whoever comes next."""
    gate, settings = Gate(), shop(api, timeout_s=2 * PATIENCE_S)
    await left(api, settings, 2, tmp_path, Batched(polls=0, until=gate))
    gate.open()
    is_asked = threading.Event()

    def met(_asked: Asked, of: str) -> Hang | None:
        if of != page:
            return None
        is_asked.set()
        return Hang(billed=False)

    api.trouble = met
    with anyio.fail_after(PATIENCE_S):
        async with open_stage(settings, tmp_path) as stage, anyio.create_task_group() as tasks:
            tasks.start_soon(stage.wait)
            while not is_asked.is_set():
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    api.trouble = lambda _asked, _of: None

    waited = await stay(settings, tmp_path)
    assert [one.ended for one in waited.jobs] == [{State.PAID: 2}]
    assert states(tmp_path) == [State.PAID] * 2
