"""A clock that was once in the future spends no cap for good, and no message names a wrong day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import StageError
from stage3_plugin.ledger.book import Ledger
from tests.doors import bills, opened, painter, purchases, run_stage, scenes
from tests.fakes.image_api import ImageApi
from tests.hostile.test_bills import stage3
from tests.stage3.buying import ledger_path

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def in_days(days: int) -> Any:
    """Return a clock that is days ahead."""
    return lambda: NOW + timedelta(days=days)


async def bought_with_a_wrong_clock(api: ImageApi, folder: Path, days: int) -> None:
    """Buy a picture on a machine whose clock is days ahead."""
    api.script(bills(0.04))
    await run_stage(painter(api), scenes(1), folder, now=in_days(days))


@pytest.mark.parametrize("days", [3, 29, 365])
async def test_a_ledger_of_a_future_day_refuses_a_cap_of_a_day(
    image_api: ImageApi, tmp_path: Path, days: int
) -> None:
    """It names both days and the command that sets the ledger's right; nothing is sent."""
    await bought_with_a_wrong_clock(image_api, tmp_path, days)
    settings = painter(image_api, daily_usd="0.05")
    with pytest.raises(StageError) as caught:
        await run_stage(settings, scenes(2), tmp_path, now=in_days(0))

    assert "setting 'daily_usd'" in str(caught.value)
    assert str((NOW + timedelta(days=days)).date()) in str(caught.value)
    assert "2026-11-25" in str(caught.value)
    assert "resolve --day 2026-11-25" in (caught.value.hint or "")
    assert image_api.received() == 1


async def test_the_command_it_names_sets_it_right(image_api: ImageApi, tmp_path: Path) -> None:
    """Then the day's cap is that day's, and what the wrong day was charged stays with it."""
    await bought_with_a_wrong_clock(image_api, tmp_path, 30)
    settings = painter(image_api, daily_usd="0.10")
    ran = stage3(tmp_path, "resolve", "--day", "2026-11-25")
    assert ran.returncode == 0, ran.stderr
    image_api.script(bills(0.05), bills(0.05))
    again = await run_stage(settings, scenes(4), tmp_path, now=in_days(0))

    assert [again.code(f"s0{number}") for number in (1, 2, 3)] == ["made"] * 3
    assert again.code("s04") == "budget"
    assert str(purchases(tmp_path)[0].day) == "2026-12-25"
    assert {str(one.day) for one in purchases(tmp_path)[1:]} == {"2026-11-25"}


@pytest.mark.parametrize("days, said", [(30, 1), (3, 1), (2, 0), (0, 0), (-9, 0)])
async def test_without_such_a_cap_it_is_said(
    image_api: ImageApi, tmp_path: Path, days: int, said: int
) -> None:
    """Two days may lie between two zones; more is somebody's wrong clock, told at the opening."""
    await bought_with_a_wrong_clock(image_api, tmp_path, days)
    async with opened(painter(image_api), tmp_path, now=in_days(0)) as stage:
        warnings = stage.warnings

    assert sum("the ledger's last day is" in warning for warning in warnings) == said


@pytest.mark.parametrize("days, anew", [(0, "2026-11-26 00:00"), (1, "2026-11-27 00:00")])
async def test_a_cap_of_a_day_says_when_it_really_begins_anew(
    image_api: ImageApi, tmp_path: Path, days: int, anew: str
) -> None:
    """Money counts for the ledger's day, which may be a day ahead of the clock."""
    await bought_with_a_wrong_clock(image_api, tmp_path, days)
    settings = painter(image_api, daily_usd="0.05")
    ran = await run_stage(settings, scenes(2), tmp_path, now=in_days(0))

    (reached,) = ran.named("budget.reached")
    failure = ran.outcomes["s02"].failure
    assert failure is not None
    assert f"it begins anew at {anew} UTC" in failure.message
    assert reached["resets_at"].startswith(anew.replace(" ", "T"))


def test_setting_the_day_keeps_what_was_there(tmp_path: Path) -> None:
    """In an event; a day that is not behind the last one changes nothing."""
    from tests.stage3.ledger.samples import DAY, NO_CAPS, new_purchase

    with Ledger.open(ledger_path(tmp_path)) as ledger, ledger.transaction():
        ledger.hold(new_purchase(), NO_CAPS, day=DAY + timedelta(days=9), now=NOW)
        before = ledger.last_event()
        assert ledger.set_day(DAY, now=NOW) == DAY + timedelta(days=9)
        assert ledger.last_event() == before + 1
        assert ledger.last_day() == DAY
        assert ledger.set_day(DAY, now=NOW) is None
        assert ledger.set_day(DAY + timedelta(days=9), now=NOW) is None
        assert ledger.last_event() == before + 1
        assert ledger.problems() == []
