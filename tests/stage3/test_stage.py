"""A run from first scene to last outcome, with makers that need no network and no disk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import anyio
import pytest

from host_stub.contract import Scene
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.runtime import interrupt
from stage3_plugin.settings import Settings
from tests.doors import context_of
from tests.stage3.running import asking, costing
from tests.stage3.showing import MEMORY, Timed, stage_of, virtually

K = VerdictKind
T = TypeVar("T")
PRICE = Charge(40_000, "reported")


class Story:
    """Scenes ``s0``, ``s1``, …; can break while it is read."""

    def __init__(self, scenes: int, *, breaks_at: int | None = None) -> None:
        self.scenes = scenes
        self.breaks_at = breaks_at
        self.changes: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return self.scenes

    def __iter__(self) -> Iterator[Scene]:
        for number in range(self.scenes):
            if number == self.breaks_at:
                raise OSError("the file changed")
            scene = Scene(scene_id=f"s{number}", prompt=f"prompt {number}")
            yield scene.model_copy(update=self.changes.get(number, {}))


@dataclass
class Maker:
    """Answers each scene's attempts from a script; whatever is not scripted succeeds."""

    script: dict[str, list[Verdict | Exception | AttemptResult]] = field(
        default_factory=dict[str, list[Verdict | Exception | AttemptResult]]
    )
    duration_s: float = 1.0
    first_s: float | None = None
    sent: list[str] = field(default_factory=list[str])
    sent_at: list[float] = field(default_factory=list[float])

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        del attempt_id
        self.sent.append(request.scene_id)
        self.sent_at.append(anyio.current_time())
        answers = self.script.get(request.scene_id, [])
        answer = answers.pop(0) if answers else Verdict(kind=K.PICTURES)
        with anyio.CancelScope(shield=True) as scope, interrupt.current().calling(scope.cancel):
            is_first = request.scene_id == "s0"
            await anyio.sleep((is_first and self.first_s) or self.duration_s)
        if scope.cancelled_caught:
            verdict = Verdict(kind=K.UNKNOWN, message="interrupted", may_be_billed=True)
            return AttemptResult(verdict=verdict, cost=UNKNOWN, interrupted=True)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, AttemptResult) else attempted(answer, request)


def attempted(verdict: Verdict, request: PictureRequest) -> AttemptResult:
    if verdict.kind is not K.PICTURES:
        return AttemptResult(verdict=verdict, cost=UNKNOWN if verdict.may_be_billed else FREE)
    picture = Picture(
        sha256="0" * 64,
        media_type="image/png",
        width_px=request.width_px,
        height_px=512,
        size_bytes=1,
    )
    return AttemptResult(verdict=verdict, cost=PRICE, picture=picture)


async def run(
    maker: Maker,
    story: Story,
    *,
    stopping: anyio.Event | None = None,
    deadline_s: float | None = None,
    into: Timed | None = None,
    before: Callable[[Path], None] = lambda _state_dir: None,
    **settings: Any,
) -> Timed:
    """Run a story; ``into`` gets the results also if the run raises.

    ``before`` may put something into the state folder.
    """
    ran = into or Timed()
    wanted = Settings(**settings)
    sender = Sender(attempt=maker.attempt, conversation_for=lambda _: None)
    backend = Backend(
        route=replace(route_of(wanted, None), list_price=costing(0)), sender=lambda: sender
    )
    began = anyio.current_time()
    with TemporaryDirectory(dir=MEMORY) as folder:
        state_dir = Path(folder)
        before(state_dir)
        stage = stage_of(wanted, (backend,), state_dir)
        ran.ending = await stage.run(
            asking(story, deadline_s=deadline_s), context_of(ran, stopping)
        )
    ran.took_s = anyio.current_time() - began
    return ran


def test_every_scene_gets_one_outcome_and_its_events_pair() -> None:
    """A beginning has exactly one end."""
    script: dict[str, Sequence[Any]] = {
        "s1": [Verdict(kind=K.BUSY), Verdict(kind=K.RATE_LIMITED, hint_s=3)],
        "s2": [Verdict(kind=K.REFUSED, message="policy", provider_status=400)],
    }
    maker = Maker({key: list(value) for key, value in script.items()})
    ran = virtually(lambda: run(maker, Story(6), capacity=2))

    assert ran.ended() == dict.fromkeys((f"s{n}" for n in range(6)), "made") | {"s2": "refused"}
    assert len(ran.outcomes) == 6
    starts = [(one["scene_id"], one["attempt"]) for one in ran.named("scene.started")]
    ends = [
        (one["scene_id"], one["attempt"])
        for name in ("scene.retried", "scene.finished", "scene.failed")
        for one in ran.named(name)
    ]
    assert sorted(starts) == sorted(ends)
    assert [one["cause"] for one in ran.named("scene.retried")] == ["unavailable", "rate_limited"]
    assert ran.events[0]["event"] == "stage.started"
    assert ran.events[-1] == {
        "event": "stage.finished",
        "made": 5,
        "reused": 0,
        "failed": 1,
        "skipped": 0,
        "retries": 2,
    }


def test_a_source_that_breaks_is_told_after_paid_work_has_ended() -> None:
    """Nothing in flight is lost to it."""
    ran = Timed()
    with pytest.raises(OSError, match="the file changed"):
        virtually(lambda: run(Maker(), Story(9, breaks_at=3), into=ran))

    assert ran.ended() == {"s0": "made", "s1": "made", "s2": "made"}


def test_a_fault_of_our_own_stops_the_run_and_is_raised_at_its_end() -> None:
    """Its scene may have been paid for; no further one is."""
    ran = Timed()
    maker = Maker({"s0": [KeyError("oops")]})
    with pytest.raises(KeyError, match="oops"):
        virtually(lambda: run(maker, Story(3), into=ran, capacity=1))

    assert ran.ended() == {"s0": "unknown", "s1": "not_tried", "s2": "not_tried"}
    assert ran.outcomes["s0"].cost == UNKNOWN.told


@pytest.mark.anyio
async def test_cancelling_ends_started_scenes_as_cancelled_and_goes_on() -> None:
    """Those in flight and those waiting; on both event loops."""
    ran = Timed()
    maker = Maker({"s0": [Verdict(kind=K.BUSY, hint_s=100)]}, duration_s=0.01)

    async def were_sent(number: int) -> None:
        while len(maker.sent) < number:
            await anyio.sleep(0.001)

    async def cancel_when_both_are_slow() -> None:
        await were_sent(10)
        maker.duration_s = 100
        await were_sent(len(maker.sent) + 2)
        scope.cancel()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_when_both_are_slow)
            await run(maker, Story(500), into=ran, capacity=2)
    codes = list(ran.ended().values())

    assert scope.cancelled_caught
    assert ran.ended()["s0"] == "cancelled"
    assert codes.count("cancelled") == 3
    assert codes.count("made") == len(codes) - 3
    assert len(codes) == len(set(maker.sent))
