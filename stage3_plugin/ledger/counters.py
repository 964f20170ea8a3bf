# ruff: noqa: S608 - put together from constants of the schema, never from data
"""The counters below the caps: what is held and spent in total, by a run, and on a day.

A counter is one row, changed by one guarded statement: either a hold fits under every cap, or
nothing is changed. The caller has begun a transaction that writes, so no other comes in between.
Apart from the book, because that a counter is the sum of its purchases is shown here alone.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.purchase import CapName, Limits, Sums
from stage3_plugin.ledger.engine import Execute, RuleBroken
from stage3_plugin.ledger.schema import IS_COUNTED

NO_LIMIT: Final = 2**63 - 1
"""The largest number of a database."""

_HOLD: Final = """
UPDATE counters SET committed_microusd = committed_microusd + ?1
WHERE scope IN (?2, ?3, ?4) AND 3 = (
  SELECT count(*) FROM counters
  WHERE scope IN (?2, ?3, ?4) AND committed_microusd + ?1 <=
    CASE scope WHEN ?2 THEN ?5 WHEN ?3 THEN ?6 ELSE ?7 END
)
"""
_MOVE: Final = (
    "UPDATE counters SET committed_microusd = committed_microusd + ?1 WHERE scope IN (?2, ?3, ?4)"
)
_BEGIN: Final = "INSERT INTO counters VALUES (?, 0), (?, 0), (?, 0) ON CONFLICT (scope) DO NOTHING"
_READ: Final = "SELECT scope, committed_microusd FROM counters WHERE scope IN (?, ?, ?)"
_OF_DAY: Final = (
    "SELECT scope, committed_microusd FROM counters WHERE scope >= 'day:' AND scope < 'day;' "
    "AND scope LIKE '%:' || ? ORDER BY scope"
)
_ALL: Final = "SELECT scope, committed_microusd FROM counters WHERE committed_microusd <> 0"
_ADDED_UP: Final = f"""
WITH counted AS (
  SELECT run_id, provider, day, coalesce(cost_microusd, hold_microusd) AS microusd
  FROM purchases WHERE {IS_COUNTED}
)
SELECT 'total' AS scope, CAST(sum(microusd) AS BIGINT) FROM counted
UNION ALL SELECT 'run:' || run_id, CAST(sum(microusd) AS BIGINT) FROM counted GROUP BY run_id
UNION ALL SELECT 'day:' || provider || ':' || day, CAST(sum(microusd) AS BIGINT) FROM counted
  GROUP BY provider, day
"""


class Scopes(NamedTuple):
    """The counters that one purchase adds to."""

    total: str
    run: str
    day: str


class TooMuch(NamedTuple):
    """The cap that a hold does not fit under, and what is committed under it."""

    cap: CapName
    limit_microusd: int
    committed_microusd: int


class CounterRefused(RuleBroken):
    """A counter did not take what it has to: nothing of the transaction may stay."""


def scopes_of(run_id: str, provider: str, day: str) -> Scopes:
    """Name the counters that a purchase adds to."""
    return Scopes("total", f"run:{run_id}", f"day:{provider}:{day}")


def hold(execute: Execute, scopes: Scopes, microusd: int, limits: Limits) -> TooMuch | None:
    """Add a hold to every counter if it fits under every cap, else to none.

    Returns:
        The cap that is in the way; the one with the least room if there are several.
    """
    caps = (limits.total_microusd, limits.budget_microusd, limits.daily_microusd)
    if microusd == 0 and caps == (None, None, None):
        return None
    bounds = [NO_LIMIT if cap is None else cap for cap in caps]
    guarded = (microusd, *scopes, *bounds)
    if execute(_HOLD, guarded).rowcount == len(scopes):
        return None
    too_much = _tightest(execute, scopes, microusd, limits)
    if too_much is None:  # then a counter is missing: the first purchase of a run, or of a day
        execute(_BEGIN, scopes)
        if execute(_HOLD, guarded).rowcount != len(scopes):
            raise CounterRefused("the counters do not hold the money")
    return too_much


def _tightest(execute: Execute, scopes: Scopes, microusd: int, limits: Limits) -> TooMuch | None:
    committed: dict[str, int] = dict(execute(_READ, scopes).fetchall())
    caps: tuple[tuple[CapName, str, int | None], ...] = (
        ("total_usd", scopes.total, limits.total_microusd),
        ("budget_usd", scopes.run, limits.budget_microusd),
        ("daily_usd", scopes.day, limits.daily_microusd),
    )
    over = [
        TooMuch(cap, limit, committed.get(scope, 0))
        for cap, scope, limit in caps
        if limit is not None and committed.get(scope, 0) + microusd > limit
    ]
    return min(over, key=lambda one: one.limit_microusd - one.committed_microusd, default=None)


def move(execute: Execute, scopes: Scopes, microusd: int) -> None:
    """Change every counter by what a settled purchase counts more or less than before."""
    if microusd == 0:
        return
    changed = (microusd, *scopes)
    if execute(_MOVE, changed).rowcount != len(scopes):
        # Nothing was held for it, so its counters may not have begun: take back, begin, repeat.
        execute(_MOVE, (-microusd, *scopes))
        execute(_BEGIN, scopes)
        if execute(_MOVE, changed).rowcount != len(scopes):
            raise CounterRefused("the counters do not take the change")


def sums(execute: Execute, *, run_id: str, provider: str, day: date) -> Sums:
    """Read what the counters say for a run, and for its provider on a day."""
    scopes = scopes_of(run_id, provider, day.isoformat())
    committed: dict[str, int] = dict(execute(_READ, scopes).fetchall())
    return Sums(
        total_microusd=committed.get(scopes.total, 0),
        run_microusd=committed.get(scopes.run, 0),
        day_microusd=committed.get(scopes.day, 0),
    )


def day_sums(execute: Execute, day: date) -> dict[str, int]:
    """Read what was held and spent on a day, by provider."""
    text = day.isoformat()
    rows = execute(_OF_DAY, (text,))
    return {
        scope.removeprefix("day:").removesuffix(f":{text}"): committed for scope, committed in rows
    }


def disagreements(execute: Execute) -> list[str]:
    """Return which counters are not the sum of their purchases, one in a line."""
    found: dict[str, int] = dict(execute(_ALL, ()).fetchall())
    added_up = {scope: total for scope, total in execute(_ADDED_UP, ()) if total}
    return [
        f"the counter {scope!r} says ${usd_text(found.get(scope, 0))}, but its purchases add up "
        f"to ${usd_text(added_up.get(scope, 0))}"
        for scope in sorted(found.keys() | added_up.keys())
        if found.get(scope, 0) != added_up.get(scope, 0)
    ]
