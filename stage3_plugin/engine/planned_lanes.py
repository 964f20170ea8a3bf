"""What pictures cost and take in either lane, side by side, added up as a plan goes by.

Each picture is counted in both, whichever it goes by: so a person sees what the other would be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from host_stub.contract import Lane
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.route import Route
from stage3_plugin.policy.plan import Plan, PlannedLane

_LATER: Final = "no picture comes before its batch has ended: a later run takes it in"
_ONCE: Final = "what a batch does not bring is tried again by a later run, not by the same one"
_BEHIND: Final = "what waits for another's picture goes in a later batch, by a later run"
_BEFORE_THE_LADDER: Final = "no further route is tried before the batch has ended"


class PlannedLanes:
    """Both lanes of a plan.

    Args:
        route: The first one.
        estimate: Returns what a picture may cost in the lane of its request, whichever way it
            comes.
    """

    def __init__(self, route: Route, estimate: Callable[[PictureRequest], Estimate]) -> None:
        self._route = route
        self._estimate = estimate
        names: tuple[Lane, ...] = ("ordinary", "batch") if route.batch else ("ordinary",)
        self._lanes: dict[Lane, PlannedLane] = {}
        if not route.is_free:
            self._lanes = {name: PlannedLane() for name in names}
        self._dropped: dict[Lane, dict[str, None]] = {name: {} for name in names}
        self._seen = set[tuple[object, ...]]()

    def add(self, request: PictureRequest, cost: Estimate, *, pictures: int) -> None:
        """Count pictures of a request that would be made.

        Args:
            request: As it would be bought.
            cost: What one may cost so.
            pictures: How many of it.
        """
        for name, lane in self._lanes.items():
            is_its_own = request.lane == name
            asked = request if is_its_own else replace(request, lane=name)
            each = cost if is_its_own else self._estimate(asked)
            self._lanes[name] = lane.with_more(pictures, each, go_by_it=is_its_own)
            if (kind := (name, *_wishes_of(request))) not in self._seen:
                self._seen.add(kind)
                self._dropped[name].update(dict.fromkeys(self._route.dropped(asked)))

    def beside(self, plan: Plan, *, has_further_routes: bool = False) -> Plan:
        """Return a plan with them; of what goes by a batch nobody knows how long it takes."""
        ordinary, batch = self._lanes.get("ordinary"), self._lanes.get("batch")
        if ordinary is None:
            return plan
        ordinary = replace(ordinary, expected_s=plan.expected_s, cannot=self._left_out("ordinary"))
        if batch is None or self._route.batch is None:
            return replace(plan, ordinary=ordinary)
        waves = min(plan.make, max(1, len(plan.waves)))
        behind = (_BEHIND,) if len(plan.waves) > 1 else ()
        ladder = (_BEFORE_THE_LADDER,) if has_further_routes else ()
        batch = replace(
            batch,
            within_s=self._route.batch.terms.within_s * waves,
            cannot=(_LATER, _ONCE, *behind, *ladder, *self._left_out("batch")),
        )
        expected_s = None if batch.scenes else plan.expected_s
        return replace(plan, ordinary=ordinary, batch=batch, expected_s=expected_s)

    def _left_out(self, lane: Lane) -> tuple[str, ...]:
        dropped = ", ".join(self._dropped[lane])
        return (f"these wishes are left out: {dropped}",) if dropped else ()


def _wishes_of(request: PictureRequest) -> tuple[object, ...]:
    """Return what decides which wishes of a request are left out; its words do not."""
    return (
        request.model,
        request.quality,
        request.size,
        request.output_format,
        request.background,
        request.seed is None,
        request.negative_prompt is None,
        bool(request.unsaid_tags),
        request.is_without_characters,
        len(request.shown),
        len(request.wishes),
        len(request.references),
    )
