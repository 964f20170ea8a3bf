"""Brings on the scenes that nothing more is sent for: what they wait for has been bought already.

The picture at an address that does not give it yet is asked for again, with growing waits and for
some minutes; a job that another run has left at its provider is asked for as long as a scene may
take; a purchase that a dead run has left is waited for until recovery has ended it, and one that
another run has in work until that has ended. None of it needs capacity, and none of it
costs anything. What then has to be claimed anew goes back to dispatch.
"""

from __future__ import annotations

from collections.abc import Iterable

from host_stub.contract import Failure, FailureCode
from stage3_plugin.domain.attempt import MissingPicture
from stage3_plugin.domain.events import BatchProgress, warn_of
from stage3_plugin.domain.job import BeingMade, Job, LineCount
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.engine.following import WITHOUT_A_PICTURE, Following
from stage3_plugin.engine.scene_state import Put, SceneState, Waiting
from stage3_plugin.errors import StorageFailed
from stage3_plugin.policy.refetch import PATIENCE_S, wait_s
from stage3_plugin.policy.retry import Again
from stage3_plugin.purchase import lost, messages
from stage3_plugin.purchase.recovery import SOON_S
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.due_items import DueItems

ASKED_UNTIL_MISSING = 3
"""Requests for a picture, over some seconds, before it counts as one that does not come: an address
may be a moment older than what it leads to."""
LEFT_TO_ITS_RUN_S = 60.0
"""Seconds for which a job is left to a living run that asks for it, too."""
LEAST_WAIT_S = 0.1
BUSY_WAIT_S = 0.5
"""Seconds between two looks whether another run has ended a scene; each reads one row."""
MOST_BUSY_WAIT_S = 3.0
"""The most of them, to which they grow: many scenes may wait for the work of many drivers."""
BATCH_LOOKS_S = (0.3, 2.0)
"""Seconds after its create at which a run looks whether its batch has ended: some come to nothing
at once. A batch that is being made is left to a later run."""
TRIES_IN_TROUBLE, TROUBLE_WAIT_S = 5, 10.0
"""So often a run asks for a batch that it cannot be told of, or whose results are not here whole,
as long as that may be mended so soon."""
ASKED_UNTIL_AWAY = 3
"""Looks at which no driver of another home is connected, before its work is not waited for."""


class PendingScenes:
    """The scenes of one run that wait beside dispatch.

    Args:
        run: What they wait with; it does what follows where that has come to its end.
        put: Does with a scene what it needs next.

    Attributes:
        waiting: They, each with what it waits for; it asks for whatever is due.
    """

    def __init__(self, run: Following, put: Put) -> None:
        self._run = run
        self._put = put
        self.waiting = DueItems[tuple[SceneState, Waiting]](self._ask)
        self._told: dict[str, LineCount] = {}
        self._looked_at = set[int]()
        self._left: list[tuple[Purchase, Job]] = []
        """Whose jobs scenes have waited for, and that this run leaves to a later one."""

    def end(self) -> None:
        """End what still waits."""
        for scene, waiting in self.waiting.left():
            try:
                self._end(scene, waiting)
            except StorageFailed as failure:  # what it waits for cannot be looked at any more
                self._give_up(scene, waiting, messages.no_storage(failure))

    @property
    def looks_at_batches(self) -> bool:
        """Whether it is about to be known of some scenes that they go into a new batch."""
        return bool(self._looked_at)

    def add(self, scene: SceneState, waiting: Waiting) -> None:
        """Let a scene wait for a purchase; it ends at once if nothing asks for that any more."""
        with self._run.ending([scene]):
            due = self._first_due(scene, waiting)
            if due is None:
                self._end(scene, waiting)
                return
            if self._is_in_a_batch(waiting):
                self._looked_at.add(id(scene))
            self.waiting.push((scene, waiting), due)

    def _is_in_a_batch(self, waiting: Waiting) -> bool:
        """Return whether a scene waits for a line of a batch that is known to be made."""
        if waiting.making is not None:
            return _is_batch(waiting.making.job)
        purchase = self._run.checkout.run_ledger.reader.purchase(waiting.purchase_id)
        return (
            purchase is not None
            and purchase.new.line is not None
            and purchase.state is State.ACCEPTED
        )

    def _first_due(self, scene: SceneState, waiting: Waiting) -> float | None:
        """Return when to ask for the first time, if at all.

        Another run's purchase is looked at once; the scene's own was asked for just now.
        """
        if waiting.is_own:
            self._stop_if_nothing_comes(waiting)
        if not self.waiting.is_open:
            return None
        if not waiting.is_own or (waiting.making is None and waiting.not_here is None):
            return waiting.since
        if waiting.making is not None and _is_batch(waiting.making.job):
            return waiting.since + BATCH_LOOKS_S[0]
        if waiting.not_here is None or waiting.not_here.needs_setting:
            return None
        again = Again(wait_s(waiting.asked), "pending")
        self._run.reporter.retried(scene, again, scene.costs[-1], _pending(waiting).message)
        return waiting.since + again.wait_s

    def _stop_if_nothing_comes(self, waiting: Waiting) -> None:
        """Let nothing more be bought when several pictures in a row are paid for and not here."""
        in_a_row = self._run.streaks.all_pending
        if in_a_row is not None:
            failure = _pending(waiting)
            self._run.stop(failure.model_copy(update={"message": f"{in_a_row}; {failure.message}"}))

    async def _ask(self, waits: tuple[SceneState, Waiting]) -> float | None:
        """Ask once more for what a scene waits for; return when to ask again, if at all."""
        scene, due = waits[0], None
        with self._run.ending([scene]):
            due = await self._ask_for(*waits)
        if due is None:
            self._looked_at.discard(id(scene))
        return due

    async def _ask_for(self, scene: SceneState, waiting: Waiting) -> float | None:
        waiting.asked += 1
        purchase = self._run.checkout.run_ledger.reader.purchase(waiting.purchase_id)
        if purchase is not None and self._is_in_work(waiting, purchase):
            due = self._leave_to_its_run(scene, waiting, purchase)
        else:
            brought = await self._run.recovery.bring_on(waiting.purchase_id)
            waiting.not_here = brought.not_here or waiting.not_here
            waiting.making = brought.making
            if brought.storage is not None:
                is_line = brought.purchase is not None and brought.purchase.new.line is not None
                kept = messages.kept_anyway(brought.storage, is_line=is_line)
                self._give_up(scene, waiting, kept)
                return None
            if brought.making is not None or (brought.is_lost and waiting.is_own):
                due = self._ask_for_job(scene, waiting, brought.making)
            elif brought.is_open:
                due = self._ask_for_picture(scene, waiting, brought.not_here)
            else:
                self._put(scene, await self._run.late(scene, brought, is_own=waiting.is_own))
                return None
        if due is None:
            self._end(scene, waiting)
        return due

    def _ask_for_picture(
        self, scene: SceneState, waiting: Waiting, missing: MissingPicture | None
    ) -> float | None:
        """Return when to ask again at an address that did not give its picture, if that may."""
        if missing is None or missing.needs_setting:
            return None
        if waiting.asked == ASKED_UNTIL_MISSING:
            self._run.streaks = self._run.streaks.after("pending")
            self._stop_if_nothing_comes(waiting)
        left_s = self._run.settings.deadline_s
        if scene.was_started:
            left_s -= waiting.since - scene.started_at
        longest_s, next_s = min(PATIENCE_S, left_s), wait_s(waiting.asked)
        return self._ask_later(scene, waiting, "pending", longest_s, next_s)

    def _ask_for_job(
        self, scene: SceneState, waiting: Waiting, making: BeingMade | None
    ) -> float | None:
        """Return when to ask again for a job, if this run does; ``None`` is one not found yet."""
        if making is None:
            left_s = self._run.settings.deadline_s - (waiting.since - scene.started_at)
            patience_s = min(lost.PATIENCE_S, max(0.0, left_s))
            return self._ask_later(scene, waiting, "unknown", patience_s, lost.AGAIN_S)
        if making.stops_run:
            self._run.stop(messages.not_asked(making))
        if making.again_s is None or not self.waiting.is_open:
            return None
        if _is_batch(making.job):
            return self._look_at_batch(waiting, making)
        return self._ask_later(
            scene,
            waiting,
            "pending",
            self._run.settings.deadline_s,
            max(LEAST_WAIT_S, making.again_s),
        )

    def _look_at_batch(self, waiting: Waiting, making: BeingMade) -> float | None:
        """Return when to look at a batch once more, if this run has only just made it."""
        self._report_progress(making)
        now, again_s = self._run.now(), making.again_s or 0.0
        if making.problem and again_s <= TROUBLE_WAIT_S and waiting.asked < TRIES_IN_TROUBLE:
            return now + max(LEAST_WAIT_S, again_s)
        if not waiting.is_own:  # others of this run look once more, too
            is_soon = again_s <= SOON_S and waiting.asked < TRIES_IN_TROUBLE
            return now + max(LEAST_WAIT_S, again_s) if is_soon else None
        if waiting.asked >= len(BATCH_LOOKS_S):
            return None
        return max(now, waiting.since + BATCH_LOOKS_S[waiting.asked])

    def _report_progress(self, making: BeingMade) -> None:
        """Report how far a batch is, once for all of its lines."""
        token, lines = making.job.new.token or "", making.lines
        if lines is None or self._told.get(token) == lines:
            return
        self._told[token] = lines
        accepted = making.job.accepted
        trace.event(
            BatchProgress(
                batch=making.job.new.token,
                job=None if accepted is None else accepted.job_id,
                lines=lines.total,
                done=lines.done,
                failed=lines.failed,
                expired=lines.expired,
            )
        )

    def say_what_is_left(self) -> None:
        """Say what is being made as the run ends, and when to come back for it."""
        batches, jobs = list[Job](), list[Job]()
        held_microusd = 0
        for purchase, job in self._left:
            if not self._is_still_made(purchase):
                continue
            if purchase.new.line is None:
                jobs.append(job)
            else:
                batches.append(job)
                held_microusd += purchase.new.hold_microusd
        if jobs:
            warn_of(messages.left_being_made(jobs))
        if batches:
            terms, caretaker = self._run.places[0].route.batch, self._run.checkout.caretaker
            within_s, lines = None if terms is None else terms.within_s, self._lines_of(batches)
            warn_of(messages.left_in_batches(batches, lines, held_microusd, within_s, caretaker))

    def _is_still_made(self, left: Purchase) -> bool:
        """Return whether what is left is being made by now: its batch may have come to its end."""
        try:
            now = self._run.checkout.run_ledger.reader.purchase(left.new.attempt_id)
        except StorageFailed:
            return True
        return now is None or now.state not in _ENDED

    def _lines_of(self, jobs: Iterable[Job]) -> LineCount | None:
        """Return how far batches are, all together, by what was heard last; ``None`` of nothing."""
        tokens = dict.fromkeys(job.new.token or "" for job in jobs)
        known = [self._told[token] for token in tokens if token in self._told]
        if not known:
            return None
        return LineCount(
            total=sum(one.total for one in known),
            done=sum(one.done for one in known),
            failed=sum(one.failed for one in known),
            expired=sum(one.expired for one in known),
        )

    def _leave_to_its_run(
        self, scene: SceneState, waiting: Waiting, purchase: Purchase
    ) -> float | None:
        """Return when to look again at what another run has in work, if that may end soon."""
        is_away = self._run.recovery.is_left_elsewhere(purchase)
        waiting.away = waiting.away + 1 if is_away else 0
        if waiting.away >= ASKED_UNTIL_AWAY:
            return None
        settings, next_s = self._run.settings, min(MOST_BUSY_WAIT_S, BUSY_WAIT_S * waiting.asked)
        is_here = self._run.recovery.home_of(purchase) is None  # with requests as long as ours
        longest_s = settings.timeout_s if is_here else settings.deadline_s
        return self._ask_later(scene, waiting, "busy", longest_s, next_s)

    def _is_in_work(self, waiting: Waiting, purchase: Purchase) -> bool:
        """Return whether a run that lives, or one of another home, has a purchase in work.

        Its job is left to it for some time, which saves requests: it may ask no more itself.
        """
        if purchase.state is State.ACCEPTED and purchase.new.line is not None:
            return False  # a batch takes longer than any run waits
        if purchase.state is State.ACCEPTED:
            is_patient = self._run.now() < waiting.since + LEFT_TO_ITS_RUN_S
            return is_patient and self._run.recovery.lives(purchase)
        return purchase.state in OPEN and not self._run.recovery.is_dead(purchase)

    def _ask_later(
        self,
        scene: SceneState,
        waiting: Waiting,
        cause: FailureCode,
        longest_s: float,
        next_s: float,
    ) -> float | None:
        """Return when to ask again, unless a scene has waited long enough."""
        now = self._run.now()
        left_s = waiting.since + longest_s - now
        if left_s <= 0:
            return None
        next_s = min(next_s, left_s)
        self._run.reporter.awaited(scene, waiting, cause, wait_s=next_s, left_s=left_s)
        return now + next_s

    def _end(self, scene: SceneState, waiting: Waiting) -> None:
        """End a scene that waits beside dispatch and has not come to what it waits for."""
        recovery = self._run.recovery
        purchase = self._run.checkout.run_ledger.reader.purchase(waiting.purchase_id)
        if purchase is None:
            self._run.not_sent(scene)
            return
        failure = _pending(waiting, purchase.job)
        if self._run.is_cancelled and scene.was_started and purchase.state is not State.ACCEPTED:
            message = f"the run was cancelled; {failure.message}"
            failure = Failure(code="cancelled", message=message, retryable=True)
        elif purchase.new.line is not None and purchase.state in _ENDED:
            failure = messages.not_come_to(purchase)
        elif purchase.state is State.UNKNOWN:
            failure = messages.undecided(purchase, self._run.checkout.caretaker)
        elif purchase.state is not State.ACCEPTED and not recovery.is_dead(purchase):
            failure = messages.busy(
                purchase,
                self._run.checkout.caretaker,
                home=recovery.home_of(purchase),
                is_away=recovery.is_left_elsewhere(purchase),
            )
        elif purchase.job is not None and waiting.not_here is None:
            making = waiting.making  # which may be kept for longer than the ledger knows
            self._left.append((purchase, purchase.job if making is None else making.job))
        self._give_up(scene, waiting, failure)

    def _give_up(self, scene: SceneState, waiting: Waiting, failure: Failure) -> None:
        if waiting.is_own:
            self._run.checkout.give_up()
        self._run.reporter.failed(scene, failure)


_ENDED = {*WITHOUT_A_PICTURE, State.PAID}


def _is_batch(job: Job) -> bool:
    return job.new.lane == "batch"


def _pending(waiting: Waiting, job: Job | None = None) -> Failure:
    if job is None or job.accepted is None or waiting.not_here is not None:
        return messages.pending(waiting.purchase_id, waiting.not_here)
    return messages.being_made(waiting.purchase_id, waiting.making or BeingMade(job=job))
