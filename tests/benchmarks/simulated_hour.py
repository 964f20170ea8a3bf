"""Simulate an hour before a provider that hides its limit, and compare what limiters make of it.

Time is virtual: an hour of one limiter takes about a second. The queue is endless, pictures take
lognormal times, rejections come back after a quarter of a second. Per limit it reports the pictures
made as a share of what a client makes that knows the limit, and the share of requests that were
turned away; beside the adaptive limiter stands a fixed capacity with exponential backoff. The cases
marked "unseen" use limits and times that played no part in choosing the limiter's first parameters;
while those of its tempo were chosen, they were watched, too, except for the last three.
"""

from __future__ import annotations

import random
import statistics
from functools import partial
from typing import Any

from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.rate_limit import rate_limit_of
from tests.benchmarks.simulation import Case, DeafLimiter, KnowingLimiter, World
from tests.fakes.limits import AtOnce, Bucket, ByChance, FixedWindow, NoLimit

SEEDS, QUICK_SEEDS = 8, 1


def _charged(per_minute: int) -> Bucket:
    return Bucket(per_minute, burst=per_minute, charge=1, deepest=30)


def _cases() -> list[Case]:
    """Return the known cases, and those that were unseen: see above."""
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


def ideal(case: Case, seed: int) -> World:
    """Run a client that knows the limit."""
    world = World(case, seed)
    world.run(KnowingLimiter(case.ceiling, world.limit, world))
    return world


def adaptive(case: Case, seed: int) -> World:
    """Run the adaptive limiter."""
    world = World(case, seed)
    rate_limit = rate_limit_of(case.per_minute, "paced")
    draw = random.Random(seed + 1000).random
    world.run(AdaptiveLimiter(case.ceiling, draw=draw, rate_limit=rate_limit))
    return world


def fixed(case: Case, seed: int) -> World:
    """Run a fixed capacity, every request with its own exponential backoff, kept in its place."""
    world = World(case, seed, waits_in_place=True)
    world.run(DeafLimiter(case.ceiling))
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
