"""Measure how long a finished run takes to be recognised: its rows, its objects and its copies.

Run ``python -m tests.benchmarks.resume [--scenes N]`` from the top of the checkout. The ledger is
filled through its own door, with one picture for all, and nothing is ever sent. Three runs follow:
one that has to copy every picture anew, one that finds everything in place, and the same once more
as the host's command, whose start and manifest are then part of the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from host_stub.contract import Scene
from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Limits, NewPurchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.engine.backend import endpoint_of, route_of
from stage3_plugin.engine.requests import request_for
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.place import LEDGER_NAME
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.settings import Settings
from stage3_plugin.storage.inspect import inspect_file
from tests.fakes.pngs import make_png
from tests.stage3.running import Story, run_stage
from tests.stage3.stored import Stored

SCENES = 10_000
MOST_S = 2.0
"""What a finished run of 10,000 scenes may take to be recognised."""
NOBODY = "http://127.0.0.1:9/v1"
"""A request there would fail."""
SETTINGS = Settings(
    provider="openrouter",
    model="a/painter",
    base_url=NOBODY,
    price_usd=Decimal("0.05"),
    size="64x64",
)
CONFIG = f"""
[plugin.stage3]
provider = "openrouter"
model = "a/painter"
base_url = "{NOBODY}"
price_usd = "0.05"
size = "64x64"
"""


def keep_picture(state_dir: Path) -> Picture:
    """Make the one picture that all scenes have."""
    store = Stored(state_dir)
    part = store.spool.new_folder("made") / "part-0"
    part.write_bytes(make_png("a harbour", 64, 64))
    inspected = inspect_file(part, max_pixels=64 * 64)
    store.save(part, inspected)
    store.spool.remove("made")
    return inspected.picture


def fill_ledger(state_dir: Path, scenes: Sequence[Scene], *, days_ago: int = 0) -> None:
    """Record every scene as bought."""
    picture = keep_picture(state_dir)
    now = datetime.now(UTC) - timedelta(days=days_ago)
    scope = route_of(SETTINGS, provider_at(endpoint_of(SETTINGS)).profile)
    paid = Settlement(state=State.PAID, cost_microusd=34_200, basis="reported", picture=picture)
    with Ledger.open(state_dir / LEDGER_NAME) as ledger, ledger.transaction():
        for scene in scenes:
            request = request_for(scene, SETTINGS)
            keys = scene_keys(request, scope)
            new = NewPurchase(
                attempt_id=uuid.uuid4().hex,
                scene_key=keys.scene_key,
                scene_id=scene.scene_id,
                run_id="before",
                endpoint=endpoint_of(SETTINGS),
                size=request.size,
                quality=request.quality,
                is_local=False,
                hold_microusd=50_000,
                content_key=keys.content_key,
                subject_key=keys.subject_key,
            )
            ledger.hold(new, Limits(), day=now.date(), now=now)
            ledger.settle(new.attempt_id, paid, now=now)


Took = tuple[float, float]
"""Seconds of wall clock and of CPU."""


def run_in_process(scenes: Sequence[Scene], folder: Path) -> Took:
    """Run the stage on it."""
    began, cpu = time.perf_counter(), time.process_time()
    ran = asyncio.run(run_stage(SETTINGS, Story(scenes), folder))
    took = time.perf_counter() - began, time.process_time() - cpu
    assert all(outcome.reused for outcome in ran.outcomes.values())
    assert len(ran.outcomes) == len(scenes)
    return took


def run_command(folder: Path) -> Took:
    """Run the host's command on it."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(
        [sys.executable, "-m", "host_stub", "run", "scenes.jsonl", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = os.times()
    cpu_s = after.children_user + after.children_system
    return (
        time.perf_counter() - began,
        cpu_s - before.children_user - before.children_system,
    )


def measure(*, quick: bool, count: int = SCENES) -> list[dict[str, Any]]:
    """Fill a ledger, and run on it.

    Args:
        quick: A hundredth of the scenes.
        count: Scenes.
    """
    count = count // 100 if quick else count
    scenes = [
        Scene(scene_id=f"scene_{number:06}", prompt=f"a harbour at dusk, view {number}")
        for number in range(count)
    ]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "host.toml").write_text(CONFIG, encoding="utf-8")
        lines = [json.dumps({"scene_id": one.scene_id, "prompt": one.prompt}) for one in scenes]
        (folder / "scenes.jsonl").write_text("\n".join(lines), encoding="utf-8")
        fill_ledger(folder / ".stage3", scenes)
        found = {
            "every picture copied anew": run_in_process(scenes, folder),
            "everything in place": min(run_in_process(scenes, folder) for _ in range(3)),
            "everything in place, as a command": min(run_command(folder) for _ in range(3)),
        }
    bounds = {"everything in place": MOST_S}
    return [
        {
            "name": f"{count:,} scenes bought before, {what}: {kind}",
            "value": round(seconds, 2),
            "unit": "s",
            "bound": bounds.get(what) if kind == "time" else None,
            "peer": None,
        }
        for what, took in found.items()
        for kind, seconds in zip(("time", "CPU"), took, strict=True)
    ]


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=SCENES)
    rows = measure(quick=False, count=parser.parse_args().scenes)
    for row in rows:
        print(json.dumps(row))
    if any(row["bound"] is not None and row["value"] > row["bound"] for row in rows):
        sys.exit("slower than was wanted")


if __name__ == "__main__":
    main()
