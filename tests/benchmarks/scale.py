"""Measure the host alone: 1,000 and 100,000 scenes through a renderer that does nothing.

Run ``python tests/benchmarks/scale.py [--quick] [--profile]``. The scenes come from a JSON Lines
file, the renderer delivers the same small picture for each and logs two events, journal and
manifest are written: what is left is the host's own time and memory. Every figure comes from a
fresh process, which first makes a few scenes so that imports and first calls are not counted.
``--profile`` prints where the time of 10,000 scenes goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from host_stub.contract import (
    Capabilities,
    Cost,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    Scene,
    SceneOutcome,
    Services,
    StageContext,
    StagePlan,
    StageSummary,
)
from host_stub.pipeline import RunOptions, run_pipeline
from host_stub.plain_image import flat_png
from host_stub.plugins import SelectedPlugin

FEW, MANY = 1_000, 100_000
ROUNDS = 3
WARM_UP = 200
WORKERS = 16
MOST_GROWTH_MB = 30
MOST_RATIO = 1.2
PICTURE = flat_png(8, 8, b"\x10\x20\x30")
SHA256 = hashlib.sha256(PICTURE).hexdigest()
FREE = Cost(usd=Decimal(0), basis="free")


class Settings(BaseModel):
    """The renderer that does nothing has nothing to set."""


class Idle:
    """Delivers one picture, which lies there already, for every scene."""

    async def plan(self, request: ImageRequest) -> StagePlan:
        free = Decimal(0)
        return StagePlan(make=len(request.scenes), cost_low_usd=free, cost_high_usd=free)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        picture = request.out_dir / "images" / "same.png"
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(PICTURE)
        scenes = iter(request.scenes)
        async with anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(self._work, scenes, picture, context)
        return StageSummary()

    async def _work(self, scenes: Iterator[Scene], picture: Path, context: StageContext) -> None:
        for scene in scenes:
            begun = time.monotonic()
            context.log.info("scene.started", scene_id=scene.scene_id, attempt=1, queued_s=0.0)
            await anyio.lowlevel.checkpoint()
            took_s = round(time.monotonic() - begun, 6)
            context.log.info(
                "scene.finished",
                scene_id=scene.scene_id,
                attempt=1,
                attempts=1,
                duration_s=took_s,
                cost_usd="0",
                cost_basis="free",
                sha256=SHA256,
            )
            context.deliver(_outcome(scene, picture, took_s))


def _outcome(scene: Scene, picture: Path, took_s: float) -> SceneOutcome:
    return SceneOutcome(
        scene_id=scene.scene_id,
        image=picture,
        sha256=SHA256,
        media_type="image/png",
        width=8,
        height=8,
        generation_params={"model": "idle", "size": "8x8", "prompt": scene.prompt},
        attempts=1,
        duration_s=took_s,
        cost=FREE,
    )


@asynccontextmanager
async def _opened(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    yield Idle()


def idle_plugin(folder: Path) -> SelectedPlugin:
    """Give the renderer as the host selects it."""
    return SelectedPlugin(
        name="idle",
        source="idle 1.0",
        description=ImagePlugin(
            name="idle",
            contract=(1, 0),
            settings=Settings,
            capabilities=Capabilities(offline=True),
            open=_opened,
        ),
        settings=Settings(),
        services=Services(project_dir=folder, now=lambda: datetime.now(UTC)),
        # A key is there in every real run, and looking for it is part of the host's work.
        secrets=("sk-benchmark-0123456789abcdef",),
    )


def write_scenes(path: Path, count: int) -> Path:
    """Write a JSON Lines file whose scenes are as long as real ones."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            entry = {
                "scene_id": f"scene_{number:06d}",
                "image_prompt": f"Medium shot {number} of a woman in a red coat in a library at "
                "night, tea on the table, warm light from a lamp, rain on the windows",
                "negative_prompt": "blurry, text",
                "characters_in_scene": ["anna"],
            }
            file.write(json.dumps(entry) + "\n")
    return path


def run_once(folder: Path, count: int, backend: str) -> None:
    """Make ``count`` scenes and see that all of them are in the manifest."""
    scenes = folder / f"{count}.jsonl"
    if not scenes.exists():
        write_scenes(scenes, count)
    out = folder / "out"
    options = RunOptions(
        scenes_path=scenes,
        out_dir=out,
        journal=out / "events.jsonl",
        max_in_flight=WORKERS,
        json_only=True,
    )
    report = run_pipeline(idle_plugin(folder), options, backend=backend)
    if report.exit_code != 0 or report.manifest["total_images"] != count:
        raise SystemExit(f"the run of {count} scenes went wrong: {report.manifest}")


def peak_rss_mb() -> float:
    """Give the most memory this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # where ru_maxrss begins with what the parent held
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def alone(count: int, backend: str) -> dict[str, float]:
    """Measure ``count`` scenes in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_once(folder, WARM_UP, backend)
        write_scenes(folder / f"{count}.jsonl", count)
        before_mb = peak_rss_mb()
        wall, cpu = time.perf_counter(), time.process_time()
        run_once(folder, count, backend)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {
            "wall_us": wall / count * 1e6,
            "cpu_us": cpu / count * 1e6,
            "growth_mb": peak_rss_mb() - before_mb,
        }


def in_fresh_process(count: int, backend: str) -> dict[str, float]:
    """Measure ``count`` scenes in a process of their own."""
    command = [sys.executable, __file__, "--alone", str(count), "--backend", backend]
    result = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    return cast("dict[str, float]", json.loads(result.stdout))


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Measure time per scene and growth of memory on both event loops.

    Args:
        quick: Take 2,000 scenes for many and one round, to see that it runs.
    """
    many, rounds = (2 * FEW, 1) if quick else (MANY, ROUNDS)
    rows: list[dict[str, Any]] = []
    for backend in ("asyncio", "trio"):
        small: list[dict[str, float]] = []
        large: list[dict[str, float]] = []
        for _ in range(rounds):  # in turn, because a shared machine is never equally fast twice
            small.append(in_fresh_process(FEW, backend))
            large.append(in_fresh_process(many, backend))
        row = {"backend": backend, "scenes": many, "rounds": rounds}
        for figure in ("wall_us", "cpu_us"):
            few_us = statistics.median(each[figure] for each in small)
            many_us = statistics.median(each[figure] for each in large)
            kind = figure.removesuffix("_us")
            rows += [
                row | _named(f"host {kind} per scene, {backend}", many_us, "us", None, few_us),
                row
                | _named(
                    f"host {kind} per scene, {many:,} over {FEW:,}, {backend}",
                    many_us / few_us,
                    "ratio",
                    MOST_RATIO,
                    1.0,
                ),
            ]
        growth_mb = max(each["growth_mb"] for each in large)
        name = f"memory growth of {many:,} scenes, {backend}"
        rows.append(row | _named(name, growth_mb, "MB", MOST_GROWTH_MB, None))
    return rows


def _named(
    name: str, value: float, unit: str, bound: float | None, peer: float | None
) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "bound": bound,
        "peer": None if peer is None else round(peer, 3),
    }


def profile(count: int, backend: str) -> None:
    """Print where the time of ``count`` scenes goes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_once(folder, WARM_UP, backend)
        write_scenes(folder / f"{count}.jsonl", count)
        profiler = cProfile.Profile()
        profiler.runcall(run_once, folder, count, backend)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="The host at 100,000 scenes.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--alone", type=int, metavar="SCENES")
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    options = parser.parse_args()
    if options.alone is not None:
        print(json.dumps(alone(options.alone, options.backend)))
    elif options.profile:
        profile(10_000, options.backend)
    else:
        for row in measure(quick=options.quick):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
