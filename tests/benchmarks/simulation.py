"""One provider that hides its limits, and clients before it, in virtual time: the limiters' judge.

Apart from the cases, which are the benchmarks': here is only how time passes. A provider takes a
request or turns it away (``tests.fakes.limits``), pictures take their time, rejections come back in
a fraction of a second, and each client sends what its limiter allows. A client's clock may jump,
and requests may take time on their way. An hour of one limiter takes a fraction of a second.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

from stage3_plugin.policy.capacity.limiter import Limiter, Permission, Permit
from tests.fakes.limits import Limit, TurnedAway, judge

HOUR_S = 3600.0
BACKOFF_BASE_S, BACKOFF_MAX_S = 1.0, 60.0
TICK_S = 1e-6
"""No wait is shorter: the difference of two moments is rounded."""

Shape: TypeAlias = Literal["lognormal", "exponential", "bimodal", "loaded"]
"""How the times of pictures are spread; ``loaded`` are slower the more are at work."""


@dataclass(frozen=True, slots=True)
class Case:
    """A provider, what it is asked for, and what was promised.

    Attributes:
        name: For the table.
        limit: Makes the limit anew; takes the seed's chance.
        is_hinted: Rejections say how long to wait.
        hint_factor: They say so many times what is right.
        ceiling: The limiter's.
        scenes: To make; ``None`` is an endless queue.
        mean_s: Of a picture's time.
        sigma: Of its logarithm.
        shape: How the times are spread.
        rejection_s: The least and the most that a rejection takes.
        transit_s: How long a request takes to the provider, and a picture back.
        jump: At this moment the client's clock jumps by so many seconds.
        per_minute: A limit that the settings name.
        least_goodput: Wanted of an hour, as a share of the ideal; ``None``: nothing was promised.
        most_time: Wanted of a run, as a ratio to the ideal.
        most_wasted: Wanted, as a share of requests.
    """

    name: str
    limit: Callable[[random.Random], Limit]
    is_hinted: bool = False
    hint_factor: float = 1.0
    ceiling: int = 64
    scenes: int | None = None
    mean_s: float = 20.0
    sigma: float = 0.5
    shape: Shape = "lognormal"
    rejection_s: tuple[float, float] = (0.25, 0.25)
    transit_s: float = 0.0
    jump: tuple[float, float] | None = None
    per_minute: int | None = None
    least_goodput: float | None = None
    most_time: float | None = None
    most_wasted: float | None = None


@dataclass(slots=True)
class Client:
    """One client: its limiter, what it has yet to make, and its books."""

    limiter: Limiter
    left: float
    made: int = 0
    sent: int = 0
    turned_away: int = 0
    in_flight: int = 0
    woken_at: float = math.inf
    due: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])
    """When a scene may be sent again, its number, and how often it was."""


@dataclass
class World:
    """One provider and its clients."""

    case: Case
    seed: int
    waits_in_place: bool = False
    working: int = 0
    now: float = 0.0
    clients: list[Client] = field(default_factory=list[Client])
    _number: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = field(
        default_factory=list[tuple[float, int, Callable[[], None]]]
    )

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.limit = self.case.limit(self.chance)
        self._times = random.Random(self.seed + 77)
        self._mean = math.log(self.case.mean_s) - self.case.sigma**2 / 2

    def run(
        self,
        *limiters: Limiter,
        until_s: float = HOUR_S,
        has_seen: Callable[[World], bool] = lambda _: False,
    ) -> None:
        """Let time pass until all is made, until a moment, or until something was seen."""
        left = math.inf if self.case.scenes is None else self.case.scenes
        self.clients = [Client(limiter, left) for limiter in limiters]
        for number, client in enumerate(self.clients):
            self._at(self.now + number * 0.7, partial(self._fill_up, client))
        self.go_on(until_s=until_s, has_seen=has_seen)

    def go_on(self, *, until_s: float, has_seen: Callable[[World], bool] = lambda _: False) -> None:
        """Let more time pass, for the same clients."""
        while self._events and not has_seen(self):
            if self._events[0][0] > until_s:
                self.now = until_s
                return
            self.now, _, happen = heapq.heappop(self._events)
            happen()
            if all(not c.left and not c.in_flight and not c.due for c in self.clients):
                return

    @property
    def made(self) -> int:
        """Return the pictures that all clients have."""
        return sum(client.made for client in self.clients)

    @property
    def wasted(self) -> float:
        """Return the share of requests that were turned away."""
        turned_away = sum(client.turned_away for client in self.clients)
        return turned_away / max(1, sum(client.sent for client in self.clients))

    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, happen))

    def _clock(self) -> float:
        """Read the clients' clock."""
        jump = self.case.jump
        return self.now + jump[1] if jump and self.now >= jump[0] else self.now

    def _fill_up(self, client: Client) -> None:
        """Send while the limiter allows it, and ask it again when it says."""
        if client.woken_at <= self.now:
            client.woken_at = math.inf
        while client.left or (client.due and client.due[0][0] <= self.now):
            permission = client.limiter.may_send(self._clock(), client.in_flight)
            if not permission.allowed:
                if permission.wake_at is not None:
                    ahead_s = max(TICK_S, permission.wake_at - self._clock())
                    self._wake(client, self.now + ahead_s)
                return
            tries = 1
            if client.due and client.due[0][0] <= self.now:
                tries += heapq.heappop(client.due)[2]
            else:
                client.left -= 1
            self._send(client, tries)

    def _wake(self, client: Client, moment: float) -> None:
        if moment < client.woken_at - 1e-9:
            client.woken_at = moment
            self._at(moment, lambda: self._fill_up(client))

    def _send(self, client: Client, tries: int) -> None:
        permit = client.limiter.enter()
        permit.sent(self._clock())
        client.in_flight += 1
        client.sent += 1
        if self.case.transit_s:
            arrived_at = self.now + self.case.transit_s
            self._at(arrived_at, lambda: self._arrive(client, permit, tries))
        else:
            self._arrive(client, permit, tries)

    def _arrive(self, client: Client, permit: Permit, tries: int) -> None:
        verdict = judge(self.limit, self.now, self.working)
        if isinstance(verdict, TurnedAway):
            wait_s = verdict.wait_s
            hint_s = wait_s * self.case.hint_factor if self.case.is_hinted and wait_s else None
            heard_at = self.now + self.chance.uniform(*self.case.rejection_s)
            self._at(heard_at, lambda: self._turned_away(client, permit, tries, hint_s))
        else:
            self.working += 1
            self._at(self.now + self._picture_s(), lambda: self._finished(client, permit))

    def _picture_s(self) -> float:
        draw, case = self._times, self.case
        if case.shape == "exponential":
            return draw.expovariate(1 / case.mean_s)
        if case.shape == "bimodal":
            is_short = draw.random() < 0.8
            return case.mean_s * (0.5 if is_short else 3.0) * draw.uniform(0.8, 1.2)
        took_s = draw.lognormvariate(self._mean, case.sigma)
        return took_s * (0.5 + self.working / case.ceiling) if case.shape == "loaded" else took_s

    def _finished(self, client: Client, permit: Permit) -> None:
        self.working -= 1
        if self.case.transit_s:
            self._at(self.now + self.case.transit_s, lambda: self._made(client, permit))
        else:
            self._made(client, permit)

    def _made(self, client: Client, permit: Permit) -> None:
        client.in_flight -= 1
        client.made += 1
        permit.answered(self._clock())
        self._fill_up(client)

    def _turned_away(
        self, client: Client, permit: Permit, tries: int, hint_s: float | None
    ) -> None:
        client.turned_away += 1
        wait_s = 0.0
        if not permit.rejected(self._clock(), hint_s):
            bound_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(tries - 1, 30))
            wait_s = bound_s * self.chance.random() if hint_s is None else hint_s
        if not self.waits_in_place:
            client.in_flight -= 1
        self._number += 1
        heapq.heappush(client.due, (self.now + wait_s, self._number, tries))
        self._at(self.now + wait_s, lambda: self._back(client))
        if wait_s:
            self._fill_up(client)

    def _back(self, client: Client) -> None:
        client.in_flight -= self.waits_in_place
        self._fill_up(client)


# Yardsticks ----------------------------------------------------------------------------------


class KnowingLimiter(Limiter):
    """The yardstick before a limit: it sees the provider's own books."""

    def __init__(self, capacity: int, limit: Limit, world: World) -> None:
        super().__init__(capacity)
        self._limit = limit
        self._world = world

    def may_send(self, now: float, in_flight: int) -> Permission:
        wait_s = self._limit.wait_s(self._world.now, in_flight)
        if in_flight >= self.ceiling or wait_s == math.inf:
            return Permission(allowed=False)
        return Permission(allowed=wait_s == 0, wake_at=now + wait_s if wait_s else None)


class DeafLimiter(Limiter):
    """Each request backs off for itself, as clients without a shared limiter do.

    Before chance it is the yardstick, for there is nothing that a limiter could learn.
    """

    def on_rejected(self, permit: Permit, now: float, hint_s: float | None) -> bool:
        """Hear nothing."""
        del hint_s
        return super().on_rejected(permit, now, None)
