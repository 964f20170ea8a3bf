# ruff: noqa: S608 - put together from names of tables of ours, never from data
"""What is said of a ledger whose tables are others than ours, before anything else happens.

Nothing was released before these tables, so what a snapshot left is not taken over: it is refused,
and its money is named, since a new ledger knows nothing of it. It is read with bare statements,
each of which may fail, and a file is read in a copy: opening it where it lies would write its log
into it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from host_stub import sqlite
from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.states import UNSETTLED, State
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.ledger.schema import APPLICATION_ID, VERSION

Rows: TypeAlias = Callable[[str], list[Any] | None]
"""Returns what a statement finds; ``None`` where its tables have no such columns."""
_SETTLED: Final = frozenset(State) - UNSETTLED
"""What is in none of these is open, and else unknown; snapshots had a further state that was."""


def newer(setting: str, shown: str, version: str) -> SettingsRefused:
    """Return the refusal of a ledger that a later program made."""
    return SettingsRefused(
        setting,
        f"{shown} was written by a newer version (its schema is {version}, known here is "
        f"{VERSION})",
        hint="install the newer version of stage3-plugin again",
    )


def of_a_snapshot(setting: str, shown: str, version: str, rows: Rows) -> SettingsRefused:
    """Return the refusal of a ledger that a snapshot before the first release made.

    Args:
        setting: Which one leads there.
        shown: The ledger, for people.
        version: Of its tables.
        rows: Reads it.
    """
    folder = "state_dir" if setting == "state_dir" else "project"
    money = "; ".join(told(rows) for told in (_at_stake, _counted))
    return SettingsRefused(
        setting,
        f"{shown} is the ledger of a snapshot before the first release (its schema is {version}, "
        f"known here is {VERSION}), and is left as it is; {money}; a new ledger begins at 0 and "
        "counts none of that",
        hint="go on with it by the checkout that wrote it; or begin anew: set another "
        f"`{folder}`, lower the caps by what was spent, and bring the pictures that you have with "
        "'host-stub import SCENE FILE'",
    )


def refuse_a_snapshots(path: Path) -> None:
    """Refuse a file that a snapshot made; anything else is left to whoever opens it.

    Nothing is written beside it, and no lock of this process is let go.

    Raises:
        SettingsRefused: It is one.
    """
    marks = sqlite.marks_of_file(path)
    if marks is not None and marks.application_id == APPLICATION_ID and 0 < marks.version < VERSION:
        raise _of_a_file(path)


def _of_a_file(path: Path) -> SettingsRefused:
    with TemporaryDirectory(prefix="stage3-") as folder:
        for end in ("", "-wal"):
            beside = path.with_name(path.name + end)
            if beside.is_file():
                shutil.copyfile(beside, Path(folder, path.name + end))
        with closing(sqlite3.connect(Path(folder, path.name))) as copy:
            (version,) = copy.execute("PRAGMA user_version").fetchone()

            def rows(statement: str) -> list[Any] | None:
                try:
                    return copy.execute(statement).fetchall()
                except sqlite3.Error:
                    return None

            return of_a_snapshot("state_dir", str(path), str(version), rows)


def _at_stake(rows: Rows) -> str:
    """Say how much is in work, and how much of unknown outcome."""
    for table in ("purchases", "moved_purchases"):  # the latter once it was moved to a server
        found = rows(f"SELECT state, count(*) FROM {table} GROUP BY state")
        if found is not None:
            states = {state: count for state, count in found if state not in _SETTLED}
            unknown = states.pop("UNKNOWN", 0)
            return f"open in it: {sum(states.values()):,}, of unknown outcome: {unknown:,}"
    return "what is open in it cannot be read here"


def _counted(rows: Rows) -> str:
    """Say what its caps have counted: in all, and by provider on the last day that it knows."""
    found = rows("SELECT scope, committed_microusd FROM counters")
    if found is None:
        return "what its caps have counted cannot be read here"
    counters = dict(found)
    days = [scope.split(":", 2)[1:] for scope in counters if scope.startswith("day:")]
    last = max((day for _, day in days), default="")
    of_it = [
        f"${usd_text(counters[f'day:{provider}:{day}'])} of {provider}"
        for provider, day in sorted(days)
        if day == last
    ]
    of_day = f", daily_usd {', '.join(of_it)} on {last}" if of_it else ""
    return f"total_usd has counted ${usd_text(counters.get('total', 0))}{of_day}"
