"""One run whose scenes all show the same references: how much memory it takes, workers and all.

Run by ``references.py`` as ``python -m tests.benchmarks.reference_run`` in a fresh process. The
options come as JSON on the command line; one JSON object goes to standard output.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import anyio

from host_stub.contract import Scene
from stage3_plugin.settings import Settings
from tests.stage3.running import Story, run_stage

_EVERY_S = 0.02


def _processes(process_id: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    yield process_id
    for task in Path(f"/proc/{process_id}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            yield from _processes(int(child))


def _resident_mb() -> float:
    """Add up what this process and its workers have in memory; what they share counts twice."""
    pages = 0
    for process_id in _processes(int(Path("/proc/self").readlink().name)):
        try:
            pages += int(Path(f"/proc/{process_id}/statm").read_text("ascii").split()[1])
        except OSError:  # it has just ended
            continue
    return pages * 4096 / 1e6


class Watch:
    """Looks again and again, in a thread, how much memory is taken.

    Attributes:
        peak_mb: The most that was seen.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(_EVERY_S):
            try:
                self.peak_mb = max(self.peak_mb, _resident_mb())
            except OSError:  # a process has just ended
                continue


async def run(options: dict[str, Any], settings: dict[str, Any], folder: Path, name: str) -> int:
    """Buy the scenes of one story at once, and return how many were made."""
    folder.mkdir()
    count = options["scenes"] if name == "run" else 1
    names = [f"{name}-{number:03}" for number in range(count)]
    ran = await run_stage(
        Settings(**settings),
        Story([Scene(scene_id=one, prompt=f"{one}: a harbour at dusk") for one in names]),
        folder,
    )
    return sum(ran.code(one) == "made" for one in names)


async def measured(options: dict[str, Any]) -> dict[str, float]:
    """Run once without references, so that everything is imported, and then watched."""
    folder = Path(options["folder"])
    plain = options["settings"] | {"base_url": options["warm_url"]}
    await run(options, plain, folder / "warm", "warm")
    before_mb, began = _resident_mb(), time.perf_counter()
    showing = options["settings"] | {"cast": options["cast"]}
    with Watch() as watch:
        made = await run(options, showing, folder / "run", "run")
    return {
        "growth_mb": watch.peak_mb - before_mb,
        "made": made,
        "took_s": time.perf_counter() - began,
    }


def main() -> None:
    """Run what the command line orders, and print what was measured."""
    chosen: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(anyio.run(measured, chosen, backend=chosen["backend"])))


if __name__ == "__main__":
    main()
