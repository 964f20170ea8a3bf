"""Which day money counts for, decided so that no clock reopens a day that was spent.

Pure: the clocks are handed in. It knows time zones, days of 23 and 25 hours, and which of two
clocks to believe. Apart from the ledger, which only keeps the last day it saw and never goes back
behind it; what is decided here is when a new day may begin.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from stage3_plugin.errors import SettingsRefused

BELIEVED_LEAD = timedelta(minutes=10)
"""How far the wall clock may run ahead of the monotonic one and still be believed: more than any
correction of a healthy clock, and too little to gain anything by moving midnight."""


MOST_DAYS_AHEAD = 2
"""A ledger's last day may be so far ahead of a clock: two zones lie up to a day apart, and a run
may go on over midnight. Beyond that, one of the two clocks was wrong."""


def days_ahead(last_day: date | None, today: date) -> int:
    """Return by how many days a ledger is further ahead than any zone explains; 0 if it is not."""
    if last_day is None:
        return 0
    ahead = (last_day - today).days
    return ahead if ahead > MOST_DAYS_AHEAD else 0


class Calendar:
    """Today's date and when it ends, in one or more time zones.

    With several zones, as while a ledger changes from one to another, the earliest date is today:
    a day begins when it has begun everywhere.

    A wall clock that is set back keeps a day open for longer. That costs no money here, since
    the ledger goes on with the latest day it saw. A wall clock that is set forward opens no day,
    and neither does a machine that slept: its monotonic clock may have stood still meanwhile, and
    the next run, which believes the wall clock it starts with, finds the new day.
    """

    def __init__(
        self,
        zones: tuple[str, ...],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Begin to compare the clocks.

        Args:
            zones: Names from the IANA database, at least one.
            now: The wall clock, as aware datetimes.
            monotonic: A clock in seconds that is never set.

        Raises:
            SettingsRefused: A zone is not known here.
        """
        if not zones:
            raise ValueError("a calendar needs at least one time zone")
        self._zones = tuple(zone_named(name) for name in zones)
        self._now = now
        self._monotonic = monotonic
        self._started_at = now().astimezone(UTC)
        self._started_s = monotonic()

    def today(self) -> date:
        """Return the earliest date among the zones."""
        now = self._believed()
        return min(now.astimezone(zone).date() for zone in self._zones)

    def resets_at(self, day: date | None = None) -> datetime:
        """Return the moment at which a day ends in the last of the zones, in UTC.

        Args:
            day: The ledger's day, if that is ahead of today.
        """
        today = self.today()
        ends = today if day is None else max(today, day)
        return max(start_of(ends + timedelta(days=1), zone) for zone in self._zones)

    def _believed(self) -> datetime:
        """Return the wall clock's time, or the most that the monotonic clock allows for."""
        elapsed = timedelta(seconds=self._monotonic() - self._started_s)
        return min(self._now().astimezone(UTC), self._started_at + elapsed + BELIEVED_LEAD)


def zone_named(name: str) -> tzinfo:
    """Find a time zone by its IANA name.

    ``UTC`` is always there; the others come from the system or from the package ``tzdata``.

    Raises:
        SettingsRefused: There is no such zone, or no database of zones.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # Not found; a name that is no relative path; a folder of the database such as "America".
        raise SettingsRefused(
            "time_zone",
            f"{name[:40]!a} is not a time zone known on this machine",
            hint="use an IANA name such as 'Europe/Berlin' or 'UTC'; if the name is right, "
            "install the package 'tzdata'",
        ) from error


def start_of(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of a day.

    Where clocks skip midnight, the offset from before the change makes this the change itself;
    where they repeat it, it is the first one. Both are what ``fold=0`` means (PEP 495).
    """
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
