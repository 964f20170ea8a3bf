"""One run: what watches over it, what stops it, and how everything in it comes to an end.

Every scene gets exactly one outcome. ``scene`` brings a scene through the rooms and returns what it
needs next; the run does that, and stops what has to stop.

Beside dispatch goes what needs no place at the provider: recovery of what other runs have left, and
scenes that wait for a purchase which is there already. The watchers of signals and deadlines begin
before either.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import anyio
import anyio.lowlevel

from host_stub.contract import Failure, StageSummary
from stage3_plugin.domain.events import Warned, warn_of
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.engine.batches import GatheredScenes
from stage3_plugin.engine.dispatch import Dispatcher
from stage3_plugin.engine.following import CANCELLED, Following
from stage3_plugin.engine.pending import PendingScenes
from stage3_plugin.engine.scene import SceneRunner
from stage3_plugin.engine.scene_state import Due, Next, SceneState, Waiting
from stage3_plugin.engine.showing.order import InOrder
from stage3_plugin.policy.capacity.limiter import Limiter
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.run_ledger import Line
from stage3_plugin.purchase.takes import Part

RECOVERY_LINGERS_S = 10.0
"""Seconds for which a run whose scenes have all ended goes on recovering what others have left."""


class Run:
    """Runs requests to their outcomes.

    Args:
        run: What it is made with; what is asked for is taken as there is room for it.
    """

    def __init__(self, run: Following) -> None:
        self._run = run
        run.on_stop = self._end_all
        self._is_over = False
        self._runner = SceneRunner(run, self._take_up)
        self._pending = PendingScenes(run, self._put)
        self._gathered = GatheredScenes(run, self._put)
        self._scenes = InOrder(self._takes(began_at=self._run.now()), run.asked.references)
        first, *further = (place.limiter for place in run.places)
        # Those for batches have a lane of their own: nothing of them is at a provider yet.
        self._dispatcher = Dispatcher(
            self._scenes,
            self._perform,
            first,
            further=(*further, Limiter(first.ceiling)),
            lane_of=self._lane_of,
        )
        run.recovery.job_moved = self._scenes.released = self._dispatcher.wake

    def _takes(self, *, began_at: float) -> Iterator[SceneState]:
        """Yield the takes that are asked for, all those of a scene before the next one's.

        So memory is flat however long a story is.
        """
        for request in self._run.asked.named():
            first = Part()
            self._run.asked.references.expect(request.scene_id, request.takes - 1)
            for part in (first, *first.more(request.takes)):
                yield SceneState(request=request, queued_at=began_at, part=part)

    def _take_up(self, scene: SceneState) -> None:
        """Bring on one more take of a scene than were asked for with it."""
        self._run.asked.references.expect(scene.request.scene_id, 1)
        self._dispatcher.push(scene, self._run.now())

    def _lane_of(self, scene: SceneState) -> int:
        return len(self._run.places) if scene.is_for_a_batch else scene.at.route

    async def to_the_end(self, stopping: anyio.Event, deadline_s: float | None) -> StageSummary:
        """Run until every scene has an outcome.

        Args:
            stopping: When set, nothing new starts, and what is in flight has ``drain_s`` to end.
            deadline_s: Seconds for the whole run; then it stops as if ``stopping`` were set.

        Raises:
            Exception: What broke the run, when all in flight and every scene has ended.
        """
        try:
            async with anyio.create_task_group() as watchers:
                watchers.start_soon(self._trigger_when_cancelled)
                watchers.start_soon(self._heed, stopping, deadline_s)
                watchers.start_soon(self._run.recovery.of_all)
                watchers.start_soon(self._pending.waiting.run)
                await self._dispatch()
                await self._dispatch_what_waited()
                await self._end_recovery()
                self._is_over = True
                watchers.cancel_scope.cancel()
        except BaseException:  # no time to look at what came back from beside dispatch
            for scene in self._dispatcher.left():
                self._run.not_sent(scene)
            raise
        finally:
            for scene in self._gathered.left():
                self._run.not_sent(scene)
            self._pending.end()
        self._pending.say_what_is_left()
        self._scenes.hold_nothing_back()
        for scene in chain(self._scenes, self._dispatcher.left()):
            await self._leave(scene, stopping)
        if self._run.broken is not None:
            raise self._run.broken
        return self._run.summary()

    async def _dispatch(self) -> None:
        """Let dispatch run; a story that breaks is raised later, and not as a group of one."""
        try:
            await self._dispatcher.run()
        except Exception as error:  # noqa: BLE001 - raised again at the end
            self._run.broken = error

    async def _dispatch_what_waited(self) -> None:
        """Take up what comes back from beside dispatch until nothing is left there."""
        while self._run.broken is None:
            may_send, more_comes = self._run.is_going_on, self._pending.looks_at_batches
            if may_send and (self._dispatcher.waiting or self._scenes):
                await self._dispatch()
            elif may_send and self._gathered.are_there and not more_comes:
                await self._gathered.send_all()
            elif self._pending.waiting.is_at_rest:
                return
            else:
                await self._pending.waiting.moved()

    async def _perform(self, scene: SceneState) -> float | None:
        """Bring a scene on, and do what it needs next; return when it may go again, if it may."""
        following = await self._runner.bring_on(scene)
        if isinstance(following, Due):
            return following.at
        if isinstance(following, Line):
            await self._gathered.add(scene, following)
        else:
            self._put(scene, following)
        return None

    def _put(self, scene: SceneState, following: Next) -> None:
        """Do what a scene needs next; it goes back to dispatch where it is due."""
        if isinstance(following, Due):
            self._dispatcher.push(scene, self._run.now())
        elif isinstance(following, Waiting):
            self._pending.add(scene, following)

    # Watchers ------------------------------------------------------------------------------------

    async def _end_recovery(self) -> None:
        """Give recovery a moment after the last scene: what it has not done the next run does."""
        deadline = self._run.now() + RECOVERY_LINGERS_S
        recovery = self._run.recovery
        while not (recovery.is_over or recovery.is_halted) and self._run.now() < deadline:
            version = self._run.checkout.run_ledger.version
            with anyio.CancelScope(deadline=deadline):
                await self._run.checkout.run_ledger.changed(since=version)
        recovery.halt()

    async def _trigger_when_cancelled(self) -> None:
        """Cut short what is in flight when the run is cancelled from outside.

        Purchases are shielded, so a task outside the shield has to notice.
        """
        try:
            await anyio.sleep_forever()
        finally:
            self._run.is_cancelled = not self._is_over
            self._end_all(CANCELLED)
            self._run.interrupt.trigger()

    async def _heed(self, stopping: anyio.Event, deadline_s: float | None) -> None:
        """Stop on a signal or when the run's time is over; then give paid work time to end."""
        message = "it was told to stop"
        with anyio.move_on_after(deadline_s) as patience:
            await stopping.wait()
        if patience.cancelled_caught:
            message = f"the run's deadline of {deadline_s:g} s is over"
        elif self._run.in_flight:
            warn_of(self._still_waiting())
        self._run.stop(Failure(code="cancelled", message=message, retryable=True))
        await anyio.sleep(self._run.settings.drain_s)
        self._run.interrupt.trigger()

    def _still_waiting(self) -> Warned:
        checkout, in_flight = self._run.checkout, self._run.in_flight.values()
        return messages.still_waiting(
            [hold for hold in in_flight if isinstance(hold, int)],
            self._run.settings.drain_s,
            making=[making.job for making in in_flight if isinstance(making, BeingMade)],
            is_free=checkout.route.is_here,
            attempts=checkout.caretaker("attempts"),
        )

    def _end_all(self, failure: Failure) -> None:
        """Let nothing new begin, for this reason; what goes on beside dispatch costs nothing."""
        self._dispatcher.halt()
        self._gathered.halt()
        self._run.checkout.halt()
        if failure.code != "budget":  # which holds back nothing that is paid for already
            self._run.recovery.halt()
            self._pending.waiting.halt()

    async def _leave(self, scene: SceneState, stopping: anyio.Event) -> None:
        """End a scene that the run has not come to.

        What keeps it from being bought does not keep its picture away if that is there. A run that
        is to end, or whose disk fails, does not wait for that.
        """
        stopped = self._run.stopped
        is_over = stopped is None or stopped.code in {"cancelled", "storage"}
        if is_over or self._run.broken is not None or stopping.is_set():
            self._run.not_sent(scene)
            return
        due = await self._perform(scene)  # nothing more can be held, so nothing is sent
        if due is not None:
            self._dispatcher.push(scene, due)
        await anyio.lowlevel.checkpoint()
