"""The ladder's laws: no step is taken from what may be billed, and each is taken once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub.contract import Cause
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.purchase import REFUSED_FOR, NewPurchase, Purchase
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import COUNTED, State
from stage3_plugin.policy.ladder import FIRST, Ended, Ladder, Step

LADDERS = st.builds(
    Ladder,
    prompts=st.integers(1, 4),
    after_billed=st.lists(st.booleans(), min_size=1, max_size=4).map(tuple),
    spent=st.frozensets(st.integers(0, 3), max_size=4),
)
Fate: TypeAlias = tuple[State | None, bool, Cause | None]
CAUSES: tuple[Cause | None, ...] = (None, "prompt", "reference", "output", "rights")
LEADING_ON = (State.REFUSED, State.VOID, State.PAID_BAD)
STATES: tuple[State | None, ...] = (None, *State, *LEADING_ON * 5)
"""Those that a step may be taken from are met as often as all others together."""
FATES: st.SearchStrategy[Fate] = st.tuples(
    st.sampled_from(STATES),
    st.booleans(),
    st.sampled_from(CAUSES),
)
UNBILLED = {State.REFUSED, State.VOID}


def went(ladder: Ladder, fates: Sequence[Fate]) -> list[Ended]:
    """Go down a ladder, each step ending as it is told, until there is none or no fate is left."""
    ended: list[Ended] = []
    step: Step | None = ladder.first
    for state, is_refusal, cause in fates:
        if step is None:
            break
        ended.append(Ended(step=step, state=state, is_refusal=is_refusal, cause=cause))
        step = ladder.after(ended)
    return ended


@example(
    Ladder(prompts=1, after_billed=(False, True)),
    [(State.PAID_BAD, True, None), (None, False, None)],
)
@given(LADDERS, st.lists(FATES, max_size=20))
def test_nothing_is_stepped_from_that_may_be_billed(ladder: Ladder, fates: Sequence[Fate]) -> None:
    """Each step but the last was refused or void, or a billed refusal that the settings allow."""
    ended = went(ladder, fates)

    for number, before in enumerate(ended[:-1], start=1):
        following = ended[number]
        if before.state in UNBILLED:
            continue
        assert before.state is State.PAID_BAD
        assert before.is_refusal
        assert ladder.after_billed[following.step.route]
    counted = [one for one in ended if one.state in COUNTED]
    assert len({one.step.route for one in counted}) == len(counted)  # each place bills once at most
    for one in counted:
        assert one is ended[-1] or ladder.after_billed[ended[ended.index(one) + 1].step.route]


@given(LADDERS, st.lists(FATES, max_size=20))
def test_steps_go_forward_and_each_is_taken_once(ladder: Ladder, fates: Sequence[Fate]) -> None:
    """There are never more than prompts times routes, in the order of prompts, then routes."""
    steps = [one.step for one in went(ladder, fates)]

    assert steps == sorted(set(steps))
    assert all(one.prompt < ladder.prompts for one in steps)
    assert all(one.route < len(ladder.after_billed) for one in steps)


@given(LADDERS, st.lists(FATES, min_size=1, max_size=20))
def test_other_words_are_tried_only_after_a_refusal_that_they_may_help(
    ladder: Ladder, fates: Sequence[Fate]
) -> None:
    """What is wrong with a reference, or was no refusal, is the same with other words."""
    ended = went(ladder, fates)

    for before, following in pairwise(ended):
        if following.step.prompt != before.step.prompt:
            refusals = [one for one in ended if one.step.prompt == before.step.prompt]
            assert any(one.is_refusal and one.cause != "reference" for one in refusals)


@given(LADDERS.filter(lambda ladder: not ladder.spent), st.data())
def test_every_step_is_tried_where_all_are_refused_and_unbilled(
    ladder: Ladder, data: st.DataObject
) -> None:
    """Refusals of the words go through every prompt at every route."""
    helped: list[Cause | None] = [None, "prompt", "output", "rights"]
    refused: Fate = (State.REFUSED, True, data.draw(st.sampled_from(helped)))
    steps = [
        Step(prompt=prompt, route=route)
        for prompt in range(ladder.prompts)
        for route in range(len(ladder.after_billed))
    ]

    tried = went(ladder, [refused] * len(steps) * 2)

    assert [one.step for one in tried] == steps


@given(LADDERS)
def test_a_later_run_begins_behind_what_was_billed_as_far_as_it_may(ladder: Ladder) -> None:
    """It goes on where the settings let it step on, and else begins anew."""
    first = ladder.first

    assert first.prompt == 0
    if first != FIRST:
        assert set(range(first.route)) <= ladder.spent
        assert all(ladder.after_billed[1 : first.route + 1])
        assert first.route not in ladder.spent
    elif 0 in ladder.spent and len(ladder.after_billed) > 1 and all(ladder.after_billed[1:]):
        assert set(range(len(ladder.after_billed))) <= ladder.spent


BAD = Purchase(
    new=NewPurchase(
        attempt_id="0" * 32,
        scene_key="k",
        scene_id="s",
        run_id="r",
        endpoint=Endpoint(provider="openai", model="a"),
        size="64x64",
        quality="low",
        is_local=False,
        hold_microusd=1,
        content_key="c",
        subject_key="w",
    ),
    state=State.PAID_BAD,
    day=date(2026, 1, 1),
    held_at=datetime(2026, 1, 1, tzinfo=UTC),
    changed_at=datetime(2026, 1, 1, tzinfo=UTC),
    details={REFUSED_FOR: "prompt"},
)


@pytest.mark.parametrize(
    "is_set, bad, provider, expected",
    [
        (True, BAD, "openrouter", True),
        (False, BAD, "openrouter", False),
        (True, BAD, "openai", False),
        (True, replace(BAD, details={}), "openrouter", False),
        (True, replace(BAD, decided_by="user"), "openrouter", False),
        (True, replace(BAD, state=State.PAID), "openrouter", False),
    ],
)
def test_only_a_billed_refusal_of_another_route_is_followed_in_one_run(
    *, is_set: bool, bad: Purchase, provider: str, expected: bool
) -> None:
    """And only with the setting: the hold asks, in its transaction, whatever the ladder says."""
    route = Route(
        endpoint=Endpoint(provider=provider, model="a"),
        is_after_billed=is_set,
    )
    new = replace(BAD.new, endpoint=route.endpoint)

    assert route.may_follow(bad, new) is expected
