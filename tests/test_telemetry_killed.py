"""What telemetry says of money across a run that is killed: nothing twice, and all that it can."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import first_of
from tests.projects import Project
from tests.watched_runs import AMOUNT, Kept, amounts, booked, run_watched

ROOT = Path(__file__).resolve().parents[1]
EXPORTER = """
import json, os
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class Lines(SpanExporter):
    def export(self, spans):
        with open(os.environ["LINES"], "a", encoding="utf-8") as file:
            for span in spans:
                file.write(json.dumps(dict(span.attributes)) + "\\n")
        return SpanExportResult.SUCCESS
"""
OFFER = "[opentelemetry_traces_exporter]\nlines = lines:Lines\n"
DYING = f"""
import os, sys, time
from pathlib import Path
sys.path.append({str(ROOT)!r})
from tests.killing.failpoints import die, do_at, point_named

def die_once_the_first_is_told(*arguments, **named):
    lines = Path(os.environ["LINES"])
    while not (lines.exists() and "cost.amount" in lines.read_text(encoding="utf-8")):
        time.sleep(0.01)
    die()

do_at(point_named(sys.argv.pop(1)), 2, die_once_the_first_is_told)
from host_stub.cli import main
sys.exit(main())
"""
"""Dies at the second purchase, once what the first one cost has left the process."""


LOST = {"finish.after": 0, "post.before": 0, "settle commit.after": 1}
"""Where it dies, and of how many purchases nobody can say then what they cost but the ledger."""


def told_by(lines: Path) -> dict[str, Decimal]:
    """Return what was told of the cost of each purchase before the end."""
    said: list[dict[str, Any]] = [
        json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()
    ]
    return {one["stage3.purchase"]: round(Decimal(one[AMOUNT]), 6) for one in said if AMOUNT in one}


@pytest.mark.parametrize("point", first_of(LOST, "finish.after"))
def test_across_a_kill_nothing_is_told_twice_and_what_is_taken_in_is_told(
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    """All but one that was settled, and of which its run could not speak any more."""
    site, lines, kept = tmp_path / "site", tmp_path / "lines", Kept()
    info = site / "lines-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: lines\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(OFFER, encoding="utf-8")
    (site / "lines.py").write_text(EXPORTER, encoding="utf-8")
    for name, value in {
        "LOOPBACK_KEY": KEY,
        "LINES": str(lines),
        "PYTHONPATH": str(site),
        "OTEL_TRACES_EXPORTER": "lines",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
    }.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "project")
    project.scenes(3)
    project.config(image_api, capacity=1)
    killed = subprocess.run(
        [sys.executable, "-c", DYING, point, "run", "scenes.json",
         "--set", 'pipeline.observers=["otel"]'],
        cwd=project.folder, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first = told_by(lines)
    run_watched(project.folder, kept)
    second, ledger = amounts(kept.spans), booked(project.purchases())

    assert len(first) == 1
    assert not first.keys() & second.keys()
    lacking = {name: usd for name, usd in ledger.items() if name not in first | second}
    assert first | second == {name: usd for name, usd in ledger.items() if name not in lacking}
    assert len(lacking) == LOST[point]
