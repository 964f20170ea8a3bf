# ruff: noqa: S608 - put together from the table of states, never from data
"""The database that enforces the ledger's rules by itself, built from the table of states.

Whoever writes to it, by whatever program, cannot take a purchase where it may not go, change what
was agreed on when its money was held, buy a scene twice at once, or unwrite what has happened.
Apart from the ledger, so that these rules hold without it and are tested without it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

from stage3_plugin.errors import LedgerFailed, SettingsRefused
from stage3_plugin.ledger.rows import DecidedBy
from stage3_plugin.ledger.states import COUNTED, LEGAL, LIVE, OPEN, State
from stage3_plugin.money import CostBasis

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
APPLICATION_ID = 0x53544733
"""``STG3``: what the file says it is (PRAGMA application_id)."""
BUSY_TIMEOUT_MS = 30_000


def words(of: Iterable[str]) -> str:
    """Write a list of words as SQL literals, always in the same order.

    SQLite takes a partial index only for a condition that is written exactly as in the index.
    """
    return ", ".join(f"'{word}'" for word in sorted(of))


IS_LIVE: Final = f"state IN ({words(LIVE)})"
IS_OPEN: Final = f"state IN ({words(OPEN)})"
IS_COUNTED: Final = f"state IN ({words(COUNTED)})"
IS_BILLED: Final = "basis IN ('reported', 'tokens')"
"""Costs that the provider told, or counted out in tokens; a flat price is only what we believe."""

_FIRST_BASES: Final = frozenset(get_args(CostBasis)) - {"gateway"}
"""The words of the first schema, which never changes: later ones are for a step behind it."""
_IS_UNSETTLED = f"state IN ({words(OPEN | {State.UNKNOWN})})"
_IS_UNCOUNTED = f"state IN ({words(set(State) - COUNTED)})"
_HEX = "NOT GLOB '*[^0-9a-f]*'"
_WAYS = " OR ".join(
    f"(OLD.state = '{old}' AND NEW.state IN ({words(news)}))" for old, news in LEGAL.items() if news
)

_PURCHASES = f"""
CREATE TABLE purchases (
  seq INTEGER PRIMARY KEY,
  attempt_id TEXT NOT NULL UNIQUE CHECK (length(attempt_id) = 32 AND attempt_id {_HEX}),
  scene_key TEXT NOT NULL,
  scene_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  api TEXT NOT NULL,
  base_url TEXT,
  model TEXT NOT NULL,
  size TEXT NOT NULL,
  quality TEXT NOT NULL,
  is_local INTEGER NOT NULL CHECK (is_local IN (0, 1)),
  hold_microusd INTEGER NOT NULL CHECK (hold_microusd >= 0),
  day TEXT NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  held_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ({words(State)})),
  changed_at TEXT NOT NULL,
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  basis TEXT CHECK (basis IN ({words(_FIRST_BASES)})),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 {_HEX}),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ({words(get_args(DecidedBy))})),
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT {_IS_UNSETTLED} OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK ({_IS_UNSETTLED} OR basis IS NOT NULL),
  CHECK (NOT {_IS_UNCOUNTED} OR cost_microusd IS 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL)
) STRICT
"""

_FROZEN = (
    "seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, "
    "is_local, hold_microusd, day, held_at"
)

SCHEMA_1: Final[tuple[str, ...]] = (
    _PURCHASES,
    f"CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE {IS_LIVE}",
    f"CREATE INDEX in_work ON purchases (run_id) WHERE {IS_OPEN}",
    "CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF'",
    f"""
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE {IS_BILLED}
""",
    """
CREATE TABLE counters (
  scope TEXT NOT NULL PRIMARY KEY,
  committed_microusd INTEGER NOT NULL CHECK (committed_microusd >= 0)
) STRICT, WITHOUT ROWID
""",
    """
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  purchase INTEGER NOT NULL REFERENCES purchases (seq),
  event TEXT NOT NULL CHECK (event IN ('changed', 'overrun')),
  old TEXT,
  new TEXT NOT NULL,
  at TEXT NOT NULL,
  why TEXT NOT NULL
) STRICT
""",
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
CREATE TRIGGER a_purchase_begins_reserved BEFORE INSERT ON purchases
WHEN NEW.state <> 'RESERVED'
BEGIN SELECT RAISE(ABORT, 'a new purchase is RESERVED'); END
""",
    # REPLACE would delete without asking the trigger against it.
    f"""
CREATE TRIGGER a_purchase_is_not_replaced BEFORE INSERT ON purchases
WHEN EXISTS (SELECT 1 FROM purchases WHERE attempt_id = NEW.attempt_id)
  OR EXISTS (SELECT 1 FROM purchases WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND {IS_LIVE})
BEGIN SELECT RAISE(ABORT, 'this purchase, or a live one of this scene, is there already'); END
""",
    # Of any column: whatever is changed, the state changes with it. "rowid" is a second name of
    # seq, by which a trigger on named columns is passed by.
    f"""
CREATE TRIGGER a_purchase_goes_a_legal_way BEFORE UPDATE ON purchases
WHEN NOT ({_WAYS}) OR NEW.seq <> OLD.seq
BEGIN SELECT RAISE(ABORT, 'a purchase cannot go this way'); END
""",
    f"""
CREATE TRIGGER an_agreement_is_frozen BEFORE UPDATE OF {_FROZEN} ON purchases
BEGIN SELECT RAISE(ABORT, 'what a purchase began as never changes'); END
""",
    """
CREATE TRIGGER a_purchase_stays BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'a purchase is never deleted'); END
""",
    """
CREATE TRIGGER a_beginning_is_written_down AFTER INSERT ON purchases
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', NULL, NEW.state, NEW.changed_at, NEW.why);
END
""",
    """
CREATE TRIGGER a_change_is_written_down AFTER UPDATE ON purchases
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', OLD.state, NEW.state, NEW.changed_at, NEW.why);
END
""",
    """
CREATE TRIGGER an_event_is_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END
""",
    """
CREATE TRIGGER an_event_is_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END
""",
    """
CREATE TRIGGER an_event_stays BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END
""",
    """
CREATE TRIGGER a_counter_stays BEFORE DELETE ON counters
BEGIN SELECT RAISE(ABORT, 'a counter is never deleted'); END
""",
    """
CREATE TRIGGER a_day_does_not_come_back BEFORE UPDATE ON meta
WHEN OLD.name = 'last_day' AND (NEW.name <> OLD.name OR NEW.value < OLD.value)
BEGIN SELECT RAISE(ABORT, 'the last day only moves forward'); END
""",
    """
CREATE TRIGGER what_is_known_stays BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'what the ledger knows of itself is never deleted'); END
""",
)

# A purchase that is armed in the transaction that holds its money begins as SENDING: an update with
# its triggers, indices and a second event takes as long as its insertion, and nobody sees the step.
SCHEMA_2: Final[tuple[str, ...]] = (
    "DROP TRIGGER a_purchase_begins_reserved",
    f"""
CREATE TRIGGER a_purchase_begins_in_work BEFORE INSERT ON purchases
WHEN NOT NEW.{IS_OPEN}
BEGIN SELECT RAISE(ABORT, 'a new purchase is in work'); END
""",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (SCHEMA_1, SCHEMA_2)
"""The statements that lead from each version to the next. One that was ever released never changes;
``tests/stage3/ledger/schema_1.sql`` holds the first to it."""


def prepare(
    connection: sqlite3.Connection,
    path: Path,
    *,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> None:
    """Make a connection durable and its database current.

    Args:
        connection: In autocommit (``isolation_level=None``).
        path: For messages.
        migrations: See :data:`MIGRATIONS`.

    Raises:
        SettingsRefused: The file is a newer ledger, or none at all.
        LedgerFailed: SQLite is too old, or the file system has no WAL.
        sqlite3.Error: To be translated by the caller.
    """
    configure(connection, path)
    if version_of(connection, path, migrations) < len(migrations):
        migrate(connection, path, migrations)
    # Only now: a file that is not a ledger was left as it is.
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise LedgerFailed(
            path,
            "the file system does not let SQLite keep a write-ahead log",
            hint="keep state_dir on a disk of this machine",
        )


def configure(connection: sqlite3.Connection, path: Path) -> None:
    """Set what holds for one connection; nothing is written.

    Without ``synchronous=FULL`` a power cut takes back commits that were reported as durable.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise LedgerFailed(
            path,
            f"SQLite {sqlite3.sqlite_version} is too old, {oldest} is needed",
            hint="use a Python that was built with a newer SQLite",
        )
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "synchronous=FULL",
        "fullfsync=1",
        "checkpoint_fullfsync=1",
        "foreign_keys=1",
        "trusted_schema=0",
    ):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Generator[None]:
    """Read one state of a database in the block, whatever others write meanwhile."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def version_of(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]
) -> int:
    """Tell a database's version, 0 for one that is empty.

    Raises:
        SettingsRefused: It is newer than we are, or not a ledger.
    """
    with one_moment(connection):  # somebody may be making it
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (name,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_empty = version == 0 and tables == 0
    if not is_empty and name != APPLICATION_ID:
        raise SettingsRefused(
            "state_dir",
            f"{path} is a database, but not a ledger",
            hint="name another folder, or move the file away",
        )
    if version > len(migrations):
        raise SettingsRefused(
            "state_dir",
            f"{path} was written by a newer version (its schema is {version}, "
            f"known here is {len(migrations)})",
            hint="install the newer version of stage3-plugin again",
        )
    return int(version)


def migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]
) -> None:
    """Bring a database up to date, wholly or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Again, now that nobody else can be at it.
        for version, statements in enumerate(migrations, start=1):
            if version > version_of(connection, path, migrations):
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
