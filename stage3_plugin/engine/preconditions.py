"""What a run stands on: that its ledger can be believed, and is where it is safe.

Asked before a run opens its ledger, so that nothing is made where the answer is no, and by a plan,
which is refused where the run would be. Apart from the stage, which puts a run together, and from
the ledger, which knows nothing of what lies around it. Beside that what is said before there is a
run: what a provider is known not to take, and which money a setting may pay twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from host_stub.contract import Scene
from stage3_plugin.domain.money import Estimate, usd_text
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.asked import request_for
from stage3_plugin.errors import LedgerFailed, LedgerOutdated, SettingsRefused
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.purchase.inventory import Listed, beyond
from stage3_plugin.settings import Settings
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.store import PictureStore


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


MOST_ADVICE = 20
"""Lines of a plan about what a provider will not take; a story may have thousands of scenes."""


class Advice:
    """Requests that are looked at for what their maker is known not to take, as they go by.

    Attributes:
        lines: One for each kind of trouble, with the first scene that has it; none for what the
            settings alone have led to, which was said before.
    """

    def __init__(
        self,
        requests: Iterable[PictureRequest],
        advise: Callable[[PictureRequest], Iterable[str]],
        *,
        said_before: tuple[str, ...],
    ) -> None:
        self._requests = requests
        self._advise = advise
        self._said_before = said_before
        self._first: dict[str, str] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(f"scene {scene_id!r}: {line}" for line, scene_id in self._first.items())

    def __iter__(self) -> Iterator[PictureRequest]:
        for request in self._requests:
            for line in self._advise(request):
                if line not in self._said_before and len(self._first) < MOST_ADVICE:
                    self._first.setdefault(line, request.scene_id)
            yield request


EstimateOf: TypeAlias = Callable[[PictureRequest], Estimate]


def paid_twice(settings: Settings, estimate: EstimateOf) -> tuple[str, ...]:
    """Say what ``on_unknown = "resend"`` may pay twice with a route; nothing where it is free.

    The sum is what is in flight at one moment, since that is what one fault can take the answers
    of: a connection, a killed run, a power cut. A slot is sent again once and never more by itself,
    so that a story's own sum is bounded by its pictures, and by the caps that both payments are
    counted under.

    Args:
        settings: Those of the route.
        estimate: What its pictures are expected to cost.
    """
    if settings.on_unknown != "resend":
        return ()
    one = estimate(request_for(Scene(scene_id="any", prompt="any"), settings)).high_microusd
    if one == 0:
        return ()
    if one is None:
        price = "and what one costs is not known: set `price_usd`, which says it, also that it is 0"
    else:
        together = usd_text(one * settings.capacity)
        price = (
            f"${usd_text(one)} for a picture, so up to ${together} where one fault takes the "
            f"answers of all {settings.capacity} that `capacity` lets be in flight; for each "
            "picture once at most, and within your caps. On a server that bills nothing, say so: "
            "price_usd = 0"
        )
    said = f'`on_unknown = "resend"` sends a request of {settings.provider!r} whose answer is lost '
    return (f"{said}once more, and both may be billed: {price}",)
