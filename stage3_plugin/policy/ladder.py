"""With which words, and at which route, a picture is tried next: one step after the other.

Pure. A step is a prompt at a route; the prompts go from the scene's own to those that it lists for
the case of a refusal, and each of them goes through the routes in order. A step is taken only where
the one before it has ended with nothing billed: rule R8 of the ledger's protocol. Nothing is sent
from what is in doubt or on its way; that is the ledger's to say, which holds a slot for one live
purchase, whatever its route.

One exception is a setting: a refusal that was billed counts, for the other routes and never for its
own, as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from host_stub.contract import Cause
from stage3_plugin.domain.states import State


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Step:
    """A prompt at a route, both by their number from 0."""

    prompt: int = 0
    route: int = 0


FIRST = Step()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a step has ended without a picture, its own retries over.

    Attributes:
        step: Which one.
        state: Of its last purchase; ``None`` if that is not settled, or there was none.
        is_refusal: A whole answer says that the provider's policy does not allow the picture.
        cause: What that was about, where it is known.
    """

    step: Step
    state: State | None
    is_refusal: bool = False
    cause: Cause | None = None

    @property
    def is_unbilled(self) -> bool:
        """Return whether it took no money, for certain."""
        return self.state in {State.REFUSED, State.VOID}

    @property
    def is_billed_refusal(self) -> bool:
        """Return whether money was taken for a refusal, and nothing else is wrong with it."""
        return self.state is State.PAID_BAD and self.is_refusal


@lru_cache
def _steps(prompts: int, routes: int) -> tuple[Step, ...]:
    return tuple(
        Step(prompt=prompt, route=route) for prompt in range(prompts) for route in range(routes)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The steps that there are for a picture.

    Attributes:
        prompts: How many it has, its own included.
        after_billed: For each route, whether it may be tried after a refusal that was billed.
        spent: Routes where a run before was billed for a refusal of this picture.
    """

    prompts: int = 1
    after_billed: tuple[bool, ...] = (False,)
    spent: frozenset[int] = frozenset()

    @property
    def all(self) -> tuple[Step, ...]:
        """Return every step, in order."""
        return _steps(self.prompts, len(self.after_billed))

    @property
    def first(self) -> Step:
        """Return where a run begins.

        That is behind the routes that a run before has paid for a refusal, as far as the settings
        let it step on from these; where none is left it begins anew, as any run does.
        """
        for route, is_let_on in enumerate(self.after_billed):
            if route and not is_let_on:
                break
            if route not in self.spent:
                return Step(route=route)
        return FIRST

    def after(self, ended: Sequence[Ended]) -> Step | None:
        """Return the step after those that have ended, in their order; ``None`` if there is none.

        Args:
            ended: At least one; each was the step after those before it.
        """
        last = ended[-1]
        if not (last.is_unbilled or last.is_billed_refusal):
            return None
        billed = {one.step.route for one in ended if one.is_billed_refusal}
        closed = billed if self.first == FIRST else billed | self.spent
        for step in self._behind(last.step, ended):
            if step.route not in closed and (not billed or self.after_billed[step.route]):
                return step
        return None

    def _behind(self, step: Step, ended: Sequence[Ended]) -> Iterator[Step]:
        """Yield all steps behind one, as far as other words may help."""
        routes = range(len(self.after_billed))
        yield from (Step(prompt=step.prompt, route=route) for route in routes[step.route + 1 :])
        may_be_reworded = any(  # not where a reference was refused
            one.is_refusal and one.cause != "reference"
            for one in ended
            if one.step.prompt == step.prompt
        )
        if step.prompt + 1 < self.prompts and may_be_reworded:
            yield from (Step(prompt=step.prompt + 1, route=route) for route in routes)
