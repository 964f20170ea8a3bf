"""What a plan says of each scene: what would become of it, what it shows, what keeps it back.

Apart from the stage, which opens the ledger for it, and from ``policy.plan``, which adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from stage3_plugin.domain.labels import labels_of
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest, why_unsendable
from stage3_plugin.domain.states import State
from stage3_plugin.engine.notices import Notices
from stage3_plugin.engine.route import Route
from stage3_plugin.engine.showing.references import SceneReferences, Unshown
from stage3_plugin.engine.showing.stale import Stale
from stage3_plugin.policy.plan import (
    Plan,
    PlannedState,
    Prospect,
    ScenePlan,
    plan_run,
    planned_references,
)
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase.forecast import Forecast
from stage3_plugin.purchase.other_endpoints import PaidElsewhere
from stage3_plugin.settings import Settings

_MADE = {Reuse.MAKE, Reuse.RESEND}


class Planning:
    """Foresees scenes, one after the other, and gathers what there is to say of them.

    Args:
        settings: What the user wants.
        route: Where the pictures would be made.
        forecast: What the ledger has.
        estimate: Returns what a picture may cost.
        notices: Gathers what would be left out, and replaced.

    Attributes:
        elsewhere: What was paid for at another endpoint, and would be bought again.
        stale: What was made with other references, and would be made anew.
        scenes: What there is to say of each scene.
        references: What scenes show, once it is known.
    """

    def __init__(
        self,
        settings: Settings,
        route: Route,
        forecast: Forecast,
        *,
        estimate: Callable[[PictureRequest], Estimate],
        notices: Notices,
    ) -> None:
        self._settings = settings
        self._route = route
        self._forecast = forecast
        self._estimate = estimate
        self._notices = notices
        self.elsewhere = PaidElsewhere(route.scope)
        self.stale = Stale()
        self.scenes: list[ScenePlan] = []
        self.references: SceneReferences | None = None
        self._problem: str | None = None
        self._replaces: Purchase | None = None

    def standing(
        self, request: PictureRequest, shown: PictureRequest | Unshown
    ) -> tuple[Picture | None, str]:
        """Return the picture of a scene that others show, or why none would come."""
        if isinstance(shown, Unshown):
            there = self._made_with_others(request) if shown.is_refused else None
            return (None, f"would not be made: {shown.why}") if there is None else _picture(there)
        keys = self._route.keys_of(shown)
        prospect = self._forecast.prospect(shown, keys)
        if prospect is Reuse.REUSE:
            return _picture(self._forecast.found(keys))
        if prospect is Reuse.UNDECIDED:
            return None, "waits for a decision, as it may have been paid for"
        unsendable = self._why_unsendable(shown)
        return None, "" if unsendable is None else f"would not be made: {unsendable}"

    def is_kept(self, request: PictureRequest) -> bool:
        """Return whether a scene has a picture from before references were sent."""
        return self._forecast.bought_before(lambda: self._route.keys_of(request)) is not None

    def plan(
        self,
        requests: Iterable[PictureRequest],
        *,
        room_microusd: int | None,
        typical_s: float | None,
        capacity: int,
        day_microusd: Mapping[str, int],
    ) -> Plan:
        """Go through the requests; see :func:`~stage3_plugin.policy.plan.plan_run`."""
        references = self.references
        plan = plan_run(
            requests,
            prospect=self.prospect,
            estimate=self._estimate,
            room_microusd=room_microusd,
            typical_s=typical_s,
            capacity=capacity,
            day_microusd=day_microusd,
            wave_of=_in_one_wave if references is None else references.wave_of,
            note=self.note,
        )
        return replace(
            plan,
            stale=self.stale.count,
            scenes=tuple(self.scenes),
            warnings=(*self.elsewhere.warnings(), *self.stale.warnings()),
        )

    def prospect(self, request: PictureRequest) -> Prospect:
        """Return what would become of a scene, caps aside."""
        self._replaces = None
        prospect, self._problem = self._prospect_of(request)
        return prospect

    def note(self, request: PictureRequest, state: PlannedState, cost: Estimate | None) -> None:
        """Take a note of the scene that was asked for last, now that the caps were considered."""
        if cost is not None and self._replaces is not None:
            self.stale.add(request, self._replaces, cost)
        shows = self.references is not None and bool(request.wishes)
        if shows or request.is_sheet or state == "unsendable":
            high = None if cost is None else cost.high_microusd
            plan = self._scene_plan(request, self._problem)
            self.scenes.append(replace(plan, state=state, cost_high_microusd=high))

    def _prospect_of(self, request: PictureRequest) -> tuple[Prospect, str | None]:
        unsendable = self._why_unsendable(request)
        if unsendable is not None:
            return "unsendable", unsendable
        if self.references is not None and request.wishes:
            shown = self.references.show(request)
            if isinstance(shown, Unshown):
                return self._without_references(request, shown)
        return self._by_its_keys(request), None

    def _without_references(
        self, request: PictureRequest, unshown: Unshown
    ) -> tuple[Prospect, str]:
        """Return what becomes of a scene that cannot show what it names: its picture may stay."""
        if unshown.is_refused and self._made_with_others(request) is not None:
            return Reuse.REUSE, f"{unshown.why}; its picture is there and stays"
        return "unsendable", unshown.why

    def _by_its_keys(self, request: PictureRequest) -> Prospect:
        route, forecast = self._route, self._forecast
        keys = route.keys_of(request)
        prospect = forecast.prospect(request, keys)
        self._notices.look(
            request,
            will_be_made=lambda: prospect in _MADE,
            found=lambda: forecast.found(keys),
            is_bought_again=lambda: forecast.paid_elsewhere(keys) is not None,
        )
        if prospect is Reuse.MAKE and not route.is_here:
            purchase = forecast.paid_elsewhere(keys)
            if purchase is not None:
                self.elsewhere.add(purchase, self._estimate(request))
        if prospect is Reuse.REUSE:
            self._notices.earlier.add(request, forecast.ignored(keys))
        if prospect in _MADE and request.shown:
            self._replaces = self._made_with_others(request)
        return prospect

    def _made_with_others(self, request: PictureRequest) -> Purchase | None:
        bare = self._route.keys_of(replace(request, shown=()))
        return self._forecast.made_with_others(bare)

    def _why_unsendable(self, request: PictureRequest) -> str | None:
        return why_unsendable(
            request, max_pixels=self._settings.max_pixels, needs_prompt=self._route.needs_prompt
        )

    def _scene_plan(self, request: PictureRequest, problem: str | None) -> ScenePlan:
        references = self.references
        return ScenePlan(
            scene_id=request.scene_id,
            role="sheet" if request.is_sheet else "scene",
            model=request.model or request.provider,
            references=() if references is None else planned_references(request),
            labels=labels_of(request),
            dropped=self._route.dropped(request) if problem is None else (),
            waits_for=() if references is None else references.needs(request),
            problem=problem,
        )


def _picture(purchase: Purchase | None) -> tuple[Picture | None, str]:
    """Return a purchase's picture; one that a run has yet to take in is to come."""
    is_paid = purchase is not None and purchase.state is State.PAID
    return (purchase.picture if is_paid and purchase is not None else None), ""


def _in_one_wave(_request: PictureRequest) -> int:
    return 0
