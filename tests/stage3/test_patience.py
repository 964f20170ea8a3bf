"""How long an exchange waits, by a clock that the test drives."""

import time

import anyio
import pytest

from stage3_plugin.transport.patience import DRAIN_S, Patience


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def current_time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    driven = Clock()
    monkeypatch.setattr(anyio, "current_time", driven.current_time)
    return driven


def goes_on(waiting: Patience) -> bool:
    try:
        waiting.check()
    except TimeoutError:
        return False
    return True


def test_what_flows_is_taken_for_a_moment_after_the_time_is_over(clock: Clock) -> None:
    """And then no more."""
    waiting = Patience(2)
    for _ in range(200):
        clock.now += 0.01
        assert goes_on(waiting)
    clock.now += 0.02
    assert goes_on(waiting)
    assert waiting.is_over
    for _ in range(int(DRAIN_S * 100) - 2):
        clock.now += 0.01
        assert goes_on(waiting)
    clock.now += 0.04

    assert not goes_on(waiting)


def test_time_that_was_lost_is_given_back(clock: Clock) -> None:
    """However long it was: an hour in a bag leaves what was left before it."""
    waiting = Patience(2)
    clock.now += 0.01
    waiting.check()
    clock.now += 3600
    waiting.check()

    assert not waiting.is_over
    for _ in range(198):
        clock.now += 0.01
        waiting.check()
    assert not waiting.is_over
    clock.now += 0.02
    waiting.check()
    assert waiting.is_over


@pytest.mark.anyio
async def test_a_limit_counts_no_time_that_was_lost() -> None:
    """Work goes on when its loop does, with as much of the limit as was left before."""
    waiting = Patience(60)

    async def work() -> str:
        time.sleep(0.8)  # noqa: ASYNC251 - as if the process had been stopped
        await anyio.sleep(0.2)
        return "done"

    assert await waiting.within(0.5, work) == "done"
    with anyio.fail_after(20), pytest.raises(TimeoutError):
        await waiting.within(0.2, anyio.sleep_forever)


def test_a_loop_that_is_always_late_comes_to_an_end(clock: Clock) -> None:
    """Lost time is given back three times."""
    waiting = Patience(2)
    began = clock.now
    while goes_on(waiting):
        clock.now += 0.5
        assert clock.now < began + 60

    assert clock.now - began < 12


@pytest.mark.anyio
async def test_a_wait_that_is_cut_ends_at_once_and_is_the_last() -> None:
    """Whoever waits looks once more, and whoever comes later does not wait."""
    waiting = Patience(60)
    never = anyio.Event()

    async def wait(event: anyio.Event) -> None:
        await event.wait()

    async with anyio.create_task_group() as tasks:

        async def cut() -> None:
            await anyio.wait_all_tasks_blocked()
            waiting.cut()

        tasks.start_soon(cut)
        with anyio.fail_after(2):
            assert await waiting.wait(wait, never)

    assert not await waiting.wait(wait, never)
    assert waiting.is_over
