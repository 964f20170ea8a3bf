"""Turns at what others have left: so many answers are read or fetched at once, until it is halted.

What goes on in a turn may be cut short by halting, which costs nothing: it is done again later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVar

import anyio

from stage3_plugin.runtime.interrupt import Interrupt

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
