"""Measure several drivers on one PostgreSQL ledger, and how many purchases a second it takes.

Drivers are whole commands with state folders of their own, before a loopback API that takes a
second for each picture, so that a driver waits and the machine does not; what they would do each on
a ledger of its own stands beside it. Purchases are held and settled by processes of sixteen tasks
each and nothing else; a file of SQLite's stands beside the server. The server is started for it,
and syncs.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from operator import methodcaller
from pathlib import Path
from typing import Any

import anyio

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Limits, NewPurchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.commits import GroupCommit
from stage3_plugin.ledger.place import place_of
from tests.benchmarks.engines import has_postgres
from tests.benchmarks.pictures import answer, serving
from tests.benchmarks.watched_command import ROOT, watched
from tests.engines.postgres_server import PostgresServer, running

DRIVERS = (1, 2, 4)
CAPACITY = 8
RENDER_S = 1.0
SCENES, QUICK_SCENES = 120, 8
"""For each driver."""
TASKS = 16
PURCHASES, QUICK_PURCHASES = 600, 30
"""For each process."""
LEAST_RATIO = {2: 1.8, 4: 3.4}
LEAST_PER_S = 150
ROUNDS = 3
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
Row = dict[str, Any]


def driver_folder(folder: Path, api: str, scenes: Iterable[int], ledger: str | None) -> Path:
    """Make the folder of one driver, with a story of its own."""
    folder.mkdir()
    base_url = api.removesuffix("/images/generations")
    lines = [
        "[plugin.stage3]",
        'provider = "openai"',
        'model = "gpt-image-2"',
        f'base_url = "{base_url}"',
        'price_usd = "0.04"',
        'total_usd = "1000"',
        'size = "64x64"',
        f"capacity = {CAPACITY}",
        *([] if ledger is None else ['ledger = { env = "LEDGER" }', 'project = "scale"']),
    ]
    (folder / "host.toml").write_text("\n".join(lines), encoding="utf-8")
    story = (
        json.dumps({"scene_id": f"scene_{one:06}", "prompt": f"a harbour, view {one}"})
        for one in scenes
    )
    (folder / "scenes.jsonl").write_text("\n".join(story), encoding="utf-8")
    return folder


def drivers_per_s(folder: Path, api: str, drivers: int, scenes: int, ledger: str | None) -> float:
    """Run so many drivers at once; return the pictures a second of all, first start to last end."""
    numbers = count()
    folder.mkdir()
    folders = [
        driver_folder(folder / str(one), api, [next(numbers) for _ in range(scenes)], ledger)
        for one in range(drivers)
    ]
    environ = {} if ledger is None else {"LEDGER": ledger}

    def drive(where: Path) -> None:
        watched(where, "run", "scenes.jsonl", "--json", environ=environ)

    with ThreadPoolExecutor(drivers) as threads:
        list(threads.map(drive, folders))
    moments = [moment for where in folders for moment in _moments(where / "out" / "events.jsonl")]
    return drivers * scenes / (max(moments) - min(moments)).total_seconds()


def _moments(journal: Path) -> Iterable[datetime]:
    """Return when scenes were begun and ended."""
    for line in journal.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] in {"scene.started", "scene.finished"}:
            yield datetime.fromisoformat(event["timestamp"])


def drivers(server: PostgresServer, folder: Path, *, quick: bool) -> list[Row]:
    """Measure drivers that share a ledger, beside as many that do not."""
    scenes = QUICK_SCENES if quick else SCENES
    found: dict[tuple[int, bool], float] = {}
    with serving(folder, answer(64, 64, 32), delay_s=0.1 if quick else RENDER_S) as api:
        for number in DRIVERS[1:2] if quick else DRIVERS:
            shared = server.url(server.new_database())
            for ledger in (None, shared):
                place = folder / f"{number}-{'alone' if ledger is None else 'shared'}"
                rate = drivers_per_s(place, api, number, scenes, ledger)
                found[number, ledger is not None] = rate
    rows: list[Row] = [
        {
            "name": f"pictures a second, {number} driver{'s' * (number > 1)} on one ledger",
            "value": round(found[number, True], 2),
            "unit": "1/s",
            "bound": None,
            "better": "more",
            "peer": {"each on a ledger of its own": round(found[number, False], 2)},
        }
        for number in dict.fromkeys(number for number, _ in found)
    ]
    rows += [
        {
            "name": f"pictures a second, {number} drivers on one ledger, times one",
            "value": round(found[number, True] / found[1, True], 2),
            "unit": "",
            "bound": least,
            "better": "more",
            "peer": None,
        }
        for number, least in LEAST_RATIO.items()
        if (number, True) in found and (1, True) in found
    ]
    return rows


async def buy(ledger: str | None, folder: Path, purchases: int) -> float:
    """Hold and settle, sixteen tasks at once; return the seconds."""
    now = datetime.now(UTC)
    run_id = uuid.uuid4().hex
    left = iter(range(purchases))

    async def take_turns(commit: GroupCommit) -> None:
        for number in left:
            key = uuid.uuid4().hex * 2
            new = NewPurchase(
                attempt_id=uuid.uuid4().hex, scene_key=key, scene_id=f"scene_{number}",
                run_id=run_id, endpoint=Endpoint(provider="openai", model="painter"),
                size="64x64", quality="medium", is_local=False, hold_microusd=40_000,
                content_key=key, subject_key=key,
            )  # fmt: skip
            await commit(methodcaller("hold", new, LIMITS, day=now.date(), now=now))
            await commit(methodcaller("settle", new.attempt_id, PAID, now=now))

    async with GroupCommit(place_of(ledger, "scale", folder)) as commit:
        began_s = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(TASKS):
                group.start_soon(take_turns, commit)
        return time.perf_counter() - began_s


def purchases_per_s(ledger: str | None, folder: Path, processes: int, purchases: int) -> float:
    """Let processes buy at once; return the purchases a second of all, as the slowest has it."""
    folder.mkdir()
    anyio.run(buy, ledger, folder, 1)  # the ledger is made
    running_ = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.scale_drivers", str(folder),
             str(purchases)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "LEDGER": ledger or ""},
            stdout=subprocess.PIPE, text=True, encoding="utf-8",
        )
        for _ in range(processes)
    ]  # fmt: skip
    said = [process.communicate()[0] for process in running_]
    if any(process.returncode for process in running_):
        raise SystemExit("a process that buys went wrong")
    return processes * purchases / max(map(float, said))


def ledgers(server: PostgresServer, folder: Path, *, quick: bool) -> list[Row]:
    """Measure how many purchases a second each kind of ledger takes."""
    purchases = QUICK_PURCHASES if quick else PURCHASES
    numbers = count()
    rows: list[Row] = []
    for processes in DRIVERS[:1] if quick else DRIVERS:
        found: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(1 if quick else ROUNDS):
            for on_server in (True, False):
                ledger = server.url(server.new_database()) if on_server else None
                place = folder / f"buying-{next(numbers)}"
                found[on_server].append(purchases_per_s(ledger, place, processes, purchases))
        rows.append({
            "name": f"purchases a second on PostgreSQL, {processes} x {TASKS} tasks",
            "value": round(statistics.median(found[True])),
            "unit": "1/s",
            "bound": LEAST_PER_S if processes == 1 else None,
            "better": "more",
            "peer": {"SQLite": round(statistics.median(found[False]))},
        })  # fmt: skip
    return rows


def measure(*, quick: bool) -> list[Row]:
    """Start a server and measure on it; nothing where there is none."""
    if not has_postgres():
        return []
    with tempfile.TemporaryDirectory() as inner, running(durable=True) as server:
        return [
            *drivers(server, Path(inner), quick=quick),
            *ledgers(server, Path(inner), quick=quick),
        ]


def main() -> None:
    """Be a process that buys in the ledger of this address, or folder; print the time."""
    folder, purchases = sys.argv[1:]
    print(asyncio.run(buy(os.environ["LEDGER"] or None, Path(folder), int(purchases))))


if __name__ == "__main__":
    main()
