# ruff: noqa: S608 - put together from names of tables and columns, never from data
"""Moves a ledger from its file to a server, so that at every moment at most one can be bought by.

Four steps, of which each is durable before the next begins. The file is marked, and nothing can be
written to it any more; its rows are brought to the server and compared there, in one transaction;
the file is sealed, and says where they went. Killed before the server has them, the file has lost
nothing, and nobody buys by an empty ledger, since the place on the server is refused as long as a
file with purchases lies beside it; killed after, the same command ends what was begun.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from filelock import FileLock, Timeout
from pydantic import Field

from host_stub.sqlite import all_or_nothing
from stage3_plugin.errors import LedgerInDoubt, Stage3Error, StorageFailed
from stage3_plugin.ledger import names, sealing
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.making import connected
from stage3_plugin.ledger.refusal import refuse_a_snapshots
from stage3_plugin.ledger.sqlite import is_file
from stage3_plugin.ledger.translation import ledger_failed
from stage3_plugin.maintenance import Refused
from stage3_plugin.maintenance.next_steps import Next, checking
from stage3_plugin.maintenance.report import Kept, Report, counted
from stage3_plugin.maintenance.state_folder import LedgerMissing, StateFolder

if TYPE_CHECKING:
    from stage3_plugin.ledger.postgres.moving import Rows
    from stage3_plugin.ledger.postgres.place import PostgresPlace

Tell: TypeAlias = Callable[[str, int], None]
_KEYS: Final = {"counters": "scope", "meta": "name"}
_LOCK_NAME: Final = "moving.lock"
"""Beside the file, locked for as long as a move goes on."""


class MoveRefused(Refused):
    """A ledger that is not moved, and stays where it is."""


_CALLED: Final[Mapping[str, str]] = {
    "purchases": "purchase",
    "jobs": "job",
    "events": "event",
    "counters": "counter",
    "meta": "note",
}


class Moved(Report):
    """A ledger that was moved to a server.

    Attributes:
        ledger: Where its rows are now.
        path: The file.
        was_there: An earlier attempt had brought them already.
        rows: How many of each table were brought.
    """

    format = "stage3-moved/1"
    folder: Kept[StateFolder]
    ledger: str
    path: Path = Field(serialization_alias="from")
    was_there: bool
    rows: dict[str, int]

    def sentences(self) -> Iterator[str]:
        """Yield what was moved, and what holds from now on."""
        if self.was_there:
            yield f"{self.path} is at {self.ledger}: an earlier move had brought it there already"
        else:
            each = ", ".join(counted(self.rows[table], name) for table, name in _CALLED.items())
            now = f"{self.path} is at {self.ledger} now"
            yield f"{now}: {each}, each compared with what it was"
        yield "the file is kept, and no program buys by it any more; each says where it went"
        yield "keep the state folder: answers and pictures are there, as before"

    def next_steps(self) -> Iterator[Next]:
        """Yield the check."""
        yield checking(self.folder)


class MovedBack(Report):
    """A move that was begun, brought nothing, and was given up."""

    format = "stage3-moved-back/1"
    ledger: Path

    def sentences(self) -> Iterator[str]:
        """Say which file is in force."""
        ways = "take `ledger` out of the config, or move again"
        yield f"nothing was moved: {self.ledger} is the ledger again; {ways}"


def move(
    folder: StateFolder,
    place: PostgresPlace,
    *,
    now: datetime,
    tell: Tell = lambda _table, _count: None,
) -> Moved:
    """Move a folder's ledger to a server, or end a move that was begun.

    Args:
        folder: Whose.
        place: Where to.
        now: The wall clock, aware.
        tell: Called with a table and how many of its rows are on the server.

    Raises:
        LedgerMissing: There is none.
        MoveRefused: Somebody uses or moves it, it is damaged, or it went or goes elsewhere.
        SettingsRefused: The server has another ledger there, or is none that is usable; or the file
            is of a snapshot before the first release.
        LedgerInDoubt: The connection was lost over the commit; the same command ends the move.
        LedgerFailed: The server or the disk failed; the file is in force as before.
    """
    from stage3_plugin.ledger.postgres.moving import bring, token_of  # noqa: PLC0415 - an extra

    path = _file_of(folder)
    with _alone(path):
        seal = _seal_of(path, place)
        if seal is None:
            _check_sound(path)
        brought_by = token_of(place)  # also: can it be reached, before anything is changed
        if seal is not None and seal.is_finished:
            if brought_by != seal.token:
                raise _went_elsewhere(path, seal, place)
            return _moved(folder, place, None)
        if seal is None:
            seal = _begin(folder, place, now)
        try:
            brought = bring(place, _rows(path), seal.token, tell=tell)
        except LedgerInDoubt:
            raise
        except (Stage3Error, sqlite3.Error):
            _take_back(path)
            raise
        with _writing(path) as connection:
            sealing.finish(connection, seal)
    return _moved(folder, place, brought.rows if brought.is_new else None)


def _moved(folder: StateFolder, place: PostgresPlace, rows: Mapping[str, int] | None) -> Moved:
    return Moved(
        folder=folder,
        ledger=place.shown,
        path=folder.ledger_path,
        was_there=rows is None,
        rows=dict(rows or {}),
    )


def take_back(folder: StateFolder, place: PostgresPlace) -> MovedBack:
    """Give a move up that was begun and brought nothing; the file is in force again.

    Raises:
        LedgerMissing: There is none.
        MoveRefused: No move was begun, it goes on, or its rows are on the server already.
        LedgerFailed: The server does not say.
    """
    from stage3_plugin.ledger.postgres.moving import token_of  # noqa: PLC0415 - an extra

    path = _file_of(folder)
    with _alone(path):
        seal = _seal_of(path, place)
        if seal is None:
            raise MoveRefused(f"no move of {path} was begun", hint="there is nothing to take back")
        if seal.is_finished or token_of(place) == seal.token:
            raise MoveRefused(
                f"what {path} had is at {seal.where} by now, and may have gone on there",
                hint="go on there: 'stage3 move-ledger' ends the move if it has not ended",
            )
        _take_back(path)
    return MovedBack(ledger=path)


# The file ----------------------------------------------------------------------------------------


def _file_of(folder: StateFolder) -> Path:
    """Return a folder's ledger.

    Raises:
        LedgerMissing: There is none.
        SettingsRefused: It is of a snapshot before the first release.
    """
    path = folder.ledger_path
    if not is_file(path):
        raise LedgerMissing(path)
    refuse_a_snapshots(path)
    return path


@contextmanager
def _alone(path: Path) -> Generator[None]:
    """Be the one who moves a file: another one that fails would take back what this one brings.

    The lock falls with its process, so a move that was killed is in nobody's way.

    Raises:
        MoveRefused: Somebody moves it.
        StorageFailed: The lock cannot be made.
    """
    beside = path.with_name(_LOCK_NAME)
    lock = FileLock(beside, mode=0o600, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise MoveRefused(
            f"the ledger {path} is being moved just now, by another command",
            hint="wait until that has ended; one that hangs has to be ended",
        ) from None
    except OSError as error:
        raise StorageFailed(beside, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _connected(path: Path) -> Generator[sqlite3.Connection]:
    """Open the file itself: a ledger that is sealed is opened by nobody else."""
    try:
        with closing(connected(path)) as one:
            yield one
    except sqlite3.Error as error:
        raise ledger_failed(path, error) from error


@contextmanager
def _writing(path: Path) -> Generator[sqlite3.Connection]:
    with _connected(path) as connection, all_or_nothing(connection):
        yield connection


def _seal_of(path: Path, place: PostgresPlace) -> sealing.Seal | None:
    """Return what the file says of a move that was begun.

    Raises:
        MoveRefused: It was begun to another place.
    """
    with _connected(path) as connection:
        seal = sealing.seal_of(connection)
    if seal is not None and not seal.is_finished and seal.where != place.shown:
        raise _went_elsewhere(path, seal, place)
    return seal


def _check_sound(path: Path) -> None:
    """Check that the file agrees with itself: damage is not moved.

    Raises:
        MoveRefused: It does not.
    """
    names.check(path)
    with Ledger.open(path) as ledger:
        problems = list(ledger.problems())
    if problems:
        raise MoveRefused(
            f"the ledger {path} is damaged: {problems[0]}",
            hint="'stage3 verify' tells all of it; bring back the last copy that is right",
        )


def _went_elsewhere(path: Path, seal: sealing.Seal, place: PostgresPlace) -> MoveRefused:
    how = "was moved" if seal.is_finished else "is being moved"
    return MoveRefused(
        f"the ledger {path} {how} to {seal.where}, and the config names {place.shown}",
        hint="set `ledger` and `project` to where it went",
    )


def _begin(folder: StateFolder, place: PostgresPlace, now: datetime) -> sealing.Seal:
    """Keep everybody from the file, unless somebody uses it.

    Who begins later cannot write any more; who began before has a lock that is seen here.

    Raises:
        MoveRefused: Somebody does.
    """
    with _writing(folder.ledger_path) as connection:
        if folder.owners.any_lives():
            raise MoveRefused(
                f"a run goes on by the ledger {folder.ledger_path}",
                hint="wait until it has ended, and move again; one that hangs has to be ended",
            )
        token = secrets.token_hex(16)
        return sealing.begin(connection, token=token, where=place.shown, now=now)


def _take_back(path: Path) -> None:
    with _writing(path) as connection:
        sealing.take_back(connection)


def _rows(path: Path) -> Rows:
    """Read the file's rows, each table as often as is asked: nobody writes to it meanwhile."""
    from stage3_plugin.ledger.postgres.moving import Rows  # noqa: PLC0415 - an extra

    def rows(table: str) -> Iterator[tuple[Any, ...]]:
        with _connected(path) as connection:
            yield from connection.execute(
                f"SELECT * FROM {table} ORDER BY {_KEYS.get(table, 'seq')}"
            )

    with _connected(path) as connection:
        columns = {
            table: [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            for table in sealing.TABLES
        }
    return Rows(columns=columns, of=rows)
