"""How long an exchange waits, by a clock that the test drives."""

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
