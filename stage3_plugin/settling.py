"""What the ledger is told of an attempt: which state its purchase ends in, and at what cost.

Pure. Three rules decide: nothing that may have been billed is let go; a complete answer is never
called unknown unless somebody other than the provider gave it; and what a later start can still
take in from the disk stays open until then.
"""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.attempt import Attempted
from stage3_plugin.ledger.rows import Settlement
from stage3_plugin.ledger.states import State
from stage3_plugin.money import UNKNOWN, Cost
from stage3_plugin.providers.base import VerdictKind

_NOT_AN_ANSWER = {VerdictKind.UNKNOWN, VerdictKind.BUSY, VerdictKind.RATE_LIMITED}
"""Where these may have been billed, nobody has said what became of the request."""


def settlement_of(attempted: Attempted, *, is_local: bool) -> Settlement | None:
    """Tell how a purchase ends; ``None`` if it stays open for the next start to take in."""
    if attempted.stays_open:
        return None
    settlement = _ending(attempted, is_local=is_local)
    return replace(settlement, request_id=attempted.verdict.request_id)


def _ending(attempted: Attempted, *, is_local: bool) -> Settlement:
    verdict = attempted.verdict
    if attempted.picture is not None:
        return Settlement(
            state=State.PAID,
            cost_microusd=attempted.cost.microusd,
            basis=attempted.cost.basis,
            picture=attempted.picture,
            image_url=attempted.image_url,
            details=verdict.details,
            dropped=attempted.dropped,
            took_s=attempted.took_s,
        )
    if verdict.kind is VerdictKind.NOT_SENT or attempted.never_sent:
        return Settlement(state=State.VOID, why=verdict.message)
    if is_local or not verdict.may_be_billed:
        return Settlement(state=State.REFUSED, why=verdict.message)
    if verdict.kind in _NOT_AN_ANSWER:
        return Settlement(state=State.UNKNOWN, why=verdict.message)
    return Settlement(
        state=State.PAID_BAD,
        cost_microusd=attempted.cost.microusd,
        basis=attempted.cost.basis,
        why=verdict.message,
        image_url=attempted.image_url,
    )


def cost_with_hold(cost: Cost, hold_microusd: int, state: State) -> Cost:
    """Put the amount held in the place of a cost that nobody told, as the ledger counts it.

    Where no price is known nothing was held, and the cost stays unknown; so does that of a request
    whose outcome is.
    """
    if cost.microusd is None and hold_microusd and state in {State.PAID, State.PAID_BAD}:
        return Cost(hold_microusd, "held")
    return UNKNOWN if state is State.UNKNOWN else cost
