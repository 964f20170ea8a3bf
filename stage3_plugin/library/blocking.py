"""``make_pictures`` and its like: the stage for a program that has no event loop.

Each call runs an event loop of its own in a thread of its own, and waits for it. So it can be
called from a script, a thread or a notebook alike, whether or not a loop is running there. Whatever
is raised in the thread that waits, by Ctrl-C, another signal's handler, ``on_progress`` or somebody
else, means the same: the first stops, the second cuts short.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

import anyio

from host_stub.contract import Lane, StagePlan
from stage3_plugin.library.opening import SettingsLike
from stage3_plugin.library.result import Pictures, Progress, Waited
from stage3_plugin.library.run import OnProgress, PathLike
from stage3_plugin.library.scenes import ScenesLike, keep
from stage3_plugin.library.stage import (
    PICTURES,
    UsdLike,
    cap_of,
    lane_of,
    open_stage,
    opened_by,
    opening_beside,
)
from stage3_plugin.library.stopping import MOST_HELD, Stop, heeding

Result = TypeVar("Result")

_TURN_S: Final = 1.0
"""Seconds; Windows hears Ctrl-C only between two of these."""


def make_pictures(
    scenes: ScenesLike,
    settings: SettingsLike,
    *,
    out_dir: PathLike = PICTURES,
    project_dir: PathLike | None = None,
    max_cost_usd: UsdLike | None = None,
    deadline_s: float | None = None,
    scenes_dir: PathLike | None = None,
    lane: Lane | None = None,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    check: bool = True,
) -> Pictures:
    """Make the pictures of scenes, and return all outcomes in input order; blocks until then.

    Args:
        scenes: A scene file, a scene, or some of them, also from an iterator; all of them are read
            and checked before anything is sent.
        settings: As :func:`~stage3_plugin.open_stage` takes them.
        out_dir: The folder of the picture files, one of the library's own.
        project_dir: Where relative paths of the settings start.
        max_cost_usd: A cap for this call in USD, beside those of the settings.
        deadline_s: Seconds for the whole run; then it stops as if ``stop`` were set.
        scenes_dir: Where file references of scenes start.
        lane: How to buy what a scene says no lane of, instead of the settings': ``ordinary``, or
            ``batch``, for less and later: what is being made when the call returns is an outcome
            that failed as ``pending``, and a later call takes it in.
        on_progress: Called with each outcome as it comes, in the calling thread. What it raises
            stops the run, and is raised once what is in flight has been taken in.
        stop: Asks the run to stop, from any thread.
        check: Raise if a picture is missing; else look at ``failed``.

    Raises:
        BudgetReached: A cap left pictures out; ``.pictures`` has those that were made.
        PicturesMissing: Some could not be made for another reason; likewise.
        ScenesRefused: The scenes cannot be run; nothing was sent.
        SettingsRefused: The settings cannot be used, or a key is missing; nothing was sent.
        NotStarted: The ledger cannot be opened; nothing was sent.
        BaseException: Ctrl-C, or what a signal's handler or ``on_progress`` raised; what was in
            flight has ended, and the ledger has it.
    """
    cap_of(max_cost_usd)  # refuses before scenes are read, as the next one does
    lane_of(lane)
    kept = keep(scenes)
    switch = Stop()
    call = _Call[Pictures](switch=switch, on_progress=on_progress)

    async def make() -> Pictures:
        async with open_stage(settings, out_dir=out_dir, project_dir=project_dir) as stage:
            return await stage.make(
                kept,
                max_cost_usd=max_cost_usd,
                deadline_s=deadline_s,
                scenes_dir=scenes_dir,
                lane=lane,
                on_progress=None if on_progress is None else call.report,
                stop=switch,
                check=check,
            )

    try:
        with heeding(stop, lambda is_at_once: switch.set(at_once=is_at_once)):
            return call.wait_for(make)
    finally:
        kept.close()


def plan_pictures(
    scenes: ScenesLike,
    settings: SettingsLike,
    *,
    out_dir: PathLike = PICTURES,
    project_dir: PathLike | None = None,
    max_cost_usd: UsdLike | None = None,
    scenes_dir: PathLike | None = None,
    lane: Lane | None = None,
) -> StagePlan:
    """Return what :func:`make_pictures` would make and cost; nothing is spent or written.

    Nothing is sent either, so that no key is needed; the plan's ``warnings`` name what a run lacks.

    Args:
        scenes: As there. An iterator is used up: give a list to both.
        settings: As there.
        out_dir: As there.
        project_dir: As there.
        max_cost_usd: The cap that the call would have.
        scenes_dir: As there.
        lane: As there.

    Raises:
        ScenesRefused: As there.
        SettingsRefused: As there.
        NotStarted: As there.
        StorageFailed: The ledger cannot be read, or a reference.
    """
    kept = keep(scenes)

    async def plan() -> StagePlan:
        read = partial(opening_beside, settings, project_dir, Path(out_dir), is_looking=True)
        opening, pictures_dir = await anyio.to_thread.run_sync(read)
        async with opened_by(opening, pictures_dir, out_dir=pictures_dir) as stage:
            planned = await stage.plan(
                kept,
                max_cost_usd=max_cost_usd,
                scenes_dir=scenes_dir,
                lane=lane,
            )
        return planned.model_copy(update={"warnings": (*opening.lacks, *planned.warnings)})

    try:
        return _Call[StagePlan]().wait_for(plan)
    finally:
        kept.close()


def wait_for_pictures(
    settings: SettingsLike,
    *,
    project_dir: PathLike | None = None,
    for_s: float | None = None,
    stop: Stop | None = None,
) -> Waited:
    """Stay until what is being made at providers is there, and take it in; blocks until then.

    Nothing is bought; :func:`make_pictures` afterwards hands the pictures over as ``reused``.

    Args:
        settings: As :func:`~stage3_plugin.open_stage` takes them.
        project_dir: Where relative paths of the settings start.
        for_s: At most so many seconds.
        stop: Asks it to leave, from any thread.

    Raises:
        SettingsRefused: The settings cannot be used, or a key is missing.
        NotStarted: The ledger cannot be opened.
        StorageFailed: It cannot be read any more.
        BaseException: Ctrl-C, or what a signal's handler raised; everything is as it was.
    """
    switch = Stop()

    async def wait() -> Waited:
        async with open_stage(settings, project_dir=project_dir) as stage:
            return await stage.wait(for_s=for_s, stop=switch)

    with heeding(stop, lambda is_at_once: switch.set(at_once=is_at_once)):
        return _Call[Waited](switch=switch).wait_for(wait)


class _Call(Generic[Result]):
    """Runs a function of its own event loop to its end, in a thread of its own.

    Args:
        switch: Stops it, at the first exception in the calling thread, and cuts it short at the
            second; without one, the first leaves at once.
        on_progress: Called in the calling thread, until something is raised there.
    """

    def __init__(
        self, *, switch: Stop | None = None, on_progress: OnProgress | None = None
    ) -> None:
        self._switch = switch or Stop()
        self._most_held = 0 if switch is None else MOST_HELD
        self._on_progress = on_progress
        self._queue = SimpleQueue[Progress | None]()
        self._result: list[Result] = []
        self._failure: BaseException | None = None

    def report(self, progress: Progress) -> None:
        """Have it reported by the calling thread."""
        self._queue.put(progress)

    def wait_for(self, function: Callable[[], Awaitable[Result]]) -> Result:
        """Run it, and return or raise what comes of it, or what was raised here meanwhile."""
        # Without the caller's context, which may say that a loop is running here.
        thread = threading.Thread(target=self._go, args=(function,), name="stage3", daemon=True)

        def at_exit() -> None:
            self._switch.set()
            thread.join()

        atexit.register(at_exit)  # this thread may be a daemon, which ends without a word
        try:
            thread.start()
            raised = self._attend(thread)
            thread.join()
        except BaseException:  # nothing more leaves, wherever it came
            self._switch.set(at_once=True)
            raise
        finally:
            atexit.unregister(at_exit)
        if raised:
            raise raised[-1]
        if self._failure is not None:
            raise self._failure
        (result,) = self._result
        return result

    def _go(self, function: Callable[[], Awaitable[Result]]) -> None:
        try:
            self._result.append(anyio.run(function))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self._failure = error
        finally:
            self._queue.put(None)

    def _attend(self, thread: threading.Thread) -> list[BaseException]:
        """Report progress until it is over; return what was raised here meanwhile."""
        raised = list[BaseException]()
        heeded = 0
        while True:
            try:
                while heeded < len(raised):
                    heeded += 1
                    self._switch.set(at_once=heeded == MOST_HELD)
                if self._report_next(thread, is_left=bool(raised)):
                    return raised
            except BaseException as error:
                raised.append(error)
                if len(raised) > self._most_held:
                    raise

    def _report_next(self, thread: threading.Thread, *, is_left: bool) -> bool:
        """Report one more outcome, if there is one; return whether it is over."""
        try:
            progress = self._queue.get(timeout=_TURN_S)
        except Empty:
            return not thread.is_alive()  # what was raised may have cost us the last word
        if progress is None:
            return True
        if self._on_progress is not None and not is_left:
            self._on_progress(progress)
        return False
