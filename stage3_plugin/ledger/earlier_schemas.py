# ruff: noqa: S608 - put together from constants of this file, never from data
"""The schemas that were released before the present one, and the steps between them.

They never change, so nothing here follows the table of states: what it was is written down.
``tests/stage3/ledger/schema_1.sql`` and those beside it hold them to that.
"""

from __future__ import annotations

from typing import Final

_LIVE = "state IN ('PAID', 'RESERVED', 'SENDING', 'UNKNOWN')"
_OPEN = "state IN ('RESERVED', 'SENDING')"
_BILLED = "basis IN ('gateway', 'reported', 'tokens')"
_PAID = "state = 'PAID'"
_BAD = "state = 'PAID_BAD'"
_STATES = "'PAID', 'PAID_BAD', 'REFUSED', 'RESERVED', 'SENDING', 'UNKNOWN', 'VOID', 'WROTE_OFF'"
_DECIDERS = "'policy', 'user'"
_FIRST_BASES = "'flat', 'free', 'held', 'reported', 'tokens', 'unknown'"
_BASES_3 = "'flat', 'free', 'gateway', 'held', 'reported', 'tokens', 'unknown'"
_BILLED_1 = "basis IN ('reported', 'tokens')"
_IS_UNSETTLED = "state IN ('RESERVED', 'SENDING', 'UNKNOWN')"
_IS_UNCOUNTED = "state IN ('REFUSED', 'VOID')"
_HEX = "NOT GLOB '*[^0-9a-f]*'"
_WAYS = (
    "(OLD.state = 'RESERVED' AND NEW.state IN ('SENDING', 'VOID')) "
    "OR (OLD.state = 'SENDING' "
    "AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'UNKNOWN', 'VOID')) "
    "OR (OLD.state = 'UNKNOWN' AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'WROTE_OFF')) "
    "OR (OLD.state = 'PAID' AND NEW.state IN ('PAID_BAD'))"
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
  state TEXT NOT NULL CHECK (state IN ({_STATES})),
  changed_at TEXT NOT NULL,
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  basis TEXT CHECK (basis IN ({_FIRST_BASES})),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 {_HEX}),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ({_DECIDERS})),
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
    f"CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE {_LIVE}",
    f"CREATE INDEX in_work ON purchases (run_id) WHERE {_OPEN}",
    "CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF'",
    f"""
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE {_BILLED_1}
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
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND {_LIVE})
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
# its triggers, indices and a second event takes as long as its insertion, and no program sees the
# step.
SCHEMA_2: Final[tuple[str, ...]] = (
    "DROP TRIGGER a_purchase_begins_reserved",
    f"""
CREATE TRIGGER a_purchase_begins_in_work BEFORE INSERT ON purchases
WHEN NOT NEW.{_OPEN}
BEGIN SELECT RAISE(ABORT, 'a new purchase is in work'); END
""",
)

# What 2 did not have: the wish by itself beside its key, so that a program that knows no endpoints
# cannot buy what it would not find; the provider's name of an exchange; a paid cost that a person
# corrects, and a last day that a person sets back, both only behind an event that keeps what was
# there. Both tables are made anew, since a rule of a column cannot be changed. SQLite's own order
# for that (lang_altertable.html, section 7) needs foreign keys switched off, which a transaction
# cannot do: so the old tables are renamed, and go in the order in which they speak of each other.
_PURCHASES_3 = f"""
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
  state TEXT NOT NULL CHECK (state IN ({_STATES})),
  changed_at TEXT NOT NULL,
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  basis TEXT CHECK (basis IN ({_BASES_3})),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 {_HEX}),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ({_DECIDERS})),
  content_key TEXT,
  request_id TEXT,
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT {_IS_UNSETTLED} OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK ({_IS_UNSETTLED} OR basis IS NOT NULL),
  CHECK (NOT {_IS_UNCOUNTED} OR cost_microusd IS 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL)
) STRICT
"""
_COLUMNS_2 = (
    "seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, "
    "is_local, hold_microusd, day, held_at, state, changed_at, cost_microusd, basis, why, sha256, "
    "facts, took_s, decided_by"
)
_TRIGGERS_2 = (
    "a_purchase_begins_in_work", "a_purchase_is_not_replaced", "a_purchase_goes_a_legal_way",
    "an_agreement_is_frozen", "a_purchase_stays", "a_beginning_is_written_down",
    "a_change_is_written_down", "an_event_is_not_replaced", "an_event_is_not_changed",
    "an_event_stays", "a_day_does_not_come_back",
)  # fmt: skip
_INDICES_2 = ("one_live", "in_work", "written_off", "billed")
_UNCHANGED = " AND ".join(
    f"NEW.{name} IS OLD.{name}"
    for name in ("changed_at", "why", "sha256", "facts", "took_s", "request_id")
)

SCHEMA_3: Final[tuple[str, ...]] = (
    *(f"DROP TRIGGER {name}" for name in _TRIGGERS_2),
    *(f"DROP INDEX {name}" for name in _INDICES_2),
    "ALTER TABLE events RENAME TO events_2",
    "ALTER TABLE purchases RENAME TO purchases_2",
    _PURCHASES_3,
    """
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  purchase INTEGER REFERENCES purchases (seq),
  event TEXT NOT NULL CHECK (event IN ('changed', 'overrun', 'corrected', 'day_set')),
  old TEXT,
  new TEXT NOT NULL,
  at TEXT NOT NULL,
  why TEXT NOT NULL,
  CHECK ((event = 'day_set') = (purchase IS NULL))
) STRICT
""",
    f"INSERT INTO purchases ({_COLUMNS_2}) SELECT {_COLUMNS_2} FROM purchases_2 ORDER BY seq",
    "INSERT INTO events SELECT seq, purchase, event, old, new, at, why FROM events_2 ORDER BY seq",
    "DROP TABLE events_2",
    "DROP TABLE purchases_2",
    f"CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE {_LIVE}",
    # Of pictures only: of everything live, each purchase would be written to it three times.
    f"CREATE INDEX of_content ON purchases (content_key) WHERE {_PAID}",
    f"CREATE INDEX in_work ON purchases (run_id) WHERE {_OPEN}",
    "CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF'",
    f"CREATE INDEX paid_for_nothing ON purchases (scene_key) WHERE {_BAD}",
    f"""
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE {_BILLED}
""",
    f"""
CREATE TRIGGER a_purchase_begins_in_work BEFORE INSERT ON purchases
WHEN NOT NEW.{_OPEN}
BEGIN SELECT RAISE(ABORT, 'a new purchase is in work'); END
""",
    # So that a program of an older version, even one that has this file open already, stops.
    """
CREATE TRIGGER a_purchase_names_its_content BEFORE INSERT ON purchases
WHEN NEW.content_key IS NULL
BEGIN SELECT RAISE(ABORT, 'this ledger needs a newer version of stage3-plugin'); END
""",
    f"""
CREATE TRIGGER a_purchase_is_not_replaced BEFORE INSERT ON purchases
WHEN EXISTS (SELECT 1 FROM purchases WHERE attempt_id = NEW.attempt_id)
  OR EXISTS (SELECT 1 FROM purchases WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND {_LIVE})
BEGIN SELECT RAISE(ABORT, 'this purchase, or a live one of this scene, is there already'); END
""",
    # Of any column, and by "rowid" too: see SCHEMA_1.
    f"""
CREATE TRIGGER a_purchase_goes_a_legal_way BEFORE UPDATE ON purchases
WHEN NOT ({_WAYS} OR (NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')))
  OR NEW.seq <> OLD.seq
BEGIN SELECT RAISE(ABORT, 'a purchase cannot go this way'); END
""",
    """
CREATE TRIGGER a_picture_is_given_up_by_a_person BEFORE UPDATE ON purchases
WHEN OLD.state = 'PAID' AND NEW.state = 'PAID_BAD' AND NEW.decided_by IS NOT 'user'
BEGIN SELECT RAISE(ABORT, 'only a person gives up a picture that was paid for'); END
""",
    f"""
CREATE TRIGGER a_cost_is_corrected_by_a_person BEFORE UPDATE ON purchases
WHEN NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD') AND NOT (
  NEW.decided_by IS 'user' AND NEW.cost_microusd IS NOT NULL AND {_UNCHANGED}
  AND EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'corrected' AND purchase = OLD.seq
    AND old IS CAST(OLD.cost_microusd AS TEXT) AND new = CAST(NEW.cost_microusd AS TEXT)
  )
)
BEGIN SELECT RAISE(ABORT, 'a cost is only corrected by a person, behind its event'); END
""",
    f"""
CREATE TRIGGER an_agreement_is_frozen BEFORE UPDATE OF {_FROZEN}, content_key ON purchases
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
WHEN NEW.state <> OLD.state
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
CREATE TRIGGER a_day_does_not_come_back BEFORE UPDATE ON meta
WHEN OLD.name = 'last_day' AND (
  NEW.name <> OLD.name
  OR NEW.value < OLD.value AND NOT EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'day_set' AND old = OLD.value AND new = NEW.value
  )
)
BEGIN SELECT RAISE(ABORT, 'the last day only moves forward'); END
""",
)

# What 3 did not have: the form of a row's key, which older programs leave out and are refused for;
# and, where the model was shown pictures, the key of the same wish without them.
SCHEMA_4: Final[tuple[str, ...]] = (
    "ALTER TABLE purchases ADD COLUMN key_version INTEGER",
    "ALTER TABLE purchases ADD COLUMN base_key TEXT",
    # Few pictures are shown others, so most rows are not written to it.
    f"CREATE INDEX of_base ON purchases (base_key) WHERE base_key IS NOT NULL AND {_PAID}",
    "DROP TRIGGER a_purchase_names_its_content",
    """
CREATE TRIGGER a_purchase_names_its_keys BEFORE INSERT ON purchases
WHEN NEW.content_key IS NULL OR NEW.key_version IS NULL
BEGIN SELECT RAISE(ABORT, 'this ledger needs a newer version of stage3-plugin'); END
""",
    "DROP TRIGGER an_agreement_is_frozen",
    f"""
CREATE TRIGGER an_agreement_is_frozen
BEFORE UPDATE OF {_FROZEN}, content_key, key_version, base_key ON purchases
BEGIN SELECT RAISE(ABORT, 'what a purchase began as never changes'); END
""",
)

EARLIER: Final[tuple[tuple[str, ...], ...]] = (SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4)
