# ruff: noqa: S608 - put together from the table below, never from data
"""What a ledger's purchases have cost, added up by the database itself.

Apart from the book: it reads all of a ledger and is asked by people, never by a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, tzinfo
from typing import Final, Literal, NamedTuple, TypeAlias

from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.calendar import zone_named
from stage3_plugin.ledger.schema import words

Dimension: TypeAlias = Literal["day", "provider", "model", "story", "scene"]
Status: TypeAlias = Literal["known", "unknown", "in_work"]

DIMENSIONS: Final[tuple[Dimension, ...]] = ("day", "provider", "model", "story", "scene")
"""What spending is told apart by, in the order of the columns."""

_EARLIEST, _LATEST = "0000-01-01", "9999-12-31"
_NOTHING: Final = "CAST('' AS TEXT)"
_COLUMNS: Final[dict[Dimension, str]] = {
    "day": "day",
    "provider": "provider",
    "model": "model",
    "story": "coalesce(meta.value, '')",
    "scene": "scene_id",
}
_STATUSES: Final[dict[str, Status]] = {one: one for one in ("known", "unknown", "in_work")}


class Spent(NamedTuple):
    """What some purchases have cost together: those that are alike in all that was asked for.

    Attributes:
        day: The day their money counts for, ISO 8601, or its month; empty where not asked for, as
            with the others.
        provider: Who was asked.
        model: By which model.
        story: Whose they were: the folder of results of their run; empty where that is not known.
        scene: Which scene they were for.
        status: ``known``: what they cost, or what was held where no bill came with a picture;
            ``unknown``: nobody knows whether, or what, they were billed; ``in_work``: not settled.
        basis: How what is known is known; ``unknown`` where nobody knows what it cost and nothing
            was held for it, so that there is no most either.
        requests: How many there are.
        pictures: How many of them have a picture.
        microusd: What they count: their cost where it is known, what was held for them elsewhere.
        first_day: The first day of them, ISO 8601.
        last_day: The last one.
    """

    day: str
    provider: str
    model: str
    story: str
    scene: str
    status: Status
    basis: str
    requests: int
    pictures: int
    microusd: int
    first_day: str
    last_day: str


def spending(
    ledger: Ledger,
    by: Sequence[Dimension],
    *,
    since: date | None = None,
    until: date | None = None,
    by_month: bool = False,
) -> Iterator[Spent]:
    """Yield what was spent, sorted, with the statuses and bases of one group beside one another.

    What was never sent is left out; all others are in it once, so that the sum is what the ledger
    counts. Nothing is kept, however much there is.

    Args:
        ledger: It is read as it is at one moment.
        by: What to tell apart.
        since: The first day; all before it are left out.
        until: The last one.
        by_month: The month stands in the place of the day.

    Raises:
        LedgerFailed: It cannot be read.
    """
    statement = _statement(frozenset(by), by_month=by_month)
    first = _EARLIEST if since is None else since.isoformat()
    last = _LATEST if until is None else until.isoformat()
    for row in ledger.rows(statement, (first, last)):
        found = Spent._make(row)
        yield found._replace(status=_STATUSES[found.status])


def _statement(by: frozenset[Dimension], *, by_month: bool) -> str:
    columns = {one: _COLUMNS[one] if one in by else _NOTHING for one in DIMENSIONS}
    if by_month:
        columns["day"] = "substr(day, 1, 7)"
    told = ", ".join(f"{column} AS by_{one}" for one, column in columns.items())
    named = "LEFT JOIN meta ON meta.name = 'story:' || run_id" if "story" in by else ""
    groups = ", ".join(str(number) for number in range(1, len(DIMENSIONS) + 3))
    return f"""
SELECT {", ".join(f"by_{one}" for one in DIMENSIONS)}, status, how, count(*),
  count(*) FILTER (WHERE state = 'PAID'), CAST(sum(amount) AS BIGINT), min(day), max(day)
FROM (
  SELECT {told}, day, state, coalesce(cost_microusd, hold_microusd) AS amount,
    CASE
      WHEN state IN ({words({*OPEN, State.ACCEPTED})}) THEN 'in_work'
      WHEN cost_microusd IS NULL AND (state IN ('UNKNOWN', 'WROTE_OFF') OR hold_microusd = 0)
        THEN 'unknown'
      ELSE 'known'
    END AS status,
    CASE
      WHEN cost_microusd IS NOT NULL THEN basis
      WHEN state IN ('PAID', 'PAID_BAD') AND hold_microusd > 0 THEN 'held'
      WHEN hold_microusd = 0 AND state NOT IN ({words({*OPEN, State.ACCEPTED})}) THEN 'unknown'
      ELSE ''
    END AS how
  FROM purchases {named}
  WHERE state <> 'VOID' AND day >= ? AND day <= ?
) AS one
GROUP BY {groups} ORDER BY {groups}
"""


def zone_of(ledger: Ledger) -> tzinfo:
    """Return the time zone whose calendar a ledger's days are of.

    Raises:
        SettingsRefused: It is not known on this machine.
    """
    return zone_named(ledger.zone() or "UTC")
