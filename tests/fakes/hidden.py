"""A provider that takes what a hidden limit allows, and turns the rest away with 429.

A behaviour like the others, but with books of its own: one value answers all requests of a test.
Time can be compressed, so that an hour of a provider is measured in minutes with real sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stage3_plugin.testing.behaviours import Hint, Limited, Ok
from stage3_plugin.testing.wire import Asked, Exchange
from tests.fakes.limits import Limit, TurnedAway, judge


@dataclass(slots=True, kw_only=True)
class Hidden:
    """Take requests as a limit allows.

    Attributes:
        limit: Decides; its clock runs ``speed`` times as fast as ours.
        hint: Where a rejection says how long to wait, if it does.
        picture_s: How long a request takes, in the limit's seconds.
        rejection_s: How long a rejection takes, in the limit's seconds.
        speed: The limit's seconds per second.
        taken: Requests that were worked on.
        turned_away: Requests that were not.
    """

    limit: Limit
    hint: Hint | None = None
    picture_s: Callable[[Asked], float] = lambda _: 0.0
    rejection_s: float = 0.0
    speed: float = 1.0
    taken: int = 0
    turned_away: int = 0
    _working: int = field(default=0, init=False)
    _first_at: float | None = field(default=None, init=False)

    def _now(self) -> float:
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now
        return (now - self._first_at) * self.speed

    async def answer(self, exchange: Exchange) -> None:
        """Work on a request or turn it away."""
        verdict = judge(self.limit, self._now(), self._working)
        if isinstance(verdict, TurnedAway):
            self.turned_away += 1
            await asyncio.sleep(self.rejection_s / self.speed)
            hint = None if verdict.wait_s is None else self.hint
            wait_s = (verdict.wait_s or 0.0) / self.speed
            await Limited(hint=hint, wait_s=wait_s).answer(exchange)
            return
        self.taken += 1
        self._working += 1
        try:
            await asyncio.sleep(self.picture_s(exchange.asked) / self.speed)
        finally:
            self._working -= 1  # the place is free when the work is done, not once it is answered
        await Ok().answer(exchange)
