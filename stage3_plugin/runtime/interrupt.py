"""Ends what is in flight, each piece in its own way.

A purchase is shielded from cancellation from end to end, because an answer that has been paid for
must be stored and reported. Only the waiting inside it may be cut short, and only the purchase
knows how: so it registers a callback here for as long as that waiting lasts, and the stage calls
them all when its run is cancelled or the time to drain is over.

Which interrupt that is, is a property of the work and not of each function it goes through: the
owner of one puts it in force around what may be cut short, and code that waits there asks for the
current one. A run and the recovery beside it have one each. Threads and tasks that are started
inside have the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar


class Interrupt:
    """A switch that is triggered at most once; callbacks run in the order of registration."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[[], None]] = {}
        self.triggered = False

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Generator[None]:
        """Have ``callback`` called if the switch is triggered inside the block, or already was."""
        if self.triggered:
            callback()
        key = object()  # one callback may be there twice
        self._callbacks[key] = callback
        try:
            yield
        finally:
            del self._callbacks[key]

    @contextmanager
    def in_force(self) -> Generator[None]:
        """Be the current interrupt inside the block, in place of the one before."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def trigger(self) -> None:
        """Call every registered callback."""
        self.triggered = True
        for callback in list(self._callbacks.values()):
            callback()


_current: ContextVar[Interrupt | None] = ContextVar("interrupt", default=None)


def current() -> Interrupt:
    """Return the interrupt in force here; where none is, one that is never triggered."""
    return _current.get() or Interrupt()
