"""Measure how many pictures a second one driver takes in: small ones, and those of 3 MB.

Run ``python -m tests.benchmarks.scale_driver [--quick] [--folder DIR]`` from the top of the
checkout; the folder should lie on the disk that is asked about. The whole command runs, with its
journal, its manifest, a ledger at ``synchronous=FULL`` and a cap, before a loopback API that takes
0.2 s for each picture, in a process of its own. The plain way (gather, a semaphore, ``.json()``,
``b64decode``, a durable write, and no books at all) gets the same answers in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.replies import Bench, Measured, answer
from tests.benchmarks.watched_command import Watched, watched

ROUNDS = 3
IN_FLIGHT = 64
DELAY_S = 0.2
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """What is bought.

    Attributes:
        told: In words.
        side_px: Width and height, of the small one, or of the picture of 3 MB.
        pictures: How many.
        tls: Whether over TLS.
        least_per_s: What one driver was said to take in.
    """

    told: str
    size_px: tuple[int, int]
    pictures: int
    tls: bool = False
    least_per_s: float | None = None


CASES = (
    Case("64 px", (64, 64), 2_000, least_per_s=100),
    Case("3 MB", (1536, 1150), 400, least_per_s=20),
    Case("3 MB over TLS", (1536, 1150), 400, tls=True, least_per_s=20),
)
QUICK_CASES = (Case("0.2 MB", (256, 256), 64),)


def config(url: str) -> str:
    """Return the settings of a driver that buys at an address."""
    base_url = url.removesuffix("/images/generations")
    return f"""
[plugin.stage3]
provider = "openai"
model = "gpt-image-2"
base_url = "{base_url}"
price_usd = "0.04"
total_usd = "1000"
capacity = {IN_FLIGHT}
size = "64x64"
"""


def drive(folder: Path, url: str, pictures: int, trust: Path | None) -> Watched:
    """Have one driver make a story."""
    folder.mkdir()
    (folder / "host.toml").write_text(config(url), encoding="utf-8")
    scenes = (
        json.dumps({"scene_id": f"scene_{number:06}", "prompt": f"a harbour, view {number}"})
        for number in range(pictures)
    )
    (folder / "scenes.jsonl").write_text("\n".join(scenes), encoding="utf-8")
    environ = {} if trust is None else {"SSL_CERT_FILE": str(trust)}
    return watched(folder, "run", "scenes.jsonl", "--json", environ=environ)


def measure(*, quick: bool, folder: Path | None = None) -> list[Row]:
    """Measure each kind of picture, ours and the plain way taking turns.

    Args:
        quick: Small numbers, to see that it runs.
        folder: Where pictures are written; none is the system's place for passing files.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        bench = Bench(Path(inner))
        for case in QUICK_CASES if quick else CASES:
            ours: list[Watched] = []
            plain: list[Measured] = []
            body = answer(*case.size_px, 32)
            with bench.serving(body, tls=case.tls, delay_s=DELAY_S) as url:
                for round_ in range(1 if quick else ROUNDS):
                    asked: dict[str, Any] = {"pictures": case.pictures, "in_flight": IN_FLIGHT}
                    plain.append(bench.run("plain", url, **asked))
                    place = Path(inner, f"{case.told}-{round_}".replace(" ", "-"))
                    trust = Path(inner, "trust.pem") if case.tls else None
                    ours.append(drive(place, url, case.pictures, trust))
            rows += _rows(case, ours, plain)
    return rows


def _rows(case: Case, ours: list[Watched], plain: list[Measured]) -> list[Row]:
    count, name = case.pictures, f"{case.told}, {IN_FLIGHT} in flight"
    rate = statistics.median(count / one.wall_s for one in ours)
    cpu_ms = statistics.median(one.cpu_s / count for one in ours) * 1e3
    peak_mb = statistics.median(one.peak_mb for one in ours)
    other = {name: statistics.median(one[name] for one in plain) for name in plain[0]}
    figures: tuple[tuple[str, str, float, float | None, float], ...] = (
        (
            "pictures a second, whole command",
            "1/s",
            rate,
            case.least_per_s,
            count / other["wall_s"],
        ),
        ("CPU per picture", "ms", cpu_ms, None, other["cpu_ms"]),
        ("peak memory", "MB", peak_mb, None, other["peak_mb"]),
    )
    return [
        {
            "name": f"{told}: {name}",
            "value": round(value, 2),
            "unit": unit,
            "bound": bound,
            "better": "more" if unit == "1/s" else "less",
            "peer": {"plain": round(than, 2)},
        }
        for told, unit, value, bound, than in figures
    ]


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="What one driver takes in.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    options = parser.parse_args()
    for row in measure(quick=options.quick, folder=options.folder):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
