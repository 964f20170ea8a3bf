"""The database's own rules, broken through a plain connection that knows nothing of the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import pytest

from stage3_plugin.domain.states import LEGAL, LIVE, OPEN, UNSETTLED, State
from stage3_plugin.errors import LedgerFailed, SettingsRefused
from stage3_plugin.ledger import making
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.records import moment
from tests.stage3.ledger import databases
from tests.stage3.ledger.databases import Raw, of_sqlite, refused_by
from tests.stage3.ledger.samples import (
    DAY,
    NOW,
    SETTLEMENTS,
    bring_to,
    insert,
    key_of,
    new_purchase,
    opened,
    queued,
)

RELEASED = Path(__file__).with_name("schema.sql")
FROZEN = {
    "seq": 7777,
    "rowid": 7777,
    "attempt_id": "e" * 32,
    "scene_key": "another",
    "scene_id": "another",
    "run_id": "another",
    "provider": "another",
    "api": "chat",
    "base_url": "https://another.example",
    "model": "another",
    "size": "1x1",
    "quality": "low",
    "is_local": 1,
    "hold_microusd": 0,
    "day": "2026-11-25",
    "held_at": "2026-11-25T00:00:00.000000+00:00",
    "content_key": "another",
    "base_key": "another",
    "subject_key": "another",
    "take": 7777,
    "job": 7777,
    "line": 7777,
}
"""What a purchase began as, and something else for each."""


NAMED = (
    "job_id = 'a name', poll_url = 'https://queue.example', "
    "accepted_at = '2026-11-24T09:30:00+00:00', expires_at = '2026-11-25T09:30:00+00:00'"
)
"""What is written of a job that was accepted."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with opened(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def raw(ledger: Ledger) -> Iterator[Raw]:
    """Somebody else's connection to it, without any of our pragmas."""
    with databases.raw(ledger) as raw:
        yield raw


def sql_for(state: State) -> str:
    """Write how a row would look in a state, so that nothing but the way is wrong with it."""
    unsettled = state in UNSETTLED
    cost = "NULL" if unsettled else "0"
    basis = "NULL" if unsettled else "'unknown'"
    sha256 = f"'{'a' * 64}'" if state is State.PAID else "NULL"
    is_decided = state in {State.WROTE_OFF, State.PAID_BAD}  # nobody else gives up a picture
    decided_by = "'user'" if is_decided else "NULL"
    return (
        f"state = '{state}', cost_microusd = {cost}, basis = {basis}, sha256 = {sha256}, "
        f"facts = '{{}}', decided_by = {decided_by}"
    )


# Ways --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old, new", list(product(State, State)))
def test_the_database_lets_a_purchase_go_legal_ways_only(
    ledger: Ledger, raw: Raw, old: State, new: State
) -> None:
    """Every pair of states, also a state with itself: only what the table allows is taken."""
    bring_to(ledger, old, queued(new_purchase()))
    raw.execute(f"UPDATE jobs SET {NAMED} WHERE job_id IS NULL")
    (purchase,) = ledger.purchases()
    change = f"UPDATE purchases SET {sql_for(new)} WHERE attempt_id = ?"

    if new in LEGAL[old]:
        assert raw.execute(change, (purchase.new.attempt_id,)).rowcount == 1
    else:
        refusal = "cannot go this way|only corrected by a person"
        with pytest.raises(databases.refused, match=refusal) as caught:
            raw.execute(change, (purchase.new.attempt_id,))

        assert refused_by(caught.value) == "TRIGGER"
        assert ledger.purchase(purchase.new.attempt_id) == purchase


@pytest.mark.parametrize("state", sorted(set(State) - OPEN))
def test_a_purchase_begins_in_work(raw: Raw, state: State) -> None:
    """Nothing may be settled or written off that no money was held for."""
    with pytest.raises(databases.refused, match="a new purchase is in work"):
        insert(raw, {"state": state})


@pytest.mark.parametrize("state", sorted(OPEN))
def test_the_beginning_is_written_down(raw: Raw, state: State) -> None:
    """With the state it began in: SENDING where holding and arming are one transaction."""
    insert(raw, {"state": state})

    assert raw.execute("SELECT old, new FROM events").fetchall() == [(None, state)]


def test_what_is_settled_is_settled(ledger: Ledger, raw: Raw) -> None:
    """A cost cannot be changed later by itself, not even in the same state."""
    bring_to(ledger, State.PAID)

    with pytest.raises(databases.refused, match="only corrected by a person"):
        raw.execute("UPDATE purchases SET cost_microusd = 1")


def test_only_a_person_gives_up_a_picture(ledger: Ledger, raw: Raw) -> None:
    """A late bad answer must not destroy a picture that is there."""
    bring_to(ledger, State.PAID)
    lost = "UPDATE purchases SET state = 'PAID_BAD', sha256 = NULL, decided_by = ?"

    for who in (None, "policy"):
        with pytest.raises(databases.refused, match="only a person gives up a picture"):
            raw.execute(lost, (who,))

    assert raw.execute(lost, ("user",)).rowcount == 1


CORRECTION = "cost_microusd = 7, basis = 'reported', decided_by = 'user'"


def correct(raw: Raw, *, old: object = "39000", new: object = "7") -> None:
    """Say, past the ledger, that a person has corrected the only purchase's cost."""
    raw.execute(
        "INSERT INTO events (purchase, event, old, new, at, why) "
        "VALUES (1, 'corrected', ?, ?, ?, '')",
        (old, new, moment(NOW)),
    )


@pytest.mark.parametrize("state", [State.PAID, State.PAID_BAD])
def test_a_paid_cost_is_corrected_behind_an_event(ledger: Ledger, raw: Raw, state: State) -> None:
    """The figure that was there is kept, and the state does not change."""
    before = bring_to(ledger, state)

    correct(raw)
    raw.execute(f"UPDATE purchases SET {CORRECTION}")
    after = ledger.purchase(before.new.attempt_id)

    assert after == replace(before, cost_microusd=7, decided_by="user")
    assert raw.execute("SELECT event, old, new FROM events ORDER BY seq DESC").fetchone() == (
        "corrected", "39000", "7",
    )  # fmt: skip


@pytest.mark.parametrize(
    "event, change",
    [
        (None, CORRECTION),
        ({"old": "1"}, CORRECTION),
        ({"old": None}, CORRECTION),
        ({"new": "8"}, CORRECTION),
        ({}, "cost_microusd = 7, basis = 'reported'"),
        ({}, "cost_microusd = 7, basis = 'reported', decided_by = 'policy'"),
        ({}, f"{CORRECTION}, why = 'another'"),
        ({}, f"{CORRECTION}, changed_at = '2026-11-25T00:00:00.000000+00:00'"),
        ({}, f"{CORRECTION}, sha256 = '{'b' * 64}'"),
        ({}, f"{CORRECTION}, facts = NULL"),
        ({}, f"{CORRECTION}, took_s = 1.0"),
        ({}, f"{CORRECTION}, request_id = 'another'"),
        ({}, "cost_microusd = NULL, basis = 'unknown', decided_by = 'user'"),
    ],
)
def test_a_correction_changes_nothing_else(
    ledger: Ledger, raw: Raw, event: dict[str, object] | None, change: str
) -> None:
    """Neither without its event, nor by anybody else, nor of anything but the cost."""
    before = bring_to(ledger, State.PAID)
    if event is not None:
        correct(raw, **event)

    with pytest.raises(databases.refused, match="only corrected by a person"):
        raw.execute(f"UPDATE purchases SET {change}")

    assert ledger.purchase(before.new.attempt_id) == before


@pytest.mark.parametrize("event", ["changed", "overrun", "corrected"])
def test_an_event_of_a_purchase_names_it(raw: Raw, event: str) -> None:
    """Only that the day was set is nobody's in particular."""
    with pytest.raises(databases.refused):
        raw.execute(
            "INSERT INTO events (purchase, event, old, new, at, why) "
            "VALUES (NULL, ?, '', '', '', '')",
            (event,),
        )


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(one, marks=of_sqlite("a second name of a column")) if one == "rowid" else one
        for one in FROZEN
    ],
)
def test_what_a_purchase_began_as_never_changes(ledger: Ledger, raw: Raw, column: str) -> None:
    """Not even on a legal way, and not by the second name of the first column."""
    bring_to(ledger, State.SENDING)

    with pytest.raises(databases.refused) as caught:
        raw.execute(f"UPDATE purchases SET state = 'UNKNOWN', {column} = ?", (FROZEN[column],))

    assert refused_by(caught.value) == "TRIGGER"


@of_sqlite("it is asked for its columns")
def test_every_column_is_frozen_or_told_by_a_settlement(raw: Raw) -> None:
    """A column that is added has to be put on one side or the other."""
    columns = {row[1] for row in raw.execute("PRAGMA table_info(purchases)")}
    settled = {
        "state", "changed_at", "cost_microusd", "basis", "why", "sha256", "facts", "took_s",
        "decided_by", "request_id",
    }  # fmt: skip

    assert columns == (set(FROZEN) - {"rowid"}) | settled


# What stays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["purchases", "events", "counters", "meta"])
def test_nothing_is_ever_deleted(ledger: Ledger, raw: Raw, table: str) -> None:
    """What is not there any more was not paid, so nothing may go."""
    bring_to(ledger, State.PAID)

    with pytest.raises(databases.refused, match="never deleted"):
        raw.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("same", ["attempt_id", "seq", "scene_key"])
@of_sqlite("a server has no REPLACE")
def test_nothing_is_replaced(ledger: Ledger, raw: Raw, same: str) -> None:
    """REPLACE deletes what is in its way, and asks no trigger about it."""
    purchase = bring_to(ledger, State.PAID, new_purchase("rain"))
    taken: dict[str, object] = {
        "attempt_id": purchase.new.attempt_id, "seq": 1, "scene_key": key_of("rain")
    }  # fmt: skip

    with pytest.raises(databases.refused, match="there already"):
        insert(raw, {same: taken[same]}, how="REPLACE")

    assert ledger.purchase(purchase.new.attempt_id) == purchase


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET why = 'something else'",
        pytest.param(
            "REPLACE INTO events VALUES (1, 1, 'changed', NULL, 'PAID', 'now', '')",
            marks=of_sqlite("a server has no REPLACE"),
        ),
    ],
)
def test_events_are_only_added(ledger: Ledger, raw: Raw, change: str) -> None:
    """What has happened stays told as it was."""
    bring_to(ledger, State.PAID)

    with pytest.raises(databases.refused, match="never"):
        raw.execute(change)


def test_every_change_is_written_down(ledger: Ledger, raw: Raw) -> None:
    """By the database itself, so that nobody can change a purchase in silence."""
    bring_to(ledger, State.WROTE_OFF)

    assert raw.execute("SELECT event, old, new, why FROM events ORDER BY seq").fetchall() == [
        ("changed", None, "SENDING", ""),
        ("changed", "SENDING", "UNKNOWN", SETTLEMENTS[State.UNKNOWN].why),
        ("changed", "UNKNOWN", "WROTE_OFF", SETTLEMENTS[State.WROTE_OFF].why),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE meta SET value = '2026-11-23' WHERE name = 'last_day'",
        "UPDATE meta SET name = 'another day' WHERE name = 'last_day'",
    ],
)
def test_the_last_day_only_moves_forward(ledger: Ledger, raw: Raw, change: str) -> None:
    """A day whose money is spent does not come back."""
    bring_to(ledger, State.PAID)

    with pytest.raises(databases.refused, match="only moves forward"):
        raw.execute(change)

    assert ledger.last_day() == DAY


def test_the_last_day_is_set_back_behind_an_event(ledger: Ledger, raw: Raw) -> None:
    """A clock that was once in the future must not spend a cap for good."""
    bring_to(ledger, State.PAID)
    said = "INSERT INTO events (event, old, new, at, why) VALUES ('day_set', ?, ?, 'now', '')"
    change = "UPDATE meta SET value = '2026-11-20' WHERE name = 'last_day'"

    for wrong in (("2026-11-23", "2026-11-20"), ("2026-11-24", "2026-11-21")):
        raw.execute(said, wrong)
        with pytest.raises(databases.refused, match="only moves forward"):
            raw.execute(change)
    raw.execute(said, ("2026-11-24", "2026-11-20"))
    raw.execute(change)

    assert ledger.last_day() == date(2026, 11, 20)


# Shapes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_scene_is_live_once(ledger: Ledger, raw: Raw, state: State) -> None:
    """The index alone sees to it; the trigger against REPLACE is out of the way here."""
    bring_to(ledger, state, new_purchase("rain"))
    if not databases.is_server():
        raw.execute("DROP TRIGGER a_purchase_is_not_replaced")

    with pytest.raises(databases.refused) as caught:
        insert(raw, {"scene_key": key_of("rain")})

    assert refused_by(caught.value) == "UNIQUE"


@pytest.mark.parametrize("state", sorted(set(State) - LIVE))
def test_a_scene_may_be_bought_after_what_does_not_block_it(
    ledger: Ledger, raw: Raw, state: State
) -> None:
    """Refused, void, bad, or written off: the next purchase is a new row."""
    bring_to(ledger, state, new_purchase("rain"))

    insert(raw, {"scene_key": key_of("rain")})

    assert ledger.live(key_of("rain")) is not None


@pytest.mark.parametrize(
    "changed, rule",
    [
        ({"attempt_id": "short"}, "CHECK"),
        ({"attempt_id": "G" * 32}, "CHECK"),
        ({"hold_microusd": -1}, "CHECK"),
        pytest.param({"hold_microusd": 0.5}, "DATATYPE", marks=of_sqlite("a server rounds")),
        pytest.param(
            {"hold_microusd": "1.50 USD"}, "DATATYPE", marks=of_sqlite("a server has another error")
        ),
        ({"hold_microusd": None}, "NOTNULL"),
        ({"is_local": 2}, "CHECK"),
        ({"day": "24.11.2026"}, "CHECK"),
        ({"day": None}, "NOTNULL"),
        ({"scene_key": None}, "NOTNULL"),
        ({"content_key": None}, "NOTNULL"),
        ({"subject_key": None}, "NOTNULL"),
        ({"take": 0}, "CHECK"),
        ({"line": 1}, "CHECK"),
        ({"job": 1}, "TRIGGER"),
        ({"cost_microusd": 1}, "CHECK"),
        ({"basis": "free"}, "CHECK"),
        ({"sha256": "a" * 64}, "CHECK"),
    ],
)
def test_a_new_row_has_to_make_sense(raw: Raw, changed: dict[str, object], rule: str) -> None:
    """The types are strict and the values bounded, whoever writes."""
    with pytest.raises(databases.refused) as caught:
        insert(raw, changed)

    assert refused_by(caught.value) == rule


@pytest.mark.parametrize(
    "old, change",
    [
        (State.SENDING, "state = 'PAID', cost_microusd = 1, basis = 'reported'"),
        (State.SENDING, f"state = 'PAID', basis = 'reported', sha256 = '{'A' * 64}'"),
        (State.SENDING, f"state = 'PAID', sha256 = '{'a' * 64}'"),
        (State.SENDING, f"state = 'PAID_BAD', basis = 'flat', sha256 = '{'a' * 64}'"),
        (State.SENDING, "state = 'PAID_BAD', cost_microusd = -1, basis = 'reported'"),
        (State.SENDING, "state = 'PAID_BAD', cost_microusd = 1, basis = 'a guess'"),
        (State.SENDING, "state = 'REFUSED', cost_microusd = 1, basis = 'reported'"),
        (State.SENDING, "state = 'REFUSED', basis = 'unknown'"),
        (State.SENDING, "state = 'UNKNOWN', cost_microusd = 1"),
        (State.UNKNOWN, "state = 'WROTE_OFF', basis = 'unknown'"),
        (State.UNKNOWN, "state = 'WROTE_OFF', basis = 'unknown', decided_by = 'chance'"),
    ],
)
def test_a_settlement_has_to_make_sense(ledger: Ledger, raw: Raw, old: State, change: str) -> None:
    """A picture for what is paid, nothing to pay for what was refused, a name for a decision."""
    bring_to(ledger, old)

    with pytest.raises(databases.refused) as caught:
        raw.execute(f"UPDATE purchases SET {change}")

    assert refused_by(caught.value) == "CHECK"


def test_a_counter_is_never_negative(ledger: Ledger, raw: Raw) -> None:
    """More cannot be given back than was held."""
    bring_to(ledger, State.PAID)

    with pytest.raises(databases.refused) as caught:
        raw.execute("UPDATE counters SET committed_microusd = -1")

    assert refused_by(caught.value) == "CHECK"


@of_sqlite("a server's always are")
def test_all_tables_are_strict(raw: Raw) -> None:
    """Else a price in a wrong type would be kept as it comes."""
    tables = raw.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'")

    assert {name: strict for name, strict in tables if not name.startswith("sqlite_")} == {
        "purchases": 1,
        "events": 1,
        "counters": 1,
        "jobs": 1,
        "meta": 1,
    }


# Versions ----------------------------------------------------------------------------------------


def shape_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the text by which everything in a database was made."""
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


@of_sqlite("it is asked for its texts")
def test_the_schema_is_what_was_written_down(tmp_path: Path) -> None:
    """Once released it never changes: ledgers that lie on disks have it."""
    made = sqlite3.connect(tmp_path / "made.db", isolation_level=None)
    making.prepare(made, tmp_path / "made.db")
    written = sqlite3.connect(":memory:")
    written.executescript(RELEASED.read_text(encoding="utf-8"))

    assert shape_of(made) == shape_of(written)
    for pragma in ("application_id", "user_version"):
        (found,), (wanted,) = (
            one.execute(f"PRAGMA {pragma}").fetchone() for one in (made, written)
        )
        assert found == wanted

    made.close()
    written.close()


@pytest.mark.parametrize("opening", [Ledger.open, Ledger.open_to_read])
@of_sqlite("versions of its file")
def test_a_newer_ledger_is_refused(tmp_path: Path, opening: Callable[[Path], object]) -> None:
    """What a newer version means by its rows, this one cannot know."""
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(SettingsRefused, match="newer version") as caught:
        opening(path)

    assert "install" in (caught.value.hint or "")
    assert path.read_bytes() == before


@pytest.mark.parametrize("opening", [Ledger.open, Ledger.open_to_read])
@of_sqlite("versions of its file")
def test_another_programs_database_is_left_alone(
    tmp_path: Path, opening: Callable[[Path], object]
) -> None:
    """It may be precious."""
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(SettingsRefused, match="not a ledger"):
        opening(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize("opening", [Ledger.open, Ledger.open_to_read])
@of_sqlite("versions of its file")
def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, opening: Callable[[Path], object]
) -> None:
    """In our words, with the file's name."""
    path = tmp_path / "ledger.db"
    path.write_text(
        "a shopping list that is long enough to look like a file of some kind\n" * 20,
        encoding="utf-8",
    )

    with pytest.raises(LedgerFailed, match=r"ledger\.db: the file is not a database") as caught:
        opening(path)

    assert caught.value.path == path


@of_sqlite("versions of its file")
def test_a_sqlite_without_strict_tables_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail later, in its own words."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))

    with pytest.raises(LedgerFailed, match=r"is too old, 3\.37\.0 is needed"):
        opened(tmp_path)


@of_sqlite("versions of its file")
def test_commits_are_durable(tmp_path: Path) -> None:
    """FULL, with a log ahead: with less, a power cut takes back what was reported as done."""
    pragmas = ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync", "foreign_keys",
               "trusted_schema", "busy_timeout")  # fmt: skip

    with opened(tmp_path) as ledger:
        execute = ledger.engine.execute
        found = {name: value for name in pragmas for (value,) in execute(f"PRAGMA {name}")}

    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "busy_timeout": 30_000,
    }
