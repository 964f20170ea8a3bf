"""The switch that ends what is in flight, and which of several a piece of work asks."""

from __future__ import annotations

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
