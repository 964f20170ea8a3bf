"""A picture that a scene has although its references are others by now, or cannot be shown.

It is not what the scene asks for now. So a run buys that anew, where it can, and a plan says so
first; where a reference cannot be shown, nothing is bought and the picture stays.
"""

from __future__ import annotations

from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger


def that_stays(ledger: Ledger, bare: Keys, *, is_refused: bool) -> Purchase | None:
    """Return the picture that a scene keeps although it cannot show what it names.

    Args:
        ledger: To read.
        bare: Keys of the wish without references.
        is_refused: What it names cannot be shown at all. Else it has no picture for now, and only
            what an earlier program bought counts as current whatever is shown.
    """
    found = made_with_others(ledger, bare)
    if found is None or is_refused or found.new.scene_key in bare.earlier:
        return found
    return None


def made_with_others(ledger: Ledger, bare: Keys) -> Purchase | None:
    """Return the newest picture of a wish with whatever references, or with none.

    Args:
        ledger: To read.
        bare: Keys of the wish without references.
    """
    newest = next(iter(ledger.with_base(bare.bases)), None)
    found = ledger.live(bare.present, bare) if newest is None else newest  # of an earlier program
    return found if found is not None and found.state is State.PAID else None
