"""Whether a state folder's own ledger stands in the way of one on a server.

Whoever names a server for a folder whose ledger is a file would begin with nothing there, and buy
all of it again. So the file has to be gone, or to have nothing in it, or to have become just that
ledger: both have the token of the move.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stage3_plugin.errors import LedgerSealed, SettingsRefused
from stage3_plugin.ledger.book import Ledger

MOVED_FROM: Final = "moved_from"
"""The name in ``meta`` of the move's token, by which a file knows what it became."""


def check_moved(file: Path, token: str | None, shown: str) -> None:
    """Check that a folder's file is not the ledger that is meant.

    Args:
        file: Where it lies, or would lie.
        token: Of the move by which the ledger on the server came there; ``None`` if by none.
        shown: That ledger, for people.

    Raises:
        LedgerSealed: It is being moved, and that has not ended.
        SettingsRefused: It has purchases of its own, or they went elsewhere.
        StorageFailed: It cannot be read.
    """
    try:
        ledger = Ledger.open_to_read(file)
    except LedgerSealed as sealed:
        if not sealed.is_finished:
            raise
        if sealed.token == token:
            return
        raise SettingsRefused(
            "ledger",
            f"the ledger {file} was moved to {sealed.where}, and {shown} is another one: a run "
            "would buy again what was bought",
            hint="set `ledger` and `project` to where it went; or move the file away, if what it "
            "had is of no concern here",
        ) from None
    if ledger is None:
        return
    with ledger:
        if next(ledger.purchases(limit=1), None) is None:
            return
    raise SettingsRefused(
        "ledger",
        f"the ledger {file} has purchases, and they are not at {shown}: a run would buy them again",
        hint="'stage3 move-ledger' moves them; or move the file away, if they are of no concern "
        "here",
    )
