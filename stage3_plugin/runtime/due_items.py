"""Items that wait until they are due, and a few tasks that look after those that are.

In a run these are scenes that wait for something outside it: a picture at an address that does
not give it yet, a purchase that a dead run has left, another run that has the scene in work. Such a
scene needs no place at the provider, so it must not wait in one. Knows neither ledger nor pictures:
it calls ``ask``, which returns when to ask again.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from stage3_plugin.runtime.clock import Clock, clock

HANDS = 32
"""Items asked for at once: an address that hangs must not keep the others waiting."""

Item = TypeVar("Item")


class DueItems(Generic[Item]):
    """Asks for every item until it is over.

    Args:
        ask: Looks after one item; returns the moment (``anyio.current_time()``) to ask again, or
            ``None`` when it is over here. Called in a shield, so it has to be short or cut short.
    """

    def __init__(self, ask: Callable[[Item], Awaitable[float | None]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[float, int, Item]] = []
        self._pushed = 0
        self._asked = 0
        self._hands = 0
        self._is_halted = False
        self._now: Clock = anyio.current_time
        self._changed = anyio.Event()
        self._moved = anyio.Event()
        self.is_open = True

    def push(self, item: Item, due: float) -> None:
        """Take an item, to be asked for when it is due."""
        self._pushed += 1
        heapq.heappush(self._waiting, (due, self._pushed, item))
        self._wake()

    @property
    def is_at_rest(self) -> bool:
        """Return whether nothing is being asked for, and nothing will be."""
        return self._asked == 0 and (self._is_halted or not self._waiting)

    def left(self) -> list[Item]:
        """Take out what still waits, in the order it would have been asked for."""
        left = [item for _, _, item in sorted(self._waiting, key=lambda entry: entry[:2])]
        self._waiting.clear()
        return left

    def halt(self) -> None:
        """Ask no more; what waits stays in :meth:`left`."""
        self._is_halted = True
        self.is_open = False
        self._wake()

    async def moved(self) -> None:
        """Wait until something has been asked for, or nothing is asked for any more."""
        self._moved = anyio.Event()
        await self._moved.wait()

    async def run(self) -> None:
        """Ask for whatever is due, until cancelled."""
        self._now = clock()
        try:
            async with anyio.create_task_group() as hands:
                while not self._is_halted:
                    now = self._now()
                    is_due = bool(self._waiting) and self._waiting[0][0] <= now
                    if is_due and self._asked < HANDS:
                        item = heapq.heappop(self._waiting)[2]
                        self._asked += 1
                        hands.start_soon(self._ask_for, item)
                    else:
                        full = self._asked >= HANDS or not self._waiting
                        await self._pause(math.inf if full else self._waiting[0][0])
        finally:
            self.is_open = False

    async def _ask_for(self, item: Item) -> None:
        due: float | None = None
        try:
            with anyio.CancelScope(shield=True):
                due = await self._ask(item)
        finally:
            self._asked -= 1
            if due is not None:
                self.push(item, due)
            self._wake()
            self._moved.set()

    async def _pause(self, until: float) -> None:
        self._changed = anyio.Event()
        with anyio.CancelScope(deadline=until):
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        if self._is_halted:
            self._moved.set()
