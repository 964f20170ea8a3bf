"""One scene, once through the rooms: claim → attempt → settle → publish → follow.

It goes forward only. Each room returns what the next one needs, and the last returns what the run
is to do with the scene: a :data:`Next`. No decision is made here: whether a scene may be sent is
``checkout``'s, what an answer means for the scene is ``retry``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeAlias

import anyio

from host_stub.contract import Failure
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.made_from import MadeFrom, made_from
from stage3_plugin.domain.money import FREE, Charge
from stage3_plugin.domain.picture import Picture, Placed
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.request import (
    PictureRequest,
    WantedOf,
    one_take,
    why_unsendable,
)
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Sender
from stage3_plugin.engine.reporter import Reporter
from stage3_plugin.engine.results import Results
from stage3_plugin.engine.run_state import CUT_SHORT, RunState
from stage3_plugin.engine.scene_state import SceneState, Waiting
from stage3_plugin.engine.showing.references import Awaits, SceneReferences, Unshown
from stage3_plugin.engine.showing.stale import facts_of, with_facts
from stage3_plugin.engine.steps import Steps
from stage3_plugin.errors import PictureLost, StorageFailed
from stage3_plugin.policy.capacity import (
    AdaptiveLimiter,
    Limiter,
    Permit,
    rate_limit_of,
)
from stage3_plugin.policy.ladder import FIRST, Step
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
    was_taken,
    was_turned_away,
)
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.policy.settlement import cost_with_hold
from stage3_plugin.policy.streaks import NONE, Streaks
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.asking import RenewableKey
from stage3_plugin.purchase.checkout import (
    HALTED,
    Checkout,
    Denied,
    LineRefused,
    NotNow,
    Overtaken,
)
from stage3_plugin.purchase.maker import Jobs
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.purchase.run_ledger import Line
from stage3_plugin.purchase.wanted_takes import Part
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.clock import clock
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Ended:
    """The scene has its outcome."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The run had stopped before anything was sent; the scene has no outcome yet."""


@dataclass(frozen=True, slots=True)
class Gathers:
    """Nothing stands for the scene: it is to be a line of a batch."""

    line: Line


@dataclass(frozen=True, slots=True)
class Due:
    """The scene is to be sent again, from this moment on."""

    at: float


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing more is to be sent for the scene: its picture may come of what was bought."""

    waiting: Waiting


Next: TypeAlias = Ended | NotSent | Gathers | Due | Waits
"""What the run is to do with a scene that has been through the rooms."""

ENDED, NOT_SENT = Ended(), NotSent()
MOST_BATCHES_LOST = 1
"""Batches in a row in which a scene's line came to nothing by no fault of its own, and after which
it goes into another one in the same run."""
MOST_SEED = 2**31 - 2
"""What every provider that takes a seed takes."""

_NO_BATCHES = "it has no batch lane, so nothing was sent (lane)"


class _Settled(NamedTuple):
    """What an attempt came to, at the cost that the ledger counts.

    Attributes:
        result: That.
        overtaken: Its purchase, if it had been decided about otherwise when the answer came.
    """

    result: AttemptResult
    overtaken: Purchase | None


class _Shown(NamedTuple):
    """What became of an attempt's picture, if it has one.

    Attributes:
        placed: Its file beside the story, or why there is none.
        instead: The purchase whose picture is shown in its place.
    """

    placed: Placed | Failure | None = None
    instead: Purchase | None = None


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


@dataclass(slots=True, kw_only=True)
class RunContext:
    """What one run is made with; all that brings its scenes on shares it.

    Attributes:
        settings: What the user wants.
        places: Where the pictures are made, in the order in which they are tried.
        steps: Knows what is asked for at each.
        results: Takes the pictures out.
        reporter: Reports to the host.
        draw: Returns a number in [0, 1) for jitter.
        recovery: Looks after what other runs have left, and asks again for what was bought.
        pictures: Has the folders of batches, where there may be any.
        references: What scenes show the model, where any does.
        wanted_of: Returns how many pictures are wanted of what a request is made from.
        state: How the run stands.
    """

    settings: Settings
    places: Sequence[Place]
    steps: Steps
    results: Results
    reporter: Reporter
    draw: Callable[[], float]
    recovery: Recovery
    pictures: Pictures
    references: SceneReferences | None = None
    wanted_of: WantedOf = one_take
    state: RunState = field(default_factory=RunState)

    @property
    def checkout(self) -> Checkout:
        """Return that of the first place, for what is the same at all of them."""
        return self.places[0].checkout


def limiter_of(
    route: Route,
    settings: Settings,
    capacity: int,
    *,
    draw: Callable[[], float],
    beside: Callable[[], int] = lambda: 0,
) -> Limiter:
    """Return what decides, in one run, how many may be in flight and when the next may leave.

    Args:
        route: Where they are made.
        settings: What the user knows of limits there.
        capacity: The most that may be in flight.
        draw: Returns a number in [0, 1) for jitter.
        beside: Returns how many jobs of other runs are in work at its provider.
    """
    if route.is_here:
        return Limiter(capacity)
    rate_limit = rate_limit_of(settings.requests_per_minute, settings.pacing)
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


class SceneRunner:
    """Brings scenes through the rooms.

    Args:
        run: What they are brought on with.
        more: Takes further takes of a scene, once it is known that they are wanted.

    Attributes:
        in_flight: What is held for each request in flight, in micro-USD, by its attempt.
        being_made: Those of them that were accepted, and how far they are.
    """

    def __init__(self, run: RunContext, more: Callable[[SceneState], None]) -> None:
        self._run = run
        self._more = more
        self._now = clock()
        self.in_flight: dict[str, int] = {}
        self.being_made: dict[str, BeingMade] = {}

    async def bring_on(self, scene: SceneState) -> Next:
        """Bring a scene through the rooms once, with one request at most."""
        failure = self._why_not(scene)
        if failure is not None:
            self._run.reporter.failed(scene, failure)
            return ENDED
        try:
            if scene.is_for_a_batch:
                with anyio.CancelScope(shield=True):
                    return await self._to_a_batch(scene)
            with (
                self._at(
                    scene
                ).limiter.enter() as permit,  # before anything is awaited: others ask it too
                anyio.CancelScope(shield=True) as shield,
            ):
                return await self._through_the_rooms(scene, permit, shield)
        except Exception as error:  # noqa: BLE001 - a fault of ours is raised at the run's end
            self._run.reporter.failed(scene, self._run.state.stop_on(error))
        except BaseException:
            self._run.reporter.failed(scene, CUT_SHORT)
            raise
        return ENDED

    def _at(self, scene: SceneState) -> Place:
        """Return the place that a scene is at by now."""
        return self._run.places[scene.at.route]

    def _why_not(self, scene: SceneState) -> Failure | None:
        """Return why a scene is not even claimed: it cannot be sent, or its turn comes too late."""
        settings = self._run.settings
        unsendable = why_unsendable(
            scene.request,
            max_pixels=settings.max_pixels,
            needs_prompt=not self._at(scene).route.is_here,
        )
        if unsendable is not None:
            return Failure(code="rejected", message=unsendable)
        if scene.was_started and self._now() - scene.started_at > settings.deadline_s:
            message = f"the scene's deadline_s is reached ({scene.cause.replace('_', ' ')})"
            return Failure(code=scene.cause, message=message, retryable=True)
        return None

    async def _through_the_rooms(
        self, scene: SceneState, permit: Permit, shield: anyio.CancelScope
    ) -> Next:
        """Take a scene from its claim to what follows; only a renderer may be cut short."""
        place = await self._arrive(scene)
        if not isinstance(place, Place):
            return place
        claim = await place.checkout.claim(scene.request, scene.part)
        if not isinstance(claim, Held):
            return await self._without_hold(scene, claim)
        if not self._run.state.is_going_on:  # it was stopped while the money was being held
            await self._run.checkout.release(claim, "the run was stopped before it was sent")
            return NOT_SENT
        unsent = scene.unfit or place.closed
        if unsent is not None:
            await self._run.checkout.release(claim, f"not sent: {unsent.message}")
            return self.end_step(scene, claim.attempt_id, GiveUp(unsent), FREE)
        scene.number = claim.number
        self.start(scene, claim)
        key = place.sender.key
        number = 0 if key is None else key.number
        result = await self._attempt(scene, claim, permit, shield)
        settled = await self._settle(scene, claim, result)
        shown = await self._publish(scene, claim, settled)
        if key is not None and await self.has_another(key, number, result):
            scene.turned_away += 1
            return self._try_again(scene, settled.result, Again(0.0, "credentials"), permit)
        return self._follow(scene, claim, settled.result, shown, permit)

    async def _arrive(self, scene: SceneState) -> Place | Next:
        """Know all that is asked for, and where that is; or what follows before it is claimed."""
        if self._run.references is not None and scene.request.wishes:
            ended = await self._show(scene, self._run.references)
            if ended is not None:
                return ended
        if scene.basis is None:
            self._know_basis(scene)
        place = self._begin(scene)
        return place if place is self._at(scene) else Due(self._now())

    # Lines of batches ----------------------------------------------------------------------------

    async def _to_a_batch(self, scene: SceneState) -> Next:
        """Take a scene as far as it comes before its batch: nothing of it is held yet."""
        place = await self._arrive(scene)
        if not isinstance(place, Place):
            return place
        if place is not self._run.places[0] or place.route.is_here:
            made_by = scene.request.provider
            return self.fail(scene, Failure(code="rejected", message=f"{made_by}: {_NO_BATCHES}"))
        looked = await place.checkout.look(scene.request, scene.part)
        if not isinstance(looked, Line):
            return await self._without_hold(scene, looked)
        if not self._run.state.is_going_on:
            return NOT_SENT
        unsent = scene.unfit or place.closed
        if unsent is not None:
            return self.end_step(scene, None, GiveUp(unsent), FREE)
        scene.number = looked.take or 1
        return Gathers(looked)

    def facts_of(self, scene: SceneState, request: PictureRequest) -> dict[str, str]:
        """Return what the ledger is to keep of the picture that comes of a scene's line."""
        is_drawn = scene.refused > 0 and request.seed != scene.seed
        return facts_of(request, self._made_from(scene), drawn=is_drawn)

    def start(self, scene: SceneState, held: Held) -> None:
        """Note that a scene's request leaves, or its line with its batch."""
        self._run.reporter.started(scene, held, base_url=self._at(scene).route.endpoint.base_url)
        self.in_flight[held.attempt_id] = held.hold_microusd

    def end_flight(self, held: Iterable[Held]) -> None:
        """Note that it is known whether a batch was made."""
        for one in held:
            self.in_flight.pop(one.attempt_id, None)

    def end_unsent(self, scene: SceneState, result: AttemptResult) -> Next:
        """End the step of a scene that cannot be put into a line at all."""
        now = self._now()
        self.count(scene, result)
        decision = self._decide(scene, refused_for(result.verdict, scene.request), now)
        if not isinstance(decision, GiveUp | Stop):
            message = result.verdict.message
            decision = GiveUp(Failure(code="rejected", message=message))
        return self.end_step(scene, None, decision, FREE)

    def decide_for_all(
        self,
        scene: SceneState,
        result: AttemptResult,
        *,
        ran: int,
        turned_away: int,
        since: float,
    ) -> Decision:
        """Have it decided what follows for all lines of a batch that was not made.

        Args:
            scene: One of them.
            result: What came of its create, or of what goes before that.
            ran: How often it was tried.
            turned_away: How often of these a limit turned it away.
            since: When it was tried first.
        """
        now = self._now()
        self.count(scene, result)
        history = History(
            ran=ran - turned_away,
            turned_away=turned_away,
            elapsed_s=now - since,
            streaks=self._run.state.streaks
            if len(self._run.places) == 1
            else self._at(scene).streaks,
            now=now,
        )
        return decide(result.verdict, history, self._run.settings, chance=self._run.draw())

    # Claim and key -------------------------------------------------------------------------------

    async def has_another(self, key: RenewableKey, number: int, result: AttemptResult) -> bool:
        """Return whether a request was turned away for its key, and there is another by now."""
        verdict = result.verdict
        if verdict.kind is VerdictKind.PICTURES or verdict.may_be_billed or result.stays_open:
            key.note_bought()
        is_turned_away = verdict.kind is VerdictKind.BAD_CREDENTIALS and not verdict.may_be_billed
        return is_turned_away and self._run.state.is_going_on and await key.is_another_since(number)

    async def _without_hold(self, scene: SceneState, claim: NotNow) -> Next:
        """Do what follows where nothing is to be sent now, at this step."""
        if isinstance(claim, Denied):
            return self.deny(scene, claim)
        if isinstance(claim, LineRefused):
            return self.end_late(scene, claim.purchase, claim.attempted, is_own=False)
        if claim.means in {Reuse.BUSY, Reuse.AWAITED}:
            return Waits(Waiting(purchase_id=claim.purchase.new.attempt_id, since=self._now()))
        self._turn_to(scene, claim.purchase)
        if claim.means is Reuse.RESEND:  # by another step
            return Due(self._now())
        return await self._reuse(scene, claim.purchase)

    def _know_basis(self, scene: SceneState) -> None:
        """Find out what a scene's pictures are made from, and how many are wanted of that."""
        basis = scene.basis = self._run.steps.basis_of(scene.request)
        takes = scene.part.takes
        before, wanted = takes.wanted, self._run.wanted_of(scene.request, basis)
        takes.wanted = max(before, wanted)
        for number in range(before + 1, takes.wanted + 1):
            self._more(
                SceneState(
                    request=scene.wanted,
                    queued_at=self._now(),
                    part=Part(takes, number),
                    basis=basis,
                )
            )

    # Steps ---------------------------------------------------------------------------------------

    def _begin(self, scene: SceneState) -> Place:
        """Return the place that a scene's permit is of; begun, it may be at another one."""
        place = self._at(scene)
        if scene.ladder is None:
            scene.ladder = self._run.steps.ladder_of(scene.wanted, spent=self._spent(scene))
            if scene.at == FIRST and scene.ladder.first != FIRST:
                self._go_to(scene, scene.ladder.first)
        return place

    def _spent(self, scene: SceneState) -> frozenset[int]:
        """Return the routes where runs before were billed for refusing a scene's picture."""
        if not self._run.steps.may_follow_a_bill:
            return frozenset()
        made = self._run.checkout.billed_refusals(scene.wanted)
        steps = (self._run.steps.step_of(scene.wanted, one.new) for one in made)
        return frozenset(step.route for step in steps if step is not None)

    def _go_to(self, scene: SceneState, step: Step) -> None:
        scene.go_to(step, self._run.steps.request_at(scene.wanted, step))

    def _turn_to(self, scene: SceneState, purchase: Purchase) -> None:
        """Let a scene be at the step that a purchase was made by, if it was one of its steps."""
        if scene.ladder is None or len(scene.ladder.all) == 1:
            return
        step = self._run.steps.step_of(scene.wanted, purchase.new)
        if step is not None and step != scene.at:
            self._go_to(scene, step)

    def end_late(
        self,
        scene: SceneState,
        purchase: Purchase,
        attempted: AttemptResult,
        *,
        is_own: bool = True,
    ) -> Next:
        """Do what follows where a scene's purchase has ended beside dispatch, without a picture.

        It is settled, and its money is known: it was refused, or never ran.

        Args:
            scene: The scene.
            purchase: Its purchase.
            attempted: What that came to.
            is_own: It was bought in this run; else its cost is none of this run's.
        """
        verdict, now = refused_for(attempted.verdict, scene.request), self._now()
        cost = cost_with_hold(attempted, purchase.new.hold_microusd, purchase.state)
        if is_own:
            scene.costs[-1] = cost
        scene.refused += verdict.kind is VerdictKind.REFUSED
        self.count(scene, attempted)
        decision = self._decide(scene, verdict, now)
        if purchase.new.line is not None:
            decision = self._as_a_line(scene, verdict, decision)
        if isinstance(decision, Again) and not is_own:
            return Due(now)
        if isinstance(decision, Again):
            self._run.reporter.retried(scene, replace(decision, wait_s=0.0), cost, verdict.message)
            return Due(now)
        if isinstance(decision, GiveUp | Stop):
            is_refusal, attempt_id = verdict.kind is VerdictKind.REFUSED, purchase.new.attempt_id
            return self.end_step(scene, attempt_id, decision, cost, is_refusal=is_refusal)
        raise LookupError("a purchase without a picture is kept")

    def _as_a_line(self, scene: SceneState, verdict: Verdict, decision: Decision) -> Decision:
        """Return what is decided of a line, which takes others with it.

        All others of its batch are bought as well, so that no stop would keep any from it. What
        comes of trouble on the way goes into one more batch in this run, and no further: each has
        its file uploaded anew, and takes its time.
        """
        if isinstance(decision, Stop):
            return GiveUp(decision.failure)
        if not isinstance(decision, Again) or verdict.kind is VerdictKind.REFUSED:
            return decision
        if was_turned_away(verdict):
            return GiveUp(messages.queue_is_full(scene.request.provider))
        scene.batches_lost += 1
        if scene.batches_lost <= MOST_BATCHES_LOST:
            return decision
        return GiveUp(messages.lost_with_its_batches(decision.cause, verdict.message))

    def end_step(
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

        Args:
            scene: The scene.
            attempt_id: Its purchase; ``None`` where nothing was held.
            decision: Why it ends.
            cost: Of that purchase.
            is_refusal: A whole answer was a refusal.
        """
        failure = messages.with_next_step(decision.failure, self._run.checkout.caretaker)
        ladder = scene.ladder
        if ladder is None or len(ladder.all) == 1:
            return (self.stop if isinstance(decision, Stop) else self.fail)(scene, failure)
        ended = StepEnded(
            step=scene.at,
            state=self._state_of(attempt_id),
            is_refusal=is_refusal,
            cause=failure.cause,
        )
        if isinstance(decision, Stop) and not (ended.is_unbilled and len(self._run.places) > 1):
            return self.stop(scene, failure)
        if isinstance(decision, Stop):
            self._close(self._at(scene), failure)
        following = ladder.after([*scene.ended, ended])
        if following is None or not self._run.state.is_going_on:
            return self.fail(scene, failure)
        request = self._run.steps.request_at(scene.wanted, following)
        if scene.attempts_here:
            self._run.reporter.stepped(scene, failure, cost, request)
        scene.step_on(ended, failure, following, request)
        scene.queued_at = self._now()
        return Due(scene.queued_at)

    def _state_of(self, attempt_id: str | None) -> State | None:
        """Return how the purchase of a step has ended; that of none took no money."""
        if attempt_id is None:
            return State.VOID
        purchase = self._run.checkout.run_ledger.purchase(attempt_id)
        return None if purchase is None else purchase.state

    def _close(self, place: Place, failure: Failure) -> None:
        """Send nothing more to a place where nothing can be had; the last one ends the run."""
        if place.closed is None:
            asked = place.route.endpoint
            who = f"{asked.provider} {asked.model}"
            warn_of(f"{who} is not asked any more in this run: {failure.message}")
        place.closed = failure
        if all(one.closed is not None for one in self._run.places):
            self._run.state.stop(failure)

    # Show ----------------------------------------------------------------------------------------

    async def _show(self, scene: SceneState, references: SceneReferences) -> Ended | NotSent | None:
        """Have the pictures that a scene shows, as its route takes them."""
        if scene.request.wanted is None:
            return None if scene.request.shown else await self._bring_references(scene, references)
        if scene.request.shown:
            shown = await references.bring(replace(scene.request, shown=()))
            if isinstance(shown, PictureRequest):
                scene.request = shown
            else:
                why = shown.why if isinstance(shown, Unshown) else "its references are not made"
                scene.unfit = Failure(code="rejected", message=why)
        return None

    async def _bring_references(
        self, scene: SceneState, references: SceneReferences
    ) -> Ended | NotSent | None:
        """Have the pictures that a scene shows, before any money is held; or end it without."""
        shown = await references.bring(scene.request)
        if isinstance(shown, PictureRequest):
            scene.request = shown
            return None
        if isinstance(shown, Awaits):  # the run has stopped, and nothing comes any more
            return NOT_SENT
        may_stay = shown.is_refused and scene.take == 1
        there = self._run.checkout.made_with_others(scene.request) if may_stay else None
        if there is not None:
            return await self._reuse(scene, there)
        refused = self._at(scene).route.refuse(scene.request)
        if refused is not None:  # no sheet was made for it
            return self.fail(scene, Failure(code="rejected", message=refused))
        self._run.reporter.failed(scene, shown.failure, waits_for=shown.waits_for)
        return ENDED

    # Claim ---------------------------------------------------------------------------------------

    async def _reuse(self, scene: SceneState, purchase: Purchase) -> Ended:
        """End a scene with the picture that is there."""
        if scene.request.seed is not None:  # or no number is asked for
            scene.number = self._run.steps.number_of(scene.wanted, purchase.new)
        placed = await self.place(scene, purchase)
        if isinstance(placed, Failure):
            self._run.reporter.failed(scene, placed)
        else:
            self._run.reporter.reused(scene, placed, purchase)
        return ENDED

    def deny(self, scene: SceneState, denied: Denied) -> Ended | NotSent:
        """End a scene that must not be sent, and the run if that is true of every other one."""
        over, was_stopped = denied.over, self._run.state.stopped is not None
        if denied.stops and not was_stopped:
            self._run.state.stop(denied.failure)
            if over is not None:
                trace.event(self._run.checkout.reached(over))
        if denied is HALTED or (denied.stops and (was_stopped or denied.had_room)):
            return NOT_SENT
        self._run.reporter.failed(scene, denied.failure)
        return ENDED

    # Attempt -------------------------------------------------------------------------------------

    async def _attempt(
        self, scene: SceneState, held: Held, permit: Permit, shield: anyio.CancelScope
    ) -> AttemptResult:
        """Make the attempt, which knows by itself what of it may be cut short."""
        permit.sent(self._now())
        try:
            shield.shield = False
            with self._run.state.interrupt.in_force():
                request = self.with_a_seed(scene)
                result = await self._at(scene).sender.maker.attempt(
                    held.attempt_id,
                    replace(request, token=held.token),
                    self._jobs_of(scene, held),
                )
                is_drawn = scene.refused > 0 and request.seed != scene.seed
                result = with_facts(result, request, self._made_from(scene), drawn=is_drawn)
        except BaseException:
            # A renderer was cut short, or a fault is ours; what was paid for may lie in the spool.
            shield.shield = True
            scene.costs.append(self._run.checkout.cost_of_a_fault)
            await self._run.checkout.leave_open(held)
            raise
        finally:
            del self.in_flight[held.attempt_id]
            self.being_made.pop(held.attempt_id, None)
        shield.shield = True
        self._teach(scene, result.verdict, permit)
        return result

    def _made_from(self, scene: SceneState) -> MadeFrom:
        """Return what the ledger keeps of how a scene's picture was wanted."""
        request, steps = scene.request, self._run.steps
        keys = steps.keys_of(request, route=scene.at.route)
        own_key = keys.of_take(scene.number).scene_key
        return made_from(
            request, key=keys.scene_key, basis=steps.basis_of(request), own_key=own_key
        )

    def with_a_seed(self, scene: SceneState) -> PictureRequest:
        """Draw a seed where one before was refused for what came of it, and no person set one.

        One that is drawn for each request anyway, to find it by, is another one by itself. A seed
        of ours is in no key: the picture is the one that is wanted. Of several takes, each has a
        seed of its own, or all would be one; where they are drawn here, none is chance.
        """
        if scene.number > 1 and scene.seed is not None:
            return replace(scene.request, seed=scene.seed)
        if scene.number > 1 and self._at(scene).route.is_here:
            return replace(scene.request, seed=scene.number - 1)
        profile = self._at(scene).route.profile
        is_needed = scene.refused and scene.request.seed is None
        if not is_needed or profile is None or not profile.seed or profile.token_is_seed:
            return scene.request
        return replace(scene.request, seed=1 + int(self._run.draw() * MOST_SEED))

    def _jobs_of(self, scene: SceneState, held: Held) -> Jobs:
        """Return where a scene's job is written down, and how long it is waited for."""
        now = self._now()
        until = scene.started_at + self._run.settings.deadline_s
        waiting = Waiting(purchase_id=held.attempt_id, since=now)

        def told(making: BeingMade) -> None:
            self.being_made[held.attempt_id] = waiting.making = making
            wait_s, left_s = making.again_s or 0.0, max(0.0, until - self._now())
            self._run.reporter.awaited(scene, waiting, "pending", wait_s=wait_s, left_s=left_s)

        ledger = self._run.checkout.run_ledger
        is_late = partial(self._is_late, scene, held)
        return Jobs(ledger=ledger, waits_s=max(0.0, until - now), told=told, is_late=is_late)

    def _is_late(self, scene: SceneState, held: Held) -> bool:
        """Return whether a request may count as absent already, and so must not leave any more.

        A person may have given its home up while this machine slept, and its provider's listing,
        which does not have it, been believed. This narrows that and cannot close it.
        """
        profile = self._at(scene).route.profile
        if profile is None or profile.listing is None:
            return False
        return self._run.checkout.run_ledger.age_s(held) > profile.listing.settle_s / 2

    def _teach(self, scene: SceneState, verdict: Verdict, permit: Permit) -> None:
        """Report to the limiter what the provider made of a request; others teach it nothing."""
        now = self._now()
        if was_turned_away(verdict):
            is_obeyed = verdict.hint_s is None or verdict.hint_s <= self._run.settings.max_wait_s
            permit.rejected(now, verdict.hint_s if is_obeyed else None)
        elif was_taken(verdict):
            permit.answered(now)
        if verdict.used_up_s is not None:
            self._at(scene).limiter.hold_back(
                now, min(verdict.used_up_s, self._run.settings.max_wait_s)
            )

    # Settle --------------------------------------------------------------------------------------

    async def _settle(self, scene: SceneState, held: Held, result: AttemptResult) -> _Settled:
        """Record what the attempt came to, and count it for the scene."""
        scene.request_id = result.verdict.request_id
        overtaken = None
        try:
            cost = await self._run.checkout.settle(held, result)
        except Overtaken as error:
            cost, overtaken = result.cost, error.purchase
        except BaseException:
            scene.costs.append(result.cost)  # spent all the same, though it cannot be recorded
            raise
        scene.costs.append(cost)
        scene.dropped = result.dropped
        scene.turned_away += was_turned_away(result.verdict)
        scene.unknown += result.verdict.is_unknown
        scene.refused += result.verdict.kind is VerdictKind.REFUSED
        return _Settled(result if cost is result.cost else replace(result, cost=cost), overtaken)

    # Publish -------------------------------------------------------------------------------------

    async def _publish(self, scene: SceneState, held: Held, settled: _Settled) -> _Shown:
        """Bring the picture where it belongs, and remove the answer unless it is evidence."""
        result, overtaken = settled
        shown = _Shown()
        if result.picture is not None:
            shown = await self._show_own(scene, held, result.picture, overtaken)
        if overtaken is None and not result.leaves_evidence:
            await self._run.pictures.remove_answer(held.attempt_id)
        return shown

    async def _show_own(
        self, scene: SceneState, held: Held, own: Picture, overtaken: Purchase | None
    ) -> _Shown:
        """Show a scene's own picture, or the one it has got instead: it keeps that one."""
        picture, instead = own, None
        try:
            if overtaken is not None:
                instead = await self._keep_late(scene, overtaken, own)
                if instead is not None and instead.picture is not None:
                    picture = instead.picture
            placed = await self._run.results.publish(
                picture, scene.request, take=scene.take, is_new=instead is None
            )
        except StorageFailed as failure:
            return _Shown(messages.lost_picture(held.attempt_id, failure), instead)
        return _Shown(placed, instead)

    async def _keep_late(
        self, scene: SceneState, purchase: Purchase, picture: Picture
    ) -> Purchase | None:
        """Keep a picture whose purchase was given up; return the purchase made instead, if any."""
        if purchase.state is not State.PAID:
            await self._run.pictures.note_late(purchase.new.attempt_id, picture)
        instead = self._run.checkout.made_instead(scene.request, scene.part)
        scene_id = scene.request.scene_id
        warn_of(messages.overtaken(scene_id, purchase, instead, self._run.checkout.caretaker))
        return instead

    async def place(
        self, scene: SceneState, purchase: Purchase, *, is_new: bool = False
    ) -> Placed | Failure:
        """Bring the picture of a purchase to its place, or return why that cannot be."""
        if purchase.picture is None:
            raise LookupError("a purchase without a picture has nothing to show")
        try:
            return await self._run.results.publish(
                purchase.picture, scene.request, take=scene.take, is_new=is_new
            )
        except StorageFailed as failure:
            home = self._run.checkout.run_ledger.home_of(purchase)
            if isinstance(failure, PictureLost) and self._run.settings.store is None and home:
                return messages.on_another_machine(purchase, home)
            return messages.lost_picture(purchase.new.attempt_id, failure)

    # Follow --------------------------------------------------------------------------------------

    def _follow(
        self,
        scene: SceneState,
        held: Held,
        result: AttemptResult,
        shown: _Shown,
        permit: Permit,
    ) -> Next:
        """Do what follows from an attempt: end the scene, or return what it needs."""
        now = self._now()
        self.count(scene, result)
        overrun = self._run.checkout.overrun()
        if overrun is not None:
            self._run.state.stop(overrun)
        if result.storage is not None:
            caretaker = self._run.checkout.caretaker
            return self.stop(scene, messages.without_storage(result, result.storage, caretaker))
        if result.making is not None and result.making.stops_run:
            self._run.state.stop(messages.not_asked(result.making))
        if result.stays_open:
            return Waits(
                Waiting(
                    purchase_id=held.attempt_id,
                    since=now,
                    hold_microusd=held.hold_microusd,
                    asked=1,
                    not_here=result.not_here,
                    making=result.making,
                )
            )
        if result.interrupted:
            message = result.verdict.message
            return self.fail(scene, Failure(code="cancelled", message=message, retryable=True))
        if self._can_be_found(scene, held, result):
            return Waits(
                Waiting(purchase_id=held.attempt_id, since=now, hold_microusd=held.hold_microusd)
            )
        decision = self._decide(scene, result.verdict, now)
        if isinstance(decision, Keep):
            if shown.placed is None:
                raise LookupError("a picture that is kept was not published")
            self.end_with(
                scene, result, shown.placed, purchase_id=held.attempt_id, instead=shown.instead
            )
            return ENDED
        if isinstance(decision, Again):
            return self._try_again(scene, result, decision, permit)
        is_refusal = result.verdict.kind is VerdictKind.REFUSED
        attempt_id = held.attempt_id
        return self.end_step(scene, attempt_id, decision, result.cost, is_refusal=is_refusal)

    def _can_be_found(self, scene: SceneState, held: Held, result: AttemptResult) -> bool:
        """Return whether a request without an answer can be looked for in a listing."""
        profile = self._at(scene).route.profile
        has_listing = profile is not None and profile.listing is not None
        return result.verdict.is_unknown and held.token is not None and has_listing

    def count(self, scene: SceneState, result: AttemptResult) -> None:
        """Count what has come in a row, in the run and at the scene's place; a batch is one."""
        now = self._now()
        self._run.state.streaks = self._run.state.streaks.after_attempt(result, now)
        self._at(scene).streaks = self._at(scene).streaks.after_attempt(result, now)

    def _decide(self, scene: SceneState, verdict: Verdict, now: float) -> Decision:
        """Have it decided by what the scene has behind it, and what has come in a row."""
        history = History(
            ran=scene.attempts_here - scene.turned_away,
            turned_away=scene.turned_away,
            elapsed_s=now - scene.started_at,
            unknown=scene.unknown,
            refused=scene.refused,
            has_seed=scene.request.seed is not None,
            streaks=self._run.state.streaks
            if len(self._run.places) == 1
            else self._at(scene).streaks,
            now=now,
        )
        return decide(verdict, history, self._run.settings, chance=self._run.draw())

    def _try_again(
        self, scene: SceneState, result: AttemptResult, again: Again, permit: Permit
    ) -> Due:
        """Let a scene wait for its next request; if all pause for it, it goes first after that."""
        now = self._now()
        if permit.is_covered:
            again = replace(again, wait_s=self._at(scene).limiter.state(now).pause_s)
        self._run.reporter.retried(scene, again, result.cost, result.verdict.message)
        scene.queued_at = now + again.wait_s
        return Due(now if permit.is_covered else scene.queued_at)

    def end_with(
        self,
        scene: SceneState,
        result: AttemptResult,
        placed: Placed | Failure,
        *,
        purchase_id: str,
        instead: Purchase | None = None,
    ) -> None:
        """End a scene whose picture is stored; what keeps it from its place stops the run."""
        if isinstance(placed, Failure):
            self.stop(scene, placed)
        elif instead is not None:
            self._run.reporter.reused(scene, placed, instead)
        else:
            self._run.reporter.made(
                scene,
                placed,
                purchase_id=purchase_id,
                image_url=result.image_url,
                details=result.verdict.details,
            )

    def stop(self, scene: SceneState, failure: Failure) -> Ended:
        """End a scene, and let no other be started, for the same reason."""
        self._run.state.stop(failure)
        return self.fail(scene, failure)

    def fail(self, scene: SceneState, failure: Failure) -> Ended:
        """End a scene without a picture."""
        self._run.reporter.failed(scene, failure)
        return ENDED
