"""What a picture can cost at a route: by the price table, and by the bills that have come there."""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.pricing import most_plausible
from stage3_plugin.purchase.run_ledger import RunLedger


class Pricing:
    """Estimates that have learnt from the bills of earlier runs.

    Args:
        route: Where pictures are bought, by its price table.
        ledger: Has the bills, and is asked once for each kind and price; ``None``: there are none.
        run: Counts the bills that came meanwhile and were higher than expected: each time it has
            changed, all are asked for anew.
    """

    def __init__(
        self, route: Route, ledger: Ledger | None, *, run: RunLedger | None = None
    ) -> None:
        self._route = route
        self._ledger = ledger
        self._run = run
        self._heard = 0
        self._known: dict[tuple[str, str, str, int, bool, bool], int] = {}

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a picture can cost; a price that is not known stays unknown."""
        expected = self._route.list_price(request)
        if expected.high_microusd is None or self._ledger is None:
            return expected
        plausible = most_plausible(expected.high_microusd)
        shows, in_batch = bool(request.shown), request.lane == "batch"
        kind = (request.model, request.size, request.quality, plausible, shows, in_batch)
        heard = 0 if self._run is None else self._run.overruns
        if heard != self._heard:
            self._heard = heard
            self._known.clear()
        if kind not in self._known:
            endpoint = self._route.endpoint_of(request.model)
            bill = self._ledger.highest_bill(
                provider=endpoint.provider,
                model=endpoint.model,
                size=request.size,
                quality=request.quality,
                shows=shows,
                plausible_microusd=plausible,
                in_batch=in_batch,
            )
            self._known[kind] = bill or 0
        if self._known[kind] <= expected.high_microusd:
            return expected
        return replace(expected, high_microusd=self._known[kind])
