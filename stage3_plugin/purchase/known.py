"""What one process knows of a job, who waits for the walk over it, and turns at such walks.

The ledger knows what has become of a job; this is the rest, and goes with the process: when it may
be asked again, how often it was, and what kept it from being brought further. So many answers are
read or fetched at once, until it is halted: what goes on in a turn may be cut short then, which
costs nothing, as it is done again later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

import anyio

from stage3_plugin.domain.job import BeingMade
from stage3_plugin.errors import StorageFailed
from stage3_plugin.runtime.interrupt import Interrupt

AGAIN_S = 60.0
"""Seconds after which what did not work is tried again, where nothing says when."""


@dataclass(slots=True)
class Known:
    """What is known of a job.

    Attributes:
        making: How far it is, if it was asked.
        due: When it may be asked again; ``None`` if this process asks no more.
        asked: How often it was asked.
        storage: The disk failed over it.
        was_tried: What its provider or the disk has of it was looked at.
        was_left: What earlier processes left of its lines was taken in.
        said: What of it was said already, by its event's name.
        waiters: Those who wait for a purchase of it; ``None`` while no walk is under way.
    """

    making: BeingMade | None = None
    due: float | None = 0.0
    asked: int = 0
    storage: StorageFailed | None = None
    was_tried: bool = False
    was_left: bool = False
    said: set[str] = field(default_factory=set[str])
    waiters: dict[str, anyio.Event] | None = None

    def note(self, making: BeingMade) -> None:
        """Note how far it is."""
        self.making = making
        self.due = None if making.again_s is None else anyio.current_time() + making.again_s

    def leave(self, problem: str, again_s: float | None = None) -> None:
        """Leave it as it is until later."""
        again_s = again_s or AGAIN_S
        self.due = anyio.current_time() + again_s
        if self.making is not None:
            self.making = replace(self.making, problem=problem, again_s=again_s)

    def as_it_stands(self) -> BeingMade | None:
        """Return how far it is, with the wait that is left until it may be asked."""
        if self.making is None or self.due is None:
            return self.making
        return replace(self.making, again_s=max(0.0, self.due - anyio.current_time()))

    def says_first(self, event: str) -> bool:
        """Return whether an event is the first with its name."""
        is_first = event not in self.said
        self.said.add(event)
        return is_first

    async def passed(self, attempt_id: str) -> None:
        """Wait until a purchase has ended, or the walk is over."""
        assert self.waiters is not None, "who waits has seen the walk"
        await self.waiters.setdefault(attempt_id, anyio.Event()).wait()

    def pass_by(self, attempt_id: str) -> None:
        """Let those go who wait for a purchase."""
        waiter = (self.waiters or {}).pop(attempt_id, None)
        if waiter is not None:
            waiter.set()

    def end_walk(self) -> None:
        """Let all go."""
        waiters, self.waiters = self.waiters or {}, None
        for waiter in waiters.values():
            waiter.set()


TURN_S = 10.0
"""Seconds an answer waits for its turn where descriptors are few; then a later run takes it in."""

Came = TypeVar("Came")
Turn: TypeAlias = Callable[[], Coroutine[Any, Any, Came | None]]


class Turns:
    """Hands out turns.

    Args:
        at_once: So many.

    Attributes:
        is_halted: Nothing more is begun.
    """

    def __init__(self, at_once: int) -> None:
        self.is_halted = False
        self._taking = anyio.CapacityLimiter(at_once)
        self._interrupt = Interrupt()

    def halt(self) -> None:
        """Begin nothing more, and cut short what is under way."""
        self.is_halted = True
        self._interrupt.trigger()

    async def take(self, work: Callable[[], Awaitable[Came]]) -> Came | None:
        """Do some work in a turn; ``None`` if that cannot be now."""
        with anyio.move_on_after(TURN_S) as patience:
            await self._taking.acquire_on_behalf_of(work)
        if patience.cancelled_caught:  # others hang at their addresses, and nothing is lost by it
            return None
        return await self._do(work)

    def begin(self, work: Callable[[], Awaitable[Came]]) -> Turn[Came] | None:
        """Take a turn for some work if one is free now; return what does it and ends the turn."""
        try:
            self._taking.acquire_on_behalf_of_nowait(work)
        except anyio.WouldBlock:
            return None
        return partial(self._do, work)

    async def _do(self, work: Callable[[], Awaitable[Came]]) -> Came | None:
        """Do some work that has a turn, and end it."""
        try:
            if self.is_halted:
                return None
            with self._interrupt.in_force():  # this one, also for a scene that asks
                return await work()
        finally:
            self._taking.release_on_behalf_of(work)
