"""Caps, over real sockets and a real ledger: what the server bills never passes them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from host_stub.contract import Scene, StageError
from stage3_plugin.domain.states import State
from stage3_plugin.engine.stage import Stage
from stage3_plugin.ledger.book import Ledger
from tests.doors import (
    HOLD,
    Ran,
    Story,
    bills,
    counted,
    micro,
    only,
    painter,
    plan_of,
    purchases,
    run_stage,
    scenes,
    settings_for,
    story,
)
from tests.fakes.behaviours import Behaviour, Json, Ok, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Asked
from tests.stage3 import running
from tests.stage3.buying import ledger_path

pytestmark = pytest.mark.anyio

Result = TypeVar("Result")

CAPS = ["budget_usd", "daily_usd", "total_usd"]
EVENING = datetime(2026, 11, 24, 23, 50, tzinfo=UTC)


def codes(ran: Ran) -> dict[str, int]:
    """Count how the scenes ended."""
    ended = [ran.code(scene_id) for scene_id in ran.outcomes]
    return {code: ended.count(code) for code in ended}


@dataclass
class SlowToPublish:
    """Does disk work, and takes its time over publishing some scenes, in seconds."""

    delays_s: dict[str, float]

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        called: Any = work
        if getattr(getattr(called, "func", None), "__name__", "") == "_put":
            await anyio.sleep(self.delays_s.get(called.args[1].stem, 0))
        return work()


def _same(now: datetime) -> datetime:
    return now


@pytest.mark.parametrize("cap", CAPS)
async def test_no_cap_is_passed_and_none_is_left_unused(
    image_api: ImageApi, tmp_path: Path, cap: str
) -> None:
    """Of ten scenes, by eight at once, just the four that the cap allows are sold."""
    image_api.always(bills(0.05, delay_s=0.02))
    ran = await run_stage(painter(image_api, **{cap: "0.20"}), scenes(10), tmp_path)

    assert image_api.received() == image_api.billed() == 4
    assert counted(tmp_path) == 200_000
    assert ran.ending is not None
    assert ran.ending.stopped == "budget"
    assert codes(ran)["made"] == 4
    assert codes(ran).keys() <= {"made", "budget", "not_tried"}


@pytest.mark.parametrize("cap", CAPS)
async def test_the_rest_is_told_the_cap_and_the_figure(
    image_api: ImageApi, tmp_path: Path, cap: str
) -> None:
    """Every scene left out says which cap, how much of it is gone, and what to do or await."""
    image_api.always(bills(0.05))
    settings = painter(image_api, capacity=1, **{cap: "0.12"})
    ran = await run_stage(settings, scenes(5), tmp_path, now=lambda: EVENING)
    (reached,) = ran.named("budget.reached")
    left_out = [one.failure for one in ran.outcomes.values() if one.failure is not None]
    told = "begins anew at 2026-11-25 00:00 UTC" if cap == "daily_usd" else "to go on"

    assert [failure.code for failure in left_out] == ["budget", "not_tried", "not_tried"]
    for failure in left_out:
        assert failure.retryable
        for word in (cap, "$0.12", "$0.10", "0.05", told):
            assert word in failure.message
    assert reached["scope"] == {"budget_usd": "run", "daily_usd": "day", "total_usd": "total"}[cap]
    assert Decimal(reached["limit_usd"]) == Decimal("0.12")
    assert Decimal(reached["committed_usd"]) == Decimal("0.10")
    assert Decimal(reached["needed_usd"]) == Decimal("0.05")
    midnight = "2026-11-25T00:00:00+00:00"
    assert reached["resets_at"] == (midnight if cap == "daily_usd" else None)


@pytest.mark.parametrize("cap", CAPS)
async def test_a_hold_that_does_not_fit_waits_for_others_to_cost_less(
    image_api: ImageApi, tmp_path: Path, cap: str
) -> None:
    """0.05 USD are held and 0.02 billed: after seven bills an eighth hold still fits into 0.20."""
    image_api.always(bills(0.02, delay_s=0.02))
    ran = await run_stage(painter(image_api, **{cap: "0.20"}), scenes(12), tmp_path)

    assert image_api.billed() == codes(ran)["made"] == 8
    assert image_api.most_in_flight <= 4
    assert counted(tmp_path) == 160_000


async def test_money_is_held_before_a_request_and_never_more_than_the_cap(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Seen from the server, at the moment a request arrives."""
    seen: list[tuple[int, State]] = []

    def look(asked: Asked) -> Behaviour:
        ledger = Ledger.open_to_read(ledger_path(tmp_path))
        assert ledger is not None
        with ledger:
            (row,) = ledger.purchases(scene_id=asked.prompt[:3])
            seen.append((sum(one.counted_microusd for one in ledger.purchases()), row.state))
        return bills(0.03, delay_s=0.03)

    image_api.otherwise = look
    await run_stage(painter(image_api, total_usd="0.30"), scenes(12), tmp_path)

    assert len(seen) == image_api.billed() == 9  # 8 x 0.03 + 0.05 still fit, 9 x 0.03 + 0.05 do not
    assert {state for _, state in seen} == {State.SENDING}
    assert max(held for held, _ in seen) <= 300_000
    assert max(held for held, _ in seen) > 250_000


async def test_what_was_not_billed_makes_room_again(image_api: ImageApi, tmp_path: Path) -> None:
    """A refused scene gives back what was held for it, and the next one takes its place."""
    refused = Json({"error": {"code": "content_policy", "message": "policy"}}, status=403)
    image_api.script(refused, scene="s01")
    image_api.script(refused, scene="s02")
    image_api.always(bills(0.05))
    settings = painter(image_api, budget_usd="0.10", capacity=2)
    ran = await run_stage(settings, scenes(5), tmp_path)

    assert image_api.received() == 4
    assert image_api.billed() == codes(ran)["made"] == 2
    assert counted(tmp_path) == 100_000


async def test_a_budget_is_a_run_s_and_a_total_is_the_ledger_s(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The next run has a budget of its own; the total it shares with all before it."""
    image_api.always(bills(0.05))
    settings = painter(image_api, budget_usd="0.10", total_usd="0.15")
    first = await run_stage(settings, scenes(5), tmp_path)
    second = await run_stage(settings, scenes(5), tmp_path)
    third = await run_stage(settings, scenes(5), tmp_path)

    assert [codes(ran).get("made") for ran in (first, second, third)] == [2, 3, 3]
    assert image_api.billed() == 3
    assert second.ending is not None
    assert "total_usd" in (second.ending.message or "")


async def test_a_day_s_cap_begins_anew_the_next_day(image_api: ImageApi, tmp_path: Path) -> None:
    """And a clock that is put back does not open the day before again."""
    image_api.always(bills(0.05))
    settings = painter(image_api, daily_usd="0.10")
    billed: list[int] = []
    for now in (EVENING, EVENING, EVENING + timedelta(hours=1), EVENING):
        await run_stage(settings, scenes(9), tmp_path, now=partial(_same, now))
        billed.append(image_api.billed())

    assert billed == [2, 2, 4, 4]


async def test_a_day_ends_where_the_time_zone_says(image_api: ImageApi, tmp_path: Path) -> None:
    """At 23:50 in London it is the next day in Berlin already."""
    image_api.always(bills(0.05))
    settings = painter(image_api, daily_usd="0.10", time_zone="Europe/Berlin")
    ran = await run_stage(settings, scenes(3), tmp_path, now=lambda: EVENING)

    assert {str(row.day) for row in purchases(tmp_path)} == {"2026-11-25"}
    assert ran.ending is not None
    assert "2026-11-25 23:00 UTC" in (ran.ending.message or "")


async def test_a_day_s_cap_is_one_provider_s(image_api: ImageApi, tmp_path: Path) -> None:
    """What another provider billed today leaves it untouched."""
    image_api.always(bills(0.05))
    await run_stage(painter(image_api, daily_usd="0.10"), scenes(3), tmp_path)
    other = painter(image_api, provider="openai", model="painter", daily_usd="0.10")
    ran = await run_stage(other, scenes(3), tmp_path)

    assert codes(ran)["made"] == 2
    assert image_api.billed() == 4


async def test_the_lower_of_two_budgets_holds(image_api: ImageApi, tmp_path: Path) -> None:
    """The one of the settings, and the one of this run alone."""
    image_api.always(bills(0.05))
    for settings_usd, run_usd in (("0.10", "0.40"), ("0.40", "0.10"), (None, "0.10")):
        settings = painter(image_api, budget_usd=settings_usd, total_usd=None)
        folder = tmp_path / f"{settings_usd}-{run_usd}"
        ran = await run_stage(settings, scenes(4), folder, max_cost_usd=Decimal(run_usd))

        assert codes(ran)["made"] == 2


@pytest.mark.parametrize("cap", CAPS)
async def test_under_a_cap_an_unknown_price_refuses_to_start(
    image_api: ImageApi, tmp_path: Path, cap: str
) -> None:
    """Naming what to set; nothing is sent and nothing is written."""
    settings = painter(image_api, price_usd=None, **{cap: "1"})
    with pytest.raises(StageError, match="price_usd") as refusal:
        await run_stage(settings, scenes(2), tmp_path)

    assert "prices" not in (refusal.value.hint or "")
    assert "a/painter" in str(refusal.value)
    assert image_api.received() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("own", ["", "recraft/recraft-v4.1"])
async def test_under_a_cap_a_reference_that_has_no_known_price_refuses_to_start(
    image_api: ImageApi, tmp_path: Path, own: str
) -> None:
    """Run and plan name the scene, before anything is sent; without references it is bought."""
    (tmp_path / "mira.png").write_bytes(make_png("mira", 64, 64))
    shows = story("s02", model=own or None, references=("mira.png",))
    model = "bytedance-seed/seedream-4.5" if own else "recraft/recraft-v4.1"
    settings = settings_for(image_api, provider="openrouter", model=model, budget_usd="1")
    asked = Story([*story("s01"), *shows])
    refusals = list[StageError]()
    with pytest.raises(StageError) as refused:
        await run_stage(settings, asked, tmp_path, scenes_dir=tmp_path)
    refusals.append(refused.value)
    with pytest.raises(StageError) as refused:
        await plan_of(settings, asked, tmp_path, scenes_dir=tmp_path)
    refusals.append(refused.value)

    for one in refusals:
        assert "setting 'price_usd'" in str(one)
        assert "a reference that 's02' shows adds to the price of model 'recraft/" in str(one)
        assert "price_usd" in (one.hint or "")
    assert image_api.received() == 0
    ran = await run_stage(settings, story("s01"), tmp_path)
    assert ran.code("s01") == "made"


@pytest.mark.parametrize("lane", ["ordinary", "batch"])
async def test_what_has_no_known_price_is_never_bought_under_a_cap(
    image_api: ImageApi, tmp_path: Path, lane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that only turns out as money is to be held for it, as of what came meanwhile."""

    def need_none(*_: object) -> None: ...

    monkeypatch.setattr(Stage, "_need_price", need_none)
    settings = settings_for(image_api, model="gpt-image-9", budget_usd="1")
    ran = await run_stage(settings, story("s01"), tmp_path, lane=lane)

    failure = ran.outcomes["s01"].failure
    assert failure is not None
    assert failure.code == "rejected"
    assert "what it costs with model 'gpt-image-9' is not known" in failure.message
    assert "price_usd" in failure.message
    assert image_api.received() == 0


async def test_without_a_cap_an_unknown_price_is_no_obstacle(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is held, and a bill that nobody tells stays unknown and is not called zero."""
    image_api.always(Ok(usage=None))
    ran = await run_stage(painter(image_api, price_usd=None), scenes(1), tmp_path)

    assert ran.outcomes["s01"].cost.usd is None
    assert only(tmp_path).state is State.PAID
    assert only(tmp_path).cost_microusd is None
    assert only(tmp_path).hold_microusd == 0


@pytest.mark.parametrize("more", [{"budget_usd": "1"}, {"total_usd": "1"}, {"daily_usd": "1"}])
async def test_a_bill_above_its_hold_is_recorded_in_full_and_stops_the_run(
    image_api: ImageApi, tmp_path: Path, more: dict[str, Any]
) -> None:
    """The caps could not be kept with such a price table; the picture is kept all the same."""
    image_api.script(bills(0.30), scene="s01")
    image_api.always(bills(0.05))
    ran = await run_stage(painter(image_api, capacity=1, **more), scenes(4), tmp_path)

    assert image_api.received() == 1
    assert only(tmp_path).cost_microusd == 300_000
    assert micro(ran.outcomes["s01"].cost.usd) == 300_000
    assert ran.ending is not None
    assert ran.ending.stopped == "budget"
    for word in ("'s01'", "$0.30", "at most $0.05", "the next one holds as much"):
        assert word in (ran.ending.message or "")
    assert codes(ran) == {"made": 1, "not_tried": 3}


async def test_the_next_run_holds_as_much_as_was_billed(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """So a price table that says too little is passed by once, and not in every run."""
    image_api.always(bills(0.30))
    await run_stage(painter(image_api, capacity=1, total_usd="1"), story("s01"), tmp_path)
    ran = await run_stage(painter(image_api, total_usd="1"), scenes(5), tmp_path)
    planned = await plan_of(painter(image_api, total_usd="1"), scenes(5), tmp_path)

    assert image_api.received() == 3
    assert codes(ran) == {"made": 3, "budget": 1, "not_tried": 1}
    assert (planned.reused, planned.make, planned.refused) == (3, 0, 2)


async def test_after_a_bill_above_its_hold_nothing_more_is_held(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Not even while the picture that was billed so is still being brought to its place."""
    await run_stage(painter(image_api), story("s02"), tmp_path)
    shutil.rmtree(tmp_path / "out")
    image_api.script(bills(0.30), scene="s01")
    settings = painter(image_api, capacity=2, total_usd="9")
    slow = SlowToPublish({"s01": 0.8, "s02": 0.4})
    story_of_five = running.story("s01", "s02", "s03", "s04", "s05")
    ran = await running.run_stage(settings, story_of_five, tmp_path, blocking=slow)

    assert image_api.received() == 2
    assert [ran.code(one) for one in ("s01", "s02")] == ["made"] * 2
    assert ran.outcomes["s02"].reused


async def test_a_bill_that_would_lower_what_is_counted_is_not_believed(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Less than nothing, or more than anybody has: then the price that was set is counted."""
    image_api.script(bills(-5), scene="s01")
    image_api.script(bills(1e300), scene="s02")
    await run_stage(painter(image_api, total_usd="1"), scenes(2), tmp_path)

    assert [row.cost_microusd for row in purchases(tmp_path)] == [HOLD, HOLD]


@pytest.mark.parametrize("cap", CAPS)
async def test_a_cap_keeps_nobody_from_what_is_there(
    image_api: ImageApi, tmp_path: Path, cap: str
) -> None:
    """Scenes behind the first that does not fit are found all the same, and told as they are."""
    image_api.always(bills(0.05))
    image_api.script(ResetAfterRead(), scene="s04")
    await run_stage(painter(image_api), story("s03", "s04"), tmp_path)
    shutil.rmtree(tmp_path / "out")
    lines = Story([*scenes(5), Scene(scene_id="s06", prompt="")])
    ran = await run_stage(painter(image_api, capacity=1, **{cap: "0"}), lines, tmp_path)

    assert image_api.received() == 2
    assert [ran.code(scene_id) for scene_id in ran.outcomes] == [
        "budget", "not_tried", "made", "unknown", "not_tried", "rejected",
    ]  # fmt: skip
    assert ran.outcomes["s03"].reused
    assert (tmp_path / "out" / "images" / "s03.png").is_file()


async def test_a_price_of_the_settings_is_held_where_the_answers_say_no_tokens(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The table knows the model's tokens, and makes less of them: no bill passes its hold."""
    image_api.always(Ok(usage=None))
    settings = settings_for(image_api, price_usd="0.5", total_usd="10", capacity=1)
    ran = await run_stage(settings, scenes(2), tmp_path)

    assert codes(ran) == {"made": 2}
    assert counted(tmp_path) == 1_000_000
