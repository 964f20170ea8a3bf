"""The switch that ends what is in flight, and which of several a piece of work asks."""

from __future__ import annotations

from contextlib import suppress

from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.interrupt import Interrupt


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


def test_the_innermost_interrupt_counts_and_goes_with_whatever_ended_its_block() -> None:
    """Recovery has one of its own, whoever asks it; after it the run's is in force again."""
    of_the_run, of_recovery = Interrupt(), Interrupt()
    with of_the_run.in_force():
        with suppress(LookupError), of_recovery.in_force():
            assert interrupt.current() is of_recovery
            raise LookupError
        assert interrupt.current() is of_the_run
