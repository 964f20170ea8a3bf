"""The adaptive gate: from what it is told, step by step, and against limits it cannot see."""

from __future__ import annotations

import itertools
import random
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.capacity import AdaptiveGate, Change, Passage, Permission, Window
from tests.benchmarks.simulated_hour import Case, KnowingGate, World
from tests.fakes.limits import AtOnce, Bucket, Limit, NoLimit


def middle() -> float:
    """Draw without chance: a pause is then exactly its base, a hint gets a quarter second."""
    return 0.5


def gate_of(ceiling: int = 16, told: list[Change] | None = None) -> AdaptiveGate:
    return AdaptiveGate(ceiling, draw=middle, tell=None if told is None else told.append)


def send(gate: AdaptiveGate, count: int, now: float = 0.0) -> list[Passage]:
    """Let scenes through and send them at once."""
    passages = [gate.enter() for _ in range(count)]
    for passage in passages:
        passage.sent(now)
    return passages


def tripped(
    told: list[Change] | None = None, *, hint_s: float | None = None, ceiling: int = 16
) -> tuple[AdaptiveGate, list[Passage]]:
    """Give a gate that sent 16 of which 8 were turned away at 0.25 s, and the 8 that were taken."""
    gate = gate_of(ceiling, told)
    passages = send(gate, 16)
    for passage in passages[8:]:
        passage.rejected(0.25, hint_s)
    return gate, passages[:8]


def test_a_lone_rejection_makes_only_its_own_scene_wait() -> None:
    """It can be chance; the others go on at the same limit."""
    gate = gate_of()
    passages = send(gate, 16)

    assert passages[0].rejected(0.25, None) is False
    assert gate.may_send(0.25, 15).allowed
    assert gate.state(0.25).limit == 16


def test_a_wait_that_a_lone_rejection_names_is_everybodys() -> None:
    """It is asked of the account: whoever came next would only be turned away as well."""
    told: list[Change] = []
    gate = gate_of(told=told)
    passages = send(gate, 16)

    assert passages[0].rejected(0.25, 30.0) is True
    assert gate.may_send(0.25, 15) == Permission(allowed=False, wake_at=30.5)
    assert gate.may_send(30.5, 15).allowed
    assert [(one.reason, one.limit) for one in told] == [("asked_to_wait", 16)]


def test_rejections_far_apart_stay_alone() -> None:
    """One in ten is forgiven for ever: eight answers make up for one."""
    gate = gate_of()
    now = 0.0
    for number in range(200):
        now += 1
        (passage,) = send(gate, 1, now)
        if number % 10 == 0:
            assert passage.rejected(now + 0.25, None) is False
        else:
            passage.answered(now + 0.5)

    assert gate.state(now).limit == 16


def test_several_rejections_bring_the_limit_to_what_was_taken() -> None:
    """Sixteen were sent, eight were taken: eight it is, and everybody pauses for a second."""
    gate, _ = tripped()

    assert gate.state(0.25).limit == 8
    assert gate.may_send(0.25, 7) == Permission(allowed=False, wake_at=1.25)


def test_the_scene_of_a_rejection_that_trips_the_gate_is_due_at_once() -> None:
    """The pause is its wait; a wait of its own would come on top."""
    gate = gate_of()
    passages = send(gate, 16)

    assert [passage.rejected(0.25, None) for passage in passages[:4]] == [False, True, True, True]


def test_the_wait_a_provider_asks_for_is_everybodys_pause() -> None:
    """With a little jitter, and no longer than the longest that is obeyed."""
    gate, _ = tripped(hint_s=30)
    patient, _ = tripped(hint_s=100_000)

    assert gate.may_send(0.25, 7).wake_at == 30.5
    assert patient.may_send(0.25, 7).wake_at == 120.5


def test_the_longest_hint_of_a_burst_counts() -> None:
    """The last of the rejections may know best when the window begins anew."""
    gate = gate_of()
    passages = send(gate, 16)
    for passage, hint_s in zip(passages[8:], [5.0, 5.0, 5.0, 9.0, 2.0, 2.0, 2.0, 2.0], strict=True):
        passage.rejected(0.5, hint_s)

    assert gate.may_send(0.5, 7).wake_at == 9.75


def test_after_a_pause_one_request_goes_first_and_the_others_wait_for_its_verdict() -> None:
    """Rejections took a quarter second, so after a second and a bit it counts as taken."""
    gate, _ = tripped()
    assert gate.may_send(2, 7).allowed
    first = gate.enter()
    preparing = gate.may_send(2, 7)
    first.sent(3)
    waiting = gate.may_send(3, 7)
    assert waiting.wake_at is not None

    assert not preparing.allowed
    assert preparing.wake_at is not None
    assert 3 < waiting.wake_at <= 4.5
    assert gate.may_send(waiting.wake_at, 7).allowed
    assert gate.may_send(waiting.wake_at, 8) == Permission(allowed=False)


def test_an_answer_to_the_first_opens_the_gate_at_once() -> None:
    """Taken is taken; there is nothing more to wait for."""
    gate, _ = tripped()
    (first,) = send(gate, 1, 2)
    first.answered(2.1)

    assert gate.may_send(2.1, 7).allowed


def test_only_the_first_ones_rejection_doubles_the_pause_and_it_ends_at_a_minute() -> None:
    """Late answers of the burst change nothing; a provider that stays closed is asked rarely."""
    gate, _ = tripped()
    now = 0.25
    pauses: list[float] = []
    for _ in range(9):
        wake_at = gate.may_send(now, 0).wake_at
        assert wake_at is not None
        pauses.append(wake_at - now)
        (first,) = send(gate, 1, wake_at)
        now = wake_at + 0.25
        assert first.rejected(now, None) is True

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_first_one_that_proves_nothing_lets_another_go_first(*, was_sent: bool) -> None:
    """Its picture was already there, or its connection was lost: nobody waits for it for ever."""
    gate, _ = tripped()
    with gate.enter() as first:
        if was_sent:
            first.sent(2)
    second = gate.enter()
    second.sent(3)

    assert not gate.may_send(3, 7).allowed
    second.answered(3.1)
    assert gate.may_send(3.1, 7).allowed


def stage(gate: AdaptiveGate, now: float) -> list[Passage]:
    """Send as long as the gate allows it."""
    passages: list[Passage] = []
    while gate.may_send(now, gate.state(now).sent).allowed:
        passages += send(gate, 1, now)
    return passages


def test_in_the_beginning_each_stage_is_seen_to_be_taken_before_a_larger_one_goes() -> None:
    """Sixteen, then parts of what went well; nothing is turned away, so the ceiling is reached."""
    gate = gate_of(64)
    sizes = [len(stage(gate, turn * 1.5)) for turn in range(8)]

    assert sizes == [16, 8, 12, 18, 10, 0, 0, 0]
    assert gate.state(0).limit == 64


def test_a_stage_is_over_early_when_all_of_it_are_answered() -> None:
    """Quick replies are not held up by the time that a rejection would take."""
    gate = gate_of(64)
    for passage in stage(gate, 0):
        passage.answered(0.1)

    assert gate.may_send(0.1, 0).allowed


def test_a_limit_below_the_first_stage_costs_no_more_than_that_stage() -> None:
    """Eight of sixteen are turned away, and not fifty-six of sixty-four."""
    gate = gate_of(64)
    passages = stage(gate, 0)
    for passage in passages[8:]:
        passage.rejected(0.25, None)

    assert len(passages) == 16
    assert gate.state(0.25).limit == 8
    assert not gate.may_send(1, 8).allowed


def test_after_a_pause_one_goes_and_then_two_and_four_and_eight() -> None:
    """Until the limit is reached, any rejection among them shuts the gate again."""
    gate = gate_of(64)
    passages = [passage for turn in range(8) for passage in stage(gate, turn * 1.5)]
    for passage in passages[-10:]:
        passage.rejected(12, None)
    for passage in passages[:-10]:
        passage.answered(15)
    sizes = [len(stage(gate, 20 + turn * 1.5)) for turn in range(5)]
    (last,) = send(gate, 1, 40)

    assert gate.state(20).limit == 54
    assert sizes == [1, 2, 4, 8, 7]
    assert last.rejected(40.25, None) is False


def test_in_the_strict_stages_one_rejection_is_enough() -> None:
    """The pause begins anew, at its first length, since the one that went first was taken."""
    gate, taken = tripped()
    for passage in taken:
        passage.answered(1)  # which forgives what was turned away before
    stage(gate, 2)
    two = stage(gate, 4)
    two[1].rejected(4.25, None)

    assert len(two) == 2
    assert two[1].is_covered
    assert gate.state(4.25).limit == 2
    assert gate.may_send(4.25, 1).wake_at == 5.25


def grow(gate: AdaptiveGate, rounds: int, now: float) -> list[int]:
    """Let full rounds go well; give the limit after each."""
    limits: list[int] = []
    for _ in range(rounds):
        for passage in send(gate, gate.state(now).limit, now):
            passage.answered(now)
        limits.append(gate.state(now).limit)
    return limits


def test_a_pause_that_had_to_double_is_short_again_once_one_was_taken() -> None:
    """The provider is open, and the next burst is another matter."""
    gate, taken = tripped()
    for now in (2.0, 10.0):
        send(gate, 1, now)[0].rejected(now + 0.25, None)
    for passage in taken[2:]:
        passage.answered(20)
    stage(gate, 20)
    two = stage(gate, 22)
    two[0].rejected(22.25, None)

    assert gate.may_send(22.25, 0).wake_at == 23.25


def test_a_gate_that_was_full_once_sends_one_when_one_ends() -> None:
    """The stages are over, however many of the last one were not needed."""
    gate = gate_of(20)
    passages = [*stage(gate, 0), *stage(gate, 2)]
    replaced: list[int] = []
    for passage in passages[:16]:
        passage.answered(3)
        replaced.append(len(stage(gate, 3)))

    assert len(passages) == 20
    assert replaced == [1] * 16


def test_a_step_is_judged_by_what_was_sent_at_the_new_limit() -> None:
    """Answers to what was sent before the step say nothing about it."""
    gate, taken = tripped()
    for passage in taken:
        passage.answered(5)
    first = send(gate, 8, 10)
    for passage in first[:4]:
        passage.answered(15)
    second = send(gate, 4, 15)
    for passage in first[4:]:
        passage.answered(20)
    grown = gate.state(20).limit
    for passage in second:
        passage.answered(25)
    for passage in send(gate, 9, 30)[:5]:
        passage.answered(35)

    assert grown == 9
    assert gate.state(35).limit == 9


def test_a_gate_that_holds_nobody_back_does_not_grow() -> None:
    """Three in flight say nothing about a limit of sixteen."""
    gate = gate_of()
    for turn in range(100):
        for passage in send(gate, 3, turn):
            passage.answered(turn + 0.5)

    assert gate.state(0).limit == 16


def test_after_a_rejection_steps_grow_while_they_go_well() -> None:
    """One more, two more, four more: at most a quarter of the limit."""
    gate, taken = tripped(ceiling=64)
    for passage in taken:
        passage.answered(5)
    limits = [8, *grow(gate, 6, 10)]

    assert [b - a for a, b in itertools.pairwise(limits)] == [1, 2, 2, 3, 4, 5]


def test_a_step_that_is_turned_away_makes_the_next_one_wait_longer() -> None:
    """Twice as many rounds must go well each time, and at most eight."""
    gate, taken = tripped()
    for passage in taken:
        passage.answered(5)
    waited: list[int] = []
    now = 10.0
    for _ in range(5):
        rounds = 0
        while gate.state(now).limit == 8:
            grow(gate, 1, now)
            rounds += 1
        waited.append(rounds)
        taken, extra = send(gate, 8, now), send(gate, 8, now)
        for passage in extra:
            passage.rejected(now + 0.25, None)
        for passage in taken:
            passage.answered(now + 20)
        now += 100
        send(gate, 1, now)[0].answered(now)
        assert gate.state(now).limit == 8

    assert waited == [1, 2, 4, 8, 8]


def test_every_change_is_told_with_its_reason() -> None:
    """From the first rejection to the limit that is found, for whoever watches the run."""
    told: list[Change] = []
    gate, taken = tripped(told)
    send(gate, 1, 2)[0].rejected(2.25, None)
    for passage in taken:
        passage.answered(5)
    send(gate, 1, 6)[0].answered(6.1)
    grow(gate, 1, 7)

    assert [(one.reason, one.previous, one.limit) for one in told] == [
        ("turned_away", 16, 14),
        ("still_turned_away", 14, 8),
        ("reopened", 8, 8),
        ("went_well", 8, 9),
    ]
    assert [one.pause_s for one in told if one.pause_s] == [1, 2]


def test_a_known_pace_needs_no_stages() -> None:
    """It keeps the first flood away by itself."""
    gate = AdaptiveGate(64, draw=middle, pace=Window(20))
    passages = stage(gate, 0)

    assert len(passages) == 20
    assert gate.may_send(5, 20) == Permission(allowed=False, wake_at=60)


def test_quick_replies_are_made_as_quickly_as_without_a_gate() -> None:
    """In a minute of half-second pictures, the stages cost no more than a few seconds."""
    case = Case("quick replies", lambda _: NoLimit(), mean_s=0.5)
    best, ours = World(case, 3), World(case, 3)
    best.run(KnowingGate(64, best.limit, best), 60)
    ours.run(AdaptiveGate(64, draw=middle), 60)

    assert ours.made >= 0.85 * best.made


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=120),
    ceiling=st.integers(1, 20),
)
def test_the_limit_stays_between_one_and_the_ceiling_and_the_gate_never_stays_shut(
    steps: list[tuple[int, int]], ceiling: int
) -> None:
    """Whatever is told in whatever order: when all have ended, two minutes open the gate."""
    gate = gate_of(ceiling)
    inside: list[Passage] = []
    now = 0.0
    for kind, wait in steps:
        now += wait / 10
        if kind <= 1 and gate.may_send(now, len(inside)).allowed:
            inside.append(gate.enter())
            if kind == 0:
                inside[-1].sent(now)
        elif inside and kind >= 2:
            passage = inside.pop(wait % len(inside))
            if kind == 2:
                passage.answered(now)
            elif kind == 3:
                passage.rejected(now, None)
            elif kind == 4:
                passage.rejected(now, wait)
            else:
                passage.__exit__()

        assert 1 <= gate.state(now).limit <= ceiling
        assert gate.state(now).sent <= len(inside)
    for passage in inside:
        passage.__exit__()
    assert gate.may_send(now + 121, 0).allowed


@pytest.mark.parametrize(
    "limit, least, most_wasted",
    [
        (AtOnce([(0, 8)]), 0.93, 0.08),
        (Bucket(60, 60), 0.95, 0.12),
        (AtOnce([(0, 32), (450, 8)]), 0.93, 0.08),
        (NoLimit(), 0.9, 0.0),
    ],
    ids=["8 at once", "60 a minute", "32 then 8", "none"],
)
def test_a_hidden_limit_is_found_and_used(limit: Limit, least: float, most_wasted: float) -> None:
    """In a quarter of an hour, beside a client that knows the limit; the benchmark has the rest."""
    case = Case("a quarter of an hour", lambda _: deepcopy(limit))
    best, ours = World(case, 7), World(case, 7)
    best.run(KnowingGate(64, best.limit, best), 900)
    ours.run(AdaptiveGate(64, draw=random.Random(7).random), 900)

    assert ours.made >= least * best.made
    assert ours.wasted <= most_wasted
