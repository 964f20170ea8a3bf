"""Slots: what is still to be bought of a subject, whoever looks and whatever was bought before."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.states import LIVE, UNSETTLED, State
from stage3_plugin.purchase.takes import needed
from tests.stage3.ledger.samples import DAY, NOW, new_purchase

OURS, THEIRS = "a key of our ladder", "a key of another model"


def is_ours(new: NewPurchase) -> bool:
    """Return whether a picture was made by a route of this run."""
    return new.scene_key == OURS


def row(state: State, take: int, scene_key: str = OURS) -> Purchase:
    """Return a purchase in a slot."""
    new = replace(new_purchase(), slot=take, scene_key=scene_key)
    return Purchase(new=new, state=state, day=DAY, held_at=NOW, changed_at=NOW)


slots = st.integers(1, 5)
live = st.dictionaries(
    slots, st.tuples(st.sampled_from(sorted(LIVE)), st.sampled_from((OURS, THEIRS)))
)
dead = st.lists(st.tuples(st.sampled_from(sorted(set(State) - LIVE)), slots))


@given(live, dead, st.integers(0, 4), st.sets(slots))
def test_the_wanted_number_is_bought_once_and_no_more(
    live: dict[int, tuple[State, str]],
    dead: list[tuple[State, int]],
    wanted: int,
    unseen: set[int],
) -> None:
    """R5: the lowest free slots, as many as are missing; bought, nothing is missing any more."""
    rows = [row(state, take, key) for take, (state, key) in live.items()]
    rows += [row(state, take) for state, take in dead]
    counted = [
        one for one in rows if one.state in UNSETTLED or (one.state in LIVE and is_ours(one.new))
    ]
    found = needed(rows, is_ours=is_ours, unseen=unseen, wanted=wanted)
    after = [*rows, *(row(State.SENDING, slot) for slot in found)]
    without = needed(rows, is_ours=is_ours, wanted=wanted)

    assert not set(found) & (set(live) | unseen)
    assert found == tuple(slot for slot in without if slot not in unseen)
    assert len(without) == max(wanted - len(counted), 0)
    assert all(slot in live or slot in without for slot in range(1, max(without, default=1)))
    assert not needed(after, is_ours=is_ours, unseen=unseen, wanted=wanted)


def test_what_is_in_doubt_counts_on_whatever_route() -> None:
    """A picture of another model does not: it keeps its slot, and another is bought beside it."""
    for state in UNSETTLED:
        assert needed([row(state, 1, THEIRS)], is_ours=is_ours) == ()
    assert needed([row(State.PAID, 1, THEIRS)], is_ours=is_ours) == (2,)
    assert needed([row(State.PAID, 1)], is_ours=is_ours) == ()
    assert needed([row(State.PAID_BAD, 1)], is_ours=is_ours) == (1,)
    assert needed([row(State.PAID_BAD, 1)], is_ours=is_ours, unseen={1}) == ()
