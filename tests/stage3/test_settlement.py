"""What the ledger records of an attempt, case by case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge
from stage3_plugin.domain.states import COUNTED, State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.policy.settlement import cost_with_hold, settlement_of

K = VerdictKind
COST = Charge(34_200, "reported")
FAILED = [kind for kind in K if kind is not K.PICTURES]


def ended(kind: VerdictKind, *, billed: bool = False, cost: Charge | None = None) -> AttemptResult:
    verdict = Verdict(kind=kind, message="why", may_be_billed=billed)
    return AttemptResult(verdict=verdict, cost=cost or (UNKNOWN if billed else FREE))


def costing(cost: Charge) -> AttemptResult:
    return ended(K.UNREADABLE, billed=True, cost=cost)


@pytest.mark.parametrize(
    "kind, billed, state",
    [
        (K.NOT_SENT, False, State.VOID),
        (K.REFUSED, False, State.REFUSED),
        (K.REJECTED, False, State.REFUSED),
        (K.RATE_LIMITED, False, State.REFUSED),
        (K.BUSY, False, State.REFUSED),
        (K.OUT_OF_MONEY, False, State.REFUSED),
        (K.BAD_CREDENTIALS, False, State.REFUSED),
        (K.NO_PICTURE, False, State.REFUSED),
        (K.UNREADABLE, False, State.REFUSED),
        (K.UNKNOWN, True, State.UNKNOWN),
        (K.BUSY, True, State.UNKNOWN),
        (K.RATE_LIMITED, True, State.UNKNOWN),
        (K.REFUSED, True, State.PAID_BAD),
        (K.NO_PICTURE, True, State.PAID_BAD),
        (K.UNREADABLE, True, State.PAID_BAD),
    ],
)
def test_a_failure_goes_where_its_money_went(
    kind: VerdictKind, *, billed: bool, state: State
) -> None:
    """Unbilled is let go, unanswered is unknown, billed without a picture is paid for."""
    settlement = settlement_of(ended(kind, billed=billed), may_be_cut=False, hold_microusd=0)

    assert settlement is not None
    assert settlement.state is state
    assert settlement.why == "why"


@given(kind=st.sampled_from(FAILED), cost=st.sampled_from([COST, UNKNOWN]))
def test_nothing_that_may_be_billed_is_let_go(kind: VerdictKind, cost: Charge) -> None:
    """Whatever it came to, it stays counted; what was not sent cannot have been billed."""
    if kind is K.NOT_SENT:
        return
    settlement = settlement_of(
        ended(kind, billed=True, cost=cost), may_be_cut=False, hold_microusd=0
    )

    assert settlement is not None
    assert settlement.state in COUNTED


@pytest.mark.parametrize("kind", FAILED)
def test_a_local_renderer_owes_nothing(kind: VerdictKind) -> None:
    """It is free, so there is no unknown, and the scene may run again."""
    settlement = settlement_of(ended(kind, billed=True), may_be_cut=True, hold_microusd=0)

    assert settlement is not None
    assert settlement.state not in COUNTED


@pytest.mark.parametrize("state", [State.PAID, State.PAID_BAD])
def test_a_cost_nobody_told_is_the_amount_held(state: State) -> None:
    """As the ledger counts it; where nothing was held, nothing is known."""
    assert cost_with_hold(costing(UNKNOWN), 50_000, state) == Charge(50_000, "held")
    assert cost_with_hold(costing(UNKNOWN), 0, state) == UNKNOWN
    assert cost_with_hold(costing(COST), 50_000, state) == COST
    assert cost_with_hold(costing(Charge(0, "reported")), 0, state) == Charge(0, "reported")


def test_the_cost_of_an_unknown_outcome_is_unknown() -> None:
    """Also if a figure came with it: nobody knows whether it was charged."""
    assert cost_with_hold(costing(UNKNOWN), 50_000, State.UNKNOWN) == UNKNOWN
    assert cost_with_hold(costing(COST), 50_000, State.UNKNOWN) == UNKNOWN
