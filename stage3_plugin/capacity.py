"""How many scenes may be in flight, and when the next may leave.

Pure: no clock and no I/O, the caller passes ``now`` in seconds of its own clock. One gate stands
before one account of one provider, so a rate limit that one scene ran into holds back all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a request may leave now; if not, when to ask again.

    ``wake_at is None`` beside ``allowed=False`` means: when one that is in flight has ended.
    """

    allowed: bool
    wake_at: float | None = None


class Gate(Protocol):
    """Decides from what it is told; dispatch asks it before every start."""

    @property
    def ceiling(self) -> int:
        """Give the most that will ever be in flight."""
        ...

    def may_send(self, now: float, in_flight: int) -> Permission:
        """Tell whether one more may be in flight."""
        ...

    def rejected(self, now: float, wait_s: float) -> None:
        """Take note that the provider rejected a request and asked to wait ``wait_s`` seconds."""
        ...


class FixedGate:
    """A fixed number in flight, and one shared pause when the provider asks for one."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity is at least 1")
        self._capacity = capacity
        self._paused_until = float("-inf")

    @property
    def ceiling(self) -> int:
        """Give the capacity."""
        return self._capacity

    def may_send(self, now: float, in_flight: int) -> Permission:
        """Allow one more while capacity is left and no pause is running."""
        if in_flight >= self._capacity:
            return Permission(allowed=False)
        if now < self._paused_until:
            return Permission(allowed=False, wake_at=self._paused_until)
        return Permission(allowed=True)

    def rejected(self, now: float, wait_s: float) -> None:
        """Pause every scene for the longest wait that was asked for."""
        self._paused_until = max(self._paused_until, now + wait_s)
