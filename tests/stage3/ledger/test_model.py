"""The protocol tried to the end: two processes, two scenes, two crashes, everything in any order.

What is checked is the order of one purchase and of recovery, not the code; the code is held to the
same order by the other tests here and by those that kill real processes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from stage3_plugin.domain.states import LEGAL, OPEN, State
from tests.heavy import further
from tests.stage3.ledger.model import (
    CorrectingMutation,
    Explored,
    Mutation,
    Rules,
    explore,
)

HOLD_POLICY = Rules()
RESEND_POLICY = Rules(on_unknown="resend", cap=4)
"""With room for a lost request and the one in its place."""

BREAKS: dict[Mutation, str] = {
    "journal_after_send": "I2",
    "paid_before_durable": "I5",
    "unknown_releases_hold": "I4",
    "no_unique_index": "I6",
    "check_outside_transaction": "I1",
}
"""What first stops to hold when a rule is broken."""


@pytest.fixture(
    scope="module", params=[HOLD_POLICY, *further([RESEND_POLICY])], ids=["hold", "resend"]
)
def explored(request: pytest.FixtureRequest) -> Explored:
    """Everything that can happen under one policy, tried once."""
    rules: Rules = request.param
    found = explore(rules)
    print(f"{rules.on_unknown}: {found.worlds} worlds")
    return found


def test_the_invariants_hold_whatever_happens(explored: Explored) -> None:
    """I1 to I8, in every world that two processes can come to."""
    assert explored.violated is None, explored.story
    assert explored.worlds > 30_000


def test_every_legal_way_is_gone(explored: Explored) -> None:
    """A way that nobody goes has no business in the table, nor one that is gone without it.

    From unknown to paid is for answers that are fetched later, by providers that give out job ids;
    from paid to paid badly for pictures that somebody has deleted. The ways of jobs are not in this
    model.
    """
    legal = {(old, new) for old, news in LEGAL.items() for new in news}

    assert explored.taken == {one for one in legal if State.ACCEPTED not in one} - {
        (State.UNKNOWN, State.PAID),
        (State.PAID, State.PAID_BAD),
    }


def test_the_model_comes_to_good_ends(explored: Explored) -> None:
    """It is no model in which nothing is ever wrong because nothing ever happens."""
    assert ((State.PAID,), (State.PAID,)) in explored.rested
    assert ((), (State.UNKNOWN,)) in explored.rested
    assert ((), (State.PAID, State.PAID_BAD)) in explored.rested


def test_what_is_sent_again_can_be_paid(explored: Explored) -> None:
    """Where the cap has room for both: then the first is written off, and stays counted."""
    has_room = explored.rules is RESEND_POLICY

    assert (((), (State.PAID, State.WROTE_OFF)) in explored.rested) is has_room


def test_only_the_dead_leave_a_purchase_open(explored: Explored) -> None:
    """No process that lives comes to rest while one of its own is open."""
    calm = explore(Rules(crashes=0))

    assert open_at_rest(explored)
    assert not open_at_rest(calm)


def open_at_rest(found: Explored) -> bool:
    """Return whether purchases were open when no process was at any."""
    return any(OPEN & set(states) for scenes in found.rested for states in scenes)


@pytest.mark.parametrize("broken", get_args(Mutation))
@pytest.mark.parametrize("rules", [HOLD_POLICY, RESEND_POLICY], ids=["hold", "resend"])
def test_a_broken_rule_breaks_an_invariant(broken: Mutation, rules: Rules) -> None:
    """Each of the five, so that none of the rules is there for nothing."""
    found = explore(replace(rules, broken=broken))

    assert found.violated is not None
    assert found.violated.invariant == BREAKS[broken]
    assert 3 <= len(found.story) <= 12


def test_a_cost_is_corrected_with_its_counter() -> None:
    """A figure that was told wrong is put right in any world, and the counter says the same."""
    correcting = Rules(scenes=2, processes=1, corrects=True)
    found = explore(correcting)
    broken: CorrectingMutation = "correction_forgets_counter"
    forgotten = explore(replace(correcting, broken=broken))

    assert found.violated is None, found.story
    assert forgotten.violated is not None
    assert forgotten.violated.invariant == "I8"
    assert forgotten.story[-1] == "somebody corrects its cost"
