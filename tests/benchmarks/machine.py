"""On what the benchmarks ran: the machine, how busy it was, and the versions that matter.

Apart from the table, because a figure without its machine says nothing, and because everything here
is read from the system and none of it is measured.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "stage3-plugin", "anyio", "trio", "httpx", "httpcore", "pydantic", "structlog", "pluggy",
    "Pillow", "resvg-py", "pybase64", "isal", "openai",
)  # fmt: skip


def machine() -> dict[str, str]:
    """Return CPU, cores, memory and system, as far as the system reports them."""
    return {
        "CPU": _first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries used, as far as they are installed."""
    found = {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL ").split()[0],
    }
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def load() -> float | None:
    """Return how many processes wanted a core in the last minute, where the system counts them."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _memory() -> str:
    kilobytes = _first("/proc/meminfo", "MemTotal")
    return f"{int(kilobytes.split()[0]) / 2**20:.0f} GiB" if kilobytes else "not told"


def _first(path: str, field: str) -> str | None:
    """Return a field of one of Linux's tables, the first there is."""
    table = Path(path)
    if not table.exists():
        return None
    for line in table.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None
