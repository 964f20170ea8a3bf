"""Simulate whole runs: short ones, chance, outages, clocks that jump, two clients at one limit.

Time is virtual, and the whole takes a few minutes. An hour before one limit is ``simulated_hour``;
here is what an hour hides. Runs are finite, pictures take a second unless told otherwise, and the
time is a ratio to a client that knows the limit, which before chance is a fixed capacity whose
scenes back off for themselves. A bound is held by the median of the seeds, and the worst stands
beside it; before chance, after outages and jumps the worst is what is bounded.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.limiter import Limiter
from tests.benchmarks.simulation import Case, DeafLimiter, KnowingLimiter, World
from tests.fakes.limits import AtOnce, Bucket, ByChance, FixedWindow, NoLimit, Together

SEEDS, MORE_SEEDS, QUICK_SEEDS = 20, 40, 2
"""More where the worst of them is what is bounded."""
OUTAGE_AT_S, OUTAGES_S = 60.0, (600.0, 1800.0)
TAKEN_MEANWHILE = (0.0, 0.05, 0.1)
CEILINGS = (8, 16, 32, 64, 128, 256, 512)
LONGEST_RECOVERY_S = 120.0
JUMPS_S = (3600.0, -3600.0)
MOST_LOST_TO_A_JUMP_S = 60.0
PATIENCE = 40
"""A run is stopped that takes so many times as long as the ideal."""


def limiter_of(case: Case, seed: int, number: int = 0) -> Limiter:
    """Make the limiter that is judged."""
    return AdaptiveLimiter(case.ceiling, draw=random.Random(seed + 1000 + number).random)


run = partial(Case, scenes=480, mean_s=1.0, sigma=0.4, rejection_s=(0.16, 0.26))
"""Quick pictures are the hard ones: more is on its way before anything is heard of."""

# Whole runs ----------------------------------------------------------------------------------


def _chance(share: float, hint_s: float | None = None) -> Callable[[random.Random], ByChance]:
    return lambda rng: ByChance(share, random.Random(rng.random()).random, hint_s=hint_s)


def _bucket(per_minute: float, burst: float, _: random.Random) -> Bucket:
    return Bucket(per_minute, burst)


def _window(most: int, _: random.Random) -> FixedWindow:
    return FixedWindow(most)


def cases() -> list[Case]:
    """Return the runs: those with bounds, and those that are watched."""
    return [*_promised(), *_watched()]


def _promised() -> list[Case]:
    short = partial(run, limit=lambda _: AtOnce([(0, 8)]), most_wasted=0.1, most_time=1.1)
    fell = partial(run, most_time=1.1, most_wasted=0.1)
    found = [
        short("160 scenes, 8 at once", scenes=160),
        short("160 scenes, 8 at once, 20 s", scenes=160, mean_s=20.0, sigma=0.5),
        short("480 scenes, 8 at once"),
        fell("32, then 8 at once", lambda _: AtOnce([(0, 32), (5, 8)])),
        fell("32, then 8 at once, 10 s", lambda _: AtOnce([(0, 32), (50, 8)]), mean_s=10.0),
        run(
            "no limit, 20 scenes at 16",
            lambda _: NoLimit(),
            scenes=20,
            ceiling=16,
            most_time=1.02,
            most_wasted=0.0,
        ),
        run(
            "no limit, 5120 scenes at 512, 10 s",
            lambda _: NoLimit(),
            scenes=5120,
            ceiling=512,
            mean_s=10.0,
            most_time=1.05,
            most_wasted=0.0,
        ),
    ]
    found += [
        run(
            f"{share:.0%} by chance, ceiling {ceiling}, {mean_s:.0f} s"
            + (f", Retry-After {hint_s:.0f}" if hint_s else ""),
            _chance(share, hint_s),
            is_hinted=hint_s is not None,
            scenes=20 * ceiling,
            ceiling=ceiling,
            mean_s=mean_s,
            most_time=most_time,
        )
        for share, most_time in ((0.05, 1.10), (0.10, 1.25))
        for ceiling in CEILINGS
        for hint_s in (None, 2.0, 30.0)
        for mean_s in (1.0, 20.0)
    ]
    return found


def _watched() -> list[Case]:
    """Return what no bound was promised for: shapes, delays, small buckets, several limits."""
    eight = partial(run, limit=lambda _: AtOnce([(0, 8)]))
    found: list[Case] = []
    for rate in (240, 60):
        for is_hinted in (True, False):
            word = ", hinted" if is_hinted else ""
            found += [
                run(f"{rate} a minute{word}", partial(_bucket, rate, rate), is_hinted=is_hinted),
                run(
                    f"{rate} per window{word}",
                    partial(_window, rate),
                    is_hinted=is_hinted,
                    scenes=3 * rate,
                ),
            ]
        for burst in (1, 5, 8):
            found.append(
                run(
                    f"{rate} a minute, burst {burst}",
                    partial(_bucket, rate, burst),
                    scenes=240,
                )
            )
    return [
        *found,
        run("60 a minute, 20 s", lambda _: Bucket(60, 60), mean_s=20.0),
        run("60 a minute, charged, 20 s", lambda _: Bucket(60, 60, 1, 30), mean_s=20.0),
        run("90 a minute, charged, 10 s", lambda _: Bucket(90, 90, 1, 30), mean_s=10.0),
        eight("8 at once, exponential", shape="exponential"),
        eight("8 at once, bimodal", shape="bimodal"),
        eight("8 at once, slower under load", shape="loaded", mean_s=4.0),
        eight("8 at once, 20 ms each way", transit_s=0.02),
        eight("8 at once, 100 ms each way", transit_s=0.1, rejection_s=(0.24, 0.39)),
        eight("8 at once, rejections after 0.05 to 1.2 s", rejection_s=(0.05, 1.2), mean_s=4.0),
        eight("8 at once, rejections after 1 s", rejection_s=(0.8, 1.3), mean_s=4.0),
        run("3 at once", lambda _: AtOnce([(0, 3)]), scenes=240),
        run("1 at once, 20 s", lambda _: AtOnce([(0, 1)]), scenes=60, mean_s=20.0),
        run(
            "12 at once, 40 ms each way, 5 s",
            lambda _: AtOnce([(0, 12)]),
            transit_s=0.04,
            mean_s=5.0,
        ),
        run("100 at once, ceiling 512", lambda _: AtOnce([(0, 100)]), scenes=4000, ceiling=512),
        run("20, 6, 14 at once, 5 s", lambda _: AtOnce([(0, 20), (60, 6), (150, 14)]), mean_s=5.0),
        run(
            "4 to 20 at once, a step every 10 s",
            lambda _: AtOnce([(10.0 * i, 4 + 4 * (i % 5)) for i in range(60)]),
        ),
        run("two rates", lambda _: Together([Bucket(240, 8), Bucket(360, 60)])),
        run(
            "8 at once and 240 a minute, 2 s",
            lambda _: Together([AtOnce([(0, 8)]), Bucket(240, 20)]),
            mean_s=2.0,
        ),
        run(
            "20 a minute, burst 3, 35 s",
            lambda _: Bucket(20, 3),
            scenes=120,
            ceiling=16,
            mean_s=35.0,
        ),
        run(
            "8 at once and 5 % by chance",
            lambda rng: Together([AtOnce([(0, 8)]), _chance(0.05)(rng)]),
        ),
        run(
            "3 % by chance and 120 a minute, burst 30, 5 s",
            lambda rng: Together([_chance(0.03)(rng), Bucket(120, 30)]),
            mean_s=5.0,
        ),
        run("5 % by chance, ceiling 512, 10 s", _chance(0.05), scenes=5120, ceiling=512, mean_s=10),
        run("15 % by chance, ceiling 16", _chance(0.15), scenes=320, ceiling=16),
        run("15 % by chance, ceiling 64", _chance(0.15), scenes=1280),
        run("30 % by chance, ceiling 16", _chance(0.3), scenes=320, ceiling=16),
        run("30 % by chance, ceiling 64, 20 s", _chance(0.3), scenes=640, mean_s=20.0),
    ]


def _is_by_chance(case: Case) -> bool:
    return isinstance(case.limit(random.Random(0)), ByChance)


def ideal_s(case: Case, seed: int) -> float:
    """Return how long the yardstick takes."""
    world = World(replace(case, jump=None), seed)
    is_deaf = _is_by_chance(case)
    world.run(
        DeafLimiter(case.ceiling) if is_deaf else KnowingLimiter(case.ceiling, world.limit, world),
        until_s=1e9,
    )
    return world.now


def compare(case: Case, seeds: int) -> tuple[list[float], list[float]]:
    """Return the times of the limiter's runs as ratios to the ideal, and what was turned away."""
    ratios: list[float] = []
    wasted: list[float] = []
    for seed in range(seeds):
        best_s = ideal_s(case, seed)
        world = World(case, seed)
        world.run(limiter_of(case, seed), until_s=PATIENCE * best_s)
        ratios.append(world.now / best_s)
        wasted.append(world.wasted)
    return ratios, wasted


# Outages, clocks, others ---------------------------------------------------------------------


def recovery_s(ceiling: int, lasts_s: float, taken: float, seed: int) -> tuple[float, float]:
    """Return the seconds from an outage's end to 90 % of full pace, and its rejections a second."""
    ends_s = OUTAGE_AT_S + lasts_s
    case = Case(
        "outage",
        lambda rng: ByChance(1 - taken, random.Random(rng.random()).random, OUTAGE_AT_S, ends_s),
        ceiling=ceiling,
        mean_s=10.0,
        sigma=0.3,
    )
    world = World(case, seed)
    limiter = limiter_of(case, seed)
    world.run(limiter, until_s=ends_s)
    turned_away = world.clients[0].turned_away
    world.go_on(
        until_s=ends_s + 5 * LONGEST_RECOVERY_S,
        has_seen=lambda world: world.working >= 0.9 * ceiling,
    )
    return world.now - ends_s, turned_away / lasts_s


def lost_to_a_jump_s(case: Case, by_s: float, seed: int) -> float:
    """Return how much longer a run takes when its clock jumps in the middle."""
    plain = World(case, seed)
    plain.run(limiter_of(case, seed), until_s=1e9)
    jumped = World(replace(case, jump=(plain.now / 3, by_s)), seed)
    jumped.run(limiter_of(case, seed), until_s=PATIENCE * plain.now)
    return jumped.now - plain.now


def shared(limit: int, seed: int) -> tuple[float, float]:
    """Return the lesser share of two clients at one limit, and how much of it both use together."""
    case = Case(
        "two",
        lambda _: AtOnce([(0, limit)]),
        mean_s=1.0,
        sigma=0.4,
        rejection_s=(0.16, 0.26),
        transit_s=0.02,
    )
    world = World(case, seed)
    world.run(limiter_of(case, seed), limiter_of(case, seed, 1), until_s=300)
    shares = [client.made for client in world.clients]
    return min(shares) / max(1, sum(shares)), sum(shares) / (limit * 300)


# The table -----------------------------------------------------------------------------------


def _row(
    name: str, unit: str, values: list[float], bound: float | None, **more: Any
) -> dict[str, Any]:
    at = more.pop("at", "median")
    is_less = more.get("better", "less") == "less"
    worst = max(values) if is_less else min(values)
    median = statistics.median(values)
    value, other = (worst, ("median", median)) if at == "worst" else (median, ("worst", worst))
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "bound": bound,
        "better": "less",
        "peer": {f"{other[0]} seed": round(other[1], 3)},
        **more,
    }


def _run_rows(seeds: int, chance_seeds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for case in cases():
        is_chance = _is_by_chance(case)
        ratios, wasted = compare(case, chance_seeds if is_chance else seeds)
        unit = "times that of " + (
            "a fixed capacity" if is_chance else "a client that knows the limit"
        )
        at = "worst" if is_chance and case.most_time is not None else "median"
        rows += [
            _row(f"{case.name}: time", unit, ratios, case.most_time, at=at),
            _row(f"{case.name}: turned away", "of all requests", wasted, case.most_wasted),
        ]
    return rows


def _outage_rows(seeds: int, ceilings: tuple[int, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for ceiling, lasts_s, taken in product(ceilings, OUTAGES_S, TAKEN_MEANWHILE):
        name = f"outage of {lasts_s / 60:.0f} min, {taken:.0%} taken, ceiling {ceiling}"
        found = [recovery_s(ceiling, lasts_s, taken, seed) for seed in range(seeds)]
        back, rejected = [one for one, _ in found], [one for _, one in found]
        bound, worst = LONGEST_RECOVERY_S, "a second, worst seed"
        rows += [
            _row(f"{name}: full pace is back", "s, worst seed", back, bound, at="worst"),
            _row(f"{name}: turned away meanwhile", worst, rejected, 1.0, at="worst"),
        ]
    return rows


def _jump_rows(seeds: int) -> list[dict[str, Any]]:
    jumped = [
        run("8 at once", lambda _: AtOnce([(0, 8)])),
        run("8 at once, 20 s", lambda _: AtOnce([(0, 8)]), mean_s=20.0),
        run("240 a minute, burst 8", lambda _: Bucket(240, 8)),
        run("60 a minute, hinted", lambda _: Bucket(60, 60), is_hinted=True),
        run("no limit", lambda _: NoLimit()),
    ]
    rows: list[dict[str, Any]] = []
    for case, by_s in product([replace(one, scenes=240) for one in jumped], JUMPS_S):
        name = f"clock {by_s / 3600:+.0f} h, {case.name}"
        lost = [lost_to_a_jump_s(case, by_s, seed) for seed in range(seeds)]
        rows.append(_row(name, "s lost, worst seed", lost, MOST_LOST_TO_A_JUMP_S, at="worst"))
    return rows


def _shared_rows(seeds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for limit in (8, 16, 32):
        name = f"two clients, {limit} at once"
        found = [shared(limit, seed) for seed in range(seeds)]
        lesser, used = [one for one, _ in found], [one for _, one in found]
        rows += [
            _row(f"{name}: the lesser share", "of both", lesser, None, better="more"),
            _row(f"{name}: used by both", "of the limit", used, None, better="more"),
        ]
    return rows


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Run everything; rows with the median and the worst of the seeds."""
    some, more = (QUICK_SEEDS, QUICK_SEEDS) if quick else (SEEDS, MORE_SEEDS)
    return [
        *_run_rows(some, more),
        *_jump_rows(some),
        *_shared_rows(some),
        *_outage_rows(more, CEILINGS[::3] if quick else CEILINGS),
    ]
