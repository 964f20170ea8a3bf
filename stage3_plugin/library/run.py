"""One run of the library: its work, which goes on by itself, and what its caller holds of it.

The work is a task of the stage, and knows nothing of who takes its outcomes. So whatever becomes of
the caller's loop (it breaks, is cancelled, is forgotten), what is paid for comes to its end.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import anyio
import anyio.lowlevel
from structlog.typing import FilteringBoundLogger

from host_stub.contract import (
    Cost,
    Failure,
    ImageRequest,
    SceneOutcome,
    StageContext,
    StageSummary,
)
from host_stub.scenes.index import SceneIndex
from stage3_plugin.library.log import LOGGER
from stage3_plugin.library.result import Progress, Summary, with_one_more
from stage3_plugin.library.room import LoopDoor, Room
from stage3_plugin.library.scenes import (
    KeptScenes,
    SceneLike,
    ScenesLike,
    keep_in_turns,
)
from stage3_plugin.library.stopping import Stop, heeding, until_it_raises

OnProgress: TypeAlias = Callable[[Progress], object]
PathLike: TypeAlias = str | os.PathLike[str]

_NOT_BEGUN = StageSummary(
    stopped="cancelled", message="the run was stopped before anything was sent"
)
_CUT_SHORT = StageSummary(stopped="cancelled", message="the run was cut short")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What every run of a stage works with.

    Attributes:
        room: Has the stage that makes the pictures.
        pictures_dir: Where they go.
        most_in_flight: A ceiling beside the settings' capacity.
        log: Takes the events.
    """

    room: Room
    pictures_dir: Path
    most_in_flight: int
    log: FilteringBoundLogger


class Work:
    """A run, from its scenes to its last outcome.

    Args:
        workshop: What it works with.
        scenes: Its scenes, which have not been looked at.
        request: What else is asked for.
        on_progress: Called with each outcome.
        stop: Asks it to stop.

    Attributes:
        is_over: Nothing more comes of it.
        waiting: Outcomes that nobody has taken.
        summary: How it stands.
        failure: What broke it, or what its caller's own function raised, until somebody is told.
    """

    def __init__(
        self,
        workshop: Workshop,
        scenes: ScenesLike | AsyncIterable[SceneLike],
        request: ImageRequest,
        on_progress: OnProgress | None,
        stop: Stop | None,
    ) -> None:
        self.is_over = False
        self.waiting = deque[SceneOutcome]()
        self.failure: BaseException | None = None
        self._workshop = workshop
        self._scenes = scenes
        self._request = request
        self._switch = stop
        self.summary = Summary(wanted=0)
        self._positions = SceneIndex(array("Q"))
        self._ended = array("L")
        self._changed = anyio.Event()
        self._preparing = anyio.CancelScope()
        self._stopping: anyio.Event | None = None
        self._working: anyio.CancelScope | None = None
        self._door = LoopDoor()
        self._is_stopped = self._is_cut_short = self._is_forgotten = False
        self._on_progress = until_it_raises(on_progress, self._leave)

    async def go(self) -> None:
        """Do it; what breaks it is kept for the caller."""
        try:
            with heeding(self._switch, self.heed), self._preparing:
                await self._run(await keep_in_turns(self._scenes))
            if self._preparing.cancelled_caught:
                self._end(_NOT_BEGUN)
        except Exception as error:  # noqa: BLE001 - raised again where the outcomes are taken
            self.failure = self.failure or error
        finally:
            self.is_over = True
            if self._is_forgotten:
                self.log_failure()
            self._notify()

    async def _run(self, scenes: KeptScenes) -> None:
        """Run scenes; from here on only what is not paid for is given up at once."""
        self.summary = Summary(wanted=scenes.takes)
        self._positions = scenes.positions
        self._ended = array("L", [0]) * len(scenes)
        shop = self._workshop
        try:
            for line in shop.room.stage.warnings:
                shop.log.warning("stage.warned", message=line)
            with anyio.CancelScope(shield=True):
                request = scenes.asked_with(self._request)
                ended = await shop.room.call(partial(self._run_in_room, request), self.stop)
                self._end(ended or _CUT_SHORT)
        finally:
            self._account_for_the_rest(scenes)
            scenes.close()

    async def _run_in_room(self, request: ImageRequest) -> StageSummary | None:
        """Run a request where the stage works; return ``None`` if it was cut short."""
        self._stopping = anyio.Event()
        shop = self._workshop
        context = StageContext(
            log=shop.log,
            max_in_flight=shop.most_in_flight,
            stopping=self._stopping,
            deliver=self._deliver,
        )
        with anyio.CancelScope() as self._working:
            self._end_in_room()  # as it was stopped before there was anything to stop
            return await shop.room.stage.run(request, context, pictures_dir=shop.pictures_dir)
        return None

    def _end_in_room(self) -> None:
        if self._is_stopped and self._stopping is not None:
            self._stopping.set()
        if self._is_cut_short and self._working is not None:
            self._working.cancel()

    def _account_for_the_rest(self, scenes: KeptScenes) -> None:
        """End what the stage has left without an outcome, as one that is cut short does."""
        if self.summary.is_whole:
            return
        message = f"the run had stopped: {self.summary.message or 'it could not go on'}"
        failure = Failure(code="not_tried", message=message, retryable=True)
        for position, scene in enumerate(scenes):
            for take in range(1, scene.takes + 1):
                if not self._ended[position] >> take & 1:
                    self._take(
                        SceneOutcome(
                            scene_id=scene.scene_id,
                            take=take,
                            failure=failure,
                            cost=Cost(usd=Decimal(0), basis="free"),
                        )
                    )

    def _deliver(self, outcome: SceneOutcome) -> None:
        """Take an outcome over, from the room's loop into the program's."""
        self._door.soon(lambda: self._take(outcome))

    def _take(self, outcome: SceneOutcome) -> None:
        if outcome.role == "scene":
            position = self._positions.find(outcome.scene_id)
            assert position is not None, "the stage makes nothing that was not asked for"
            self._ended[position] |= 1 << outcome.take
        self.summary = with_one_more(self.summary, outcome)
        self.waiting.append(outcome)
        self._notify()
        self._on_progress(Progress(outcome=outcome, summary=self.summary))

    def _notify(self) -> None:
        before, self._changed = self._changed, anyio.Event()
        before.set()

    async def changed(self) -> None:
        """Wait until there is another outcome, or the run is over."""
        await self._changed.wait()

    def _end(self, ending: StageSummary) -> None:
        self.summary = replace(self.summary, stopped=ending.stopped, message=ending.message)

    def in_order(self, outcomes: Iterable[SceneOutcome]) -> list[SceneOutcome]:
        """Return outcomes in the order of their scenes; sheets come first."""

        def place(outcome: SceneOutcome) -> tuple[int, int]:
            found = self._positions.find(outcome.scene_id)
            return (-1 if found is None or outcome.role == "sheet" else found, outcome.take)

        return sorted(outcomes, key=place)

    def _leave(self, error: BaseException) -> None:
        """Stop, and raise it where the outcomes are taken, behind the last of them."""
        self.failure = error
        self.stop()

    def stop(self) -> None:
        """Send nothing new; what is in flight has ``drain_s`` to end."""
        self._preparing.cancel()  # once it has begun, what it holds is shielded from this
        self._is_stopped = True
        self._workshop.room.soon(self._end_in_room)

    def cut_short(self) -> None:
        """Give up what is in flight, too."""
        self._is_cut_short = True
        self.stop()

    def heed(self, is_at_once: bool) -> None:  # noqa: FBT001 - as a switch calls it
        """Do the one or the other, from whatever thread."""
        self._door.now(self.cut_short if is_at_once else self.stop)

    def forget(self) -> None:
        """Stop, since nobody is left to take what comes; safe in a finalizer."""
        self._is_forgotten = True
        if self.is_over:
            self.log_failure()
        else:
            self._door.soon(self.stop)

    def log_failure(self) -> None:
        """Note what broke it, where nobody is told."""
        if self.failure is not None:
            LOGGER.error("a run ended with an error that nobody took", exc_info=self.failure)
            self.failure = None

    def need_here(self) -> None:
        """Refuse to be used in another thread.

        Raises:
            StageUnusable: It is.
        """
        self._door.need_here()


class PictureRun:
    """Outcomes as they come, one for each picture that the scenes want: ``async for`` takes them.

    The run begins when the first is asked for. To stop it, break out of the loop and keep no
    reference to this, or leave ``async with`` around it: nothing new is sent then, and what is in
    flight is paid for and taken in before the stage closes. If you keep it, you may go on later.
    Two tasks may take from one run; each outcome goes to one of them.
    """

    def __init__(self, work: Work, start: Callable[[Work], None]) -> None:
        self._work = work
        self._start = start
        self._has_begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SceneOutcome:
        """Return the next outcome.

        Raises:
            ScenesRefused: The scenes cannot be run; nothing was sent.
            SettingsRefused: The settings cannot work with these scenes; nothing was sent.
            NotStarted: The ledger cannot be opened; nothing was sent.
            Stage3Error: The run as a whole could not go on; all outcomes have come by then.
            BaseException: What ``on_progress`` raised; likewise.
        """
        work = self._work
        work.need_here()
        self._begin()
        await anyio.lowlevel.checkpoint()
        while not work.waiting:
            if work.is_over:
                self._raise_failure()
                raise StopAsyncIteration
            await work.changed()
        return work.waiting.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._has_begun:
            self._work.forget()

    @property
    def summary(self) -> Summary:
        """How the run stands; once the last outcome is there, how it ended."""
        return self._work.summary

    @property
    def is_over(self) -> bool:
        """Whether it has ended; outcomes may still wait to be taken."""
        return self._work.is_over

    def stop(self, *, at_once: bool = False) -> None:
        """Send nothing new; the loop goes on until every scene has its outcome. From any thread.

        Args:
            at_once: Give up what is in flight, too; see :meth:`Stop.set`.
        """
        self._work.heed(at_once)

    async def aclose(self) -> None:
        """Stop, and wait until what is in flight has ended."""
        if not self._has_begun:
            self._work.is_over = True
            return
        self._work.stop()
        await self._until_over()
        self._work.log_failure()

    async def ended(self) -> Summary:
        """Wait until the run has ended, and return how; another task may take its outcomes.

        Raises:
            Stage3Error: As the loop would.
        """
        self._work.need_here()
        self._begin()
        await self._until_over()
        self._raise_failure()
        return self.summary

    async def _until_over(self) -> None:
        while not self._work.is_over:
            await self._work.changed()

    def _begin(self) -> None:
        if not self._has_begun and not self._work.is_over:
            self._has_begun = True
            self._start(self._work)

    def _raise_failure(self) -> None:
        failure, self._work.failure = self._work.failure, None
        if failure is not None:
            raise failure
