"""One run of the stage in a process of its own, and how much memory it takes.

Run as ``python -m tests.hostile.watched_run``; the options come as JSON on the command line, and
what was found goes to standard output as a number of megabytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio

from host_stub.contract import Scene
from stage3_plugin.settings import Settings
from tests.stage3.running import Story, run_stage


async def run(options: dict[str, Any], folder: Path, *, story: str, scenes: int) -> None:
    """Buy the scenes of one story, as many at a time as there are."""
    names = [f"{story}-{number:03}" for number in range(scenes)]
    await run_stage(
        Settings(**options["settings"]),
        Story([Scene(scene_id=name, prompt=f"{name}: a harbour at dusk") for name in names]),
        folder,
    )


async def growth_mb(options: dict[str, Any]) -> float:
    """Run once, so that everything is imported, and then see what a run takes."""
    folder = Path(options["folder"])
    await run(options, folder / "warm", story="warm", scenes=1)
    before_mb = memory_mb("VmRSS")
    forget_peak()
    await run(options, folder / "run", story=options["story"], scenes=options["scenes"])
    return memory_mb("VmHWM") - before_mb


def forget_peak() -> None:
    """Let the system begin anew with what it knows of the most memory that was resident."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory_mb(field: str) -> float:
    """Read the system's own books."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1000
    raise LookupError(field)


if __name__ == "__main__":
    print(anyio.run(growth_mb, json.loads(sys.argv[1])))
