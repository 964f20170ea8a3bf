"""Gets scenes the right to be lines of a batch, all at once, and settles what came of its create.

What :mod:`.checkout` is for one request this is for many: each is looked at by itself, for nothing;
then all of them are held in one commit with the row of their job, or none is. Between the two lies
the upload of their file, which is free, and takes its time: so the hold looks again at everything
that looking has said, in its transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.job import Accepted, Job, NewJob
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge
from stage3_plugin.domain.purchase import Held, OverCap, Purchase, Settlement
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State
from stage3_plugin.policy.settlement import settlement_of_create
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.checkout import (
    Checkout,
    Denied,
    Found,
    InOtherHands,
    OfAnotherStep,
    is_of_another_step,
)
from stage3_plugin.purchase.run_ledger import Doubted, InTheWay, LineOf
from stage3_plugin.purchase.wanted_takes import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Nothing stands for a picture: it may be a line.

    Attributes:
        hold_microusd: The most it can cost as one; ``None`` where no price is known.
        number: Which take of its wish it is, as :attr:`~.domain.purchase.Held.number`: its seed
            hangs on that. No other part of its scene that is ready has the same.
        instead_of: One of unknown outcome that is written off for it, if both fit the caps.
    """

    hold_microusd: int | None
    number: int
    instead_of: Purchase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRefused:
    """Its line was taken in before it came here, and has no picture, by its own word.

    By this run, or by anybody before it who had no scene to end by it. It is said once of each such
    line. What follows is what would follow if it had come just now.

    Attributes:
        purchase: As it stands: ``REFUSED``, or ``PAID_BAD`` for a refusal that was billed.
        attempted: What its result came to.
    """

    purchase: Purchase
    attempted: AttemptResult


Looked: TypeAlias = Found | InOtherHands | Denied | OfAnotherStep | LineRefused | Ready
"""What looking at a picture that is wanted in a batch comes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineToHold:
    """A line of the batch that is about to be held; its number is its place among the others.

    Attributes:
        request: The picture.
        part: Which take of its scene it is.
        ready: What looking at it said.
    """

    request: PictureRequest
    part: Part
    ready: Ready


class LineCheckout:
    """Looks, holds and settles for the batches of one route.

    Args:
        checkout: The route's own.
    """

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout

    async def look(self, request: PictureRequest, part: Part | None = None) -> Looked:
        """Return what stands for a picture; nothing is held, and what it says may be held later.

        Args:
            request: The picture.
            part: Which take of its scene it is; the one that is wanted, by default.

        Raises:
            StorageFailed: The ledger cannot be read.
        """
        checkout, part = self._checkout, part or Part()
        keys = checkout.keys_of(request)
        stands = checkout.look(keys, part)
        if isinstance(stands, Found | InOtherHands | Denied):
            return stands
        if stands is not None and is_of_another_step(stands, keys):
            return OfAnotherStep(stands.purchase)
        refused = None if stands is not None else checkout.recovery.refused_line(keys)
        if refused is not None:
            await checkout.recovery.tell(refused[0])
            return LineRefused(purchase=refused[0], attempted=refused[1])
        denied = checkout.no_more() or checkout.not_bought(request)
        if denied is not None:
            return denied
        doubted = checkout.elsewhere.doubts.elsewhere(keys, but=part.of_others)
        if doubted is not None:
            part.turn_to(doubted.new.attempt_id)
            return checkout.doubted(doubted)
        await checkout.elsewhere.before_buying(keys)
        instead_of = None if stands is None else stands.purchase
        return Ready(
            hold_microusd=checkout.estimate(request).high_microusd,
            number=checkout.run_ledger.take_to_be(keys, part, but=instead_of),
            instead_of=instead_of,
        )

    async def new_folder(self, token: str) -> Path:
        """Make the folder of a batch; it goes with a later run if nothing of it is ever held.

        Raises:
            StorageFailed: The disk did not let us.
        """
        return await self._checkout.recovery.new_batch_folder(token)

    async def hold_all(
        self, lines: Sequence[LineToHold], job: NewJob
    ) -> list[Held] | dict[int, Looked]:
        """Hold the money for all lines of a batch, with the row of its job, in one commit.

        Once this returns a list, all of them are durable and ``SENDING``, and the create may leave.
        While something goes on that may make room under a cap, a hold that lacks it waits.

        Args:
            lines: In the order of their numbers in the file, from 0.
            job: With ``lane="batch"``, its token and its input file.

        Returns:
            The holds, in the order of the lines. Or, where anything is in the way of any line:
            what looking at such lines says by now, by their numbers, all of them at once; then
            nothing was changed. A line that does not fit under a cap together with those before it
            is :class:`Denied` with ``over`` and ``stops``; one whose take is another by now is
            :class:`Ready` as that. The others fit together, if nothing happens meanwhile.

        Raises:
            LedgerInDoubt: They may be held, and may not: nothing may be sent.
            StorageFailed: The ledger did not let us; nothing was held.
        """
        checkout = self._checkout
        while True:
            version = checkout.run_ledger.version
            no_more = checkout.no_more()
            if no_more is not None:
                return dict.fromkeys(range(len(lines)), no_more)
            wanted = [self._as_it_costs_now(one) for one in lines]
            held = await checkout.run_ledger.hold_lines(wanted, job, route=checkout.route)
            if isinstance(held, list):
                return held
            lacks_room = any(isinstance(one, OverCap) for one in held.values())
            if not (lacks_room and checkout.is_at_work):
                return {
                    number: await self._looked_again(lines[number], one)
                    for number, one in held.items()
                }
            await checkout.run_ledger.changed(since=version)

    def _as_it_costs_now(self, line: LineToHold) -> LineOf:
        """Return what is to be held for a line: bills may have come since it was looked at."""
        checkout = self._checkout
        return LineOf(
            request=line.request,
            keys=checkout.keys_of(line.request),
            hold_microusd=checkout.estimate(line.request).high_microusd or 0,
            part=line.part,
            take=line.ready.number,
            instead_of=line.ready.instead_of,
        )

    async def _looked_again(self, line: LineToHold, in_the_way: InTheWay) -> Looked:
        """Return what keeps a line from being held, as looking at it would say."""
        checkout = self._checkout
        if isinstance(in_the_way, OverCap):
            return Denied(failure=checkout.failure_of(in_the_way), stops=True, over=in_the_way)
        if isinstance(in_the_way, Purchase) and in_the_way.state is State.PAID_BAD:
            return Denied(failure=messages.billed_for_nothing(in_the_way))
        if isinstance(in_the_way, Doubted):
            line.part.turn_to(in_the_way.purchase.new.attempt_id)
            return checkout.doubted(in_the_way.purchase)
        if isinstance(in_the_way, Purchase) and line.ready.instead_of is not None:
            beside = checkout.beside(in_the_way, line.ready.instead_of, line.part)
            if beside is not None:
                return beside
        return await self.look(line.request, line.part)

    async def accept(self, token: str, accepted: Accepted) -> Job | None:
        """Make a batch's name durable, with all of its lines ``ACCEPTED``, in one commit.

        Raises:
            JobRefused: It is the name of another batch, or this one has another.
            StorageFailed: The ledger did not take it. The answer in the spool names it.
        """
        return await self._checkout.run_ledger.accept(token, accepted)

    async def settle_all(self, held: Sequence[Held], attempted: AttemptResult) -> list[Charge]:
        """Record what came of a create that was not accepted: for all of its lines in one commit.

        Never left or not as a whole: ``VOID``. Answered whole, and unbilled: ``REFUSED``. All else
        is ``UNKNOWN``: a create is never called billed for nothing. Where it ``stays_open`` nothing
        is recorded. A line that somebody has decided about meanwhile stays as it is.

        Returns:
            The cost of each line, as the ledger counts it.

        Raises:
            StorageFailed: It could not be recorded. The next start does.
        """
        settlement = settlement_of_create(attempted)
        if settlement is None:
            return [attempted.cost for _ in held]
        await self._record(held, settlement)
        return [UNKNOWN if settlement.state is State.UNKNOWN else FREE for _ in held]

    async def release_all(self, held: Sequence[Held], why: str) -> None:
        """Release what was held for lines whose create was never sent.

        Raises:
            StorageFailed: It could not be recorded. The next start does.
        """
        await self._record(held, Settlement(state=State.VOID, why=why))

    async def _record(self, held: Sequence[Held], settlement: Settlement) -> None:
        for token in dict.fromkeys(one.token for one in held):
            assert token is not None, "a batch has a token"
            await self._checkout.run_ledger.settle(token, settlement, of={State.SENDING})
