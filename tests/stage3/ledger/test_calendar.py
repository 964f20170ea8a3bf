"""The calendar against clocks that are set, days that are short or long, and zones that differ."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.errors import SettingsRefused
from stage3_plugin.ledger.calendar import BELIEVED_LEAD, Calendar, zone_named
from tests.laws import tried

ZONES = (
    "UTC",
    "Africa/Cairo",  # changes at midnight
    "America/New_York",
    "America/St_Johns",
    "Asia/Beirut",  # likewise
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # changes by half an hour
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)
JUMPS = 2_000
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
"""Of eight years. Older changes of some zones fell on 00:01, and a date was repeated."""
STARTS = (
    datetime(2026, 3, 27, 12, tzinfo=UTC),  # before Berlin's day of 23 hours
    datetime(2026, 10, 23, 12, tzinfo=UTC),  # before its day of 25
    datetime(2026, 12, 31, 6, tzinfo=UTC),
)


@dataclass
class Clocks:
    """A wall clock that anybody can set, and one that only goes."""

    real: datetime
    wall_ahead: timedelta = timedelta()
    went_s: float = 0.0

    def now(self) -> datetime:
        return self.real + self.wall_ahead

    def monotonic(self) -> float:
        return 1_000.0 + self.went_s

    def go(self, step: timedelta) -> None:
        self.real += step
        self.went_s += step.total_seconds()

    def calendar(self, *zones: str) -> Calendar:
        return Calendar(zones, self.now, self.monotonic)


def first_moment_after(day: date, zone: str) -> datetime:
    """Find by search, to the second, when a zone's clocks first show a later date."""
    tz = ZoneInfo(zone)
    low = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=18)
    high = low + timedelta(hours=72)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(tz).date() > day:
            high = middle
        else:
            low = middle
    return high


@tried(20)
@given(
    start=st.sampled_from(STARTS),
    zone=st.sampled_from(ZONES),
    seed=st.integers(0, 2**32),
)
def test_no_jump_of_the_wall_clock_opens_a_day_early_or_a_spent_day_again(
    start: datetime, zone: str, seed: int
) -> None:
    """The ledger's day, the latest one told, is never left for an earlier one nor ahead of time.

    Each of the examples makes 2,000 jumps within some days around a change of the clocks.
    """
    chance = Random(seed)
    clocks = Clocks(start)
    calendar = clocks.calendar(zone)
    told: list[date] = []
    too_early: list[datetime] = []
    ledger_day = calendar.today()
    for _ in range(JUMPS):
        clocks.go(timedelta(seconds=chance.uniform(0, 400)))
        clocks.wall_ahead = timedelta(hours=chance.choice((0, 0, chance.uniform(-50, 50))))
        ledger_day = max(ledger_day, calendar.today())
        told.append(ledger_day)
        if ledger_day > (clocks.real + BELIEVED_LEAD).astimezone(ZoneInfo(zone)).date():
            too_early.append(clocks.real)

    assert told == sorted(told)
    assert too_early == []
    assert len(set(told)) > 3, "days must have passed, or nothing was shown"


@given(
    moment=st.integers(0, 8 * 366 * 86_400).map(lambda s: FIRST + timedelta(seconds=s)),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3),
)
def test_today_ends_when_a_later_date_has_begun_everywhere(
    moment: datetime, zones: list[str]
) -> None:
    """The moment of the reset is the first one at which another date is told."""
    clocks = Clocks(moment)
    calendar = clocks.calendar(*zones)
    today = calendar.today()

    resets_at = calendar.resets_at()
    clocks.go(resets_at - moment - timedelta(seconds=1))
    before = calendar.today()
    clocks.go(timedelta(seconds=1))

    assert resets_at.tzinfo is UTC
    assert resets_at > moment
    assert resets_at == max(first_moment_after(today, zone) for zone in zones)
    assert before == today
    assert calendar.today() > today


def test_a_wall_clock_ten_minutes_ahead_is_a_corrected_one() -> None:
    """Small corrections are believed, larger ones only as far as that."""
    clocks = Clocks(datetime(2026, 6, 1, 23, 45, tzinfo=UTC))
    calendar = clocks.calendar("UTC")

    clocks.wall_ahead = timedelta(hours=36)
    far_ahead = calendar.today()
    clocks.go(timedelta(minutes=5))
    as_far_as_believed = calendar.today()

    assert far_ahead == date(2026, 6, 1)
    assert as_far_as_believed == date(2026, 6, 2)


def test_a_new_run_believes_the_clock_it_starts_with() -> None:
    """After a machine has slept, whose monotonic clock stood still, the next run has the day."""
    clocks = Clocks(datetime(2026, 6, 1, 12, tzinfo=UTC))
    old = clocks.calendar("UTC")
    clocks.wall_ahead = timedelta(hours=20)

    assert old.today() == date(2026, 6, 1)
    assert clocks.calendar("UTC").today() == date(2026, 6, 2)


@pytest.mark.parametrize(
    "name",
    ["Europe/Atlantis", "America", "/etc/localtime", "../UTC", "", "a\0b", "Berlin\n", "x" * 300],
)
def test_an_unknown_zone_is_refused_by_the_setting_it_comes_from(name: str) -> None:
    """The message names ``time_zone`` and what to write there."""
    with pytest.raises(SettingsRefused, match="time_zone") as caught:
        zone_named(name)

    assert caught.value.field == "time_zone"
    assert "Europe/Berlin" in (caught.value.hint or "")


def test_utc_needs_no_database_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default works on a machine without one."""

    def nothing(name: str) -> ZoneInfo:
        raise KeyError(name)

    monkeypatch.setattr("stage3_plugin.ledger.calendar.ZoneInfo", nothing)

    assert zone_named("UTC") is UTC
