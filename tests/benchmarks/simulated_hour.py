"""Simulate an hour before a provider that hides its limit, and compare what gates make of it.

Run ``python -m tests.benchmarks.simulated_hour [--quick]`` from the top of the checkout. Time is
virtual: an hour of one gate takes about a second. The queue is endless, pictures take lognormal
times, rejections come back after a quarter of a second. Per limit it prints the pictures made as
a share of what a client makes that knows the limit, and the share of requests that were turned
away; beside the adaptive gate stands a fixed capacity with exponential backoff. The cases marked
"unseen" use limits and times that played no part in choosing the gate's first parameters; while
those of its tempo were chosen, they were watched, too, except for the last three.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from stage3_plugin.capacity import AdaptiveGate, FixedGate, Gate, Passage, Permission
from stage3_plugin.capacity.pacing import pace_of
from tests.fakes.limits import (
    AtOnce,
    Bucket,
    ByChance,
    FixedWindow,
    Limit,
    NoLimit,
    TurnedAway,
    judge,
)

HOUR_S = 3600.0
REJECTION_S = 0.25
BACKOFF_BASE_S, BACKOFF_MAX_S = 1.0, 60.0
SEEDS, QUICK_SEEDS = 8, 1


@dataclass(frozen=True, slots=True)
class Case:
    """A provider, and how long its pictures take.

    Attributes:
        name: For the table.
        limit: Makes the limit anew; takes the seed's chance.
        is_hinted: Rejections say how long to wait.
        ceiling: The gate's.
        mean_s: Of a picture's time.
        sigma: Of its logarithm.
        least_goodput: Wanted, as a share of the ideal; ``None`` where nothing was promised.
        most_wasted: Wanted, as a share of requests.
        per_minute: A limit that the settings name.
    """

    name: str
    limit: Callable[[random.Random], Limit]
    is_hinted: bool = False
    ceiling: int = 64
    mean_s: float = 20.0
    sigma: float = 0.5
    least_goodput: float | None = None
    most_wasted: float | None = None
    per_minute: int | None = None


def _charged(per_minute: int) -> Bucket:
    return Bucket(per_minute, burst=per_minute, charge=1, deepest=30)


def _cases() -> list[Case]:
    """Give the known cases, and those that were unseen: see above."""
    good = partial(Case, least_goodput=0.95, most_wasted=0.1)
    charged = partial(Case, least_goodput=0.8, most_wasted=0.1)
    small = partial(Case, least_goodput=0.85, most_wasted=0.25)
    return [
        good("8 at once", lambda _: AtOnce([(0, 8)])),
        good("60 a minute, hinted", lambda _: Bucket(60, 60), is_hinted=True),
        good("60 a minute", lambda _: Bucket(60, 60)),
        good("32, then 8 at once", lambda _: AtOnce([(0, 32), (1800, 8)])),
        Case("8, then 32 at once", lambda _: AtOnce([(0, 8), (1800, 32)]), most_wasted=0.1),
        Case("no limit", lambda _: NoLimit(), least_goodput=0.95, most_wasted=0.0),
        Case("2 % by chance", lambda rng: ByChance(0.02, rng.random), least_goodput=0.95),
        Case("5 % by chance", lambda rng: ByChance(0.05, rng.random)),
        charged("60 a minute, rejections charged", lambda _: _charged(60)),
        good("60 per window, hinted", lambda _: FixedWindow(60), is_hinted=True),
        small("60 a minute, burst 5", lambda _: Bucket(60, 5)),
        small("600 a minute, burst 10", lambda _: Bucket(600, 10), ceiling=256),
        Case(
            "60 a minute, burst 5, known and paced",
            lambda _: Bucket(60, 5),
            per_minute=60,
            least_goodput=0.95,
            most_wasted=0.01,
        ),
        good("unseen: 6 at once, 9 s", lambda _: AtOnce([(0, 6)]), mean_s=9, sigma=0.8),
        good("unseen: 24 at once, 35 s", lambda _: AtOnce([(0, 24)]), mean_s=35),
        Case("unseen: 40, 5, 40 at once", lambda _: AtOnce([(0, 40), (1300, 5), (2200, 40)])),
        good("unseen: 40 a minute, hinted", lambda _: Bucket(40, 40), is_hinted=True),
        good("unseen: 90 a minute", lambda _: Bucket(90, 90)),
        charged("unseen: 80 a minute, rejections charged", lambda _: _charged(80)),
        Case("unseen: 120 per window", lambda _: FixedWindow(120), most_wasted=0.1),
        small("unseen: 60 a minute, burst 8, 8 s", lambda _: Bucket(60, 8), mean_s=8, sigma=0.8),
        small("unseen: 240 a minute, burst 6", lambda _: Bucket(240, 6), ceiling=128),
        small("unseen: 20 a minute, burst 3", lambda _: Bucket(20, 3), ceiling=16, mean_s=35),
    ]


class KnowingGate(FixedGate):
    """The yardstick: it sees the provider's own books."""

    def __init__(self, capacity: int, limit: Limit, world: World) -> None:
        super().__init__(capacity)
        self._limit = limit
        self._world = world

    def may_send(self, now: float, in_flight: int) -> Permission:
        wait_s = self._limit.wait_s(now, self._world.working)
        if in_flight >= self._ceiling or wait_s == math.inf:
            return Permission(allowed=False)
        return Permission(allowed=wait_s == 0, wake_at=now + wait_s if wait_s else None)


@dataclass
class World:
    """One provider and one client in virtual time."""

    case: Case
    seed: int
    waits_in_place: bool = False
    working: int = 0
    made: int = 0
    sent: int = 0
    turned_away: int = 0
    most_tries: int = 0
    _now: float = 0.0
    _in_flight: int = 0
    _number: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = field(
        default_factory=list[tuple[float, int, Callable[[], None]]]
    )
    _due: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.limit = self.case.limit(self.chance)

    def run(self, gate: Gate, seconds: float = HOUR_S) -> None:
        """Let time pass."""
        self._gate = gate
        self._mean = math.log(self.case.mean_s) - self.case.sigma**2 / 2
        woken_at = math.inf
        while self._now < seconds:
            woken_at = self._fill_up(woken_at)
            self._now, _, happen = heapq.heappop(self._events)
            happen()
            if woken_at <= self._now:
                woken_at = math.inf

    def _fill_up(self, woken_at: float) -> float:
        """Send while the gate allows it; give the moment it has to be asked again."""
        while (permission := self._gate.may_send(self._now, self._in_flight)).allowed:
            self._send()
        if permission.wake_at is not None and permission.wake_at < woken_at:
            self._at(permission.wake_at, _nothing)
            return permission.wake_at
        return woken_at

    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, happen))

    def _send(self) -> None:
        tries = 1
        if self._due and self._due[0][0] <= self._now:
            tries += heapq.heappop(self._due)[2]
        passage = self._gate.enter()
        passage.sent(self._now)
        self._in_flight += 1
        self.sent += 1
        verdict = judge(self.limit, self._now, self.working)
        if isinstance(verdict, TurnedAway):
            hint_s = verdict.wait_s if self.case.is_hinted else None
            self._at(self._now + REJECTION_S, lambda: self._turned_away(passage, tries, hint_s))
        else:
            self.working += 1
            took_s = self.chance.lognormvariate(self._mean, self.case.sigma)
            self._at(self._now + took_s, lambda: self._made(passage))

    def _made(self, passage: Passage) -> None:
        self.working -= 1
        self._in_flight -= 1
        self.made += 1
        passage.answered(self._now)

    def _turned_away(self, passage: Passage, tries: int, hint_s: float | None) -> None:
        self.turned_away += 1
        self.most_tries = max(self.most_tries, tries)
        wait_s = 0.0
        if not passage.rejected(self._now, hint_s):
            bound_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(tries - 1, 30))
            wait_s = bound_s * self.chance.random() if hint_s is None else hint_s
        if not self.waits_in_place:
            self._in_flight -= 1
        self._number += 1
        heapq.heappush(self._due, (self._now + wait_s, self._number, tries))
        self._at(self._now + wait_s, self._back_in_place if self.waits_in_place else _nothing)

    def _back_in_place(self) -> None:
        self._in_flight -= 1

    @property
    def wasted(self) -> float:
        """Give the share of requests that were turned away."""
        return self.turned_away / max(1, self.sent)


def _nothing() -> None:
    """Let the gate be asked again."""


def ideal(case: Case, seed: int) -> World:
    """Run a client that knows the limit."""
    world = World(case, seed)
    world.run(KnowingGate(case.ceiling, world.limit, world))
    return world


def adaptive(case: Case, seed: int) -> World:
    """Run the adaptive gate."""
    world = World(case, seed)
    pace = pace_of(case.per_minute, "paced")
    draw = random.Random(seed + 1000).random
    world.run(AdaptiveGate(case.ceiling, draw=draw, pace=pace))
    return world


class DeafGate(FixedGate):
    """Each request backs off for itself, as clients without a shared gate do."""

    def on_rejected(self, passage: Passage, now: float, hint_s: float | None) -> bool:
        """Hear nothing."""
        del hint_s
        return super().on_rejected(passage, now, None)


def fixed(case: Case, seed: int) -> World:
    """Run a fixed capacity, every request with its own exponential backoff, kept in its place."""
    world = World(case, seed, waits_in_place=True)
    world.run(DeafGate(case.ceiling))
    return world


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Run every case; a row for its goodput and one for its waste."""
    seeds = range(100, 100 + (QUICK_SEEDS if quick else SEEDS))
    rows: list[dict[str, Any]] = []
    for case in _cases():
        best = [ideal(case, seed).made for seed in seeds]
        ours = [adaptive(case, seed) for seed in seeds]
        peers = [fixed(case, seed) for seed in seeds]
        goodput = statistics.mean(world.made / most for world, most in zip(ours, best, strict=True))
        peer = statistics.mean(world.made / most for world, most in zip(peers, best, strict=True))
        rows += [
            {
                "name": f"{case.name}: pictures in an hour",
                "value": round(goodput, 3),
                "unit": "of what a client makes that knows the limit",
                "bound": case.least_goodput,
                "better": "more",
                "peer": {f"fixed {case.ceiling}, exponential backoff": round(peer, 3)},
            },
            {
                "name": f"{case.name}: turned away",
                "value": round(statistics.mean(world.wasted for world in ours), 3),
                "unit": "of all requests",
                "bound": case.most_wasted,
                "better": "less",
                "peer": {
                    f"fixed {case.ceiling}, exponential backoff": round(
                        statistics.mean(world.wasted for world in peers), 3
                    )
                },
            },
        ]
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed")
    started = time.perf_counter()
    rows = measure(quick=parser.parse_args().quick)
    for row in rows:
        bound = "" if row["bound"] is None else f"({row['better']} than {row['bound']} wanted)"
        (peer,) = row["peer"].values()
        print(f"{row['name']:55} {row['value']:6.3f} {bound:26} fixed {peer:6.3f}")
    print(f"{time.perf_counter() - started:.0f} s of real time", file=sys.stderr)


if __name__ == "__main__":
    main()
