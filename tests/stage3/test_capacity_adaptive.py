"""The adaptive gate: from what it is told, step by step, and against limits it cannot see."""

from __future__ import annotations

import itertools
import random
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.capacity import AdaptiveGate, Change, Passage, Permission, Window
from tests.benchmarks.simulated_hour import Case, KnowingGate, World
from tests.fakes.limits import AtOnce, Bucket, FixedWindow, Limit, NoLimit


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


def settled(**how: Any) -> tuple[AdaptiveGate, list[Passage]]:
    """Give the same gate when one of the eight has been answered: there is room for one."""
    gate, taken = tripped(**how)
    taken.pop().answered(0.5)
    return gate, taken


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
    gate, _ = settled()
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
    gate, _ = settled()
    (first,) = send(gate, 1, 2)
    first.answered(2.1)

    assert gate.may_send(2.1, 7).allowed


def test_only_the_first_ones_rejection_doubles_the_pause_and_it_ends_at_a_minute() -> None:
    """Late answers of the burst change nothing; a provider that stays closed is asked rarely."""
    gate, _ = settled()
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
    gate, _ = settled()
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


def asked(taken_beside: int = 8, *, ceiling: int = 16) -> tuple[AdaptiveGate, list[Passage]]:
    """Give a tripped gate before which one more than the eight that were taken was taken."""
    gate, taken = tripped(ceiling=ceiling)
    for passage in taken[taken_beside:]:
        passage.answered(0.5)
    first = send(gate, 1, 1.25)
    gate.may_send(2.75, taken_beside + 1)
    return gate, [*taken[:taken_beside], *first]


def test_the_one_that_goes_first_may_be_one_more_than_were_taken() -> None:
    """That is how the gate asks if it was their number that was too many."""
    gate, _ = tripped()

    assert gate.may_send(1.25, 8).allowed
    assert not gate.may_send(1.25, 9).allowed


def test_it_is_never_one_more_than_the_ceiling() -> None:
    """Which is the most that will ever be in flight."""
    gate = gate_of(4)
    for passage in send(gate, 4):
        passage.answered(0)
    taken = send(gate, 4)
    for passage in send(gate, 3):
        passage.rejected(0.25, None)

    assert len(taken) == gate.state(2).limit == 4
    assert not gate.may_send(2, 4).allowed


def test_if_that_one_is_taken_the_gate_opens_and_keeps_the_pace_that_is_taken() -> None:
    """Nine were taken in 2.75 seconds, so it is no limit on their number."""
    gate, _ = asked()

    assert gate.state(2.75).limit == 16
    send(gate, 1, 2.75)
    assert gate.may_send(2.75, 10).wake_at == pytest.approx(2.75 + 2.75 / 9, rel=0.01)


def test_if_it_is_taken_when_others_have_ended_that_says_nothing() -> None:
    """There was a place."""
    gate, _ = asked(7)

    assert gate.state(2.75).limit == 8


def test_if_it_is_turned_away_there_is_no_longer_pause_and_the_next_waits_for_a_place() -> None:
    """The provider is not closed; it takes eight."""
    gate, _ = tripped()
    send(gate, 1, 1.25)[0].rejected(1.5, None)

    assert gate.may_send(1.5, 7) == Permission(allowed=False, wake_at=2.5)
    assert gate.may_send(2.5, 8) == Permission(allowed=False)
    assert gate.may_send(2.5, 7).allowed


def test_after_steps_that_failed_it_is_not_asked_any_more() -> None:
    """It would be turned away each time."""
    gate, taken = tripped()
    for passage in taken:
        passage.answered(5)
    may_ask: list[bool] = []
    now = 10.0
    for _ in range(3):
        for passage in itertools.chain.from_iterable(send(gate, size, now) for size in (1, 2, 4)):
            passage.answered(now)
        while gate.state(now).limit == 8:
            grow(gate, 1, now)
        taken, extra = send(gate, 8, now), send(gate, 8, now)
        for passage in extra:
            passage.rejected(now + 0.25, None)
        may_ask.append(gate.may_send(now + 10, 8).allowed)
        for passage in taken:
            passage.answered(now + 20)
        now += 100

    assert may_ask == [True, False, False]


def test_a_first_one_that_is_turned_away_among_fewer_takes_no_place_away() -> None:
    """Eight were taken together; that five are not now is no matter of their number."""
    gate, taken = settled()
    for passage in taken[5:]:
        passage.answered(1)
    send(gate, 1, 2)[0].rejected(2.25, None)

    assert gate.state(2.25).limit == 8


def take(gate: AdaptiveGate, count: int, now: float) -> None:
    """Send one after another, and let each be taken."""
    for _ in range(count):
        send(gate, 1, now)[0].answered(now)


def test_a_pace_that_rather_looks_like_a_number_is_kept_no_more() -> None:
    """Eight beside each one that was turned away, and never beside one that was taken."""
    gate, inside = asked()
    inside.pop().answered(3)
    covered: list[bool] = []
    for now in (10.0, 20.0, 30.0, 40.0):
        ended = inside.pop()
        ended.answered(now)
        take(gate, 20, now)  # which forgives what was turned away before
        inside += send(gate, 1, now + 1)
        covered += [send(gate, 1, now + 2)[0].rejected(now + 2.25, None)]

    assert covered == [False, False, False, True]
    assert gate.state(43).limit == 8


def test_where_a_pace_is_kept_two_rejections_are_many_however_many_places_there_are() -> None:
    """Each is heard of before the next one leaves; and answers that come late excuse none."""
    gate, inside = tripped(hint_s=30, ceiling=80)
    inside += send(gate, 1, 31)
    gate.may_send(33, 9)
    take(gate, 20, 40)
    covered = [send(gate, 1, 50)[0].rejected(50.25, None)]
    for passage in inside:
        passage.answered(51)
    covered += [send(gate, 1, 52 + turn)[0].rejected(52.25 + turn, None) for turn in range(2)]

    assert covered == [False, False, True]


def test_where_the_pace_is_fast_those_that_nobody_heard_of_yet_are_not_many() -> None:
    """Sixteen leave in the quarter second until the first is heard of."""
    gate = gate_of(100)
    now = 0.0
    for _ in range(3):
        for passage in send(gate, 16, now):
            passage.answered(now)
        now += 0.25
    taken = send(gate, 16, now)
    for passage in send(gate, 16, now):
        passage.rejected(now + 0.25, None)
    first = send(gate, 1, now + 1.25)[0]
    gate.may_send(now + 2.5, 17)
    for passage in [first, *taken]:
        passage.answered(now + 2.5)
    take(gate, 64, now + 2.5)
    refused = send(gate, 4, now + 2.5)

    assert gate.state(now + 2.5).limit == 100
    assert not any(passage.rejected(now + 2.75, None) for passage in refused)


def test_a_pace_that_fills_all_places_is_kept_no_more() -> None:
    """It is not what holds the gate back."""
    gate, _ = asked()
    first, *_ = send(gate, 7, 10)
    first.answered(10)

    assert gate.may_send(10, 15).allowed


def refuse_first(gate: AdaptiveGate, now: float, times: int) -> float:
    """Turn away whichever goes first after each pause."""
    for _ in range(times):
        wake_at = gate.may_send(now, 0).wake_at
        assert wake_at is not None
        now = wake_at + 0.25
        send(gate, 1, wake_at)[0].rejected(now, None)
    return now


def test_the_pace_holds_from_the_moment_the_first_one_counts_as_taken() -> None:
    """Nine in a long time: the next may not leave at once, although the pause is over."""
    gate, _ = tripped(hint_s=30)
    send(gate, 1, 31)
    permission = gate.may_send(32.3, 9)

    assert gate.state(32.3).limit == 16
    assert not permission.allowed
    assert permission.wake_at == pytest.approx(31 + 32.3 / 9, rel=0.01)


def test_the_pace_is_measured_anew_from_the_rejections_on() -> None:
    """Nothing was left then, so what came before was in the bucket."""
    gate, inside = asked(ceiling=80)
    for passage in inside:
        passage.answered(3)
    for quarter in range(20):
        send(gate, 1, 3 + quarter / 4)[0].answered(3.2 + quarter / 4)
    send(gate, 1, 8)[0].rejected(8.2, None)
    send(gate, 1, 9)

    assert gate.may_send(9, 1).wake_at == pytest.approx(9 + (8 - 0.25) / 21, rel=0.005)


def shut_again(gate: AdaptiveGate, now: float) -> Passage:
    """Let the first one be taken, turn away the second of the two that follow; give the other."""
    send(gate, 1, now)[0].answered(now + 0.5)
    two = send(gate, 2, now + 1)
    two[1].rejected(now + 1.25, None)
    return two[0]


def emptied() -> tuple[AdaptiveGate, list[Passage]]:
    """Give a tripped gate when five of the eight that were taken have ended."""
    gate, taken = tripped()
    for passage in taken[3:]:
        passage.answered(1)
    return gate, taken[:3]


def opens_fully(gate: AdaptiveGate, inside: list[Passage], now: float) -> bool:
    """Let one end, and see what it does that the next first one is taken in its place."""
    inside.pop().answered(now)
    send(gate, 1, now + 1)[0].answered(now + 1.5)
    return gate.state(now + 1.5).limit == 16


def test_what_shuts_again_with_fewer_than_were_taken_is_limited_in_its_rate() -> None:
    """Eight were taken, and now five are not, though the first had to be tried twice."""
    gate, inside = emptied()
    send(gate, 1, 2)[0].rejected(2.25, None)
    inside.append(shut_again(gate, 5))

    assert gate.state(6.25).limit == 4
    assert opens_fully(gate, inside, 8)


def test_what_shuts_again_once_may_be_chance() -> None:
    """Nothing else was turned away since it opened."""
    gate, inside = emptied()
    inside.append(shut_again(gate, 2))

    assert not opens_fully(gate, inside, 5)


def test_what_shuts_again_with_more_than_one_is_no_chance() -> None:
    """However late the others come."""
    gate, inside = emptied()
    shut_again(gate, 2).rejected(3.5, None)

    assert opens_fully(gate, inside, 5)


def test_that_it_was_tried_for_long_once_counts_once() -> None:
    """After the next rejections it is another matter."""
    gate, inside = emptied()
    send(gate, 1, 2)[0].rejected(2.25, None)
    for passage in inside:
        passage.answered(4)
    for size in (1, 2, 4, 8):
        for passage in send(gate, size, 5):
            passage.answered(5.5)
    inside = send(gate, 8, 10)
    for passage in send(gate, 4, 10):
        passage.rejected(10.25, None)
    while len(inside) > 3:
        inside.pop().answered(11)
    inside.append(shut_again(gate, 12))

    assert not opens_fully(gate, inside, 15)


def test_that_is_not_sure_and_a_single_doubt_ends_it() -> None:
    """It may have begun to take fewer."""
    gate, inside = emptied()
    shut_again(gate, 2).rejected(3.5, None)
    assert opens_fully(gate, inside, 4)
    covered: list[bool] = []
    for now in (10.0, 20.0):
        take(gate, 20, now)
        (other,) = send(gate, 1, now)
        covered += [send(gate, 1, now + 2)[0].rejected(now + 2.25, None)]
        other.answered(now + 3)

    assert covered == [False, True]


def forgiven() -> AdaptiveGate:
    """Give a gate before which a lone one was turned away among few, and which forgot it."""
    gate = gate_of()
    send(gate, 1)[0].rejected(0.25, None)
    take(gate, 8, 1)
    return gate


def test_only_as_many_as_were_there_when_the_others_left_prove_it() -> None:
    """Seven and one more are no more than there is room for, before a limit of eight."""
    gate = forgiven()
    inside, extra = send(gate, 8, 3), send(gate, 2, 3)
    inside.pop().answered(3.1)
    for passage in extra:
        passage.rejected(3.25, None)
    send(gate, 1, 5)[0].answered(5.5)

    assert gate.state(5.5).limit == 7


def test_the_fewest_that_were_there_count_whoever_is_heard_of_first() -> None:
    """The tenth was turned away with nine there, but so was the ninth with eight."""
    gate = forgiven()
    send(gate, 8, 3)
    for passage in reversed(send(gate, 2, 3)):
        passage.rejected(3.25, None)
    send(gate, 1, 5)[0].answered(5.5)

    assert gate.state(5.5).limit == 16


def test_rejections_far_apart_ask_nothing() -> None:
    """They are chance, before a provider that takes all there are."""
    gate = gate_of(16)
    inside = send(gate, 15)
    for _ in range(2):
        send(gate, 1, 1)[0].rejected(1.25, None)
        take(gate, 7, 2)
    for _ in range(2):
        send(gate, 1, 3)[0].rejected(3.25, None)

    assert gate.state(3.25).limit == len(inside) == 15
    assert not gate.may_send(10, 15).allowed


def test_what_shuts_again_when_it_was_full_proves_nothing() -> None:
    """The eight are its number."""
    gate, taken = tripped()
    taken.pop().answered(1)
    shut_again(gate, 2).rejected(3.5, None)

    assert not opens_fully(gate, taken, 4)


def test_what_shuts_again_at_a_step_proves_nothing() -> None:
    """Nine were never taken, so that they are not now is no surprise."""
    gate, taken = tripped()
    for passage in taken:
        passage.answered(1)
    send(gate, 1, 2)[0].answered(2.5)
    grow(gate, 1, 3)
    inside, extra = send(gate, 7, 4), send(gate, 2, 4)
    stepped = gate.state(4).limit
    for passage in [inside.pop(0), *extra]:
        passage.rejected(4.25, None)

    assert stepped == 9
    assert not opens_fully(gate, inside, 5)


def test_a_first_one_that_is_turned_away_among_fewer_is_asked_again() -> None:
    """It said nothing of their number."""
    gate, taken = settled()
    send(gate, 1, 2)[0].rejected(2.25, None)

    assert gate.may_send(5, len(taken) + 1).allowed


@pytest.mark.parametrize("times, is_kept", [(4, True), (8, False)])
def test_a_pace_is_not_kept_beyond_the_longest_pause(*, times: int, is_kept: bool) -> None:
    """What a provider that was closed for minutes took before is no pace; a moment changes none."""
    gate, inside = asked()
    for passage in send(gate, 3, 10):
        passage.rejected(10.25, None)
    for passage in inside:
        passage.answered(11)
    now = refuse_first(gate, 11, times)
    wake_at = gate.may_send(now, 0).wake_at
    assert wake_at is not None
    send(gate, 1, wake_at)[0].answered(wake_at + 1)

    assert (gate.state(wake_at + 1).limit == 16) is is_kept


def test_every_change_is_told_with_its_reason() -> None:
    """From the first rejection to the limit that is found, for whoever watches the run."""
    told: list[Change] = []
    gate, taken = settled(told=told)
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
        (Bucket(60, 5), 0.95, 0.08),
        (FixedWindow(120), 0.93, 0.08),
    ],
    ids=["8 at once", "60 a minute", "32 then 8", "none", "burst 5", "120 per window"],
)
def test_a_hidden_limit_is_found_and_used(limit: Limit, least: float, most_wasted: float) -> None:
    """In a quarter of an hour, beside a client that knows the limit; the benchmark has the rest."""
    case = Case("a quarter of an hour", lambda _: deepcopy(limit))
    best, ours = World(case, 7), World(case, 7)
    best.run(KnowingGate(64, best.limit, best), 900)
    ours.run(AdaptiveGate(64, draw=random.Random(7).random), 900)

    assert ours.made >= least * best.made
    assert ours.wasted <= most_wasted
