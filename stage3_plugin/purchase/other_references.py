"""A picture that a scene has although its references are others by now, or cannot be shown.

It is not what the scene asks for now. So a run buys that anew, where it can, and a plan says so
first; where a reference cannot be shown, nothing is bought and the picture stays.
"""

from __future__ import annotations

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger


def made_with_others(ledger: Ledger, bare: Keys) -> Purchase | None:
    """Return the newest picture of a wish with whatever references, or with none.

    Args:
        ledger: To read.
        bare: Keys of the wish without references.
    """
    newest = next(iter(ledger.with_base(bare.bases)), None)
    found = ledger.live(bare.present, bare) if newest is None else newest  # of an earlier program
    return found if found is not None and found.state is State.PAID else None
