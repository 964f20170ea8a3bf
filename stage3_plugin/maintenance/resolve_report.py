"""What was decided, or would be: in figures, so that a slip of the hand is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final, Literal

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.maintenance import next_steps
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.report import (
    SHORT,
    Changed,
    Foreseen,
    Kept,
    Line,
    Report,
    counted,
    grouped,
    purchases_in_rows,
    together,
    token_of,
    usd,
)
from stage3_plugin.maintenance.state_folder import StateFolder

_MOST_NAMED: Final = 40
_UNCHANGED: Final = "nothing was changed; the same command with --yes records it"


class Decision(StrEnum):
    """What a person knows, or wants, about a purchase whose outcome is unknown."""

    BILLED = "billed"
    """It was paid for: it stays counted, and its scene may be made again."""
    NOT_BILLED = "not_billed"
    """It was not paid for: its money is free again, and its scene may be made again."""
    RESEND = "resend"
    """It stays unknown for ever: it stays counted, and its scene may be made again.

    Also for one whose picture was lost from the disk.
    """


BECOMES: Final = {
    Decision.BILLED: State.PAID_BAD,
    Decision.NOT_BILLED: State.REFUSED,
    Decision.RESEND: State.WROTE_OFF,
}
_UNDO: Final = {
    Decision.BILLED: "what it costs can be put right afterwards, with 'stage3 resolve ID --cost "
    "USD', or 0; the old figure is kept",
    Decision.NOT_BILLED: "there is none: who decides so lets go of the money for good, and a bill "
    "that comes later cannot be entered. Who is not sure says --billed, which --cost 0 takes back",
    Decision.RESEND: "there is none: what is held for it stays counted for good",
}
"""Whether a decision can be taken back, before it is made."""
_WHAT_COMES: Final = {
    Decision.BILLED: "a run that has such a scene makes it again, and pays for it anew",
    Decision.NOT_BILLED: "a run that has such a scene makes it",
    Decision.RESEND: "a run that has such a scene sends it again, if the caps allow for both",
}


class Decided(Report):
    """What was decided of purchases, or would be."""

    format = "stage3-resolve/1"
    ledger: StateFolder
    changed: bool
    decision: Decision
    next_step: str
    is_final: bool
    resolved: tuple[Changed, ...]
    would_resolve: tuple[Foreseen, ...] = ()
    left_out: tuple[str, ...] = ()
    each_microusd: Kept[int | None] = None
    """What each was billed, if that was said."""
    again: Kept[Next | None] = None
    """What records it, where many were chosen, and none is recorded yet."""

    @classmethod
    def of(
        cls, folder: StateFolder, decision: Decision, resolved: Sequence[Changed], **more: Any
    ) -> Decided:
        """Say that a decision was recorded."""
        return cls(
            ledger=folder,
            changed=bool(resolved),
            decision=decision,
            next_step=_WHAT_COMES[decision],
            is_final=decision is not Decision.BILLED,
            resolved=tuple(resolved),
            **more,
        )

    def sentences(self) -> Iterator[Line]:
        """Yield what was or would be done, what that costs, and how it can be taken back."""
        before = [one.purchase for one in self.would_resolve]
        if before:
            yield purchases_in_rows(self.would_resolve)
            yield _sum_in_words(self.decision, before, self.each_microusd)
        elif not self.resolved:
            yield "no purchase of unknown outcome is meant"
        if len(self.resolved) > 1:
            yield f"{len(self.resolved)} resolved"
        for group in grouped(self.resolved, lambda one: together(one.purchase)):
            yield _money_in_words(group)
        if self.left_out:
            ids = " ".join(one[:SHORT] for one in self.left_out[:_MOST_NAMED])
            more = len(self.left_out) - _MOST_NAMED
            ids += f" (and {more:,} more)" if more > 0 else ""
            are = "answer is" if len(self.left_out) == 1 else "answers are"
            yield (
                f"left out: {len(self.left_out):,}, whose {are} kept and may still give a picture; "
                f"who has seen that there is none decides by id: stage3 resolve {ids} ..."
            )
        if self.resolved:
            yield f"next: {self.next_step}"
            yield f"undo: {self._undo()}"
        elif before:
            yield f"undo: {_UNDO[self.decision]}"
            yield _UNCHANGED

    def _undo(self) -> str:
        """Say whether and how it can be taken back: a bill can be corrected, up and down."""
        if not all(one.purchase.state is State.PAID_BAD for one in self.resolved):
            return _UNDO[self.decision]
        which, sure = self._which()
        more = " ..." if len(which) > _MOST_NAMED else ""
        command = " ".join(["stage3 resolve", *which[:_MOST_NAMED]]) + f"{more} --cost 0"
        return (
            f"'{' '.join([command, *sure])}' if it was not billed after all, '--cost USD' if "
            f"{'each' if sure else 'it'} was billed something else; the old figure is kept"
        )

    def _which(self) -> tuple[list[str], list[str]]:
        """Name what was decided: by their batch, which needs to be said for sure, or by ids."""
        tokens = {token_of(one.purchase) for one in self.resolved}
        token = tokens.pop() if len(tokens) == 1 else None
        if token is not None:
            return ["--batch", token[:SHORT]], ["--yes"]
        return [one.purchase.new.attempt_id[:SHORT] for one in self.resolved], []

    def next_steps(self) -> Iterator[Next]:
        """Yield what records it, or takes it back."""
        if self.again is not None and self.would_resolve:
            yield self.again
            return
        if self.decision is Decision.BILLED and self.resolved:
            which, sure = self._which()
            yield Next(
                next_steps.stage3(self.ledger, "resolve", *which, "--cost", "0", *sure),
                "takes it back: it was not billed after all; the old figure is kept",
                is_safe=False,
            )
        yield next_steps.looking(self.ledger)


def _money_in_words(group: Sequence[Changed]) -> str:
    """Say what became of a purchase, or of lines of a batch, and of their money."""
    after, token = group[0].purchase, token_of(group[0].purchase)
    name, it, are = f"{after.new.attempt_id[:SHORT]} of scene {after.new.scene_id}", "it", "is"
    if token is not None:
        name, it = f"{counted(len(group), 'line')} of batch {token[:SHORT]}", "them"
        are = "is" if len(group) == 1 else "are"
    freed = sum(one.counted_before_microusd for one in group)
    spent = sum(one.purchase.counted_microusd for one in group)
    money = f"${usd(spent)} counts as spent"
    if after.state is State.REFUSED:
        money = f"the ${usd(freed)} held for {it} is free again"
    elif after.cost_microusd is None and not spent:
        money = "its cost stays unknown, and nothing is counted for it"
    elif after.cost_microusd is None and token is None:
        money = f"the ${usd(spent)} held for it counts as spent"
    elif token is None and 0 < after.new.hold_microusd < spent:
        money += f", ${usd(spent - after.new.hold_microusd)} more than was held for it"
    return f"{name} {are} now {after.state}: {money}"


def _sum_in_words(decision: Decision, before: Sequence[Purchase], cost_microusd: int | None) -> str:
    held = usd(sum(one.counted_microusd for one in before))
    purchases = counted(len(before), "purchase")
    if decision is Decision.NOT_BILLED:
        return f"{purchases}: the ${held} held for them is free again"
    words = f"the ${held} held for them counts as spent"
    unpriced = sum(not one.new.hold_microusd for one in before)
    if cost_microusd is not None:
        spent = usd(cost_microusd * len(before))
        words = f"${spent} counts as spent, in the place of ${held} held"
    elif unpriced:
        words += f"; the cost of {unpriced:,} is unknown, and counts as nothing"
    return f"{purchases}: {words}; a run that makes the scenes again pays for them once more"


class Corrected(Report):
    """Which bills were put right, or would be; the figures that were there are kept."""

    format = "stage3-resolve/1"
    ledger: StateFolder
    changed: bool
    decision: Literal["cost"] = "cost"
    resolved: tuple[Changed, ...] = ()
    foreseen: Kept[Sequence[Purchase] | None] = None
    """Lines of a batch of which it was only looked what it would change."""
    each_microusd: Kept[int]

    def sentences(self) -> Iterator[Line]:
        """Yield each with its figure of before, or by how much the sum would change."""
        if self.foreseen:
            lines = counted(len(self.foreseen), "line")
            now = usd(sum(one.counted_microusd for one in self.foreseen))
            would = f"${usd(self.each_microusd * len(self.foreseen))} would count"
            yield f"{lines} that somebody found billed: {would}, in the place of ${now}"
            yield _UNCHANGED
        elif not self.resolved:
            yield "nobody has called a line of this batch billed: there is nothing to put right"
        for one in self.resolved:
            new, before = one.purchase.new, one.cost_before_microusd
            was = "an unknown cost" if before is None else f"${usd(before)}"
            is_same = before == self.each_microusd
            how = ", as it did" if is_same else f" now, in the place of {was}"
            name = f"{new.attempt_id[:SHORT]} of scene {new.scene_id}"
            yield f"{name} costs ${usd(self.each_microusd)}{how}"
        if self.resolved:
            yield "the figure that was there is kept; 'stage3 attempts --all' shows it"


class DaySet(Report):
    """Which day a ledger goes on with."""

    format = "stage3-resolve/1"
    ledger: StateFolder
    changed: bool
    decision: Literal["day"] = "day"
    last_day_before: date | None
    last_day: date | None
    wanted: Kept[date]

    def sentences(self) -> Iterator[Line]:
        """Say what it is, and what it was."""
        if self.changed:
            yield (
                f"the ledger's day is {self.wanted} now; it was {self.last_day_before}. What was "
                "held and spent stays counted on the days it was counted on"
            )
        elif self.last_day is None:
            yield "the ledger knows no day yet: nothing was ever held; nothing was changed"
        else:
            last = f"the ledger's last day is {self.last_day}"
            yield f"{last}, which is not after {self.wanted}; nothing was changed"
