"""A journal counted again: run by run, in exact money, whatever a killed process left behind."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_stub.errors import JournalError
from host_stub.events.journal_summary import summarize_journal


def event(name: str, second: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "event": name,
        "run_id": "r1",
        "plugin": "stage3",
        "timestamp": f"2026-01-02T03:04:{second:02}Z",
        **fields,
    }


def written(folder: Path, *events: dict[str, Any], tail: bytes = b"") -> Path:
    path = folder / "events.jsonl"
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    path.write_bytes(lines + tail)
    return path


def test_a_run_is_counted(tmp_path: Path) -> None:
    """Endings, retries, codes, time, and the cost of ended scenes without adding attempts twice."""
    path = written(
        tmp_path,
        event("stage.started"),
        event("scene.retried", 1, scene_id="a", cost_usd="0.01", cause="unreadable"),
        event("scene.finished", 2, scene_id="a", cost_usd="0.05"),
        event("scene.finished", 3, scene_id="b", cost_usd=None),
        event("scene.failed", 4, scene_id="c", cost_usd="0.0000001", code="refused"),
        event("scene.skipped", 5, scene_id="d", code="not_tried"),
        event("scene.reused", 9, scene_id="e"),
    )

    [run] = summarize_journal(path)

    assert run.cost_usd == Decimal("0.0500001")
    assert run.unknown_costs == 1
    assert run.elapsed_s == 9
    assert dict(run.codes) == {"refused": 1, "not_tried": 1}
    assert run.as_json()["cost_usd"] == "0.0500001"
    assert run.as_text().splitlines() == [
        "run r1 with stage3, 9.0 s",
        "  2 made, 1 reused, 1 failed, 1 not started",
        "  1 retries, $0.0500001 and 1 of unknown cost",
        "  not_tried: 1",
        "  refused: 1",
    ]


def test_runs_are_told_apart(tmp_path: Path) -> None:
    """One file may hold several, in the order they began."""
    path = written(
        tmp_path,
        event("scene.finished", scene_id="a", cost_usd="1"),
        event("scene.finished", scene_id="a", cost_usd="2", run_id="r0"),
        event("scene.finished", scene_id="b", cost_usd="4"),
    )

    costs = {run.run_id: run.cost_usd for run in summarize_journal(path)}
    assert list(costs.items()) == [("r1", Decimal(5)), ("r0", Decimal(2))]


def test_a_last_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    """A killed process leaves half a line, and all before it counts."""
    path = written(tmp_path, event("scene.reused"), tail=b'{"event": "scene.fin')

    assert summarize_journal(path)[0].events == {"scene.reused": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[1]\n",
        b'{"no": "event"}\n',
        b'{"event": "scene.finished", "cost_usd": "much"}\n',
        b'{"event": "scene.finished", "cost_usd": "NaN"}\n',
        b'{"event": "scene.finished", "cost_usd": "1e999999"}\n',
        b'{"event": "x", "timestamp": "yesterday"}\n',
        b'{"event": "x", "timestamp": "2026-01-02T03:04:05"}\n',
        b'{"event": "\xff"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: bytes) -> None:
    """The line's number, what was expected, and a question that often answers it."""
    path = written(tmp_path, event("scene.reused"), tail=line + b"{}\n")

    with pytest.raises(JournalError) as caught:
        summarize_journal(path)

    assert str(caught.value).startswith(f"journal {path}: line 2: is not an event")
    assert caught.value.hint == "is this the events.jsonl of a run?"
