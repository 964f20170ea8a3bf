"""What a run stands on: that its ledger can be believed, and is where it is safe.

Asked before a run opens its ledger, so that nothing is made where the answer is no, and by a plan,
which is refused where the run would be. Apart from the stage, which puts a run together, and from
the ledger, which knows nothing of what lies around it.
"""

from __future__ import annotations

from pathlib import Path

from stage3_plugin.errors import LedgerFailed, LedgerOutdated, SettingsRefused
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.purchase.inventory import Listed, beyond
from stage3_plugin.storage.base import PictureStore
from stage3_plugin.storage.spool.folders import SpoolFolders


class Preconditions:
    """The state folder that a run is to begin in.

    Args:
        accounts: Its ledger.
        store: Its pictures.
        spool: Its received answers.
    """

    def __init__(self, accounts: Accounts, store: PictureStore, spool: SpoolFolders) -> None:
        self._accounts = accounts
        self._store = store
        self._spool = spool

    def check(self) -> None:
        """Check that a run may buy by this ledger.

        Raises:
            LedgerOutdated: Its folder holds more than it can account for.
            LedgerFailed: It is in use by another name, or damaged; or that cannot be seen.
            StorageFailed: The folder cannot be listed.
        """
        self._accounts.place.check_use()
        # Before the rows are read, which only come to be.
        listed = Listed.of(self._store, self._spool)
        with self._accounts.look() as ledger:
            self._compare(listed, ledger)
            if ledger is not None and Owners(self._accounts.state_dir).have_left_a_lock():
                self._need_soundness(ledger)

    def _compare(self, listed: Listed, ledger: Ledger | None) -> None:
        more = beyond(listed, ledger)
        if more is not None:
            raise LedgerOutdated(
                self._accounts.place.shown,
                str(more),
                accept=self._accounts.caretaker("verify --accept-folder"),
                is_missing=ledger is None,
                is_file=self._accounts.place.is_file,
            )

    def _need_soundness(self, ledger: Ledger) -> None:
        """Check the whole database, since a run has died over it."""
        damage = ledger.damage()
        if damage:
            raise LedgerFailed(
                ledger.shown,
                f"it is damaged: {damage[0]}",
                hint=f"'{self._accounts.caretaker('verify')}' tells all of it; bring back the last "
                "copy that it finds right",
            )

    def places(self, out_dir: Path | None) -> tuple[str, ...]:
        """Say that the ledger has another name, or lies where deleting results takes it along.

        Args:
            out_dir: The folder of results, if it is known.

        Raises:
            SettingsRefused: There is none yet, and it would be begun among results.
        """
        warnings = self._accounts.place.warnings
        return warnings if out_dir is None else (*warnings, *self._among_results(out_dir))

    def _among_results(self, out_dir: Path) -> tuple[str, ...]:
        state, results = self._accounts.state_dir.resolve(), out_dir.resolve()
        if not (state.is_relative_to(results) or results.is_relative_to(state)):
            return ()
        how = "are the same folder" if state == results else "lie one in the other"
        where = f"state_dir ({state}) and the folder of results ({results}) {how}"
        if self._accounts.place.exists():
            warning = (
                f"{where}: who deletes results may delete the ledger, and everything is bought "
                "again; let results go elsewhere (out_dir, or --out)"
            )
            return (warning,)
        raise SettingsRefused(
            "state_dir",
            f"{where}, and deleting results would delete what was bought",
            hint="name another folder for one of them: state_dir, or out_dir (--out)",
        )
