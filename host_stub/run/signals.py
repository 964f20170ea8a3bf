"""What a signal means to a run: the first asks it to stop, the second makes it.

After the first signal nothing new is started and what is paid for ends; after the second the run is
cancelled and left within a second, whatever the plugin does about it. SIGINT, SIGTERM and SIGHUP
count alike, on both event loops; one that was ignored when the program started stays ignored
(``nohup``, a background job).

Signals are received from before the event loop begins until after it has ended, and by nothing but
a note of their number: an exception that is raised wherever the interpreter happens to be, in the
middle of the loop's own work, leaves a loop that can neither go on nor be closed. Outside the main
thread and on Windows no signal can be received here, and Ctrl-C ends the run as Python has it.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskStatus

GRACE_S = 0.5
"""Seconds that a plugin has for cleaning up after the second signal."""
_MOST_AT_ONCE = 4096


class Receiver:
    """Notes the signals of one run; a context manager around its event loop.

    Args:
        received: Gets every signal that came, in order.
    """

    def __init__(self, received: list[signal.Signals]) -> None:
        self.received = received
        self._former: dict[signal.Signals, Any] = {}
        self._process = os.getpid()
        self._is_over = False
        self._after = 0
        self._waker, self._wakings = socket.socketpair()
        for end in (self._waker, self._wakings):
            end.setblocking(False)

    def __enter__(self) -> Self:
        for number in receivable():
            former = signal.signal(number, self._note)
            self._former[number] = signal.SIG_DFL if former is None else former
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._waker.close()
        self._wakings.close()

    @property
    def can_receive(self) -> bool:
        """Return whether signals come here."""
        return bool(self._former)

    def run_is_over(self) -> None:
        """Note that only the event loop is left, which has to be closed.

        That should take a moment; two more signals end the process without waiting for it.
        """
        self._is_over = True

    async def more(self) -> None:
        """Wait until a signal has come since the last time, or may have."""
        await anyio.wait_readable(self._wakings)
        with suppress(BlockingIOError):
            self._wakings.recv(_MOST_AT_ONCE)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked child, which a signal ends as any process
            signal.signal(number, self._former[signal.Signals(number)])
            os.kill(os.getpid(), number)
            return
        self.received.append(signal.Signals(number))
        with suppress(OSError):  # the run is over, or a wake-up waits to be read
            self._waker.send(b"\0")
        if self._is_over:
            self._after += 1
            if self._after > 1:
                os._exit(128 + self.received[0])


class Interrupts:
    """What the signals of one run do. Make it within the event loop.

    Args:
        on_first: Called when the first signal came, with its name.
        on_second: Likewise for the second, right before the run is cancelled.

    Attributes:
        stopping: Set by the first signal.
        work: Cancelled by the second; the run's work goes inside it.
        left: To be set when the work is over.
    """

    def __init__(self, on_first: Callable[[str], None], on_second: Callable[[str], None]) -> None:
        self.stopping = anyio.Event()
        self.work = anyio.CancelScope()
        self.left = anyio.Event()
        self._on_first = on_first
        self._on_second = on_second

    async def watch(
        self,
        receiver: Receiver,
        leave: Callable[[], None],
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Act on signals until cancelled, on those first that came before this began.

        Args:
            receiver: Notes them.
            leave: Called if the work does not end within :data:`GRACE_S` after the second signal;
                it writes down what there is and ends the process.
            task_status: Started as soon as signals are acted on.
        """
        received = receiver.received
        if received:
            self._stop(received[0].name)
        task_status.started()
        if not receiver.can_receive:
            return
        while len(received) < 2:
            await receiver.more()
            if received and not self.stopping.is_set():
                self._stop(received[0].name)
        self._on_second(received[1].name)
        self.work.cancel()
        with anyio.move_on_after(GRACE_S, shield=True):
            await self.left.wait()
        if not self.left.is_set():
            leave()

    def _stop(self, name: str) -> None:
        self.stopping.set()
        self._on_first(name)


def receivable() -> list[signal.Signals]:
    """List the signals that can be received here and are not ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    if not hasattr(signal, "SIGHUP"):  # Windows, whose event loops are not woken by a signal
        return []
    wanted = [signal.Signals[name] for name in names]
    return [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
