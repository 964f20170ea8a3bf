"""What a signal means to a run: the first asks it to stop, the second makes it.

After the first signal nothing new is started and what is paid for ends; after the second the run is
cancelled and left within a second, whatever the plugin does about it. SIGINT, SIGTERM and SIGHUP
count alike, on both event loops; one that was ignored when the program started stays ignored
(``nohup``, a background job). Outside the main thread and on Windows no signal can be received
here, and Ctrl-C ends the run as Python has it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

GRACE_S = 0.5
"""After the second signal a plugin has so long to clean up."""


class Interrupts:
    """The signals of one run. Make it within the event loop.

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
        received: list[signal.Signals],
        leave: Callable[[], None],
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Act on signals until cancelled.

        Args:
            received: Gets every signal that came.
            leave: Called if the work does not end within :data:`GRACE_S` after the second signal;
                it writes down what there is and ends the process.
            task_status: Told when signals are being received.
        """
        wanted = receivable()
        if not wanted:
            task_status.started()
            return
        with anyio.open_signal_receiver(*wanted) as signals:
            task_status.started()
            async for number in signals:
                received.append(number)
                if len(received) == 1:
                    self.stopping.set()
                    self._on_first(number.name)
                elif len(received) == 2:
                    self._on_second(number.name)
                    self.work.cancel()
                    with anyio.move_on_after(GRACE_S, shield=True):
                        await self.left.wait()
                    if not self.left.is_set():
                        leave()


def receivable() -> list[signal.Signals]:
    """List the signals that can be received here and are not ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    if not hasattr(signal, "SIGHUP"):  # Windows, whose event loops take no signal handlers
        return []
    wanted = [signal.Signals[name] for name in names]
    return [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
