"""Turns what happened to a scene into its one outcome and the event that goes with it.

Apart from the run, which decides what happens: this module only puts it into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from host_stub.contract import Failure, FailureCode, SceneOutcome
from stage3_plugin.domain.made_from import generation_params
from stage3_plugin.domain.money import FREE, Charge, add_costs
from stage3_plugin.domain.picture import Picture, Placed
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.events import Telemetry
from stage3_plugin.engine.scene_state import SceneState, Waiting
from stage3_plugin.policy.retry import Again
from stage3_plugin.purchase import messages
from stage3_plugin.runtime.clock import clock

OFTEN_S, REPORTED_EVERY_S = 1.0, 30.0
"""What is looked for at shorter intervals than the first is reported at the second."""


class Reporter:
    """Reports every scene to the host, once.

    Args:
        telemetry: Takes the events.
        deliver: Takes the outcomes.
        took: Takes in how a scene ended, and its picture, where others show it; before that.
        url_of: Returns the address of a picture in the bucket of ``store``, if there is one.
        options: What is asked for at each route that only its provider has.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        deliver: Callable[[SceneOutcome], None],
        took: Callable[[SceneOutcome, Picture | None], None],
        *,
        url_of: Callable[[str], str | None],
        options: Sequence[Mapping[str, JsonValue]],
    ) -> None:
        self.telemetry = telemetry
        self._deliver = deliver
        self._took = took
        self._url_of = url_of
        self._options = options
        self._now = clock()

    def started(self, scene: SceneState, held: Held, *, base_url: str | None) -> None:
        """Report that a request starts, with the money that is held for it."""
        now = self._now()
        if not scene.was_started:
            scene.started_at = now
        scene.attempts += 1
        self.telemetry.started(
            scene.request,
            take=scene.take,
            attempt=scene.attempts,
            queued_s=now - scene.queued_at,
            held=held,
            base_url=base_url,
        )

    def stepped(
        self, scene: SceneState, failure: Failure, cost: Charge, to: PictureRequest
    ) -> None:
        """Report that a request was the last of its step, and its scene goes on to another one."""
        self.telemetry.retried(
            scene.request.scene_id,
            take=scene.take,
            attempt=scene.attempts,
            cause=failure.code,
            wait_s=0.0,
            cost=cost,
            message=f"{failure.message}; tried next: {to.provider} {to.model}".rstrip(),
            request_id=scene.request_id,
        )

    def retried(self, scene: SceneState, again: Again, cost: Charge, message: str) -> None:
        """Report that a request failed and its scene waits to go again."""
        self.telemetry.retried(
            scene.request.scene_id,
            take=scene.take,
            attempt=scene.attempts,
            cause=again.cause,
            wait_s=again.wait_s,
            cost=cost,
            message=message,
            request_id=scene.request_id,
            asked_for=again.is_asked_for,
        )

    def awaited(
        self,
        scene: SceneState,
        waiting: Waiting,
        cause: FailureCode,
        *,
        wait_s: float,
        left_s: float,
    ) -> None:
        """Report that a scene goes on waiting; now and then only, where it is looked for often."""
        now = self._now()
        is_often = wait_s < OFTEN_S or waiting.making is not None
        if is_often and now - waiting.reported_at < REPORTED_EVERY_S:
            return
        waiting.reported_at = now
        missing = waiting.not_here
        otherwise = _WAITS_FOR.get(cause, "bought, and not here yet")
        if waiting.making is not None:
            otherwise = messages.in_the_making(waiting.making)
        self.telemetry.awaited(
            scene.request.scene_id,
            take=scene.take,
            attempt=scene.attempts,
            cause=cause,
            waited_s=now - waiting.since,
            wait_s=wait_s,
            left_s=left_s,
            message=otherwise if missing is None else f"{missing.address}: {missing.problem}",
        )

    def made(
        self,
        scene: SceneState,
        placed: Placed,
        *,
        purchase_id: str,
        image_url: str | None,
        details: Mapping[str, str],
    ) -> None:
        """End a scene with its new picture."""
        outcome = self._outcome(
            scene,
            placed,
            details,
            purchase=purchase_id,
            image_url=image_url,
            dropped=scene.dropped,
            request_id=scene.request_id,
        )
        self._ended(scene, outcome, placed.picture)

    def reused(self, scene: SceneState, placed: Placed, purchase: Purchase) -> None:
        """End a scene with a picture that was there; requests it took in this run stay counted."""
        outcome = self._outcome(
            scene,
            placed,
            purchase.details,
            purchase=purchase.new.attempt_id,
            made_at=purchase.changed_at,
            image_url=purchase.image_url,
            dropped=purchase.dropped,
            reused=True,
            bought_for=purchase.counted_cost.told,
            request_id=purchase.request_id,
        )
        if scene.was_started:
            self._ended(scene, outcome, placed.picture)
        else:
            self.telemetry.reused(outcome)
            self._hand_over(outcome, placed.picture)

    def _outcome(
        self, scene: SceneState, placed: Placed, details: Mapping[str, str], **more: Any
    ) -> SceneOutcome:
        """Return the outcome of a scene that has a picture; ``more`` are the contract's fields."""
        picture = placed.picture
        return SceneOutcome(
            scene_id=scene.request.scene_id,
            role=scene.request.role,
            take=scene.take,
            image=placed.path,
            sha256=picture.sha256,
            media_type=picture.media_type,
            width=picture.width_px,
            height=picture.height_px,
            store_url=self._url_of(picture.sha256),
            basis=scene.basis,
            generation_params=self._params(scene, picture, details),
            attempts=scene.attempts,
            duration_s=self._now() - scene.started_at if scene.was_started else 0.0,
            cost=add_costs(scene.costs).told,
            steps=scene.all_steps(None),
            **more,
        )

    def waits(self, scene: SceneState, waits_for: tuple[str, ...]) -> None:
        """Report that a scene waits for the pictures of others."""
        self.telemetry.waiting(scene.request.scene_id, waits_for, take=scene.take)

    def failed(
        self, scene: SceneState, failure: Failure, *, waits_for: tuple[str, ...] = ()
    ) -> None:
        """End a scene without a picture; ``waits_for`` names those whose pictures it lacks."""
        request = scene.request
        if not scene.was_started:
            self.telemetry.skipped(request.scene_id, failure, waits_for, take=scene.take)
            skipped = SceneOutcome(
                scene_id=request.scene_id,
                role=request.role,
                take=scene.take,
                failure=failure,
                cost=FREE.told,
            )
            self._hand_over(skipped, None)
            return
        outcome = SceneOutcome(
            scene_id=request.scene_id,
            role=request.role,
            take=scene.take,
            failure=failure,
            attempts=scene.attempts,
            duration_s=self._now() - scene.started_at,
            cost=add_costs(scene.costs).told,
            dropped=scene.dropped,
            request_id=scene.request_id,
            steps=scene.all_steps(failure),
        )
        self._ended(scene, outcome, None)

    def _params(
        self, scene: SceneState, picture: Picture, details: Mapping[str, str]
    ) -> dict[str, object]:
        """Return what a scene's picture was made with, and by which of several routes."""
        params = generation_params(scene.request, picture, details)
        if scene.seed is not None:
            params["seed"] = scene.seed
        options = self._options[scene.at.route]
        if options:
            params["options"] = dict(options)
        has_several = scene.ladder is not None and len(scene.ladder.after_billed) > 1
        return params | ({"route": scene.at.route + 1} if has_several else {})

    def _ended(self, scene: SceneState, outcome: SceneOutcome, picture: Picture | None) -> None:
        self.telemetry.ended(outcome, scene.costs[-1] if scene.costs else None)
        self._hand_over(outcome, picture)

    def _hand_over(self, outcome: SceneOutcome, picture: Picture | None) -> None:
        self._took(outcome, picture)
        self._deliver(outcome)


_WAITS_FOR: dict[FailureCode, str] = {
    "busy": "in flight in another run",
    "unknown": "no answer came; its provider is asked whether it has the request",
}
"""By what keeps a scene waiting."""
