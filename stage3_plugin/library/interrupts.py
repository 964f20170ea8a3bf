"""What the handlers of signals raise while a stage is open: held back, and raised once it is left.

A handler raises wherever the interpreter happens to be: in the middle of what is done for a paid
picture, or in the event loop itself, which then ends every task at once. So what one raises
(``SystemExit`` on SIGTERM, the time limit of a queue's worker, Ctrl-C) is taken from it here, makes
the program leave its stage, and is raised when what was in flight has been taken in.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

MOST_HELD: Final = 2
"""The first stops, the second cuts short; a third leaves at once."""
_Handler: TypeAlias = Callable[[int, FrameType | None], object]


@contextmanager
def held_back(leave: Callable[[bool], None]) -> Generator[None]:
    """Hold back what handlers raise for as long as the block lasts, and raise the last of it then.

    Args:
        leave: Called for each of them, with whether it is a second one; the program may be in the
            middle of anything.
    """
    held = list[BaseException]()
    ours = list[_Holding]()
    if threading.current_thread() is threading.main_thread():  # no other one is interrupted
        handlers = ((number, signal.getsignal(number)) for number in signal.valid_signals())
        ours = [_Holding(*one, held=held, leave=leave) for one in handlers if callable(one[1])]
    try:
        yield
    finally:
        for one in ours:
            one.let_go()
        if held:
            raise held[-1]


class _Holding:
    """Stands in for the handler of one signal."""

    def __init__(
        self,
        number: int,
        former: _Handler,
        *,
        held: list[BaseException],
        leave: Callable[[bool], None],
    ) -> None:
        self._number = number
        self._former = former
        self._held = held
        self._leave = leave
        self._times = 0
        self._is_over = False
        signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> object:
        """Hold back what the handler raises, and return that to another one of ours."""
        self._times += 1  # asyncio's own raises from the second on
        if self._is_over or len(self._held) == MOST_HELD:
            return self._former(number, frame)
        try:
            error = self._raised(number, frame)
        except BaseException as raised:  # noqa: BLE001 - raised when the block is over
            error = raised
        if isinstance(error, BaseException):
            self._held.append(error)
            self._leave(max(self._times, len(self._held)) > 1)
        return error

    def _raised(self, number: int, frame: FrameType | None) -> object:
        if getattr(self._former, "__module__", "").startswith("trio."):
            return KeyboardInterrupt()  # not when the main task has its turn: it may be another one
        return self._former(number, frame)

    def let_go(self) -> None:
        """Put the handler back, unless there is another one by now."""
        self._is_over = True
        if signal.getsignal(self._number) is self:
            signal.signal(self._number, self._former)
