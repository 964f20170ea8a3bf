"""Gets a scene the right to be sent, and settles what came of it.

Between the run, which asks for one scene after another, and the ledger, which answers for all runs:
checkout waits until an amount fits under a cap and an answer fits on the disk, and decides when
waiting has no sense any more. A hold that does not fit may fit later, as long as this run has
purchases in work: they may settle for less than they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from host_stub.contract import Failure
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import BudgetReached
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge, to_usd
from stage3_plugin.domain.purchase import CapName, Held, OverCap, Purchase, Settlement
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import OPEN, UNSETTLED, State
from stage3_plugin.errors import IllegalTransition
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.policy.settlement import cost_with_hold, settlement_of
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.other_endpoints import Elsewhere
from stage3_plugin.purchase.pricing import Pricing
from stage3_plugin.purchase.recovery import Recovery
from stage3_plugin.purchase.run_ledger import Doubted, RunLedger
from stage3_plugin.purchase.wanted_takes import LiveTake, Part

RESERVE_BYTES = 16 << 20
"""Kept free beside the answers in flight, for the ledger and the pictures' other names."""
ANSWER_FILES = 12
"""Of an answer: its folder and what is in it, the object and its folder, what is being written."""
RESERVE_FILES = 16
"""Kept free beside them, for the folders around them, the ledger and its log."""
_SCOPES: Final[dict[CapName, str]] = {"budget_usd": "run", "daily_usd": "day", "total_usd": "total"}
"""What is reported of which cap is reached."""


@dataclass(frozen=True, slots=True)
class Found:
    """The scene's picture is there."""

    purchase: Purchase


@dataclass(frozen=True, slots=True)
class InOtherHands:
    """Its purchase is in another run's work, or waits for its picture: nothing is sent now."""

    purchase: Purchase


@dataclass(frozen=True, slots=True)
class OfAnotherStep:
    """What stands for the scene may be sent again, and was sent by another step: that one does."""

    purchase: Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The scene must not be sent.

    Attributes:
        failure: Why.
        stops: It is true of every other scene, too.
        over: The cap that is in the way, if it is one.
    """

    failure: Failure
    stops: bool = False
    over: OverCap | None = None

    @property
    def had_room(self) -> bool:
        """Return whether no cap is in its way: a bill above its hold is what stops the run."""
        return self.over is None and self.failure.code == "budget"


HALTED = Denied(failure=messages.STOPPED)
"""Nothing stands for the scene, and nothing more is sent."""


def is_of_another_step(stands: LiveTake, keys: Keys) -> bool:
    """Return whether what stands for a take was made in another way than these keys are of."""
    return stands.number is not None and not keys.of_take(stands.number).has(stands.purchase.new)


class Overtaken(Exception):
    """A person or another run has decided about a purchase while its answer was on its way.

    Attributes:
        purchase: As it was left.
    """

    def __init__(self, purchase: Purchase) -> None:
        self.purchase = purchase
        super().__init__(purchase.new.attempt_id)


@dataclass(slots=True)
class _InWork:
    """What one run has in work, at whatever route.

    Attributes:
        in_hand: Answers that the disk needs room for.
        given_up: Purchases that were left open, and make no room for others in this run.
        is_halted: Nothing more is sent.
        expects_to_find: Whether the scene before had a purchase.
    """

    in_hand: int = 0
    given_up: int = 0
    is_halted: bool = False
    expects_to_find: bool = True


class Checkout:
    """Holds and settles for one run, at one route.

    Args:
        run_ledger: The ledger as the run sees it.
        route: Where it is bought.
        keys_of: Returns what a request is known by there.
        story: What is to be bought; what was paid for elsewhere is said of it.
        free_bytes: Returns how much the disk can still take.
        free_files: Returns how many more files it can take, if that is limited.
        answer_bytes: The most one answer takes.
        recovery: Looks after what other runs have left.
    """

    def __init__(
        self,
        run_ledger: RunLedger,
        route: Route,
        *,
        keys_of: Callable[[PictureRequest], Keys],
        story: Iterable[PictureRequest],
        free_bytes: Callable[[], int],
        free_files: Callable[[], int | None] = lambda: None,
        answer_bytes: int,
        recovery: Recovery,
    ) -> None:
        self.run_ledger = run_ledger
        self._free_bytes = free_bytes
        self._free_files = free_files
        self._answer_bytes = answer_bytes
        self.recovery = recovery
        self.caretaker = run_ledger.caretaker
        self._in_work = _InWork()
        self._go_to(route, keys_of, story)

    def _go_to(
        self,
        route: Route,
        keys_of: Callable[[PictureRequest], Keys],
        story: Iterable[PictureRequest],
    ) -> None:
        book = self.run_ledger
        self.route = route
        self.keys_of = keys_of
        self.estimate = Pricing(route, book.reader, run=book).estimate
        self.elsewhere = Elsewhere(
            book.reader, route, story, keys_of=keys_of, estimate=self.estimate
        )

    def at(self, route: Route, keys_of: Callable[[PictureRequest], Keys]) -> Checkout:
        """Return the same for another route of the run."""
        other = copy(self)
        other._go_to(route, keys_of, ())  # noqa: SLF001 - of its own class
        return other

    async def claim(
        self, request: PictureRequest, part: Part | None = None
    ) -> Held | Found | InOtherHands | Denied | OfAnotherStep:
        """Find a scene's picture, or hold the money for its request.

        What is there is found after :meth:`halt`, too: it costs nothing.

        Args:
            request: The picture.
            part: Which take of its scene it is; the one that is wanted, by default.

        Raises:
            StorageFailed: The ledger or the disk did not let us; nothing was sent.
        """
        keys = self.keys_of(request)
        part = part or Part()
        is_looked_for = self._in_work.expects_to_find
        while True:
            version = self.run_ledger.version
            stands = self.look(keys, part) if is_looked_for else None
            if isinstance(stands, Found | InOtherHands | Denied):
                return stands
            if stands is not None and is_of_another_step(stands, keys):
                return OfAnotherStep(stands.purchase)
            instead_of = None if stands is None else stands.purchase
            denied = self.no_more() or self.not_bought(request)
            held = denied or await self._try_to_hold(request, keys, part, instead_of)
            if isinstance(held, Held):
                return held
            if isinstance(held, Purchase) and held.state is State.PAID_BAD:
                return Denied(failure=messages.billed_for_nothing(held))
            if not is_looked_for:
                is_looked_for = True
                continue
            if isinstance(held, InOtherHands | Denied):
                return held
            never = self._why_never(held, instead_of, part)
            if never is not None:
                return never
            if not isinstance(held, Purchase):
                await self.run_ledger.changed(since=version)

    @property
    def is_at_work(self) -> bool:
        """Return whether anything goes on that may make room under a cap by its end."""
        return self._in_work.in_hand > 0 or self.recovery.is_going

    def look(self, keys: Keys, part: Part) -> Found | InOtherHands | Denied | LiveTake | None:
        """Return what stands for a take: its picture, an obstacle, or what may be sent once more.

        Holding asks the same question again, in its transaction. So where the scene before was
        new, as in a first run, the next is taken to be new as well, and looked for only if it
        cannot be held.
        """
        found = self.run_ledger.find(keys, part)
        self._in_work.expects_to_find = found is not None
        if found is None:
            return None
        purchase = found.purchase
        part.turn_to(purchase.new.attempt_id)
        if found.number is None:
            return self.doubted(purchase)
        standing = self.run_ledger.standing(purchase, keys)
        if standing is Reuse.REUSE:
            return Found(purchase)
        if standing in {Reuse.BUSY, Reuse.AWAITED} or self.recovery.may_have(purchase):
            return InOtherHands(purchase)
        if standing is Reuse.UNDECIDED:
            return Denied(failure=messages.undecided(purchase, self.caretaker))
        return found

    def beside(
        self, other: Purchase, instead_of: Purchase, part: Part
    ) -> InOtherHands | Denied | None:
        """Return why one of unknown outcome is not sent once more, where another stands beside it.

        So it is where fewer takes are wanted than once were: what is in doubt of all of them counts
        for those, and looking would find the same one first for ever.

        Args:
            other: What was in the way of the hold.
            instead_of: The one that was to be written off for it.
            part: Which take of its scene is wanted.

        Returns:
            ``None`` where one of them has gone on since it was read: looking says more.
        """
        known = (self.run_ledger.purchase(one.new.attempt_id) for one in (other, instead_of))
        states = [None if one is None else one.state for one in known]
        is_other = other.new.attempt_id != instead_of.new.attempt_id
        if not is_other or states != [other.state, instead_of.state]:
            return None
        if other.state not in UNSETTLED:
            return None
        part.turn_to(other.new.attempt_id)
        if other.state is not State.UNKNOWN or self.recovery.may_have(other):
            return InOtherHands(other)
        return Denied(failure=messages.undecided(other, self.caretaker))

    def no_more(self) -> Denied | None:
        """Return why nothing more is held, if that is so."""
        if self._in_work.is_halted:
            return HALTED
        overrun = self.overrun()
        return None if overrun is None else Denied(failure=overrun, stops=True)

    def not_bought(self, request: PictureRequest) -> Denied | None:
        """Return that a picture is refused, or its price not known while there is a cap."""
        refused = self.route.refuse(request)
        if refused is not None:
            return Denied(failure=Failure(code="rejected", message=refused))
        if not self.run_ledger.is_capped or self.estimate(request).high_microusd is not None:
            return None
        return Denied(failure=messages.unpriced(request))

    async def _try_to_hold(
        self, request: PictureRequest, keys: Keys, part: Part, instead_of: Purchase | None
    ) -> Held | Purchase | OverCap | InOtherHands | Denied | None:
        """Hold the money, or return what is in the way; ``None`` if the disk has no room."""
        doubted = self.elsewhere.doubts.elsewhere(keys, but=part.of_others)
        if doubted is not None:
            part.turn_to(doubted.new.attempt_id)
            return self.doubted(doubted)
        await self.elsewhere.before_buying(keys)
        if not self._has_room():
            return None
        # Counted before it is durable, so that the disk is not promised twice.
        self._in_work.in_hand += 1
        held: Held | Purchase | OverCap | Doubted | None = None
        try:
            most = self.estimate(request).high_microusd or 0
            held = await self.run_ledger.hold(
                request, keys, most, route=self.route, part=part, instead_of=instead_of
            )
        finally:
            if not isinstance(held, Held):
                self._in_work.in_hand -= 1
        if isinstance(held, Doubted):
            part.turn_to(held.purchase.new.attempt_id)
            return self.doubted(held.purchase)
        return held

    def doubted(self, purchase: Purchase) -> InOtherHands | Denied:
        """Deny what may have been paid for at another endpoint; a job there is waited for.

        So is what recovery has not come to yet: it may turn out that it never left.
        """
        is_left = purchase.state in OPEN and self.recovery.is_dead(purchase)
        if purchase.state is State.ACCEPTED or is_left:
            return InOtherHands(purchase)
        return Denied(failure=messages.doubted(purchase, self.route, self.caretaker))

    def _why_never(
        self, held: Purchase | OverCap | None, instead_of: Purchase | None, part: Part
    ) -> InOtherHands | Denied | None:
        """Return why trying again has no sense: nothing in work could make room any more."""
        if isinstance(held, Purchase):
            return None if instead_of is None else self.beside(held, instead_of, part)
        if self.recovery.is_going:  # what runs before have left may still make room
            return None
        if held is None and self._in_work.in_hand == 0:
            full = messages.no_room(self._answer_bytes, lacks_files=self._lacks_files())
            return Denied(failure=full, stops=True)
        if isinstance(held, OverCap) and held.open_here <= self._in_work.given_up:
            return Denied(failure=self.failure_of(held), stops=True, over=held)
        return None

    def _has_room(self) -> bool:
        needed = (self._in_work.in_hand + 1) * self._answer_bytes + RESERVE_BYTES
        return self._free_bytes() >= needed and not self._lacks_files()

    def _lacks_files(self) -> bool:
        """Return whether the disk lacks room for the files of one more answer, not for bytes."""
        free = self._free_files()
        return (
            free is not None and free < (self._in_work.in_hand + 1) * ANSWER_FILES + RESERVE_FILES
        )

    async def settle(self, held: Held, attempted: AttemptResult) -> Charge:
        """Record what came of a request, and return its cost as the ledger counts it.

        Raises:
            Overtaken: A person or another run has decided about it meanwhile.
            StorageFailed: It could not be recorded. The next start does.
        """
        settlement = settlement_of(
            attempted, may_be_cut=self.route.is_here, hold_microusd=held.hold_microusd
        )
        if settlement is None:
            self._release_room()
            if attempted.storage is not None:  # all others are waited for beside dispatch
                self.give_up()
            return attempted.cost
        try:
            await self._record(held, settlement)
        except IllegalTransition as error:
            found = self.run_ledger.purchase(held.attempt_id)
            if found is None:
                raise
            if found.state is not settlement.state:
                raise Overtaken(found) from error
        return cost_with_hold(attempted, held.hold_microusd, settlement.state)

    async def release(self, held: Held, why: str) -> None:
        """Release what was held for a request that was never sent.

        Raises:
            StorageFailed: It could not be recorded. The next start does.
        """
        with suppress(IllegalTransition):  # a person or another run has decided about it
            await self._record(held, Settlement(state=State.VOID, why=why))

    async def _record(self, held: Held, settlement: Settlement) -> None:
        try:
            await self.run_ledger.settle(held.attempt_id, settlement)
        finally:
            self._in_work.in_hand -= 1

    @property
    def cost_of_a_fault(self) -> Charge:
        """Return what an attempt cost that ended in an exception."""
        return FREE if self.route.is_here else UNKNOWN

    async def leave_open(self, held: Held) -> None:
        """Leave a purchase whose attempt ended in an exception as it is, unless that may be cut.

        The next start takes in what lies in its spool.
        """
        if self.route.is_here:
            await self.release(held, "cut short")
        else:
            self._release_room()
            self.give_up()

    def halt(self) -> None:
        """Let nothing more be sent; claims that wait return so."""
        self._in_work.is_halted = True
        self.run_ledger.notify()

    def give_up(self) -> None:
        """Stop counting on a purchase that was left open: it will not make room in this run."""
        self._in_work.given_up += 1
        self.run_ledger.notify()

    def _release_room(self) -> None:
        """Count its answer out of what the disk is promised to; claims that wait look again."""
        self._in_work.in_hand -= 1
        self.run_ledger.notify()

    def failure_of(self, over: OverCap) -> Failure:
        """Return the failure of what does not fit under a cap."""
        return messages.over_cap(
            over,
            resets_at=self._resets_at(over),
            is_doubted=self.run_ledger.has_absurd_bill(),
            caretaker=self.caretaker,
        )

    def reached(self, over: OverCap) -> BudgetReached:
        """Return what is to be reported of what does not fit under a cap."""
        return BudgetReached(
            scope=_SCOPES[over.cap],
            limit_usd=to_usd(over.limit_microusd),
            committed_usd=to_usd(over.committed_microusd),
            needed_usd=to_usd(over.needed_microusd),
            resets_at=self._resets_at(over),
        )

    def _resets_at(self, over: OverCap) -> datetime | None:
        """Return when a cap begins anew, in UTC; ``None`` if it does not by itself."""
        return self.run_ledger.resets_at(over.day) if over.cap == "daily_usd" else None

    def made_instead(self, request: PictureRequest, part: Part) -> Purchase | None:
        """Return the purchase, of any run, that has given a take its picture."""
        found = self.run_ledger.find(self.keys_of(request), part)
        is_there = found is not None and found.purchase.state is State.PAID
        return found.purchase if found is not None and is_there else None

    def billed_refusals(self, request: PictureRequest) -> list[Purchase]:
        """Return what runs before were billed for refusing a picture, and nobody has decided."""
        return self.run_ledger.billed_refusals(self.keys_of(request))

    def made_with_others(self, request: PictureRequest) -> Purchase | None:
        """Return the picture of a scene with whatever references, where its own are not shown."""
        return self.run_ledger.made_with_others(self.keys_of(replace(request, shown=())))

    def overrun(self) -> Failure | None:
        """Return the failure of a bill above its hold, while there is a cap: no more is held."""
        purchase = self.run_ledger.overrun
        if purchase is None or purchase.cost_microusd is None:
            return None
        return messages.overrun(purchase, purchase.cost_microusd, self.caretaker)
