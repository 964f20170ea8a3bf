"""What a plan says of its lanes: what each costs and takes, and what cannot be had in it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from host_stub.contract import PlannedLane, PlannedLanes
from host_stub.text.escape import escaped
from host_stub.text.format import counted, dollars, duration, exact

_MOST_LINES: Final = 8
_LONGEST: Final = 200


def lanes_as_json(lanes: PlannedLanes | None) -> dict[str, Any] | None:
    """Return the lanes as plain JSON values; ``None`` where the plugin says nothing of any."""
    if lanes is None:
        return None
    return {
        "ordinary": _as_json(lanes.ordinary),
        "batch": None if lanes.batch is None else _as_json(lanes.batch),
    }


def goes_by_none(lanes: PlannedLanes) -> bool:
    """Return whether there are batches to go by, and nothing of a plan does."""
    return lanes.batch is not None and not lanes.batch.scenes


def lane_lines(lanes: PlannedLanes, *, left_out: int = 0) -> Iterator[str]:
    """Say both side by side, line by line; nothing where there is but one to go by.

    Args:
        lanes: What the plugin says of them.
        left_out: How many pictures a cap leaves out of the plan: they are in neither price.
    """
    if lanes.batch is None:
        return
    yield "lanes, each with all that is to make:"
    for name, lane in (("ordinary", lanes.ordinary), ("batch (--lane batch)", lanes.batch)):
        goes = f" ({counted(lane.scenes, 'picture')} by this plan)" if lane.scenes else ""
        cost = between(lane.cost_low_usd, lane.cost_high_usd)
        yield f"  {name}: {cost}, {_when(lane)}{goes}"
        yield from (f"    {escaped(one, limit=_LONGEST)}" for one in lane.cannot[:_MOST_LINES])
    if left_out:
        more = "" if lanes.batch.scenes else "; in a batch more may fit: plan with --lane batch"
        yield f"  left out by a cap, and in neither price: {left_out}{more}"


def _when(lane: PlannedLane) -> str:
    if lane.expected_s is not None:
        return time_in_words(lane.expected_s)
    if lane.within_s is not None:
        return f"within {duration(lane.within_s)}"
    return "time unknown"


def _as_json(lane: PlannedLane) -> dict[str, Any]:
    return {
        "scenes": lane.scenes,
        "cost_low_usd": exact(lane.cost_low_usd),
        "cost_high_usd": exact(lane.cost_high_usd),
        "expected_s": lane.expected_s,
        "within_s": lane.within_s,
        "cannot": list(lane.cannot),
    }


def time_in_words(expected_s: float | None) -> str:
    """Word an expected time; below a second it is no finer, since starting takes as long."""
    if expected_s is None:
        return "unknown"
    return "under a second" if expected_s < 1 else f"about {duration(expected_s)}"


def between(low_usd: Decimal | None, high_usd: Decimal | None) -> str:
    """Say a range of money whose ends may be unknown."""
    if low_usd is None and high_usd is None:
        return "unknown"
    if low_usd is None:
        return f"at most {dollars(high_usd)}"
    if high_usd is None:
        return f"at least {dollars(low_usd)}"
    low, high = dollars(low_usd), dollars(high_usd)
    return low if low == high else f"{low} to {high}"
