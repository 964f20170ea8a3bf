"""What an earlier purchase means for its scene, state by state."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.states import LIVE, OPEN, State
from stage3_plugin.policy.reuse import OnUnknown, Reuse, after_its_owner, reuse_of

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def purchase(state: State, *, is_local: bool = False) -> Purchase:
    new = NewPurchase(
        attempt_id="0" * 32,
        scene_key="1" * 64,
        scene_id="rain",
        run_id="run-1",
        endpoint=Endpoint(provider="openrouter", model="a/painter"),
        size="64x64",
        quality="medium",
        is_local=is_local,
        hold_microusd=50_000,
        content_key="2" * 64,
        subject_key="3" * 64,
    )
    return Purchase(new=new, state=state, day=date(2026, 11, 24), held_at=NOW, changed_at=NOW)


@pytest.mark.parametrize("on_unknown", ["hold", "resend"])
@pytest.mark.parametrize("state", [None, *State])
def test_only_what_does_not_live_is_made_anew(state: State | None, on_unknown: OnUnknown) -> None:
    """A live purchase stands for its scene; its picture is found, or somebody is at it."""
    standing = reuse_of(state, on_unknown=on_unknown, resends=1)

    assert (standing is Reuse.MAKE) == (state not in LIVE)
    assert (standing is Reuse.REUSE) == (state is State.PAID)
    assert (standing is Reuse.BUSY) == (state in OPEN)
    assert (standing is Reuse.AWAITED) == (state is State.ACCEPTED)
    assert (standing is Reuse.UNDECIDED) == (state is State.UNKNOWN)


@pytest.mark.parametrize(
    "on_unknown, resends, standing",
    [
        ("hold", 0, Reuse.UNDECIDED),
        ("hold", 1, Reuse.UNDECIDED),
        ("resend", 0, Reuse.RESEND),
        ("resend", 1, Reuse.UNDECIDED),
        ("resend", 2, Reuse.UNDECIDED),
    ],
)
def test_an_unknown_outcome_is_sent_again_once_and_if_asked_for(
    on_unknown: OnUnknown, resends: int, standing: Reuse
) -> None:
    """Otherwise it waits for somebody to decide."""
    assert reuse_of(State.UNKNOWN, on_unknown=on_unknown, resends=resends) is standing


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_dead_run_s_drawing_is_void(*, is_complete: bool) -> None:
    """It was free, so it is drawn again."""
    found = purchase(State.SENDING, is_local=True)

    assert after_its_owner(found, answer_is_complete=is_complete) is State.VOID


def test_a_dead_run_s_answer_is_taken_in_if_it_is_whole() -> None:
    """Anything less may have been billed, and nobody knows."""
    found = purchase(State.SENDING)

    assert after_its_owner(found, answer_is_complete=True) is State.PAID
    assert after_its_owner(found, answer_is_complete=False) is State.UNKNOWN
