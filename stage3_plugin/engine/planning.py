"""What a plan says of each scene: what would become of it, what it shows, what keeps it back.

Apart from the stage, which opens the ledger for it, and from ``policy.plan``, which adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple

from host_stub.contract import (
    Lane,
    PlannedLane,
    PlannedLanes,
    PlannedStep,
    ScenePlan,
    StagePlan,
)
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.money import THIRD_PARTY_TIMES, Estimate, to_usd, usd_of
from stage3_plugin.domain.purchase import Limits, Purchase
from stage3_plugin.domain.request import PictureRequest, labels_of
from stage3_plugin.domain.route import why_unsendable
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.notices import Notices, wishes_of
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
from stage3_plugin.purchase.forecast import UNSENDABLE, Forecast, PaidElsewhere, Pricing
from stage3_plugin.purchase.takes import Takes

MOST_ADVICE = 20
"""Lines of a plan about what a provider will not take; a story may have thousands of scenes."""
_LATER: Final = "no picture comes before its batch has ended: a later run takes it in"
_ONCE: Final = "a later run, not this one, retries what a batch did not bring"
_BEHIND: Final = "what waits for another's picture goes in a later batch, by a later run"
_BEFORE_THE_LADDER: Final = "no further route is tried before the batch has ended"


@dataclass(slots=True)
class _Sums:
    """What would be made by one way, and is left out there, and the models that are asked."""

    cost: Sum = field(default_factory=Sum)
    models: dict[str | None, None] = field(default_factory=dict[str | None, None])
    dropped: dict[str, None] = field(default_factory=dict[str, None])


class Costs:
    """What pictures may cost, added up as a plan goes by.

    By the steps at which they may be tried; and in either lane, whichever each goes by, so that a
    person sees what the other would be.

    Args:
        steps: Knows what is asked for at each.
        estimates: Return what a picture may cost, one for each route.
    """

    def __init__(
        self, steps: Steps, estimates: Sequence[Callable[[PictureRequest], Estimate]]
    ) -> None:
        self._steps = steps
        self._estimates = estimates
        self._route = route = steps.routes[0]
        self._by_step: dict[Step, _Sums] = {}
        bought: tuple[Lane, ...] = ("ordinary", "batch") if route.batch else ("ordinary",)
        lanes: tuple[Lane, ...] = () if route.is_here else bought
        self._by_lane = {lane: _Sums() for lane in lanes}
        self._going_by = Counter[Lane]()
        self._seen = set[tuple[object, ...]]()
        self._of_third_parties: dict[tuple[str, str], None] = {}

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a picture may cost, whichever way it comes.

        One request is billed at most, and those that are refused before it, where the settings
        let a route be tried after that: then one at each of these.
        """
        each = self._of(request)
        if len(each) == 1:
            return each[FIRST]
        by_route = [
            _all_known(one.high_microusd for step, one in each.items() if step.route == route)
            for route in range(len(self._estimates))
        ]
        lows = _all_known(one.low_microusd for one in each.values())
        return Estimate(
            low_microusd=min(lows, default=None),
            high_microusd=self._dearest(list(map(max, by_route))) if all(by_route) else None,
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

    def add(self, request: PictureRequest, cost: Estimate, *, pictures: int) -> None:
        """Count pictures of a request that would be made.

        Args:
            request: As it would be bought.
            cost: What one may cost so.
            pictures: How many of it.
        """
        if len(self._steps.ladder_of(request).all) > 1:
            for step, estimate in self._of(request).items():
                asked = self._steps.request_at(request, step)
                sums = self._by_step.setdefault(step, _Sums())
                sums.models[asked.model or None] = None
                sums.cost.add(estimate, pictures)
                left_out = self._steps.routes[step.route].dropped(asked)
                sums.dropped.update(dict.fromkeys(left_out))
        self._going_by[request.lane] += pictures
        for lane, sums in self._by_lane.items():
            asked = request if request.lane == lane else replace(request, lane=lane)
            sums.cost.add(cost if asked is request else self.estimate(asked), pictures)
            if (kind := (lane, *wishes_of(request))) not in self._seen:
                self._seen.add(kind)
                sums.dropped.update(dict.fromkeys(self._route.dropped(asked)))

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """Return the steps, in order; none where every picture has one."""
        return tuple(
            PlannedStep(
                provider=self._steps.routes[step.route].endpoint.provider,
                model=next(iter(sums.models)) if len(sums.models) == 1 else None,
                prompt=step.prompt,
                scenes=sums.cost.pictures,
                cost_high_usd=usd_of(sums.cost.high_microusd),
                dropped=tuple(sums.dropped),
            )
            for step, sums in sorted(self._by_step.items())
        )

    def lanes(self, plan: StagePlan) -> dict[str, object]:
        """Return what a plan says of both lanes; how long a batch takes nobody knows."""
        if not self._by_lane:
            return {}
        ordinary, terms = self._lane("ordinary", expected_s=plan.expected_s), self._route.batch
        if terms is None:
            return {"lanes": PlannedLanes(ordinary=ordinary)}
        waves = min(plan.make, max(1, len(plan.waves)))
        behind = (_BEHIND,) if len(plan.waves) > 1 else ()
        ladder = (_BEFORE_THE_LADDER,) if len(self._estimates) > 1 else ()
        cannot = (_LATER, _ONCE, *behind, *ladder)
        batch = self._lane("batch", *cannot, within_s=terms.within_s * waves)
        lanes = {"lanes": PlannedLanes(ordinary=ordinary, batch=batch)}
        return {**lanes, "expected_s": None} if batch.scenes else {**lanes}

    def _lane(self, lane: Lane, *cannot: str, **times_s: float | None) -> PlannedLane:
        sums = self._by_lane[lane]
        if sums.dropped:
            cannot = (*cannot, f"these wishes are left out: {', '.join(sums.dropped)}")
        return PlannedLane(
            scenes=self._going_by[lane],
            cost_low_usd=usd_of(sums.cost.low_microusd),
            cost_high_usd=usd_of(sums.cost.high_microusd),
            cannot=cannot,
            **times_s,
        )

    def warnings(self) -> tuple[Warned, ...]:
        """Return a line for each model whose price is held higher, whether or not it would fit."""
        return tuple(
            coded(
                "third_party_price",
                f"the price of {model!r} at {provider!r} is by a third party: "
                f"{THIRD_PARTY_TIMES} times its upper figure is held",
            )
            for provider, model in self._of_third_parties
        )

    @property
    def worst_usd(self) -> Decimal | None:
        """Return what it costs if all scenes go through all of them, and each is billed."""
        highs = _all_known(sums.cost.high_microusd for sums in self._by_step.values())
        return to_usd(sum(highs)) if highs else None


def _all_known(amounts: Iterable[int | None]) -> list[int]:
    """Return amounts; none where one of them is not known."""
    found = list(amounts)
    return [] if None in found else [one for one in found if one is not None]


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


@dataclass(eq=False, repr=False)
class Planning:
    """Foresees scenes, one after the other, and gathers what there is to say of them.

    Args:
        asked: What is asked for.
        forecast: What the ledger has.
        ledger: To read; empty if there is none yet.
        notices: Gathers what would be left out, and replaced.
        said_before: What the settings alone have led to, which is not said once more.

    Attributes:
        asked: The same.
        forecast: The same.
        takes: The pictures that there are.
        estimate: Returns what a picture may cost, whichever way it comes.
    """

    asked: Asked
    forecast: Forecast
    ledger: Ledger
    _: KW_ONLY
    notices: Notices
    said_before: tuple[str, ...]

    def __post_init__(self) -> None:
        steps = self.asked.steps
        self.takes = Takes(self.ledger)
        self._route = route = steps.routes[0]
        self._keys_of = steps.keys_of
        self._costs = Costs(steps, [Pricing(one, self.ledger).estimate for one in steps.routes])
        self.estimate = self._costs.estimate
        self._advice: dict[str, str] = {}
        self._elsewhere = PaidElsewhere(route)
        self._stale = Stale()
        self._scenes: list[ScenePlan] = []

    def plan(self, limits: Limits, *, capacity: int, fewer: Warned | None) -> StagePlan:
        """Go through all that is asked for; caps are reckoned as the run would.

        Args:
            limits: The caps.
            capacity: How many would be in flight.
            fewer: Why those are fewer than are wanted, if they are.
        """
        asked, forecast, costs = self.asked, self.forecast, self._costs
        routes = asked.steps.routes
        tally = Tally(forecast.room_microusd(limits))
        for request in asked:
            self._add(request, tally)
        plan = tally.plan(
            typical_s=forecast.typical_s(),
            capacity=capacity,
            day_microusd=forecast.day_microusd(),
        )
        warnings: tuple[Warned, ...] = (
            *filter(None, (fewer,)),
            *self._elsewhere.warnings(),
            *self._stale.warnings(),
            *forecast.warnings(),
            *costs.warnings(),
            *(
                coded("model_limits", f"scene {scene_id!r}: {line}")
                for line, scene_id in self._advice.items()
            ),
            *asked.told_beside_scenes,
            *asked.lanes.warnings_but(self.said_before),
            *self.notices.warnings(),
        )
        return plan.model_copy(
            update={
                **costs.lanes(plan),
                "stale": self._stale.count,
                "steps": costs.steps,
                "cost_worst_usd": costs.worst_usd,
                "scenes": tuple(self._scenes),
                "warnings": warnings,
                "routes": tuple(one.planned for one in routes),
            }
        )

    def _add(self, request: PictureRequest, tally: Tally) -> None:
        """Foresee a scene, and take a note of it."""
        references, route = self.asked.references, self._route
        foreseen = self._foreseen(request)
        is_made = not MADE.isdisjoint(foreseen.prospects)
        each = self.estimate(request) if is_made else None
        states = tally.add(
            foreseen.prospects,
            each,
            is_sheet=request.is_sheet,
            wave=references.wave_of(request),
        )
        for line in route.advise(request):
            said = coded("model_limits", line)
            if said not in self.said_before and len(self._advice) < MOST_ADVICE:
                self._advice.setdefault(line, request.scene_id)
        made = states.count("make")
        if each is not None and made:
            self._costs.add(request, each, pictures=made)
            if foreseen.replaces is not None:
                self._stale.add(request, foreseen.replaces, each)
        is_told = references.shows(request) or request.is_sheet or "unsendable" in states
        if is_told or not route.is_here:
            high = each.high_microusd if each is not None and made else None
            problem = foreseen.problem
            self._scenes.append(
                ScenePlan(
                    scene_id=request.scene_id,
                    role=request.role,
                    model=request.model or request.provider,
                    references=planned_references(request) if references.shows(request) else (),
                    labels=labels_of(request),
                    dropped=route.dropped(request) if problem is None else (),
                    prompt_sent=route.prompt_sent(request) if problem is None else None,
                    waits_for=references.needs(request),
                    problem=problem,
                    state=told_of(states),
                    cost_high_usd=usd_of(None if high is None else high * made),
                )
            )

    def _foreseen(self, request: PictureRequest) -> _Foreseen:
        unsendable = why_unsendable(self._route, request)
        if unsendable is not None:
            return _Foreseen(UNSENDABLE * request.takes, unsendable)
        shown = self.asked.references.show(request)
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
        self.notices.look(request, foreseen=will_be_made)
        for take, prospect in enumerate(prospects, start=1):
            if prospect is Reuse.MAKE and not route.is_here:
                estimate = partial(self.estimate, request)
                self._elsewhere.look(forecast.ledger, keys.of_take(take), estimate)
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
