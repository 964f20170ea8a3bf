"""Moves a scene along its ladder, and knows what is sent at the step that it is at.

That is where it begins, what stood for it by another step, and which step follows. Apart from what
a scene is taken through, which is the same at every step. Which step follows which is
``policy.ladder``'s; here it is looked up how a step has ended, and a place is closed at which
nothing can be had.
"""

from __future__ import annotations

from dataclasses import replace

from host_stub.contract import Failure
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.made_from import made_from
from stage3_plugin.domain.money import Charge
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State
from stage3_plugin.engine.run_state import Place, RunContext
from stage3_plugin.engine.scene_state import SceneState
from stage3_plugin.engine.showing.stale import facts_of
from stage3_plugin.policy.ladder import FIRST, Ended, Step

MOST_SEED = 2**31 - 2
"""What every provider that takes a seed takes."""


class Stepping:
    """The ladders of one run's scenes.

    Args:
        run: What they are brought on with.
    """

    def __init__(self, run: RunContext) -> None:
        self._run = run

    def begin(self, scene: SceneState) -> None:
        """Find out the steps of a scene, if that was not done before; it may begin at a later one.

        So it does where runs before were billed for refusing its picture.
        """
        if scene.ladder is not None:
            return
        steps, spent = self._run.steps, frozenset[int]()
        if steps.may_follow_a_bill:
            made = self._run.checkout.billed_refusals(scene.wanted)
            found = (steps.step_of(scene.wanted, one.new) for one in made)
            spent = frozenset(step.route for step in found if step is not None)
        scene.ladder = steps.ladder_of(scene.wanted, spent=spent)
        if scene.at == FIRST and scene.ladder.first != FIRST:
            self._go_to(scene, scene.ladder.first)

    def turn_to(self, scene: SceneState, purchase: Purchase) -> None:
        """Let a scene be at the step that a purchase was made by, if it was one of its steps."""
        if not scene.has_steps:
            return
        step = self._run.steps.step_of(scene.wanted, purchase.new)
        if step is not None and step != scene.at:
            self._go_to(scene, step)

    def _go_to(self, scene: SceneState, step: Step) -> None:
        scene.go_to(step, self._run.steps.request_at(scene.wanted, step))

    def ended(
        self, scene: SceneState, attempt_id: str | None, failure: Failure, *, is_refusal: bool
    ) -> Ended:
        """Return how the step that a scene is at has ended; that of no purchase took no money."""
        state: State | None = State.VOID
        if attempt_id is not None:
            purchase = self._run.checkout.run_ledger.purchase(attempt_id)
            state = None if purchase is None else purchase.state
        return Ended(step=scene.at, state=state, is_refusal=is_refusal, cause=failure.cause)

    def step_on(self, scene: SceneState, ended: Ended, failure: Failure, cost: Charge) -> bool:
        """Let a scene go to its next step; return whether there is one."""
        following = None if scene.ladder is None else scene.ladder.after([*scene.ended, ended])
        if following is None or not self._run.state.is_going_on:
            return False
        request = self._run.steps.request_at(scene.wanted, following)
        if scene.attempts_here:
            self._run.reporter.stepped(scene, failure, cost, request)
        scene.step_on(ended, failure, following, request)
        return True

    def close(self, place: Place, failure: Failure) -> None:
        """Send nothing more to a place where nothing can be had; the last one ends the run."""
        if place.closed is None:
            asked = place.route.endpoint
            who = f"{asked.provider} {asked.model}"
            warn_of(f"{who} is not asked any more in this run: {failure.message}")
        place.closed = failure
        if all(one.closed is not None for one in self._run.places):
            self._run.state.stop(failure)

    def with_a_seed(self, scene: SceneState) -> PictureRequest:
        """Draw a seed where one before was refused for what came of it, and no person set one.

        One that is drawn for each request anyway, to find it by, is another one by itself. A seed
        of ours is in no key: the picture is the one that is wanted. Of several takes, each has a
        seed of its own, or all would be one; where they are drawn here, none is chance.
        """
        if scene.number > 1 and scene.seed is not None:
            return replace(scene.request, seed=scene.seed)
        if scene.number > 1 and self._run.place_of(scene).route.is_here:
            return replace(scene.request, seed=scene.number - 1)
        profile = self._run.place_of(scene).route.profile
        is_needed = scene.refused and scene.request.seed is None
        if not is_needed or profile is None or not profile.seed or profile.token_is_seed:
            return scene.request
        return replace(scene.request, seed=1 + int(self._run.draw() * MOST_SEED))

    def facts_of(self, scene: SceneState, request: PictureRequest) -> dict[str, str]:
        """Return what the ledger is to keep of the picture that comes of a scene's request."""
        wanted, steps = scene.request, self._run.steps
        keys = steps.keys_of(wanted, route=scene.at.route)
        own_key = keys.of_take(scene.number).scene_key
        basis = steps.basis_of(wanted)
        wish = made_from(wanted, key=keys.scene_key, basis=basis, own_key=own_key)
        is_drawn = scene.refused > 0 and request.seed != scene.seed
        return facts_of(request, wish, drawn=is_drawn)
