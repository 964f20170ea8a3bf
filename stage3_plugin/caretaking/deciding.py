"""Records what somebody has found out, or decided, about purchases whose outcome is unknown.

All that is asked for happens in one transaction, or nothing does. A purchase goes the way the next
run would take it: through the same states, under the lock of the run that left it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stage3_plugin.caretaking.folder import StateFolder
from stage3_plugin.caretaking.looking import Situation, left_behind
from stage3_plugin.errors import LookupRefused, Stage3Error
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.rows import Purchase, Settlement
from stage3_plugin.ledger.states import OPEN, State

_ID = re.compile(r"[0-9a-f]{6,32}")


class ResolveRefused(Stage3Error):
    """Purchases that no decision can be recorded for; nothing was changed for any of them.

    Attributes:
        problems: Why, by the id that was given.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        self.hint = "nothing was changed; 'stage3 attempts' lists what waits for a decision"
        super().__init__("; ".join(f"{one}: {why}" for one, why in self.problems.items()))


class Decision(StrEnum):
    """What somebody knows, or wants, about a purchase whose outcome is unknown."""

    BILLED = "billed"
    """It was paid for: it stays counted, and its scene may be made again."""
    NOT_BILLED = "not_billed"
    """It was not paid for: its money is free again, and its scene may be made again."""
    RESEND = "resend"
    """Nobody will ever know: it stays counted, and its scene may be made again.

    Also for one whose picture was lost from the disk.
    """


_LEADS_TO = {
    Decision.BILLED: State.PAID_BAD,
    Decision.NOT_BILLED: State.REFUSED,
    Decision.RESEND: State.WROTE_OFF,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A decision that was recorded: the purchase before and after it."""

    before: Purchase
    after: Purchase


def resolve(
    folder: StateFolder,
    ids: Sequence[str],
    decision: Decision,
    *,
    now: datetime,
    cost_microusd: int | None = None,
) -> list[Resolved]:
    """Record a decision for purchases whose outcome is unknown: for all of them or for none.

    One that a dead run left open comes to be unknown first, under that run's lock, as the next run
    would have it.

    Args:
        folder: Whose ledger.
        ids: Ids, or their beginnings of at least 6 hex digits.
        decision: What is to be recorded.
        now: The time of it, aware.
        cost_microusd: What was billed for each, where that is known; for ``BILLED`` only.

    Raises:
        ResolveRefused: For one of them nothing can be decided.
        LedgerMissing: There is no ledger.
        LedgerFailed: It cannot be changed.
    """
    if cost_microusd is not None and decision is not Decision.BILLED:
        raise ValueError("only what was billed has a cost")
    with folder.writing() as ledger, ExitStack() as locks, ledger.transaction():
        deciding = _Deciding(folder, ledger, locks, now=now)
        chosen = deciding.choose(ids, decision)
        return [deciding.decide(one, decision, cost_microusd) for one in chosen]


class _Deciding:
    """One transaction of decisions. The locks are let go after it."""

    def __init__(
        self, folder: StateFolder, ledger: Ledger, locks: ExitStack, *, now: datetime
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._locks = locks
        self._now = now
        self._taken: dict[str, bool] = {}

    def choose(self, ids: Iterable[str], decision: Decision) -> list[Purchase]:
        """Find the purchases, each once.

        Raises:
            ResolveRefused: One of them is not there, or waits for no decision.
        """
        problems: dict[str, str] = {}
        chosen: dict[str, Purchase] = {}
        for word in ids:
            purchase = self._find(word)
            if isinstance(purchase, str):
                problems[word] = purchase
            elif problem := self._why_not(purchase, decision):
                problems[word] = problem
            else:
                chosen[purchase.new.attempt_id] = purchase
        if problems:
            raise ResolveRefused(problems)
        return list(chosen.values())

    def decide(self, purchase: Purchase, decision: Decision, cost_microusd: int | None) -> Resolved:
        """Bring a purchase to where the decision leads."""
        attempt_id = purchase.new.attempt_id
        if purchase.state is State.SENDING:
            left = Settlement(state=State.UNKNOWN, why="its run ended before the whole answer came")
            purchase = self._ledger.settle(attempt_id, left, now=self._now)
        if purchase.state is State.PAID:
            return Resolved(before=purchase, after=self._give_up(purchase))
        is_known = cost_microusd is not None
        settlement = Settlement(
            state=_LEADS_TO[decision],
            cost_microusd=cost_microusd,
            basis="reported" if is_known else "held" if purchase.new.hold_microusd else "unknown",
            why=f"{_SAID[decision]}; before that: {purchase.why}",
            decided_by="user",
        )
        after = self._ledger.settle(attempt_id, settlement, now=self._now)
        return Resolved(before=purchase, after=after)

    def _give_up(self, purchase: Purchase) -> Purchase:
        """Let go of a picture that is lost; what it cost stays counted."""
        assert purchase.basis is not None
        lost = Settlement(
            state=State.PAID_BAD,
            cost_microusd=purchase.cost_microusd,
            basis=purchase.basis,
            why="its picture was lost from the disk, and somebody wants it made again",
            image_url=purchase.image_url,
            took_s=purchase.took_s,
            decided_by="user",
        )
        return self._ledger.settle(purchase.new.attempt_id, lost, now=self._now)

    def _find(self, word: str) -> Purchase | str:
        """Find a purchase, or tell why it cannot be found."""
        if not _ID.fullmatch(word.lower()):
            return "an id is at least 6 of the hex digits that 'stage3 attempts' shows"
        try:
            found = self._ledger.purchase(word.lower())
        except LookupRefused:
            return "several purchases begin so; give more of its digits"
        return found or f"no purchase in {self._folder.ledger_path} begins so"

    def _why_not(self, purchase: Purchase, decision: Decision) -> str | None:
        """Tell why nothing can be decided about a purchase."""
        if purchase.state is State.UNKNOWN:
            return None
        if purchase.picture is not None and decision is Decision.RESEND:
            kept = self._folder.store.object_path(purchase.picture.sha256)
            is_there = self._folder.store.is_whole(kept)
            return "its picture is there, in the store" if is_there else None
        if purchase.state not in OPEN:
            return f"its outcome is known, it is {purchase.state}"
        if not self._take(purchase.new.run_id):
            return "a run that is still going has it in work, and will tell what became of it"
        match left_behind(purchase, self._folder):
            case Situation.ANSWERED:
                return "its answer is there; the next run takes in the picture, free of charge"
            case Situation.UNBILLED:
                return "it was never billed; the next run lets go of its money by itself"
            case _:
                return None

    def _take(self, run_id: str) -> bool:
        """Take a dead run's lock, to be kept until the decisions are durable."""
        if run_id not in self._taken:
            taken = self._folder.owners.take_over(run_id)
            self._taken[run_id] = self._locks.enter_context(taken)
        return self._taken[run_id]


_SAID = {
    Decision.BILLED: "somebody found it billed",
    Decision.NOT_BILLED: "somebody found it not billed",
    Decision.RESEND: "somebody wrote it off, to send it again",
}
