"""Measure 1,000 and 100,000 scenes through renderers that do nothing: time and memory per scene.

Run ``python tests/benchmarks/scale.py [--quick] [--profile]``. The scenes come from a JSON Lines
file; journal and manifest are written. Once the host is measured alone, on both event loops, once
with Stage3, whose ledger and store sync to the disk: there only CPU time says something of ours.
Every figure comes from a fresh process, which first makes a few scenes so that imports and first
calls are not counted. ``--profile`` prints where the time of 10,000 scenes goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from host_stub.plugins.selection import SelectedPlugin
from host_stub.run.pipeline import RunOptions, run_pipeline
from tests.benchmarks.idle import WORKERS, idle_plugin, idle_stage3, write_scenes

FEW, MANY = 1_000, 100_000
ROUNDS = 3
WARM_UP = 200
MOST_GROWTH_MB = 30
MOST_RATIO = 1.2
PLUGINS: dict[str, Callable[[Path], AbstractContextManager[SelectedPlugin]]] = {
    "host": idle_plugin,
    "stage3": idle_stage3,
}
CASES = (("host", "asyncio", ROUNDS), ("host", "trio", ROUNDS), ("stage3", "asyncio", 1))


def run_once(folder: Path, count: int, plugin: str, backend: str) -> None:
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
    with PLUGINS[plugin](folder) as selected:
        report = run_pipeline(selected, options, backend=backend)
    if report.exit_code != 0 or report.manifest["total_images"] != count:
        raise SystemExit(f"the run of {count} scenes went wrong: {report.manifest}")


def peak_rss_mb() -> float:
    """Return the most memory this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # where ru_maxrss begins with what the parent held
        line = next(
            line
            for line in status.read_text(encoding="ascii").splitlines()
            if line.startswith("VmHWM")
        )
        return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def alone(count: int, plugin: str, backend: str) -> dict[str, float]:
    """Measure ``count`` scenes in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_once(folder, WARM_UP, plugin, backend)
        write_scenes(folder / f"{count}.jsonl", count)
        before_mb = peak_rss_mb()
        wall, cpu = time.perf_counter(), time.process_time()
        run_once(folder, count, plugin, backend)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {
            "wall_us": wall / count * 1e6,
            "cpu_us": cpu / count * 1e6,
            "growth_mb": peak_rss_mb() - before_mb,
        }


def in_fresh_process(count: int, plugin: str, backend: str) -> dict[str, float]:
    """Measure ``count`` scenes in a process of their own."""
    command = [sys.executable, __file__, "--alone", str(count)]
    command += ["--plugin", plugin, "--backend", backend]
    result = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    return cast("dict[str, float]", json.loads(result.stdout))


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Measure time per scene and growth of memory, host and Stage3.

    Args:
        quick: Take 2,000 scenes for many and one round, to see that it runs.
    """
    many = 2 * FEW if quick else MANY
    rows: list[dict[str, Any]] = []
    for plugin, backend, rounds in CASES:
        small: list[dict[str, float]] = []
        large: list[dict[str, float]] = []
        for _ in range(1 if quick else rounds):
            # In turn, because a shared machine is never equally fast twice.
            small.append(in_fresh_process(FEW, plugin, backend))
            large.append(in_fresh_process(many, plugin, backend))
        rows += _rows(f"{plugin}, {backend}", many, small, large)
    return rows


def _rows(
    case: str, many: int, small: list[dict[str, float]], large: list[dict[str, float]]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for kind in ("wall", "cpu"):
        few_us = statistics.median(each[f"{kind}_us"] for each in small)
        many_us = statistics.median(each[f"{kind}_us"] for each in large)
        ratio = f"{kind} per scene, {many:,} scenes over {FEW:,} ({case})"
        bound = MOST_RATIO if kind == "cpu" else None
        rows += [
            _named(f"{kind} per scene ({case})", many_us, "us", None, few_us),
            _named(ratio, many_us / few_us, "ratio", bound, 1.0),
        ]
    growth_mb = max(each["growth_mb"] for each in large)
    name = f"memory growth of {many:,} scenes ({case})"
    return [*rows, _named(name, growth_mb, "MB", MOST_GROWTH_MB, None)]


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


def profile(count: int, plugin: str, backend: str) -> None:
    """Print where the time of ``count`` scenes goes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_once(folder, WARM_UP, plugin, backend)
        write_scenes(folder / f"{count}.jsonl", count)
        profiler = cProfile.Profile()
        profiler.runcall(run_once, folder, count, plugin, backend)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="The host at 100,000 scenes.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--alone", type=int, metavar="SCENES")
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    parser.add_argument("--plugin", choices=tuple(PLUGINS), default="host")
    options = parser.parse_args()
    if options.alone is not None:
        print(json.dumps(alone(options.alone, options.plugin, options.backend)))
    elif options.profile:
        profile(10_000, options.plugin, options.backend)
    else:
        for row in measure(quick=options.quick):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
