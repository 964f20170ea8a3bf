"""One run: what dispatch calls for every scene, and who watches over it.

Each scene goes claim → attempt → settle → publish, and gets exactly one outcome. No decision is
made here: whether a scene may be sent is ``checkout``'s, what an answer means for the scene is
``retry``'s; here is done what they say, and stopped what has to stop.

Beside dispatch goes what needs no place at the provider: recovery of what other runs have left, and
scenes that wait for a purchase which is there already. Whoever watches for signals and deadlines
begins before either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import anyio
import anyio.lowlevel

from stage3_plugin.attempt.maker import Maker
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.outcome import Ending, Failure, Placed
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.request import PictureRequest, why_unsendable
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.engine.dispatch import Ahead, Dispatcher
from stage3_plugin.engine.pending import PendingScenes, Publisher
from stage3_plugin.engine.reporter import Reporter, SceneState
from stage3_plugin.engine.run_state import CANCELLED, CUT_SHORT, RunState
from stage3_plugin.errors import StorageFailed
from stage3_plugin.policy.capacity import Limiter, Permit
from stage3_plugin.policy.retry import (
    Again,
    History,
    Keep,
    Stop,
    decide,
    is_unknown,
    was_taken,
    was_turned_away,
)
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.checkout import (
    HALTED,
    Checkout,
    Denied,
    Found,
    InOtherHands,
    Overtaken,
)
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.runtime.clock import clock
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.settings import Settings

RECOVERY_LINGERS_S = 10.0
"""So long a run whose scenes have all ended goes on looking after what other runs have left."""


class Run:
    """Runs requests to their outcomes.

    Args:
        settings: What the user wants.
        requests: The scenes' requests, taken as there is room for them.
        maker: Makes attempts.
        needs_prompt: Whether an empty prompt would be paid for.
        purchasing: Holds money for them, and settles.
        publisher: Takes the pictures out.
        pictures_dir: The folder of results.
        reporter: Tells the host.
        gate: Decides how many may be in flight.
        draw: Gives a number in [0, 1) for jitter.
        recovery: Looks after what other runs have left, and asks again for what was bought.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        requests: Iterator[PictureRequest],
        maker: Maker,
        needs_prompt: bool,
        purchasing: Checkout,
        publisher: Publisher,
        pictures_dir: Path,
        reporter: Reporter,
        gate: Limiter,
        draw: Callable[[], float],
        recovery: Recovery,
    ) -> None:
        self._settings = settings
        self._maker = maker
        self._needs_prompt = needs_prompt
        self._purchasing = purchasing
        self._publisher = publisher
        self._pictures_dir = pictures_dir
        self._reporter = reporter
        self._gate = gate
        self._draw = draw
        self._interrupt = Interrupt()  # cuts short what is in flight
        self._recovery = recovery
        self._course = RunState(self._end_all)
        self._is_over = False
        self._sent: dict[str, int] = {}
        self._now = clock()
        self._began_at = self._now()
        self._beside = PendingScenes(
            settings=settings,
            purchasing=purchasing,
            recovery=recovery,
            publisher=publisher,
            pictures_dir=pictures_dir,
            reporter=reporter,
            course=self._course,
            keep=self._keep,
        )
        scenes = (SceneState(request=request, queued_at=self._began_at) for request in requests)
        self._scenes = Ahead(self._beside.and_all_of(scenes))
        self._again = Ahead[SceneState](())
        self._dispatcher = Dispatcher(self._scenes, self._perform, gate)

    async def to_the_end(self, stopping: anyio.Event, deadline_s: float | None) -> Ending:
        """Run until every scene has an outcome.

        Args:
            stopping: When set, nothing new starts, and what is in flight has ``drain_s`` to end.
            deadline_s: Seconds for the whole run; then it stops as if told to.

        Raises:
            Exception: What broke the run, when all in flight and every scene has ended.
        """
        try:
            async with anyio.create_task_group() as watchers:
                watchers.start_soon(self._trigger_when_cancelled)
                watchers.start_soon(self._heed, stopping, deadline_s)
                watchers.start_soon(self._recover)
                watchers.start_soon(self._beside.run)
                await self._dispatch()
                await self._dispatch_what_waited()
                await self._end_recovery()
                self._is_over = True
                watchers.cancel_scope.cancel()
        except BaseException:  # no time to look at what came back from beside dispatch
            for scene in chain(self._again, self._beside.ready()):
                self._skip(scene)
            raise
        finally:
            for scene in self._dispatcher.waiting:
                self._end_waiting(scene)
            self._beside.end()
        for scene in chain(self._scenes, self._again, self._beside.ready()):
            await self._leave(scene, stopping)
        if self._course.broken is not None:
            raise self._course.broken
        return self._course.ending()

    async def _dispatch(self) -> None:
        """Let dispatch run; a story that breaks is raised later, and not as a group of one."""
        try:
            await self._dispatcher.run()
        except Exception as error:  # noqa: BLE001 - raised again at the end
            self._course.broken = error

    async def _dispatch_what_waited(self) -> None:
        """Take up what comes back from beside dispatch until nothing is left there."""
        while self._course.broken is None:
            if self._beside.has_ready and self._is_going_on:
                self._again = Ahead(self._beside.ready())
                self._dispatcher = Dispatcher(self._again, self._perform, self._gate)
                await self._dispatch()
            elif self._beside.is_at_rest:
                return
            else:
                await self._beside.moved()

    @property
    def _is_going_on(self) -> bool:
        return self._course.stopped is None and not self._interrupt.triggered

    async def _recover(self) -> None:
        """Look after what other runs have left, and say what became of it."""
        self._reporter.telemetry.recovered(await self._recovery.of_all())

    async def _end_recovery(self) -> None:
        """Give recovery a moment after the last scene: what it has not done the next run does."""
        deadline = self._now() + RECOVERY_LINGERS_S
        recovery = self._recovery
        while not (recovery.is_over or recovery.is_halted) and self._now() < deadline:
            version = self._purchasing.books.version
            with anyio.CancelScope(deadline=deadline):
                await self._purchasing.books.changed(since=version)
        recovery.halt()

    async def _trigger_when_cancelled(self) -> None:
        """Cut short what is in flight when the run is cancelled from outside.

        Purchases are shielded, so somebody outside the shield has to notice.
        """
        try:
            await anyio.sleep_forever()
        finally:
            self._course.is_cancelled = not self._is_over
            self._halt()
            self._interrupt.trigger()

    async def _heed(self, stopping: anyio.Event, deadline_s: float | None) -> None:
        """Stop when told to or when the run's time is over; then give paid work time to end."""
        message = "the run was told to stop"
        with anyio.move_on_after(deadline_s) as patience:
            await stopping.wait()
        if patience.cancelled_caught:
            message = f"the run's deadline of {deadline_s:g} s is over"
        elif self._sent:
            self._reporter.telemetry.warned(self._told_of_the_wait())
        self._course.stop(Failure(code="cancelled", message=message, retryable=True))
        await anyio.sleep(self._settings.drain_s)
        self._interrupt.trigger()

    def _told_of_the_wait(self) -> str:
        purchasing, holds = self._purchasing, self._sent.values()
        is_free, look = purchasing.is_free, purchasing.caretaker("attempts")
        return messages.told_of_the_wait(
            holds, self._settings.drain_s, is_free=is_free, attempts=look
        )

    def _end_all(self, failure: Failure) -> None:
        """Let nothing new begin, for this reason."""
        self._dispatcher.halt()
        self._purchasing.halt()
        if failure.code != "budget":  # which keeps nobody from what is paid for already
            self._halt()

    def _halt(self) -> None:
        """Let nothing go on beside dispatch; what is asked for there costs nothing to ask again."""
        self._purchasing.halt()
        self._recovery.halt()
        self._beside.halt()

    # One scene -----------------------------------------------------------------------------------

    async def _perform(self, scene: SceneState) -> float | None:
        """Bring a scene one attempt further; dispatch is told when it may go again."""
        unsendable = why_unsendable(
            scene.request,
            max_pixels=self._settings.max_pixels,
            needs_prompt=self._needs_prompt,
        )
        if unsendable is not None:
            self._reporter.failed(scene, Failure(code="rejected", message=unsendable))
            return None
        if self._is_too_late(scene):
            return None
        try:
            with self._gate.enter() as passage:  # before anything is awaited: others ask the gate
                return await self._buy(scene, passage)
        except StorageFailed as problem:
            failure = messages.no_storage(problem)
            self._course.stop(failure)
            self._reporter.failed(scene, failure)
        except Exception as error:  # noqa: BLE001 - raised again when the run has ended
            self._reporter.failed(scene, self._course.break_down(error))
        except BaseException:
            self._reporter.failed(scene, CUT_SHORT)
            raise
        return None

    def _is_too_late(self, scene: SceneState) -> bool:
        """End a scene whose turn comes after its deadline; the gate may have been shut for long."""
        deadline_s = self._settings.deadline_s
        if not scene.was_started or self._now() - scene.started_at <= deadline_s:
            return False
        message = f"the scene's deadline_s is reached ({scene.cause.replace('_', ' ')})"
        self._reporter.failed(scene, Failure(code=scene.cause, message=message, retryable=True))
        return True

    async def _buy(self, scene: SceneState, passage: Permit) -> float | None:
        """Take a scene from its claim to what follows; only a renderer may be cut short."""
        with anyio.CancelScope(shield=True) as shield:
            claim = await self._purchasing.claim(scene.request)
            if isinstance(claim, Found):
                await self._reuse(scene, claim)
                return None
            if isinstance(claim, InOtherHands):
                self._beside.set_aside(scene, claim.purchase)
                return None
            if isinstance(claim, Denied):
                self._deny(scene, claim)
                return None
            if self._course.stopped is not None or self._interrupt.triggered:  # while it was held
                await self._purchasing.release(claim, "the run was stopped before it was sent")
                self._give_back(scene)
                return None
            self._reporter.started(scene)
            attempted = await self._attempt(scene, claim, shield, passage)
            placed = await self._publish(scene, claim, attempted)
            return self._follow(scene, claim, attempted, placed, passage)
        raise AssertionError("a shield without a deadline swallows nothing")

    def _deny(self, scene: SceneState, denied: Denied) -> None:
        """End a scene that must not be sent, and the run if that is true of every other one."""
        over, is_stopped = denied.over, self._course.stopped is not None
        if denied.stops and not is_stopped:
            self._course.stop(denied.failure)
            if over is not None:
                self._reporter.telemetry.budget_reached(over, self._purchasing.resets_at(over))
        if denied is HALTED or (denied.stops and (is_stopped or denied.had_room)):
            self._give_back(scene)
            return
        self._reporter.failed(scene, denied.failure)

    def _give_back(self, scene: SceneState) -> None:
        """End a scene that was taken up and then not sent, because the run has stopped."""
        (self._end_waiting if scene.was_started else self._skip)(scene)

    async def _reuse(self, scene: SceneState, found: Found) -> None:
        purchase = found.purchase
        assert purchase.picture is not None
        try:
            placed = await self._publisher.publish(
                purchase.picture, self._pictures_dir, scene.request.scene_id
            )
        except StorageFailed as failure:
            self._reporter.failed(scene, messages.lost_picture(purchase.new.attempt_id, failure))
            return
        self._reporter.reused(scene, placed, purchase)

    async def _attempt(
        self, scene: SceneState, held: Held, shield: anyio.CancelScope, passage: Permit
    ) -> AttemptResult:
        """Make the attempt, which knows by itself what of it may be cut short, and settle it."""
        passage.sent(self._now())
        scene.overtaken = scene.instead = None
        self._sent[held.attempt_id] = held.hold_microusd
        try:
            shield.shield = False
            with self._interrupt.in_force():
                attempted = await self._maker.attempt(held.attempt_id, scene.request)
        except BaseException:
            # A renderer was cut short, or a fault is ours; what was paid for may lie in the spool.
            shield.shield = True
            scene.costs.append(self._purchasing.cost_of_a_fault)
            await self._purchasing.leave_open(held)
            raise
        finally:
            del self._sent[held.attempt_id]
        shield.shield = True
        self._teach(attempted.verdict, passage)
        scene.request_id = attempted.verdict.request_id
        try:
            cost = await self._purchasing.settle(held, attempted)
        except Overtaken as overtaken:
            cost = attempted.cost
            scene.overtaken = overtaken.purchase
        except StorageFailed:
            scene.costs.append(attempted.cost)  # spent all the same, though it cannot be recorded
            raise
        if cost is not attempted.cost:
            attempted = replace(attempted, cost=cost)
        scene.costs.append(cost)
        scene.dropped = attempted.dropped
        scene.turned_away += was_turned_away(attempted.verdict)
        scene.unknown += is_unknown(attempted.verdict)
        return attempted

    def _teach(self, verdict: Verdict, passage: Permit) -> None:
        """Tell the gate what the provider made of a request; other failures teach it nothing."""
        now = self._now()
        if was_turned_away(verdict):
            is_obeyed = verdict.hint_s is None or verdict.hint_s <= self._settings.max_wait_s
            passage.rejected(now, verdict.hint_s if is_obeyed else None)
        elif was_taken(verdict):
            passage.answered(now)
        if verdict.used_up_s is not None:
            self._gate.hold_back(now, min(verdict.used_up_s, self._settings.max_wait_s))

    async def _publish(
        self, scene: SceneState, held: Held, attempted: AttemptResult
    ) -> Placed | Failure | None:
        """Bring the picture where it belongs, and remove the answer unless it is evidence."""
        placed: Placed | Failure | None = None
        if attempted.picture is not None:
            try:
                if scene.overtaken is not None:
                    await self._keep_late(scene, scene.overtaken, attempted.picture)
                placed = await self._publisher.publish(
                    self._shown(scene, attempted.picture),
                    self._pictures_dir,
                    scene.request.scene_id,
                    is_new=scene.instead is None,
                )
            except StorageFailed as failure:
                placed = messages.lost_picture(held.attempt_id, failure)
        if scene.overtaken is None and not attempted.leaves_evidence:
            await self._publisher.tidy(held.attempt_id)
        return placed

    async def _keep_late(self, scene: SceneState, purchase: Purchase, picture: Picture) -> None:
        """Keep a picture whose purchase was given up, for a scene that may have another by now."""
        await self._publisher.note_late(purchase, picture)
        scene.instead = self._purchasing.made_instead(scene.request)
        scene_id = scene.request.scene_id
        told = messages.overtaken(scene_id, purchase, scene.instead, self._purchasing.caretaker)
        self._reporter.telemetry.warned(told)

    @staticmethod
    def _shown(scene: SceneState, own: Picture) -> Picture:
        """Return the picture that a scene shows: it keeps one that was made instead."""
        if scene.instead is None or scene.instead.picture is None:
            return own
        return scene.instead.picture

    def _follow(
        self,
        scene: SceneState,
        held: Held,
        attempted: AttemptResult,
        placed: Placed | Failure | None,
        passage: Permit,
    ) -> float | None:
        """Do what follows from an attempt."""
        verdict = attempted.verdict
        now = self._now()
        self._course.count(attempted, now)
        overrun = self._purchasing.overrun()
        if overrun is not None:
            self._course.stop(overrun)
        if attempted.storage is not None:
            failure = messages.without_storage(
                attempted, attempted.storage, self._purchasing.caretaker
            )
            self._course.stop(failure)
            self._reporter.failed(scene, failure)
            return None
        if attempted.not_here is not None or (attempted.interrupted and attempted.stays_open):
            self._beside.await_picture(scene, held, attempted)
            return None
        if attempted.interrupted:
            cut_short = Failure(code="cancelled", message=verdict.message, retryable=True)
            self._reporter.failed(scene, cut_short)
            return None
        history = History(
            ran=scene.attempts - scene.turned_away,
            turned_away=scene.turned_away,
            elapsed_s=now - scene.started_at,
            unknown=scene.unknown,
            streaks=self._course.streaks,
            unsent_for_s=now - self._course.unsent_since,
        )
        decision = decide(verdict, history, self._settings, chance=self._draw())
        if isinstance(decision, Again):
            if passage.is_covered:  # it goes first when the pause of all is over
                decision = replace(decision, wait_s=self._gate.state(now).pause_s)
            self._reporter.retried(scene, decision, attempted.cost, verdict.message)
            scene.cause = decision.cause
            scene.queued_at = now + decision.wait_s
            return now if passage.is_covered else scene.queued_at
        if isinstance(decision, Keep):
            self._keep(scene, attempted, placed)
            return None
        failure = messages.with_next_step(decision.failure, self._purchasing.caretaker)
        if isinstance(decision, Stop):
            self._course.stop(failure)
        self._reporter.failed(scene, failure)
        return None

    def _keep(
        self, scene: SceneState, attempted: AttemptResult, placed: Placed | Failure | None
    ) -> None:
        assert placed is not None
        if isinstance(placed, Failure):
            self._course.stop(placed)
            self._reporter.failed(scene, placed)
            return
        if scene.instead is not None:
            self._reporter.reused(scene, placed, scene.instead)
            return
        self._reporter.made(
            scene, placed, image_url=attempted.image_url, details=attempted.verdict.details
        )

    # Scenes the run does not come to -------------------------------------------------------------

    def _end_waiting(self, scene: SceneState) -> None:
        """End a scene that was waiting for its next try when the run stopped."""
        self._reporter.failed(scene, self._course.stopped or CANCELLED)

    async def _leave(self, scene: SceneState, stopping: anyio.Event) -> None:
        """Give a scene its outcome that the run has not come to.

        Whatever keeps it from being bought keeps nobody from what is there. Who wants the run to
        end, or has a disk that fails, is not kept waiting for that.
        """
        stopped = self._course.stopped
        is_over = stopped is None or stopped.code in {"cancelled", "storage"}
        if is_over or self._course.broken is not None or stopping.is_set():
            self._skip(scene)
            return
        await self._perform(scene)  # nothing more can be held, so nothing is sent
        await anyio.lowlevel.checkpoint()

    def _skip(self, scene: SceneState) -> None:
        """Give a scene the outcome that it was not tried."""
        self._reporter.failed(scene, self._course.not_tried())
