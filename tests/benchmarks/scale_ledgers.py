"""Measure what grows with a ledger: opening it, one claim, ``plan``, ``attempts``, and its size.

The ledgers are made in bulk (:mod:`tests.benchmarks.bulk_ledger`), behind a story of a thousand
scenes whose purchases were recorded one by one. Each figure of the large one has that of
the small one beside it, and a claim that of one durable row in a plain table of as many rows.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from host_stub.contract import Scene
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase
from stage3_plugin.engine.backend import endpoint_of
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.place import LEDGER_NAME
from tests.benchmarks.bought import CONFIG, SETTINGS, fill_ledger
from tests.benchmarks.bulk_ledger import A_DAY, fill

SIZES, QUICK_SIZES = (10_000, 200_000), (1_000, 4_000)
STORY, QUICK_STORY = 1_000, 100
CLAIMS = 60
MOST_RATIO = 2.0
"""What a claim may come to in a ledger of twenty times the size."""
MOST_PLAN_S = 5.0
"""In the large one; the numbers of its takes are read from all of it, once."""
CAPS = Limits(total_microusd=10**15)
CLAIM, PLAN, PLAIN = "one claim, durable", "plan of the story", "a durable row in a plain table"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A project with a ledger of some size, and a plain table of as many rows."""

    folder: Path
    purchases: int

    @property
    def ledger(self) -> Path:
        return self.folder / ".stage3" / LEDGER_NAME

    @property
    def plain(self) -> Path:
        return self.folder / "plain.db"


def make(folder: Path, purchases: int, scenes: Sequence[Scene]) -> Place:
    """Make a project whose ledger has the story, and so many purchases in all."""
    folder.mkdir()
    place = Place(folder, purchases)
    (folder / "host.toml").write_text(CONFIG, encoding="utf-8")
    lines = (json.dumps({"scene_id": one.scene_id, "prompt": one.prompt}) for one in scenes)
    (folder / "scenes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    fill_ledger(folder / ".stage3", scenes, days_ago=1 + purchases // A_DAY)
    fill(place.ledger, purchases)
    with closing(sqlite3.connect(place.plain, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE scenes (scene_id TEXT PRIMARY KEY, sha256 TEXT, usd TEXT)")
        rows = ((uuid.uuid4().hex, "0" * 64, "0.04") for _ in range(purchases))
        database.execute("BEGIN")
        database.executemany("INSERT INTO scenes VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")
    return place


def opening_ms(place: Place) -> float:
    """Open the ledger to write, and close it."""
    began_s = time.perf_counter()
    with Ledger.open(place.ledger):
        return (time.perf_counter() - began_s) * 1e3


def claims_ms(place: Place, claims: int) -> float:
    """Hold the money for one scene after the other, each durably."""
    took_ms: list[float] = []
    now = datetime.now(UTC)
    with Ledger.open(place.ledger) as ledger:
        for number in range(claims):
            new = NewPurchase(
                attempt_id=uuid.uuid4().hex,
                scene_key=uuid.uuid4().hex * 2,
                scene_id=f"claimed_{number}",
                run_id="claiming",
                endpoint=endpoint_of(SETTINGS),
                size="64x64",
                quality="medium",
                is_local=False,
                hold_microusd=50_000,
                content_key=uuid.uuid4().hex * 2,
                subject_key=uuid.uuid4().hex * 2,
            )
            began_s = time.perf_counter()
            with ledger.transaction():
                held = ledger.hold(new, CAPS, day=now.date(), now=now)
            took_ms.append((time.perf_counter() - began_s) * 1e3)
            assert isinstance(held, Held)
    return statistics.median(took_ms)


def plain_ms(place: Place, claims: int) -> float:
    """Insert one row after the other into a plain table, each durably."""
    took_ms: list[float] = []
    with closing(sqlite3.connect(place.plain, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = FULL")
        for _ in range(claims):
            began_s = time.perf_counter()
            row = (uuid.uuid4().hex, "0" * 64, "0.04")
            database.execute("INSERT INTO scenes VALUES (?, ?, ?)", row)
            took_ms.append((time.perf_counter() - began_s) * 1e3)
    return statistics.median(took_ms)


def command_s(place: Place, *words: str) -> float:
    """Run a command of the host in the project, and see that it succeeds."""
    began_s = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "host_stub", *words, "--json"],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began_s


def size_mb(place: Place) -> float:
    """Return what the ledger's files take, its log written back."""
    with Ledger.open(place.ledger):
        pass
    return sum(path.stat().st_size for path in place.ledger.parent.glob("ledger.db*")) / 1e6


def figures(place: Place, *, quick: bool) -> Iterator[tuple[str, str, float]]:
    """Measure one ledger; yield names, units and values."""
    claims, rounds = (5, 1) if quick else (CLAIMS, 5)

    def median(measured: Callable[[], float]) -> float:
        return statistics.median(measured() for _ in range(rounds))

    yield "size on disk", "MB", size_mb(place)
    yield "opening it", "ms", median(lambda: opening_ms(place))
    yield PLAN, "s", median(lambda: command_s(place, "plan", "scenes.jsonl"))
    yield "attempts", "s", median(lambda: command_s(place, "stage3", "attempts"))
    yield PLAIN, "ms", plain_ms(place, claims)
    yield CLAIM, "ms", claims_ms(place, claims)  # last: they stay open


def measure(*, quick: bool) -> list[Row]:
    """Measure both ledgers."""
    count = QUICK_STORY if quick else STORY
    scenes = [
        Scene(scene_id=f"scene_{number:06}", prompt=f"a harbour at dusk, view {number}")
        for number in range(count)
    ]
    found: dict[int, dict[str, float]] = {}
    units: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as inner:
        for purchases in QUICK_SIZES if quick else SIZES:
            place = make(Path(inner, str(purchases)), purchases, scenes)
            for name, unit, value in figures(place, quick=quick):
                units[name] = unit
                found.setdefault(purchases, {})[name] = value
    small, large = found
    rows = [
        {
            "name": f"{purchases:,} purchases: {name}",
            "value": round(value, 4),
            "unit": units[name],
            "bound": MOST_PLAN_S if (purchases, name) == (large, PLAN) else None,
            "peer": _peers(found, small, large, purchases, name),
        }
        for purchases, of in found.items()
        for name, value in of.items()
    ]
    ratio = round(found[large][CLAIM] / found[small][CLAIM], 2)
    told = f"{CLAIM}: {large:,} purchases against {small:,}"
    return [*rows, {"name": told, "value": ratio, "unit": "", "bound": MOST_RATIO, "peer": None}]


def _peers(
    found: dict[int, dict[str, float]], small: int, large: int, purchases: int, name: str
) -> dict[str, float]:
    peers: dict[str, float] = {}
    if purchases == large:
        peers[f"{small:,} purchases"] = round(found[small][name], 4)
    if name == CLAIM:
        peers[PLAIN] = round(found[purchases][PLAIN], 4)
    return peers
