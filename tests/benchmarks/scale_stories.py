"""Measure what a story of a million scenes takes to be planned: time for each, and memory in all.

The whole command runs, in a process of its own for each length; nothing is bought. The plain way
reads the same lines with ``json`` and does nothing with them.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.bought import CONFIG
from tests.benchmarks.watched_command import Watched, watched

LENGTHS, QUICK_LENGTHS = (20_000, 1_000_000), (200, 1_000)
MOST_BYTES = 100
"""What the host keeps of each scene, to know the file again: digests, and where its line begins."""
MOST_RATIO = 1.3
Row = dict[str, Any]


def plan(folder: Path, scenes: int) -> tuple[Watched, float]:
    """Plan a story; return what it took, and the seconds in which ``json`` reads it."""
    folder.mkdir()
    (folder / "host.toml").write_text(CONFIG, encoding="utf-8")
    path = folder / "scenes.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(scenes):
            scene = {"scene_id": f"scene_{number:07}", "prompt": f"a harbour, view {number}"}
            file.write(json.dumps(scene) + "\n")
    began_s = time.perf_counter()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    plain_s = time.perf_counter() - began_s
    return watched(folder, "plan", path.name, "--json"), plain_s


def measure(*, quick: bool) -> list[Row]:
    """Plan a short story and a long one."""
    short, long = QUICK_LENGTHS if quick else LENGTHS
    with tempfile.TemporaryDirectory() as inner:
        few, _ = plan(Path(inner, "few"), short)
        many, many_s = plan(Path(inner, "many"), long)

    each_us = {count: one.cpu_s / count * 1e6 for count, one in ((short, few), (long, many))}
    ratio = each_us[long] / each_us[short]
    more_bytes = (many.peak_mb - few.peak_mb) * 2**20 / (long - short)
    alone_us = many_s / long * 1e6
    return [
        _row(f"plan of {long:,} scenes: {name}", value, unit, bound, peers)
        for name, value, unit, bound, peers in (
            ("time", many.wall_s, "s", None, {"json alone": many_s}),
            ("CPU per scene", each_us[long], "us", None, {"json alone": alone_us}),
            (f"CPU per scene, against {short:,}", ratio, "", MOST_RATIO, {}),
            ("peak memory", many.peak_mb, "MB", None, {f"{short:,} scenes": few.peak_mb}),
            ("memory for each further scene", more_bytes, "bytes", MOST_BYTES, {}),
        )
    ]


def _row(
    name: str, value: float, unit: str, bound: float | None, peers: Mapping[str, float]
) -> Row:
    peer = {other: round(than, 2) for other, than in peers.items()}
    return {"name": name, "value": round(value, 2), "unit": unit, "bound": bound, "peer": peer}
