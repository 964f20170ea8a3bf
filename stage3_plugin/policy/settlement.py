"""What the ledger records of an attempt: which state its purchase ends in, and at what cost.

Pure. Three rules decide: money for what may have been billed is never released; a complete answer
is never called unknown unless another server than the provider's gave it; and what a later start
can still take in from the disk stays open until then.
"""

from __future__ import annotations

from dataclasses import replace

from host_stub.contract import CostBasis
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import UNKNOWN, Charge
from stage3_plugin.domain.purchase import REFUSED_FOR, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import VerdictKind

_NOT_AN_ANSWER = {VerdictKind.UNKNOWN, VerdictKind.BUSY, VerdictKind.RATE_LIMITED}
"""Where these may have been billed, no answer has said what became of the request."""


LEAST_PART = 1000
"""A bill below the hold's thousandth is a placeholder and no price: prices of one model are up to
sixteen times apart, and the most that a person allows for one is a guess."""
_TOLD: frozenset[CostBasis] = frozenset({"reported", "tokens", "gateway"})
_WITH_A_PICTURE = frozenset({VerdictKind.PICTURES, VerdictKind.UNREADABLE})
"""Also one that turned out to be none: it was billed as a picture."""


def settlement_of(
    attempted: AttemptResult,
    *,
    hold_microusd: int = 0,
    may_be_cut: bool = False,
    of_many: bool = False,
) -> Settlement | None:
    """Return how a purchase ends; ``None`` if it stays open for the next start to take in.

    Args:
        attempted: What the attempt came to.
        hold_microusd: What was held for it.
        may_be_cut: Such work may simply be done again, so its outcome is never unknown.
        of_many: It is true of all lines of a batch. What has run of it, if anything, is said by
            nothing but its listing: so an answer that may have been billed never calls thousands of
            lines billed for nothing.
    """
    if attempted.stays_open:
        return None
    verdict, cost = attempted.verdict, believed(attempted, hold_microusd)
    if attempted.picture is not None:
        return Settlement(
            state=State.PAID,
            cost_microusd=cost.microusd,
            basis=cost.basis,
            picture=attempted.picture,
            image_url=attempted.image_url,
            details=verdict.details,
            dropped=attempted.dropped,
            took_s=attempted.took_s,
            request_id=verdict.request_id,
        )
    if verdict.kind is VerdictKind.NOT_SENT or attempted.never_sent:
        state = State.VOID
    elif may_be_cut or not (verdict.may_be_billed or (of_many and verdict.is_unknown)):
        state = State.REFUSED
    elif of_many or verdict.kind in _NOT_AN_ANSWER:
        state = State.UNKNOWN
    else:
        is_refusal = verdict.kind is VerdictKind.REFUSED  # which another route may follow
        return Settlement(
            state=State.PAID_BAD,
            cost_microusd=cost.microusd,
            basis=cost.basis,
            why=verdict.message,
            image_url=attempted.image_url,
            details={REFUSED_FOR: verdict.about or "policy"} if is_refusal else {},
            request_id=verdict.request_id,
        )
    return Settlement(state=state, why=verdict.message, request_id=verdict.request_id)


def believed(attempted: AttemptResult, hold_microusd: int) -> Charge:
    """Return what an attempt cost, without a figure that cannot be: the one door of all figures.

    Whoever told it, in money, tokens or units: a bill of nothing, or next to it, is none for a
    picture that has a price, since a gateway reports zero for what it has no price for. Then the
    hold counts, as if nothing had been reported; it also counts where only a part of the bill was
    reported, unless that part is more. An answer without a picture may cost next to nothing, such
    as the tokens of a prompt that was blocked. What a person set, 0 as well, is believed.
    """
    cost = attempted.cost
    if cost.microusd is not None and cost.is_part:
        return UNKNOWN if cost.microusd <= hold_microusd else replace(cost, is_part=False)
    if cost.microusd is None or not (cost.basis in _TOLD or cost.is_listed) or not hold_microusd:
        return cost
    if attempted.picture is not None or attempted.verdict.kind in _WITH_A_PICTURE:
        return cost if cost.microusd * LEAST_PART >= hold_microusd else UNKNOWN
    return cost if cost.microusd or cost.basis == "tokens" else UNKNOWN


def cost_with_hold(attempted: AttemptResult, hold_microusd: int, state: State) -> Charge:
    """Put the amount held in the place of a cost that is not known, as the ledger counts it.

    Where no price is known nothing was held, and the cost stays unknown; so does that of a request
    whose outcome is.
    """
    cost = believed(attempted, hold_microusd)
    if cost.microusd is None and hold_microusd and state in {State.PAID, State.PAID_BAD}:
        return Charge(hold_microusd, "held")
    return UNKNOWN if state is State.UNKNOWN else cost
