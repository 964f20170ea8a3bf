"""Which item goes next: capacity workers on one iterator of scenes and a heap of due retries.

As many tasks as the limiter will ever let through share one iterator: a slow scene holds up no
other, a task per scene is not needed, and 100,000 scenes need no more memory than those in flight.
A scene that waits for its next try lies in the heap and holds no capacity; when it is due it goes
before new scenes, and while many wait no new one is started, so that the heap never grows with the
story. Capacity 1 is the serial mode: scenes start in input order. Where the limiter lets fewer
through than there are workers, one of them waits for it and the others wait behind that one, so
that an ended scene wakes one task and not hundreds.

Where pictures are bought at several places each has a limiter, and so a lane of its own: an item
that has moved to another place waits in the heap of that lane, and the workers are shared.

Dispatch knows neither providers nor pictures. It calls ``perform``, which returns when, if ever,
the same item is to go again, so that a test can drive it with nothing but a clock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain, islice
from typing import Generic, TypeVar

import anyio

from stage3_plugin.policy.capacity.limiter import Limiter
from stage3_plugin.runtime.clock import Clock, clock

Item = TypeVar("Item")

MOST_WAITING, LEAST_MOST_WAITING = 4, 64
"""Started items that may wait for each place, or at least in all; with more, no new one starts.

A place makes several pictures while a rejected scene waits as the provider asked; so one wait for
each place would hold up others where rejections are chance.
"""


class Peekable(Iterator[Item]):
    """An iterator that can be asked whether there is more; what was looked at is still to come."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._next: list[Item] = []

    def __bool__(self) -> bool:
        """Return whether there is one more.

        Raises:
            Exception: Whatever the items raised.
        """
        if not self._next:
            self._next.extend(islice(self._items, 1))
        return bool(self._next)

    def __next__(self) -> Item:
        """Return the next one."""
        return self._next.pop() if self._next else next(self._items)

    @property
    def holds_back(self) -> bool:
        """Return whether there is more, which may start when some in flight have ended."""
        return False


class _Lane(Generic[Item]):
    """What goes to one place: its limiter, how many are in flight there, and which wait to go."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.in_flight = 0
        self.waiting: list[tuple[float, int, Item]] = []

    @property
    def due(self) -> float:
        """Return when the first of those that wait may go."""
        return self.waiting[0][0] if self.waiting else math.inf


@dataclass(eq=False, repr=False)
class Dispatcher(Generic[Item]):
    """Runs every item through ``perform`` under a limiter.

    Args:
        items: What to run, taken one at a time and only when there is room for it. One more may be
            looked at; a :class:`Peekable` still returns it to a later reader.
        perform: Runs one item; returns the moment (``anyio.current_time()``) from which it may go
            again, or ``None`` when it has ended.
        limiter: Decides how many may be in flight and when the next may leave; its ceiling is that
            of all lanes together.
        further: The limiters of further lanes.
        lane_of: Returns which lane an item goes by now; new ones go by the first.
    """

    items: Iterable[Item]
    perform: Callable[[Item], Awaitable[float | None]]
    limiter: Limiter
    _: KW_ONLY
    further: Sequence[Limiter] = ()
    lane_of: Callable[[Item], int] = lambda _item: 0

    def __post_init__(self) -> None:
        items, ceiling = self.items, self.limiter.ceiling
        self._items = items if isinstance(items, Peekable) else Peekable(items)
        self._lanes = [_Lane[Item](one) for one in (self.limiter, *self.further)]
        self._pushed = 0
        self._most_waiting = max(LEAST_MOST_WAITING, MOST_WAITING * ceiling)
        self._halted = False
        self._broken: Exception | None = None
        self._now: Clock = anyio.current_time
        self._changed = anyio.Event()
        self._taking = anyio.Lock(fast_acquire=True)

    @property
    def in_flight(self) -> int:
        """Return how many items are being performed."""
        return sum(lane.in_flight for lane in self._lanes)

    @property
    def waiting(self) -> list[Item]:
        """Return the started items that wait to go again, in the order they would go."""
        entries = chain.from_iterable(lane.waiting for lane in self._lanes)
        return [item for _, _, item in sorted(entries, key=lambda entry: entry[:2])]

    def halt(self) -> None:
        """Start nothing more; what is in flight goes on to its end."""
        self._halted = True
        self.wake()

    async def run(self) -> None:
        """Run until every item has ended, or until what is in flight after a halt has.

        Items that were kept from going again by a halt are then in ``waiting``; items never taken
        are still in ``items``, if that is a :class:`Peekable`, and all but one else.

        Raises:
            Exception: Whatever ``items`` raised, after everything in flight has ended.
        """
        self._now = clock()
        async with anyio.create_task_group() as workers:
            for _ in range(self.limiter.ceiling):
                workers.start_soon(self._work)
        if self._broken is not None:
            raise self._broken

    async def _work(self) -> None:
        while (taken := await self._enter()) is not None:
            lane, item = taken
            try:
                due = await self.perform(item)
            finally:
                lane.in_flight -= 1
                self.wake()
            if due is not None:
                self.push(item, due)

    def push(self, item: Item, due: float) -> None:
        """Take an item, to go by its lane once it is due; where none runs, by the next run."""
        self._pushed += 1
        heapq.heappush(self._lanes[self.lane_of(item)].waiting, (due, self._pushed, item))
        self.wake()

    def left(self) -> Iterator[Item]:
        """Take out the items that wait, in the order they would go; also those that come then."""
        while waiting := self.waiting:
            for lane in self._lanes:
                lane.waiting.clear()
            yield from waiting

    async def _enter(self) -> tuple[_Lane[Item], Item] | None:
        """Take the next item; until it has started, no other worker asks the limiter.

        Shielded work may never have noticed that it was cancelled: the lock does.
        """
        async with self._taking:
            taken = await self._next()
            if taken is not None:
                taken[0].in_flight += 1
            return taken

    async def _next(self) -> tuple[_Lane[Item], Item] | None:
        """Wait for the next item that may start.

        A worker ends when nothing is left to take and no item waits for a retry, without asking
        the limiter in vain: an item still in flight has a worker of its own, which takes it up
        again itself. Where one in flight keeps others from starting, all workers stay for those.
        """
        first = self._lanes[0]
        while not self._halted:
            waiting = sum(len(lane.waiting) for lane in self._lanes)
            has_new = waiting < self._most_waiting and self._has_new()
            if not has_new and not waiting:
                if not (self._items.holds_back and self.in_flight):
                    break
                await self._pause(math.inf)
                continue
            open_lanes, wake_at = self._open_lanes(has_new=has_new)
            due = [lane for lane in open_lanes if lane.due <= self._now()]
            if due:
                lane = min(due, key=lambda one: one.waiting[0][:2])
                return lane, heapq.heappop(lane.waiting)[2]
            if has_new and first in open_lanes:
                item = next(self._items)
                if self.lane_of(item) == 0:
                    return first, item
                self.push(item, self._now())  # it has been somewhere else already
            else:
                await self._pause(wake_at)
        return None

    def _open_lanes(self, *, has_new: bool) -> tuple[list[_Lane[Item]], float]:
        """Return the lanes by which an item may go now, and when to look again if that is none.

        A limiter is asked only where an item is there to go.
        """
        now = self._now()
        open_lanes: list[_Lane[Item]] = []
        wake_at = math.inf
        for lane in self._lanes:
            if lane.due > now and not (has_new and lane is self._lanes[0]):
                wake_at = min(wake_at, lane.due)
                continue
            permission = lane.limiter.may_send(now, lane.in_flight)
            if permission.allowed:
                open_lanes.append(lane)
            elif permission.wake_at is not None:
                wake_at = min(wake_at, permission.wake_at)
        return open_lanes, wake_at

    def _has_new(self) -> bool:
        """Return whether there is a new item; a source that breaks halts the run, and no more."""
        try:
            return bool(self._items)
        except Exception as error:  # noqa: BLE001 - kept, and raised when paid work has ended
            self._broken = error
            self.halt()
            return False

    async def _pause(self, until: float) -> None:
        """Wait for a change, or until a moment; only the worker that asks the limiter does."""
        self._changed = anyio.Event()
        with anyio.CancelScope(deadline=until):
            await self._changed.wait()

    def wake(self) -> None:
        """Look again whether something may start."""
        self._changed.set()
