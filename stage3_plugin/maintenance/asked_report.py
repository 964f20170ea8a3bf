"""Puts into words and data what providers said of requests whose answer was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from stage3_plugin.domain.purchase import AskedFor
from stage3_plugin.domain.states import State
from stage3_plugin.maintenance.listing import token_of
from stage3_plugin.maintenance.report import counted, moment, on_one_line, purchase_json, usd

FORMAT: Final = "stage3-ask/1"
_SHORT: Final = 8


def asked_text(asked: Sequence[AskedFor]) -> str:
    """Return a line or two for each purchase, and what all came to."""
    if not asked:
        return (
            "there is nothing to ask for: no request is without an answer whose provider lists "
            "what it was sent; 'stage3 attempts' shows what waits for you"
        )
    groups: dict[object, list[AskedFor]] = {}
    for one in asked:
        token = token_of(one.before)
        of_a_batch = (token, one.before.state, one.after.state)
        groups.setdefault(one.before.new.attempt_id if token is None else of_a_batch, []).append(
            one
        )
    lines = [line for group in groups.values() for line in _lines(group)]
    return "\n".join([*lines, "", _in_all(asked)])


def _lines(group: Sequence[AskedFor]) -> Iterator[str]:
    """Say what asking for a purchase came to, or for lines of a batch that came to the same."""
    one, token = group[0], token_of(group[0].before)
    new, after = one.before.new, one.after
    name = f"{new.attempt_id[:_SHORT]}  {on_one_line(new.scene_id)}"
    if token is not None:
        name = f"batch {token[:_SHORT]}  {counted(len(group), 'line')}"
    yield (
        f"{name}  {one.before.state} -> "
        f"{after.state}  {on_one_line(f'{new.endpoint.provider}/{new.endpoint.model}')}"
    )
    if one.asking is not None:
        yield f"    asked {moment(one.asking.at)}: {on_one_line(one.asking.why)}"
    elif after.state is State.UNKNOWN:
        yield "    its provider has no listing that could be asked, or it could not be reached"


def _in_all(asked: Sequence[AskedFor]) -> str:
    states = Counter(one.after.state for one in asked)
    freed = sum(one.before.counted_microusd for one in asked if one.after.state is State.REFUSED)
    parts = [
        f"{states[State.ACCEPTED] + states[State.PAID]} found",
        f"{states[State.REFUSED]} never arrived (${usd(freed)} free again)",
        f"{states[State.UNKNOWN]} still unknown",
    ]
    step = "; the next run takes in what was found" if states[State.ACCEPTED] else ""
    if states[State.UNKNOWN]:
        step += "; ask again later, or decide with 'stage3 resolve'"
    return f"asked for {len(asked)}: {', '.join(parts)}{step}"


def asked_json(asked: Sequence[AskedFor]) -> dict[str, object]:
    """Return the same as plain JSON values."""
    return {
        "format": FORMAT,
        "asked": [
            {
                "attempt_id": one.before.new.attempt_id,
                "state_before": str(one.before.state),
                **purchase_json(one.after),
                "answered": None if one.asking is None else one.asking.answered,
                "asked_at": None if one.asking is None else one.asking.at.isoformat(),
                "asked_why": None if one.asking is None else one.asking.why,
            }
            for one in asked
        ],
    }
