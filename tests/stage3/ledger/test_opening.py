"""How a ledger is opened beside others: who ends first takes nothing from who goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger import counters
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.engine import Cursor, Execute
from stage3_plugin.ledger.making import is_made, make
from tests.stage3.ledger.samples import DAY, NO_CAPS, NOW, new_purchase

SOMEBODY = """
import sys
from contextlib import closing, suppress
from pathlib import Path
from stage3_plugin.ledger.book import Ledger
with Ledger.{opening}(Path(sys.argv[1])) as ledger:
    print(len(list(ledger.purchases())))
"""


def found_by_another_process(path: Path, opening: str) -> int:
    """Open the ledger in a process of its own, count its purchases, and close it."""
    script = SOMEBODY.format(opening=opening)
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    return int(done.stdout)


def hold(ledger: Ledger, scene_id: str) -> None:
    """Hold the money for a scene."""
    with ledger.transaction():
        ledger.hold(new_purchase(scene_id), NO_CAPS, day=DAY, now=NOW)


@pytest.mark.parametrize("opening", ["open", "open_to_read"])
def test_who_closes_the_ledger_leaves_the_log_to_who_goes_on(tmp_path: Path, opening: str) -> None:
    """The last to close it removes its log, and what somebody else still writes there is lost."""
    path, log = tmp_path / "ledger.db", tmp_path / "ledger.db-wal"
    with Ledger.open(path) as first:  # locks are kept from the opening on if it is there already
        hold(first, "first")
    with Ledger.open(path) as writer, Ledger.open(path):  # as a run has them
        hold(writer, "before")
        begun = log.stat().st_ino

        assert found_by_another_process(path, opening) == 2
        assert log.exists()
        assert log.stat().st_ino == begun

        hold(writer, "after")
        assert found_by_another_process(path, opening) == 3


# What is in its place ----------------------------------------------------------------------------


def test_a_ledger_that_may_not_be_written_to_is_refused_before_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would open it to read, and fail with the first purchase."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path):
        pass

    def may(_path: Path, wanted: int) -> bool:
        return not wanted & os.W_OK

    monkeypatch.setattr(os, "access", may)

    with pytest.raises(StorageFailed, match="Permission denied"):
        Ledger.open(path)


def test_what_is_no_file_is_refused_by_its_name(tmp_path: Path) -> None:
    """The reason is the system's own, so that one knows what to look for."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("nothing")
    reasons = {
        "folder": "Is a directory",
        "circle": "Too many levels of symbolic links",
        "nowhere": "No such file or directory",
    }
    for name, reason in reasons.items():
        with pytest.raises(StorageFailed, match=f"{name}.*{reason}"):
            Ledger.open(tmp_path / name)


# Checked while somebody writes -------------------------------------------------------------------


def test_a_ledger_is_checked_as_it_is_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may go on between the counters and the rows; what is right is never accused."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as writer, Ledger.open(path) as reader:
        hold(writer, "before")
        add_up = counters.disagreements
        statements: list[str] = []

        def meanwhile(execute: Execute) -> list[str]:
            def and_then(statement: str, *parameters: Any) -> Cursor:
                found = execute(statement, *parameters)
                hold(writer, f"meanwhile {len(statements)}")
                statements.append(statement)
                return found

            return add_up(and_then)

        monkeypatch.setattr(counters, "disagreements", meanwhile)

        assert reader.problems() == []
        assert len(statements) > 1
        assert len(list(reader.purchases())) == 1 + len(statements)


def test_a_ledger_that_is_just_being_made_is_not_taken_for_another_database(
    tmp_path: Path,
) -> None:
    """Its version may be read before, and its tables after: two runs may begin at once."""
    path = tmp_path / "ledger.db"
    another = sqlite3.connect(path, isolation_level=None, timeout=0.01)

    class Slow(sqlite3.Connection):
        def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if "sqlite_master" in statement:
                with suppress(sqlite3.OperationalError):  # it waits for us, for a while
                    make(another, path)
            return super().execute(statement, parameters)

    with closing(another), closing(Slow(path, isolation_level=None)) as slow:
        assert is_made(slow, path) in {False, True}
