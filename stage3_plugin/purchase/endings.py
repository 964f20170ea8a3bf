"""Settles what runs have left behind, one purchase or all lines of a batch at once.

A settlement names the state that it was made for: where the row has gone on since, another run had
the same evidence, and it is dropped. Of a line without a picture one word is kept until a scene has
been told of it: what its result came to, and what a refusal is about; the row has the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, get_args

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import SceneRecovered
from stage3_plugin.domain.money import FREE, Charge, usd_of
from stage3_plugin.domain.purchase import Purchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.errors import IllegalTransition
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.session import Session
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime import trace
from stage3_plugin.storage.pictures import Pictures

NOTHING_TO_SHOW = {State.PAID, State.REFUSED, State.VOID}
"""Settled, and what came is either stored or worth nothing."""
_OUTCOMES: Final[Mapping[State, str]] = {State.PAID: "made", State.UNKNOWN: "unknown"}
"""What became of a request that an earlier run had sent, where it did not simply fail."""


class Endings:
    """Settles for one run.

    Args:
        session: The opened ledger.
        pictures: Has the received answers.
        book: Notes every purchase that was settled.

    Attributes:
        counted: How many purchases of other runs came to which state.
    """

    def __init__(self, session: Session, pictures: Pictures, book: RunLedger) -> None:
        self.counted = Counter[State]()
        self._session = session
        self._pictures = pictures
        self._book = book

    def note(self, after: Purchase) -> None:
        """Note that a purchase has ended, and report what became of one of another run."""
        self._book.note(after)
        if after.new.run_id != self._session.run_id:
            self.counted[after.state] += 1
            if after.state is not State.VOID:
                trace.event(recovered(after))

    async def settle(
        self, purchase: Purchase, settlement: Settlement, *, untold: str | None = None
    ) -> Purchase | None:
        """Settle a purchase, unless that was done since it was read; return it as it stands.

        Args:
            purchase: As it was read.
            settlement: How it has ended.
            untold: What is noted of it with that, until a scene has been told of it.

        Raises:
            StorageFailed: It could not be recorded.
        """
        attempt_id = purchase.new.attempt_id

        def settle(ledger: Ledger) -> Purchase | None:
            found = ledger.purchase(attempt_id)
            if found is None or found.state is not purchase.state:
                return None
            (after,) = ledger.settle(attempt_id, settlement, now=self._session.now())
            if untold is not None:
                ledger.note_untold(after, untold)
            return after

        try:
            after = await self._session.commit(settle)
        except IllegalTransition:
            after = None
        if after is None:
            found = self._session.reader.purchase(attempt_id)
            is_late = found is not None and found.state is not State.PAID
            if settlement.picture is not None and is_late:
                await self._pictures.note_late(attempt_id, settlement.picture)
            return found
        self.note(after)
        if after.state in NOTHING_TO_SHOW:
            await self._pictures.remove_answer(attempt_id)
        return after

    async def settle_lines(
        self,
        token: str,
        settlement: Settlement,
        *,
        of: Collection[State],
        lines: Collection[int] | None = None,
        untold: Mapping[str, str] | None = None,
    ) -> list[Purchase]:
        """Settle all lines of a batch that are in certain states, in one commit; return those.

        Args:
            token: What was drawn for the batch.
            settlement: What is true of all of them.
            of: These states.
            lines: Only these, by their numbers.
            untold: What is noted with that, by purchase, until a scene has been told of it.

        Raises:
            StorageFailed: It could not be recorded.
        """
        now, notes = self._session.now, untold or {}

        def settle(ledger: Ledger) -> list[Purchase]:
            after = ledger.settle(token, settlement, of=of, lines=lines, now=now())
            for one in after:
                if one.new.attempt_id in notes:
                    ledger.note_untold(one, notes[one.new.attempt_id])
            return after

        after = await self._session.commit(settle)
        for one in after:
            self.note(one)
        return after


def recovered(purchase: Purchase) -> SceneRecovered:
    """Return what is reported of a request that a run before had sent."""
    new, basis = purchase.new, purchase.counted_basis or "unknown"
    return SceneRecovered(
        scene_id=new.scene_id,
        take=new.slot,
        outcome=_OUTCOMES.get(purchase.state, "failed"),
        cost_usd=None if basis == "unknown" else usd_of(purchase.counted_microusd),
        cost_basis=basis,
        purchase=new.attempt_id,
        provider=new.endpoint.provider,
        model=new.endpoint.model,
        sent_at=purchase.held_at,
        request_id=purchase.request_id,
    )


def as_settled(line: Purchase, settlement: Settlement) -> Purchase:
    """Return a line as it stands once it is settled so."""
    return replace(
        line,
        state=settlement.state,
        why=settlement.why,
        details=settlement.details,
        cost_microusd=settlement.cost_microusd,
        request_id=settlement.request_id or line.request_id,
    )


_OF_THE_PICTURE: Final = {
    kind.value: kind
    for kind in (
        VerdictKind.REFUSED, VerdictKind.REJECTED, VerdictKind.NO_PICTURE, VerdictKind.UNREADABLE,
    )
}  # fmt: skip
"""What a later run may still end by. An account without money, say, is another matter by then."""
_ABOUT: Final[dict[str, RefusedFor]] = {word: word for word in get_args(RefusedFor)}


def word_of(verdict: Verdict) -> str | None:
    """Return the word that is kept; ``None`` if it says nothing about the picture."""
    if verdict.kind.value not in _OF_THE_PICTURE:
        return None
    return f"{verdict.kind.value}:{verdict.about or ''}"


def result_of(line: Purchase, word: str) -> AttemptResult | None:
    """Return what a line came to, from its row and the word that was kept of it.

    ``None`` where a person has decided about it since, or the word is none of this version's.
    """
    name, _, about = word.partition(":")
    kind = _OF_THE_PICTURE.get(name)
    is_billed = line.state is State.PAID_BAD
    if (
        kind is None
        or line.decided_by is not None
        or not (is_billed or line.state is State.REFUSED)
    ):
        return None
    verdict = Verdict(
        kind=kind,
        message=line.why,
        may_be_billed=is_billed,
        request_id=line.request_id,
        about=_ABOUT.get(about),
    )
    cost = Charge(line.cost_microusd, line.basis or "unknown") if is_billed else FREE
    return AttemptResult(verdict=verdict, cost=cost)
