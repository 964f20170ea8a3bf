"""A switch that asks runs to stop, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[bool], None]
"""Is told that it was set, and whether what is in flight is to be given up."""


class Stop:
    """Asks every run it was passed to, to stop; also those that begin after it was set.

    Nothing new is sent then. What is in flight has the setting ``drain_s`` to end, since it is paid
    for, and every scene has its outcome.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._is_at_once = False
        self._listeners: list[Listener] = []

    @property
    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self, *, at_once: bool = False) -> None:
        """Ask them to stop; safe in every thread, and harmless a second time.

        Args:
            at_once: Give up what is in flight, too. It may have been billed: the ledger has it, and
                what can still be had of it the next run takes in.
        """
        with self._lock:
            self._is_set = True
            self._is_at_once = self._is_at_once or at_once
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(at_once)

    def add(self, listener: Listener) -> None:
        """Call this when it is set, or now if it is; meant for runs."""
        with self._lock:
            self._listeners.append(listener)
            is_set, is_at_once = self._is_set, self._is_at_once
        if is_set:
            listener(is_at_once)

    def remove(self, listener: Listener) -> None:
        """Call this no more."""
        with self._lock:
            self._listeners.remove(listener)


@contextmanager
def heeding(stop: Stop | None, listener: Listener) -> Generator[None]:
    """Have a listener told of a switch within a block, if there is one."""
    if stop is not None:
        stop.add(listener)
    try:
        yield
    finally:
        if stop is not None:
            stop.remove(listener)
