"""Settles what recovery has found, one purchase or all lines of a job at once, and says so once.

A settlement names the state that it was made for: where the row has gone on since, another run had
the same evidence, and it is dropped. Of a line without a picture one word is kept until a scene has
been told of it: what its result came to, and what a refusal is about; the row has the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, get_args

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import LedgerLeftOpen, SceneRecovered
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.money import FREE, Charge, usd_of
from stage3_plugin.domain.purchase import REFUSED_FOR, Purchase, Settlement
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.errors import IllegalTransition, StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.session import Session
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.purchase.lost import name_of
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime import trace
from stage3_plugin.storage.pictures import Pictures

NOTHING_TO_SHOW = {State.PAID, State.REFUSED, State.VOID}
"""Settled, and what came is either stored or worth nothing."""
_OUTCOMES: Final[Mapping[State, str]] = {State.PAID: "made", State.UNKNOWN: "unknown"}
"""What became of a request that an earlier run had sent, where it did not simply fail."""
_MAY_GO_AGAIN = {VerdictKind.BUSY, VerdictKind.RATE_LIMITED}
"""Of what provably never ran, or was turned away: it says nothing about the picture."""


class Endings:
    """Settles for one run.

    Args:
        session: The opened ledger.
        pictures: Has the received answers.
        book: Notes every purchase that was settled.

    Attributes:
        counted: How many purchases of other runs came to which state.
        came: What purchases came to here, where a scene may have to end by it.
        stuck: What is here and could not be taken in now, and why, by purchase.
    """

    def __init__(self, session: Session, pictures: Pictures, book: RunLedger) -> None:
        self.counted = Counter[State]()
        self.came: dict[str, AttemptResult] = {}
        self.stuck: dict[str, AttemptResult] = {}
        self._session = session
        self._pictures = pictures
        self._book = book
        self._told = set[str]()
        """Lines of other runs that a scene of this process has heard of."""

    def note(self, after: Purchase) -> None:
        """Note that a purchase has ended, and report what became of one of another run."""
        self._book.note(after)
        if after.new.run_id != self._session.run_id:
            self.counted[after.state] += 1
            if after.state is not State.VOID:
                trace.event(recovered(after))

    async def end(self, purchase: Purchase, attempted: AttemptResult) -> None:
        """Settle a purchase by what its own answer came to, or keep what is in the way of that.

        Raises:
            StorageFailed: It could not be recorded.
        """
        attempt_id, is_line = purchase.new.attempt_id, purchase.new.line is not None
        hold_microusd = purchase.new.hold_microusd
        settlement = settlement_of(attempted, hold_microusd=hold_microusd)
        if settlement is None or (settlement.state is purchase.state and not is_line):
            self.stuck[attempt_id] = attempted
            return
        self.stuck.pop(attempt_id, None)
        if purchase.state in OPEN:
            settlement = without_doubt(attempted, settlement)
        with suppress(IllegalTransition):
            of = {purchase.state}
            if await self._settle([purchase], attempt_id, settlement, of=of, heard=attempted):
                return
        found = self._session.reader.purchase(attempt_id)
        if found is not None and found.state is settlement.state:  # another had the same evidence
            self._hear(purchase, settlement, attempted)
        is_late = found is not None and found.state is not State.PAID
        if settlement.picture is not None and is_late:
            await self._pictures.note_late(attempt_id, settlement.picture)

    async def settle_job(
        self,
        purchase: Purchase,
        settlement: Settlement,
        *,
        of: Collection[State],
        heard: AttemptResult | None = None,
        but: Collection[int] = (),
    ) -> None:
        """Settle what is true of a whole job: all of its lines are one commit.

        Args:
            purchase: Any of it.
            settlement: What is true of all of it.
            of: The states that it was made for; what is in another stays as it is, and of a single
                purchase only that which it was read in counts.
            heard: What its lines came to with that, where scenes may have to end by it.
            but: Lines that have a result of their own.

        Raises:
            StorageFailed: It could not be recorded.
        """
        name, lines = name_of(purchase), [purchase]
        if purchase.new.line is None:
            of = {purchase.state} & set(of)
        else:
            lines = [one for one in self._session.reader.lines_of(name) if one.new.line not in but]
        lines = [one for one in lines if one.state in of]
        if lines:
            await self._settle(lines, name, settlement, of=of, heard=heard)

    async def _settle(
        self,
        lines: Sequence[Purchase],
        name: str,
        settlement: Settlement,
        *,
        of: Collection[State],
        heard: AttemptResult | None,
    ) -> list[Purchase]:
        """Settle purchases that are all of one name, but for what has gone on since it was read."""
        untold: dict[str, str] = {}
        for line in lines:
            word = heard and self._hear(line, settlement, heard)
            if word:
                untold[line.new.attempt_id] = word
        numbers = {one.new.line for one in lines if one.new.line is not None}
        now = self._session.now

        def settle(ledger: Ledger) -> list[Purchase]:
            after = ledger.settle(name, settlement, of=of, lines=numbers or None, now=now())
            for one in after:
                if one.new.attempt_id in untold:
                    ledger.note_untold(one, untold[one.new.attempt_id])
            return after

        settled: list[Purchase] = []
        try:
            settled = await self._session.commit(settle)
        finally:
            for attempt_id in _ids(lines) - _ids(settled):
                self.came.pop(attempt_id, None)
        for one in settled:
            self.note(one)
        if name in _ids(settled) and settlement.state in NOTHING_TO_SHOW:
            await self._pictures.remove_answer(name)
        return settled

    # What a scene has to hear --------------------------------------------------------------------

    def refused(self, keys: Keys) -> tuple[Purchase, AttemptResult] | None:
        """Return a line of a wish that has no picture by its own word; each only once.

        One that this run has taken in; or one that somebody else has, and that no scene was told
        of: see :meth:`tell`.
        """
        reader = self._session.reader
        for attempt_id, word in reader.untold(keys.subject_key).items():
            line = None if attempt_id in self._told else reader.purchase(attempt_id)
            if line is not None and keys.take_of(line.new) is not None:
                attempted = self.came.get(attempt_id) or result_of(line, word)
                if attempted is not None:
                    self.forget(line)
                    return line, attempted
        return None

    async def tell(self, line: Purchase) -> None:
        """Note in the ledger that a scene ends by what came of a line: no later run is to.

        Never raises: where it cannot be noted, the next run is told once more, and buys nothing.
        """
        attempt_id, subject = line.new.attempt_id, line.new.subject_key
        try:
            if attempt_id in self._session.reader.untold(subject):
                await self._session.commit(lambda ledger: ledger.tell(line))
        except StorageFailed as failure:
            left_open(attempt_id, failure)

    def forget(self, line: Purchase) -> None:
        """Note, for this process, that the scene of a line has heard what came of it."""
        self._told.add(line.new.attempt_id)

    def _hear(
        self, purchase: Purchase, settlement: Settlement, attempted: AttemptResult
    ) -> str | None:
        """Keep what a purchase comes to, where a scene of this run has to end by it.

        It is kept before that is settled: a scene may look at the row from that moment on. Of a
        line of another run it is returned what the ledger is to keep of it: this process may have
        no scene that wants it.
        """
        attempt_id, state = purchase.new.attempt_id, settlement.state
        if purchase.new.run_id == self._session.run_id or purchase.new.line is None:
            self.came[attempt_id] = attempted
            return None
        is_free = state is State.REFUSED and attempted.verdict.kind not in _MAY_GO_AGAIN
        is_billed = state is State.PAID_BAD and REFUSED_FOR in settlement.details
        if not (is_free or is_billed):
            return None
        self.came[attempt_id] = attempted
        return f"{attempted.verdict.kind.value}:{attempted.verdict.about or ''}"


def _ids(purchases: Iterable[Purchase]) -> set[str]:
    return {one.new.attempt_id for one in purchases}


def left_open(attempt_id: str, error: Exception) -> None:
    """Log what has left a purchase, or a job, as it is."""
    problem = str(error) if isinstance(error, StorageFailed) else type(error).__name__
    trace.event(LedgerLeftOpen(attempt_id=attempt_id, problem=problem))


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


_OF_THE_PICTURE: Final = frozenset(
    {VerdictKind.REFUSED, VerdictKind.REJECTED, VerdictKind.NO_PICTURE, VerdictKind.UNREADABLE}
)
"""What a later run may still end by. An account without money, say, is another matter by then."""
_ABOUT: Final[dict[str, RefusedFor]] = {word: word for word in get_args(RefusedFor)}


def result_of(line: Purchase, word: str) -> AttemptResult | None:
    """Return what a line came to, from its row and the word that was kept of it.

    ``None`` where a person has decided about it since, or the word is none of this version's.
    """
    name, _, about = word.partition(":")
    is_billed = line.state is State.PAID_BAD
    is_known = name in _OF_THE_PICTURE and (is_billed or line.state is State.REFUSED)
    if not is_known or line.decided_by is not None:
        return None
    verdict = Verdict(
        kind=VerdictKind(name),
        message=line.why,
        may_be_billed=is_billed,
        request_id=line.request_id,
        about=_ABOUT.get(about),
    )
    cost = Charge(line.cost_microusd, line.basis or "unknown") if is_billed else FREE
    return AttemptResult(verdict=verdict, cost=cost)


def without_doubt(attempted: AttemptResult, settlement: Settlement) -> Settlement:
    """Return the settlement of an answer that another run has left behind.

    Only an answer that says so itself, a success without a picture, is called billed for nothing.
    For all else that is wrong the time between may be to blame, such as a power cut.
    """
    says_so = attempted.verdict.kind is VerdictKind.NO_PICTURE
    if settlement.state is not State.PAID_BAD or says_so:
        return settlement
    why = f"a whole answer was left behind and could not be taken in: {settlement.why}"
    return replace(settlement, state=State.UNKNOWN, why=why)
