"""The pace that is measured from what was taken, and what makes it doubt itself."""

from __future__ import annotations

import itertools

import pytest

from stage3_plugin.capacity import FixedGate, Passage
from stage3_plugin.capacity.tempo import FASTEST_S, MEMORY, MOST_DOUBTS, Tempo


class Road:
    """Sends requests by hand: a passage of a gate, and the tempo that hears of it."""

    def __init__(self) -> None:
        self.gate = FixedGate(1000)
        self.tempo = Tempo()

    def send(self, at: float, beside: int = 0) -> Passage:
        passage = self.gate.enter()
        passage.sent(at)
        passage.beside = beside
        self.tempo.sent(passage, at)
        return passage

    def interval(self) -> float:
        """Give how long after the last departure the next may be."""
        return self.tempo.next_at(0, 0) - self.last

    def every(self, interval_s: float, count: int, *, since: float = 0.0, beside: int = 0) -> None:
        for number in range(count):
            self.last = since + number * interval_s
            self.send(self.last, beside)


def kept(*, since: float = -1.0, is_sure: bool = True) -> Road:
    """Give a tempo that begins as ten requests a second apart were taken."""
    road = Road()
    road.every(1, 10)
    road.tempo.keep(10, since, is_sure=is_sure)
    return road


def test_a_tempo_that_is_not_kept_holds_nobody_back() -> None:
    """It only measures, until there is reason to keep it; and when there is none any more."""
    road = Road()
    road.every(1, 10)
    before = road.tempo.next_at(9, 0)
    road.tempo.keep(10, since=0)
    road.tempo.drop()

    assert before < 9
    assert road.tempo.next_at(9, 0) < 9


def test_it_begins_as_fast_as_requests_were_taken() -> None:
    """Ten in ten seconds: the next leaves a second after the last."""
    assert kept().interval() == pytest.approx(1)


def test_what_was_turned_away_was_not_taken() -> None:
    """Ten left and five were taken: one in two seconds."""
    road = Road()
    passages = [road.send(second) for second in range(10)]
    road.last = 9
    for passage in passages[5:]:
        road.tempo.turned_away(passage)
    road.tempo.keep(10, since=-1.0)

    assert road.interval() == pytest.approx(2)


def test_those_that_have_not_left_yet_count_as_leaving_now() -> None:
    """Two that prepare take the next two places."""
    tempo = kept().tempo

    assert tempo.next_at(20, 1) == pytest.approx(21)
    assert tempo.next_at(20, 2) == pytest.approx(22)


def test_each_that_is_taken_makes_it_faster_and_more_so_the_longer_it_goes_well() -> None:
    """Slowly at first: the limit is likely near."""
    road = kept()
    intervals = [road.interval()]
    for _ in range(MEMORY):
        road.last += road.interval()
        road.send(road.last)
        intervals.append(road.interval())
    gains = [1 - b / a for a, b in itertools.pairwise(intervals)]

    assert gains == sorted(gains)
    assert intervals[5] > 0.98
    assert intervals[MEMORY] == pytest.approx(0.6, abs=0.02)


def test_it_does_not_run_away_before_a_full_bucket() -> None:
    """However many are taken in a row, each adds no more than the one at the end of the memory."""
    road = kept()
    for _ in range(3 * MEMORY):
        road.last += road.interval()
        road.send(road.last)
    before = road.interval()
    road.last += before
    road.send(road.last)

    assert before / road.interval() == pytest.approx(1 + MEMORY / 1000)


def test_a_rejection_brings_it_back_to_what_was_taken_before_that_one_left() -> None:
    """What left after it may be turned away as well, and does not count."""
    road = kept(since=9.5)
    for second in range(10, 20):
        road.send(second)
    refused = road.send(20)
    road.last = 20.1
    for _ in range(15):
        road.send(road.last)
    road.tempo.turned_away(refused)

    assert road.interval() == pytest.approx((20 - 9.5) / 10)


def test_after_a_rejection_it_grows_from_the_beginning() -> None:
    """The limit is near again."""
    road = kept()
    for _ in range(20):
        road.last += road.interval()
        road.send(road.last)
    road.last += road.interval()
    road.tempo.turned_away(road.send(road.last))
    before = road.interval()
    road.last += before
    road.send(road.last)

    assert before / road.interval() == pytest.approx(1.001)


def test_a_time_in_which_nobody_wanted_to_send_is_not_measured() -> None:
    """Two in an hour are no pace, if no more were to be sent."""
    road = Road()
    road.every(1800, 2)
    road.every(1, 10, since=3600)
    road.tempo.keep(3610, since=-1.0)

    assert road.interval() == pytest.approx(1)


def test_only_the_last_ones_are_measured() -> None:
    """A bucket that was full in the beginning, or an account that was slower, is the past."""
    road = Road()
    road.every(0.01, 100)
    road.every(2, MEMORY + 1, since=10)
    road.tempo.keep(10 + 2 * (MEMORY + 1), since=-1.0)

    assert road.interval() == pytest.approx(2, rel=0.05)


def test_more_than_that_are_remembered_while_nobody_knows_if_they_were_taken() -> None:
    """A hundred in less than half a second, and the one before them was turned away."""
    road = kept(since=9.5)
    for tenth in range(1, 9):
        road.send(10 + tenth / 10)
    refused = road.send(11)
    road.every(0.004, 100, since=11.01)
    road.tempo.turned_away(refused)

    assert road.interval() == pytest.approx(1.5 / 8)


def test_rejections_of_requests_that_left_before_all_that_is_remembered_change_nothing() -> None:
    """One that took long to be turned away says nothing of the pace now."""
    road = kept()
    refused = road.send(10)
    road.every(1, 2 * MEMORY, since=11)
    before = road.interval()
    road.tempo.turned_away(refused)

    assert road.interval() == before


def doubts(road: Road, beside: list[int]) -> bool:
    """Turn away one after another with eight beside it; let one be taken between."""
    for number, others in enumerate(beside):
        road.tempo.turned_away(road.send(20 + 2 * number, 8))
        road.send(21 + 2 * number, others)
    road.tempo.turned_away(road.send(40, 8))
    return road.tempo.is_doubtful


def test_it_doubts_itself_when_only_fewer_at_once_are_taken() -> None:
    """Never eight beside one that was taken, and always eight beside one that was not."""
    assert doubts(kept(), [7] * MOST_DOUBTS)
    assert not doubts(kept(), [7] * (MOST_DOUBTS - 1))


def test_what_was_turned_away_before_it_was_kept_raises_no_doubt() -> None:
    """It was the reason to keep it."""
    road = kept()
    road.tempo.turned_away(road.send(12, 8))
    road.tempo.drop()
    road.send(13, 7)
    road.tempo.keep(14, since=12.5)

    assert not doubts(road, [7] * (MOST_DOUBTS - 1))


def test_rejections_before_anything_was_taken_change_no_pace() -> None:
    """There is nothing to measure."""
    road = kept(since=9.5)
    road.last = 11
    before = road.tempo.next_at(0, 1)
    road.tempo.turned_away(road.send(11))

    assert road.interval() == pytest.approx(before, rel=0.01)


def test_many_that_left_at_one_moment_are_no_pace() -> None:
    """They took no time, and a pace without time would let everybody go."""
    road = kept()
    together = [road.send(20) for _ in range(2 * MEMORY)]
    road.last = 22
    road.send(22)
    road.tempo.turned_away(together[-1])

    assert road.interval() > 0


def test_as_many_at_once_that_are_taken_take_a_doubt_back() -> None:
    """It was not their number, then."""
    assert not doubts(kept(), [8, 8, 8, 8])
    assert not doubts(kept(), [7, 7, 8, 7, 7])


def test_rejections_in_a_row_raise_no_doubt() -> None:
    """Nothing was taken between them, with however many beside it."""
    road = kept()
    for second in range(20, 30):
        road.tempo.turned_away(road.send(second, 8))

    assert not road.tempo.is_doubtful


def test_doubts_are_forgotten_when_it_is_dropped() -> None:
    """They were about what is over."""
    road = kept()
    doubts(road, [7] * MOST_DOUBTS)
    road.tempo.drop()

    assert not road.tempo.is_doubtful


def test_doubts_stay_when_it_is_only_measured_again() -> None:
    """A pause between them takes none back."""
    road = kept()
    assert not doubts(road, [7] * (MOST_DOUBTS - 1))
    road.tempo.keep(50, since=49)
    road.send(50, 7)
    road.tempo.turned_away(road.send(51, 8))

    assert road.tempo.is_doubtful


def test_a_single_doubt_is_enough_where_nothing_was_proved() -> None:
    """And proof makes it as sure as any."""
    assert doubts(kept(is_sure=False), [7])
    assert not doubts(kept(is_sure=False), [8, 7, 7])


def test_what_is_measured_again_counts_what_was_taken_since_the_beginning() -> None:
    """A few that were taken between two pauses are no measure."""
    road = kept(since=9.5)
    road.every(2, 10, since=11)
    road.tempo.keep(31, since=30)

    assert road.interval() == pytest.approx(21.5 / 10)


def test_before_rejections_by_chance_it_does_not_creep_to_a_halt() -> None:
    """The slower it went, the fewer would be taken in the time, for ever."""
    road = kept()
    for second in range(10, 200, 3):
        road.last = second
        road.tempo.turned_away(road.send(second + 1))
        road.send(second)

    assert road.interval() == pytest.approx(1.25, rel=0.01)
    road.tempo.keep(200, since=199)
    road.tempo.turned_away(road.send(201))
    assert road.tempo.interval_s > 1.25


def test_it_never_goes_so_fast_that_nothing_is_left_to_divide_by() -> None:
    """However many are taken in a row, as by a provider that has stopped to limit them."""
    road = kept()
    for number in range(40_000):
        road.send(20 + number / 100_000)

    assert road.tempo.interval_s == FASTEST_S
