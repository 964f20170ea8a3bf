"""Measure replicas of a model class, one to four, as processes and on Ray; and 20,000 renders.

A render waits half a second and needs no core, as one on a GPU does; what is measured is how much
of the replicas' time is used, from the first render's beginning to the last one's end, and how soon
the first one begins. Beside it stands Python's own pool of as many. On Ray, the cluster is a head
and four nodes of one core each, all on this machine, and runs before the run begins. The 20,000
renders wait for nothing, and ask what grows: the driver, and each replica.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.engines import has_ray
from tests.benchmarks.watched_command import Watched, watched
from tests.engines import ray_cluster

REPLICAS, QUICK_REPLICAS = (1, 2, 3, 4), (1, 2)
RENDERS, QUICK_RENDERS = 24, 4
RENDER_S, QUICK_RENDER_S = 0.5, 0.1
LEAST_RATIO = {"processes": 3.8, "ray": 3.4}
"""What four replicas should come to, times one."""
MOST_BEGIN_S = 0.5
FEW, MANY = 1_000, 20_000
QUICK_FEW, QUICK_MANY = 20, 40
MOST_GROWTH_MB = 15
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a run of a model class took.

    Attributes:
        span_s: From the first render's beginning to the last one's end.
        began_s: From the stage's beginning to the first render's.
        resident_mb: What each replica had, time and again, in their order.
        watched: The driver.
    """

    span_s: float
    began_s: float
    resident_mb: list[list[float]]
    watched: Watched


def render(
    folder: Path, renders: int, executor: str, *, seconds: float, side_px: int = 64
) -> Rendered:
    """Render a story with a model class, as a whole command."""
    folder.mkdir()
    notes = folder / "notes"
    notes.mkdir()
    (folder / "host.toml").write_text(
        f"""
[plugin.stage3]
provider = "local"
model = "waiting"
model_class = "tests.benchmarks.waiting_model:Waiting"
model_args = {{ seconds = {seconds}, notes = "{notes}", side_px = {side_px} }}
executor = {{ {executor} }}
size = "{side_px}x{side_px}"
""",
        encoding="utf-8",
    )
    story = (
        json.dumps({"scene_id": f"scene_{one:06}", "prompt": f"a harbour, view {one}"})
        for one in range(renders)
    )
    (folder / "scenes.jsonl").write_text("\n".join(story), encoding="utf-8")
    environ = ray_cluster.environment() if "ray" in executor else {}
    driver = watched(folder, "run", "scenes.jsonl", "--json", environ=environ)
    written = [
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in sorted(notes.iterdir())
    ]
    all_ = [note for of_replica in written for note in of_replica]
    first_s = min((note["began_s"] for note in all_), default=0.0)
    return Rendered(
        span_s=max((note["ended_s"] for note in all_), default=0.0) - first_s,
        began_s=first_s - _started_s(folder / "out" / "events.jsonl"),
        resident_mb=[
            [note["resident_mb"] for note in of_replica if "resident_mb" in note]
            for of_replica in written
        ],
        watched=driver,
    )


def _started_s(journal: Path) -> float:
    """Return when the stage began."""
    with journal.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["event"] == "stage.started":
                return datetime.fromisoformat(event["timestamp"]).timestamp()
    raise SystemExit(f"no stage has started: {journal}")


def plain_s(replicas: int, renders: int, seconds: float) -> float:
    """Have Python's own pool wait as often."""
    with ProcessPoolExecutor(replicas) as pool:
        list(pool.map(time.sleep, [0.0] * replicas))  # all are there
        began_s = time.perf_counter()
        list(pool.map(time.sleep, [seconds] * renders))
        return time.perf_counter() - began_s


def in_step(folder: Path, kind: str, executor: str, *, quick: bool) -> list[Row]:
    """Measure one to four replicas of one kind."""
    renders, seconds = (QUICK_RENDERS, QUICK_RENDER_S) if quick else (RENDERS, RENDER_S)
    found: dict[int, Rendered] = {}
    plain: dict[int, float] = {}
    for replicas in QUICK_REPLICAS[1:] if quick else REPLICAS:
        place = folder / f"{kind}-{replicas}"
        wanted = f"{executor}, replicas = {replicas}"
        found[replicas] = render(place, renders, wanted, seconds=seconds)
        plain[replicas] = plain_s(replicas, renders, seconds)
    rows: list[Row] = []
    for replicas, one in found.items():
        name = f"{kind}, {replicas} replica{'s' * (replicas > 1)}"
        rows.append({
            "name": f"{renders} renders of {seconds} s, {name}",
            "value": round(one.span_s, 2),
            "unit": "s",
            "bound": None,
            "peer": {"Python's own pool": round(plain[replicas], 2)},
        })  # fmt: skip
        if replicas in {2, 4} and 1 in found:
            rows.append({
                "name": f"one replica's time over that of {name}",
                "value": round(found[1].span_s / one.span_s, 2),
                "unit": "",
                "bound": LEAST_RATIO[kind] if replicas == REPLICAS[-1] else None,
                "better": "more",
                "peer": {"Python's own pool": round(plain[1] / plain[replicas], 2)},
            })  # fmt: skip
    rows.append({
        "name": f"until the first render begins, {kind}",
        "value": round(statistics.median(one.began_s for one in found.values()), 2),
        "unit": "s",
        "bound": MOST_BEGIN_S if kind == "processes" else None,
        "peer": None,
    })  # fmt: skip
    return rows


def growth(folder: Path, *, quick: bool) -> list[Row]:
    """Measure what grows over many renders that take no time."""
    few, many = (QUICK_FEW, QUICK_MANY) if quick else (FEW, MANY)
    executor = 'kind = "processes", replicas = 2, gpus = 0'
    found = {
        count: render(folder / f"free-{count}", count, executor, seconds=0.0)
        for count in (few, many)
    }
    driver = {count: one.watched for count, one in found.items()}
    grown = [each[-1] - each[0] for each in found[many].resident_mb if len(each) > 1]
    rows: list[tuple[str, float, str, float | None, dict[str, float]]] = [
        (
            "CPU of the driver for each",
            driver[many].cpu_s / many * 1e3,
            "ms",
            None,
            {f"{few:,} renders": round(driver[few].cpu_s / few * 1e3, 2)},
        ),
        (
            "peak memory of the driver",
            driver[many].peak_mb,
            "MB",
            None,
            {f"{few:,} renders": round(driver[few].peak_mb, 2)},
        ),
        (
            f"memory of the driver more than {few:,} take",
            driver[many].peak_mb - driver[few].peak_mb,
            "MB",
            MOST_GROWTH_MB,
            {},
        ),
    ]
    if grown:
        rows.append(("growth of a replica", max(grown), "MB", MOST_GROWTH_MB, {}))
    return [
        {
            "name": f"{many:,} renders: {name}",
            "value": round(value, 2),
            "unit": unit,
            "bound": bound,
            "peer": peer,
        }
        for name, value, unit, bound, peer in rows
    ]


def measure(*, quick: bool) -> list[Row]:
    """Measure replicas of each kind that there is, and many renders."""
    with tempfile.TemporaryDirectory() as inner:
        rows = in_step(Path(inner), "processes", 'kind = "processes", gpus = 0', quick=quick)
        if has_ray():
            with ray_cluster.running() as cluster:
                for _ in REPLICAS:
                    cluster.add(1)
                executor = f'kind = "ray", address = "{cluster.address}"'
                rows += in_step(Path(inner), "ray", executor, quick=quick)
        return [*rows, *growth(Path(inner), quick=quick)]
