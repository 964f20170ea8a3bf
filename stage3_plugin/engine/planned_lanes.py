"""What pictures cost and take in either lane, side by side, added up as a plan goes by.

Each picture is counted in both, whichever it goes by: so a person sees what the other would be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from host_stub.contract import Lane, PlannedLane, PlannedLanes, StagePlan
from stage3_plugin.domain.money import Estimate, usd_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.notices import wishes_of
from stage3_plugin.policy.plan import Sum

_LATER: Final = "no picture comes before its batch has ended: a later run takes it in"
_ONCE: Final = "what a batch does not bring is tried again by a later run, not by the same one"
_BEHIND: Final = "what waits for another's picture goes in a later batch, by a later run"
_BEFORE_THE_LADDER: Final = "no further route is tried before the batch has ended"


class LaneSums:
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
        self._sums: dict[Lane, Sum] = {name: Sum() for name in (() if route.is_here else names)}
        self._going_by = Counter[Lane]()
        self._dropped: dict[Lane, dict[str, None]] = {name: {} for name in names}
        self._seen = set[tuple[object, ...]]()

    def add(self, request: PictureRequest, cost: Estimate, *, pictures: int) -> None:
        """Count pictures of a request that would be made.

        Args:
            request: As it would be bought.
            cost: What one may cost so.
            pictures: How many of it.
        """
        self._going_by[request.lane] += pictures
        for name, lane in self._sums.items():
            is_its_own = request.lane == name
            asked = request if is_its_own else replace(request, lane=name)
            each = cost if is_its_own else self._estimate(asked)
            lane.add(each, pictures)
            if (kind := (name, *wishes_of(request))) not in self._seen:
                self._seen.add(kind)
                self._dropped[name].update(dict.fromkeys(self._route.dropped(asked)))

    def beside(self, plan: StagePlan, *, has_further_routes: bool = False) -> StagePlan:
        """Return a plan with them; of what goes by a batch nobody knows how long it takes."""
        if not self._sums:
            return plan
        ordinary = self._planned("ordinary", expected_s=plan.expected_s)
        terms = self._route.batch
        if terms is None:
            return plan.model_copy(update={"lanes": PlannedLanes(ordinary=ordinary)})
        waves = min(plan.make, max(1, len(plan.waves)))
        behind = (_BEHIND,) if len(plan.waves) > 1 else ()
        ladder = (_BEFORE_THE_LADDER,) if has_further_routes else ()
        batch = self._planned(
            "batch", _LATER, _ONCE, *behind, *ladder, within_s=terms.within_s * waves
        )
        update: dict[str, object] = {"lanes": PlannedLanes(ordinary=ordinary, batch=batch)}
        if batch.scenes:
            update["expected_s"] = None
        return plan.model_copy(update=update)

    def _planned(
        self,
        name: Lane,
        *cannot: str,
        expected_s: float | None = None,
        within_s: float | None = None,
    ) -> PlannedLane:
        lane = self._sums[name]
        return PlannedLane(
            scenes=self._going_by[name],
            cost_low_usd=usd_of(lane.low_microusd),
            cost_high_usd=usd_of(lane.high_microusd),
            expected_s=expected_s,
            within_s=within_s,
            cannot=(*cannot, *self._left_out(name)),
        )

    def _left_out(self, lane: Lane) -> tuple[str, ...]:
        dropped = ", ".join(self._dropped[lane])
        return (f"these wishes are left out: {dropped}",) if dropped else ()
