"""A ledger of every version that was released, brought up to date: wholly, once, or not at all.

What is opened here is what lies on people's disks: the committed files were written by the programs
of their time, with purchases in every state.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed, SettingsRefused, StorageFailed
from stage3_plugin.ledger import copies, migrating
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.schema import MIGRATIONS
from tests.heavy import some_of
from tests.stage3.ledger.samples import (
    DAY,
    EARLIER_STATES,
    NO_CAPS,
    NOW,
    SETTLEMENTS,
    known,
    new_purchase,
)

EARLIER = (1, 2, 3, 4)
OLD_COLUMNS = (
    "seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, "
    "is_local, hold_microusd, day, held_at, state, changed_at, cost_microusd, basis, why, sha256, "
    "facts, took_s, decided_by"
)

NEW = {("take", 1)}
"""What every row of before gets."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.fixture(params=EARLIER)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger as each earlier version left it."""
    return laid_out(tmp_path, request.param)


def laid_out(folder: Path, version: int) -> Path:
    """Lay out a ledger as a version left it, with its log and its mode."""
    path = folder / "ledger.db"
    text = Path(__file__).with_name(f"schema_{version}.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)
        connection.execute("PRAGMA journal_mode=WAL")
    path.chmod(0o600)
    return path


def content(path: Path) -> dict[str, list[dict[str, object]]]:
    """Read all that an earlier version knew; a column that is new holds nothing."""
    asked = {
        "purchases": "SELECT * FROM purchases ORDER BY seq",
        "events": "SELECT seq, purchase, event, old, new, at, why FROM events ORDER BY seq",
        "counters": "SELECT * FROM counters ORDER BY scope",
        "meta": "SELECT * FROM meta ORDER BY name",
    }
    found: dict[str, list[dict[str, object]]] = {}
    with closing(sqlite3.connect(path)) as connection:
        for name, sql in asked.items():
            rows = connection.execute(sql)
            columns = [column for column, *_ in rows.description]
            found[name] = [
                {
                    column: one
                    for column, one in zip(columns, row, strict=True)
                    if one is not None and (column, one) not in NEW
                }
                for row in rows
            ]
    return found


def version(path: Path) -> int:
    """Read which version a file is."""
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def kept(path: Path) -> list[Path]:
    """List what lies beside a ledger, but for SQLite's own files."""
    own = {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    return sorted(one for one in path.parent.iterdir() if one.name not in own)


def test_every_state_is_in_every_earlier_ledger(path: Path) -> None:
    """Or the files would prove little."""
    states = {row["state"] for row in content(path)["purchases"]}

    assert states == set(EARLIER_STATES)


def test_an_earlier_ledger_keeps_all_that_is_in_it(path: Path) -> None:
    """Every row, event, counter and setting is there as it was, and the file is whole."""
    before = content(path)

    with Ledger.open(path) as ledger:
        problems = ledger.problems()

    assert content(path) == before
    assert problems == []
    assert version(path) == len(MIGRATIONS)


def test_an_earlier_ledger_is_gone_on_with(path: Path) -> None:
    """What was open can be settled, what is unknown decided about, and something new be bought."""
    with Ledger.open(path) as ledger:
        sending = next(ledger.purchases(states=[State.SENDING]))
        unknown = next(ledger.purchases(states=[State.UNKNOWN]))
        with ledger.transaction():
            ledger.settle(sending.new.attempt_id, SETTLEMENTS[State.PAID], now=NOW)
            ledger.settle(unknown.new.attempt_id, SETTLEMENTS[State.WROTE_OFF], now=NOW)
            held = ledger.hold(new_purchase("new"), NO_CAPS, day=DAY, now=NOW)
        blocked = ledger.live(sending.new.scene_key)
        problems = ledger.problems()

    assert not isinstance(held, Purchase)
    assert blocked is not None
    assert blocked.state is State.PAID
    assert problems == []


def test_a_new_ledger_is_made_as_an_earlier_one_becomes(path: Path, tmp_path: Path) -> None:
    """One shape, whichever way it came."""

    def shape(of: Path) -> dict[str, str]:
        with closing(sqlite3.connect(of)) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            return dict(rows)

    Ledger.open(path).close()
    Ledger.open(tmp_path / "new" / "ledger.db").close()

    assert shape(path) == shape(tmp_path / "new" / "ledger.db")


# What is kept ------------------------------------------------------------------------------------


def test_the_old_ledger_is_kept_under_another_name(path: Path) -> None:
    """Whoever wants to go back has it whole, and no program takes it for the ledger."""
    before, was = content(path), version(path)

    Ledger.open(path).close()
    (copy,) = kept(path)

    assert copy.name.startswith(f"ledger-schema-{was}-")
    assert copy.suffix == ".copy"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert (content(copy), version(copy)) == (before, was)


def test_what_was_written_last_is_in_the_copy(path: Path) -> None:
    """Also what stands in the log alone, while somebody else has the file open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("UPDATE meta SET value = '2026-11-25' WHERE name = 'last_day'")
        before = content(path)

        Ledger.open(path).close()

    (copy,) = kept(path)
    assert content(copy) == before
    assert {"name": "last_day", "value": "2026-11-25"} in before["meta"]


def test_an_earlier_copy_is_never_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going back and forth may leave several; each may be the one that somebody wants."""
    monkeypatch.setattr(copies, "datetime", _Stopped)

    first = copies.keep_copy(path, 1)
    second = copies.keep_copy(path, 1)

    assert first != second
    assert {one.suffix for one in (first, second)} == {".copy"}
    assert content(first) == content(second) == content(path)


class _Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Stopped:
        return cls(2026, 11, 24, tzinfo=tz)


@pytest.mark.parametrize("opening", [None, Ledger.open_to_read])
def test_nothing_is_kept_where_nothing_is_changed(
    path: Path, opening: Callable[[Path], Ledger | None] | None
) -> None:
    """Neither by looking, nor for a ledger that is made new."""
    if opening is not None:
        looking = opening(path)
        assert looking is not None
        with looking:
            assert len(list(looking.purchases())) == len(content(path)["purchases"])
    else:
        path = path.parent / "new" / "ledger.db"
        Ledger.open(path).close()

    assert kept(path) == []


@pytest.mark.parametrize("at", ["open", "copy", "sync", "rename"])
def test_a_full_disk_refuses_before_anything_is_changed(
    path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """No copy, no change: the ledger stays as it was, and nothing half is left."""
    before, was = content(path), version(path)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object, **__: object) -> None:
        raise full

    def refuse_in_sqlite(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        if at == "copy":
            patched.setattr(copies, "_copy", refuse_in_sqlite)
        else:
            steps = {"open": (os, "open"), "sync": (os, "fsync"), "rename": (Path, "replace")}
            patched.setattr(*steps[at], refuse)
        with pytest.raises((StorageFailed, LedgerFailed)):
            Ledger.open(path)

    assert (content(path), version(path)) == (before, was)
    assert kept(path) == []

    Ledger.open(path).close()
    assert version(path) == len(MIGRATIONS)


def test_what_a_killed_process_left_of_a_copy_is_replaced(path: Path) -> None:
    """It is half of one, and nobody else can be at it."""
    half = path.with_name(f"ledger-schema-{version(path)}.copying")
    half.write_bytes(b"half of a copy")

    Ledger.open(path).close()

    assert [one.suffix for one in kept(path)] == [".copy"]


# Others at the same time -------------------------------------------------------------------------

KILLING = """
import os, shutil, signal, sqlite3, sys
from pathlib import Path
from stage3_plugin.ledger.book import Ledger

made, folder = Path(sys.argv[1]), Path(sys.argv[2])
connect = sqlite3.connect

def opening(path, at):
    left = [at]
    def step(*_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def tracing(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(step)
        return connection
    sqlite3.connect = tracing
    names = {"open", "os.rename", "os.remove", "sqlite3.connect"}
    sys.addaudithook(lambda event, args: event in names and step())
    Ledger.open(path).close()
    os._exit(0)

at, died = 0, True
while died:
    at += 1
    path = folder / str(at) / "ledger.db"
    path.parent.mkdir()
    shutil.copyfile(made, path)
    child = os.fork()
    if child == 0:
        opening(path, at)
    died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
print(at)
"""


@needs_fork
@pytest.mark.parametrize("path", some_of(EARLIER, every=len(EARLIER)), indirect=True)
def test_killed_at_each_step_it_is_one_version_or_the_other(path: Path, tmp_path: Path) -> None:
    """Whenever the process dies, the next one finds a whole ledger, and brings it up to date."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before, was = content(path), version(path)
    folder = tmp_path / "killed"
    folder.mkdir()

    ran = subprocess.run(
        [sys.executable, "-c", KILLING, str(path), str(folder)],
        capture_output=True, encoding="utf-8", check=True, timeout=120,
    )  # fmt: skip
    steps = int(ran.stdout)
    found: list[int] = []
    for at in range(1, steps + 1):
        one = folder / str(at) / "ledger.db"
        found.append(version(one))
        assert content(one) == before
        with Ledger.open(one) as ledger:
            assert ledger.problems() == []
        assert content(one) == before
        assert version(one) == len(MIGRATIONS)
        assert {copy.suffix for copy in kept(one)} <= {".copy"}
        assert all(content(copy) == before for copy in kept(one))

    assert steps > 40
    assert set(found) == {was, len(MIGRATIONS)}
    assert found == sorted(found)


OPENING = """
import sys
from pathlib import Path
from stage3_plugin.ledger.book import Ledger

print("ready", flush=True)
sys.stdin.readline()
with Ledger.open(Path(sys.argv[1])) as ledger:
    print(len(list(ledger.purchases())), len(ledger.problems()))
"""


@pytest.mark.parametrize("path", some_of(EARLIER, every=len(EARLIER)), indirect=True)
def test_two_programs_at_once_bring_it_up_to_date_once(path: Path) -> None:
    """Whoever comes second waits, finds it done, and keeps no copy of its own."""
    before = content(path)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )
        for _ in range(4)
    ]  # fmt: skip
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    told = [program.communicate(timeout=60)[0].split() for program in programs]

    assert told == [[str(len(before["purchases"])), "0"]] * len(programs)
    assert content(path) == before
    assert len(kept(path)) == 1


# Older programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", EARLIER)
def test_an_older_program_refuses_by_name(path: Path, known: int) -> None:
    """It would buy what it cannot find, so it says which version it needs."""
    Ledger.open(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection), pytest.raises(SettingsRefused, match="newer version") as caught:
        migrating.prepare(connection, path, migrations=MIGRATIONS[:known])

    assert f"its schema is {len(MIGRATIONS)}, known here is {known}" in str(caught.value)
    assert "install the newer version" in (caught.value.hint or "")


@pytest.mark.parametrize("was", [2, 3, 4])
def test_an_older_program_that_has_it_open_can_settle_and_not_buy(tmp_path: Path, was: int) -> None:
    """What it has in flight is recorded; the next row that it wants to begin is refused by name."""
    path = laid_out(tmp_path, was)
    later: dict[str, object] = {"content_key": "content", "key_version": 3}
    more = dict(list(later.items())[: was - 2])
    columns = ", ".join((OLD_COLUMNS, *more))
    values = ", ".join("?" * (columns.count(",") + 1))
    insert = f"INSERT INTO purchases ({columns}) VALUES ({values})"
    settle = (
        "UPDATE purchases SET state = 'PAID', changed_at = ?, cost_microusd = 1, "
        "basis = 'reported', why = '', sha256 = ?, facts = NULL, took_s = 1.0, decided_by = NULL "
        "WHERE state = 'SENDING'"
    )

    def new(number: int) -> tuple[object, ...]:
        row = (
            None, f"{number:x}" * 32, f"key {number}", f"scene {number}", "run", "openai", "images",
            None, "painter", "1x1", "low", 0, 1, "2026-11-24", "now", "SENDING", "now", None, None,
            "", None, None, None, None,
        )  # fmt: skip
        return (*row, *more.values())

    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute(insert, new(11))
        sending = sum(row["state"] == "SENDING" for row in content(path)["purchases"])
        Ledger.open(path).close()
        with pytest.raises(sqlite3.IntegrityError, match="needs a newer version of stage3-plugin"):
            old.execute(insert, new(12))
        settled = old.execute(settle, ("now", "a" * 64)).rowcount

    assert settled == sending >= 2


# Keys --------------------------------------------------------------------------------------------


def test_what_an_earlier_program_bought_is_looked_for(path: Path) -> None:
    """By the keys that it gave it; in a ledger that is made new, no scene is."""
    rain = known("rain", "a key of before")
    with Ledger.open(path) as ledger, Ledger.open(path.parent / "new" / "ledger.db") as made_new:
        asked = ledger.keys_here(rain), made_new.keys_here(rain)
        looking = Ledger.open_to_read(path)
        assert looking is not None
        with looking:
            asked_to_read = looking.keys_here(rain)

    assert asked == (rain.all, (rain.present,))
    assert asked_to_read == rain.all
