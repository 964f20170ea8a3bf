"""A run from first scene to last outcome, with makers that need no network and no disk."""

import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import anyio
import pytest
import structlog
import trio
import trio.testing
from structlog.testing import CapturingLogger

from host_stub.contract import Scene, SceneOutcome, StageSummary
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.engine.stage import Stage
from stage3_plugin.ledger.place import LEDGER_NAME, FilePlace
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.runtime import interrupt
from stage3_plugin.settings import Settings
from tests.fakes.inline_commit import in_line
from tests.stage3.running import asking, context_of, costing
from tests.stage3.showing import NoPictures, no_shelf
from tests.stage3.stored import Stored

K = VerdictKind
T = TypeVar("T")
PRICE = Charge(40_000, "reported")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where syncing a ledger takes no time."""


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


async def _at_once(work: Callable[[], T], /) -> T:
    return work()


@dataclass
class Ran:
    """What a run left behind."""

    outcomes: list[SceneOutcome]
    events: list[dict[str, Any]]
    ending: StageSummary | None = None
    took_s: float = math.nan

    def codes(self) -> dict[str, str]:
        """Return how each scene ended."""
        return {one.scene_id: one.failure.code if one.failure else "made" for one in self.outcomes}

    def named(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]


async def run(
    maker: Maker,
    story: Story,
    *,
    stopping: anyio.Event | None = None,
    deadline_s: float | None = None,
    into: Ran | None = None,
    before: Callable[[Path], None] = lambda _state_dir: None,
    **settings: Any,
) -> Ran:
    """Run a story; ``into`` gets the results also if the run raises.

    ``before`` may put something into the state folder.
    """
    ran = into or Ran([], [])
    capturing = CapturingLogger()
    log = structlog.wrap_logger(capturing, processors=[_keep(ran.events)])
    wanted = Settings(**settings)
    sender = Sender(maker=maker, conversation_for=lambda _: None)
    backend = Backend(
        route=replace(route_of(wanted, None), list_price=costing(0)), sender=lambda: sender
    )
    began = anyio.current_time()
    with TemporaryDirectory(dir=MEMORY) as folder:
        state_dir = Path(folder)
        before(state_dir)
        stored = Stored(state_dir)
        stage = Stage(
            wanted,
            (backend,),
            pictures=NoPictures(stored.objects, stored.spool, max_pixels=1, blocking=_at_once),
            accounts=Accounts(
                place=FilePlace(state_dir / LEDGER_NAME),
                state_dir=state_dir,
                time_zone="UTC",
                now=lambda: datetime.now(UTC),
                monotonic=time.monotonic,
                open_commit=in_line,
            ),
            draw=lambda: 0.5,
            open_shelf=no_shelf,
        )
        context = context_of(log, ran.outcomes.append, stopping)
        ran.ending = await stage.run(asking(story, deadline_s=deadline_s), context)
    ran.took_s = anyio.current_time() - began
    return ran


def _keep(events: list[dict[str, Any]]) -> Callable[..., Any]:
    def keep(_logger: object, _method: str, event: dict[str, Any]) -> str:
        events.append(dict(event))
        return ""

    return keep


def virtually(main: Callable[[], Awaitable[Ran]]) -> Ran:
    """Run in virtual time."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_every_scene_gets_one_outcome_and_its_events_pair() -> None:
    """A beginning has exactly one end."""
    script: dict[str, Sequence[Any]] = {
        "s1": [Verdict(kind=K.BUSY), Verdict(kind=K.RATE_LIMITED, hint_s=3)],
        "s2": [Verdict(kind=K.REFUSED, message="policy", provider_status=400)],
    }
    maker = Maker({key: list(value) for key, value in script.items()})
    ran = virtually(lambda: run(maker, Story(6), capacity=2))

    assert ran.codes() == dict.fromkeys((f"s{n}" for n in range(6)), "made") | {"s2": "refused"}
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
    ran = Ran([], [])
    with pytest.raises(OSError, match="the file changed"):
        virtually(lambda: run(Maker(), Story(9, breaks_at=3), into=ran))

    assert ran.codes() == {"s0": "made", "s1": "made", "s2": "made"}


def test_a_fault_of_our_own_stops_the_run_and_is_raised_at_its_end() -> None:
    """Its scene may have been paid for; no further one is."""
    ran = Ran([], [])
    maker = Maker({"s0": [KeyError("oops")]})
    with pytest.raises(KeyError, match="oops"):
        virtually(lambda: run(maker, Story(3), into=ran, capacity=1))

    assert ran.codes() == {"s0": "unknown", "s1": "not_tried", "s2": "not_tried"}
    assert ran.outcomes[0].cost == UNKNOWN.told


@pytest.mark.anyio
async def test_cancelling_ends_started_scenes_as_cancelled_and_goes_on() -> None:
    """Those in flight and those waiting; on both event loops."""
    ran = Ran([], [])
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
    codes = list(ran.codes().values())

    assert scope.cancelled_caught
    assert ran.codes()["s0"] == "cancelled"
    assert codes.count("cancelled") == 3
    assert codes.count("made") == len(codes) - 3
    assert len(codes) == len(set(maker.sent))
