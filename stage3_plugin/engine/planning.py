"""What a plan says of each scene: what would become of it, what it shows, what keeps it back.

Apart from the stage, which opens the ledger for it, and from ``policy.plan``, which adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from host_stub.contract import PlannedState, PlannedStep, ScenePlan, StagePlan
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import THIRD_PARTY_TIMES, Estimate, to_usd, usd_of
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest, labels_of
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.lanes import LaneSums
from stage3_plugin.engine.notices import Notices
from stage3_plugin.engine.showing.references import SceneReferences, Unshown, is_to_come
from stage3_plugin.engine.showing.stale import Stale
from stage3_plugin.engine.steps import Steps
from stage3_plugin.policy.ladder import FIRST, Step
from stage3_plugin.policy.plan import (
    Prospect,
    Sum,
    plan_run,
    planned_references,
    told_of,
)
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase.forecast import UNSENDABLE, Forecast
from stage3_plugin.purchase.other_endpoints import PaidElsewhere
from stage3_plugin.purchase.takes import Takes

MOST_ADVICE = 20
"""Lines of a plan about what a provider will not take; a story may have thousands of scenes."""
_MADE = {Reuse.MAKE, Reuse.RESEND}


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

    def add(self, request: PictureRequest) -> None:
        """Count a picture that would be made."""
        if len(self._steps.ladder_of(request).all) == 1:
            return
        for step, estimate in self._of(request).items():
            asked = self._steps.request_at(request, step)
            way = self._ways.setdefault(step, _Way(provider=asked.provider))
            way.models[asked.model or None] = None
            way.cost.add(estimate)
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


class Planning:
    """Foresees scenes, one after the other, and gathers what there is to say of them.

    Args:
        asked: What is asked for.
        steps: By which steps, and where the pictures would be made.
        forecast: What the ledger has.
        takes: The pictures that there are.
        ways: Adds up what they may cost.
        notices: Gathers what would be left out, and replaced.
        said_before: What the settings alone have led to, which is not said once more.

    Attributes:
        forecast: The same.
        takes: The same.
        estimate: Returns what a picture may cost, whichever way it comes.
        elsewhere: What was paid for at another endpoint, and would be bought again.
        stale: What was made with other references, and would be made anew.
        scenes: What there is to say of each scene.
    """

    def __init__(
        self,
        asked: Asked,
        steps: Steps,
        forecast: Forecast,
        *,
        takes: Takes,
        ways: Ways,
        notices: Notices,
        said_before: tuple[str, ...],
    ) -> None:
        self._asked = asked
        self.takes = takes
        self._route = route = steps.routes[0]
        self._keys_of = steps.keys_of
        self.forecast = forecast
        self._ways = ways
        self.estimate = ways.estimate
        self._notices = notices
        self._said_before = said_before
        self._advice: dict[str, str] = {}
        self.elsewhere = PaidElsewhere(route)
        self.stale = Stale()
        self.scenes: list[ScenePlan] = []
        self._lanes = LaneSums(route, ways.estimate)
        self._has_further_routes = len(steps.routes) > 1
        self._problem: str | None = None
        self._replaces: Purchase | None = None

    @property
    def references(self) -> SceneReferences | None:
        """Return what scenes show, once it is known."""
        return self._asked.references

    def why_none(self, request: PictureRequest, keys: Keys) -> str:
        """Return why a scene that others show, and that has no picture, would have none."""
        prospect = self.forecast.prospect(request, keys)
        if prospect is Reuse.REUSE:  # a run has yet to take it in
            return ""
        if prospect is Reuse.UNDECIDED:
            return "waits for a decision, as it may have been paid for"
        unsendable = self._route.why_not_made(request)
        return "" if unsendable is None else f"would not be made: {unsendable}"

    def plan(
        self,
        requests: Iterable[PictureRequest],
        *,
        room_microusd: int | None,
        typical_s: float | None,
        capacity: int,
        day_microusd: Mapping[str, int],
    ) -> StagePlan:
        """Go through the requests; see :func:`~stage3_plugin.policy.plan.plan_run`."""
        references = self.references
        plan = plan_run(
            requests,
            prospects=self.prospects,
            estimate=self.estimate,
            room_microusd=room_microusd,
            typical_s=typical_s,
            capacity=capacity,
            day_microusd=day_microusd,
            wave_of=_in_one_wave if references is None else references.wave_of,
            note=self.note,
        )
        plan = self._lanes.beside(plan, has_further_routes=self._has_further_routes)
        return plan.model_copy(
            update={
                "stale": self.stale.count,
                "steps": self._ways.steps,
                "cost_worst_usd": self._ways.worst_usd,
                "scenes": tuple(self.scenes),
                "warnings": (
                    *self.elsewhere.warnings(),
                    *self.stale.warnings(),
                    *self.forecast.warnings(),
                    *self._ways.warnings(),
                    *(f"scene {scene_id!r}: {line}" for line, scene_id in self._advice.items()),
                ),
            }
        )

    def prospects(self, request: PictureRequest) -> Sequence[Prospect]:
        """Return what would become of each take of a scene, caps aside."""
        self._replaces = None
        prospects, self._problem = self._prospects_of(request)
        return prospects

    def note(
        self, request: PictureRequest, states: Sequence[PlannedState], cost: Estimate | None
    ) -> None:
        """Take a note of the scene that was asked for last, now that the caps were considered."""
        for line in self._route.advise(request):
            if line not in self._said_before and len(self._advice) < MOST_ADVICE:
                self._advice.setdefault(line, request.scene_id)
        made = states.count("make")
        for _ in range(made):
            self._ways.add(request)
        if cost is not None:
            self._lanes.add(request, cost, pictures=made)
        if cost is not None and self._replaces is not None:
            self.stale.add(request, self._replaces, cost)
        shows = self.references is not None and bool(request.wishes)
        if shows or request.is_sheet or "unsendable" in states or not self._route.is_here:
            each = None if cost is None else cost.high_microusd
            high = None if each is None else each * made
            self.scenes.append(self._scene_plan(request, told_of(states), high))

    def _prospects_of(self, request: PictureRequest) -> tuple[Sequence[Prospect], str | None]:
        unsendable = self._route.why_unsendable(request)
        if unsendable is not None:
            return UNSENDABLE * request.takes, unsendable
        if self.references is not None and request.wishes:
            shown = self.references.show(request)
            if isinstance(shown, Unshown):
                first, why = self._without_references(request, shown)
                return (first, *UNSENDABLE * (request.takes - 1)), why
        prospects = self._by_its_keys(request)
        return prospects, self._route.refuse(request) if "unsendable" in prospects else None

    def _without_references(
        self, request: PictureRequest, unshown: Unshown
    ) -> tuple[Prospect, str]:
        """Return what becomes of a scene that cannot show what it names: its picture may stay."""
        if unshown.is_refused and self.kept(request) is not None:
            return Reuse.REUSE, f"{unshown.why}; its picture is there and stays"
        return "unsendable", unshown.why

    def _by_its_keys(self, request: PictureRequest) -> Sequence[Prospect]:
        route, forecast = self._route, self.forecast
        keys = self._keys_of(request)
        is_known = not any(map(is_to_come, request.shown))
        wanted = self._asked.wanted_of(request, keys.scene_key) if is_known else 1
        wanted = max(request.takes, wanted)
        prospects = forecast.prospects(request, keys, wanted=wanted)
        will_be_made = not _MADE.isdisjoint(prospects)
        self._notices.look(
            request,
            will_be_made=lambda: will_be_made,
            found=lambda: forecast.found(keys),
            is_bought_again=lambda: forecast.paid_elsewhere(keys) is not None,
        )
        for take, prospect in enumerate(prospects, start=1):
            if prospect is Reuse.MAKE and not route.is_here:
                purchase = forecast.paid_elsewhere(keys.of_take(take))
                if purchase is not None:
                    self.elsewhere.add(purchase, self.estimate(request))
        if will_be_made and Reuse.REUSE not in prospects and request.shown:
            self._replaces = self.kept(request)
        return prospects

    def kept(self, request: PictureRequest) -> Purchase | None:
        """Return the picture of a scene with whatever references.

        It is not what the scene asks for now, so that a run buys that anew; but where a reference
        cannot be shown, nothing is bought and it stays.
        """
        bare = self._keys_of(replace(request, shown=()))
        return self.takes.with_others(bare)

    def _scene_plan(
        self, request: PictureRequest, state: PlannedState, high_microusd: int | None
    ) -> ScenePlan:
        references, problem = self.references, self._problem
        return ScenePlan(
            scene_id=request.scene_id,
            role=request.role,
            model=request.model or request.provider,
            references=() if references is None else planned_references(request),
            labels=labels_of(request),
            dropped=self._route.dropped(request) if problem is None else (),
            prompt_sent=self._route.prompt_sent(request) if problem is None else None,
            waits_for=() if references is None else references.needs(request),
            problem=problem,
            state=state,
            cost_high_usd=usd_of(high_microusd),
        )


def _in_one_wave(_request: PictureRequest) -> int:
    return 0
