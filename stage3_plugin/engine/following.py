"""A run, and what follows in it for a scene from what came: an outcome, another try, or a wait.

How the run stands is one for all that brings its scenes on, in dispatch and beside it; what is
counted, and when that is a reason to stop, is ``policy.streaks``'s.

What follows is said here alone: whether it came of the scene's own request, of the create of its
batch, of its line, or late, beside dispatch. What an answer means is decided by ``policy.retry``,
by what the scene has behind it and what has come in a row; which step follows which, by
``policy.ladder``. How a step has ended is looked up here, and a place is closed at which nothing
can be had.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from host_stub.contract import Failure, StageSummary
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import coded, warn_of
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge
from stage3_plugin.domain.picture import Placed
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.backend import Sender
from stage3_plugin.engine.reporter import Reporter, Results
from stage3_plugin.engine.scene_state import (
    ENDED,
    Due,
    Ended,
    Next,
    SceneState,
    Waiting,
)
from stage3_plugin.errors import PictureLost, ProviderBroken, StorageFailed
from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.limiter import Limiter, Permit
from stage3_plugin.policy.capacity.rate_limit import rate_limit_of
from stage3_plugin.policy.ladder import FIRST
from stage3_plugin.policy.ladder import Ended as StepEnded
from stage3_plugin.policy.refusal import refused_for
from stage3_plugin.policy.retry import (
    Again,
    Decision,
    GiveUp,
    History,
    Keep,
    Stop,
    decide,
    was_turned_away,
)
from stage3_plugin.policy.settlement import cost_with_hold
from stage3_plugin.policy.streaks import NONE, Streaks
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.checkout import HALTED, Checkout, Denied
from stage3_plugin.purchase.lost import Brought
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.clock import Clock, clock
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures

CUT_SHORT = Failure(code="cancelled", message="cut short", retryable=True)
CANCELLED = Failure(code="cancelled", message="the run was cancelled", retryable=True)

MOST_BATCHES_LOST = 1
"""Batches in a row in which a scene's line came to nothing by no fault of its own, and after which
it goes into another one in the same run."""
WITHOUT_A_PICTURE = frozenset({State.REFUSED, State.VOID, State.PAID_BAD})
_UNBILLED = frozenset({State.REFUSED, State.VOID})


@dataclass(slots=True, kw_only=True)
class Place:
    """One route, as a run goes about it.

    Attributes:
        route: Where they are made.
        sender: What makes them.
        checkout: Holds money for them, and settles.
        limiter: Decides how many may be in flight there.
        closed: Why nothing can be had there in this run, for any scene.
        streaks: What has come there in a row.
    """

    route: Route
    sender: Sender
    checkout: Checkout
    limiter: Limiter
    closed: Failure | None = None
    streaks: Streaks = NONE

    @property
    def key_number(self) -> int:
        """Return which of the keys it has had is in use; 0 where there is one at most."""
        key = self.sender.key
        return 0 if key is None else key.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of a scene.

    Attributes:
        result: That, at the cost that the ledger counts.
        held: What was held for the request that it came of, if one was just sent.
        late: Its purchase, where that has come to its end beside dispatch.
        is_own: It was bought in this run; else its cost is none of this run's.
        placed: The picture's file beside the story, or why there is none.
        instead: The purchase whose picture is shown in its place.
    """

    result: AttemptResult
    held: Held | None = None
    late: Purchase | None = None
    is_own: bool = True
    placed: Placed | Failure | None = None
    instead: Purchase | None = None

    @property
    def attempt_id(self) -> str | None:
        """Return its purchase; ``None`` where nothing was held."""
        if self.late is not None:
            return self.late.new.attempt_id
        return None if self.held is None else self.held.attempt_id


@dataclass(slots=True)
class Tries:
    """What the making of one batch has behind it.

    Attributes:
        since: When it began.
        ran: How often it was tried.
        turned_away: How often of these a limit turned it away.
    """

    since: float
    ran: int = 0
    turned_away: int = 0


@dataclass(kw_only=True, eq=False)
class Following:
    """One run: what it is made with, how it stands, and what follows in it for a scene.

    All that brings its scenes on shares it, in dispatch and beside it. It calls what has to end
    when a run stops.

    Attributes:
        settings: What the user wants.
        asked: What is asked for, at each step, and what it shows.
        places: Where the pictures are made, in the order in which they are tried.
        results: Takes the pictures out.
        reporter: Reports to the host.
        draw: Returns a number in [0, 1) for jitter.
        recovery: Looks after what other runs have left, and asks again for what was bought.
        pictures: Has the folders of batches, where there may be any.
        now: The running event loop's clock.
        on_stop: Called with the reason whenever there is one to stop.
        stopped: Why nothing new is started, if that is so.
        broken: The fault of our own that is raised when everything has ended.
        is_cancelled: The run was cancelled from outside.
        interrupt: Cuts short what is in flight.
        streaks: What has come in a row.
        in_flight: What is held for each request in flight, in micro-USD, by its attempt; of those
            that were accepted, how far they are.
    """

    settings: Settings
    asked: Asked
    places: Sequence[Place]
    results: Results
    reporter: Reporter
    draw: Callable[[], float]
    recovery: Recovery
    pictures: Pictures
    now: Clock = field(default_factory=clock)
    on_stop: Callable[[Failure], None] = lambda _failure: None
    stopped: Failure | None = None
    broken: Exception | None = None
    is_cancelled: bool = False
    interrupt: Interrupt = field(default_factory=Interrupt)
    streaks: Streaks = NONE
    in_flight: dict[str, int | BeingMade] = field(default_factory=dict[str, int | BeingMade])

    # How it stands -------------------------------------------------------------------------------

    @property
    def is_going_on(self) -> bool:
        """Whether anything new may be sent."""
        return self.stopped is None and not self.interrupt.triggered

    def stop(self, failure: Failure) -> None:
        """Start nothing new; the first reason is the one that is reported."""
        if self.stopped is None:
            self.stopped = failure
        self.on_stop(failure)

    def stop_on(self, error: Exception) -> Failure:
        """Stop on what was raised while a scene was in work, and return the scene's failure.

        The same fault may hit every scene, so no further one is paid for. What was paid for may lie
        in the spool. A fault of our own is kept, to be raised when everything has ended.
        """
        failure = failure_of(error)
        if not isinstance(error, StorageFailed):
            self.broken = self.broken or error
        self.stop(failure)
        return failure

    def summary(self) -> StageSummary:
        """Return how the run as a whole has ended."""
        if self.stopped is None:
            return StageSummary()
        return StageSummary(stopped=self.stopped.code, message=self.stopped.message)

    def unsent(self, *, was_started: bool) -> Failure:
        """Return the failure of a scene that was to be sent when the run stopped."""
        if was_started:
            return self.stopped or CANCELLED
        because = "it was cancelled" if self.stopped is None else self.stopped.message
        message = f"the run had stopped: {because}"
        return Failure(code="not_tried", message=message, retryable=True)

    # A paid request ------------------------------------------------------------------------------

    async def drive(
        self,
        lines: Sequence[tuple[SceneState, Held]],
        send: Callable[[], Awaitable[AttemptResult]],
    ) -> AttemptResult:
        """Have the one paid request of a job sent, for one scene or for all lines of a batch.

        Where that ends in an exception a renderer was cut short, or the fault is ours; what was
        paid for may lie in the spool, and the next start takes it in.

        Args:
            lines: The scenes, each with what is held for it.
            send: Sends it; it is not settled yet.
        """
        checkout, in_flight = self.checkout, self.in_flight
        for scene, held in lines:
            base_url = self.place_of(scene).route.endpoint.base_url
            self.reporter.started(scene, held, base_url=base_url)
            in_flight[held.attempt_id] = held.hold_microusd
        try:
            with self.interrupt.in_force():
                return await send()
        except BaseException:
            for scene, held in lines:
                scene.costs.append(FREE if checkout.route.is_here else UNKNOWN)
                await checkout.leave_open(held)
            raise
        finally:
            for _, held in lines:
                del in_flight[held.attempt_id]

    async def settle(
        self, lines: Sequence[tuple[SceneState, Held]], result: AttemptResult
    ) -> tuple[AttemptResult, Purchase | None]:
        """Record what the one paid request of a job came to, for all of its lines.

        Returns:
            The same at the cost that the ledger counts; and what somebody has decided about the
            purchase meanwhile, if that is so.
        """
        cost, overtaken = result.cost, None
        try:
            cost, overtaken = await self.checkout.settle([held for _, held in lines], result)
        finally:  # spent all the same where it cannot be recorded
            for scene, _ in lines:
                scene.note(result, cost)
        return result if cost is result.cost else replace(result, cost=cost), overtaken

    def is_late(self, held: Held, listing: Listing | None) -> bool:
        """Return whether a request may count as absent already, and so must not leave any more.

        A person may have given its home up while this machine slept, and its provider's listing,
        which does not have it, been believed. This narrows that and cannot close it.
        """
        age_s = 0.0 if listing is None else self.checkout.run_ledger.age_s(held)
        return listing is not None and age_s > listing.settle_s / 2

    @contextmanager
    def ending(self, scenes: Iterable[SceneState]) -> Generator[None]:
        """End scenes by what is raised while they are in work; what stops the run is kept."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a fault of ours is raised at the run's end
            failure = self.stop_on(error)
            for scene in scenes:
                self.reporter.failed(scene, failure)
        except BaseException:
            for scene in scenes:
                self.reporter.failed(scene, CUT_SHORT)
            raise

    def place_of(self, scene: SceneState) -> Place:
        """Return the place that a scene is at by now."""
        return self.places[scene.at.route]

    @property
    def checkout(self) -> Checkout:
        """Return that of the first place, for what is the same at all of them."""
        return self.places[0].checkout

    # Its ladder ----------------------------------------------------------------------------------

    def begin(self, scene: SceneState) -> None:
        """Find out the steps of a scene, if that was not done before; it may begin at a later one.

        So it does where runs before were billed for refusing its picture.
        """
        if scene.ladder is not None:
            return
        steps, spent = self.asked.steps, frozenset[int]()
        if any(steps.after_billed):
            made = self.checkout.billed_refusals(scene.wanted)
            found = (steps.step_of(scene.wanted, one.new) for one in made)
            spent = frozenset(step.route for step in found if step is not None)
        scene.ladder = steps.ladder_of(scene.wanted, spent=spent)
        if scene.at == FIRST and scene.ladder.first != FIRST:
            scene.go_to(scene.ladder.first, steps.request_at(scene.wanted, scene.ladder.first))

    def turn_to(self, scene: SceneState, purchase: Purchase) -> None:
        """Let a scene be at the step that a purchase was made by, if it was one of its steps."""
        steps = self.asked.steps
        step = steps.step_of(scene.wanted, purchase.new) if scene.has_steps else None
        if step is not None and step != scene.at:
            scene.go_to(step, steps.request_at(scene.wanted, step))

    # From what came ------------------------------------------------------------------------------

    def follow(
        self,
        scene: SceneState,
        came: Came,
        permit: Permit | None = None,
        *,
        decided: Decision | None = None,
    ) -> Next:
        """Do what follows from what came of a scene.

        Args:
            scene: The scene.
            came: What came of it.
            permit: The limiter's, where it came of a request that had one.
            decided: What was decided, and counted, for all lines of its batch at once.
        """
        if decided is None:
            self.count(scene, came.result)
        undecided = self._undecided(scene, came)
        if undecided is not None:
            return undecided
        decision = decided or self._decide(scene, came)
        if isinstance(decision, Again):
            return self.again(scene, came, decision, permit)
        if isinstance(decision, Keep):
            return self._end_with(scene, came)
        is_refusal = decided is None and came.result.verdict.kind is VerdictKind.REFUSED
        return self._end_step(
            scene, came.attempt_id, decision, came.result.cost, is_refusal=is_refusal
        )

    def _undecided(self, scene: SceneState, came: Came) -> Next | None:
        """Return what follows where an answer to what was sent leaves nothing to decide."""
        held, result = came.held, came.result
        if held is not None and result.storage is not None:
            caretaker = self.checkout.caretaker
            return self.stop_with(
                scene, messages.without_storage(result, result.storage, caretaker)
            )
        if result.making is not None and result.making.stops_run:
            self.stop(messages.not_asked(result.making))
        if came.late is None and result.interrupted and not result.stays_open:
            message = result.verdict.message
            return self.fail(scene, Failure(code="cancelled", message=message, retryable=True))
        if held is None:
            return None
        profile = self.place_of(scene).route.profile
        has_listing = profile is not None and profile.listing is not None
        has_listing = has_listing or scene.is_for_a_batch
        can_be_found = result.verdict.is_unknown and held.token is not None and has_listing
        if not (result.stays_open or can_be_found):
            return None
        return Waiting(
            purchase_id=held.attempt_id,
            since=self.now(),
            is_own=True,
            asked=int(result.not_here is not None),
            not_here=result.not_here,
            making=result.making,
        )

    def again(
        self, scene: SceneState, came: Came, again: Again, permit: Permit | None = None
    ) -> Due:
        """Let a scene wait for its next request; if all pause for it, it goes first after that."""
        now = self.now()
        if not came.is_own:  # nothing of it was sent in this run
            return Due(now)
        is_covered = permit is not None and permit.is_covered
        if is_covered:
            again = replace(again, wait_s=self.place_of(scene).limiter.state(now).pause_s)
        self.reporter.retried(scene, again, came.result.cost, came.result.verdict.message)
        scene.queued_at = now + again.wait_s
        return Due(now if is_covered else scene.queued_at)

    async def late(self, scene: SceneState, brought: Brought, *, is_own: bool) -> Next:
        """Do what follows where what a scene waited for has come to its end beside dispatch.

        What another run has bought is claimed anew, as is a line of a run before that has a picture
        or never ran.

        Args:
            scene: The scene.
            brought: How what it waited for stands.
            is_own: As in :class:`Came`.
        """
        purchase, result = brought.purchase, brought.attempted
        if purchase is None:
            return Due(self.now())
        is_bad_line = purchase.new.line is not None and purchase.state in WITHOUT_A_PICTURE
        if is_bad_line and result is None and is_own:
            # It never ran, though this run has only just made its batch.
            verdict = Verdict(kind=VerdictKind.BUSY, message=purchase.why)
            result = AttemptResult(verdict=verdict, cost=FREE)
        if result is None or not (is_own or is_bad_line):
            return Due(self.now())
        if is_bad_line or purchase.state in _UNBILLED or purchase.is_billed_refusal:
            following = self.end_late(scene, purchase, result, is_own=is_own)
            if is_bad_line:
                await self.recovery.endings.tell(purchase)
            return following
        if purchase.picture is None:
            scene.costs[-1] = UNKNOWN
            unknown = Failure(code="unknown", message=purchase.why)
            return self.fail(scene, messages.with_next_step(unknown, self.checkout.caretaker))
        scene.costs[-1] = cost_with_hold(result, purchase.new.hold_microusd, purchase.state)
        self.streaks = self.streaks.after("made")
        placed = await self._place(scene, purchase, is_new=True)
        return self._end_with(scene, Came(result=result, late=purchase, placed=placed))

    def end_late(
        self, scene: SceneState, purchase: Purchase, result: AttemptResult, *, is_own: bool = True
    ) -> Next:
        """Do what follows where a purchase has ended late and has no picture: its money is known.

        Args:
            scene: The scene.
            purchase: Its purchase: it was refused, or never ran.
            result: What that came to.
            is_own: As in :class:`Came`.
        """
        verdict = refused_for(result.verdict, scene.request)
        cost = cost_with_hold(result, purchase.new.hold_microusd, purchase.state)
        if is_own:
            scene.costs[-1] = cost
        scene.refused += verdict.kind is VerdictKind.REFUSED
        result = replace(result, verdict=verdict, cost=cost)
        return self.follow(scene, Came(result=result, late=purchase, is_own=is_own))

    # Decide --------------------------------------------------------------------------------------

    def count(self, scene: SceneState, result: AttemptResult) -> None:
        """Count what has come in a row, in the run and at the scene's place; a batch is one."""
        now = self.now()
        for counts in (self, self.place_of(scene)):
            counts.streaks = counts.streaks.after_attempt(result, now)

    def _decide(self, scene: SceneState, came: Came) -> Decision:
        """Have it decided by what the scene has behind it, and what has come in a row."""
        verdict = came.result.verdict
        if came.attempt_id is None:
            verdict = refused_for(verdict, scene.request)
        history = History(
            ran=scene.attempts_here - scene.turned_away,
            turned_away=scene.turned_away,
            elapsed_s=self.now() - scene.started_at,
            unknown=scene.unknown,
            refused=scene.refused,
            has_seed=scene.request.seed is not None,
        )
        decision = self._decided(scene, verdict, history)
        if came.attempt_id is None and not isinstance(decision, GiveUp | Stop):
            return GiveUp(Failure(code="rejected", message=came.result.verdict.message))
        if came.late is None or not isinstance(decision, Again | Stop):
            return decision
        if came.late.new.line is not None:
            decision = self._as_a_line(scene, verdict, decision)
        return replace(decision, wait_s=0.0) if isinstance(decision, Again) else decision

    def decide_for_all(self, scene: SceneState, result: AttemptResult, tries: Tries) -> Decision:
        """Have it decided what follows for all lines of a batch that was not made; count it once.

        Args:
            scene: One of them.
            result: What came of its create, or of what goes before that.
            tries: What the batch has behind it.
        """
        self.count(scene, result)
        history = History(
            ran=tries.ran - tries.turned_away,
            turned_away=tries.turned_away,
            elapsed_s=self.now() - tries.since,
        )
        return self._decided(scene, result.verdict, history)

    def _decided(self, scene: SceneState, verdict: Verdict, history: History) -> Decision:
        has_one = len(self.places) == 1
        streaks = (self if has_one else self.place_of(scene)).streaks
        history = replace(history, streaks=streaks, now=self.now())
        return decide(verdict, history, self.settings, chance=self.draw())

    def _as_a_line(
        self, scene: SceneState, verdict: Verdict, decision: Again | Stop
    ) -> Again | GiveUp:
        """Return what is decided of a line, which takes others with it.

        All others of its batch are bought as well, so that no stop would keep any from it. What
        comes of trouble on the way goes into one more batch in this run, and no further: each has
        its file uploaded anew, and takes its time.
        """
        if isinstance(decision, Stop):
            return GiveUp(decision.failure)
        if verdict.kind is VerdictKind.REFUSED:
            return decision
        if was_turned_away(verdict):
            return GiveUp(messages.queue_is_full(scene.request.provider))
        scene.batches_lost += 1
        if scene.batches_lost <= MOST_BATCHES_LOST:
            return decision
        return GiveUp(messages.lost_with_its_batches(decision.cause, verdict.message))

    async def has_another_key(self, place: Place, number: int, result: AttemptResult) -> bool:
        """Return whether a request was turned away for its key, and there is another by now."""
        key, verdict = place.sender.key, result.verdict
        if key is None:
            return False
        if verdict.kind is VerdictKind.PICTURES or verdict.may_be_billed or result.stays_open:
            key.note_bought()
        is_turned_away = verdict.kind is VerdictKind.BAD_CREDENTIALS and not verdict.may_be_billed
        return is_turned_away and self.is_going_on and await key.is_another_since(number)

    # Ends ----------------------------------------------------------------------------------------

    async def reuse(self, scene: SceneState, purchase: Purchase) -> Ended:
        """End a scene with the picture that is there."""
        if scene.request.seed is not None:  # or no number is asked for
            scene.number = self.asked.steps.keys_of(scene.wanted).take_of(purchase.new) or 1
        placed = await self._place(scene, purchase)
        if isinstance(placed, Failure):
            return self.fail(scene, placed)
        self.reporter.reused(scene, placed, purchase)
        return ENDED

    async def _place(
        self, scene: SceneState, purchase: Purchase, *, is_new: bool = False
    ) -> Placed | Failure:
        """Bring the picture of a purchase to its place, or return why that cannot be."""
        if purchase.picture is None:
            raise LookupError("a purchase without a picture has nothing to show")
        try:
            return await self.results.publish(
                purchase.picture, scene.request, take=scene.take, is_new=is_new
            )
        except StorageFailed as failure:
            home = self.recovery.home_of(purchase)
            if isinstance(failure, PictureLost) and self.settings.store is None and home:
                return messages.on_another_machine(purchase, home)
            return messages.lost_picture(purchase.new.attempt_id, failure)

    def _end_with(self, scene: SceneState, came: Came) -> Ended:
        """End a scene whose picture is stored; what keeps it from its place stops the run."""
        if came.placed is None or came.attempt_id is None:
            raise LookupError("a picture that is kept was not published")
        if isinstance(came.placed, Failure):
            return self.stop_with(scene, came.placed)
        if came.instead is not None:
            self.reporter.reused(scene, came.placed, came.instead)
        else:
            self.reporter.made(scene, came.placed, came.attempt_id, came.result)
        return ENDED

    def give_up(
        self, scene: SceneState, failure: Failure, *, attempt_id: str | None = None
    ) -> Next:
        """End the step of a scene that nothing was sent for."""
        return self._end_step(scene, attempt_id, GiveUp(failure), FREE)

    def _end_step(
        self,
        scene: SceneState,
        attempt_id: str | None,
        decision: GiveUp | Stop,
        cost: Charge,
        *,
        is_refusal: bool = False,
    ) -> Next:
        """End a step without a picture, and with it the scene, unless another step follows.

        What is true of all scenes ends a run only where there is no other route to go to.
        """
        failure = messages.with_next_step(decision.failure, self.checkout.caretaker)
        is_for_all = isinstance(decision, Stop)
        if not scene.has_steps:
            return (self.stop_with if is_for_all else self.fail)(scene, failure)
        state: State | None = State.VOID  # nothing that was not held took money
        if attempt_id is not None:
            purchase = self.checkout.run_ledger.reader.purchase(attempt_id)
            state = None if purchase is None else purchase.state
        ended = StepEnded(step=scene.at, state=state, is_refusal=is_refusal, cause=failure.cause)
        if is_for_all and not (ended.is_unbilled and len(self.places) > 1):
            return self.stop_with(scene, failure)
        if is_for_all:
            self._close(self.place_of(scene), failure)
        step = None if scene.ladder is None else scene.ladder.after([*scene.ended, ended])
        if step is None or not self.is_going_on:
            return self.fail(scene, failure)
        request = self.asked.steps.request_at(scene.wanted, step)
        if scene.attempts_here:
            next_one = f"tried next: {request.provider} {request.model}".rstrip()
            again = Again(0.0, failure.code)
            self.reporter.retried(scene, again, cost, f"{failure.message}; {next_one}")
        scene.step_on(ended, failure, step, request)
        scene.queued_at = self.now()
        return Due(scene.queued_at)

    def _close(self, place: Place, failure: Failure) -> None:
        """Send nothing more to a place where nothing can be had; the last one ends the run."""
        if place.closed is None:
            asked = place.route.endpoint
            who = f"{asked.provider} {asked.model}"
            line = f"{who} is not asked any more in this run: {failure.message}"
            warn_of(coded("provider_closed", line))
        place.closed = failure
        if all(one.closed is not None for one in self.places):
            self.stop(failure)

    def deny(self, scene: SceneState, denied: Denied) -> Ended:
        """End a scene that must not be sent, and the run if that is true of every other one."""
        over, was_stopped = denied.over, self.stopped is not None
        if denied.stops and not was_stopped:
            self.stop(denied.failure)
            if over is not None:
                trace.event(self.checkout.reached(over))
        is_overrun = over is None and denied.failure.code == "budget"  # a bill above its hold
        if denied is HALTED or (denied.stops and (was_stopped or is_overrun)):
            return self.not_sent(scene)
        return self.fail(scene, denied.failure)

    def stop_with(self, scene: SceneState, failure: Failure) -> Ended:
        """End a scene, and let no other be started, for the same reason."""
        self.stop(failure)
        return self.fail(scene, failure)

    def not_sent(self, scene: SceneState) -> Ended:
        """End a scene that was to be sent, for the first time or again, when the run stopped."""
        return self.fail(scene, self.unsent(was_started=scene.was_started))

    def fail(self, scene: SceneState, failure: Failure) -> Ended:
        """End a scene without a picture."""
        self.reporter.failed(scene, failure)
        return ENDED


def failure_of(error: Exception) -> Failure:
    """Return the failure of a scene in whose work something was raised."""
    if isinstance(error, StorageFailed):
        return messages.no_storage(error)
    if isinstance(error, ProviderBroken):  # an estimate: its other faults are verdicts
        return Failure(code="rejected", message=f"{error}; nothing was sent")
    message = f"internal error {type(error).__name__}; an answer, if one came, is kept"
    return Failure(code="unknown", message=message)


def limiter_of(
    checkout: Checkout, settings: Settings, capacity: int, draw: Callable[[], float]
) -> Limiter:
    """Return what decides, in one run, how many may be in flight and when the next may leave.

    Args:
        checkout: Holds money at the route.
        settings: What the user knows of limits there.
        capacity: The most that may be in flight.
        draw: Returns a number in [0, 1) for jitter.
    """
    if checkout.route.is_here:
        return Limiter(capacity)
    rate_limit = rate_limit_of(settings.requests_per_minute, settings.pacing)
    beside = partial(checkout.recovery.jobs_at, checkout.route.endpoint.provider)
    if not settings.adaptive:
        return Limiter(capacity, rate_limit=rate_limit, on_change=trace.event, beside=beside)
    return AdaptiveLimiter(
        capacity,
        draw=draw,
        longest_hint_s=settings.max_wait_s,
        rate_limit=rate_limit,
        on_change=trace.event,
        beside=beside,
    )
