"""Runs stories whose scenes show one another, in virtual time: no network, and no disk of its own.

Pictures are told apart by whose they are; what is shown is noted as it would be sent.
"""

from __future__ import annotations

import hashlib
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import trio
import trio.testing

from host_stub.contract import Scene, StagePlan
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import (
    BroughtPicture,
    Limits,
    Reference,
    ReferenceWish,
    SentPicture,
)
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.engine.stage import Stage
from stage3_plugin.ledger.place import LEDGER_NAME, FilePlace
from stage3_plugin.ledger.session import Accounts
from stage3_plugin.runtime import interrupt
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.references import References
from tests.doors import Ran, Story, context_of
from tests.fakes.inline_commit import in_line
from tests.stage3.running import asking, costing
from tests.stage3.stored import Stored

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where syncing a ledger takes no time."""
PRICE = Charge(40_000, "reported")


def picture_of(name: str) -> Picture:
    """Return the one picture that a scene, or a prompt, leads to."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return Picture(sha256=sha256, media_type="image/png", width_px=64, height_px=64, size_bytes=1)


@dataclass
class Maker:
    """Makes each scene's picture in the time it is said to take.

    Attributes:
        takes_s: By scene; a second where it says nothing.
        script: What is answered instead of a picture.
        shown: What each request showed, in the order they were sent.
        sent_at: When each was.
    """

    takes_s: Mapping[str, float] = field(default_factory=dict[str, float])
    script: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    shown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    sent_at: dict[str, float] = field(default_factory=dict[str, float])
    in_flight: int = 0
    most: int = 0

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        """Take the time, and answer."""
        del attempt_id
        assert request.scene_id not in self.shown, "nothing is bought twice"
        self.shown[request.scene_id] = [one.sha256 for one in request.shown]
        self.sent_at[request.scene_id] = anyio.current_time()
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        with anyio.CancelScope(shield=True) as scope, interrupt.current().calling(scope.cancel):
            await anyio.sleep(self.takes_s.get(request.scene_id, 1.0))
        self.in_flight -= 1
        verdict = self.script.get(request.scene_id)
        if scope.cancelled_caught:
            verdict = Verdict(kind=VerdictKind.UNKNOWN, message="cut", may_be_billed=True)
        if verdict is not None:
            return AttemptResult(verdict=verdict, cost=FREE)
        made = picture_of(f"{request.scene_id}: {request.prompt}")
        return AttemptResult(verdict=Verdict(kind=VerdictKind.PICTURES), cost=PRICE, picture=made)


@dataclass
class OpenShelf:
    """Has every file.

    Attributes:
        holds: What is in it, by its name; where nothing is said, that is its name.
    """

    holds: Mapping[str, str] = field(default_factory=dict[str, str])

    async def show(
        self,
        wish: ReferenceWish,
        limits: Limits,
        picture: Picture | BroughtPicture | None = None,
    ) -> Reference:
        del limits
        if picture is not None:
            return _reference(wish, picture.sha256)
        held = self.holds.get(wish.image, wish.image)
        return _reference(wish, hashlib.sha256(held.encode()).hexdigest())


def _reference(wish: ReferenceWish, sha256: str) -> Reference:
    sent = SentPicture(sha256=sha256, media_type="image/png", size_bytes=1)
    return Reference(wish=wish, sha256=sha256, sent=sent)


class NoPictures(Pictures):
    """Publishes without a disk, which virtual time would not wait for."""

    async def put(
        self,
        picture: Picture,
        path: Path,
        *,
        root: Path,
        is_new: bool = False,
        instead_of: Collection[str] = (),
    ) -> Path | None:
        del picture, path, root, is_new, instead_of
        return None

    async def remove_answer(self, attempt_id: str) -> None:
        pass


async def _at_once(work: Callable[[], T], /) -> T:
    return work()


def no_shelf(_scenes_dir: Path) -> AbstractAsyncContextManager[References]:
    """Hold nothing, since nothing is shown."""
    raise AssertionError("no reference is asked for")


def _any_references(_request: PictureRequest) -> Limits:
    return Limits()


def stage_in(
    folder: Path, maker: Maker, *, files: Mapping[str, str] | None = None, **settings: Any
) -> Stage:
    """Put a stage together whose endpoint takes references; ``files`` says what is in them."""
    values: dict[str, Any] = {"provider": "openai", "model": "m", "size": "64x64", **settings}
    wanted = Settings(**values)

    @asynccontextmanager
    async def shelf(_scenes_dir: Path) -> AsyncGenerator[References]:
        yield cast("References", OpenShelf(files or {}))

    backend = Backend(
        route=replace(
            route_of(wanted, None),
            list_price=costing(50_000, 40_000),
            limits_of=_any_references,
        ),
        sender=lambda: Sender(attempt=maker.attempt, conversation_for=lambda _: None),
    )
    return stage_of(wanted, (backend,), folder, open_shelf=shelf)


def stage_of(
    wanted: Settings,
    backends: Sequence[Backend],
    folder: Path,
    *,
    open_shelf: Callable[[Path], AbstractAsyncContextManager[References]] = no_shelf,
) -> Stage:
    """Put a stage together that has these to buy from, and writes its ledger below a folder."""
    stored = Stored(folder)
    return Stage(
        wanted,
        tuple(backends),
        pictures=NoPictures(stored.objects, stored.spool, max_pixels=1 << 20, blocking=_at_once),
        accounts=Accounts(
            place=FilePlace(folder / LEDGER_NAME),
            state_dir=folder,
            time_zone="UTC",
            now=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
            open_commit=in_line,
        ),
        draw=lambda: 0.5,
        open_shelf=open_shelf,
    )


@dataclass
class Timed(Ran):
    """What a run left behind, and how long it took."""

    took_s: float = 0.0
    plans: list[StagePlan] = field(default_factory=list[StagePlan])


async def run(
    maker: Maker,
    scenes: Sequence[Scene],
    *,
    folder: Path | None = None,
    stopping: anyio.Event | None = None,
    asked: Sequence[Scene] | None = None,
    **settings: Any,
) -> Timed:
    """Plan and run a story; ``asked`` are those that are asked for, where not all are."""
    ran = Timed()
    with TemporaryDirectory(dir=MEMORY) as temporary:
        stage = stage_in(folder or Path(temporary), maker, **settings)
        story = Story(scenes if asked is None else asked)
        whole = None if asked is None else Story(scenes)
        ran.plans.append(await stage.plan(asking(story, story=whole)))
        began = anyio.current_time()
        ran.ending = await stage.run(asking(story, story=whole), context_of(ran, stopping))
    ran.took_s = anyio.current_time() - began
    return ran


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run in virtual time."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def ideal_s(
    order: Sequence[str],
    needs: Mapping[str, Collection[str]],
    takes_s: Mapping[str, float],
    capacity: int,
) -> float:
    """Return what a list schedule of this order takes that knows what waits for what.

    Whenever there is room, the first one begins whose needs have ended.
    """
    waiting, ended = deque(order), set[str]()
    in_flight: list[tuple[float, str]] = []
    now = 0.0
    while waiting or in_flight:
        free = [one for one in waiting if set(needs.get(one, ())) <= ended]
        for one in free[: capacity - len(in_flight)]:
            waiting.remove(one)
            heapq.heappush(in_flight, (now + takes_s.get(one, 1.0), one))
        now, one = heapq.heappop(in_flight)
        ended.add(one)
    return now
