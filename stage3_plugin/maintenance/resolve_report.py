"""Puts what was decided, or would be, into words, and into plain JSON values.

Apart from :mod:`stage3_plugin.maintenance.report`, which says what there is: this module says what
a person does about it, in figures, so that a slip of the hand is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.home import without_home
from stage3_plugin.maintenance.listing import token_of
from stage3_plugin.maintenance.report import counted, moment, on_one_line, purchase_json, usd
from stage3_plugin.maintenance.resolve import Decision, Resolved, batch_of
from stage3_plugin.maintenance.selection import Chosen
from stage3_plugin.maintenance.state_folder import StateFolder


def resolved_text(resolved: Sequence[Resolved], decision: Decision) -> str:
    """Put recorded decisions into words: what was done, and what the next run will do."""
    lines = [f"{len(resolved)} resolved" if len(resolved) > 1 else ""]
    for name, group in _by_batch(resolved).items():
        if name is not None:
            lines.append(_batch_in_words(name, group))
            continue
        for one in group:
            new = one.after.new
            lines.append(
                f"{new.attempt_id[:8]} of scene {on_one_line(new.scene_id)} is now "
                f"{one.after.state}: {_money_in_words(one)}"
            )
    lines += [_WHAT_COMES[decision], f"undo: {undo_of(resolved, decision)}"]
    return "\n".join(filter(None, lines))


def _by_batch(resolved: Sequence[Resolved]) -> dict[str | None, list[Resolved]]:
    """Put the lines of each batch together; under ``None`` what is no line."""
    groups: dict[str | None, list[Resolved]] = {}
    for one in resolved:
        groups.setdefault(token_of(one.after), []).append(one)
    return groups


def _batch_in_words(token: str, group: Sequence[Resolved]) -> str:
    """Say what became of lines of a batch, and of their money together."""
    after = group[0].after.state
    freed = sum(one.before.counted_microusd for one in group)
    spent = sum(one.after.counted_microusd for one in group)
    money = f"${usd(spent)} counts as spent"
    if after is State.REFUSED:
        money = f"the ${usd(freed)} held for them is free again"
    are = "is" if len(group) == 1 else "are"
    return f"{counted(len(group), 'line')} of batch {token[:8]} {are} now {after}: {money}"


def undo_of(resolved: Sequence[Resolved], decision: Decision) -> str:
    """Say whether and how a decision that was recorded can be taken back.

    A bill of a purchase that counts as billed can still be corrected, up and down. The other
    decisions are final.
    """
    if all(one.after.state is State.PAID_BAD for one in resolved) and resolved:
        ids = " ".join(one.after.new.attempt_id[:8] for one in resolved[:_MOST_LEFT_OUT])
        if len(resolved) > _MOST_LEFT_OUT:
            ids += " ..."
        batch = batch_of(resolved)
        which, sure = (ids, "") if batch is None else (f"--batch {batch}", " --yes")
        each = "it" if batch is None else "each"
        return (
            f"'stage3 resolve {which} --cost 0{sure}' if it was not billed after all, '--cost USD' "
            f"if {each} was billed something else; the old figure is kept"
        )
    return FINAL[decision]


FINAL = {
    Decision.BILLED: "what it costs can be put right afterwards, with 'stage3 resolve ID --cost "
    "USD', or 0; the old figure is kept",
    Decision.NOT_BILLED: "there is none: who decides so lets go of the money for good, and a bill "
    "that comes later cannot be entered. Who is not sure says --billed, which --cost 0 takes back",
    Decision.RESEND: "there is none: what is held for it stays counted for good",
}
"""Whether a decision can be taken back, before it is made."""


_WHAT_COMES = {
    Decision.BILLED: "next: a run that has such a scene makes it again, and pays for it anew",
    Decision.NOT_BILLED: "next: a run that has such a scene makes it",
    Decision.RESEND: "next: a run that has such a scene sends it again, if the caps allow for both",
}


def _money_in_words(resolved: Resolved) -> str:
    before, after = resolved.before, resolved.after
    if after.state is State.REFUSED:
        if not before.counted_microusd:
            return "nothing was held for it"
        return f"the ${usd(before.counted_microusd)} held for it is free again"
    if after.cost_microusd is None:
        if not after.counted_microusd:
            return "its cost stays unknown, and nothing is counted for it"
        return f"the ${usd(after.counted_microusd)} held for it counts as spent"
    words = f"${usd(after.cost_microusd)} counts as spent"
    over_microusd = after.cost_microusd - after.new.hold_microusd
    if after.new.hold_microusd and over_microusd > 0:
        words += f", ${usd(over_microusd)} more than was held for it"
    return words


def resolved_json(
    resolved: Iterable[Resolved], decision: Decision, folder: StateFolder
) -> dict[str, object]:
    """Return recorded decisions as plain JSON values."""
    return {
        "format": "stage3-resolve/1",
        "ledger": folder.shown,
        "changed": True,
        "decision": str(decision),
        "next_step": _WHAT_COMES[decision].removeprefix("next: "),
        "is_final": decision is not Decision.BILLED,
        "resolved": [
            {
                "attempt_id": one.after.new.attempt_id,
                "state_before": str(one.before.state),
                "counted_before_usd": usd(one.before.counted_microusd),
                **purchase_json(one.after),
            }
            for one in resolved
        ],
    }


def chosen_text(
    chosen: Chosen, decision: Decision, cost_microusd: int | None, *, is_done: bool
) -> str:
    """Show what a decision about many would do, or did, as a table, and what it costs."""
    if not chosen.purchases:
        return "\n".join(["no purchase of unknown outcome is meant", *_left_out_lines(chosen)])
    rows = [("ID", "SCENE", "SENT", "FROM", "RUN", "HELD", "BECOMES")]
    after = _BECOMES[decision]
    for lines_of_one in _in_rows(chosen):
        one, new = lines_of_one[0], lines_of_one[0].new
        token, more = token_of(one), len(lines_of_one) - 1
        rows.append(
            (
                new.attempt_id[:12] if token is None else f"batch {token[:8]}",
                on_one_line(new.scene_id)[:40] + (f" and {more:,} more" if more else ""),
                moment(one.held_at),
                on_one_line(f"{new.endpoint.provider}/{new.endpoint.model}")[:40],
                on_one_line(without_home(new.run_id))[:12],
                f"${usd(sum(line.counted_microusd for line in lines_of_one))}",
                after,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.append(_sum_in_words(chosen, decision, cost_microusd))
    lines += _left_out_lines(chosen)
    if not is_done:
        lines.append(f"undo: {FINAL[decision]}")
        lines.append("nothing was changed; the same command with --yes records it")
    return "\n".join(lines)


def _in_rows(chosen: Chosen) -> list[list[Purchase]]:
    """Return what a table has a row for: a purchase, or the lines of a batch together."""
    rows: dict[str, list[Purchase]] = {}
    for one in chosen.purchases:
        rows.setdefault(token_of(one) or one.new.attempt_id, []).append(one)
    return list(rows.values())


_BECOMES = {
    Decision.BILLED: str(State.PAID_BAD),
    Decision.NOT_BILLED: str(State.REFUSED),
    Decision.RESEND: str(State.WROTE_OFF),
}


def _sum_in_words(chosen: Chosen, decision: Decision, cost_microusd: int | None) -> str:
    count = len(chosen.purchases)
    held = sum(one.counted_microusd for one in chosen.purchases)
    purchases = counted(count, "purchase")
    if decision is Decision.NOT_BILLED:
        return f"{purchases}: the ${usd(held)} held for them is free again"
    if cost_microusd is not None:
        spent = usd(cost_microusd * count)
        words = f"${spent} counts as spent, in the place of ${usd(held)} held"
    else:
        words = f"the ${usd(held)} held for them counts as spent"
    unpriced = sum(not one.new.hold_microusd for one in chosen.purchases)
    if unpriced and cost_microusd is None:
        words += f"; the cost of {unpriced:,} is unknown, and counts as nothing"
    return f"{purchases}: {words}; a run that makes the scenes again pays for them once more"


_MOST_LEFT_OUT = 40


def _left_out_lines(chosen: Chosen) -> list[str]:
    if not chosen.answered:
        return []
    ids = " ".join(one.new.attempt_id[:8] for one in chosen.answered[:_MOST_LEFT_OUT])
    more = len(chosen.answered) - _MOST_LEFT_OUT
    ids += f" (and {more:,} more)" if more > 0 else ""
    count = len(chosen.answered)
    said = "1, whose answer is" if count == 1 else f"{count:,}, whose answers are"
    who = "who has seen that there is none decides by id"
    return [f"left out: {said} kept and may still give a picture; {who}: stage3 resolve {ids} ..."]


def chosen_json(
    chosen: Chosen,
    resolved: Sequence[Resolved],
    decision: Decision,
    folder: StateFolder,
    *,
    is_done: bool,
) -> dict[str, object]:
    """Return a decision about many as plain JSON values: what was done, or what would be."""
    return {
        **resolved_json(resolved, decision, folder),
        "changed": is_done and bool(resolved),
        "would_resolve": []
        if is_done
        else [
            {"attempt_id": one.new.attempt_id, "becomes": _BECOMES[decision], **purchase_json(one)}
            for one in chosen.purchases
        ],
        "left_out": [one.new.attempt_id for one in chosen.answered],
    }


def would_correct_text(found: Sequence[Purchase], cost_microusd: int) -> str:
    """Say which bills of a batch would be corrected, and by how much."""
    if not found:
        return "nobody has called a line of this batch billed: there is nothing to put right"
    now = sum(one.counted_microusd for one in found)
    then = cost_microusd * len(found)
    return (
        f"{counted(len(found), 'line')} that somebody found billed: ${usd(then)} would count, in "
        f"the place of ${usd(now)}\nnothing was changed; the same command with --yes records it"
    )


def corrected_text(corrected: Sequence[Resolved]) -> str:
    """Say which bills were corrected."""
    lines: list[str] = []
    for one in corrected:
        new = one.after.new
        before, after = one.before.cost_microusd, usd(one.after.cost_microusd)
        was = "an unknown cost" if before is None else f"${usd(before)}"
        name = f"{new.attempt_id[:8]} of scene {on_one_line(new.scene_id)}"
        lines.append(
            f"{name} costs ${after}, as it did"
            if before == one.after.cost_microusd
            else f"{name} costs ${after} now, in the place of {was}"
        )
    return "\n".join(
        [*lines, "the figure that was there is kept; 'stage3 attempts --all' shows it"]
    )


def corrected_json(corrected: Iterable[Resolved], folder: StateFolder) -> dict[str, object]:
    """Return corrected bills as plain JSON values."""
    return {
        "format": "stage3-resolve/1",
        "ledger": folder.shown,
        "changed": any(one.before.cost_microusd != one.after.cost_microusd for one in corrected),
        "decision": "cost",
        "resolved": [
            {
                "attempt_id": one.after.new.attempt_id,
                "state_before": str(one.before.state),
                "cost_before_usd": usd(one.before.cost_microusd),
                "counted_before_usd": usd(one.before.counted_microusd),
                **purchase_json(one.after),
            }
            for one in corrected
        ],
    }


def day_text(day: date, before: date | None, known: date | None) -> str:
    """Say which day the ledger goes on with."""
    if before is not None:
        return (
            f"the ledger's day is {day} now; it was {before}. What was held and spent stays "
            "counted on the days it was counted on"
        )
    if known is None:
        return "the ledger knows no day yet: nothing was ever held; nothing was changed"
    return f"the ledger's last day is {known}, which is not after {day}; nothing was changed"


def day_json(
    day: date, before: date | None, known: date | None, folder: StateFolder
) -> dict[str, object]:
    """Return the same as plain JSON values."""
    return {
        "format": "stage3-resolve/1",
        "ledger": folder.shown,
        "changed": before is not None,
        "decision": "day",
        "last_day_before": None if known is None else known.isoformat(),
        "last_day": (day if before is not None else known or day).isoformat()
        if before is not None or known is not None
        else None,
    }
