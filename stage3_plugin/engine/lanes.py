"""Which lane pictures are bought by: the scene's own, else the run's, else the settings'.

A provider without a batch lane is found before anything is sent. What is drawn here comes at once
and for nothing, so that no lane means anything: that is said, and hinders nothing, since the same
story is drawn first and bought later.

A plan adds up what pictures cost and take in either lane, side by side, whichever each goes by: so
a person sees what the other would be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from host_stub.contract import Lane, PlannedLane, PlannedLanes, StagePlan
from stage3_plugin.domain.money import Estimate, usd_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.notices import wishes_of
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.policy.plan import Sum
from stage3_plugin.settings import Settings

_LONGEST_ID: Final = 80
_LATER: Final = "no picture comes before its batch has ended: a later run takes it in"
_ONCE: Final = "what a batch does not bring is tried again by a later run, not by the same one"
_BEHIND: Final = "what waits for another's picture goes in a later batch, by a later run"
_BEFORE_THE_LADDER: Final = "no further route is tried before the batch has ended"


class Lanes:
    """The lanes of one run, plan or look.

    Args:
        settings: What the user wants.
        route: The first one; those behind it have no other lane than the ordinary one.
        lane: What holds instead of the settings' lane where a scene says none.
        buys: What is asked for is bought, or planned; a mere look refuses no scene's lane.
    """

    def __init__(
        self, settings: Settings, route: Route, lane: Lane | None, *, buys: bool = True
    ) -> None:
        self._buys = buys
        self._route = route
        self.lane: Lane = lane or settings.lane
        self._is_unused = route.is_here and self.lane == "batch"

    @property
    def needs_look(self) -> bool:
        """Return whether a scene's own lane may be one that there is not."""
        return self._buys and self._route.batch is None and not self._route.is_here

    def warnings_but(self, said: Collection[str]) -> tuple[str, ...]:
        """Say that a batch was asked for where nobody is paid; as far as scenes were seen."""
        if not self._is_unused:
            return ()
        unused = f"a lane is set, and {self._provider!r} has no use for it"
        line = f"{unused}: its pictures come at once, and for nothing"
        return () if line in said else (line,)

    def check(self) -> None:
        """Refuse a lane that the provider does not have.

        Raises:
            SettingsRefused: It has no batch lane, and one is asked for.
        """
        if self.lane == "batch" and self.needs_look:
            raise SettingsRefused(
                "lane",
                f"provider {self._provider!r} has no batch lane",
                hint=f"leave the lane out, or name a provider that has one: {_who_has_one()}",
            )

    def need(self, request: PictureRequest) -> None:
        """Refuse a scene's own lane, if the provider does not have it.

        Raises:
            SettingsRefused: It has no batch lane, and this scene asks for one.
        """
        if request.lane == "batch" and self.needs_look:
            scene_id = request.scene_id[:_LONGEST_ID]
            raise SettingsRefused(
                "lane",
                f"scene {scene_id!r} is to be bought in a batch, and provider {self._provider!r} "
                "has no batch lane",
                hint="take the lane out of the scene file, or name a provider that has one: "
                f"{_who_has_one()}",
            )

    def of(self, request: PictureRequest) -> PictureRequest:
        """Return a request in its lane: the ordinary one where there is no other."""
        if request.lane == "ordinary" or self._route.batch is not None:
            return request
        if self._route.is_here:
            self._is_unused = True
        return request if self.needs_look else replace(request, lane="ordinary")

    @property
    def _provider(self) -> str:
        return self._route.endpoint.provider


def _who_has_one() -> str:
    from stage3_plugin.providers.registry import in_batches  # noqa: PLC0415 - imports them all

    return ", ".join(in_batches())


class LaneSums:
    """Both lanes of a plan, added up.

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
