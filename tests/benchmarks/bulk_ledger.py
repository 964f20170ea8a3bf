"""A ledger of any size in seconds: one purchase that was made the real way, many times over.

One insert a table, in one transaction. The schema's triggers, which go through every row three
times, are laid aside meanwhile; ``tests/stage3/ledger/test_bulk_ledger.py`` holds what comes out
against purchases that were held and settled one by one, triggers and all. For measuring alone:
nothing here was ever bought.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from stage3_plugin.ledger.records import COLUMNS, PurchaseRow, moment

A_RUN, A_DAY = 500, 2_000
"""So many purchases have the same run, and the same day."""
TOOK_S = 20

_INSERT = f"INSERT INTO purchases ({COLUMNS}) VALUES ({', '.join('?' * len(PurchaseRow._fields))})"
_EVENTS = """
INSERT INTO events (purchase, event, old, new, at, why)
SELECT seq, 'changed', old, new, at, why FROM (
  SELECT seq, 0 AS step, NULL AS old, 'SENDING' AS new, held_at AS at, '' AS why FROM purchases
  UNION ALL SELECT seq, 1, 'SENDING', state, changed_at, why FROM purchases
) AS steps WHERE seq > ? ORDER BY seq, step
"""
_COUNTERS = """
INSERT INTO counters (scope, committed_microusd)
SELECT scope, microusd FROM (
  SELECT 'run:' || run_id AS scope, sum(cost_microusd) AS microusd FROM purchases GROUP BY run_id
  UNION ALL SELECT 'day:' || provider || ':' || day, sum(cost_microusd)
  FROM purchases GROUP BY provider, day
  UNION ALL SELECT 'total', sum(cost_microusd) FROM purchases
) AS sums WHERE true
ON CONFLICT (scope) DO UPDATE SET committed_microusd = excluded.committed_microusd
"""
_LAST_DAY = "UPDATE meta SET value = (SELECT max(day) FROM purchases) WHERE name = 'last_day'"


def fill(path: Path, count: int) -> None:
    """Bring a ledger to ``count`` purchases; what it has is one or more that were paid for.

    Args:
        path: The ledger's file, which nobody has open.
        count: Purchases in all.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = -500000")  # kilobytes: its indices are in no order
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid"
        ).fetchall()
        newest = f"SELECT {COLUMNS} FROM purchases ORDER BY seq DESC LIMIT 1"
        pattern = PurchaseRow._make(database.execute(newest).fetchone())
        assert pattern.seq is not None
        database.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.executemany(_INSERT, _further(pattern, pattern.seq, count - pattern.seq))
        database.execute(_EVENTS, (pattern.seq,))
        database.execute(_COUNTERS)
        database.execute(_LAST_DAY)
        for _, statement in triggers:
            database.execute(statement)
        database.execute("COMMIT")


def _further(pattern: PurchaseRow, seq: int, count: int) -> Iterator[PurchaseRow]:
    """Yield purchases like one, each of another scene, run by run and day by day."""
    chance = random.Random(0)

    def digits(like: str) -> str:
        return f"{chance.getrandbits(4 * len(like)):0{len(like)}x}"

    held = datetime.fromisoformat(pattern.held_at)
    for number in range(count):
        at = held + timedelta(days=number // A_DAY, seconds=number % A_DAY)
        yield pattern._replace(
            seq=seq + 1 + number,
            attempt_id=digits(pattern.attempt_id),
            scene_key=digits(pattern.scene_key),
            content_key=digits(pattern.content_key or ""),
            subject_key=digits(pattern.subject_key or ""),
            scene_id=f"other_{number:06}",
            run_id=f"bulk-{number // A_RUN:06}",
            day=at.date().isoformat(),
            held_at=moment(at),
            changed_at=moment(at + timedelta(seconds=TOOK_S)),
            sha256=digits(pattern.sha256 or ""),
        )
