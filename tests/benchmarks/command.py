"""Measure what a user pays for the command: CPU, memory and disk of the whole process.

Run ``python tests/benchmarks/command.py [--quick] [--folder DIR]`` from the top of the checkout, on
a quiet machine. Each command is timed from its start to its end, with its children, in an
environment into which this checkout alone was installed, and in a fresh folder. The plain client
(``plain_client.py``) gets the same pictures from the same server, in turn.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.benchmarks.engines import lacking
from tests.benchmarks.pictures import answer, answer_with, serving

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Path(__file__).with_name("plain_client.py")
IN_FLIGHT = 16
ROUNDS = 3
NOT_A_USERS = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"})
"""Who sets the first compiles all that is imported at each start: it doubles the cost of a plan."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a process and its children took.

    Attributes:
        cpu_s: Processor time.
        peak_mb: The most memory that one of them had at once.
        written_bytes: To a disk; 0 where there is none below the folder.
    """

    cpu_s: float
    peak_mb: float
    written_bytes: int


def timed(command: Sequence[str | Path], folder: Path) -> Took:
    """Run a command to its end in a folder; 1 means that it did not do what it was asked for."""
    ours = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=ours, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said_last = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise SystemExit(f"{command} ended with {process.returncode}: {said_last}")
    return Took(
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss / 1024,
        written_bytes=used.ru_oublock * 512,
    )


class Installed:
    """A Python into which the checkout was installed, and stories for it.

    Args:
        python: It.
        folder: Where each run gets a fresh folder.
    """

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self._folder = folder

    def story(self, scenes: int, *, url: str = "", in_flight: int = IN_FLIGHT) -> Path:
        """Begin a fresh folder with a config and a story; without a ``url``, of storyboards."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        paid = [
            'provider = "openai"',
            'model = "gpt-image-2"',
            f'base_url = "{url.removesuffix("/images/generations")}"',
            'price_usd = "0.04"',
            'total_usd = "1000"',
            f"capacity = {in_flight}",
        ]
        lines = ["[plugin.stage3]", 'size = "1024x1024"', *(paid if url else [])]
        (folder / "host.toml").write_text("\n".join(lines), encoding="utf-8")
        story = (
            json.dumps({"scene_id": f"s{number:06}", "prompt": f"a harbour, view {number}"})
            for number in range(scenes)
        )
        (folder / "scenes.jsonl").write_text("\n".join(story), encoding="utf-8")
        return folder

    def command(self, *words: str) -> list[str | Path]:
        """Return a command of the host."""
        return [self.python, "-m", "host_stub", *words]

    def run(self, folder: Path, *words: str) -> Took:
        """Run a command of the host to its end."""
        return timed(self.command(*words), folder)

    def plain(self, url: str, pictures: int) -> Took:
        """Run the plain client in a fresh folder."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return timed([self.python, PLAIN, url, folder, f"{pictures}", f"{IN_FLIGHT}"], folder)


def small_picture() -> bytes:
    """Draw a picture of 1024x1024 that takes few bytes."""
    picture = Image.new("RGB", (1024, 1024), "navy")
    pen = ImageDraw.Draw(picture)
    for number in range(40):
        pen.ellipse((number * 12, number * 9, 1024 - number * 11, 1024 - number * 7), number * 6421)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def row(name: str, value: float, unit: str, bound: float | None, peer: float | None = None) -> Row:
    """Make a row of the table; more than ``bound`` is too much."""
    return {"name": name, "value": value, "unit": unit, "bound": bound, "peer": peer}


def large(place: Path, installed: Installed, *, quick: bool) -> list[Row]:
    """Measure 200 pictures of 1.5 MB beside the plain client."""
    count = 16 if quick else 200
    ours: list[Took] = []
    plain: list[Took] = []
    with serving(place, answer(1024, 1024, 32), delay_s=0.2) as url:
        for _ in range(1 if quick else ROUNDS):
            plain.append(installed.plain(url, count))
            ours.append(installed.run(installed.story(count, url=url), "run", "scenes.jsonl"))
    cpu_s, plain_s = _median(ours, "cpu_s"), _median(plain, "cpu_s")
    name = f"{count} scenes of 1.5 MB, {IN_FLIGHT} at a time"
    peak_mb, plain_mb = _median(ours, "peak_mb"), _median(plain, "peak_mb")
    return [
        row(f"CPU of {name}", round(cpu_s, 2), "s", None, round(plain_s, 2)),
        row(f"CPU against the plain client, {name}", round(cpu_s / plain_s, 2), "", 1.35, 1.0),
        row(f"peak memory, {name}", round(peak_mb, 1), "MB", 85, round(plain_mb, 1)),
    ]


def small(place: Path, installed: Installed, *, quick: bool) -> list[Row]:
    """Measure 1,000 small pictures of 50 ms, and what taking their story up again costs."""
    count = 40 if quick else 1_000
    picture = small_picture()
    ours: list[Took] = []
    plain: list[Took] = []
    again: list[Took] = []
    with serving(place, answer_with(picture), delay_s=0.05) as url:
        for _ in range(1 if quick else ROUNDS):
            plain.append(installed.plain(url, count))
            folder = installed.story(count, url=url)
            ours.append(installed.run(folder, "run", "scenes.jsonl"))
            again.append(installed.run(folder, "run", "scenes.jsonl"))
        rows = _system_calls(installed, url, quick=quick)
    one = installed.story(1, url=url)
    start_s = statistics.median(
        installed.run(one, "plan", "scenes.jsonl").cpu_s for _ in range(ROUNDS)
    )
    name = f"small scene, {IN_FLIGHT} at a time"
    cpu_ms = _median(ours, "cpu_s") / count * 1e3
    plain_ms = _median(plain, "cpu_s") / count * 1e3
    again_ms = (_median(again, "cpu_s") - start_s) / count * 1e3
    written = _median(ours, "written_bytes") / count / len(picture)
    return [
        row(f"CPU a {name}", round(cpu_ms, 2), "ms", 9, round(plain_ms, 2)),
        row(
            f"peak memory, {count} small scenes",
            round(_median(ours, "peak_mb"), 1),
            "MB",
            None,
            round(_median(plain, "peak_mb"), 1),
        ),
        row("CPU a scene of a finished story taken up again", round(again_ms, 2), "ms", 0.8),
        row(f"bytes written against the picture's {len(picture):,}", round(written, 1), "", None),
        *rows,
    ]


def _system_calls(installed: Installed, url: str, *, quick: bool) -> list[Row]:
    """Count the system calls of a scene, as the difference between a short and a longer run."""
    if shutil.which("strace") is None:
        lacking.append("system calls: this system has no strace")
        return []
    few, more = 4, 12 if quick else 104
    counts: list[int] = []
    for scenes in (few, more):
        folder = installed.story(scenes, url=url)
        told = folder / "calls.txt"
        command = installed.command("run", "scenes.jsonl")
        timed(["strace", "-f", "-c", "-o", told, *command], folder)
        found = re.findall(
            r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$",
            told.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        counts.append(sum(int(calls) for calls, name in found if name not in {"futex", "total"}))
    each = (counts[1] - counts[0]) / (more - few)
    return [row("system calls a small scene, without futex", round(each), "calls", 500)]


def written(place: Path, installed: Installed, *, quick: bool) -> list[Row]:
    """Measure how often a large picture is written, and 256 answers of 4.1 MB at once."""
    count = 16 if quick else 256
    body = answer(1536, 1150, 32)
    with serving(place, body, together=count) as url:
        folder = installed.story(count, url=url, in_flight=count)
        took = installed.run(folder, "run", "scenes.jsonl")
    images = sum(path.stat().st_size for path in (folder / "out" / "images").iterdir())
    name = f"{count} answers of {len(body) / 1e6:.1f} MB at once"
    rows = [row(f"peak memory, {name}", round(took.peak_mb, 1), "MB", 130)]
    if took.written_bytes:
        times = took.written_bytes / images
        rows.append(row("times that a picture's bytes are written", round(times, 2), "", 3.1))
    return rows


def start(installed: Installed, *, quick: bool) -> list[Row]:
    """Measure what starting costs: the help, plans, and a storyboard's frame."""
    rounds = 1 if quick else 7
    few = installed.story(6)
    paid = installed.story(6, url="http://127.0.0.1:9/v1/images/generations")
    many = 100 if quick else 10_000
    more = installed.story(many, url="http://127.0.0.1:9/v1/images/generations")
    nothing: list[str | Path] = [installed.python, "-c", "pass"]
    bare_s = statistics.median(timed(nothing, few).cpu_s for _ in range(rounds))
    asked = (
        ("host-stub --help", few, ("--help",), 0.08, rounds),
        ("plan, 6 scenes, storyboards", few, ("plan", "scenes.jsonl"), 0.35, rounds),
        ("plan, 6 scenes, paid", paid, ("plan", "scenes.jsonl"), 0.35, rounds),
        (f"plan, {many:,} scenes, paid", more, ("plan", "scenes.jsonl"), 3.5, min(rounds, ROUNDS)),
    )
    installed.run(paid, "plan", "scenes.jsonl")  # what is imported is compiled once
    rows: list[Row] = []
    for name, folder, words, bound, times in asked:
        took_s = statistics.median(installed.run(folder, *words).cpu_s for _ in range(times))
        rows.append(row(f"CPU of {name}", round(took_s, 3), "s", bound, round(bare_s, 3)))
    frames = 2 if quick else 20
    made: list[float] = []
    for scenes in (1, 1 + frames):
        folder = installed.story(scenes)
        made.append(installed.run(folder, "run", "scenes.jsonl").cpu_s)
    each_s = (made[1] - made[0]) / frames
    return [*rows, row("CPU of a storyboard of 1024x1024", round(each_s, 3), "s", 0.45)]


def _median(all_: Sequence[Took], field: str) -> float:
    return statistics.median(float(getattr(took, field)) for took in all_)


def installed_in(folder: Path) -> Path:
    """Install the checkout, and nothing more, into a new environment; return its Python."""
    place = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT], check=True)
    return python


def measure(*, quick: bool, folder: Path | None = None) -> list[Row]:
    """Measure everything.

    Args:
        quick: Small numbers and this environment, to see that it runs.
        folder: Where it happens; none is the system's place for passing files.
    """
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        place = Path(inner)
        python = Path(sys.executable) if quick else installed_in(place)
        installed = Installed(python, place)
        rows = start(installed, quick=quick)
        rows += small(place, installed, quick=quick)
        rows += large(place, installed, quick=quick)
        rows += written(place, installed, quick=quick)
    return rows


def main() -> None:
    """Measure and print a line per figure."""
    parser = argparse.ArgumentParser(description="What the command costs.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    for each in measure(quick=arguments.quick, folder=arguments.folder):
        print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main()
