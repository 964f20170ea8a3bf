"""Measure what the engine itself costs per scene: everything but the request and the files.

Run ``python -m tests.benchmarks.engine [--quick] [--profile] [--folder DIR]`` from the top of the
checkout. A whole stage runs, with its ledger durable at FULL, a cap set, and every event written as
a line of JSON, in one case by the host with its checks; only the maker makes nothing and the
publisher copies nothing. Beside it stands the plain way: gather, a semaphore, one durable commit
per scene in the event loop, no caps and no events. What is measured is CPU time, of the event
loop's thread and of all threads, the ledger's writer among them.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import logging
import pstats
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import anyio
import anyio.lowlevel
import structlog
from structlog.typing import FilteringBoundLogger

from host_stub.contract import Scene, SceneOutcome
from host_stub.events.journal import EventJournal
from host_stub.events.stream import EventStream
from host_stub.text.redaction import Redactor
from stage3_plugin.attempt.maker import Maker
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import Charge
from stage3_plugin.domain.picture import Picture, Placed
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.engine.stage import Stage
from stage3_plugin.ledger.place import LEDGER_NAME, FilePlace
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures
from tests.stage3.running import asking, context_of, costing
from tests.stage3.stored import Stored

SCENES, QUICK_SCENES = 4_000, 200
ROUNDS = 5
IN_FLIGHT = (16, 64)
BACKENDS = ("asyncio", "trio")
MOST_US = 250
SECRET = "sk-benchmark-0123456789abcdef"
"""A key is there in every real run, and looking for it is part of every event's cost."""
MADE = AttemptResult(
    verdict=Verdict(kind=VerdictKind.PICTURES),
    cost=Charge(40_000, "reported"),
    picture=Picture(
        sha256="0" * 64, media_type="image/png", width_px=64, height_px=64, size_bytes=1
    ),
    took_s=20.0,
)
Row: TypeAlias = dict[str, Any]
Sink: TypeAlias = Callable[[Path], AbstractContextManager[FilteringBoundLogger]]
T = TypeVar("T")


class Nothing:
    """Makes nothing, and gives way once as every request does."""

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        """Pretend that the provider answered at once."""
        del attempt_id, request
        await anyio.lowlevel.checkpoint()
        return MADE


class NoPictures(Pictures):
    """Copies nothing; how much room the disk has it is really asked."""

    async def publish(
        self, picture: Picture, folder: Path, scene_id: str, *, is_new: bool = False
    ) -> Placed:
        """Name the file that would be there."""
        del is_new
        return Placed(picture, folder / f"{scene_id}.png")

    async def remove_answer(self, attempt_id: str) -> None:
        """Find nothing to remove."""


@dataclass(frozen=True, slots=True)
class Story:
    """So many scenes, none of them in memory."""

    scenes: int

    def __len__(self) -> int:
        return self.scenes

    def __iter__(self) -> Iterator[Scene]:
        return (
            Scene(scene_id=f"scene_{number:06}", prompt=f"a harbour at dusk, view {number}")
            for number in range(self.scenes)
        )


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time per scene in microseconds: of the event loop's thread, and of all."""

    loop_us: float
    all_us: float


@dataclass(slots=True)
class Watch:
    """Takes the CPU time from its making to :meth:`read`."""

    all_s: float = field(default_factory=time.process_time)
    loop_s: float = field(default_factory=time.thread_time)

    def read(self, scenes: int) -> Cpu:
        """Return what was used since, per scene."""
        loop_s, all_s = time.thread_time() - self.loop_s, time.process_time() - self.all_s
        return Cpu(loop_us=loop_s / scenes * 1e6, all_us=all_s / scenes * 1e6)


def stage_in(folder: Path, capacity: int, maker: Maker) -> Stage:
    """Put a stage together that has everything but pictures."""

    async def blocking(work: Callable[[], T]) -> T:
        return work()

    settings = Settings(
        provider="openai",
        model="gpt-image-2",
        capacity=capacity,
        size="64x64",
        total_usd=Decimal(100_000),
    )
    stored = Stored(folder)
    return Stage(
        settings,
        (
            Backend(
                route=replace(route_of(settings, None), list_price=costing(50_000, 40_000)),
                sender=lambda: Sender(maker=maker, conversation_for=lambda _: None),
            ),
        ),
        pictures=NoPictures(stored.objects, stored.spool, max_pixels=1, blocking=blocking),
        accounts=Accounts(
            place=FilePlace(folder / LEDGER_NAME),
            state_dir=folder,
            time_zone="UTC",
            now=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
        ),
    )


@contextmanager
def json_lines(folder: Path) -> Generator[FilteringBoundLogger]:
    """Write each event as a line of JSON, with structlog and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("w", encoding="utf-8") as file:
        log = structlog.wrap_logger(
            structlog.WriteLogger(file),
            processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        )
        yield cast("FilteringBoundLogger", log.bind())


@contextmanager
def host_journal(folder: Path) -> Generator[FilteringBoundLogger]:
    """Return each event to the host, which checks it, looks for secrets and journals it."""
    with EventJournal(folder / "events.jsonl") as journal:
        events = EventStream(
            run_id="benchmark",
            plugin="stage3",
            redactor=Redactor([SECRET]),
            now=lambda: datetime.now(UTC),
            journal=journal,
        )
        yield events.logger()
        if events.rejected_count:
            raise SystemExit(f"the host refused {events.rejected_count} events")


async def engine(folder: Path, scenes: int, capacity: int, sink: Sink) -> Cpu:
    """Run the stage once on a ledger of its own."""
    made = 0

    def deliver(outcome: SceneOutcome) -> None:
        nonlocal made
        made += outcome.image is not None

    with sink(folder) as log:
        watch = Watch()
        await stage_in(folder, capacity, Nothing()).run(
            asking(Story(scenes), folder), context_of(log, deliver)
        )
        used = watch.read(scenes)
    if made != scenes:
        raise SystemExit(f"of {scenes} scenes {made} were made")
    return used


async def plain(folder: Path, scenes: int, capacity: int) -> Cpu:
    """Make a row durable per scene, as a script would; asyncio only, like such scripts."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "plain.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE scenes (scene_id TEXT PRIMARY KEY, sha256 TEXT, usd TEXT)")
        places = asyncio.Semaphore(capacity)

        async def make(scene: Scene) -> None:
            async with places:
                await asyncio.sleep(0)
                row = (scene.scene_id, "0" * 64, "0.04")
                database.execute("INSERT OR REPLACE INTO scenes VALUES (?, ?, ?)", row)

        watch = Watch()
        await asyncio.gather(*(make(scene) for scene in Story(scenes)))
        return watch.read(scenes)


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured."""

    told: str
    capacity: int
    backend: str
    sink: Sink
    most_us: int | None


CASES = (
    *(
        Case(f"{capacity} in flight, {backend}", capacity, backend, json_lines, MOST_US)
        for capacity in IN_FLIGHT
        for backend in BACKENDS
    ),
    Case("16 in flight, asyncio, events through the host", 16, "asyncio", host_journal, None),
)


def measure(*, quick: bool, folder: Path | None = None) -> list[Row]:
    """Measure round by round, all taking turns; every figure is the median of its rounds.

    Args:
        quick: One round with few scenes.
        folder: Where the ledgers are made; none is the system's place for passing files.
    """
    scenes = QUICK_SCENES if quick else SCENES
    found: dict[Case, list[Cpu]] = {}
    alone: dict[int, list[Cpu]] = {}
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        places = (Path(inner, str(number)) for number in count())
        anyio.run(engine, next(places), QUICK_SCENES, 16, json_lines)
        for _ in range(1 if quick else ROUNDS):
            for capacity in IN_FLIGHT:
                used = anyio.run(plain, next(places), scenes, capacity)
                alone.setdefault(capacity, []).append(used)
            for case in CASES:
                used = anyio.run(
                    engine, next(places), scenes, case.capacity, case.sink, backend=case.backend
                )
                found.setdefault(case, []).append(used)
    return [row for case, all_ in found.items() for row in _rows(case, all_, alone[case.capacity])]


def _rows(case: Case, ours: list[Cpu], alone: list[Cpu]) -> list[Row]:
    peer = round(statistics.median(one.all_us for one in alone))
    total = round(statistics.median(one.all_us for one in ours))
    loop = round(statistics.median(one.loop_us for one in ours))
    rows = [
        ("CPU per scene", total, case.most_us, {"a commit per scene, no events": peer}),
        ("of that in the event loop's thread", loop, None, None),
    ]
    return [
        {"name": f"{name}, {case.told}", "value": value, "unit": "us", "bound": bound, "peer": than}
        for name, value, bound, than in rows
    ]


def profile(backend: str, capacity: int) -> None:
    """Print where the time of the event loop's thread goes."""
    with tempfile.TemporaryDirectory() as inner:
        anyio.run(engine, Path(inner, "0"), QUICK_SCENES, 16, json_lines, backend=backend)
        profiler = cProfile.Profile(time.thread_time)
        profiler.enable()
        anyio.run(engine, Path(inner, "1"), SCENES, capacity, json_lines, backend=backend)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="What the engine costs per scene.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile", action="store_true", help="of the event loop's thread")
    parser.add_argument("--backend", choices=BACKENDS, default="asyncio", help="for --profile")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    options = parser.parse_args()
    if options.profile:
        profile(options.backend, IN_FLIGHT[0])
        return
    for row in measure(quick=options.quick, folder=options.folder):
        print(row)


if __name__ == "__main__":
    main()
