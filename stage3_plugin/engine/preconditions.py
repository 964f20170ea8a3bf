"""What a run stands on: that its ledger can be believed, and is where it is safe.

Asked before a run opens its ledger, so that nothing is made where the answer is no, and by a plan,
which is refused where the run would be. Apart from the stage, which puts a run together, and from
the ledger, which knows nothing of what lies around it. Beside that what is said before there is a
run: what a provider is known not to take, and which money a setting may pay twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from host_stub.contract import Scene
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.money import Estimate, usd_text
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.asked import request_for
from stage3_plugin.errors import LedgerFailed, LedgerOutdated, SettingsRefused
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.purchase.inventory import Listed, beyond
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures


def check(accounts: Accounts, pictures: Pictures) -> None:
    """Check that a run may buy by this ledger.

    Args:
        accounts: The ledger.
        pictures: What lies beside it: its pictures, and the answers that were received.

    Raises:
        LedgerOutdated: Its folder holds more than it can account for.
        LedgerFailed: It is in use by another name, or damaged; or that cannot be seen.
        StorageFailed: The folder cannot be listed.
    """
    place = accounts.place
    place.check_use()
    # Before the rows are read, which only come to be.
    listed = Listed.of(pictures.store, pictures.spool)
    with accounts.look() as ledger:
        more = beyond(listed, ledger)
        if more is not None:
            raise LedgerOutdated(
                place.shown,
                str(more),
                accept=accounts.caretaker("verify --accept-folder"),
                is_missing=ledger is None,
                is_file=place.is_file,
            )
        if ledger is None or not Owners(accounts.state_dir).have_left_a_lock():
            return
        damage = ledger.damage()  # of the whole database, since a run has died over it
        if damage:
            raise LedgerFailed(
                ledger.shown,
                f"it is damaged: {damage[0]}",
                hint=f"'{accounts.caretaker('verify')}' tells all of it; bring back the last "
                "copy that it finds right",
            )


def among_results(accounts: Accounts, out_dir: Path) -> tuple[Warned, ...]:
    """Say that the ledger lies where deleting results takes it along.

    Args:
        accounts: The ledger.
        out_dir: The folder of results.

    Raises:
        SettingsRefused: There is none yet, and it would be begun among results.
    """
    state, results = accounts.state_dir.resolve(), out_dir.resolve()
    if not (state.is_relative_to(results) or results.is_relative_to(state)):
        return ()
    how = "are the same folder" if state == results else "lie one in the other"
    where = f"state_dir ({state}) and the folder of results ({results}) {how}"
    if accounts.place.exists():
        warning = (
            f"{where}: who deletes results may delete the ledger, and everything is bought "
            "again; let results go elsewhere (out_dir, or --out)"
        )
        return (coded("state_in_results", warning),)
    raise SettingsRefused(
        "state_dir",
        f"{where}, and deleting results would delete what was bought",
        hint="name another folder for one of them: state_dir, or out_dir (--out)",
    )


EstimateOf: TypeAlias = Callable[[PictureRequest], Estimate]


def paid_twice(settings: Settings, estimate: EstimateOf) -> tuple[Warned, ...]:
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
    return (coded("paid_twice", f"{said}once more, and both may be billed: {price}"),)
