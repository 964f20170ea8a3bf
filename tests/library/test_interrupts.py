"""What handlers of signals raise while a stage is open, and what they are afterwards."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from types import FrameType

import anyio
import pytest
import trio

from stage3_plugin.library.stopping import held_back


class LimitReached(Exception):
    """By a handler."""


@pytest.fixture(autouse=True)
def handled() -> Iterator[Callable[[int, FrameType | None], None]]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        raise LimitReached

    before = signal.signal(signal.SIGUSR1, handler)
    yield handler
    signal.signal(signal.SIGUSR1, before)


def test_the_first_leaves_the_second_cuts_short_and_a_third_is_raised_at_once() -> None:
    """The last of those that were held back is raised at the end."""
    told: list[bool] = []

    def program() -> None:
        with held_back(told.append):
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(LimitReached):
                signal.raise_signal(signal.SIGUSR1)

    with pytest.raises(KeyboardInterrupt):
        program()

    assert told == [False, True]


def test_a_handler_of_the_programs_own_that_was_set_meanwhile_stays() -> None:
    """It is nobody else's to take away."""
    with held_back(lambda _: None):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_trios_ctrl_c_is_not_the_main_tasks_alone() -> None:
    """A stage that another task has opened is left by it as well."""
    told: list[bool] = []

    async def opener() -> None:
        with held_back(told.append):
            signal.raise_signal(signal.SIGINT)
            await anyio.lowlevel.checkpoint()
            told.append(True)

    async def program() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opener)

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(program)
    assert caught.value.subgroup(KeyboardInterrupt) is not None
    assert told == [False, True]
