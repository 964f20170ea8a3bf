"""What goes out of a run: pictures to their places, each scene's one outcome, and its events.

Apart from the run, which decides what happens: this module only puts it into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_stub.contract import Failure, FailureCode, PlaceFor, SceneOutcome
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import (
    SceneAwaited,
    SceneFailed,
    SceneFinished,
    SceneRetried,
    SceneReused,
    SceneSkipped,
    SceneStarted,
    StageFinished,
    StageWarned,
    coded,
    warn_of,
)
from stage3_plugin.domain.made_from import generation_params
from stage3_plugin.domain.money import UNKNOWN, Charge, add_costs, to_usd
from stage3_plugin.domain.picture import Picture, Placed
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.notices import from_here
from stage3_plugin.engine.scene_state import SceneState, Waiting
from stage3_plugin.policy.retry import Again
from stage3_plugin.purchase import messages
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.clock import clock
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.placing import names_of, place_of

if TYPE_CHECKING:  # importing structlog loads rich, and only a run writes events
    from structlog.typing import FilteringBoundLogger

OFTEN_S, REPORTED_EVERY_S = 1.0, 30.0
"""What is looked for at shorter intervals than the first is reported at the second."""

MOST_KEPT = 20
"""Kept pictures that a run names one by one; one more line says where all others are."""


@dataclass(eq=False, repr=False)
class Results:
    """Brings a run's pictures to their place beside the story; what had their names is kept.

    ``storage.pictures`` keeps such a file silently: here it is reported.

    Args:
        pictures: Has them.
        folder: The folder of results.
        place: Says where each picture goes; else they lie in the folder, called after their scenes.
    """

    pictures: Pictures
    folder: Path
    place: PlaceFor | None = None
    _kept: int = 0

    async def publish(
        self, picture: Picture, request: PictureRequest, *, take: int = 1, is_new: bool = False
    ) -> Placed:
        """Give a scene its picture file, unless it is there and untouched.

        Args:
            picture: A stored one.
            request: The scene's.
            take: Which of its pictures it is.
            is_new: It was kept just now, so its bytes need not be looked at once more.

        Raises:
            PictureLost: The stored picture is gone or damaged, and so is its copy.
        """
        root = self.folder.parent
        if self.place is None:
            path = place_of(picture, self.folder, request, take=take)
        else:
            path = self.place(
                request.scene_id,
                role=request.role,
                sha256=picture.sha256,
                media_type=picture.media_type,
            )
        if not is_new and self.pictures.is_copy(picture.sha256, path.parent, path.name):
            return Placed(picture, path)  # as all are in a finished run
        others = names_of(request, take=take) if self.place is None else ()
        kept = await self.pictures.put(picture, path, root=root, is_new=is_new, instead_of=others)
        if kept is not None:
            self._say(path, kept)
        return Placed(picture, path)

    def _say(self, path: Path, kept: Path) -> None:
        self._kept += 1
        if self._kept <= MOST_KEPT:
            line = f"{from_here(path)} is not what was put there"
            warn_of(coded("file_kept_aside", f"{line}, so it is kept as {from_here(kept)}"))
        elif self._kept == MOST_KEPT + 1:
            line = f"further pictures that are not what was put there are kept in {kept.parent}"
            warn_of(coded("file_kept_aside", line))


@dataclass(eq=False, repr=False)
class Reporter:
    """Reports every scene to the host, once.

    Args:
        deliver: Takes the outcomes.
        asked: What is asked for; its references take in first how a scene ended, and its picture.
        url_of: Returns the address of a picture in the bucket of ``store``, if there is one.
    """

    deliver: Callable[[SceneOutcome], None]
    asked: Asked
    url_of: Callable[[str], str | None]

    def __post_init__(self) -> None:
        self._now = clock()

    def started(self, scene: SceneState, held: Held, *, base_url: str | None) -> None:
        """Report that a request starts, with the money that is held for it."""
        now, request = self._now(), scene.request
        if not scene.was_started:
            scene.started_at = now
        scene.attempts += 1
        trace.event(
            SceneStarted(
                scene_id=request.scene_id,
                take=scene.take,
                attempt=scene.attempts,
                # A pause that all share may end before it was expected to.
                queued_s=max(0.0, now - scene.queued_at),
                purchase=held.attempt_id,
                held_usd=to_usd(held.hold_microusd),
                provider=request.provider,
                model=request.model or "",
                size=request.size,
                base_url=base_url,
            )
        )

    def retried(self, scene: SceneState, again: Again, cost: Charge, message: str) -> None:
        """Report that a request failed and its scene waits to go again; it keeps the cause."""
        scene.cause = again.cause
        trace.event(
            SceneRetried(
                scene_id=scene.request.scene_id,
                take=scene.take,
                attempt=scene.attempts,
                cause=again.cause,
                wait_s=again.wait_s,
                asked_for=again.is_asked_for,
                cost_usd=cost.usd,
                cost_basis=cost.basis,
                message=message,
                request_id=scene.request_id,
            )
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
        trace.event(
            SceneAwaited(
                scene_id=scene.request.scene_id,
                take=scene.take,
                attempt=scene.attempts,
                cause=cause,
                waited_s=now - waiting.since,
                wait_s=wait_s,
                left_s=left_s,
                message=otherwise if missing is None else f"{missing.address}: {missing.problem}",
            )
        )

    def made(
        self, scene: SceneState, placed: Placed, purchase_id: str, result: AttemptResult
    ) -> None:
        """End a scene with its new picture."""
        self._end_with_picture(
            scene,
            placed,
            result.verdict.details,
            purchase=purchase_id,
            image_url=result.image_url,
            dropped=scene.dropped,
            request_id=scene.request_id,
        )

    def reused(self, scene: SceneState, placed: Placed, purchase: Purchase) -> None:
        """End a scene with a picture that was there; requests it took in this run stay counted."""
        self._end_with_picture(
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

    def failed(
        self, scene: SceneState, failure: Failure, *, waits_for: tuple[str, ...] = ()
    ) -> None:
        """End a scene without a picture; ``waits_for`` names those whose pictures it lacks."""
        tried: dict[str, Any] = {
            "dropped": scene.dropped,
            "request_id": scene.request_id,
            "steps": scene.all_steps(failure),
        }
        outcome = self._outcome(scene, failure=failure, **(tried if scene.was_started else {}))
        self._end(scene, outcome, None, waits_for)

    def _end_with_picture(
        self, scene: SceneState, placed: Placed, details: Mapping[str, str], **more: Any
    ) -> None:
        picture = placed.picture
        outcome = self._outcome(
            scene,
            image=placed.path,
            sha256=picture.sha256,
            media_type=picture.media_type,
            width=picture.width_px,
            height=picture.height_px,
            store_url=self.url_of(picture.sha256),
            basis=scene.basis,
            generation_params=self._params(scene, picture, details),
            steps=scene.all_steps(None),
            **more,
        )
        self._end(scene, outcome, picture)

    def _outcome(self, scene: SceneState, **more: Any) -> SceneOutcome:
        """Return the outcome of a scene; ``more`` are the contract's fields."""
        return SceneOutcome(
            scene_id=scene.request.scene_id,
            role=scene.request.role,
            take=scene.take,
            attempts=scene.attempts,
            duration_s=self._now() - scene.started_at if scene.was_started else 0.0,
            cost=add_costs(scene.costs).told,
            **more,
        )

    def _params(
        self, scene: SceneState, picture: Picture, details: Mapping[str, str]
    ) -> dict[str, object]:
        """Return what a scene's picture was made with, and by which of several routes."""
        params = generation_params(scene.request, picture, details)
        if scene.seed is not None:
            params["seed"] = scene.seed
        options = self.asked.steps.routes[scene.at.route].options
        if options:
            params["options"] = dict(options)
        has_several = scene.ladder is not None and len(scene.ladder.after_billed) > 1
        return params | ({"route": scene.at.route + 1} if has_several else {})

    def _end(
        self,
        scene: SceneState,
        outcome: SceneOutcome,
        picture: Picture | None,
        waits_for: tuple[str, ...] = (),
    ) -> None:
        """Report how a scene ended, once, and hand that over."""
        failure = outcome.failure
        facts: dict[str, Any] = {"scene_id": outcome.scene_id, "take": outcome.take}
        if failure is None:
            facts["sha256"] = outcome.sha256
        else:
            facts |= {"code": failure.code, "message": failure.message}
        if scene.was_started:
            last = scene.costs[-1] if scene.costs else UNKNOWN
            facts |= {
                "attempt": outcome.attempts,
                "attempts": outcome.attempts,
                "duration_s": outcome.duration_s,
                "cost_usd": outcome.cost.usd,
                "cost_basis": outcome.cost.basis,
                "last_cost_usd": last.usd,
                "last_cost_basis": last.basis,
                "request_id": outcome.request_id,
            }
            trace.event(SceneFinished(**facts) if failure is None else SceneFailed(**facts))
        elif failure is None:
            trace.event(SceneReused(**facts))
        else:
            trace.event(SceneSkipped(waits_for=waits_for, **facts))
        self.asked.references.take(outcome, picture)
        self.deliver(outcome)


_WAITS_FOR: dict[FailureCode, str] = {
    "busy": "in flight in another run",
    "unknown": "no answer came; its provider is asked whether it has the request",
}
"""By what keeps a scene waiting."""


class ContractEvents:
    """Logs the events of one run as the contract has them, and counts them for the last one.

    The listener of the trace; structlog is never configured here.

    Args:
        log: Takes them.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        totals = ("made", "reused", "failed", "skipped", "retries")
        self._totals: dict[str, int] = dict.fromkeys(totals, 0)
        self._warned_of = set[object]()

    def handle(self, happened: trace.Event) -> None:
        """Log one, under its level; of warnings in the same words the first."""
        if isinstance(happened, StageWarned):
            if happened.message in self._warned_of:
                return
            self._warned_of.add(happened.message)
        if happened.counts_as is not None:
            self._totals[happened.counts_as] += 1
        getattr(self._log, happened.level)(happened.name, **happened.fields())

    def finished(self) -> StageFinished:
        """Return the last event of the run."""
        return StageFinished(**self._totals)
