"""What a provider may hide behind its 429s: how much it takes, and when it would take more.

Pure, with the clock passed in, so that the loopback API in real time and the simulated hour in
virtual time turn away by the same rules. A limit answers two questions about a request that comes
in now: would it be taken, and if not, after how long might one be. The first is asked by the
provider; the second fills the hint, and lets a client that knows the limit be the yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MINUTE_S = 60.0
SLACK = 1e-9
"""Of a token: what a rounded sum may lack."""


class Limit(Protocol):
    """A rule for what is turned away."""

    def wait_s(self, now: float, in_flight: int) -> float:
        """Return the seconds until a request might be taken: 0 is now, infinity is when one ends.

        Args:
            now: Seconds.
            in_flight: Requests being worked on, the one in question not among them.
        """
        ...

    def took(self, now: float) -> None:
        """Count a request that was taken."""
        ...

    def turned_away(self, now: float) -> None:
        """Count one that was not."""
        ...

    def refuses(self, now: float) -> bool:
        """Turn one away that would be taken, for a reason that cannot be known."""
        ...


class NoLimit:
    """Take everything, and keep no books: the base of the limits that need none."""

    def wait_s(self, now: float, in_flight: int) -> float:  # noqa: ARG002 - the protocol's
        return 0.0

    def took(self, now: float) -> None: ...

    def turned_away(self, now: float) -> None: ...

    def refuses(self, now: float) -> bool:  # noqa: ARG002 - the protocol's
        return False


@dataclass(slots=True)
class AtOnce(NoLimit):
    """At most so many at once: ``(from_s, most)`` in the order of time; one that ends makes room.

    The moments count from the first question.
    """

    steps: Sequence[tuple[float, int]]
    began_at: float | None = None

    def most(self, now: float) -> int:
        """Return how many are taken at once now."""
        if self.began_at is None:
            self.began_at = now
        return [most for since_s, most in self.steps if since_s <= now - self.began_at][-1]

    def wait_s(self, now: float, in_flight: int) -> float:
        return 0.0 if in_flight < self.most(now) else math.inf


@dataclass(slots=True)
class Bucket(NoLimit):
    """A bucket of tokens, refilled evenly.

    Attributes:
        per_minute: Tokens that flow in.
        burst: Tokens that fit; it starts full.
        charge: Tokens a rejected request takes, too.
        deepest: How far below empty those can get it.
    """

    per_minute: float
    burst: float
    charge: float = 0.0
    deepest: float = 0.0
    _tokens: float = field(init=False)
    _at: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def _fill(self, now: float) -> None:
        if now > self._at:
            if self._at > -math.inf:
                flowed = (now - self._at) * self.per_minute / MINUTE_S
                self._tokens = min(self.burst, self._tokens + flowed)
            self._at = now

    def wait_s(self, now: float, in_flight: int) -> float:  # noqa: ARG002 - the protocol's
        self._fill(now)
        missing = 1 - self._tokens
        return missing * MINUTE_S / self.per_minute if missing > SLACK else 0.0

    def took(self, now: float) -> None:
        self._fill(now)
        self._tokens -= 1

    def turned_away(self, now: float) -> None:
        self._fill(now)
        self._tokens = max(min(self._tokens, -self.deepest), self._tokens - self.charge)


@dataclass(slots=True)
class FixedWindow(NoLimit):
    """A count that starts anew with every window, as many services do it."""

    most: int
    window_s: float = MINUTE_S
    _began_at: float = field(default=-math.inf, init=False)
    _taken: int = field(default=0, init=False)

    def _turn(self, now: float) -> None:
        if self._began_at == -math.inf:
            self._began_at = now
        if now - self._began_at >= self.window_s:
            self._began_at += self.window_s * ((now - self._began_at) // self.window_s)
            self._taken = 0

    def wait_s(self, now: float, in_flight: int) -> float:  # noqa: ARG002 - the protocol's
        self._turn(now)
        return 0.0 if self._taken < self.most else self._began_at + self.window_s - now

    def took(self, now: float) -> None:
        self._turn(now)
        self._taken += 1


@dataclass(slots=True)
class ByChance(NoLimit):
    """Turn a share of the requests away for no reason; which ones cannot be known.

    Attributes:
        share: Of the requests.
        draw: Gives a number in [0, 1).
        since_s: Only from this moment on.
        until_s: Only until this moment; with a share near one, that is an outage.
        hint_s: The wait that such a rejection names.
    """

    share: float
    draw: Callable[[], float]
    since_s: float = -math.inf
    until_s: float = math.inf
    hint_s: float | None = None

    def refuses(self, now: float) -> bool:
        return self.since_s <= now < self.until_s and self.draw() < self.share


@dataclass(slots=True)
class Together(NoLimit):
    """Several limits at once: a request is taken where all of them take it."""

    limits: Sequence[Limit]

    def wait_s(self, now: float, in_flight: int) -> float:
        return max(limit.wait_s(now, in_flight) for limit in self.limits)

    def took(self, now: float) -> None:
        for limit in self.limits:
            limit.took(now)

    def turned_away(self, now: float) -> None:
        for limit in self.limits:
            limit.turned_away(now)

    def refuses(self, now: float) -> bool:
        return any(limit.refuses(now) for limit in self.limits)


@dataclass(frozen=True, slots=True)
class Taken:
    """The request is worked on."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The request is not; ``wait_s`` is when one might be, if that is known."""

    wait_s: float | None


def judge(limit: Limit, now: float, in_flight: int) -> Taken | TurnedAway:
    """Decide about a request that comes in now, and count it."""
    wait_s = limit.wait_s(now, in_flight)
    if wait_s > 0:
        limit.turned_away(now)
        return TurnedAway(wait_s if wait_s < math.inf else None)
    if limit.refuses(now):
        limit.turned_away(now)
        return TurnedAway(limit.hint_s if isinstance(limit, ByChance) else None)
    limit.took(now)
    return Taken()
