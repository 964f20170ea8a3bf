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
    DEAD,
    NOBODY,
    EarlierMutation,
    Explored,
    Mutation,
    Row,
    Rules,
    explore,
)

HOLD_POLICY = Rules()
RESEND_POLICY = Rules(on_unknown="resend", cap=4)
"""With room for a lost request and the one in its place."""

BREAKS: dict[Mutation, str] = {
    "journal_after_send": "I4",
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


EARLIER: dict[str, Row] = {
    "in flight": Row(State.SENDING, DEAD, is_billed=True, is_earlier=True),
    "answered": Row(State.SENDING, DEAD, is_billed=True, answer="good", is_earlier=True),
    "unknown": Row(State.UNKNOWN, NOBODY, is_billed=True, is_earlier=True),
    "paid": Row(State.PAID, NOBODY, is_billed=True, answer="good", is_stored=True, is_earlier=True),
}
"""What an older program may have left of the first scene."""


@pytest.mark.parametrize("left", list(EARLIER))
@pytest.mark.parametrize("rules", [HOLD_POLICY, RESEND_POLICY], ids=["hold", "resend"])
def test_what_an_older_program_left_is_looked_up(left: str, rules: Rules) -> None:
    """In the transaction of the hold: else its scene is bought a second time."""
    inherited = replace(rules, scenes=1, rows_per_scene=3, cap=6, earlier=EARLIER[left])
    found = explore(inherited)
    broken: EarlierMutation = "earlier_key_not_looked_up"
    overlooked = explore(replace(inherited, broken=broken))

    assert found.violated is None, found.story
    assert overlooked.violated is not None
    assert overlooked.violated.invariant in {"I3", "I6"}


def test_a_cost_is_corrected_with_its_counter() -> None:
    """A figure that was told wrong is put right in any world, and the counter says the same."""
    correcting = Rules(scenes=2, processes=1, corrects=True)
    found = explore(correcting)
    broken: EarlierMutation = "correction_forgets_counter"
    forgotten = explore(replace(correcting, broken=broken))

    assert found.violated is None, found.story
    assert forgotten.violated is not None
    assert forgotten.violated.invariant == "I8"
    assert forgotten.story[-1] == "somebody corrects its cost"
