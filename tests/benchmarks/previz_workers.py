"""Compare the pool of workers with as many independent processes that draw the same pictures.

Run ``python tests/benchmarks/previz_workers.py [workers] [pictures]``. It prints both
throughputs and their ratio. The rounds alternate, because a shared machine is never equally fast
twice, and processes are started and warmed up before any is timed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.executors.processes import Processes
from stage3_plugin.renderers.previz import WORK, Previz

SIDE_PX = 1024
ROUNDS = 3
LEAST_RATIO = 0.9
PROMPTS = (
    "Medium shot of a woman in a red coat in a library at night, tea on the table",
    "Wide shot of two friends walking along the shore at sunset",
    "Close-up of an old man with glasses in a cafe, worried",
    "Establishing shot of a city at night in the rain",
    "中景，两人在茶馆相对而坐，茶杯，温暖",
    "远景，清晨的雪山，一位旅人",
)

ALONE = """
import sys, time
from pathlib import Path
from stage3_plugin.previz.cast import Cast
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.render import render

side_px, folder = int(sys.argv[1]), Path(sys.argv[2])
def draw(scene_id, prompt):
    png = render(Plate(scene_id, prompt), (side_px, side_px), Cast(), seed=0, caption=True)
    (folder / f"{scene_id}.png").write_bytes(png)
draw("warm-up", "a man in a library")
print("ready", flush=True)
for line in sys.stdin:
    scene_id, _, prompt = line.rstrip("\\n").partition("\\t")
    draw(scene_id, prompt)
"""


def scenes(count: int) -> list[tuple[str, str]]:
    """Return scene ids and prompts, the prompts in turn."""
    return [(f"scene_{number:03d}", PROMPTS[number % len(PROMPTS)]) for number in range(count)]


def independent_s(processes: int, count: int, folder: Path) -> float:
    """Time independent processes, each with its share of the pictures."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ALONE, str(SIDE_PX), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    started = time.perf_counter()
    for rank, process in enumerate(running):
        share = scenes(count)[rank::processes]
        assert process.stdin is not None
        process.stdin.write("".join(f"{scene_id}\t{prompt}\n" for scene_id, prompt in share))
        process.stdin.close()
    for process in running:
        process.wait()
    elapsed_s = time.perf_counter() - started
    for process in running:
        assert process.stdout is not None
        process.stdout.close()
    return elapsed_s


async def pool_s(workers: int, count: int, folder: Path) -> float:
    """Time the pool with all pictures asked for at once."""

    def request(scene_id: str, prompt: str) -> PictureRequest:
        return PictureRequest(scene_id=scene_id, prompt=prompt, width_px=SIDE_PX, height_px=SIDE_PX)

    async def draw(scene_id: str, prompt: str) -> None:
        await renderer.render(request(scene_id, prompt), folder / f"{scene_id}.png")

    async with Processes(WORK, workers) as executor:
        renderer = Previz(executor)
        async with anyio.create_task_group() as warming_up:
            for rank in range(workers):
                warming_up.start_soon(draw, f"warm-up-{rank}", "a man in a library")
        started = time.perf_counter()
        async with anyio.create_task_group() as drawing:
            for scene_id, prompt in scenes(count):
                drawing.start_soon(draw, scene_id, prompt)
        return time.perf_counter() - started


def measure(*, quick: bool, workers: int = 2, count: int = 12) -> list[dict[str, Any]]:
    """Run both in turn; the pool's throughput against that of independent processes.

    Args:
        quick: One round of few pictures.
        workers: Of the pool, and as many processes.
        count: Pictures in each round.
    """
    count = workers if quick else count
    alone: list[float] = []
    pooled: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(1 if quick else ROUNDS):
            alone.append(count / independent_s(workers, count, Path(name)))
            pooled.append(count / anyio.run(pool_s, workers, count, Path(name)))
    ratio = statistics.median(mine / other for mine, other in zip(pooled, alone, strict=True))
    pictures = f"pictures of {SIDE_PX}x{SIDE_PX} drawn"
    return [
        {
            "name": f"{pictures}, {workers} workers",
            "value": round(statistics.median(pooled), 2),
            "unit": "1/s",
            "bound": None,
            "peer": {f"{workers} independent processes": round(statistics.median(alone), 2)},
        },
        {
            "name": f"{pictures}, workers against independent processes",
            "value": round(ratio, 3),
            "unit": "",
            "bound": LEAST_RATIO,
            "better": "more",
            "peer": None,
        },
    ]


def main() -> None:
    """Measure and print a line per figure."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    for row in measure(quick=False, workers=workers, count=count):
        print(row)


if __name__ == "__main__":
    main()
