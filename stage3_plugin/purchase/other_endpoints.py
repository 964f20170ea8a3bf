"""What the ledger has at another address for a wish: paid for, it is named; in doubt, it blocks.

A key holds the endpoint, so that a mock server's picture is not taken for the real one's. But a
server that moved, or got a name, is the same one: so a run and a plan count what the ledger has
paid for elsewhere, with its price, and say how to name the endpoint. What may have been billed
there, or is bought and not here yet, blocks its scene as it would here: no one has decided to pay
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain

import anyio
import anyio.lowlevel

from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import UNSETTLED
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.plan import Sum
from stage3_plugin.purchase import messages

_SCENES_A_TURN = 100


@dataclass
class PaidElsewhere:
    """Pictures that were paid for at another address, and would be bought again.

    Attributes:
        route: Where they would be bought.
    """

    route: Route
    _paid_microusd: int = 0
    _again: Sum = field(default_factory=Sum)
    _addresses: dict[str, None] = field(default_factory=dict[str, None])

    def add(self, purchase: Purchase, estimate: Estimate) -> None:
        """Count one."""
        self._paid_microusd += purchase.counted_microusd
        self._again.add(estimate)
        asked = canonical_address(purchase.new.endpoint.base_url or self.route.public_url)
        self._addresses[asked] = None

    def warnings(self) -> tuple[str, ...]:
        """Return what to say about them: one line, or none."""
        if not self._again.pictures:
            return ()
        line = messages.bought_again(
            self.route,
            count=self._again.pictures,
            paid_microusd=self._paid_microusd,
            again_microusd=self._again.high_microusd,
            addresses=list(self._addresses),
        )
        return (line,)


class Doubts:
    """The purchases in doubt, asked for by a wish; few or none, so they are read once.

    Args:
        ledger: To read.
        route: Where the run buys.
    """

    def __init__(self, ledger: Ledger, route: Route) -> None:
        self._ledger = ledger
        self._known: dict[str, list[str]] = {}
        for purchase in () if route.is_here else ledger.purchases(states=UNSETTLED):
            if not purchase.new.is_local:
                new = purchase.new
                for key in (new.subject_key, new.content_key, new.scene_key):
                    self._known.setdefault(key, []).append(new.attempt_id)

    def elsewhere(self, keys: Keys, *, but: Collection[str] = ()) -> Purchase | None:
        """Return what is in doubt for a wish at another endpoint, as it stands now.

        Args:
            keys: Of the wish.
            but: What other takes of it wait for already.
        """
        if not self._known:
            return None
        names = (keys.subject_key, keys.content_key, *keys.all)
        known = (self._known.get(name, ()) for name in names)
        for attempt_id in chain.from_iterable(known):
            purchase = None if attempt_id in but else self._ledger.purchase(attempt_id)
            if purchase is not None and purchase.state in UNSETTLED:
                is_own = purchase.new.scene_key in keys.all
                if not (is_own or keys.take_of(purchase.new) is not None):
                    return purchase
        return None


class Elsewhere:
    """Looks, once in a run, what of its story was paid for at another address.

    Args:
        ledger: To read.
        route: Where the run buys.
        story: All its requests; gone through only if there is anything to be said.
        keys_of: Returns what a request is known by.
        estimate: Returns what a picture may cost.

    Attributes:
        route: Where the run buys.
        doubts: What is in doubt at another address.
    """

    def __init__(
        self,
        ledger: Ledger,
        route: Route,
        story: Iterable[PictureRequest],
        *,
        keys_of: Callable[[PictureRequest], Keys],
        estimate: Callable[[PictureRequest], Estimate],
    ) -> None:
        self._ledger = ledger
        self.route = route
        self._story = story
        self._keys_of = keys_of
        self._estimate = estimate
        self.doubts = Doubts(ledger, route)
        self._looking = anyio.Lock()
        self._was_said = route.is_here

    async def before_buying(self, keys: Keys) -> None:
        """Say what was paid for elsewhere, if that is so of this wish and was not said yet."""
        if self._was_said or self._ledger.paid_elsewhere(keys) is None:
            return
        async with self._looking:  # a scene that comes meanwhile is bought after the warning, too
            if not self._was_said:
                await self._warn_once()
                self._was_said = True

    async def _warn_once(self) -> None:
        found = PaidElsewhere(self.route)
        for number, request in enumerate(self._story, start=1):
            first = self._keys_of(request)
            for keys in map(first.of_take, range(1, request.takes + 1)):
                if self._ledger.live(keys.scene_key, keys) is None:
                    purchase = self._ledger.paid_elsewhere(keys)
                    if purchase is not None:
                        found.add(purchase, self._estimate(request))
            if number % _SCENES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
        for warning in found.warnings():
            warn_of(warning)
