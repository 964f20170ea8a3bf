"""A ledger moves to a server whole, once, and seals its file; whatever ends it, one is in force."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest

from stage3_plugin.cli import main
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerInDoubt, LedgerSealed, SettingsRefused
from stage3_plugin.ledger import sealing
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.place import LEDGER_NAME, LedgerPlace, place_of
from stage3_plugin.ledger.postgres import moving as bringing
from stage3_plugin.ledger.postgres.engine import PostgresEngine
from tests.engines.postgres import moving_process
from tests.engines.postgres_server import PASSWORD, PostgresServer, running
from tests.stage3.caretaking.purchases import HOLD_MICROUSD, Project

ODD = "sent, and a proxy said \0 \t \n \r \\N \\. \\x00 \u2028 é 🎬 \u0600 to it"
"""A text with all that a copy could stumble over."""
LOST = "3f2a91c0" + "0" * 24
"""The token of a batch whose create was lost."""
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Story:
    """A project whose ledger is a file, and a config that names a server for it."""

    folder: Path
    server: PostgresServer
    name: str = "lighthouse"
    database: str = ""

    def __post_init__(self) -> None:
        self.database = self.database or self.server.new_database()
        self.url = self.server.tcp_url(self.database)
        self.project = Project(self.folder / ".stage3")
        self.config = self.folder / "host.toml"
        self.config.write_text(
            f'[plugin.stage3]\nledger = {{ env = "LEDGER" }}\nproject = "{self.name}"\n',
            encoding="utf-8",
        )

    @property
    def file(self) -> Path:
        return self.folder / ".stage3" / LEDGER_NAME

    @property
    def place(self) -> LedgerPlace:
        return place_of(self.url, self.name, self.folder / ".stage3")

    def place_without_file(self) -> LedgerPlace:
        """Return the server as somebody sees it whose folder has no ledger."""
        return place_of(self.url, self.name, self.folder / "elsewhere")

    def fill(self) -> None:
        """Have purchases in every state, with a decision, a correction and a text with a NUL."""
        self.project.paid("scene_001")
        self.project.unknown("scene_002", why=ODD)
        self.project.accepted("scene_003")
        self.project.begin("scene_004")
        self.project.end(self.project.begin("scene_005"), State.REFUSED, why="no")
        self.project.end(
            self.project.begin("scene_006"), State.PAID_BAD, cost_microusd=1, basis="reported"
        )
        lost = self.project.unknown("scene_007")
        self.project.end(lost, State.WROTE_OFF, decided_by="user")
        self.project.batch("scene_008", "scene_009", state=State.ACCEPTED)
        self.project.batch("scene_010", "scene_011", state=State.UNKNOWN, token=LOST)
        with self.project.open() as ledger, ledger.transaction():
            ledger.agree_on_zone("Europe/Berlin", now=self.project.now)
            ledger.acknowledge(["0" * 64], now=self.project.now)

    def stage3(self, *words: str) -> int:
        """Run a command of ``stage3`` as somebody would in the project's folder."""
        return main([*words, "--json"])

    def rows_of_file(self) -> Rows:
        """Return all that the file has, sealed or not."""
        with closing(sqlite3.connect(self.file)) as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            kept = "moved_purchases" if "moved_purchases" in names else "purchases"
            return {
                table: connection.execute(
                    f"SELECT * FROM {kept if table == 'purchases' else table} ORDER BY 1"
                ).fetchall()
                for table in sealing.TABLES
            }

    def rows_of_server(self) -> Rows:
        """Return all that the server has, in the file's order of columns."""
        found: Rows = {}
        with closing(sqlite3.connect(self.file)) as connection:
            columns = {
                table: [row[1] for row in connection.execute(f"PRAGMA table_info({kept})")]
                for table, kept in _kept(connection)
            }
        for table, names in columns.items():
            order = 'name COLLATE "C"' if table == "meta" else "1"
            found[table] = self.server.execute(
                f"SELECT {', '.join(names)} FROM {self.name}.{table} ORDER BY {order}",
                database=self.database,
            )
        return found

    def in_force(self) -> list[str]:
        """Return which of the two would be bought by now."""
        doors: dict[str, Callable[[], Ledger]] = {
            "file": lambda: Ledger.open(self.file),
            "server": self.place.open,
        }
        found: list[str] = []
        for name, door in doors.items():
            try:
                with door() as ledger, ledger.transaction():
                    ledger.agree_on_zone("Europe/Berlin", now=self.project.now)
            except SettingsRefused:
                continue
            found.append(name)
        return found


def _kept(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    kept = "moved_purchases" if "moved_purchases" in names else "purchases"
    return [(table, kept if table == "purchases" else table) for table in sealing.TABLES]


def _without_nul(rows: Rows) -> Rows:
    return {
        table: [tuple(map(bringing.storable, row)) for row in found]
        for table, found in rows.items()
    }


OURS = {"moved_from", "ledger_id", "postgres_schema"}


def _is_all_there(story: Story, before: Rows) -> None:
    there = story.rows_of_server()
    there["meta"] = [row for row in there["meta"] if row[0] not in OURS]
    assert there == _without_nul(before)


@pytest.fixture
def story(tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A project in the current folder, with purchases in every state."""
    made = Story(tmp_path, postgres)
    made.fill()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGER", made.url)
    return made


def _said(capsys: pytest.CaptureFixture[str]) -> Any:
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    return json.loads(said.out or said.err)


def test_everything_moves_and_the_file_says_where(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row by row with the same numbers; the commands go on at the server, and so do purchases."""
    before = story.rows_of_file()
    assert story.in_force() == ["file"]

    assert story.stage3("move-ledger") == 0

    said = _said(capsys)
    assert said["rows"] == {table: len(rows) for table, rows in before.items()}
    assert (said["ledger"], said["was_there"]) == (story.place.shown, False)
    assert story.rows_of_file() == before
    _is_all_there(story, before)
    assert story.in_force() == ["server"]
    with pytest.raises(LedgerSealed) as refused:
        Ledger.open(story.file)
    assert story.place.shown in refused.value.message
    assert PASSWORD not in str(refused.value)

    assert story.stage3("attempts", "--all") == 0
    listed = _said(capsys)
    assert len(listed["attempts"]) == len(before["purchases"])
    assert listed["ledger"] == story.place.shown
    unknown = next(one for one in listed["attempts"] if one["scene_id"] == "scene_002")
    assert story.stage3("resolve", unknown["attempt_id"], "--billed") == 0
    capsys.readouterr()
    assert [(one["lines"], one["state"]) for one in listed["batches"]] == [
        (2, "UNKNOWN"),
        (2, "ACCEPTED"),
    ]
    assert story.stage3("resolve", "--batch", LOST[:8], "--billed", "--yes") == 0
    assert {one["line"] for one in _said(capsys)["resolved"]} == {0, 1}
    assert story.stage3("verify") == 0
    assert story.stage3("room") == 0


def test_the_next_purchase_has_the_next_number(story: Story) -> None:
    """And the rules hold again, which were not asked about what had happened before."""
    before = story.rows_of_file()
    story.stage3("move-ledger")

    with story.place.open() as ledger, ledger.transaction():
        held = _hold(ledger)
    last = story.rows_of_server()["purchases"][-1]
    assert last[0] == max(row[0] for row in before["purchases"]) + 1
    assert held in last
    with pytest.raises(psycopg.Error, match="never deleted"):
        story.server.execute(f"DELETE FROM {story.name}.purchases", database=story.database)


def _hold(ledger: Ledger) -> str:
    from tests.stage3.ledger.samples import DAY, NO_CAPS, NOW, new_purchase

    new = new_purchase("another scene", hold_microusd=HOLD_MICROUSD)
    ledger.hold(new, NO_CAPS, day=DAY, now=NOW)
    return new.attempt_id


def test_moving_twice_is_moving_once(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time says that it is there."""
    story.stage3("move-ledger")
    with story.place.open() as ledger, ledger.transaction():
        _hold(ledger)
    there = story.rows_of_server()
    capsys.readouterr()

    assert story.stage3("move-ledger") == 0
    assert _said(capsys)["was_there"] is True
    assert story.rows_of_server() == there


def test_two_ledgers_never_become_one(
    story: Story, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A project that has purchases takes no others; the file stays in force."""
    other = Story(tmp_path_factory.mktemp("other"), story.server, database=story.database)
    with other.place.open() as ledger, ledger.transaction():
        _hold(ledger)

    assert story.stage3("move-ledger") == 2
    assert "cannot become one" in capsys.readouterr().err
    assert story.in_force() == ["file"]


def test_a_ledger_that_was_begun_and_is_empty_takes_it(story: Story) -> None:
    """Somebody else's first run, or the owner's script, made the tables."""
    other = place_of(story.url, story.name, story.folder / "elsewhere")
    other.open().close()
    before = story.rows_of_file()

    assert story.stage3("move-ledger") == 0
    _is_all_there(story, before)
    assert story.in_force() == ["server"]
    with pytest.raises(psycopg.Error, match="cannot go this way"):
        story.server.execute(
            f"UPDATE {story.name}.purchases SET state = 'SENDING'", database=story.database
        )


def test_nobody_works_by_it_meanwhile(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a run by the file, nor a driver that has the empty ledger open."""
    with story.project.owners.claim("alive"):
        assert story.stage3("move-ledger") == 2
        assert "a run goes on" in capsys.readouterr().err
    assert story.in_force() == ["file"]

    other = place_of(story.url, story.name, story.folder / "elsewhere")
    with other.open():
        assert story.stage3("move-ledger") == 2
        assert "somebody works by" in capsys.readouterr().err
    assert story.in_force() == ["file"]
    assert story.stage3("move-ledger") == 0


def test_a_server_is_not_begun_beside_a_file(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who names a server, and moves nothing, is told so before anything is bought again."""
    for words in (["attempts"], ["verify"], ["room"]):
        assert story.stage3(*words) == 2
        assert "stage3 move-ledger" in capsys.readouterr().err
    assert not story.place_without_file().exists()


def test_a_config_without_a_server_moves_nothing(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which setting is missing."""
    story.config.write_text("[plugin.stage3]\n", encoding="utf-8")

    assert story.stage3("move-ledger") == 2
    assert "names no server" in capsys.readouterr().err


def test_another_server_than_it_went_to_is_told(
    story: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every command, and by a second move."""
    story.stage3("move-ledger")
    monkeypatch.setenv("LEDGER", story.server.tcp_url(story.server.new_database()))
    capsys.readouterr()

    for words in (["move-ledger"], ["attempts"]):
        assert story.stage3(*words) == 2
        assert story.place.shown in capsys.readouterr().err


# Ends --------------------------------------------------------------------------------------------

POINTS = [
    ("mark", "before", 1), ("mark", "after", 1), ("marked", "after", 1),
    *(("table", edge, nth) for edge, nth in (("before", 1), ("after", 1), ("after", 2),
                                             ("after", 5))),
    ("compared", "after", 1), ("compared", "after", 5),
    # Once for a look whether it is there, then for the move itself.
    ("statement", "after", 2), ("statement", "before", 3), ("statement", "after", 3),
    ("seal", "before", 1), ("seal", "after", 1), ("sealed", "after", 1),
]  # fmt: skip


def _moved_by_process(story: Story, *point: object) -> int:
    path = moving_process.__file__
    done = subprocess.run(
        [sys.executable, path, *map(str, point), "move-ledger", "--json"],
        cwd=story.folder,
        env={**os.environ, "LEDGER": story.url},
        capture_output=True,
        check=False,
    )
    assert PASSWORD.encode() not in done.stdout + done.stderr
    return done.returncode


@pytest.mark.parametrize("point", POINTS, ids=lambda point: " ".join(map(str, point)))
def test_killed_at_any_step_one_ledger_is_in_force(
    story: Story, point: tuple[str, str, int]
) -> None:
    """At most one, until the same command is run again and ends what was begun."""
    before = story.rows_of_file()

    assert _moved_by_process(story, *point) == -signal.SIGKILL

    assert len(story.in_force()) <= 1
    assert story.rows_of_file() == before
    assert _moved_by_process(story, "none", "", 0) == 0
    _is_all_there(story, before)
    assert story.in_force() == ["server"]


def test_a_move_that_was_killed_can_be_given_up(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as nothing of it is on the server."""
    _moved_by_process(story, "table", "after", 2)
    assert story.in_force() == []
    assert story.stage3("attempts") == 2
    assert "move-ledger --back" in capsys.readouterr().err

    assert story.stage3("move-ledger", "--back") == 0
    assert story.in_force() == ["file"]
    assert story.stage3("move-ledger") == 0


def test_a_move_whose_rows_are_there_cannot_be_given_up(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody may have gone on by them."""
    _moved_by_process(story, "statement", "after", 3)

    for _ in ("before its end", "after"):
        assert story.stage3("move-ledger", "--back") == 2
        assert "may have gone on there" in capsys.readouterr().err
        story.stage3("move-ledger")
        capsys.readouterr()
    assert story.in_force() == ["server"]


def test_a_server_that_fails_over_it_leaves_the_file_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is killed as a crash does, with half of the rows on it."""
    with running() as server:
        story = Story(tmp_path, server)
        story.fill()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("LEDGER", story.url)
        before = story.rows_of_file()
        original = bringing.copied

        def crashing(*arguments: Any) -> int:
            count = original(*arguments)
            if arguments[2] == "purchases":
                server.stop(at_once=True)
            return count

        with monkeypatch.context() as patch:
            patch.setattr(bringing, "copied", crashing)
            assert story.stage3("move-ledger") == 2
        assert PASSWORD not in capsys.readouterr().err
        Ledger.open(story.file).close()
        server.start()
        assert story.in_force() == ["file"]
        assert story.stage3("move-ledger") == 0
        _is_all_there(story, before)


def test_a_commit_whose_fate_is_not_known_is_looked_up_by_the_next_try(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was made, and nobody could say so: the file is not given back to anybody."""
    before = story.rows_of_file()
    run = PostgresEngine.run

    def losing(self: PostgresEngine, statement: str) -> None:
        run(self, statement)
        if statement == "COMMIT":
            raise LedgerInDoubt(self.shown)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresEngine, "run", losing)
        assert story.stage3("move-ledger") == 2
    capsys.readouterr()
    assert story.in_force() == []
    assert story.stage3("attempts") == 2
    assert "is being moved to" in capsys.readouterr().err
    assert story.stage3("move-ledger") == 0
    assert _said(capsys)["was_there"] is True
    _is_all_there(story, before)
    assert story.in_force() == ["server"]


def test_a_second_move_that_fails_takes_nothing_back_from_the_first(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It had looked before the first one had the server, which it then waits for in vain."""
    _moved_by_process(story, "marked", "after", 1)
    before = story.rows_of_file()
    monkeypatch.setenv("LEDGER", story.server.tcp_url(story.database, more="?connect_timeout=1"))
    original, second = bringing.copied, list[int]()

    def overlapping(*arguments: Any) -> int:
        if not second:
            with monkeypatch.context() as patch:
                patch.setattr(bringing, "token_of", Mock(return_value=None))
                second.append(2)
                second[0] = story.stage3("move-ledger")
                second.append(story.stage3("move-ledger", "--back"))
        return original(*arguments)

    monkeypatch.setattr(bringing, "copied", overlapping)
    first = story.stage3("move-ledger")

    assert second == [2, 2]
    assert "is being moved just now, by another command" in capsys.readouterr().err
    assert first == 0
    _is_all_there(story, before)
    assert story.in_force() == ["server"]


def test_a_server_that_is_frozen_over_it_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is in force as before."""
    with running() as server:
        story = Story(tmp_path, server)
        story.fill()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("LEDGER", story.url)
        monkeypatch.setattr(bringing, "MOVING_S", 2.0)
        original = bringing.copied

        def freezing(*arguments: Any) -> int:
            with server.frozen():
                return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(bringing, "copied", freezing)
            assert story.stage3("move-ledger") == 2
        assert story.in_force() == ["file"]
        assert story.stage3("move-ledger") == 0


def test_a_row_that_does_not_arrive_as_it_was_stops_the_move(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comparison sees one letter of one row."""
    original = bringing.copied

    def spoiling(connection: Any, quoted: str, table: str, *more: Any) -> int:
        count = original(connection, quoted, table, *more)
        if table == "events":
            connection.execute(
                f"UPDATE {quoted}.events SET why = why || '.' WHERE seq = 2".encode()
            )
        return count

    with monkeypatch.context() as patch:
        patch.setattr(bringing, "copied", spoiling)
        assert story.stage3("move-ledger") == 2
    assert "row 2 of events" in capsys.readouterr().err
    assert story.in_force() == ["file"]
    assert not story.place_without_file().exists()


def test_a_disk_that_fails_at_the_seal_is_mended_by_the_next_try(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there; the file cannot be bought by, and says so."""
    before = story.rows_of_file()

    def full(*_arguments: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "finish", full)
        assert story.stage3("move-ledger") == 2
    assert story.in_force() == []
    assert story.stage3("move-ledger") == 0
    _is_all_there(story, before)


def test_a_role_without_rights_moves_nothing(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told who can."""
    role = story.server.new_role()
    monkeypatch.setenv("LEDGER", story.server.tcp_url(story.database, role=role))

    assert story.stage3("move-ledger") == 2
    assert "as the owner" in capsys.readouterr().err
    assert story.in_force() == ["file"]


def test_a_large_ledger_moves_within_seconds(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 purchases with their events, each compared."""
    story = Story(tmp_path, postgres)
    attempt_id = story.project.begin("scene")
    story.project.end(attempt_id, State.VOID)
    with closing(sqlite3.connect(story.file)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(purchases)")]
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        others = ", ".join(name for name in names if name not in {"seq", "attempt_id"})
        connection.execute(
            "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n "
            f"WHERE value < 20000) INSERT INTO purchases (attempt_id, {others}) "
            f"SELECT printf('%032x', value), {others} FROM purchases, n"
        )
        connection.execute(
            "INSERT INTO events (purchase, event, old, new, at, why) "
            "SELECT seq, 'changed', NULL, state, changed_at, why FROM purchases WHERE seq > 1"
        )
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGER", story.url)
    before = story.rows_of_file()
    began = time.monotonic()

    assert story.stage3("move-ledger") == 0
    assert time.monotonic() - began < 30
    _is_all_there(story, before)
