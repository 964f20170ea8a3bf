"""Foresees what a run would find in the ledger, for a plan, and what a picture can cost.

Nothing is written. What a run would recover first is not recovered, but its result is foreseen. A
price is that of the table, or of the bills that have come at a route.

A key holds the endpoint, so that a mock server's picture is not taken for the real one's. But a
server that moved, or got a name, is the same one: so a run and a plan count what the ledger has
paid for elsewhere, with its price, and say how to name the endpoint. What may have been billed
there, or is bought and not here yet, blocks its scene as it would here: no one has decided to pay
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import chain

import anyio
import anyio.lowlevel

from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.events import Warned, warn_of
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.purchase import Limits, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route, why_unsendable
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import MARGIN_S, Owners
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.policy.plan import Prospect, Sum
from stage3_plugin.policy.pricing import most_plausible
from stage3_plugin.policy.reuse import Reuse, after_its_owner
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.lost import may_be_going, name_of
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.purchase.takes import LiveTake, live_takes, standing
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures

UNSENDABLE: tuple[Prospect] = ("unsendable",)
"""What becomes of one take that must not be sent."""
_SCENES_A_TURN = 100


@dataclass(eq=False, repr=False)
class Forecast:
    """What a run would find.

    Args:
        settings: What the user wants.
        accounts: Where the ledger is, and which day it is.
        pictures: Has the answers that a dead run has left.
        ledger: Opened to read; empty if there is none yet.
        route: Where the run would buy.
    """

    settings: Settings
    accounts: Accounts
    pictures: Pictures
    ledger: Ledger
    route: Route

    def __post_init__(self) -> None:
        self._doubts = Doubts(self.ledger, self.route)
        self._owners = Owners(self.accounts.state_dir)
        self._homes = self.accounts.homes()
        self._busy_at: dict[str, set[str]] = {}
        self._has_whole_answer = cache(self.pictures.spool.has_whole_answer)
        today = self.accounts.calendar().today()
        self._day = max(today, self.ledger.last_day() or today)

    def prospects(
        self, request: PictureRequest, keys: Keys, *, wanted: int = 1
    ) -> tuple[Prospect, ...]:
        """Return what would become of each take that is wanted of a scene."""
        if why_unsendable(self.route, request) is not None:
            return UNSENDABLE * wanted
        prospects = self._prospects(keys, wanted)
        if Reuse.MAKE in prospects and self.route.refuse(request) is not None:
            return tuple(UNSENDABLE[0] if one is Reuse.MAKE else one for one in prospects)
        return prospects

    def _prospects(self, keys: Keys, wanted: int) -> tuple[Reuse, ...]:
        live = live_takes(self.ledger, keys, wanted=wanted)
        known = {one.purchase.new.attempt_id for one in live}
        found = [self._prospect_of(one, keys) for one in live[:wanted]]
        found += [Reuse.MAKE] * (wanted - len(found))
        for place, prospect in enumerate(found):
            if prospect in {Reuse.MAKE, Reuse.RESEND}:  # and is sent, unless another is in doubt
                doubted = self._doubts.elsewhere(keys, but=known)
                if doubted is not None:
                    known.add(doubted.new.attempt_id)
                    found[place] = self._prospect_of(LiveTake(doubted, None), keys)
        return tuple(found)

    def _prospect_of(self, take: LiveTake, keys: Keys) -> Reuse:
        """Return what a purchase will mean for its take."""
        purchase = take.purchase
        state = purchase.state if take.number is None else self._foreseen(purchase)
        is_taken_in = purchase.state in OPEN and state is State.PAID
        if is_taken_in and self.pictures.spool.awaited(purchase.new.attempt_id) is not None:
            return Reuse.AWAITED
        on_unknown = self.settings.on_unknown
        return standing(self.ledger, take, keys, state=state, on_unknown=on_unknown)

    def lost(self, keys: Keys) -> int:
        """Count what was paid for of a wish, on any route, and given up."""
        return self._given_up.get(keys.subject_key, 0)

    @cached_property
    def _given_up(self) -> dict[str, int]:
        return self.ledger.given_up()

    def warnings(self) -> tuple[Warned, ...]:
        """Name the homes that have something in work of what was looked for."""
        return tuple(
            messages.busy_elsewhere(
                len(found),
                home,
                self.accounts.caretaker,
                is_away=not self.ledger.home_is_connected(home),
            )
            for home, found in sorted(self._busy_at.items())
        )

    def _foreseen(self, purchase: Purchase) -> State:
        """Return the state a purchase would be in once the run has recovered it."""
        run_id = purchase.new.run_id
        if purchase.state not in OPEN:
            return purchase.state
        home = self._homes.other(run_id)
        if home is not None:
            self._busy_at.setdefault(home, set()).add(purchase.new.attempt_id)
            return purchase.state
        age_s = abs((self.accounts.now() - purchase.changed_at).total_seconds())
        is_over, is_left = age_s > self.settings.timeout_s + MARGIN_S, self._has_whole_answer
        if may_be_going(purchase, self._owners, is_over=is_over, is_left=is_left):
            return purchase.state
        is_complete = is_left(name := name_of(purchase))
        if not is_complete and self._owners.has_never_sent(run_id, name):
            return State.VOID
        if is_complete and purchase.new.line is not None and purchase.state is State.SENDING:
            return State.ACCEPTED  # the whole answer is the create's: its batch is being made
        return after_its_owner(purchase, answer_is_complete=is_complete)

    def room_microusd(self, limits: Limits) -> int | None:
        """Return what the tightest cap leaves; ``None`` without one."""
        sums = self.ledger.sums(run_id="", provider=self.settings.provider, day=self._day)
        rooms = [
            limit - committed
            for limit, committed in (
                (limits.budget_microusd, 0),
                (limits.daily_microusd, sums.day_microusd),
                (limits.total_microusd, sums.total_microusd),
            )
            if limit is not None
        ]
        return min(rooms, default=None)

    def day_microusd(self) -> dict[str, int]:
        """Return what is held and spent today, by provider."""
        return self.ledger.day_sums(self._day)

    def typical_s(self) -> float | None:
        """Return the seconds such a picture took, if any was made."""
        model = self.settings.model or ""
        return self.ledger.typical_s(provider=self.settings.provider, model=model)


class Pricing:
    """Estimates that have learnt from the bills of earlier runs.

    Args:
        route: Where pictures are bought, by its price table.
        ledger: Has the bills, and is asked once for each kind and price.
        run: Counts the bills that came meanwhile and were higher than expected: each time it has
            changed, all are asked for anew.
    """

    def __init__(self, route: Route, ledger: Ledger, *, run: RunLedger | None = None) -> None:
        self._route = route
        self._ledger = ledger
        self._run = run
        self._heard = 0
        self._known: dict[tuple[str, str, str, int, bool, bool], int] = {}

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a picture can cost; a price that is not known stays unknown."""
        expected = self._route.list_price(request)
        if expected.high_microusd is None:
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

    def look(self, ledger: Ledger, keys: Keys, estimate: Callable[[], Estimate]) -> None:
        """Count a wish whose picture is bought, if it was paid for at another address."""
        purchase = ledger.paid_elsewhere(keys)
        if purchase is None:
            return
        self._paid_microusd += purchase.counted_microusd
        self._again.add(estimate())
        asked = canonical_address(purchase.new.endpoint.base_url or self.route.public_url)
        self._addresses[asked] = None

    def warnings(self) -> tuple[Warned, ...]:
        """Say that they are bought again, and how to prevent it: one line, or none."""
        if not self._again.pictures:
            return ()
        said = messages.bought_again(self.route, self._again, self._paid_microusd, self._addresses)
        return (said,)


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


@dataclass(eq=False, repr=False)
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

    ledger: Ledger
    route: Route
    story: Iterable[PictureRequest]
    _: KW_ONLY
    keys_of: Callable[[PictureRequest], Keys]
    estimate: Callable[[PictureRequest], Estimate]

    def __post_init__(self) -> None:
        self.doubts = Doubts(self.ledger, self.route)
        self._looking = anyio.Lock()
        self._was_said = self.route.is_here

    async def before_buying(self, keys: Keys) -> None:
        """Say what was paid for elsewhere, if that is so of this wish and was not said yet."""
        if self._was_said or self.ledger.paid_elsewhere(keys) is None:
            return
        async with self._looking:  # a scene that comes meanwhile is bought after the warning, too
            if not self._was_said:
                await self._warn_once()
                self._was_said = True

    async def _warn_once(self) -> None:
        found = PaidElsewhere(self.route)
        for number, request in enumerate(self.story, start=1):
            first = self.keys_of(request)
            for keys in map(first.of_take, range(1, request.takes + 1)):
                if self.ledger.live(keys.scene_key, keys) is None:
                    found.look(self.ledger, keys, partial(self.estimate, request))
            if number % _SCENES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
        for warning in found.warnings():
            warn_of(warning)
