"""Puts what was found in a ledger, or done to it, into words, and into plain JSON values.

The words name the next step wherever there is one. Money is a decimal string in USD; what is not
known is said to be unknown, or ``null``, and never 0. Ids, paths and providers' words are escaped
piece by piece, so that a line stays a line.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from stage3_plugin.caretaking.deciding import Decision, Resolved
from stage3_plugin.caretaking.escaping import escaped
from stage3_plugin.caretaking.folder import StateFolder
from stage3_plugin.caretaking.looking import Found, Listing, Situation
from stage3_plugin.caretaking.verifying import Problem, ProblemKind, Verified
from stage3_plugin.ledger.rows import Purchase
from stage3_plugin.ledger.states import COUNTED, OPEN, State
from stage3_plugin.money import usd_text

_INDENT = " " * 10

_LOOK_IT_UP = "look it up in the provider's records of that time, and say what they say"
_NEXT_STEPS: Mapping[Situation, str] = {
    Situation.SETTLED: "",
    Situation.IN_FLIGHT: "nothing to do: a run that is still going has it in work",
    Situation.UNBILLED: "nothing to do: the next run lets go of its money",
    Situation.ANSWERED: "nothing to do: its answer is there; the next run takes it in for free",
    Situation.ABANDONED: _LOOK_IT_UP,
    Situation.UNDECIDED: _LOOK_IT_UP,
    Situation.LOST: "a run that still has this scene makes it again, for another price; take the "
    "scene out of the story if you do not want that",
    Situation.REPLACED: "nothing to do: its scene was sent again since",
}

_PROBLEM_HINTS: Mapping[ProblemKind, str] = {
    "ledger": "let no run use this ledger; keep a copy of its folder, and bring back the last copy "
    "that 'stage3 verify' finds right",
    "missing": "run the story again: it takes the copy beside it (images/) for free if nobody has "
    "changed that. Or put a copy there, of a backup, say; verify tells if it is the right one. "
    "If there is none left, 'stage3 resolve ID --resend' has the next run make it again, for "
    "another price",
    "damaged": "replace it by a copy: the one beside the story (images/), or one of a backup; "
    "verify tells whether it is the right one",
    "different": "keep a copy of the state folder and report it: no run writes such a row",
}


# Money and moments -------------------------------------------------------------------------------


def usd(microusd: int | None) -> str | None:
    """Give an amount as a decimal string of at least two decimals."""
    return None if microusd is None else usd_text(microusd)


def _cost_in_words(purchase: Purchase) -> str:
    if purchase.state not in COUNTED:
        return "not billed"
    if purchase.basis == "held":  # nobody told, and what was held counts, as in the run's report
        return f"cost {usd(purchase.counted_microusd)} USD (held)"
    if purchase.cost_microusd is None:
        return "cost not known yet" if purchase.state in OPEN else "cost unknown"
    return f"cost {usd(purchase.cost_microusd)} USD"


def _held_in_words(purchase: Purchase) -> str:
    if purchase.new.hold_microusd:
        return f"held {usd(purchase.new.hold_microusd)} USD"
    return "free" if purchase.new.is_local else "nothing held"


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()


# A listing ---------------------------------------------------------------------------------------


def listing_text(listing: Listing, folder: StateFolder, *, chosen: bool) -> str:
    """Put a listing into words.

    Args:
        listing: What was found.
        folder: Where.
        chosen: Somebody chose what to see; otherwise it is what needs somebody.
    """
    lines = [line for one in listing.found for line in (*_found_lines(one, folder), "")]
    if not listing.found:
        lines += ["no such purchase" if chosen else "no purchase needs you", ""]
    if listing.left_out:
        lines += [f"and {listing.left_out} more; a higher --limit shows them", ""]
    lines += [*_tally_lines(listing), f"ledger: {escaped(str(folder.ledger_path))}"]
    return "\n".join(lines)


def _found_lines(found: Found, folder: StateFolder) -> Iterator[str]:
    purchase, new = found.purchase, found.purchase.new
    state = "in flight" if found.situation is Situation.IN_FLIGHT else str(purchase.state)
    yield (
        f"{found.short_id}  {state}  {escaped(new.scene_id)}  {_moment(purchase.held_at)}  "
        f"{escaped(f'{new.provider}/{new.model}')}"
    )
    yield f"{_INDENT}{_held_in_words(purchase)}, {_cost_in_words(purchase)}"
    if purchase.why:
        yield f"{_INDENT}{escaped(purchase.why)}"
    if found.evidence is not None:
        yield f"{_INDENT}received: {escaped(str(found.evidence))}"
    for step in next_steps(found, folder):
        yield f"{_INDENT}{step}"


def next_steps(found: Found, folder: StateFolder) -> list[str]:
    """Give what to do about a purchase, and the command that does it where there is one."""
    step = _NEXT_STEPS[found.situation]
    if found.situation not in {Situation.UNDECIDED, Situation.ABANDONED}:
        return [f"next: {step}"] if step else []
    command = f"stage3 resolve {found.short_id}{_state_dir_option(folder)}"
    return [
        f"next: {step}",
        f"  {command} --billed       it was billed",
        f"  {command} --not-billed   it was not",
        f"  {command} --resend       nobody can tell: count it as spent, and send it again",
    ]


def _state_dir_option(folder: StateFolder) -> str:
    """Give the option a printed command needs to find the ledger from here."""
    if folder.is_default:
        return ""
    return f" --state-dir {shlex.quote(escaped(str(folder.given)))}"


def _tally_lines(listing: Listing) -> Iterator[str]:
    for state, tally in listing.tallies.items():
        if tally.count:
            line = f"{tally.count:>7,} {state:<9}"
            if state in COUNTED:
                line += f"  {usd(tally.counted_microusd)} USD counted"
            if tally.held_costs:
                line += f"; of {tally.held_costs:,} what was held counts"
            if unknown := tally.unknown_costs - tally.held_costs:
                line += f"; the cost of {unknown:,} is unknown"
            yield line
    yield f"{usd(listing.counted_microusd)} USD held and spent in all"


def listing_json(listing: Listing, folder: StateFolder) -> dict[str, object]:
    """Give a listing as plain JSON values."""
    return {
        "ledger": str(folder.ledger_path),
        "attempts": [_found_json(one) for one in listing.found],
        "left_out": listing.left_out,
        "states": {
            str(state): {
                "count": tally.count,
                "counted_usd": usd(tally.counted_microusd),
                "unknown_costs": tally.unknown_costs,
                "held_costs": tally.held_costs,
            }
            for state, tally in listing.tallies.items()
            if tally.count
        },
        "counted_usd": usd(listing.counted_microusd),
    }


def _found_json(found: Found) -> dict[str, object]:
    return {
        "attempt_id": found.purchase.new.attempt_id,
        "short_id": found.short_id,
        "situation": str(found.situation),
        "next_step": _NEXT_STEPS[found.situation] or None,
        "evidence": None if found.evidence is None else str(found.evidence),
        **_purchase_json(found.purchase),
    }


def _purchase_json(purchase: Purchase) -> dict[str, object]:
    new = purchase.new
    return {
        "scene_id": new.scene_id,
        "state": str(purchase.state),
        "held_at": _iso(purchase.held_at),
        "changed_at": _iso(purchase.changed_at),
        "day": purchase.day.isoformat(),
        "run_id": new.run_id,
        "provider": new.provider,
        "model": new.model,
        "size": new.size,
        "quality": new.quality,
        "hold_usd": usd(new.hold_microusd),
        "cost_usd": usd(purchase.cost_microusd),
        "cost_basis": purchase.basis,
        "counted_usd": usd(purchase.counted_microusd),
        "decided_by": purchase.decided_by,
        "why": purchase.why,
    }


# Decisions ---------------------------------------------------------------------------------------


def resolved_text(resolved: Sequence[Resolved], decision: Decision) -> str:
    """Put recorded decisions into words: what was done, and what the next run will do."""
    lines = [f"{len(resolved)} resolved" if len(resolved) > 1 else ""]
    for one in resolved:
        new = one.after.new
        lines.append(
            f"{new.attempt_id[:8]} of scene {escaped(new.scene_id)} is now {one.after.state}: "
            f"{_money_in_words(one)}"
        )
    lines.append(_WHAT_COMES[decision])
    return "\n".join(filter(None, lines))


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
        return f"the {usd(before.counted_microusd)} USD held for it are free again"
    if after.cost_microusd is None:
        if not after.counted_microusd:
            return "its cost stays unknown, and nothing is counted for it"
        return f"the {usd(after.counted_microusd)} USD held for it count as spent"
    words = f"{usd(after.cost_microusd)} USD count as spent"
    over_microusd = after.cost_microusd - after.new.hold_microusd
    if after.new.hold_microusd and over_microusd > 0:
        words += f", {usd(over_microusd)} USD more than was held for it"
    return words


def resolved_json(
    resolved: Iterable[Resolved], decision: Decision, folder: StateFolder
) -> dict[str, object]:
    """Give recorded decisions as plain JSON values."""
    return {
        "ledger": str(folder.ledger_path),
        "decision": str(decision),
        "next_step": _WHAT_COMES[decision].removeprefix("next: "),
        "resolved": [
            {
                "attempt_id": one.after.new.attempt_id,
                "state_before": str(one.before.state),
                "counted_before_usd": usd(one.before.counted_microusd),
                **_purchase_json(one.after),
            }
            for one in resolved
        ],
    }


# Checks ------------------------------------------------------------------------------------------


def verified_text(verified: Verified, folder: StateFolder) -> str:
    """Put a check into words, every problem with its next step."""
    lines: list[str] = []
    for problem in verified.problems:
        lines += [_problem_line(problem), f"  next: {_PROBLEM_HINTS[problem.kind]}"]
    paid = _counted(verified.purchases, "paid purchase")
    pictures = f"{_counted(verified.pictures, 'picture')} of {paid}"
    ledger = escaped(str(folder.ledger_path))
    if verified.problems:
        problems = _counted(len(verified.problems), "problem")
        return "\n".join([*lines, f"{problems} in {ledger}; {pictures} checked"])
    return f"ok: every picture is there and whole ({pictures}), and {ledger} agrees with itself"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _problem_line(problem: Problem) -> str:
    of = ", ".join(map(escaped, problem.scene_ids[:3]))
    more = len(problem.scene_ids) - 3
    of = f" of scene {of}" if of else ""
    of += f" and {more} more" if more > 0 else ""
    return f"{escaped(str(problem.path))}{of}: {escaped(problem.message)}"


def verified_json(verified: Verified, folder: StateFolder) -> dict[str, object]:
    """Give a check as plain JSON values."""
    return {
        "ledger": str(folder.ledger_path),
        "purchases": verified.purchases,
        "pictures": verified.pictures,
        "problems": [
            {
                "kind": problem.kind,
                "message": problem.message,
                "hint": _PROBLEM_HINTS[problem.kind],
                "path": str(problem.path),
                "scene_ids": list(problem.scene_ids),
                "attempt_ids": list(problem.attempt_ids),
            }
            for problem in verified.problems
        ],
    }
