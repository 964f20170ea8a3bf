"""Measure how much memory a run takes whose scenes all show the same references.

Run ``python tests/benchmarks --only references``. 256 requests are in flight at once, and each
shows 14 pictures of 4 MB: twenty gigabytes of bodies, sent out of buffers that all share. A server
in a process of its own takes them without keeping them, and answers when all are there; each run is
a fresh process, and what is measured is that process with its workers. Before Gemini, whose whole
request has to stay below 20 MB, smaller copies are made first.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from PIL import Image

from tests.fakes.image_api import KEY

ROOT = Path(__file__).resolve().parents[2]
MOST_GROWTH_MB = 200.0
REFERENCES = 14
IN_FLIGHT, QUICK = 256, 8
SIDE_PX, QUICK_PX = 1160, 400
"""Of noise, a picture of 1,160 pixels a side has 4 MB."""
LEAST_BODY_BYTES = 5_000_000
"""Of a request that shows all of them, be they copies."""
BACKENDS = ("asyncio", "trio")
PROVIDERS: dict[str, dict[str, Any]] = {
    "openai": {"provider": "openai", "model": "gpt-image-2"},
    "gemini": {"provider": "gemini", "model": "gemini-3.1-flash-image"},
}
SETTINGS: dict[str, Any] = {
    "api_key": KEY,
    "size": "1024x1024",
    "adaptive": False,
    "max_attempts": 1,
    "timeout_s": 600,
}
Row: TypeAlias = dict[str, Any]


def noise(side_px: int, number: int) -> bytes:
    """Make a PNG that no compression makes smaller."""
    pixels = Random(number).randbytes(3 * side_px * side_px)
    file = io.BytesIO()
    Image.frombytes("RGB", (side_px, side_px), pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


class Server:
    """Awaits so many requests.

    Attributes:
        came_bytes: How many came in all; known behind its block.
    """

    def __init__(self, awaited: int) -> None:
        self.came_bytes = 0
        command = [sys.executable, "-m", "tests.benchmarks.reference_server", str(awaited)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> str:
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"

    def __exit__(self, *_: object) -> None:
        self.came_bytes = int(self._process.communicate()[0])


def run(folder: Path, images: list[Path], provider: str, backend: str, count: int) -> Row:
    """Have a run show all pictures with each of its scenes, in a fresh process."""
    server = Server(count)
    with Server(1) as warm_url, server as url:
        options = {
            "folder": str(folder),
            "backend": backend,
            "scenes": count,
            "warm_url": warm_url,
            "settings": {**SETTINGS, **PROVIDERS[provider], "base_url": url, "capacity": count},
            "cast": {path.stem: {"image": str(path), "always": True} for path in images},
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.reference_run", json.dumps(options)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, encoding="utf-8",
        )  # fmt: skip
    measured: Row = json.loads(done.stdout) | {"each_bytes": server.came_bytes // count}
    least = min(LEAST_BODY_BYTES, sum(image.stat().st_size for image in images))
    assert measured["made"] == count, measured
    assert measured["each_bytes"] > least, "the references were not sent"
    return measured


def measure(*, quick: bool) -> list[Row]:
    """Measure both shapes of a request, on both event loops.

    Args:
        quick: Few and small ones, to see that it runs.
    """
    count = QUICK if quick else IN_FLIGHT
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = [folder / f"reference-{number:02}.png" for number in range(REFERENCES)]
        for number, image in enumerate(images):
            image.write_bytes(noise(QUICK_PX if quick else SIDE_PX, number))
        each_mb = images[0].stat().st_size / 1e6
        for provider in PROVIDERS:
            for backend in BACKENDS:
                inner = folder / f"{provider}-{backend}"
                inner.mkdir()
                found = run(inner, images, provider, backend, count)
                print(f"{provider}, {backend}: {found}")
                what = f"{count} in flight with {REFERENCES} references of {each_mb:.1f} MB"
                rows.append(
                    {
                        "name": f"memory growth, {what}, {provider}, {backend}",
                        "value": round(found["growth_mb"]),
                        "unit": "MB",
                        "bound": None if quick else MOST_GROWTH_MB,
                        "peer": None,
                    }
                )
    return rows


def main() -> None:
    """Measure and print a line per figure."""
    for row in measure(quick="--quick" in sys.argv):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
