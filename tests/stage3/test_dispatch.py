"""Dispatch against nothing but a clock: order, capacity, waiting, halting, cancelling."""

import heapq
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.engine.dispatch import LEAST_MOST_WAITING, MOST_WAITING, Dispatcher
from stage3_plugin.policy.capacity.limiter import Limiter


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    """Run on trio's autojump clock: whenever every task waits, time jumps to the next deadline."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def ideal_makespan(durations: Sequence[float], capacity: int) -> float:
    """Return when an ideal list schedule of this order ends: each job on the first free slot."""
    free_at = [0.0] * capacity
    for duration in durations:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


@dataclass
class Log:
    """What was started and ended, when, and how many were in flight at most."""

    started: list[int] = field(default_factory=list[int])
    ended: list[int] = field(default_factory=list[int])
    in_flight: int = 0
    most: int = 0

    def begin(self, item: int) -> None:
        self.started.append(item)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)

    def end(self, item: int) -> None:
        self.ended.append(item)
        self.in_flight -= 1


@pytest.mark.parametrize("capacity", [1, 4, 16, 64])
def test_a_thousand_scenes_need_what_an_ideal_list_schedule_needs(capacity: int) -> None:
    """With lognormal durations the makespan is within 2 % of the ideal one of the same order."""
    draw = random.Random(7)
    durations = [draw.lognormvariate(3.0, 0.5) for _ in range(1000)]
    log = Log()
    took_s = 0.0

    async def perform(item: int) -> None:
        log.begin(item)
        await anyio.sleep(durations[item])
        log.end(item)

    async def main() -> None:
        nonlocal took_s
        began = anyio.current_time()
        await Dispatcher(range(1000), perform, Limiter(capacity)).run()
        took_s = anyio.current_time() - began

    in_virtual_time(main)

    assert took_s <= ideal_makespan(durations, capacity) * 1.02
    assert log.most == capacity
    assert log.started == list(range(1000))


def test_a_waiting_scene_holds_no_capacity_and_goes_before_new_ones() -> None:
    """With one slot, scene 1 runs while scene 0 waits, and scene 0 returns before scene 5."""
    order: list[tuple[int, float]] = []
    tries: dict[int, int] = {}

    async def perform(item: int) -> float | None:
        now = anyio.current_time()
        order.append((item, now))
        tries[item] = tries.get(item, 0) + 1
        await anyio.sleep(1)
        return now + 4.5 if item == 0 and tries[item] == 1 else None

    began = 0.0

    async def main() -> None:
        nonlocal began
        began = anyio.current_time()
        await Dispatcher(range(8), perform, Limiter(1)).run()

    in_virtual_time(main)

    assert [(item, at - began) for item, at in order] == [
        (0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (0, 5), (5, 6), (6, 7), (7, 8),
    ]  # fmt: skip


def test_after_a_halt_what_is_in_flight_ends_and_nothing_starts() -> None:
    """Halting in the middle leaves the rest untouched and the waiting ones listed."""
    ended: list[int] = []
    rest = iter(range(100))

    async def perform(item: int) -> float | None:
        await anyio.sleep(10 + item)
        ended.append(item)
        if item == 0:
            return anyio.current_time() + 1000
        if item == 1:
            dispatcher.halt()
        return None

    dispatcher = Dispatcher(rest, perform, Limiter(4))
    in_virtual_time(dispatcher.run)

    assert ended == [0, 1, 2, 3, 4]
    assert dispatcher.waiting == [0]
    assert next(rest) == 5


@given(
    durations=st.lists(st.integers(0, 20), max_size=40),
    fails=st.lists(st.integers(0, 3), min_size=40, max_size=40),
    capacity=st.integers(1, 9),
)
def test_every_item_runs_as_often_as_it_asks_and_never_above_capacity(
    durations: list[int], fails: list[int], capacity: int
) -> None:
    """For any durations, failures and capacity; never before it is due; first starts in order."""
    log = Log()
    due: dict[int, float] = {}
    tries: dict[int, int] = {}

    async def perform(item: int) -> float | None:
        log.begin(item)
        assert anyio.current_time() >= due.get(item, 0)
        await anyio.sleep(durations[item])
        log.end(item)
        tries[item] = tries.get(item, 0) + 1
        if tries[item] > fails[item]:
            return None
        due[item] = anyio.current_time() + 3
        return due[item]

    in_virtual_time(lambda: Dispatcher(range(len(durations)), perform, Limiter(capacity)).run())

    assert tries == {item: fails[item] + 1 for item in range(len(durations))}
    assert log.most <= capacity
    assert list(dict.fromkeys(log.started)) == list(range(len(durations)))


@pytest.mark.parametrize("stays_shut_for_s", [0.0, 3600.0])
def test_nobody_waits_at_the_gate_when_nothing_is_left(*, stays_shut_for_s: float) -> None:
    """The last scene has ended: the run has, too, whatever the gate says of the next."""
    gate = Limiter(4)
    took_s = 0.0

    async def perform(item: int) -> None:
        await anyio.sleep(1)
        if item == 2:
            gate.hold_back(anyio.current_time(), stays_shut_for_s)

    async def main() -> None:
        nonlocal took_s
        began = anyio.current_time()
        await Dispatcher(iter(range(3)), perform, gate).run()
        took_s = anyio.current_time() - began

    in_virtual_time(main)

    assert took_s == 1


@pytest.mark.parametrize("capacity", [1, 8, 40])
def test_no_new_scene_is_started_while_many_wait(capacity: int) -> None:
    """Nothing gets through for minutes: what waits is no more for a long story than for a short."""
    waits = [0] * 5000
    most = 0

    async def perform(item: int) -> float | None:
        nonlocal most
        most = max(most, len(dispatcher.waiting))
        waits[item] += 1
        return anyio.current_time() + 300 if waits[item] == 1 else None

    dispatcher = Dispatcher(range(5000), perform, Limiter(capacity))
    in_virtual_time(dispatcher.run)

    assert waits == [2] * 5000
    assert most <= max(LEAST_MOST_WAITING, MOST_WAITING * capacity)


@given(
    moves=st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=12),
    ceilings=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)),
)
def test_each_lane_keeps_its_own_limit_and_all_of_them_the_first(
    moves: list[list[int]], ceilings: tuple[int, int, int]
) -> None:
    """Items that go from place to place are never more at one than it takes, nor more in all."""
    at = [0] * len(moves)
    went: list[list[int]] = [[] for _ in moves]
    there = [0, 0, 0]

    async def perform(item: int) -> float | None:
        lane = at[item]
        there[lane] += 1
        assert there[lane] <= ceilings[lane]
        assert sum(there) <= ceilings[0]
        await anyio.sleep(1 + item % 3)
        there[lane] -= 1
        went[item].append(lane)
        if len(went[item]) > len(moves[item]):
            return None
        at[item] = moves[item][len(went[item]) - 1]
        return anyio.current_time() + item % 2

    async def main() -> None:
        first, *further = map(Limiter, ceilings)
        items = range(len(moves))
        await Dispatcher(items, perform, first, further=further, lane_of=at.__getitem__).run()

    in_virtual_time(main)

    assert went == [[0, *further] for further in moves]
