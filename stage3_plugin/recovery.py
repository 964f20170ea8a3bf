"""Looks after the purchases of runs that have died over them.

Whose lock is free is dead: then what it held for requests that were never sent is given back, a
complete answer that lies in the spool is taken in without asking anybody, and whatever else may
have been billed is called unknown and stays counted. Nothing of a run that lives is touched. All of
it may be cut off anywhere and done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby

from stage3_plugin.attempt import attempted_with
from stage3_plugin.intake import Intake
from stage3_plugin.interrupt import Interrupt
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.rows import NewPurchase, Purchase, Recovered, Settlement
from stage3_plugin.ledger.session import Session
from stage3_plugin.ledger.states import State
from stage3_plugin.settling import settlement_of
from stage3_plugin.shelf import Shelf
from stage3_plugin.standing import after_its_owner

IntakeFor = Callable[[NewPurchase], Intake | None]
"""Gives the intake for the answers of a purchase's provider; ``None`` if it has none here."""

_NOTHING_TO_SHOW = {State.PAID, State.REFUSED, State.VOID}
"""Settled, and what came is either stored or worth nothing."""


class Recovery:
    """Recovers what other runs have left.

    Args:
        session: The opened ledger.
        shelf: Has the received answers, and takes the pictures.
        intake_for: See :data:`IntakeFor`.
        interrupt: Cuts short the fetching of pictures.

    Raises:
        StorageFailed: Here and in every method: the ledger or the disk did not let us.
    """

    def __init__(
        self, session: Session, shelf: Shelf, intake_for: IntakeFor, interrupt: Interrupt
    ) -> None:
        self._session = session
        self._shelf = shelf
        self._intake_for = intake_for
        self._interrupt = interrupt

    async def of_all(self) -> Recovered:
        """Recover what dead runs have left, and remove what nobody needs any more."""
        counted = Counter[State]()
        found = sorted(self._session.reader.open_purchases(), key=_owner)
        for run_id, purchases in groupby(found, key=_owner):
            counted += await self._of(run_id, list(purchases)) or Counter()
        await self._tidy()
        self._session.owners.tidy()
        unknown, void = counted.pop(State.UNKNOWN, 0), counted.pop(State.VOID, 0)
        return Recovered(adopted=counted.total(), unknown=unknown, void=void)

    async def of_one(self, run_id: str) -> bool:
        """Recover what one run has left; tell whether it was dead."""
        found = self._session.reader.open_purchases()
        purchases = [purchase for purchase in found if purchase.new.run_id == run_id]
        return await self._of(run_id, purchases) is not None

    async def _of(self, run_id: str, purchases: list[Purchase]) -> Counter[State] | None:
        """Recover the purchases of a run, or give ``None`` if it lives."""
        if run_id == self._session.run_id:
            return None
        counted = Counter[State]()
        with self._session.owners.take_over(run_id) as is_dead:
            if not is_dead:
                return None
            for purchase in purchases:
                state = await self._recover(purchase.new.attempt_id)
                if state is not None:
                    counted[state] += 1
        return counted

    async def _recover(self, attempt_id: str) -> State | None:
        """Bring one purchase to an end, or give ``None`` if that has to wait or was done."""
        purchase = self._session.reader.purchase(attempt_id)  # anew: now its owner's lock is ours
        if purchase is None or purchase.state not in {State.RESERVED, State.SENDING}:
            return None
        is_complete = self._shelf.has_whole_answer(attempt_id)
        state = after_its_owner(purchase, answer_is_complete=is_complete)
        if state is State.PAID:
            settlement = await self._adopt(purchase)
            if settlement is None:
                return None
        elif state is State.VOID:
            settlement = Settlement(state=state, why="its run ended before it was sent")
        else:
            settlement = Settlement(state=state, why="its run ended before the whole answer came")

        def settle(ledger: Ledger) -> Purchase:
            return ledger.settle(attempt_id, settlement, now=self._session.now())

        await self._session.commit(settle)
        return settlement.state

    async def _adopt(self, purchase: Purchase) -> Settlement | None:
        """Take in an answer that was received to its end."""
        intake = self._intake_for(purchase.new)
        if intake is None:
            return None
        folder = self._shelf.folder_of(purchase.new.attempt_id)
        taken = await intake.take(folder, self._interrupt)
        if taken.storage is not None:
            raise taken.storage
        return settlement_of(attempted_with(taken), is_local=False)

    async def _tidy(self) -> None:
        """Remove the received answers of purchases that are settled and have nothing to show."""
        for attempt_id in await self._shelf.received():
            purchase = self._session.reader.purchase(attempt_id)
            if purchase is not None and purchase.state in _NOTHING_TO_SHOW:
                await self._shelf.tidy(attempt_id)


def _owner(purchase: Purchase) -> str:
    return purchase.new.run_id
