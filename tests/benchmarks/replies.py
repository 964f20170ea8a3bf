"""Measure what one reply costs: processor time, memory, lateness of the loop, and a full house.

Run ``python tests/benchmarks/replies.py [--quick] [--folder DIR]``; the folder should lie on the
disk that is asked about. A server in a process of its own answers over loopback; each way of
getting pictures runs in a fresh process, and what is measured is that process alone. The plain way
is gather, semaphore, ``.json()``, ``b64decode`` and a durable write. The ways take turns, because
a shared machine is never equally fast twice; figures are medians. The picture is as hard to inflate
as a photograph of its size.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import trustme
from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
Measured: TypeAlias = dict[str, float]
Row: TypeAlias = dict[str, Any]

ARRIVING = {
    "plain": ("plain", "durable"),
    "default": ("default", "durable"),
    "default, checked and published": ("default", "whole"),
}
BOUNDS = {"default": 0.40}


def photograph(width_px: int, height_px: int, grain: int) -> bytes:
    """Make a PNG of soft colours and grain, which compresses as photographs do: to about half."""
    chance = Random(7)
    bands: list[Image.Image] = []
    for _ in range(3):
        coarse = (width_px // 32, height_px // 32)
        soft = Image.frombytes("L", coarse, chance.randbytes(coarse[0] * coarse[1]))
        soft = soft.resize((width_px, height_px), Image.Resampling.BICUBIC)  # pyright: ignore[reportUnknownMemberType] - its types name numpy
        levels = bytes(value * grain // 256 for value in range(256))
        noise = chance.randbytes(width_px * height_px).translate(levels)
        bands.append(ImageChops.add(soft, Image.frombytes("L", soft.size, noise), 2))
    file = io.BytesIO()
    Image.merge("RGB", bands).save(file, "PNG")
    return file.getvalue()


def answer(width_px: int, height_px: int, grain: int) -> bytes:
    """Make the body of an answer with one picture."""
    return answer_with(photograph(width_px, height_px, grain))


def answer_with(picture: bytes) -> bytes:
    """Make the body of an answer with this picture."""
    encoded = base64.b64encode(picture).decode()
    return json.dumps({"created": 1_780_000_000, "data": [{"b64_json": encoded}]}).encode()


class Bench:
    """A folder with what the processes need."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
        (folder / "trust.pem").write_bytes(authority.cert_pem.bytes())
        (folder / "server.pem").write_bytes(certificate.bytes())
        self._bodies = 0

    @contextmanager
    def serving(self, body: bytes, *, tls: bool, **options: Any) -> Generator[str]:
        """Run a server and return its address."""
        self._bodies += 1
        path = self._folder / f"body-{self._bodies}"
        path.write_bytes(body)
        options |= {"body": str(path)}
        if tls:
            options["certificate"] = str(self._folder / "server.pem")
        with subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.reply_server", json.dumps(options)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        ) as server:  # fmt: skip
            assert server.stdin is not None
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1/images/generations"
            server.stdin.close()

    def run(self, way: str, url: str, **options: Any) -> Measured:
        """Run one way in a fresh process and return what it measured.

        Its files are emptied and stay until the end: an ext4 without a journal does not use what
        was deleted in the last minutes, so whoever makes files next would pay for our tidying.
        """
        results = tempfile.mkdtemp(dir=self._folder)
        options |= {"way": way, "url": url, "folder": results}
        if url.startswith("https"):
            options["trust"] = str(self._folder / "trust.pem")
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.reply_ways", json.dumps(options)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, encoding="utf-8",
        )  # fmt: skip
        for path in Path(results).rglob("*"):
            if path.is_file():
                os.truncate(path, 0)
        measured: Measured = json.loads(done.stdout)
        return measured


def row(name: str, value: float, unit: str, bound: float | None, peer: float | None) -> Row:
    """Make a row of the table; more than ``bound`` is too much."""
    return {"name": name, "value": value, "unit": unit, "bound": bound, "peer": peer}


def cost(bench: Bench, *, quick: bool) -> list[Row]:
    """Measure processor time per picture and lateness of the loop, 64 in flight over TLS."""
    found: dict[str, list[Measured]] = {name: [] for name in ARRIVING}
    body = answer(256, 256, 16) if quick else answer(1536, 1024, 16)
    with bench.serving(body, tls=True) as url:
        for _ in range(1 if quick else ROUNDS):
            for name, (way, work) in ARRIVING.items():
                pictures = 16 if quick else 192
                found[name].append(bench.run(way, url, pictures=pictures, in_flight=64, work=work))
    cpu = {name: _median(all_, "cpu_ms") for name, all_ in found.items()}
    lag = {name: _median(all_, "lag_p99_ms") for name, all_ in found.items()}
    rows = [
        row(f"CPU per picture, TLS, {name}", round(cpu[name], 1), "ms", None, None)
        for name in ARRIVING
    ]
    for name in list(ARRIVING)[1:]:
        ratio = round(cpu[name] / cpu["plain"], 2)
        bound = BOUNDS.get(name)
        rows.append(row(f"CPU against the plain way, {name}", ratio, "", bound, 1.0))
    for name in list(ARRIVING)[1:]:
        late, plain = round(lag[name], 1), round(lag["plain"], 1)
        rows.append(row(f"loop lag p99, {name}", late, "ms", round(plain / 2, 1), plain))
    return rows


def memory(bench: Bench, *, quick: bool) -> list[Row]:
    """Measure peak memory while 256 replies of 4.2 MB arrive at once."""
    count = 16 if quick else 256
    body = answer(256, 256, 32) if quick else answer(1536, 1150, 32)
    rows: list[Row] = []
    for tls in (False, True):
        peaks: dict[str, float] = {}
        for way, work in (("plain", "durable"), ("default", "whole")):
            with bench.serving(body, tls=tls, together=count) as url:
                measured = bench.run(way, url, pictures=count, in_flight=count, work=work)
                peaks[way] = round(measured["peak_mb"])
        name = f"peak memory, {count} x {len(body) / 1e6:.1f} MB at once{', TLS' if tls else ''}"
        rows.append(row(name, peaks["default"], "MB", 150, peaks["plain"]))
    return rows


def full_house(bench: Bench, *, quick: bool) -> list[Row]:
    """Measure how long a reply of 1 s takes with 512 in flight, three times all in step.

    Then one of 20 s, as pictures take: a pool that collapses would do so then, too.
    """
    count = 32 if quick else 512
    rows: list[Row] = []
    for delay_s, times, most_s, tls in (
        (1.0, 3, 1.5, False),
        (1.0, 3, None, True),
        (20.0, 1, 20.5, False),
    ):
        for backend in ("asyncio", "trio"):
            waits_s = delay_s / 20 if quick else delay_s
            with bench.serving(b'{"data":[]}', tls=tls, delay_s=waits_s) as url:
                took = bench.run(
                    "default", url, pictures=times * count, in_flight=count, work="nothing",
                    backend=backend,
                )  # fmt: skip
            name = f"p50 of a {waits_s:g} s reply, {count} in flight, {backend}"
            name += ", TLS" if tls else ""
            bound = None if quick else most_s
            rows.append(row(name, round(took["p50_s"], 2), "s", bound, None))
            rows.append(row(name.replace("p50", "CPU"), round(took["cpu_ms"], 2), "ms", None, None))
    return rows


def _median(all_: list[Measured], field: str) -> float:
    return statistics.median(measured[field] for measured in all_)


def measure(*, quick: bool, folder: Path | None = None) -> list[Row]:
    """Measure everything.

    Args:
        quick: Small numbers, to see that it runs.
        folder: Where pictures are written; none is the system's place for passing files.
    """
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        bench = Bench(Path(inner))
        rows = cost(bench, quick=quick)
        rows += memory(bench, quick=quick)
        rows += full_house(bench, quick=quick)
    return rows


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="What one reply costs.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    for each in measure(quick=arguments.quick, folder=arguments.folder):
        print(json.dumps(each))


if __name__ == "__main__":
    main()
