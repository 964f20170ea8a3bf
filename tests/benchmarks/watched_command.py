"""A command of the host in a process of its own, and what it took: time, processor time, memory.

Run as ``python -m tests.benchmarks.watched_command MEASURED COMMAND…``; one JSON object goes to the
file ``MEASURED``. Memory is what was resident at most, once in all and once since the command was
loaded, so that imports are not taken for growth.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

ROOT = Path(__file__).resolve().parents[2]
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a command took.

    Attributes:
        wall_s: From its first line to its last; starting Python is not in it.
        cpu_s: Processor time of all its threads.
        peak_mb: The most memory that was resident.
        growth_mb: How much more that is than what it had when it was loaded.
        code: Its exit code.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    growth_mb: float
    code: int


def watched(
    folder: Path, *words: str, codes: tuple[int, ...] = (0,), environ: Mapping[str, str] = NONE
) -> Watched:
    """Run a command of the host in a folder.

    Args:
        folder: Where it runs; the config lies there.
        words: What comes after ``host-stub``.
        codes: How it may end.
        environ: Further variables of its environment.
    """
    with NamedTemporaryFile(dir=folder, suffix=".json") as file:
        with (folder / "said.txt").open("wb") as said:
            subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.watched_command", file.name, *words],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                stdout=said,
                stderr=subprocess.STDOUT,
                check=True,
            )
        found = Watched(**json.loads(Path(file.name).read_text(encoding="utf-8")))
    if found.code not in codes:
        text = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"host-stub {' '.join(words)} ended with {found.code}: {text[-2000:]}")
    return found


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


def main() -> None:
    """Run the command, and write down what it took."""
    from host_stub.cli import main as run

    loaded_mb, wall_s, cpu_s = peak_rss_mb(), time.perf_counter(), time.process_time()
    code = run(sys.argv[2:])
    peak_mb = peak_rss_mb()
    measured = Watched(
        wall_s=time.perf_counter() - wall_s,
        cpu_s=time.process_time() - cpu_s,
        peak_mb=peak_mb,
        growth_mb=peak_mb - loaded_mb,
        code=code,
    )
    Path(sys.argv[1]).write_text(json.dumps(asdict(measured)), encoding="utf-8")


if __name__ == "__main__":
    main()
