"""Which bills are believed to say what a picture can cost.

A price table is a guess written down; where the provider has
billed more than it says, the highest bill counts, so that the next hold is not too small again. A
bill that no picture can have is counted and shown like any other, but is no price: one broken
figure would make every cap unusable for good.
"""

from __future__ import annotations

from typing import Final

from stage3_plugin.domain.purchase import Purchase

PLAUSIBLE_TIMES = 10
"""A bill of up to so many times what was expected may be right: qualities of one model are up to
sixteen times apart, of neighbouring ones four, and a server may make another than it was asked."""
PLAUSIBLE_MICROUSD = 100_000
"""And any bill of up to this, ten cents, whatever was expected."""
PLAUSIBLE_UNEXPECTED_MICROUSD = 1_000_000
"""And of up to this, a dollar, where nothing was expected: no price was known, or one of 0."""
ABSURD: Final = {
    "times": PLAUSIBLE_TIMES,
    "at_least_microusd": PLAUSIBLE_MICROUSD,
    "unexpected_microusd": PLAUSIBLE_UNEXPECTED_MICROUSD,
}
"""The same, as a ledger is asked for the bills that are more than that."""


def most_plausible(expected_microusd: int) -> int:
    """Return the highest bill that is believed unconfirmed where so much was expected."""
    least = PLAUSIBLE_MICROUSD if expected_microusd else PLAUSIBLE_UNEXPECTED_MICROUSD
    return max(expected_microusd * PLAUSIBLE_TIMES, least)


def is_absurd(purchase: Purchase) -> bool:
    """Return whether a purchase's bill is more than is believed, and no person has confirmed it."""
    cost = purchase.cost_microusd
    if cost is None or purchase.decided_by is not None:
        return False
    return cost > most_plausible(purchase.new.hold_microusd)
