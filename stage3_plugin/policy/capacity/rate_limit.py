"""A limit per minute that is known beforehand: when the next request may leave.

Apart from the limiters because it counts departures and not requests in flight: it goes with any
limiter. A scene that was let through and has not sent yet is counted as leaving now, which is the
earliest it can; so several that prepare at once never pass together what one at a time could not.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

Pacing: TypeAlias = Literal["window", "paced"]

MINUTE_S = 60.0


class RateLimit:
    """An exact sliding log: never more than ``most`` in any ``window_s`` seconds, and no later.

    The window is open at one end: the request after ``most`` leaves exactly ``window_s`` seconds
    after the first of them. With one in a short window departures are spaced evenly.
    """

    def __init__(self, most: int, window_s: float = MINUTE_S) -> None:
        if most < 1:
            raise ValueError("a window lets at least one request through")
        self._most = most
        self._window_s = window_s
        self._left: deque[float] = deque(maxlen=most)

    def next_at(self, now: float, unsent: int) -> float:
        """Return the earliest moment one more may leave; at ``now`` or before means at once.

        Args:
            now: Seconds.
            unsent: How many were let through and have not left yet.
        """
        if unsent >= self._most:
            return now + self._window_s * (unsent // self._most)
        before = self._most - unsent
        if len(self._left) < before:
            return float("-inf")
        if self._left[-1] > now:  # the clock was set back: nothing waits longer than one window
            self._left = deque((min(left, now) for left in self._left), maxlen=self._most)
        return self._left[-before] + self._window_s

    def sent(self, now: float) -> None:
        """Take note that a request left."""
        self._left.append(now)


def rate_limit_of(requests_per_minute: int | None, pacing: Pacing) -> RateLimit | None:
    """Return the rate limit for known requests per minute; ``None`` where none is known.

    For providers whose bucket holds only a few requests they are ``paced``: a window's burst would
    be turned away although the minute's sum is right.
    """
    if requests_per_minute is None:
        return None
    if pacing == "window":
        return RateLimit(requests_per_minute)
    return RateLimit(1, MINUTE_S / requests_per_minute)
