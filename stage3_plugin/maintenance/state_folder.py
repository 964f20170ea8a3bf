"""A state folder: the ledger in it, the answers and pictures beside it, and the runs' locks.

:mod:`stage3_plugin.storage` says where things lie in it; this adds how a command outside a
run finds the ledger, and what is said if there is none.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.errors import Stage3Error, StorageFailed
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import Homes, known_home
from stage3_plugin.ledger.owners import NO_PROOF_S, Owners
from stage3_plugin.ledger.place import LEDGER_NAME, FilePlace, LedgerPlace
from stage3_plugin.purchase.lost import may_be_going, name_of
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.store import PictureStore, noted_bucket


class LedgerMissing(Stage3Error):
    """There is no ledger where one was looked for.

    Attributes:
        path: Where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        inner = path.parent / ".stage3"
        has_more = any((path.parent / name).is_dir() for name in ("objects", "spool"))
        self.hint = (
            "its folder is not empty, so there was one: bring it back, with its ledger.db-wal; or "
            "begin another one knowingly with 'stage3 verify --accept-folder'"
            if has_more
            else f"did you mean --state-dir {inner}?"
            if os.path.isfile(inner / LEDGER_NAME)  # noqa: PTH113 - which never raises
            else "run it in the folder of host.toml, or name the folder of the setting state_dir "
            "with --state-dir DIR; a ledger is begun by the first run"
        )
        super().__init__(f"there is no ledger at {path}")


class LedgerNotBegun(LedgerMissing):
    """There is no ledger on a server where one was looked for."""

    def __init__(self, shown: str) -> None:
        super().__init__(Path(shown))
        self.hint = (
            "the first run begins one; 'stage3 move-ledger' brings one there that is a file so far"
        )
        self.args = (f"there is no ledger at {shown}",)


class StateFolder:
    """A state folder: the ledger in it, the answers and pictures beside it, and the runs' locks.

    Args:
        given: What the setting ``state_dir`` names.
        is_default: It need not be named: a command that is run here finds it.
        place: Where its ledger is, if that is no file in it.
        config: The config that says so, as a command that is run here names it.
        store_address: The bucket that it names; without, the one that the last run noted counts.

    Raises:
        StorageFailed: The folder that it is named from is gone.
    """

    def __init__(
        self,
        given: Path,
        *,
        is_default: bool = False,
        place: LedgerPlace | None = None,
        config: Path | None = None,
        store_address: str | None = None,
    ) -> None:
        self.given = given
        self.is_default = is_default
        self.config = config
        with on_disk(given, reading=True):  # the current folder may be gone
            self.path = given.absolute()
        self.ledger_path = self.path / LEDGER_NAME
        self.place: LedgerPlace = place or FilePlace(self.ledger_path)
        state_dir = StateDir(self.path)
        self.store = PictureStore(state_dir)
        self.spool = SpoolFolders(state_dir)
        self.owners = Owners(self.path)
        self._store_address = store_address

    def store_address(self) -> str | None:
        """Return which bucket pictures are in too, if any.

        Raises:
            StorageFailed: The note of it cannot be read.
        """
        return self._store_address or noted_bucket(self.path)

    @property
    def shown(self) -> str:
        """Return where the ledger is, for people: a path, or an address without a password."""
        return self.place.shown

    def missing(self) -> LedgerMissing:
        """Say that there is no ledger."""
        if self.place.is_file:
            return LedgerMissing(self.ledger_path)
        return LedgerNotBegun(self.shown)

    @contextmanager
    def reading(self) -> Generator[Ledger]:
        """Open the ledger without being able to change it.

        Raises:
            LedgerMissing: There is none.
            LedgerFailed: It cannot be read.
        """
        ledger = self.place.open_to_read()
        if ledger is None:
            raise self.missing()
        with ledger:
            yield ledger

    @contextmanager
    def writing(self) -> Generator[Ledger]:
        """Open a ledger that is there; none is made.

        Raises:
            LedgerMissing: There is none.
            LedgerFailed: It cannot be opened.
        """
        if not self.place.exists():
            raise self.missing()
        with self.place.open() as ledger:
            yield ledger

    def homes(self) -> Homes:
        """Return whose the runs of the ledger are, as this folder sees it.

        Raises:
            StorageFailed: The word of this folder cannot be read.
        """
        return Homes(own=known_home(self.path), is_alone=self.place.is_file)

    def evidence(self, purchase: Purchase) -> Path | None:
        """Return the folder of what was received for a purchase, if anything was, and is kept.

        The folder is made before the request is sent, and stays empty if no answer begins. For a
        line of a batch it is that of the batch until it has a result of its own.
        """
        for name in dict.fromkeys((purchase.new.attempt_id, name_of(purchase))):
            path = self.spool.folder_of(name)
            try:
                with os.scandir(path) as files:
                    if any(file.stat().st_size for file in files):
                        return path
            except OSError as error:
                if not says_not_there(error):  # else a run may have put it away in this moment
                    return path
        return None

    def may_be_going(self, purchase: Purchase) -> bool:
        """Return whether the run of an open purchase lives, or may live; see there.

        Raises:
            StorageFailed: Its lock cannot be looked at.
        """
        age_s = abs((datetime.now(UTC) - purchase.changed_at).total_seconds())
        is_over = age_s > NO_PROOF_S
        return may_be_going(purchase, self.owners, is_over=is_over, is_left=self._is_left)

    def _is_left(self, name: str) -> bool:
        try:
            return self.spool.has_answer_left(name)
        except StorageFailed:
            return True

    def has_whole_answer(self, attempt_id: str) -> bool:
        """Return whether a purchase's answer was received to its end.

        Raises:
            StorageFailed: That cannot be read now.
        """
        if not self.spool.has_whole_answer(attempt_id):
            return False
        path = self.spool.folder_of(attempt_id)
        try:
            for file in path.rglob("*"):  # one of the others may be its picture
                if not file.is_dir():
                    with file.open("rb"):
                        pass
        except OSError as error:
            if not says_not_there(error):
                raise StorageFailed(path, error, reading=True) from error
        return True
