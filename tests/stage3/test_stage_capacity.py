"""A stage's capacity: it follows the provider, keeps known limits, and says what it does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.settings import Settings
from tests.fakes.limits import AtOnce, Limit, NoLimit, TurnedAway, judge
from tests.stage3.showing import Timed, virtually
from tests.stage3.test_stage import Maker, Story, attempted, run

K = VerdictKind
PAID: dict[str, Any] = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9"}


@dataclass
class LimitedMaker(Maker):
    """Makes pictures as a hidden limit allows, and rejects the others in a quarter of a second."""

    limit: Limit = NoLimit()  # noqa: RUF009 - it keeps no books
    rejection: Verdict = Verdict(kind=K.RATE_LIMITED)  # noqa: RUF009 - frozen
    answer: Verdict = Verdict(kind=K.PICTURES)  # noqa: RUF009 - frozen
    working: int = 0
    rejected: int = 0

    async def attempt(
        self,
        attempt_id: str,  # noqa: ARG002 - the scene tells enough
        request: PictureRequest,
        _jobs: object = None,
    ) -> AttemptResult:
        now = anyio.current_time()
        self.sent.append(request.scene_id)
        self.sent_at.append(now)
        if isinstance(judge(self.limit, now, self.working), TurnedAway):
            self.rejected += 1
            await anyio.sleep(0.25)
            return attempted(self.rejection, request)
        self.working += 1
        await anyio.sleep(self.duration_s)
        self.working -= 1
        return attempted(self.answer, request)


def made(ran: Timed) -> int:
    return Counter(ran.ended().values())["made"]


def most_in(seconds: float, moments: list[float]) -> int:
    return max(sum(a <= b < a + seconds for b in moments) for a in moments)


@pytest.mark.parametrize(
    "rejection",
    [Verdict(kind=K.RATE_LIMITED), Verdict(kind=K.BUSY, lower_capacity=True)],
    ids=["rate limited", "overloaded"],
)
def test_capacity_follows_what_the_provider_takes(rejection: Verdict) -> None:
    """Eight of forty are taken: found in a moment, used to the full, and no attempt is used up."""
    maker = LimitedMaker(limit=AtOnce([(0, 8)]), duration_s=20, rejection=rejection)
    ran = virtually(lambda: run(maker, Story(120), capacity=40, max_attempts=1, **PAID))

    assert made(ran) == 120
    assert maker.rejected <= 0.2 * len(maker.sent)
    assert ran.took_s <= 1.15 * 120 / 8 * 20


def test_changes_of_capacity_are_told_with_their_reasons() -> None:
    """Whoever watches the run sees how much is in flight, and why not more."""
    maker = LimitedMaker(limit=AtOnce([(0, 8), (60, 12)]), duration_s=5)
    ran = virtually(lambda: run(maker, Story(400), capacity=40, **PAID))
    changes = ran.named("capacity.changed")

    assert [changes[0][name] for name in ("reason", "previous", "limit")] == ["turned_away", 40, 8]
    assert [changes[1][name] for name in ("reason", "previous", "limit")] == ["went_well", 8, 12]


def test_a_scene_that_pauses_with_all_the_others_says_how_long() -> None:
    """Its wait in the event is the pause, and it starts when that is over."""
    maker = LimitedMaker(limit=AtOnce([(0, 0), (20, 30)]), duration_s=20)
    ran = virtually(lambda: run(maker, Story(30), capacity=16, **PAID))
    waits = [one["wait_s"] for one in ran.named("scene.retried")]

    assert max(waits) <= 6.25
    assert sum(wait > 3 for wait in waits) >= 2
    assert made(ran) == 30


def test_being_turned_away_uses_up_no_attempts_of_what_may_fail_later() -> None:
    """Two tries are allowed: two rejections, a failure and a picture are two."""
    limited = Verdict(kind=K.RATE_LIMITED)
    overloaded = Verdict(kind=K.BUSY, lower_capacity=True)
    maker = Maker({"s0": [limited, overloaded, Verdict(kind=K.BUSY)]})
    ran = virtually(lambda: run(maker, Story(1), max_attempts=2, **PAID))

    assert ran.ended() == {"s0": "made"}
    assert maker.sent == ["s0"] * 4


def test_a_failure_that_is_no_matter_of_capacity_teaches_the_gate_nothing() -> None:
    """Forty broken answers at the limit are no reason to send more."""
    broken = Verdict(kind=K.BUSY)
    maker = LimitedMaker(limit=AtOnce([(0, 8)]), duration_s=20, answer=broken)
    ran = virtually(lambda: run(maker, Story(60), capacity=40, **PAID))

    assert "went_well" not in {one["reason"] for one in ran.named("capacity.changed")}
    assert set(ran.ended().values()) == {"unavailable"}


def test_a_wait_beyond_the_longest_holds_nobody_back() -> None:
    """The scene that was asked to wait fails, and so would the others, for which nobody waits."""
    maker = Maker({"s0": [Verdict(kind=K.RATE_LIMITED, hint_s=500)]})
    ran = virtually(lambda: run(maker, Story(2), capacity=1, max_wait_s=60, **PAID))

    assert ran.ended() == {"s0": "rate_limited", "s1": "made"}
    assert maker.sent_at[1] - maker.sent_at[0] < 60


def test_a_scene_is_not_sent_after_its_deadline() -> None:
    """Being turned away uses up no attempts, but time; also where the gate was shut for long."""
    maker = LimitedMaker(limit=AtOnce([(0, 0)]))
    ran = virtually(lambda: run(maker, Story(3), **PAID))
    waited = max(maker.sent_at) - min(maker.sent_at)

    assert set(ran.ended().values()) == {"rate_limited"}
    assert waited <= 3600
    assert all("deadline_s" in str(one.failure) for one in ran.outcomes.values())
    assert len(ran.named("scene.failed")) == 3


@pytest.mark.parametrize("pacing", ["window", "paced"])
def test_a_known_limit_per_minute_is_kept_and_used(pacing: str) -> None:
    """Thirty a minute: never more, and no later than needed."""
    maker = LimitedMaker(duration_s=20)
    known: dict[str, Any] = {"requests_per_minute": 30, "pacing": pacing}
    ran = virtually(lambda: run(maker, Story(100), capacity=64, **known, **PAID))

    assert made(ran) == 100
    assert most_in(60, maker.sent_at) == 30
    assert ran.took_s == pytest.approx((3 * 60 if pacing == "window" else 99 * 2) + 20, abs=0.1)


def test_a_window_that_an_answer_calls_used_up_is_waited_for() -> None:
    """Nothing is left for half a minute, says a success: so nothing is sent in it."""
    maker = LimitedMaker(answer=Verdict(kind=K.PICTURES, used_up_s=30))
    ran = virtually(lambda: run(maker, Story(3), capacity=1, **PAID))
    first = maker.sent_at[0]

    assert [at - first for at in maker.sent_at] == [0, 31, 62]
    assert [one["reason"] for one in ran.named("capacity.changed")] == ["used_up"] * 3


def test_capacity_can_be_fixed() -> None:
    """Then rejections make their own scenes wait, and nothing is told of capacity."""
    maker = LimitedMaker(limit=AtOnce([(0, 2)]), duration_s=2)
    ran = virtually(lambda: run(maker, Story(12), capacity=6, adaptive=False, **PAID))

    assert made(ran) == 12
    assert ran.named("capacity.changed") == []


def test_pacing_without_a_limit_is_a_mistake() -> None:
    """Nothing would be kept, and nobody told."""
    with pytest.raises(ValueError, match="requests_per_minute"):
        Settings(pacing="paced")
