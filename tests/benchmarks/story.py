"""Measure how long one story takes: the window of Stage3, batches, and a semaphore.

Run ``python -m tests.benchmarks.story [--quick]`` from the top of the checkout. 200 scenes, at most
16 in flight, lognormal times with a mean of 20 s, all in real time that passes five times as fast.
Batches start 16 scenes and wait for the slowest of them; the semaphore lets the next one in as soon
as one ends. Neither of the two keeps books or writes anything, so what Stage3 does beside waiting
counts against it alone, and five times as much as before a real provider. The three ways run side
by side, each in a thread with an event loop of its own: they do little but sleep, and so all meet
the machine in the same mood.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from host_stub.contract import SceneOutcome
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.request import PictureRequest
from tests.benchmarks.engine import MADE, Story, json_lines, stage_in
from tests.stage3.running import asking, context_of

SCENES, CAPACITY = 200, 16
SPEED, QUICK_SPEED = 5.0, 500.0
MEAN_S, SIGMA = 20.0, 0.5
SEED = 11
MOST_OF_SEMAPHORE, LEAST_OF_BATCHES = 1.02, 1.5


def times(speed: float) -> list[float]:
    """Draw how long each scene takes, in seconds of ours."""
    chance = random.Random(SEED)
    mean = math.log(MEAN_S) - SIGMA**2 / 2
    return [chance.lognormvariate(mean, SIGMA) / speed for _ in range(SCENES)]


class Waiting:
    """Takes as long for each scene as it was drawn, and makes nothing."""

    def __init__(self, takes_s: Sequence[float]) -> None:
        self._takes_s = takes_s

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        """Wait."""
        del attempt_id
        took_s = self._takes_s[int(request.scene_id.removeprefix("scene_"))]
        await anyio.sleep(took_s)
        return replace(MADE, took_s=took_s)


async def stage3(takes_s: Sequence[float]) -> None:
    """Run the whole stage, with a ledger on the disk and every event as a line of JSON."""
    made: list[SceneOutcome] = []
    with tempfile.TemporaryDirectory() as name, json_lines(Path(name)) as log:
        await stage_in(Path(name), CAPACITY, Waiting(takes_s)).run(
            asking(Story(len(takes_s)), Path(name)), context_of(log, made.append)
        )
    if sum(outcome.image is not None for outcome in made) != len(takes_s):
        raise SystemExit("not every scene was made")


async def batches(takes_s: Sequence[float]) -> None:
    """Start so many, wait for all of them, start the next."""
    for first in range(0, len(takes_s), CAPACITY):
        await asyncio.gather(*map(asyncio.sleep, takes_s[first : first + CAPACITY]))


async def semaphore(takes_s: Sequence[float]) -> None:
    """Start all, behind a semaphore."""
    places = asyncio.Semaphore(CAPACITY)

    async def make(took_s: float) -> None:
        async with places:
            await asyncio.sleep(took_s)

    await asyncio.gather(*map(make, takes_s))


def makespan_s(way: Callable[[Sequence[float]], Awaitable[None]], takes_s: list[float]) -> float:
    """Time one way from the first scene to the last."""

    async def run() -> float:
        began_s = time.perf_counter()
        await way(takes_s)
        return time.perf_counter() - began_s

    return asyncio.run(run())


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Time the three ways on the same scenes.

    Args:
        quick: Let time pass so fast that nothing but the end can be seen.
    """
    speed = QUICK_SPEED if quick else SPEED
    takes_s = times(speed)
    ways = (stage3, batches, semaphore)
    with ThreadPoolExecutor(len(ways)) as threads:
        spans_s = threads.map(makespan_s, ways, [takes_s] * len(ways))
        ours, waved, windowed = (round(span_s * speed, 1) for span_s in spans_s)
    least = round(max(sum(takes_s) / CAPACITY, *takes_s) * speed, 1)
    story = f"{SCENES} scenes, {CAPACITY} in flight"
    peers = {"batches of 16": waved, "a semaphore": windowed, "no way is faster than": least}
    return [
        {"name": f"{story}: time", "value": ours, "unit": "s", "bound": None, "peer": peers},
        {
            "name": f"{story}: time against a semaphore",
            "value": round(ours / windowed, 3),
            "unit": "",
            "bound": MOST_OF_SEMAPHORE,
            "peer": None,
        },
        {
            "name": f"{story}: faster than batches",
            "value": round(waved / ours, 3),
            "unit": "times",
            "bound": LEAST_OF_BATCHES,
            "better": "more",
            "peer": None,
        },
    ]


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="How long one story takes.")
    parser.add_argument("--quick", action="store_true")
    for row in measure(quick=parser.parse_args().quick):
        print(row)


if __name__ == "__main__":
    main()
