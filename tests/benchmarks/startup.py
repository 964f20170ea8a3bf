"""Measure what starting costs: CPU time of the commands that should answer at once.

Run ``python tests/benchmarks/startup.py [--quick]``. Beside them stands a bare interpreter, whose
own start is part of every figure. Each is the median of several rounds, in which all take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROUNDS = 7
HEAVY = ("httpx", "PIL", "rich", "resvg_py")


def host_stub() -> list[str]:
    """Return the installed command, or the module where there is only a checkout."""
    script = Path(sys.executable).with_name("host-stub")
    return [str(script)] if script.exists() else [sys.executable, "-m", "host_stub"]


def cases() -> list[tuple[str, list[str], float | None]]:
    """Return name, command and the most CPU seconds allowed."""
    python = [sys.executable, "-c"]
    return [
        ("python -c pass", [*python, "pass"], None),
        ("host-stub --help", [*host_stub(), "--help"], 0.25),
        ("host-stub plugins", [*host_stub(), "plugins"], 0.30),
        ("import stage3_plugin", [*python, "import stage3_plugin"], None),
        ("import stage3_plugin.hooks", [*python, "import stage3_plugin.hooks"], None),
    ]


def cpu_s(command: list[str]) -> float:
    """Return user and system time of one run, from its start to its end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[-1]!r} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def heavy_imports() -> list[str]:
    """Name the heavy libraries that importing the plugin's package brings in; there are none."""
    script = f"import sys, stage3_plugin; print(*sys.modules.keys() & {set(HEAVY)!r})"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.split()


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Measure each case in turn, round by round.

    Args:
        quick: Two rounds.
    """
    found: dict[str, list[float]] = {}
    for _ in range(2 if quick else ROUNDS):
        for name, command, _bound in cases():
            found.setdefault(name, []).append(cpu_s(command))
    bare_s = statistics.median(found["python -c pass"])
    rows: list[dict[str, Any]] = [
        {
            "name": f"CPU of {name}",
            "value": round(statistics.median(found[name]), 4),
            "unit": "s",
            "bound": bound,
            "peer": round(bare_s, 4),
        }
        for name, _, bound in cases()
    ]
    count = len(heavy_imports())
    name = f"heavy libraries ({', '.join(HEAVY)}) loaded by import stage3_plugin"
    return [*rows, {"name": name, "value": count, "unit": "modules", "bound": 0, "peer": None}]


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="What starting costs.")
    parser.add_argument("--quick", action="store_true")
    for row in measure(quick=parser.parse_args().quick):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
