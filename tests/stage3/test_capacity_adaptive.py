"""The adaptive limiter: from what it is told, step by step, and against limits it cannot see."""

from __future__ import annotations

import math
import random
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.departures import (
    LONGEST_WAIT_S,
)
from stage3_plugin.policy.capacity.limiter import Permit
from stage3_plugin.policy.capacity.rate_limit import RateLimit
from tests.benchmarks.simulated_runs import (
    LONGEST_RECOVERY_S,
    MOST_LOST_TO_A_JUMP_S,
    lost_to_a_jump_s,
    recovery_s,
)
from tests.benchmarks.simulation import Case, DeafLimiter, KnowingLimiter, World
from tests.fakes.limits import AtOnce, Bucket, ByChance, FixedWindow, Limit, NoLimit


def middle() -> float:
    """Draw without chance: a pause is then exactly its length, a hint gets a quarter second."""
    return 0.5


def send(limiter: AdaptiveLimiter, count: int, now: float = 0.0) -> list[Permit]:
    """Let scenes through and send them at once."""
    passages = [limiter.enter() for _ in range(count)]
    for permit in passages:
        permit.sent(now)
    return passages


def stage(limiter: AdaptiveLimiter, now: float) -> list[Permit]:
    """Send as long as the limiter allows it."""
    passages: list[Permit] = []
    while limiter.may_send(now, limiter.state(now).sent).allowed:
        passages += send(limiter, 1, now)
    return passages


def shut(hint_s: float | None = None) -> tuple[AdaptiveLimiter, float]:
    """Return a limiter before which nothing is taken any more, and when it learnt it."""
    limiter = AdaptiveLimiter(16, draw=middle, longest_hint_s=100)
    for permit in stage(limiter, 0):
        permit.rejected(0.2, hint_s)
    limiter.may_send(0.2, 0)
    return limiter, 0.2


# Next to nothing is taken --------------------------------------------------------------------


def test_the_wait_a_provider_asks_for_is_everybodys_where_nothing_is_taken() -> None:
    """With a little jitter, and no longer than the longest that is obeyed."""
    limiter, now = shut(hint_s=30)
    patient, _ = shut(hint_s=100_000)

    assert limiter.may_send(now, 0).wake_at == pytest.approx(30.45)
    assert limiter.state(now).pause_s == pytest.approx(30.25)
    assert patient.may_send(now, 0).wake_at == pytest.approx(100.45)


# The rate ------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_in_a_pause_makes_nobody_wait_for_an_hour() -> None:
    """It was to be over in a moment."""
    limiter, now = shut()
    wake_at = limiter.may_send(now - 3600, 0).wake_at

    assert wake_at is not None
    assert wake_at <= now - 3600 + LONGEST_WAIT_S


def test_in_a_pause_those_that_prepare_count_as_leaving_now() -> None:
    """Several at once never pass together what one after the other could not."""
    limiter, now = shut()
    wake_at = limiter.may_send(now, 0).wake_at
    assert wake_at is not None
    limiter.enter()

    assert not limiter.may_send(wake_at, 1).allowed


# Laws ----------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.integers(0, 7), st.integers(0, 99), st.sampled_from([0.0] * 8 + [3600.0, -3600.0])
    ),
    max_size=150,
)
"""What happens, a number that says more of it, and how far the clock jumps before."""


def end(permit: Permit, kind: int, number: int, now: float) -> None:
    """End a try in one of the ways there are."""
    if kind == 3:
        permit.answered(now)
    elif kind in {4, 5}:
        permit.rejected(now, None)
    elif kind == 6:
        permit.rejected(now, number * 1000.0)
    else:
        permit.__exit__()


@given(steps=steps, ceiling=st.integers(1, 40), is_paced=st.booleans())
def test_whatever_is_told_in_whatever_order_the_limiter_never_stays_shut(
    steps: list[tuple[int, int, float]], ceiling: int, *, is_paced: bool
) -> None:
    """Answers in any order, lost requests, absurd hints, clocks that jump: no wait is for ever.

    With nothing in flight the limiter names a moment no further off than the longest wait there is.
    """
    longest_hint_s = 50.0
    rate_limit = RateLimit(1, 1.5) if is_paced else None
    limiter = AdaptiveLimiter(
        ceiling, draw=middle, longest_hint_s=longest_hint_s, rate_limit=rate_limit
    )
    inside: list[Permit] = []
    now = 10_000.0
    for kind, number, jump_s in steps:
        now += number / 50 + jump_s
        permission = limiter.may_send(now, len(inside))
        if kind <= 2 and permission.allowed:
            inside.append(limiter.enter())
            if kind:
                inside[-1].sent(now)
        elif inside and kind > 2:
            end(inside.pop(number % len(inside)), kind, number, now)

        state = limiter.state(now)
        assert 1 <= state.limit <= ceiling
        assert 0 <= state.sent <= len(inside)
        assert 0 <= state.pause_s <= max(longest_hint_s + 0.5, LONGEST_WAIT_S)
    for permit in inside:
        permit.__exit__()
    permission = limiter.may_send(now, 0)
    for _ in range(3):  # a verdict may come first, and a pause after it
        if permission.allowed:
            break
        assert permission.wake_at is not None
        assert now < permission.wake_at <= now + max(longest_hint_s + 0.5, LONGEST_WAIT_S)
        now = permission.wake_at
        permission = limiter.may_send(now, 0)
    assert permission.allowed


@pytest.mark.parametrize(
    "limit, least, most_wasted",
    [
        (AtOnce([(0, 8)]), 0.95, 0.08),
        (Bucket(60, 60), 0.95, 0.1),
        (AtOnce([(0, 32), (450, 8)]), 0.95, 0.08),
        (NoLimit(), 0.95, 0.0),
        (Bucket(60, 5), 0.95, 0.08),
        (FixedWindow(120), 0.95, 0.08),
        (Bucket(60, 60, 1, 30), 0.85, 0.1),
    ],
    ids=["8 at once", "60 a minute", "32, 8", "none", "burst 5", "120 per window", "charged"],
)
def test_a_hidden_limit_is_found_and_used(limit: Limit, least: float, most_wasted: float) -> None:
    """In a quarter of an hour, beside a client that knows the limit; the benchmark has the rest."""
    case = Case("a quarter of an hour", lambda _: deepcopy(limit))
    best, ours = World(case, 7), World(case, 7)
    best.run(KnowingLimiter(64, best.limit, best), until_s=900)
    ours.run(AdaptiveLimiter(64, draw=random.Random(7).random), until_s=900)

    assert ours.made >= least * best.made
    assert ours.wasted <= most_wasted


@pytest.mark.parametrize("hint_s", [None, 2.0, 30.0])
@pytest.mark.parametrize(
    "share, most, seed",
    [(0.05, 1.1, 1), (0.05, 1.1, 15), (0.05, 1.1, 35), (0.1, 1.25, 10), (0.1, 1.25, 19)],
)
def test_not_even_bad_luck_makes_rejections_by_chance_dear(
    share: float, most: float, seed: int, hint_s: float | None
) -> None:
    """Three in a row in the first second, or at the last place: quick pictures, many at once."""
    case = Case(
        "by chance",
        lambda rng: ByChance(share, random.Random(rng.random()).random, hint_s=hint_s),
        is_hinted=hint_s is not None,
        scenes=20 * 64,
        mean_s=1.0,
        sigma=0.4,
        rejection_s=(0.16, 0.26),
    )
    fixed, ours = World(case, seed), World(case, seed)
    fixed.run(DeafLimiter(64), until_s=1e6)
    ours.run(AdaptiveLimiter(64, draw=random.Random(seed + 1000).random), until_s=1e6)

    assert ours.now <= most * fixed.now


@pytest.mark.parametrize("seed", range(4))
def test_a_short_run_meets_a_hidden_eight_seldom_though_connections_are_slow(seed: int) -> None:
    """Rejections come after a second, and a place is free before its picture is here."""
    case = Case(
        "8 at once, slow connections",
        lambda _: AtOnce([(0, 8)]),
        scenes=160,
        transit_s=0.1,
        rejection_s=(0.9, 1.1),
    )
    best, ours = World(case, seed), World(case, seed)
    best.run(KnowingLimiter(64, best.limit, best), until_s=1e6)
    ours.run(AdaptiveLimiter(64, draw=random.Random(seed + 1000).random), until_s=1e6)

    assert ours.now <= 1.1 * best.now
    assert ours.wasted <= 0.1


@pytest.mark.parametrize("seed", range(6))
def test_a_limit_that_falls_is_found_before_an_outage_is_believed(seed: int) -> None:
    """From thirty-two at once to eight: nothing is taken until there are eight, and all is then."""
    case = Case(
        "32, then 8",
        lambda _: AtOnce([(0, 32), (50, 8)]),
        scenes=480,
        mean_s=10.0,
        sigma=0.4,
        rejection_s=(0.16, 0.26),
    )
    best, ours = World(case, seed), World(case, seed)
    best.run(KnowingLimiter(64, best.limit, best), until_s=1e6)
    ours.run(AdaptiveLimiter(64, draw=random.Random(seed + 1000).random), until_s=1e6)

    assert ours.now <= 1.1 * best.now


@pytest.mark.parametrize("taken", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("ceiling", [8, 64])
def test_full_pace_is_back_soon_after_an_outage(ceiling: int, taken: float) -> None:
    """However little was taken in those ten minutes."""
    back_s, rejected_a_second = recovery_s(ceiling, 600, taken, seed=5)

    assert back_s <= LONGEST_RECOVERY_S
    assert rejected_a_second <= 1


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
@pytest.mark.parametrize("limit", [AtOnce([(0, 8)]), Bucket(240, 8)], ids=["8 at once", "240/min"])
def test_a_clock_that_jumps_costs_a_minute_at_most(limit: Limit, by_s: float) -> None:
    """Forwards or backwards, in the middle of a run."""
    case = Case("jump", lambda _: deepcopy(limit), scenes=160, mean_s=1.0)

    assert lost_to_a_jump_s(case, by_s, seed=3) <= MOST_LOST_TO_A_JUMP_S


def test_quick_replies_are_made_as_quickly_as_without_a_limiter() -> None:
    """In a minute of half-second pictures, the stages cost no more than a few seconds."""
    case = Case("quick replies", lambda _: NoLimit(), mean_s=0.5)
    best, ours = World(case, 3), World(case, 3)
    best.run(KnowingLimiter(64, best.limit, best), until_s=60)
    ours.run(AdaptiveLimiter(64, draw=middle), until_s=60)

    assert ours.made >= 0.95 * best.made


# A rate, and rejections that name a wait -------------------------------------------------------


class InWholeSeconds(Bucket):
    """Names its waits as ``Retry-After`` does."""

    def wait_s(self, now: float, in_flight: int) -> float:
        return math.ceil(super().wait_s(now, in_flight))


@pytest.mark.parametrize("limit", [Bucket, InWholeSeconds])
@pytest.mark.parametrize("scenes, most_wasted", [(120, 0.12), (400, 0.08)])
@pytest.mark.parametrize("ceiling", [16, 64])
def test_a_rate_that_names_its_waits_is_learned_from_few_rejections(
    limit: type[Bucket], scenes: int, most_wasted: float, ceiling: int
) -> None:
    """240 a minute and eight at once, pictures of half a second: nearly as quick as who knows."""
    per_minute, burst, took_s = 240, 8, 0.5
    best_s = (scenes - burst) * 60 / per_minute + took_s
    for seed in range(5):
        world = World(
            Case(
                "a rate",
                lambda _: limit(per_minute, burst),
                is_hinted=True,
                ceiling=ceiling,
                scenes=scenes,
                mean_s=took_s,
                sigma=0.05,
                rejection_s=(0.005, 0.02),
            ),
            seed,
        )
        world.run(AdaptiveLimiter(ceiling, draw=random.Random(seed).random), until_s=2 * best_s)

        assert world.made == scenes
        assert world.now <= 1.05 * best_s
        assert world.wasted <= most_wasted


@pytest.mark.parametrize("seed", range(6))
def test_a_wait_that_proves_to_be_wrong_is_believed_no_more(seed: int) -> None:
    """Chance names one, too: what is taken before it is over says so, and no rate is kept."""
    case = Case(
        "chance",
        lambda rng: ByChance(0.1, random.Random(rng.random()).random, hint_s=2.0),
        is_hinted=True,
        ceiling=32,
        scenes=640,
        mean_s=1.0,
        sigma=0.4,
        rejection_s=(0.16, 0.26),
    )
    ours, each_for_itself = World(case, seed), World(case, seed)
    each_for_itself.run(DeafLimiter(32), until_s=1000)
    ours.run(AdaptiveLimiter(32, draw=random.Random(seed + 1000).random), until_s=1000)

    assert ours.now < 1.1 * each_for_itself.now
