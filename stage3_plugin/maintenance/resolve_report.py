"""What was decided, or would be: in figures, so that a slip of the hand is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.home import without_home
from stage3_plugin.maintenance import next_steps
from stage3_plugin.maintenance.next_steps import Next
from stage3_plugin.maintenance.report import (
    SHORT,
    Report,
    counted,
    grouped,
    moment,
    route,
    table,
    together,
    token_of,
    usd,
)
from stage3_plugin.maintenance.state_folder import StateFolder

FORMAT: Final = "stage3-resolve/1"
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


class Resolved(NamedTuple):
    """What was recorded of a purchase: how it was, and how it is."""

    before: Purchase
    after: Purchase


def recorded(folder: StateFolder, decision: Decision, resolved: Sequence[Resolved]) -> Report:
    """Say that a decision was recorded, and what each purchase is now."""
    document = {
        "format": FORMAT,
        "ledger": folder,
        "changed": bool(resolved),
        "decision": decision,
        "next_step": _WHAT_COMES[decision],
        "is_final": decision is not Decision.BILLED,
        "resolved": [_told_of(one) for one in resolved],
    }
    steps = [next_steps.looking(folder)]
    if decision is Decision.BILLED and resolved:
        which, sure = _which(resolved)
        command = next_steps.stage3(folder, "resolve", *which, "--cost", "0", *sure.split())
        why = "takes it back: it was not billed after all; the old figure is kept"
        steps.insert(0, Next(command, why, is_safe=False))
    sentences = list(_recorded_in_words(decision, resolved))
    return Report(document=document, sentences=sentences, next_steps=steps)


def _recorded_in_words(decision: Decision, resolved: Sequence[Resolved]) -> Iterator[str]:
    """Yield what was done, what the next run will do, and how it can be taken back."""
    if len(resolved) > 1:
        yield f"{len(resolved)} resolved"
    for group in grouped(resolved, lambda one: together(one.after)):
        yield _money_in_words(group)
    yield f"next: {_WHAT_COMES[decision]}"
    yield f"undo: {_undo(decision, resolved)}"


def _undo(decision: Decision, resolved: Sequence[Resolved]) -> str:
    """Say whether and how it can be taken back: a bill can be corrected, up and down."""
    if not all(one.after.state is State.PAID_BAD for one in resolved):
        return _UNDO[decision]
    which, sure = _which(resolved)
    each = "each" if sure else "it"
    more = " ..." if len(which) > _MOST_NAMED else ""
    command = f"stage3 resolve {' '.join(which[:_MOST_NAMED])}{more} --cost 0{sure}"
    return (
        f"'{command}' if it was not billed after all, '--cost USD' if {each} was billed "
        "something else; the old figure is kept"
    )


def _which(resolved: Sequence[Resolved]) -> tuple[list[str], str]:
    """Name what was decided: by their batch, which needs to be said for sure, or by ids."""
    tokens = {token_of(one.after) for one in resolved}
    token = tokens.pop() if len(tokens) == 1 else None
    if token is not None:
        return ["--batch", token[:SHORT]], " --yes"
    return [one.after.new.attempt_id[:SHORT] for one in resolved], ""


def _told_of(one: Resolved) -> dict[str, object]:
    return {
        "state_before": one.before.state,
        "counted_before_microusd": one.before.counted_microusd,
        "purchase": one.after,
    }


def _money_in_words(group: Sequence[Resolved]) -> str:
    """Say what became of a purchase, or of lines of a batch, and of their money."""
    after, token = group[0].after, token_of(group[0].after)
    name, it, are = f"{after.new.attempt_id[:SHORT]} of scene {after.new.scene_id}", "it", "is"
    if token is not None:
        name, it = f"{counted(len(group), 'line')} of batch {token[:SHORT]}", "them"
        are = "is" if len(group) == 1 else "are"
    freed = sum(one.before.counted_microusd for one in group)
    spent = sum(one.after.counted_microusd for one in group)
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


def chosen(
    recorded: Report,
    decision: Decision,
    before: Sequence[Purchase],
    *,
    left_out: Sequence[Purchase],
    cost_microusd: int | None,
    again: Next | None,
) -> Report:
    """Say what a decision about many did, or would do.

    Args:
        recorded: What was recorded; of none, where it was only foreseen.
        decision: Which.
        before: Each of them as it was.
        left_out: Those whose answer is on the disk.
        cost_microusd: What each was billed, if that was said.
        again: The command that records it; ``None`` where it was recorded.
    """
    told = list(_chosen_in_words(decision, before, left_out, cost_microusd))
    foreseen = before if again else ()
    more = {
        "would_resolve": [{"becomes": BECOMES[decision], "purchase": one} for one in foreseen],
        "left_out": [one.new.attempt_id for one in left_out],
    }
    if again is None and before:
        told += recorded.sentences
    elif before:
        told += [f"undo: {_UNDO[decision]}", _UNCHANGED]
    return Report(
        document={**recorded.document, **more},
        sentences=told,
        next_steps=[again] if again and before else recorded.next_steps,
    )


def _chosen_in_words(
    decision: Decision,
    before: Sequence[Purchase],
    left_out: Sequence[Purchase],
    cost_microusd: int | None,
) -> Iterator[str]:
    """Yield what it would do, or did, as a table, and what it costs."""
    if before:
        head = ("ID", "SCENE", "SENT", "FROM", "RUN", "HELD", "BECOMES")
        rows = (_row(group, decision) for group in grouped(before, together))
        yield from table([head, *rows])
        yield _sum_in_words(decision, before, cost_microusd)
    else:
        yield "no purchase of unknown outcome is meant"
    if left_out:
        ids = " ".join(one.new.attempt_id[:SHORT] for one in left_out[:_MOST_NAMED])
        more = len(left_out) - _MOST_NAMED
        ids += f" (and {more:,} more)" if more > 0 else ""
        are = "answer is" if len(left_out) == 1 else "answers are"
        yield (
            f"left out: {len(left_out):,}, whose {are} kept and may still give a picture; "
            f"who has seen that there is none decides by id: stage3 resolve {ids} ..."
        )


def _row(group: Sequence[Purchase], decision: Decision) -> tuple[str, ...]:
    """Return the row of a purchase, or of the lines of a batch together."""
    first, token, more = group[0], token_of(group[0]), len(group) - 1
    return (
        first.new.attempt_id[:12] if token is None else f"batch {token[:SHORT]}",
        first.new.scene_id[:40] + (f" and {more:,} more" if more else ""),
        moment(first.held_at),
        route(first.new.endpoint)[:40],
        without_home(first.new.run_id)[:12],
        f"${usd(sum(one.counted_microusd for one in group))}",
        str(BECOMES[decision]),
    )


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


def bills(folder: StateFolder, corrected: Sequence[Resolved]) -> Report:
    """Say which bills were put right; the figures that were there are kept."""
    told = list[str]()
    for before, after in corrected:
        was = "an unknown cost" if before.cost_microusd is None else f"${usd(before.cost_microusd)}"
        is_same = before.cost_microusd == after.cost_microusd
        how = ", as it did" if is_same else f" now, in the place of {was}"
        name = f"{after.new.attempt_id[:SHORT]} of scene {after.new.scene_id}"
        told.append(f"{name} costs ${usd(after.cost_microusd)}{how}")
    changed = any(one.before.cost_microusd != one.after.cost_microusd for one in corrected)
    resolved = [
        _told_of(one) | {"cost_before_microusd": one.before.cost_microusd} for one in corrected
    ]
    kept = "the figure that was there is kept; 'stage3 attempts --all' shows it"
    return _changed(folder, "cost", [*told, kept], changed=changed, resolved=resolved)


def bills_foreseen(folder: StateFolder, found: Sequence[Purchase], cost_microusd: int) -> Report:
    """Say which bills of a batch would be put right, and by how much."""
    told = ["nobody has called a line of this batch billed: there is nothing to put right"]
    if found:
        lines, now = counted(len(found), "line"), usd(sum(one.counted_microusd for one in found))
        would = f"${usd(cost_microusd * len(found))} would count, in the place of ${now}"
        told = [f"{lines} that somebody found billed: {would}", _UNCHANGED]
    return _changed(folder, "cost", told, changed=False, resolved=())


def day_set(folder: StateFolder, day: date, before: date | None, known: date | None) -> Report:
    """Say which day a ledger goes on with: another one than ``before``, if that is there."""
    told = f"the ledger's last day is {known}, which is not after {day}; nothing was changed"
    if known is None:
        told = "the ledger knows no day yet: nothing was ever held; nothing was changed"
    if before is not None:
        told = (
            f"the ledger's day is {day} now; it was {before}. What was held and spent stays "
            "counted on the days it was counted on"
        )
    days = {"last_day_before": known, "last_day": known if before is None else day}
    return _changed(folder, "day", [told], changed=before is not None, **days)


def _changed(
    folder: StateFolder, what: str, told: Sequence[str], *, changed: bool, **keys: object
) -> Report:
    document = {"format": FORMAT, "ledger": folder, "changed": changed, "decision": what}
    return Report(document=document | keys, sentences=told)
