"""Measure how long scenes wait for the sheets they show, against a schedule that knows all of it.

Run ``python -m tests.benchmarks.sheets [--quick]`` from the top of the checkout. Five sheets and
200 scenes run through a whole stage in real time, with its ledger; only the maker sleeps instead of
asking anybody, and what is shown has no bytes. The ideal is a list schedule of the same order that
starts whatever may start as soon as there is room. The plain way beside it makes all sheets first.
"""

from __future__ import annotations

import argparse
import random
from typing import Any, TypeAlias

import anyio

from host_stub.contract import Scene
from tests.stage3.showing import Maker, Timed, ideal_s, run

SHEETS, SCENES, QUICK_SCENES, CAPACITY = 5, 200, 40, 16
MEDIAN_S = 0.4
"""Of a picture: one of twenty seconds is fifty times as long, and what a scene costs us as much."""
MOST_TIMES = 1.05
Row: TypeAlias = dict[str, Any]


def measure(*, quick: bool) -> list[Row]:
    """Measure both event loops.

    Args:
        quick: With fewer scenes.
    """
    draw = random.Random(7)
    cast = {f"c{number}": {"prompt": f"a face, {number}"} for number in range(SHEETS)}
    scenes = [f"s{number}" for number in range(QUICK_SCENES if quick else SCENES)]
    needs = {one: draw.sample(sorted(cast), draw.randint(1, 3)) for one in scenes}
    takes_s = {one: MEDIAN_S * draw.lognormvariate(0, 0.5) for one in (*cast, *scenes)}
    ideal = ideal_s([*cast, *scenes], needs, takes_s, CAPACITY)
    plain = ideal_s(list(cast), {}, takes_s, CAPACITY) + ideal_s(scenes, {}, takes_s, CAPACITY)
    rows: list[Row] = []
    for backend in ("asyncio", "trio"):
        took_s = anyio.run(_run, needs, cast, takes_s, backend=backend)
        rows.append(
            {
                "name": f"{SHEETS} sheets, {len(scenes)} scenes, {CAPACITY} in flight, {backend}",
                "value": round(took_s / ideal, 3),
                "unit": "times the ideal",
                "bound": None if quick else MOST_TIMES,
                "peer": {"all sheets first": round(plain / ideal, 3)},
            }
        )
    return rows


async def _run(
    needs: dict[str, list[str]], cast: dict[str, dict[str, str]], takes_s: dict[str, float]
) -> float:
    scenes = [
        Scene(
            scene_id=one,
            prompt="a pier",
            characters=tuple(others),
            references=("pier.png",),
        )
        for one, others in needs.items()
    ]
    ran: Timed = await run(Maker(takes_s), scenes, cast=cast, capacity=CAPACITY, adaptive=False)
    if any(outcome.failure for outcome in ran.outcomes.values()):
        raise SystemExit("not every scene was made")
    return ran.took_s


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="How long scenes wait for the sheets they show.")
    parser.add_argument("--quick", action="store_true")
    for row in measure(quick=parser.parse_args().quick):
        print(row)


if __name__ == "__main__":
    main()
