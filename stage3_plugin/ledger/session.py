"""The ledger of a project, opened for one run or for a look.

A run has a connection to read with in the event loop's thread, a writer, a name of its own, and
the lock that shows it to be alive as long as it lasts. Looking writes nothing, and makes nothing.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from datetime import datetime
from errno import EACCES, ENOENT, ENOTDIR
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.errors import LedgerFailed, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.calendar import Calendar
from stage3_plugin.ledger.commits import Commit, GroupCommit
from stage3_plugin.ledger.home import Homes, home_of, known_home, new_run_id
from stage3_plugin.ledger.owners import Claim, Owners
from stage3_plugin.ledger.place import LedgerPlace
from stage3_plugin.ledger.sqlite import may_write_in
from stage3_plugin.runtime.system_errors import says_not_there

OpenCommit: TypeAlias = Callable[[LedgerPlace], AbstractAsyncContextManager[Commit]]
"""Opens what writes to the ledger at a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a run has of the ledger.

    Attributes:
        reader: Answers; used in the event loop's thread.
        commit: Writes.
        owners: Knows which runs live.
        homes: Knows whose they are.
        run_id: This run's name in the ledger.
        calendar: Which day it is.
        now: The wall clock, aware.
        claim: Shows others that this run lives.
    """

    reader: Ledger
    commit: Commit
    owners: Owners
    homes: Homes
    run_id: str
    calendar: Calendar
    now: Callable[[], datetime]
    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Where a project's ledger lies, and how it is opened.

    Attributes:
        place: Where.
        state_dir: The folder of received answers and pictures, and of the runs' locks.
        time_zone: The zone whose calendar counts.
        now: The wall clock, aware.
        monotonic: Seconds of a clock that is never set.
        open_commit: Opens the writer.
        config: The file with the settings, for lines that people type; ``None`` if there is none.
    """

    place: LedgerPlace
    state_dir: Path
    time_zone: str
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    open_commit: OpenCommit = GroupCommit
    config: Path | None = None

    def calendar(self) -> Calendar:
        """Return the calendar, as far as it does not depend on the ledger.

        Raises:
            SettingsRefused: The time zone is not known.
        """
        return Calendar((self.time_zone,), self.now, self.monotonic)

    def caretaker(self, command: str) -> str:
        """Return the line that runs a ``stage3`` command on this ledger from the current folder."""
        here: Path | None
        try:
            here = Path.cwd()
        except OSError:  # it was removed, and the command is run from another
            here = None
        asks_with_the_key = command.partition(" ")[0] in {"ask", "wait"}
        if asks_with_the_key or not self.place.is_file:
            return f"stage3 {command}{self._by_config(here)}"
        if here is None:
            return f"stage3 {command} --state-dir {shlex.quote(str(self.state_dir))}"
        if self.state_dir == here / ".stage3":
            return f"stage3 {command}"
        is_below = self.state_dir.is_relative_to(here)
        shown = self.state_dir.relative_to(here) if is_below else self.state_dir
        return f"stage3 {command} --state-dir {shlex.quote(str(shown))}"

    def _by_config(self, here: Path | None) -> str:
        """Return the option that finds a config: it alone has the key, and a server's address."""
        if self.config is None:
            return " --config FILE"
        config = self.config.absolute() if here is not None else self.config
        if here is None or not config.is_relative_to(here):
            return f" --config {shlex.quote(str(config))}"
        near = config.relative_to(here)
        return "" if str(near) == "host.toml" else f" --config {shlex.quote(str(near))}"

    def check(self) -> None:
        """Check that the ledger can be read, or could be made; nothing is written.

        Raises:
            SettingsRefused: The time zone is not known, or the ledger is of another version.
            StorageFailed: The folder cannot be used, or the ledger not be read.
        """
        self.calendar()
        existing = _nearest(self.state_dir)
        if not existing.is_dir():
            raise StorageFailed(existing, NotADirectoryError(ENOTDIR, "it is a file, not a folder"))
        if not may_write_in(existing) and not (self.place.is_file and self.place.exists()):
            raise StorageFailed(existing, PermissionError(EACCES, "nothing may be made there"))
        with self.look():
            pass

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """Say so where the ledger can be read and no run could write to it."""
        if not self.place.is_file or may_write_in(self.state_dir) or not self.place.exists():
            return ()
        line = f"{self.state_dir} can only be read: no run starts before that is cured"
        return (coded("ledger_read_only", line),)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Session]:
        """Open the ledger for a run; it is made if there is none.

        Raises:
            StorageFailed: It cannot be opened.
            SettingsRefused: The time zone is not known, or the ledger is of another version.
        """
        self.calendar()  # refuses before anything is made
        owners = Owners(self.state_dir)
        async with self.open_commit(self.place) as commit:
            home = home_of(self.state_dir)
            run_id = new_run_id(home)
            with self.place.open() as reader, owners.claim(run_id) as claim:
                zones = await commit(partial(self._move_in, home))
                yield Session(
                    reader=reader,
                    commit=commit,
                    owners=owners,
                    homes=Homes(own=home, is_alone=self.is_alone),
                    run_id=run_id,
                    calendar=Calendar(zones, self.now, self.monotonic),
                    now=self.now,
                    claim=claim,
                )
                claim.leaves_rows = _leaves_rows(reader, run_id)

    def _move_in(self, home: str, ledger: Ledger) -> tuple[str, ...]:
        """Say in one commit what a run says of itself; return the zones that count."""
        ledger.show_home(home)
        return ledger.agree_on_zone(self.time_zone, now=self.now())

    @property
    def is_alone(self) -> bool:
        """Return whether the ledger lies in the state folder, so that all of it is this home's."""
        return self.place.is_file

    def homes(self) -> Homes:
        """Return whose the runs of a ledger are; nothing is made.

        Raises:
            StorageFailed: The word of the state folder cannot be read.
        """
        return Homes(own=known_home(self.state_dir), is_alone=self.is_alone)

    @contextmanager
    def look(self) -> Generator[Ledger | None]:
        """Open the ledger to read, or return ``None`` if there is none; nothing is written.

        Raises:
            StorageFailed: It cannot be read.
        """
        with self.place.open_to_read() or nullcontext() as ledger:
            yield ledger

    def read(self) -> Ledger:
        """Open the ledger to read; one that has nothing in it if there is none.

        Raises:
            StorageFailed: It cannot be read.
        """
        return self.place.open_to_read() or Ledger.empty(self.state_dir)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there.

    Raises:
        StorageFailed: The system does not say: one of them may not be searched.
    """
    for path in (folder, *folder.parents):
        try:
            path.stat()
        except OSError as error:
            if not says_not_there(error):
                raise StorageFailed(path, error, reading=True) from error
        else:
            return path
    raise StorageFailed(folder, FileNotFoundError(ENOENT, os.strerror(ENOENT)), reading=True)


def _leaves_rows(reader: Ledger, run_id: str) -> bool:
    """Return whether a run that ends leaves something open; where that cannot be read, it may."""
    try:
        return reader.open_of(run_id) > 0
    except LedgerFailed:
        return True
