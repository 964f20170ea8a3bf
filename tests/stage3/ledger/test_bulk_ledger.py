"""The large ledgers of the benchmarks are such as purchases make them, row for row."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.purchase import Held
from stage3_plugin.ledger.book import Ledger
from tests.benchmarks import bulk_ledger
from tests.stage3.ledger.samples import DAY, NO_CAPS, NOW, new_purchase, paid

A_RUN, A_DAY, COUNT = 4, 6, 16


def shape(value: object) -> object:
    """Return what is left of a value without what differs between any two purchases."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", value):
        return len(value)
    return re.sub(r"\d+", "0", re.sub(r"(other|scene|bulk|run)[-_]\w+", "name", value))


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the shapes of all rows of a ledger's tables; events by their purchases."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema "
                 "WHERE type = 'table' ORDER BY name")]  # fmt: skip
        found = {
            name: [tuple(map(shape, row)) for row in database.execute(f"SELECT * FROM {name}")]
            for name in names
        }
        events = "SELECT purchase, event, old, new, at, why FROM events ORDER BY purchase, seq"
        found["events"] = [tuple(map(shape, row)) for row in database.execute(events)]
        found["counters"] = sorted(found["counters"], key=str)
        found["schema"] = database.execute(
            "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
        ).fetchall()
    return found


def buy(ledger: Ledger, number: int) -> None:
    """Hold and settle one purchase, as a run does; the first is what others are made like."""
    like = max(0, number - 1)
    run = -1 if number == 0 else like // A_RUN
    now = NOW + timedelta(days=like // A_DAY, seconds=like % A_DAY)
    new = new_purchase(f"scene-{number}", run_id=f"run-{run}")
    held = ledger.hold(new, NO_CAPS, day=now.date(), now=now)
    assert isinstance(held, Held)
    ledger.settle(new.attempt_id, paid(), now=now + timedelta(seconds=bulk_ledger.TOOK_S))


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One ledger made the real way, and one from its first purchase."""
    monkeypatch.setattr(bulk_ledger, "A_RUN", A_RUN)
    monkeypatch.setattr(bulk_ledger, "A_DAY", A_DAY)
    real, bulk = tmp_path / "real.db", tmp_path / "bulk.db"
    with Ledger.open(real) as ledger, ledger.transaction():
        for number in range(COUNT):
            buy(ledger, number)
    with Ledger.open(bulk) as ledger, ledger.transaction():
        buy(ledger, 0)
    bulk_ledger.fill(bulk, COUNT)
    return real, bulk


def test_a_bulk_ledger_has_the_rows_of_a_real_one(both: tuple[Path, Path]) -> None:
    """The same schema and tables with as many rows, and in each what a purchase leaves there."""
    real, bulk = map(tables, both)

    assert real.keys() == bulk.keys()
    assert len(bulk["purchases"]) == COUNT
    assert len(bulk["events"]) == 2 * COUNT
    for name, rows in real.items():
        assert bulk[name] == rows, name


def test_a_bulk_ledger_is_in_order(both: tuple[Path, Path]) -> None:
    """The ledger's own check finds nothing: counters are sums, events tell the states."""
    for path in both:
        with Ledger.open(path) as ledger:
            assert ledger.problems() == []
            assert ledger.last_day() == DAY + timedelta(days=(COUNT - 2) // A_DAY)
