"""Measure the ledger: purchases made durable one by one and in groups, and what each step costs.

Run ``python tests/benchmarks/ledger.py [--quick] [--folder DIR]``; the folder should lie on the
disk that is asked about. One by one is what a program does that commits per scene. The ways take
turns in several rounds on files of their own, because a shared machine is never equally fast
twice; every figure is the median of its rounds. Steps are timed inside a transaction.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Limits, NewPurchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.commits import Commit, GroupCommit, InlineCommit

ROUNDS = 5
BACKENDS = ("asyncio", "trio")
IN_FLIGHT = (16, 256)
DAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMITS = Limits(budget_microusd=10**12, daily_microusd=10**12, total_microusd=10**12)
PAID = Settlement(
    state=State.PAID,
    cost_microusd=40_000,
    basis="flat",
    picture=Picture(
        sha256="0" * 64, media_type="image/png", width_px=1024, height_px=1024, size_bytes=1
    ),
    took_s=20.0,
)
STEPS = {"hold and arm": 60.0, "settle": 40.0, "live": 15.0}
"""The most microseconds a step should take inside a transaction."""

Figures = dict[str, list[float]]


def new_purchase(number: int) -> NewPurchase:
    """Return the request of one scene."""
    return NewPurchase(
        attempt_id=f"{number:032x}",
        scene_key=f"{number:064x}",
        scene_id=f"scene_{number:06d}",
        run_id="run",
        endpoint=Endpoint(provider="openai", model="painter"),
        size="1024x1024",
        quality="medium",
        is_local=False,
        hold_microusd=40_000,
        content_key="c" * 64,
        subject_key=f"{number:064x}",
    )


def holding(number: int) -> Callable[[Ledger], object]:
    """Make the work of holding and arming one purchase."""
    new = new_purchase(number)
    return lambda ledger: ledger.hold(new, LIMITS, day=DAY, now=NOW)


def nothing(_: Ledger) -> None:
    """Stand for work, so that what is left is the way there and back."""


async def commit_all(
    commit: Commit, works: Iterator[Callable[[Ledger], object]], tasks: int
) -> None:
    """Commit every work, with so many tasks that each wait for theirs."""

    async def take_turns() -> None:
        for work in works:
            await commit(work)

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(take_turns)


async def one_by_one_per_s(path: Path, pieces: int) -> float:
    """Commit purchases one after the other, each by itself."""
    with Ledger.open(path) as ledger:
        began_s = time.perf_counter()
        await commit_all(InlineCommit(ledger), map(holding, range(pieces)), 1)
        return pieces / (time.perf_counter() - began_s)


async def in_groups_per_s(path: Path, pieces: int, tasks: int) -> float:
    """Commit purchases through the writer, as many at once as wait."""
    async with GroupCommit(path) as commit:
        began_s = time.perf_counter()
        await commit_all(commit, map(holding, range(pieces)), tasks)
        return pieces / (time.perf_counter() - began_s)


async def way_cpu_us(path: Path, pieces: int) -> float:
    """Return the CPU time of the way to the writer and back, both threads together."""
    async with GroupCommit(path) as commit:
        await commit_all(commit, iter([nothing] * 500), 16)
        began_s = time.process_time()
        await commit_all(commit, iter([nothing] * pieces), 16)
        return (time.process_time() - began_s) / pieces * 1e6


def steps_us(path: Path, pieces: int, figures: Figures) -> None:
    """Time each step of a purchase inside one transaction."""
    news = [new_purchase(number) for number in range(pieces)]
    with Ledger.open(path) as ledger, ledger.transaction():
        steps: dict[str, Callable[[NewPurchase], object]] = {
            "hold and arm": lambda new: ledger.hold(new, LIMITS, day=DAY, now=NOW),
            "settle": lambda new: ledger.settle(new.attempt_id, PAID, now=NOW),
            "live": lambda new: ledger.live(new.scene_key),
        }
        for name, step in steps.items():
            began_s = time.perf_counter()
            for new in news:
                step(new)
            took_us = (time.perf_counter() - began_s) / pieces * 1e6
            figures.setdefault(name, []).append(took_us)


def one_round(folder: Path, names: Iterator[int], pieces: int, figures: Figures) -> None:
    """Let every way have its turn, each on a file of its own."""

    def note(name: str, figure: float) -> None:
        figures.setdefault(name, []).append(figure)

    def path() -> Path:
        return folder / f"{next(names)}.db"

    note("one by one", anyio.run(one_by_one_per_s, path(), pieces // 10))
    for backend in BACKENDS:
        for tasks in IN_FLIGHT:
            figure = anyio.run(in_groups_per_s, path(), pieces, tasks, backend=backend)
            note(f"{backend} {tasks}", figure)
        note(f"{backend} way", anyio.run(way_cpu_us, path(), pieces * 2, backend=backend))
    steps_us(path(), pieces, figures)


def measure(*, quick: bool, folder: Path | None = None) -> list[dict[str, Any]]:
    """Measure round by round.

    Args:
        quick: One round with few purchases.
        folder: Where the files are made; none is the system's place for passing files.
    """
    figures: Figures = {}
    names = count()
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        for _ in range(1 if quick else ROUNDS):
            one_round(Path(inner), names, 500 if quick else 4_000, figures)
    medians = {name: statistics.median(found) for name, found in figures.items()}
    alone = round(medians["one by one"])

    def row(name: str, value: float, unit: str, bound: float | None, peer: Any) -> dict[str, Any]:
        return {"name": name, "value": value, "unit": unit, "bound": bound, "peer": peer}

    rows = [row("durable purchases, one by one", alone, "1/s", None, None)]
    for backend in BACKENDS:
        for tasks in IN_FLIGHT:
            name = f"durable purchases in groups, {tasks} in flight, {backend}"
            rows.append(row(name, round(medians[f"{backend} {tasks}"]), "1/s", None, alone))
    for backend in BACKENDS:
        name = f"CPU of the way to the writer and back, 16 in flight, {backend}"
        rows.append(row(name, round(medians[f"{backend} way"], 1), "us", None, None))
    for name, bound in STEPS.items():
        rows.append(row(f"{name}, in a transaction", round(medians[name], 1), "us", bound, None))
    return rows


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="What the ledger costs.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    for row in measure(quick=arguments.quick, folder=arguments.folder):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
