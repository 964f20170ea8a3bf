"""Measure clients before a provider that hides its limit: real sockets, time compressed 20 times.

The whole takes about half an hour, most of it waiting. 480 scenes of lognormal times (mean 20 s)
are made by a client that knows the limit, by the adaptive limiter, by a fixed 64 in flight with
exponential backoff, and by the official ``openai`` client with five retries. Times are in the
provider's seconds, and as a ratio to the client that knows. Short runs have 160 scenes, and before
rejections by chance the yardstick is a fixed capacity whose scenes wait each for itself.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.limited_clients import (
    CEILING,
    Client,
    Job,
    Result,
    alone,
    fixed,
    knowing,
    official,
    ours,
)
from tests.fakes.behaviours import Hint
from tests.fakes.hidden import Hidden
from tests.fakes.image_api import ImageApi
from tests.fakes.limits import AtOnce, Bucket, ByChance, Limit
from tests.fakes.wire import Asked

SCENES, SPEED = 480, 20.0
QUICK_SCENES, QUICK_SPEED = 40, 100.0
MEAN_S, SIGMA = 20.0, 0.5
REJECTION_S = 0.25
SEED = 20

KNOWS, FIXED = "knows the limit", "fixed capacity, each for itself"
CLIENTS: dict[str, Client] = {
    "adaptive": ours,
    KNOWS: knowing,
    "fixed 64, exponential backoff": fixed,
    "openai, 5 retries": official,
}
BEFORE_CHANCE: dict[str, Client] = {"adaptive": ours, FIXED: alone}
"""Which are turned away cannot be known: what takes all the others at once is the yardstick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A provider that hides a limit.

    Attributes:
        name: For the table.
        limit: Makes the limit.
        hint: Where a rejection says how long to wait.
        most_time: Wanted, as a ratio to the client that knows.
        most_wasted: Wanted, as a share of requests; ``None`` where waste is the provider's doing.
        scenes: To make; ``None`` is as many as usual.
        ceiling: The most in flight.
        is_chance: Then the yardstick is a fixed capacity.
    """

    name: str
    limit: Callable[[], Limit]
    hint: Hint | None = None
    most_time: float | None = 1.15
    most_wasted: float | None = 0.1
    scenes: int | None = None
    ceiling: int = CEILING
    is_chance: bool = False

    @property
    def clients(self) -> dict[str, Client]:
        """Return those that are compared, the yardstick second."""
        return BEFORE_CHANCE if self.is_chance else CLIENTS


def _by_chance(share: float, hint_s: float | None, most_time: float, ceiling: int) -> Case:
    return Case(
        name=f"{share:.0%} by chance, {ceiling} in flight{', hinted' if hint_s else ''}",
        limit=lambda: ByChance(share, random.Random(SEED).random, hint_s=hint_s),
        hint="retry-after-ms" if hint_s else None,
        most_time=most_time,
        most_wasted=None,
        scenes=20 * ceiling,
        ceiling=ceiling,
        is_chance=True,
    )


CASES = (
    Case(name="8 at once, short", limit=lambda: AtOnce([(0, 8)]), most_time=1.1, scenes=160),
    _by_chance(0.05, None, 1.1, 8),
    _by_chance(0.05, 2.0, 1.1, 8),
    _by_chance(0.1, None, 1.25, 8),
    _by_chance(0.1, 2.0, 1.25, 8),
    _by_chance(0.05, None, 1.1, 32),
    _by_chance(0.1, 2.0, 1.25, 32),
    Case(name="8 at once", limit=lambda: AtOnce([(0, 8)])),
    Case(name="32, then 8 at once", limit=lambda: AtOnce([(0, 32), (150, 8)]), most_time=1.25),
    Case(name="60 a minute, Retry-After", limit=lambda: Bucket(60, 60), hint="retry-after"),
    Case(name="60 a minute, retry-after-ms", limit=lambda: Bucket(60, 60), hint="retry-after-ms"),
    Case(name="60 a minute, no hint", limit=lambda: Bucket(60, 60)),
    Case(
        name="60 a minute, burst 5",
        limit=lambda: Bucket(60, 5),
        most_wasted=0.25,
    ),
    Case(
        name="60 a minute, rejections charged",
        limit=lambda: Bucket(60, 60, charge=1, deepest=30),
        most_time=1 / 0.8,
        most_wasted=0.1,
    ),
)


def _times(scenes: int) -> list[float]:
    """Draw how long each scene's picture takes, in the provider's seconds."""
    chance = random.Random(SEED)
    mean = math.log(MEAN_S) - SIGMA**2 / 2
    return [chance.lognormvariate(mean, SIGMA) for _ in range(scenes)]


def run(case: Case, client: Client, *, scenes: int, speed: float) -> Result:
    """Let one client make the scenes before a fresh provider."""
    times = _times(scenes)

    def picture_s(asked: Asked) -> float:
        return times[int(asked.prompt[1:].split()[0])]

    hidden = Hidden(
        limit=case.limit(),
        hint=case.hint,
        picture_s=picture_s,
        rejection_s=REJECTION_S,
        speed=speed,
    )
    with ImageApi() as api:
        api.always(hidden)
        job = Job(
            api=api,
            hidden=hidden,
            scenes=scenes,
            speed=speed,
            seed=SEED,
            ceiling=case.ceiling,
        )
        return asyncio.run(_awaited(client, job))


async def _awaited(client: Client, job: Job) -> Result:
    return await client(job)


def _rows(case: Case, results: dict[str, Result], scenes: int) -> list[dict[str, Any]]:
    yardstick = FIXED if case.is_chance else KNOWS
    best = results[yardstick].makespan_s
    mine = results["adaptive"]
    peers = {name: one for name, one in results.items() if name != "adaptive"}
    return [
        {
            "name": f"{case.name}: time for {scenes} scenes",
            "value": round(mine.makespan_s / best, 3),
            "unit": f"times that of: {yardstick}",
            "bound": case.most_time,
            "better": "less",
            "peer": {name: round(one.makespan_s / best, 3) for name, one in peers.items()},
        },
        {
            "name": f"{case.name}: turned away",
            "value": round(mine.wasted, 3),
            "unit": "of all requests",
            "bound": case.most_wasted,
            "better": "less",
            "peer": {name: round(one.wasted, 3) for name, one in peers.items()},
        },
        {
            "name": f"{case.name}: scenes lost",
            "value": scenes - mine.made,
            "unit": "scenes",
            "bound": 0,
            "better": "less",
            "peer": {name: scenes - one.made for name, one in peers.items()},
        },
    ]


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Run every client on every case; rows for time, waste and lost scenes.

    Forty scenes are mostly the search for the limit, and say no more than that it runs.
    """
    scenes, speed = (QUICK_SCENES, QUICK_SPEED) if quick else (SCENES, SPEED)
    rows: list[dict[str, Any]] = []
    for case in CASES:
        some = scenes if quick else case.scenes or scenes
        results = {
            name: run(case, client, scenes=some, speed=speed)
            for name, client in case.clients.items()
        }
        rows += _rows(case, results, some)
    return rows
