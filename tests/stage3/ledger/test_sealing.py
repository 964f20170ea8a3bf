"""A file that was moved to a server: no program buys by it any more, whichever version it is of."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stage3_plugin.errors import LedgerFailed, LedgerSealed
from stage3_plugin.ledger import making, sealing
from stage3_plugin.ledger.book import Ledger
from tests.stage3.ledger.samples import DAY, NO_CAPS, NOW, new_purchase

WHERE = 'o\'brien@db.example.com/"media" (project lighthouse)'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with one purchase."""
    path = tmp_path / "ledger.db"
    _buy(path, "rain")
    return path


def _buy(path: Path, scene_id: str) -> None:
    with Ledger.open(path) as ledger, ledger.transaction():
        ledger.hold(new_purchase(scene_id), NO_CAPS, day=DAY, now=NOW)


@contextmanager
def _raw(path: Path) -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


def _begin(path: Path) -> sealing.Seal:
    with _raw(path) as connection:
        return sealing.begin(connection, token="0" * 32, where=WHERE, now=NOW)


def _finish(path: Path) -> None:
    seal = _begin(path)
    with _raw(path) as connection:
        sealing.finish(connection, seal)


@pytest.fixture
def an_older_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that knows this schema and nothing of seals."""

    def looks_for_none(_connection: sqlite3.Connection) -> None:
        return None

    monkeypatch.setattr(making, "seal_of", looks_for_none)


def test_no_program_opens_what_is_being_moved(path: Path) -> None:
    """It says where it goes, and what ends the move."""
    _begin(path)

    for door in (Ledger.open, Ledger.open_to_read):
        with pytest.raises(LedgerSealed) as refused:
            door(path)
        assert WHERE in refused.value.message
        assert "is being moved to" in refused.value.message
        assert "stage3 move-ledger" in str(refused.value.hint)
        assert (refused.value.token, refused.value.is_finished) == ("0" * 32, False)


def test_no_program_opens_what_was_moved(path: Path) -> None:
    """It says where it went, and what the config needs."""
    _finish(path)

    for door in (Ledger.open, Ledger.open_to_read):
        with pytest.raises(LedgerSealed) as refused:
            door(path)
        assert f"was moved to {WHERE}" in refused.value.message
        assert "--config" in str(refused.value.hint)


@pytest.mark.usefixtures("an_older_version")
def test_an_older_program_buys_nothing_by_what_is_being_moved(path: Path) -> None:
    """The file itself refuses, and has the words."""
    _begin(path)

    with pytest.raises(LedgerFailed, match="being moved to") as failed:
        _buy(path, "sun")
    assert WHERE in str(failed.value)


@pytest.mark.usefixtures("an_older_version")
def test_an_older_program_sees_no_purchase_in_what_was_moved(path: Path) -> None:
    """It looks for purchases before it buys, and finds where they went."""
    _finish(path)

    with pytest.raises(LedgerFailed) as failed:
        _buy(path, "sun")
    assert str(failed.value).endswith(f"this ledger was moved to {WHERE}")
    with Ledger.open(path) as ledger, pytest.raises(LedgerFailed) as failed:
        list(ledger.purchases())
    assert str(failed.value).endswith(f"this ledger was moved to {WHERE}")
    with Ledger.open(path) as ledger, pytest.raises(LedgerFailed) as failed, ledger.transaction():
        ledger.agree_on_zone("Asia/Tokyo", now=NOW)
    assert WHERE in str(failed.value)


def test_whoever_has_it_open_writes_nothing_any_more(path: Path) -> None:
    """A connection that was there before is refused at its next step, and told why."""
    with Ledger.open(path) as ledger:
        seal = _begin(path)
        with pytest.raises(LedgerFailed, match="being moved to"), ledger.transaction():
            ledger.hold(new_purchase("sun"), NO_CAPS, day=DAY, now=NOW)
        with _raw(path) as connection:
            sealing.finish(connection, seal)
        with pytest.raises(LedgerFailed, match="was moved to") as failed, ledger.transaction():
            ledger.hold(new_purchase("sun"), NO_CAPS, day=DAY, now=NOW)
        assert "nothing is paid twice" in str(failed.value.hint)


def test_a_move_that_is_taken_back_leaves_no_trace(path: Path) -> None:
    """The file is what it was, and is bought by."""
    before = _schema(path)
    _begin(path)
    with _raw(path) as connection:
        sealing.take_back(connection)

    assert _schema(path) == before
    _buy(path, "sun")
    with Ledger.open(path) as ledger:
        assert len(list(ledger.purchases())) == 2


@pytest.mark.parametrize("table", sealing.TABLES)
@pytest.mark.parametrize("step", [_begin, _finish])
def test_nothing_is_written_to_any_table(
    path: Path, table: str, step: Callable[[Path], object]
) -> None:
    """By whatever program: the file says no to each kind of statement."""
    step(path)
    name = "moved_purchases" if step is _finish and table == "purchases" else table
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        values = ", ".join("1" for _ in columns)
        with pytest.raises(sqlite3.IntegrityError, match="this ledger"):
            connection.execute(f"INSERT INTO {name} VALUES ({values})")
        if connection.execute(f"SELECT count(*) FROM {name}").fetchone() != (0,):
            for statement in (f"UPDATE {name} SET {columns[0]} = 1", f"DELETE FROM {name}"):
                with pytest.raises(sqlite3.IntegrityError, match="this ledger"):
                    connection.execute(statement)


def test_nothing_of_it_is_lost(path: Path) -> None:
    """Whoever has to look finds the rows, whole."""
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT * FROM purchases").fetchall()
    _finish(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM moved_purchases").fetchall() == before
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def _schema(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 2").fetchall()
