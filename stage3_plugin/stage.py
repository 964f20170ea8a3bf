"""Runs a story from its first scene to the last outcome.

``Stage`` is what a host's plugin and the original callers' service both use. It owns no decision
of its own: which scene goes next is ``dispatch``'s, what a failure means is ``retry``'s, and how a
picture is made is ``attempt``'s. Here they meet, and here every scene gets exactly one outcome.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
from structlog.typing import FilteringBoundLogger

from stage3_plugin.attempt import Attempted, Maker
from stage3_plugin.capacity import FixedGate, Gate
from stage3_plugin.dispatch import Dispatcher
from stage3_plugin.interrupt import Interrupt
from stage3_plugin.money import UNKNOWN, Cost, add_costs
from stage3_plugin.outcome import Failure, FailureCode, Outcome
from stage3_plugin.plan import Plan, plan_run
from stage3_plugin.providers.base import Estimate, LocalRenderer, Verdict, VerdictKind
from stage3_plugin.requests import PictureRequest, Scene, request_for, why_unsendable
from stage3_plugin.retry import Again, History, Keep, Stop, decide
from stage3_plugin.settings import Settings
from stage3_plugin.telemetry import Telemetry


class Story(Protocol):
    """Scenes with a known number that can be gone through as often as needed."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Scene]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended as a whole: ``stopped`` says why scenes were left out, if any were."""

    stopped: FailureCode | None = None
    message: str | None = None


@dataclass(slots=True, kw_only=True)
class SceneRun:
    """What one scene has behind it while it runs."""

    request: PictureRequest
    queued_at: float
    started_at: float = math.nan
    attempts: int = 0
    turned_away: int = 0
    costs: list[Cost] = field(default_factory=list[Cost])
    dropped: tuple[str, ...] = ()

    @property
    def was_started(self) -> bool:
        return self.attempts > 0


class Stage:
    """An opened stage: settings that fit together, and a maker of pictures.

    Args:
        settings: Validated settings.
        maker_for: Gives the maker that publishes into a folder.
        estimate: What a picture is expected to cost.
        renderer: The local renderer, which wants to see the whole story first.
        at_once: How many pictures the maker can work on at once, if that is bounded.
        draw: Gives a number in [0, 1) for jitter.
    """

    def __init__(
        self,
        settings: Settings,
        maker_for: Callable[[Path], Maker],
        *,
        estimate: Callable[[PictureRequest], Estimate],
        renderer: LocalRenderer | None = None,
        at_once: int | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._maker_for = maker_for
        self._estimate = estimate
        self._renderer = renderer
        self._at_once = at_once
        self._draw = draw

    def plan(self, story: Story) -> Plan:
        """Tell what ``run`` would make and cost; spends and writes nothing."""
        return plan_run(self._requests(story), self._estimate)

    async def run(
        self,
        story: Story,
        *,
        pictures_dir: Path,
        log: FilteringBoundLogger,
        deliver: Callable[[Outcome], None],
        stopping: anyio.Event,
        whole_story: Story | None = None,
        max_in_flight: int | None = None,
        deadline_s: float | None = None,
    ) -> Ending:
        """Make the story's pictures.

        Args:
            story: The scenes to make.
            whole_story: All scenes, where only some are to be made; characters are cast from it.
            pictures_dir: The folder the picture files go into.
            log: Takes the events.
            deliver: Takes each scene's outcome as it ends.
            stopping: When set, nothing new starts, and what is in flight has ``drain_s`` to end.
            max_in_flight: A ceiling beside ``capacity``.
            deadline_s: Seconds for the whole run; then it stops as if told to.

        Raises:
            Exception: Whatever the story raised while it was read, or a fault of our own, after
                everything in flight has ended and every scene has its outcome.
        """
        settings = self._settings
        ceilings = (settings.capacity, max_in_flight, self._at_once)
        capacity = min(ceiling for ceiling in ceilings if ceiling is not None)
        if self._renderer is not None:
            await self._renderer.study(self._requests(whole_story or story))
        telemetry = Telemetry(log)
        with telemetry.stage(
            scenes=len(story),
            provider=settings.provider,
            model=settings.model or "",
            capacity=capacity,
        ):
            run = _Run(
                settings=settings,
                maker=self._maker_for(pictures_dir),
                requests=iter(self._requests(story)),
                telemetry=telemetry,
                deliver=deliver,
                gate=FixedGate(capacity),
                draw=self._draw,
            )
            return await run.to_the_end(stopping, deadline_s)

    def _requests(self, story: Story) -> _Requests:
        return _Requests(story, self._settings)


class _Requests:
    """A story as picture requests, read anew at every pass."""

    def __init__(self, story: Story, settings: Settings) -> None:
        self._story = story
        self._settings = settings

    def __iter__(self) -> Iterator[PictureRequest]:
        return (request_for(scene, self._settings) for scene in self._story)


class _Run:
    """One run: what dispatch calls, and who watches over it."""

    def __init__(
        self,
        *,
        settings: Settings,
        maker: Maker,
        requests: Iterator[PictureRequest],
        telemetry: Telemetry,
        deliver: Callable[[Outcome], None],
        gate: Gate,
        draw: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._maker = maker
        self._telemetry = telemetry
        self._deliver = deliver
        self._gate = gate
        self._draw = draw
        self._interrupt = Interrupt()
        self._stopped: Failure | None = None
        self._broken: Exception | None = None
        self._rejected_in_a_row = 0
        self._began_at = anyio.current_time()
        self._scenes = (SceneRun(request=request, queued_at=self._began_at) for request in requests)
        self._dispatcher = Dispatcher(self._scenes, self._perform, gate)

    async def to_the_end(self, stopping: anyio.Event, deadline_s: float | None) -> Ending:
        """Run until every scene has an outcome."""
        try:
            async with anyio.create_task_group() as watchers:
                watchers.start_soon(self._throw_when_cancelled)
                watchers.start_soon(self._heed, stopping, deadline_s)
                await self._dispatch()
                watchers.cancel_scope.cancel()
        finally:
            for scene in self._dispatcher.waiting:
                self._end_waiting(scene)
        for scene in self._scenes:
            self._skip(scene)
        if self._broken is not None:
            raise self._broken
        if self._stopped is None:
            return Ending()
        return Ending(stopped=self._stopped.code, message=self._stopped.message)

    async def _dispatch(self) -> None:
        """Let dispatch run; a story that breaks is raised later, and not as a group of one."""
        try:
            await self._dispatcher.run()
        except Exception as error:  # noqa: BLE001 - raised again at the end
            self._broken = error

    async def _throw_when_cancelled(self) -> None:
        """Cut short what is in flight when the run is cancelled from outside.

        Purchases are shielded, so somebody outside the shield has to notice.
        """
        try:
            await anyio.sleep_forever()
        finally:
            self._interrupt.throw()

    async def _heed(self, stopping: anyio.Event, deadline_s: float | None) -> None:
        """Stop when told to or when the run's time is over; then give paid work time to end."""
        message = "the run was told to stop"
        with anyio.move_on_after(deadline_s) as patience:
            await stopping.wait()
        if patience.cancelled_caught:
            message = f"the run's deadline of {deadline_s:g} s is over"
        self._stop(Failure(code="cancelled", message=message, retryable=True))
        await anyio.sleep(self._settings.drain_s)
        self._interrupt.throw()

    def _stop(self, failure: Failure) -> None:
        if self._stopped is None:
            self._stopped = failure
        self._dispatcher.halt()

    async def _perform(self, scene: SceneRun) -> float | None:
        """Make one attempt at a scene; dispatch is told when it may go again."""
        unsendable = why_unsendable(
            scene.request,
            max_pixels=self._settings.max_pixels,
            needs_words=self._settings.provider != "previz",
        )
        if unsendable is not None:
            self._leave_out(scene, Failure(code="rejected", message=unsendable))
            return None
        now = anyio.current_time()
        if not scene.was_started:
            scene.started_at = now
        scene.attempts += 1
        self._telemetry.started(
            scene.request.scene_id, attempt=scene.attempts, queued_s=now - scene.queued_at
        )
        try:
            attempted = await self._maker.attempt(scene.request, self._interrupt)
        except Exception as error:  # noqa: BLE001 - raised again when the run has ended
            self._break_down(scene, error)
            return None
        except BaseException:
            self._end(scene, Failure(code="cancelled", message="cut short", retryable=True))
            raise
        return self._follow(scene, attempted)

    def _break_down(self, scene: SceneRun, error: Exception) -> None:
        """End a scene on a fault of our own: what was paid for may lie in the spool.

        The same fault may hit every scene, so no further one is paid for.
        """
        message = f"internal error {type(error).__name__}; an answer, if one came, is kept"
        failure = Failure(code="unknown", message=message)
        scene.costs.append(UNKNOWN)
        self._broken = self._broken or error
        self._stop(failure)
        self._end(scene, failure)

    def _follow(self, scene: SceneRun, attempted: Attempted) -> float | None:
        """Do what follows from an attempt."""
        verdict = attempted.verdict
        now = anyio.current_time()
        scene.costs.append(attempted.cost)
        scene.dropped = attempted.dropped
        scene.turned_away += verdict.kind is VerdictKind.RATE_LIMITED
        self._count_rejections(verdict)
        if attempted.storage is not None:
            failure = Failure(code="storage", message=str(attempted.storage), retryable=True)
            self._stop(failure)
            self._end(scene, failure)
            return None
        if attempted.interrupted:
            self._end(scene, Failure(code="cancelled", message=verdict.message, retryable=True))
            return None
        history = History(
            ran=scene.attempts - scene.turned_away,
            turned_away=scene.turned_away,
            elapsed_s=now - scene.started_at,
            rejected_in_a_row=self._rejected_in_a_row,
        )
        decision = decide(verdict, history, self._settings, chance=self._draw())
        if isinstance(decision, Again):
            return self._again(scene, decision, attempted, now)
        if isinstance(decision, Keep):
            self._keep(scene, attempted)
            return None
        if isinstance(decision, Stop):
            self._stop(decision.failure)
        self._end(scene, decision.failure)
        return None

    def _count_rejections(self, verdict: Verdict) -> None:
        if verdict.kind is VerdictKind.REJECTED:
            self._rejected_in_a_row += 1
        elif verdict.kind is VerdictKind.PICTURES:
            self._rejected_in_a_row = 0

    def _again(self, scene: SceneRun, again: Again, attempted: Attempted, now: float) -> float:
        self._telemetry.retried(
            scene.request.scene_id,
            attempt=scene.attempts,
            cause=again.cause,
            wait_s=again.wait_s,
            cost=attempted.cost,
            message=attempted.verdict.message,
        )
        if again.for_all:
            self._gate.rejected(now, again.wait_s)
        scene.queued_at = now + again.wait_s
        return scene.queued_at

    def _keep(self, scene: SceneRun, attempted: Attempted) -> None:
        picture = attempted.picture
        assert picture is not None
        request = scene.request
        params: dict[str, object] = {
            **attempted.verdict.details,
            "model": request.model or request.provider,
            "size": request.size,
            "quality": request.quality,
            "prompt": request.prompt,
            "provider": request.provider,
        }
        if request.negative_prompt is not None:
            params["negative_prompt"] = request.negative_prompt
        if request.seed is not None:
            params["seed"] = request.seed
        if (picture.width_px, picture.height_px) != (request.width_px, request.height_px):
            params["size_mismatch"] = True
        self._tell(
            Outcome(
                scene_id=request.scene_id,
                picture=picture,
                image_url=attempted.image_url,
                generation_params=params,
                attempts=scene.attempts,
                duration_s=anyio.current_time() - scene.started_at,
                cost=add_costs(scene.costs),
                dropped=scene.dropped,
            )
        )

    def _end(self, scene: SceneRun, failure: Failure) -> None:
        """End a scene that was started, without a picture."""
        self._tell(
            Outcome(
                scene_id=scene.request.scene_id,
                failure=failure,
                attempts=scene.attempts,
                duration_s=anyio.current_time() - scene.started_at,
                cost=add_costs(scene.costs),
                dropped=scene.dropped,
            )
        )

    def _tell(self, outcome: Outcome) -> None:
        self._telemetry.ended(outcome)
        self._deliver(outcome)

    def _end_waiting(self, scene: SceneRun) -> None:
        """End a scene that was waiting for its next try when the run stopped."""
        self._end(
            scene, self._stopped or Failure(code="cancelled", message="the run was cancelled")
        )

    def _skip(self, scene: SceneRun) -> None:
        """Give a scene its outcome that the run has not come to."""
        because = self._stopped.message if self._stopped else "the run ended before"
        self._leave_out(
            scene, Failure(code="not_tried", message=f"not tried: {because}", retryable=True)
        )

    def _leave_out(self, scene: SceneRun, failure: Failure) -> None:
        """Give a scene its outcome that was never started."""
        scene_id = scene.request.scene_id
        self._telemetry.skipped(scene_id, failure)
        self._deliver(Outcome(scene_id=scene_id, failure=failure))
