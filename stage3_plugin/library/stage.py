"""``open_stage``: the stage for a program that has an event loop of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, get_args

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from host_stub.contract import ImageRequest, Lane, StagePlan
from stage3_plugin.domain.money import cap_in_microusd
from stage3_plugin.domain.waited import Waited as Standing
from stage3_plugin.engine import build
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.library.log import log_without
from stage3_plugin.library.opening import Opening, SettingsLike, opening_of
from stage3_plugin.library.result import Pictures, Waited, waited_of
from stage3_plugin.library.room import LoopDoor, StageUnusable, room_of
from stage3_plugin.library.run import OnProgress, PathLike, PictureRun, Work, Workshop
from stage3_plugin.library.scenes import (
    SceneLike,
    ScenesLike,
    keep_in_turns,
)
from stage3_plugin.library.stopping import Stop, heeding, held_back, until_it_raises

UsdLike: TypeAlias = Decimal | int | float | str

PICTURES: Final = "pictures"
"""Where pictures go if nothing else is said, below the current folder."""


class PictureStage:
    """An opened stage: plans scenes, and makes their pictures.

    It is used in the event loop that opened it. Several runs may go on at once: none of them buys
    what another one has bought, or is buying; each has its own ``max_cost_usd``.

    Attributes:
        warnings: What opening found that a person should know although everything works.
    """

    def __init__(self, workshop: Workshop, tasks: TaskGroup, going_on: set[Work]) -> None:
        self._workshop = workshop
        self._tasks = tasks
        self._door = LoopDoor()
        self._is_closed = False
        self._going_on = going_on
        self.warnings = workshop.room.stage.warnings

    async def plan(
        self,
        scenes: ScenesLike | AsyncIterable[SceneLike],
        *,
        max_cost_usd: UsdLike | None = None,
        scenes_dir: PathLike | None = None,
        lane: Lane | None = None,
    ) -> StagePlan:
        """Return what :meth:`run` would make and cost; nothing is spent or written.

        Args:
            scenes: As :meth:`run` takes them. An iterator is used up: give a list to both.
            max_cost_usd: The cap that the run would have.
            scenes_dir: As in :meth:`run`.
            lane: Likewise.

        Raises:
            ScenesRefused: The scenes cannot be run.
            SettingsRefused: As a run would.
            NotStarted: No run would start.
            StorageFailed: The ledger cannot be read, or a reference.
        """
        request = self._request(max_cost_usd, None, scenes_dir, lane)
        kept = await keep_in_turns(scenes)
        shop = self._workshop
        asked = kept.asked_with(request)
        try:
            plan = partial(shop.room.stage.plan, asked, pictures_dir=shop.pictures_dir)
            return await shop.room.call(plan)
        finally:
            kept.close()

    def run(
        self,
        scenes: ScenesLike | AsyncIterable[SceneLike],
        *,
        max_cost_usd: UsdLike | None = None,
        deadline_s: float | None = None,
        scenes_dir: PathLike | None = None,
        lane: Lane | None = None,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
    ) -> PictureRun:
        """Make pictures; ``async for`` takes the outcomes as they come, in the order they come.

        A scene that fails is an outcome with a ``failure``, never an exception.

        Args:
            scenes: A scene file, a scene, or some of them, also from an iterator; all of them are
                read and checked before anything is sent.
            max_cost_usd: A cap for this run in USD, beside those of the settings.
            deadline_s: Seconds for the whole run; then it stops as if ``stop`` were set.
            scenes_dir: Where file references of scenes start; by default the scene file's folder,
                or the current one.
            lane: How to buy what a scene says no lane of, instead of the settings': ``ordinary``,
                or ``batch``, for less and later: what is being made when the run ends is an
                outcome that failed as ``pending``, and a later run takes it in.
            on_progress: Called with each outcome as it comes, in the event loop's thread. What it
                raises stops the run, and is raised behind the last outcome.
            stop: Asks the run to stop, from any thread.

        Raises:
            SettingsRefused: ``max_cost_usd`` is no amount, or ``lane`` no lane.
            StageUnusable: The stage is closed, or of another event loop.
        """
        request = self._request(max_cost_usd, deadline_s, scenes_dir, lane)
        work = Work(self._workshop, scenes, request, on_progress, stop)
        return PictureRun(work, self._start)

    async def make(
        self,
        scenes: ScenesLike | AsyncIterable[SceneLike],
        *,
        max_cost_usd: UsdLike | None = None,
        deadline_s: float | None = None,
        scenes_dir: PathLike | None = None,
        lane: Lane | None = None,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
        check: bool = True,
    ) -> Pictures:
        """Make pictures, and return all outcomes in input order.

        Args:
            scenes: As in :meth:`run`, with all that follows.
            max_cost_usd: Likewise.
            deadline_s: Likewise.
            scenes_dir: Likewise.
            lane: Likewise.
            on_progress: Likewise.
            stop: Likewise.
            check: Raise if a picture is missing; else look at ``failed``.

        Raises:
            BudgetReached: A cap left pictures out; ``.pictures`` has those that were made.
            PicturesMissing: Some could not be made for another reason; likewise.
            Stage3Error: As in :meth:`run`.
        """
        request = self._request(max_cost_usd, deadline_s, scenes_dir, lane)
        work = Work(self._workshop, scenes, request, on_progress, stop)
        async with PictureRun(work, self._start) as run:
            outcomes = work.in_order([outcome async for outcome in run])
            pictures = Pictures(outcomes=outcomes, summary=run.summary)
        return pictures.check() if check else pictures

    async def wait(
        self,
        *,
        for_s: float | None = None,
        on_progress: Callable[[Waited], object] | None = None,
        stop: Stop | None = None,
    ) -> Waited:
        """Stay until what is being made at providers is there, and take it in; nothing is bought.

        That is what earlier runs have left, of batches above all: a run afterwards hands its
        pictures over as ``reused``. It asks gently; leaving at any moment changes nothing.

        Args:
            for_s: At most so many seconds.
            on_progress: Called with how it stands, in the event loop's thread, whenever something
                was asked. What it raises is raised, once it has left.
            stop: Asks it to leave, from any thread.

        Returns:
            How it stands.

        Raises:
            NotStarted: The ledger cannot be opened.
            StorageFailed: It cannot be read any more.
            StageUnusable: The stage is closed, or of another event loop.
        """
        self._need_open()
        stands, raised = Waited(), list[BaseException]()

        def note(standing: Standing) -> None:
            nonlocal stands
            stands = waited_of(standing)
            tell(stands)

        def report(standing: Standing) -> None:
            self._door.soon(partial(note, standing))

        def leave_with(error: BaseException) -> None:
            raised.append(error)
            scope.cancel()

        tell = until_it_raises(on_progress, leave_with)
        with anyio.CancelScope() as scope:

            def leave(_: bool) -> None:  # noqa: FBT001 - as a switch calls it
                self._door.now(scope.cancel)

            room = self._workshop.room
            with heeding(stop, leave):
                stands = waited_of(
                    await room.call(partial(room.stage.wait, for_s=for_s, report=report))
                )
        for error in raised:
            raise error
        return stands

    def _request(
        self,
        max_cost_usd: UsdLike | None,
        deadline_s: float | None,
        scenes_dir: PathLike | None,
        lane: Lane | None,
    ) -> ImageRequest:
        """Return what is asked for, but for the scenes."""
        self._need_open()
        return ImageRequest(
            run_id="",
            scenes=(),
            out_dir=self._workshop.pictures_dir.parent,
            deadline_s=deadline_s,
            max_cost_usd=cap_of(max_cost_usd),
            max_in_flight=self._workshop.most_in_flight,
            scenes_dir=None if scenes_dir is None else Path(scenes_dir),
            lane=lane_of(lane),
        )

    def _start(self, work: Work) -> None:
        self._need_open()
        self._going_on.add(work)
        self._tasks.start_soon(self._have_done, work)

    async def _have_done(self, work: Work) -> None:
        try:
            await work.go()
        finally:
            self._going_on.discard(work)

    def _need_open(self) -> None:
        if self._is_closed:
            raise StageUnusable("the stage is closed")
        self._door.need_here()

    def close(self) -> None:
        """Let no further run begin, and stop those that go on."""
        self._is_closed = True
        for work in self._going_on:
            work.stop()


@asynccontextmanager
async def open_stage(
    settings: SettingsLike,
    *,
    out_dir: PathLike = PICTURES,
    project_dir: PathLike | None = None,
) -> AsyncGenerator[PictureStage]:
    """Open a stage; leaving the block waits until what is in flight has ended, and closes it.

    It works by the same ledger as the command ``host-stub`` with the same settings: what either has
    bought the other finds, caps count for both, and what a killed program had paid for the next one
    takes in.

    Args:
        settings: The path of a config, or what would stand in its table ``[plugin.stage3]``: a
            dictionary, in which ``{"env": "NAME"}`` stands for a variable, or validated settings.
        out_dir: The folder of the picture files, one of the library's own; made if need be.
        project_dir: Where relative paths of the settings start, such as ``state_dir``; by default
            the config's folder, or the current one.

    Raises:
        SettingsRefused: The settings cannot be used, or a key is missing; see ``.hint``.
        NotStarted: The ledger cannot be read, or could not be made.
    """
    read = partial(opening_beside, settings, project_dir, Path(out_dir))
    opening, pictures_dir = await anyio.to_thread.run_sync(read)
    async with opened_by(opening, pictures_dir, out_dir=pictures_dir) as stage:
        yield stage


@asynccontextmanager
async def opened_by(
    opening: Opening, pictures_dir: Path, *, out_dir: Path | None = None
) -> AsyncGenerator[PictureStage]:
    """Open a stage; whatever leaves the block, what is in flight is taken in before that goes on.

    Args:
        opening: What it opens with.
        pictures_dir: The folder of the picture files.
        out_dir: A folder that people delete, where the ledger is not to lie.
    """
    raised: BaseException | None = None
    going_on = set[Work]()
    door = LoopDoor()

    def leave(is_second: bool) -> None:  # noqa: FBT001 - as a signal's handler calls it
        door.soon(scope.cancel)
        for work in list(going_on) if is_second else ():
            door.soon(work.cut_short)

    opened = build.open_stage(
        opening.settings,
        opening.project_dir,
        out_dir=out_dir,
        anew=opening.anew,
        secret_texts=opening.secrets,
        config=opening.config,
    )
    with anyio.CancelScope() as scope, held_back(leave):
        async with room_of(opened) as room:
            workshop = Workshop(
                room=room,
                pictures_dir=pictures_dir,
                most_in_flight=opening.most_in_flight,
                log=log_without((*opening.settings.secrets(), *opening.secrets)),
            )
            async with anyio.create_task_group() as tasks:
                library_stage = PictureStage(workshop, tasks, going_on)
                try:
                    yield library_stage
                except BaseException as error:  # noqa: BLE001 - raised again, and as it is: not in a group
                    raised = error
                finally:
                    library_stage.close()
            if raised is not None:
                raise raised


def opening_beside(
    settings: SettingsLike,
    project_dir: PathLike | None,
    out_dir: Path,
    *,
    is_looking: bool = False,
) -> tuple[Opening, Path]:
    """Return what to open with, and the folder of pictures.

    Raises:
        SettingsRefused: Also where that is the folder in which the command shows which take of each
            scene was picked: what a person picked would be replaced there.
    """
    opening = opening_of(settings, project_dir, is_looking=is_looking)
    pictures_dir = out_dir.absolute()
    results = opening.results_dir
    if results is not None and pictures_dir.resolve() == (results / "images").resolve():
        raise SettingsRefused(
            "out_dir",
            f"{pictures_dir} is where the command shows which picture of each scene was picked",
            hint="name a folder of the library's own",
        )
    return opening, pictures_dir


def cap_of(usd: UsdLike | None) -> Decimal | None:
    """Return a cap as an amount.

    Raises:
        SettingsRefused: It is no amount.
    """
    if usd is None:
        return None
    try:
        cap = Decimal(str(usd))  # "True" is no number
        cap_in_microusd(cap)
    except (InvalidOperation, ValueError):
        raise SettingsRefused(
            "max_cost_usd",
            "should be an amount of at least 0 and at most 1,000,000 USD",
            hint='write it as a number or as text, such as max_cost_usd="2.50"',
        ) from None
    return cap


def lane_of(name: Lane | None) -> Lane | None:
    """Return a lane, if it is one.

    Raises:
        SettingsRefused: There is none of this name.
    """
    if name is not None and name not in get_args(Lane):
        raise SettingsRefused("lane", "there is no such lane", hint="write 'ordinary' or 'batch'")
    return name
