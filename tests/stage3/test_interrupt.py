"""The switch that ends what is in flight, and which of several a piece of work asks."""

from __future__ import annotations

from contextlib import suppress

import anyio
import anyio.to_thread
import pytest

from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.interrupt import Interrupt

pytestmark = pytest.mark.anyio


def test_an_interrupt_reaches_what_is_in_flight_and_what_comes_after() -> None:
    """Callbacks that left are not called; one that comes too late is called at once."""
    called: list[str] = []
    switch = Interrupt()

    with switch.calling(lambda: called.append("left")):
        pass
    with switch.calling(lambda: called.append("in flight")):
        switch.trigger()
    with switch.calling(lambda: called.append("late")):
        pass

    assert called == ["in flight", "late"]


def test_where_no_interrupt_is_in_force_nobody_triggers_it() -> None:
    """One that was triggered elsewhere cuts nothing short here."""
    switch = Interrupt()
    with switch.in_force():
        interrupt.current().trigger()

    assert switch.triggered
    assert not interrupt.current().triggered


def test_the_innermost_interrupt_counts_and_goes_with_whatever_ended_its_block() -> None:
    """Recovery has one of its own, whoever asks it; after it the run's is in force again."""
    of_the_run, of_recovery = Interrupt(), Interrupt()
    with of_the_run.in_force():
        with suppress(LookupError), of_recovery.in_force():
            assert interrupt.current() is of_recovery
            raise LookupError
        assert interrupt.current() is of_the_run


async def test_tasks_and_threads_begun_under_an_interrupt_have_it() -> None:
    """Also when they go on after the block, and whatever others put in force beside them."""
    mine, other = Interrupt(), Interrupt()
    has_left = anyio.Event()
    found: list[Interrupt] = []

    async def look() -> None:
        await has_left.wait()
        found.append(interrupt.current())
        found.append(await anyio.to_thread.run_sync(interrupt.current))

    async def put_another() -> None:
        with other.in_force():
            await has_left.wait()
            found.append(interrupt.current())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_another)
        with mine.in_force():
            tasks.start_soon(look)
            await anyio.lowlevel.checkpoint()
        has_left.set()

    assert sorted(map(id, found)) == sorted(map(id, [mine, mine, other]))
