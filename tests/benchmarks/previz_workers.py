"""Compare the pool of workers with as many independent processes that draw the same pictures.

Run ``python tests/benchmarks/previz_workers.py [workers] [pictures]``. It prints both
throughputs, their ratio (0.9 is wanted) and the machine. The rounds alternate, because a shared
machine is never equally fast twice, and processes are started and warmed up before any is timed.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from stage3_plugin.providers.previz import Previz
from stage3_plugin.requests import PictureRequest

SIDE_PX = 1024
ROUNDS = 3
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
from stage3_plugin.providers.previz.cast import Cast
from stage3_plugin.providers.previz.plate import Plate
from stage3_plugin.providers.previz.render import render

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
    """Give scene ids and prompts, the prompts in turn."""
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

    async with Previz(workers=workers) as renderer:
        async with anyio.create_task_group() as warming_up:
            for rank in range(workers):
                warming_up.start_soon(draw, f"warm-up-{rank}", "a man in a library")
        started = time.perf_counter()
        async with anyio.create_task_group() as drawing:
            for scene_id, prompt in scenes(count):
                drawing.start_soon(draw, scene_id, prompt)
        return time.perf_counter() - started


def main() -> None:
    """Run both in turn and print what came out."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            alone = independent_s(workers, count, Path(folder))
            pool = anyio.run(pool_s, workers, count, Path(folder))
            ratios.append(alone / pool)
            print(
                f"{workers} independent processes {count / alone:.2f}/s, "
                f"{workers} workers {count / pool:.2f}/s, ratio {alone / pool:.3f}"
            )
    print(f"median ratio {statistics.median(ratios):.3f} ({count} pictures of {SIDE_PX}x{SIDE_PX})")
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )


if __name__ == "__main__":
    main()
