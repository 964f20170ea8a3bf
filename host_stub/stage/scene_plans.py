"""What a plan says of single scenes and of lanes: what is sent along, to whom, in which order.

A long story is shown in its first scenes, those that would not be made before all others; the JSON
has all of them.

Of its lanes it says what each costs and takes, and what cannot be had in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from host_stub.contract import (
    PlannedLane,
    PlannedLanes,
    PlannedReference,
    PlannedRoute,
    PlanWave,
    ScenePlan,
    StagePlan,
)
from host_stub.text.addresses import in_text, in_value
from host_stub.text.escape import escaped
from host_stub.text.format import counted, dollars, duration, exact

MOST_SHOWN: Final = 20
"""Scenes of one kind, or waves, that are shown."""
_MOST_REFERENCES: Final = 20
_LONGEST: Final = 80
_LONGEST_TEXT: Final = 1_000
"""Characters; a hint stands at a problem's end."""


def scene_lines(stage: StagePlan) -> Iterator[str]:
    """Say in which order pictures are made, which are not, and what is sent with the others."""
    yield from _in_waves(stage.waves)
    kinds: dict[str, list[ScenePlan]] = {title: [] for title in _SAY}
    for one in stage.scenes:
        title = _title(one)
        if title is not None:
            kinds[title].append(one)
    for title, scenes in kinds.items():
        yield from _block(title, map(_SAY[title], scenes), len(scenes))


def route_lines(routes: Sequence[PlannedRoute]) -> Iterator[str]:
    """Say where pictures would be made, where that is more than a config's ``provider`` says."""
    if len(routes) > 1 or any(one.options for one in routes):
        for number, one in enumerate(routes[:MOST_SHOWN]):
            yield f"  {'asked of' if number == 0 else 'then of'} {_route(one)}"


def _route(one: PlannedRoute) -> str:
    who = one.provider if one.model is None else f"{one.provider}, {one.model}"
    options = ", ".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in in_value(one.options).items()
    )
    told = f", with {escaped(options, limit=_LONGEST_TEXT)}" if options else ""
    return f"{escaped(who, limit=_LONGEST)}{told}"


def routes_as_json(routes: Sequence[PlannedRoute]) -> list[dict[str, Any]]:
    """Return the same as plain JSON values."""
    return [one.model_dump(mode="json") | {"options": in_value(one.options)} for one in routes]


def scenes_as_json(stage: StagePlan) -> dict[str, Any]:
    """Return the same as plain JSON values; money is a decimal string, unknown is ``null``."""
    return {
        "sheets": stage.sheets,
        "stale": stage.stale,
        "waves": [
            {
                "scenes": wave.scenes,
                "cost_high_usd": exact(wave.cost_high_usd),
            }
            for wave in stage.waves
        ],
        "scene_plans": [_as_json(one) for one in stage.scenes],
    }


def _as_json(one: ScenePlan) -> dict[str, Any]:
    """Return one scene's plan; addresses stand in it as in all that may be read by others."""
    told = one.model_dump(mode="json")
    shortened = {key: in_value(told[key]) for key in ("references", "problem")}
    cost = exact(one.cost_high_usd)
    return told | shortened | {"cost_high_usd": cost}


def _in_waves(waves: Sequence[PlanWave]) -> Iterator[str]:
    if not waves:
        return
    yield f"in {counted(len(waves), 'wave')}, since some show the pictures of others:"
    for number, wave in enumerate(waves[:MOST_SHOWN], start=1):
        yield f"  {number}. {counted(wave.scenes, 'picture')}, {_at_most(wave.cost_high_usd)}"
    if len(waves) > MOST_SHOWN:
        yield f"  and {len(waves) - MOST_SHOWN} more"


def _block(title: str, parts: Iterator[Sequence[str]], count: int) -> Iterator[str]:
    if count:
        yield title
    for lines in islice(parts, MOST_SHOWN):
        yield from lines
    if count > MOST_SHOWN:
        yield f"  and {count - MOST_SHOWN} more; --json has all of them"


def _problem(one: ScenePlan) -> list[str]:
    return [f"  {_name(one)}: {escaped(in_text(one.problem or ''), limit=_LONGEST_TEXT)}"]


def _sent(one: ScenePlan) -> list[str]:
    """Say it in one line; the words in which a model is told of references are in the JSON."""
    to = "" if one.model is None else f", to {escaped(one.model, limit=_LONGEST)}"
    waits = f"; waits for {names_of(one.waits_for)}" if one.waits_for else ""
    left_out = f"; left out: {names_of(one.dropped)}" if one.dropped else ""
    return [f"  {_name(one)}{to}: {_references(one)}{waits}{left_out}"]


def _not_sent(one: ScenePlan) -> list[str]:
    return [f"  {_name(one)}: {_references(one)}"]


def _sheet(one: ScenePlan) -> list[str]:
    to = "" if one.model is None else f", to {escaped(one.model, limit=_LONGEST)}"
    usd = one.cost_high_usd
    return [f"  {escaped(one.scene_id, limit=_LONGEST)}{to}: {_at_most(usd)}"]


def _at_most(usd: Decimal | None) -> str:
    return f"{'' if usd is None else 'at most '}{dollars(usd)}"


def _title(one: ScenePlan) -> str | None:
    """Say under which heading a scene stands; under none, if nothing is sent for it."""
    if one.problem is not None:
        return _PROBLEM
    if one.state not in {"make", None}:
        return None
    if not one.references:
        return _SHEETS if one.role == "sheet" else None
    return _LEFT_OUT if "references" in one.dropped else _ALONG


_PROBLEM: Final = "these have a problem:"
_SHEETS: Final = "sheets, which are made first:"
_ALONG: Final = "what is sent along:"
_LEFT_OUT: Final = "references that are left out:"
_SAY: Final = {_PROBLEM: _problem, _SHEETS: _sheet, _ALONG: _sent, _LEFT_OUT: _not_sent}


def _references(one: ScenePlan) -> str:
    parts = [_reference(each) for each in one.references[:_MOST_REFERENCES]]
    if len(one.references) > _MOST_REFERENCES:
        parts.append(f"{len(one.references) - _MOST_REFERENCES} more")
    return ", ".join(parts) or "no references"


def _name(one: ScenePlan) -> str:
    name = escaped(one.scene_id, limit=_LONGEST)
    return f"sheet {name}" if one.role == "sheet" else name


def names_of(names: Sequence[str]) -> str:
    """Name the first few, and say how many more there are."""
    shown = [escaped(name, limit=_LONGEST) for name in names[:_MOST_REFERENCES]]
    more = len(names) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])


def _reference(one: PlannedReference) -> str:
    about = [one.role] if one.role else []
    about += ["as a copy"] if one.is_copy else []
    name = f" as {escaped(one.name, limit=_LONGEST)}" if one.name else ""
    said = f" ({', '.join(escaped(each, limit=_LONGEST) for each in about)})" if about else ""
    return f"{escaped(in_text(one.image), limit=_LONGEST)}{name}{said}"


_MOST_LINES: Final = 8
_LONGEST_LINE: Final = 200


def lanes_as_json(lanes: PlannedLanes | None) -> dict[str, Any] | None:
    """Return the lanes as plain JSON values; ``None`` where the plugin says nothing of any."""
    if lanes is None:
        return None
    return {
        "ordinary": _lane_as_json(lanes.ordinary),
        "batch": None if lanes.batch is None else _lane_as_json(lanes.batch),
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
    yield "price by lane, if all goes by it:"
    for name, lane in (("ordinary", lanes.ordinary), ("batch (--lane batch)", lanes.batch)):
        goes = f" ({counted(lane.scenes, 'picture')} by this plan)" if lane.scenes else ""
        cost = between(lane.cost_low_usd, lane.cost_high_usd)
        yield f"  {name}: {cost}, {_when(lane)}{goes}"
        yield from (f"    {escaped(one, limit=_LONGEST_LINE)}" for one in lane.cannot[:_MOST_LINES])
    if left_out:
        more = "" if lanes.batch.scenes else "; in a batch more may fit: plan with --lane batch"
        yield f"  left out by a cap, and not in these prices: {left_out}{more}"


def _when(lane: PlannedLane) -> str:
    if lane.expected_s is not None:
        return time_in_words(lane.expected_s)
    if lane.within_s is not None:
        return f"within {duration(lane.within_s)}"
    return "time unknown"


def _lane_as_json(lane: PlannedLane) -> dict[str, Any]:
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
