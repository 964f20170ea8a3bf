"""What a plan says of each scene: what would become of it, what it shows, what keeps it back.

Apart from the stage, which opens the ledger for it, and from ``policy.plan``, which adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from host_stub.contract import PlannedState, PlannedStep, ScenePlan, StagePlan
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import THIRD_PARTY_TIMES, Estimate, to_usd, usd_of
from stage3_plugin.domain.purchase import Limits, Purchase
from stage3_plugin.domain.request import PictureRequest, labels_of
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.lanes import LaneSums
from stage3_plugin.engine.notices import Known, Notices
from stage3_plugin.engine.showing.references import Unshown, is_awaiting
from stage3_plugin.engine.showing.stale import Stale
from stage3_plugin.engine.steps import Steps
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.ladder import FIRST, Step
from stage3_plugin.policy.plan import (
    MADE,
    Prospect,
    Sum,
    Tally,
    planned_references,
    told_of,
)
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase.forecast import UNSENDABLE, Forecast
from stage3_plugin.purchase.other_endpoints import PaidElsewhere
from stage3_plugin.purchase.pricing import Pricing
from stage3_plugin.purchase.takes import Takes

MOST_ADVICE = 20
"""Lines of a plan about what a provider will not take; a story may have thousands of scenes."""


@dataclass(slots=True, kw_only=True)
class _Way:
    """One of them: who is asked for which models, what it costs, and what is left out there."""

    provider: str
    models: dict[str | None, None] = field(default_factory=dict[str | None, None])
    cost: Sum = field(default_factory=Sum)
    dropped: dict[str, None] = field(default_factory=dict[str, None])


class Ways:
    """The ways in which scenes may be tried, and what they cost, added up as a plan goes by.

    Args:
        steps: Knows what is asked for at each.
        estimates: Return what a picture may cost, one for each route.
    """

    def __init__(
        self, steps: Steps, estimates: Sequence[Callable[[PictureRequest], Estimate]]
    ) -> None:
        self._steps = steps
        self._estimates = estimates
        self._ways: dict[Step, _Way] = {}
        self._of_third_parties: dict[tuple[str, str], None] = {}

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a picture may cost, whichever way it comes.

        One request is billed at most, and those that are refused before it, where the settings
        let a route be tried after that: then one at each of these.
        """
        each = self._of(request)
        if len(each) == 1:
            return each[FIRST]
        highs = list[int]()
        for route in range(len(self._estimates)):
            there = [one.high_microusd for step, one in each.items() if step.route == route]
            if None in there:
                highs.clear()
                break
            highs.append(max(high for high in there if high is not None))
        lows = [one.low_microusd for one in each.values()]
        known = [low for low in lows if low is not None]
        return Estimate(
            low_microusd=min(known) if len(known) == len(lows) else None,
            high_microusd=self._dearest(highs) if highs else None,
        )

    def _dearest(self, highs: Sequence[int]) -> int:
        after = self._steps.after_billed
        return max(
            high + sum(more for other, more in enumerate(highs) if after[other] and other != route)
            for route, high in enumerate(highs)
        )

    def _of(self, request: PictureRequest) -> dict[Step, Estimate]:
        found = dict[Step, Estimate]()
        for step in self._steps.ladder_of(request).all:
            asked = self._steps.request_at(request, step)
            found[step] = one = self._estimates[step.route](asked)
            if one.is_third_partys:
                self._of_third_parties[asked.provider, asked.model] = None
        return found

    def add(self, request: PictureRequest, *, pictures: int) -> None:
        """Count pictures of a request that would be made."""
        if len(self._steps.ladder_of(request).all) == 1:
            return
        for step, estimate in self._of(request).items():
            asked = self._steps.request_at(request, step)
            way = self._ways.setdefault(step, _Way(provider=asked.provider))
            way.models[asked.model or None] = None
            way.cost.add(estimate, pictures)
            way.dropped.update(dict.fromkeys(self._steps.routes[step.route].dropped(asked)))

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """Return them, in order; none where every picture has one."""
        return tuple(
            PlannedStep(
                provider=way.provider,
                model=next(iter(way.models)) if len(way.models) == 1 else None,
                prompt=step.prompt,
                scenes=way.cost.pictures,
                cost_high_usd=usd_of(way.cost.high_microusd),
                dropped=tuple(way.dropped),
            )
            for step, way in ((one, self._ways[one]) for one in sorted(self._ways))
        )

    def warnings(self) -> tuple[str, ...]:
        """Return a line for each model whose price is held higher, whether or not it would fit."""
        return tuple(
            f"the price of {model!r} at {provider!r} is by a third party: "
            f"{THIRD_PARTY_TIMES} times its upper figure is held"
            for provider, model in self._of_third_parties
        )

    @property
    def worst_usd(self) -> Decimal | None:
        """Return what it costs if all scenes go through all of them, and each is billed."""
        highs = [way.cost.high_microusd for way in self._ways.values()]
        known = [high for high in highs if high is not None]
        return to_usd(sum(known)) if highs and len(known) == len(highs) else None


class _Foreseen(NamedTuple):
    """What would become of a scene.

    Attributes:
        prospects: Of each of its takes, caps aside.
        problem: Why it is not made as it is asked for.
        replaces: Its picture with other references, which would be bought anew.
    """

    prospects: Sequence[Prospect]
    problem: str | None = None
    replaces: Purchase | None = None


class Planning:
    """Foresees scenes, one after the other, and gathers what there is to say of them.

    Args:
        asked: What is asked for.
        forecast: What the ledger has.
        ledger: To read; ``None`` if there is none yet.
        notices: Gathers what would be left out, and replaced.
        said_before: What the settings alone have led to, which is not said once more.

    Attributes:
        asked: The same.
        forecast: The same.
        takes: The pictures that there are.
        estimate: Returns what a picture may cost, whichever way it comes.
    """

    def __init__(
        self,
        asked: Asked,
        forecast: Forecast,
        ledger: Ledger | None,
        *,
        notices: Notices,
        said_before: tuple[str, ...],
    ) -> None:
        steps = asked.steps
        self.asked = asked
        self.forecast = forecast
        self.takes = Takes(ledger)
        self._ledger = ledger
        self._route = route = steps.routes[0]
        self._keys_of = steps.keys_of
        self._ways = Ways(steps, [Pricing(one, ledger).estimate for one in steps.routes])
        self.estimate = self._ways.estimate
        self._notices = notices
        self._said_before = said_before
        self._advice: dict[str, str] = {}
        self._elsewhere = PaidElsewhere(route)
        self._stale = Stale()
        self._scenes: list[ScenePlan] = []
        self._lanes = LaneSums(route, self.estimate)

    def why_none(self, request: PictureRequest, keys: Keys) -> str:
        """Return why a scene that others show, and that has no picture, would have none."""
        prospect = self.forecast.prospect(request, keys)
        if prospect is Reuse.REUSE:  # a run has yet to take it in
            return ""
        if prospect is Reuse.UNDECIDED:
            return "waits for a decision, as it may have been paid for"
        unsendable = self._route.why_not_made(request)
        return "" if unsendable is None else f"would not be made: {unsendable}"

    def plan(self, limits: Limits, *, capacity: int, fewer: str) -> StagePlan:
        """Go through all that is asked for; caps are reckoned as the run would.

        Args:
            limits: The caps.
            capacity: How many would be in flight.
            fewer: Why those are fewer than are wanted, if they are.
        """
        asked, forecast, ways = self.asked, self.forecast, self._ways
        routes = asked.steps.routes
        tally = Tally(forecast.room_microusd(limits))
        for request in asked:
            self._add(request, tally)
        plan = tally.plan(
            typical_s=forecast.typical_s(),
            capacity=capacity,
            day_microusd=forecast.day_microusd(),
        )
        plan = self._lanes.beside(plan, has_further_routes=len(routes) > 1)
        warnings = (
            *filter(None, (fewer,)),
            *self._elsewhere.warnings(),
            *self._stale.warnings(),
            *forecast.warnings(),
            *ways.warnings(),
            *(f"scene {scene_id!r}: {line}" for line, scene_id in self._advice.items()),
            *asked.told_beside_scenes,
            *asked.lanes.warnings_but(self._said_before),
            *self._notices.warnings(),
        )
        return plan.model_copy(
            update={
                "stale": self._stale.count,
                "steps": ways.steps,
                "cost_worst_usd": ways.worst_usd,
                "scenes": tuple(self._scenes),
                "warnings": warnings,
                "routes": tuple(one.planned for one in routes),
            }
        )

    def _add(self, request: PictureRequest, tally: Tally) -> None:
        """Foresee a scene, and take a note of it."""
        asked, route = self.asked, self._route
        foreseen = self._foreseen(request)
        is_made = not MADE.isdisjoint(foreseen.prospects)
        each = self.estimate(request) if is_made else None
        states = tally.add(
            foreseen.prospects, each, is_sheet=request.is_sheet, wave=asked.wave_of(request)
        )
        for line in route.advise(request):
            if line not in self._said_before and len(self._advice) < MOST_ADVICE:
                self._advice.setdefault(line, request.scene_id)
        made = states.count("make")
        if each is not None and made:
            self._ways.add(request, pictures=made)
            self._lanes.add(request, each, pictures=made)
            if foreseen.replaces is not None:
                self._stale.add(request, foreseen.replaces, each)
        is_told = asked.shows(request) or request.is_sheet or "unsendable" in states
        if is_told or not route.is_here:
            high = each.high_microusd if each is not None and made else None
            cost_usd = usd_of(None if high is None else high * made)
            self._scenes.append(self._told(request, told_of(states), foreseen.problem, cost_usd))

    def _foreseen(self, request: PictureRequest) -> _Foreseen:
        unsendable = self._route.why_unsendable(request)
        if unsendable is not None:
            return _Foreseen(UNSENDABLE * request.takes, unsendable)
        shown = self.asked.show(request)
        if isinstance(shown, Unshown):
            more = UNSENDABLE * (request.takes - 1)
            if shown.is_refused and self.kept(request) is not None:  # its picture may stay
                return _Foreseen(
                    (Reuse.REUSE, *more), f"{shown.why}; its picture is there and stays"
                )
            return _Foreseen((*UNSENDABLE, *more), shown.why)
        return self._by_its_keys(request)

    def _by_its_keys(self, request: PictureRequest) -> _Foreseen:
        route, forecast = self._route, self.forecast
        keys = self._keys_of(request)
        wanted = 1 if is_awaiting(request) else self.asked.wanted_of(request, keys.scene_key)
        prospects = forecast.prospects(request, keys, wanted=max(request.takes, wanted))
        will_be_made = not MADE.isdisjoint(prospects)
        self._notices.look(request, Known(self._ledger, lambda: keys, foreseen=will_be_made))
        for take, prospect in enumerate(prospects, start=1):
            if prospect is Reuse.MAKE and not route.is_here:
                purchase = forecast.paid_elsewhere(keys.of_take(take))
                if purchase is not None:
                    self._elsewhere.add(purchase, self.estimate(request))
        is_anew = will_be_made and Reuse.REUSE not in prospects and bool(request.shown)
        return _Foreseen(
            prospects,
            route.refuse(request) if "unsendable" in prospects else None,
            self.kept(request) if is_anew else None,
        )

    def kept(self, request: PictureRequest) -> Purchase | None:
        """Return the picture of a scene with whatever references.

        It is not what the scene asks for now, so that a run buys that anew; but where a reference
        cannot be shown, nothing is bought and it stays.
        """
        bare = self._keys_of(replace(request, shown=()))
        return self.takes.with_others(bare)

    def _told(
        self,
        request: PictureRequest,
        state: PlannedState,
        problem: str | None,
        cost_usd: Decimal | None,
    ) -> ScenePlan:
        route, asked = self._route, self.asked
        return ScenePlan(
            scene_id=request.scene_id,
            role=request.role,
            model=request.model or request.provider,
            references=planned_references(request) if asked.shows(request) else (),
            labels=labels_of(request),
            dropped=route.dropped(request) if problem is None else (),
            prompt_sent=route.prompt_sent(request) if problem is None else None,
            waits_for=asked.needs(request),
            problem=problem,
            state=state,
            cost_high_usd=cost_usd,
        )
