"""Ctrl-C on trio while a stage is open: it waits for the program's own task."""

from __future__ import annotations

import signal

import pytest
import trio

from stage3_plugin.library.interrupts import heard_by_the_program


def heard(*, within: bool) -> list[str]:
    """Interrupt a task that is in the middle of something; return who was interrupted."""
    who: list[str] = []

    async def settles() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            who.append("the work")
            raise

    async def works() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(settles)
            try:
                await trio.sleep_forever()
            except KeyboardInterrupt:
                who.append("the program")
                raise

    async def program() -> None:
        if not within:
            await works()
        with heard_by_the_program():
            await works()

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(program)
    assert caught.value.subgroup(KeyboardInterrupt) is not None
    return who


def test_ctrl_c_is_the_programs_and_not_the_works() -> None:
    """What settles a paid picture is never torn in the middle; without this it can be."""
    before = signal.getsignal(signal.SIGINT)

    assert heard(within=True) == ["the program"]
    assert heard(within=False) == ["the work"]
    assert signal.getsignal(signal.SIGINT) is before
