"""How a run stands: whether it goes on, why it stopped, what broke it, what has come in a row.

One for all that brings scenes on, in dispatch and beside it, with what they share for that. It
calls what has to end when a run stops; what is counted, and when that is a reason to stop, is
``policy.streaks``'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from host_stub.contract import Failure, StageSummary
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.backend import Sender
from stage3_plugin.engine.reporter import Reporter, Results
from stage3_plugin.engine.scene_state import SceneState
from stage3_plugin.errors import ProviderBroken, StorageFailed
from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.limiter import Limiter
from stage3_plugin.policy.capacity.rate_limit import rate_limit_of
from stage3_plugin.policy.streaks import NONE, Streaks
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.checkout import Checkout
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.clock import Clock, clock
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures

CUT_SHORT = Failure(code="cancelled", message="cut short", retryable=True)
CANCELLED = Failure(code="cancelled", message="the run was cancelled", retryable=True)


class RunState:
    """The state of one run.

    Attributes:
        on_stop: Called with the reason whenever there is one to stop.
        stopped: Why nothing new is started, if that is so.
        broken: The fault of our own that is raised when everything has ended.
        is_cancelled: The run was cancelled from outside.
        interrupt: Cuts short what is in flight.
        streaks: What has come in a row.
        in_flight: What is held for each request in flight, in micro-USD, by its attempt; of those
            that were accepted, how far they are.
    """

    def __init__(self) -> None:
        self.on_stop: Callable[[Failure], None] = lambda _failure: None
        self.stopped: Failure | None = None
        self.broken: Exception | None = None
        self.is_cancelled = False
        self.interrupt = Interrupt()
        self.streaks = NONE
        self.in_flight: dict[str, int | BeingMade] = {}

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
        if isinstance(error, StorageFailed):
            failure = messages.no_storage(error)
        elif isinstance(error, ProviderBroken):  # an estimate: its other faults are verdicts
            failure = Failure(code="rejected", message=f"{error}; nothing was sent")
            self.broken = self.broken or error
        else:
            message = f"internal error {type(error).__name__}; an answer, if one came, is kept"
            failure = Failure(code="unknown", message=message)
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


@dataclass(kw_only=True)
class RunContext(RunState):
    """What one run is made with, and how it stands; all that brings its scenes on shares it.

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

    def __post_init__(self) -> None:
        super().__init__()

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
