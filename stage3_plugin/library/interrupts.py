"""Ctrl-C while a stage is open: heard where it does no harm, and by whom it is meant for.

asyncio's runner cancels the program's own task. Trio raises ``KeyboardInterrupt`` wherever the
interpreter happens to be, which may be in the middle of what is done for a paid picture; here it is
made to wait for the program's own task, as trio does it itself in protected code.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heard_by_the_program() -> Generator[None]:
    """Have trio deliver Ctrl-C to the main task alone, for as long as the block lasts."""
    former = signal.getsignal(signal.SIGINT)
    is_trios = getattr(former, "__module__", "").startswith("trio.")
    if not (
        is_trios and callable(former) and threading.current_thread() is threading.main_thread()
    ):
        yield
        return

    def handler(number: int, _frame: FrameType | None) -> None:
        former(number, None)  # without a frame nothing is there to be interrupted

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, former)
