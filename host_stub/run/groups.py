"""Work that waits for a disk, done in groups by a thread of its own.

What has come while one group was written down is the next one, so that a disk is waited for as
often as it lets us, and the event loop never. Items come and go in order, and whoever is quicker
than the disk waits for it in the end: memory stays flat.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

MOST_AT_ONCE: Final = 200
MOST_QUEUED: Final = 1_000

T = TypeVar("T")


class Groups(Generic[T]):
    """Hands items over in groups.

    Args:
        write: Called with each group, in a thread of its own. What it raises is noted, and the
            groups that follow are written all the same.

    Attributes:
        failures: What it raised.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self.failures: list[Exception] = []
        self._written = 0
        self._write = write
        self._queue: queue.Queue[tuple[T] | None] = queue.Queue(MOST_QUEUED)
        self._thread = threading.Thread(target=self._work, name="groups", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Take one item; it is written soon."""
        self._queue.put((item,))

    def close(self, patience_s: float | None = None) -> bool:
        """Write all that has come; nothing may come later.

        Args:
            patience_s: How long one group may take.

        Returns:
            Whether all is written: a disk may hang.
        """
        self._queue.put(None)
        written = -1
        while self._thread.is_alive() and written != self._written:
            written = self._written
            self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            group = [self._queue.get()]
            while len(group) < MOST_AT_ONCE and not self._queue.empty():
                group.append(self._queue.get())
            goes_on = None not in group
            items = [one[0] for one in group if one is not None]
            try:
                if items:
                    self._write(items)
            except Exception as error:  # noqa: BLE001 - whoever closes looks at it
                self.failures.append(error)
            self._written += 1
