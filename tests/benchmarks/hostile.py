"""Measure how late the event loop is, and how much memory a run takes, before a hostile provider.

Run ``python tests/benchmarks --only hostile``. A server in this process gives the worst answers
that are allowed, eight at once; each kind is bought by a run in a fresh process, which alone is
measured. Beside them stands the same run before a provider that gives eight good pictures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tests.benchmarks.hostile_answers import (
    COMPRESSED,
    DOCUMENTS,
    SIZE,
    TEXTS,
    Answer,
    Made,
    Together,
    made,
)
from tests.benchmarks.replies import answer as picture_answer
from tests.fakes.image_api import KEY, ImageApi

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 8
MOST_LAG_MS = 50.0
MOST_GROWTH_MB = 64.0
PATIENCE_S = 30.0
"""A run that takes longer stands still: it is ended, and counts as late by all of this."""
ROUNDS = 3
PROGRAM = f"""
import sys
sys.path.append({str(ROOT)!r})  # last, so that what is installed is what runs
from tests.benchmarks.hostile_run import main
main()
"""
STOOD_STILL = "stood still"
BACKENDS = ("asyncio", "trio", "asyncio")
"""Of the rounds, in turn."""
FIGURES = (
    ("loop lag p99", "lag_p99_ms", "ms", MOST_LAG_MS),
    ("memory growth", "growth_mb", "MB", MOST_GROWTH_MB),
)
Row: TypeAlias = dict[str, Any]
Measured: TypeAlias = dict[str, Any]


SETTINGS: dict[str, Any] = {
    "api_key": KEY,
    "size": "64x64",
    "capacity": AT_ONCE,
    "adaptive": False,
    "max_attempts": 1,
    "deadline_s": 5,
    "timeout_s": PATIENCE_S,
}
IMAGES = SETTINGS | {"provider": "openai", "model": "gpt-image-2"}
CHAT = SETTINGS | {"provider": "openrouter", "api": "chat", "model": "a/painter", "price_usd": 0.05}
GROUPS: dict[str, tuple[tuple[Made, ...], dict[str, Any]]] = {
    "documents": (DOCUMENTS, IMAGES),
    "texts": (TEXTS, CHAT),
    "compressed": (COMPRESSED, IMAGES),
}


class Bench:
    """A server, and runs that buy from it."""

    def __init__(self, api: ImageApi, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._runs = 0

    def run(
        self, answers: Sequence[Answer], settings: dict[str, Any], backend: str = "asyncio"
    ) -> Measured:
        """Have a run buy eight pictures and be given these answers."""
        self._runs += 1
        story = f"story-{self._runs}"
        together = Together(answers, AT_ONCE)
        for number in range(AT_ONCE):
            self._api.script(together, scene=f"{story}-{number:03}")
        options = {
            "folder": str(self._folder / story),
            "backend": backend,
            "story": story,
            "scenes": AT_ONCE,
            "settings": {**settings, "base_url": self._api.base_url},
        }
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", PROGRAM, json.dumps(options)],
                stdout=subprocess.PIPE, check=True, encoding="utf-8", timeout=PATIENCE_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"lag_p99_ms": PATIENCE_S * 1e3, "growth_mb": 0.0, "ends": {STOOD_STILL: 1}}
        measured: Measured = json.loads(done.stdout)
        return measured

    def rounds(
        self, answers: Sequence[Answer], settings: dict[str, Any], number: int
    ) -> list[Measured]:
        """Have some runs, on both event loops in turn; one that stands still is enough of them."""
        found: list[Measured] = []
        for backend in BACKENDS[:number]:
            found.append(self.run(answers, settings, backend))
            if STOOD_STILL in found[-1]["ends"]:
                return found[-1:]
        return found


def measure(*, quick: bool) -> list[Row]:
    """Measure every kind of answer alone, and of each group the worst is shown.

    Args:
        quick: One kind of each group, with small answers, to see that it runs.
    """
    size, rounds = (SIZE // 100, 1) if quick else (SIZE, ROUNDS)
    rows: list[Row] = []
    with ImageApi() as api, tempfile.TemporaryDirectory() as folder:
        bench = Bench(api, Path(folder))
        good = [Answer(picture_answer(256, 256, 16) if quick else picture_answer(1536, 1024, 16))]
        plain = bench.rounds(good, IMAGES, rounds)
        assert all(one["ends"] == {"made": AT_ONCE} for one in plain), plain
        for group, (kinds, settings) in GROUPS.items():
            found = {
                kind.__name__: bench.rounds([made(kind, size)], settings, rounds)
                for kind in (kinds[:1] if quick else kinds)
            }
            for name, runs in found.items():
                print(f"{name}: {runs}")
            for what, field, unit, bound in FIGURES:
                worst = max(found, key=lambda name: _median(found[name], field))
                rows.append(
                    {
                        "name": f"{what} with {AT_ONCE} hostile answers in flight, {group}",
                        "value": round(_median(found[worst], field), 1),
                        "unit": unit,
                        "bound": None if quick else bound,
                        "peer": {"good pictures": round(_median(plain, field), 1)},
                    }
                )
                print(f"{what}, {group}: {worst} is the worst")
    return rows


def _median(runs: Sequence[Measured], field: str) -> float:
    return float(statistics.median(one[field] for one in runs))


def main() -> None:
    """Measure and print a line per figure."""
    for row in measure(quick="--quick" in sys.argv):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
