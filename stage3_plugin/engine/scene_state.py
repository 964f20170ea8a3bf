"""What one scene has behind it in this run, what it waits for, and what it needs next.

A scene goes from dispatch to a room that brings it on and back, perhaps several times; this is all
that it takes along.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from host_stub.contract import Failure, FailureCode, SceneStep
from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.money import Charge, add_costs
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.policy.ladder import FIRST, Ladder, Step
from stage3_plugin.policy.ladder import Ended as StepEnded
from stage3_plugin.policy.retry import was_turned_away
from stage3_plugin.purchase.run_ledger import Line
from stage3_plugin.purchase.takes import Part

MOST_SEED = 2**31 - 2
"""What every provider that takes a seed takes."""


@dataclass(slots=True, kw_only=True)
class Waiting:
    """What a scene waits for that nothing more is sent for.

    Attributes:
        purchase_id: The request that its picture may come of.
        since: When it began to wait.
        is_own: This run has bought it, and holds money for it.
        asked: How often it was asked for.
        away: At how many looks in a row its home had no driver that is connected.
        not_here: Why its picture is not here, as far as that is known.
        making: How far its job is, if that was asked for.
        reported_at: When it was last reported that it waits.
    """

    purchase_id: str
    since: float
    is_own: bool = False
    asked: int = 0
    away: int = 0
    not_here: MissingPicture | None = None
    making: BeingMade | None = None
    reported_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class Ended:
    """The scene has its outcome."""


@dataclass(frozen=True, slots=True)
class Due:
    """The scene is to be sent again, from this moment on."""

    at: float


Next: TypeAlias = Ended | Due | Waiting | Line
"""What the run is to do with a scene that has been through the rooms.

One that is :class:`Waiting` has nothing more sent for it: its picture may come of what was bought.
For one that is :class:`~stage3_plugin.purchase.run_ledger.Line` nothing stands: it is to be a line.
"""

ENDED = Ended()


@dataclass(slots=True, kw_only=True)
class SceneState:
    """What one scene has behind it while it runs.

    Attributes:
        request: Its picture, as it is asked for at its step.
        part: Which of the wanted pictures of its scene it is.
        number: Which take its picture is by its key: seeds are told apart by that.
        basis: What it is made from; ``None`` before its references are there.
        queued_at: Since when it has waited for capacity.
        started_at: When its first request started.
        attempts: Requests so far.
        turned_away: Those of them that a rate limit turned away.
        unknown: Those of unknown outcome.
        cause: Why the last of them was not the end.
        costs: One for each.
        dropped: Wishes that could not be expressed.
        request_id: What the provider calls the last exchange.
        at: The step of its ladder that it is at.
        ladder: The steps that there are; ``None`` before it is begun.
        ended: How those before have ended.
        steps: What is reported of them.
        refused: Requests of this step that were refused.
        batches_lost: Lines of this step that came to nothing with their batch, or by trouble in it.
        unfit: Why nothing can be sent at this step.
    """

    request: PictureRequest
    queued_at: float
    part: Part = field(default_factory=Part)
    number: int = 1
    basis: str | None = None
    started_at: float = math.nan
    attempts: int = 0
    turned_away: int = 0
    unknown: int = 0
    cause: FailureCode = "rate_limited"
    costs: list[Charge] = field(default_factory=list[Charge])
    dropped: tuple[str, ...] = ()
    request_id: str | None = None
    at: Step = FIRST
    ladder: Ladder | None = None
    ended: list[StepEnded] = field(default_factory=list[StepEnded])
    steps: list[SceneStep] = field(default_factory=list[SceneStep])
    refused: int = 0
    batches_lost: int = 0
    unfit: Failure | None = None
    _attempts_before: int = 0
    _costs_before: int = 0

    @property
    def take(self) -> int:
        """Return which of the wanted pictures of its scene it is, from 1."""
        return self.part.number

    @property
    def is_for_a_batch(self) -> bool:
        """Return whether its picture is to be bought as a line of a batch."""
        return self.request.lane == "batch"

    @property
    def has_steps(self) -> bool:
        """Return whether there is more than one step by which it may be made."""
        return self.ladder is not None and len(self.ladder.all) > 1

    @property
    def seed(self) -> int | None:
        """Return the seed of this take, where a person set one: each has its own."""
        seed = self.request.seed
        return None if seed is None else seed + self.number - 1

    @property
    def wanted(self) -> PictureRequest:
        """Return its picture as it is wanted of the first route, with its own words."""
        return self.request.wanted or self.request

    @property
    def attempts_here(self) -> int:
        """Return the requests of this step so far."""
        return self.attempts - self._attempts_before

    def sent_to(self, route: Route, draw: Callable[[], float]) -> PictureRequest:
        """Return its request with the seed that it is sent with, if that is another.

        One is drawn where one before was refused for what came of it, and no person set one; but
        where each request has one anyway, to find it by. A seed of ours is in no key: the picture
        is the one that is wanted. Of several takes, each has a seed of its own, or all would be
        one; where they are drawn here, none is chance.
        """
        if self.number > 1 and self.seed is not None:
            return replace(self.request, seed=self.seed)
        if self.number > 1 and route.is_here:
            return replace(self.request, seed=self.number - 1)
        profile = route.profile
        is_needed = self.refused and self.request.seed is None
        if not is_needed or profile is None or not profile.seed or profile.token_is_seed:
            return self.request
        return replace(self.request, seed=1 + int(draw() * MOST_SEED))

    def note(self, result: AttemptResult, cost: Charge) -> None:
        """Note what a request came to, at the cost that the ledger counts."""
        self.request_id = result.verdict.request_id
        self.costs.append(cost)
        self.turned_away += was_turned_away(result.verdict)
        self.unknown += result.verdict.is_unknown
        self.refused += result.verdict.kind is VerdictKind.REFUSED

    def step_as_it_is(self, failure: Failure | None) -> SceneStep:
        """Return what is reported of the step it is at.

        Args:
            failure: What it came to; ``None`` if that is a picture.
        """
        return SceneStep(
            provider=self.request.provider,
            model=self.request.model or None,
            prompt=self.at.prompt,
            attempts=self.attempts_here,
            cost=add_costs(self.costs[self._costs_before :]).told,
            failure=failure,
        )

    def all_steps(self, failure: Failure | None) -> tuple[SceneStep, ...]:
        """Return what is reported of all steps; nothing where there was the first alone."""
        if self.at == FIRST and not self.steps:
            return ()
        return (*self.steps, self.step_as_it_is(failure))

    def go_to(self, step: Step, request: PictureRequest) -> None:
        """Let it be asked for by another step."""
        self.at, self.request = step, request

    def step_on(
        self, ended: StepEnded, failure: Failure, following: Step, request: PictureRequest
    ) -> None:
        """Leave a step that has ended without a picture for the one that follows."""
        self.ended.append(ended)
        self.steps.append(self.step_as_it_is(failure))
        self.turned_away = self.unknown = self.refused = self.batches_lost = 0
        self.unfit, self.cause = None, failure.code
        self._attempts_before, self._costs_before = self.attempts, len(self.costs)
        self.go_to(following, request)

    @property
    def was_started(self) -> bool:
        """Whether a request of it has started."""
        return self.attempts > 0


Put: TypeAlias = Callable[[SceneState, Next], None]
"""Does with a scene what it needs next."""
