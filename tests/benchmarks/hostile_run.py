"""One run of the stage, watched: how late its event loop is, and how much memory it takes.

Run by ``hostile.py`` in a fresh process each, so that what is measured is that run alone. The
options come as JSON on the command line; one JSON object goes to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from host_stub.contract import Scene
from stage3_plugin.settings import Settings
from tests.stage3.running import Story, run_stage

PROBE_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured, of this process alone.

    Attributes:
        lag_p99_ms: Of all moments that something could have been due, all but one in a hundred had
            to wait no longer than this. A loop that stands still for a second is late for whatever
            was due in it, so that counts as a thousand moments and not as one.
        lag_max_ms: The longest that it stood still.
        growth_mb: How much more memory was resident, at most, than before the run.
        ends: How the scenes ended.
        took_s: How long it took.
    """

    lag_p99_ms: float
    lag_max_ms: float
    growth_mb: float
    ends: dict[str, int]
    took_s: float


@dataclass(slots=True)
class Probe:
    """Looks every millisecond how late it is."""

    late_s: list[float]

    async def run(self) -> None:
        """Look until cancelled."""
        due = time.perf_counter() + PROBE_S
        while True:
            await anyio.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            while due <= now:
                self.late_s.append(now - due)
                due += PROBE_S


async def run(options: dict[str, Any], folder: Path) -> dict[str, int]:
    """Buy the scenes of one story, as many at a time as there are."""
    names = [f"{options['story']}-{number:03}" for number in range(options["scenes"])]
    ran = await run_stage(
        Settings(**options["settings"]),
        Story([Scene(scene_id=name, prompt=f"{name}: a harbour at dusk") for name in names]),
        folder,
    )
    ends: dict[str, int] = {}
    for name in ran.outcomes:
        ends[ran.code(name)] = ends.get(ran.code(name), 0) + 1
    return ends


async def measured(options: dict[str, Any]) -> Measured:
    """Run once unwatched, so that everything is imported, and then watched."""
    folder = Path(options["folder"])
    await run({**options, "scenes": 1, "story": "warm"}, folder / "warm")
    before_mb, probe = memory_mb("VmRSS"), Probe([])
    forget_peak()
    began, ends = time.perf_counter(), dict[str, int]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(probe.run)
        ends |= await run(options, folder / "run")
        await anyio.sleep(2 * PROBE_S)  # until it has seen how late the end was
        tasks.cancel_scope.cancel()
    took_s = time.perf_counter() - began
    late_s = sorted(probe.late_s)
    return Measured(
        lag_p99_ms=late_s[int(len(late_s) * 0.99)] * 1e3,
        lag_max_ms=late_s[-1] * 1e3,
        growth_mb=memory_mb("VmHWM") - before_mb,
        ends=ends,
        took_s=took_s,
    )


def forget_peak() -> None:
    """Let the system begin anew with what it knows of the most memory that was resident."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory_mb(field: str) -> float:
    """Read the system's own books."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1000
    raise LookupError(field)


def main() -> None:
    """Run what the command line orders, and print what was measured."""
    chosen: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(asdict(anyio.run(measured, chosen, backend=chosen["backend"]))))
