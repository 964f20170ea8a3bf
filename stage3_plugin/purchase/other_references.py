"""A picture that a scene has although its references are others by now, or cannot be shown.

It is not what the scene asks for now. So a run buys that anew, where it can, and a plan says so
first; where a reference cannot be shown, nothing is bought and the picture stays. One from before
references were sent stays in any case, so that its scene needs none.
"""

from __future__ import annotations

from collections.abc import Callable

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


def bought_before(ledger: Ledger, keys_of: Callable[[], Keys]) -> Purchase | None:
    """Return the picture that an earlier version bought for a wish, whatever it shows now.

    Args:
        ledger: To read.
        keys_of: Returns keys of the wish; asked only where a ledger has any of an earlier version.
    """
    if not ledger.has_earlier_keys():
        return None
    keys = keys_of()
    found = ledger.live(keys.present, keys)
    is_there = found is not None and found.state is State.PAID and keys.is_earlier(found.new)
    return found if is_there else None
