"""What the handlers of signals raise while a stage is open: held back, and raised once it is left.

A handler raises wherever the interpreter happens to be: in the middle of what is done for a paid
picture, or in the event loop itself, which then ends every task at once. So what one raises
(``SystemExit`` on SIGTERM, the time limit of a queue's worker, Ctrl-C) is taken from it here, makes
the program leave its stage, and is raised when what was in flight has been taken in.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
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
    formers = dict[int, _Handler]()
    handler = _holding(held, formers, leave)
    if threading.current_thread() is threading.main_thread():  # no other one is interrupted
        found = ((number, signal.getsignal(number)) for number in signal.valid_signals())
        formers.update({number: former for number, former in found if callable(former)})
    for number in formers:
        signal.signal(number, handler)
    try:
        yield
    finally:
        raised = held[-1:]
        held[:] = [GeneratorExit()] * MOST_HELD  # it may stand behind another one
        for number, former in formers.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, former)
        for error in raised:
            raise error


def _holding(
    held: list[BaseException], formers: Mapping[int, _Handler], leave: Callable[[bool], None]
) -> _Handler:
    """Return what stands in for the handlers."""
    came = Counter[int]()

    def handler(number: int, frame: FrameType | None) -> object:
        came[number] += 1  # asyncio's own raises from the second on
        former = formers[number]
        if len(held) == MOST_HELD:
            return former(number, frame)
        try:
            # Trio's own would wait for the main task, whoever has opened the stage.
            is_trios = getattr(former, "__module__", "").startswith("trio.")
            error = KeyboardInterrupt() if is_trios else former(number, frame)
        except BaseException as raised:  # noqa: BLE001 - raised when the block is over
            error = raised
        if isinstance(error, BaseException):  # as of another one of ours
            held.append(error)
            leave(max(came[number], len(held)) > 1)
        return error

    return handler
