"""What a picture can cost: by the price table, and by the bills that came for such pictures before.

Pure but for looking bills up. A price table is a guess written down; where the provider has
billed more than it says, the highest bill counts, so that the next hold is not too small again. A
bill that no picture can have is counted and shown like any other, but is no price: one broken
figure would make every cap unusable for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest

PLAUSIBLE_TIMES = 10
"""A bill of up to so many times what was expected may be right: qualities of one model are up to
sixteen times apart, of neighbouring ones four, and a server may make another than it was asked."""
PLAUSIBLE_MICROUSD = 100_000
"""And any bill of up to this, ten cents, whatever was expected."""
PLAUSIBLE_UNEXPECTED_MICROUSD = 1_000_000
"""And of up to this, a dollar, where nothing was expected: no price was known, or one of 0."""


class HighestBill(Protocol):
    """Looks bills up."""

    def __call__(
        self,
        model: str,
        size: str,
        quality: str,
        plausible_microusd: int,
        /,
        *,
        shows: bool,
        in_batch: bool = False,
    ) -> int | None:
        """Return the highest bill for such pictures in micro-USD, ``None`` if there was none.

        Of bills above the limit only those count that a person has confirmed; of pictures that
        were shown references only for one that ``shows`` some, since those are billed, too; and of
        lines of batches only for another one, since those are billed at a part.
        """


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


class Bills(Protocol):
    """A ledger, as far as it finds bills."""

    def overbilled(
        self, *, times: int, at_least_microusd: int, unexpected_microusd: int
    ) -> list[Purchase]: ...


def overbilled(ledger: Bills) -> list[Purchase]:
    """Return every purchase of a ledger whose bill is absurd, newest first."""
    return ledger.overbilled(
        times=PLAUSIBLE_TIMES,
        at_least_microusd=PLAUSIBLE_MICROUSD,
        unexpected_microusd=PLAUSIBLE_UNEXPECTED_MICROUSD,
    )


class Pricing:
    """Estimates that have learnt from the bills of earlier runs.

    Args:
        estimate: By the price table.
        highest_bill: See :data:`HighestBill`; asked once for each kind and price.
        news: Counts the bills that came meanwhile and were higher than expected: each time it has
            changed, all are asked for anew.
    """

    def __init__(
        self,
        estimate: Callable[[PictureRequest], Estimate],
        highest_bill: HighestBill,
        *,
        news: Callable[[], int] = lambda: 0,
    ) -> None:
        self._estimate = estimate
        self._highest_bill = highest_bill
        self._news = news
        self._heard = 0
        self._known: dict[tuple[str, str, str, int, bool, bool], int] = {}

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a picture can cost; a price that is not known stays unknown."""
        expected = self._estimate(request)
        if expected.high_microusd is None:
            return expected
        plausible = most_plausible(expected.high_microusd)
        shows, in_batch = bool(request.shown), request.lane == "batch"
        asked = (request.model, request.size, request.quality, plausible)
        kind = (*asked, shows, in_batch)
        heard = self._news()
        if heard != self._heard:
            self._heard = heard
            self._known.clear()
        if kind not in self._known:
            bill = self._highest_bill(*asked, shows=shows, in_batch=in_batch)
            self._known[kind] = bill or 0
        if self._known[kind] <= expected.high_microusd:
            return expected
        return replace(expected, high_microusd=self._known[kind])
