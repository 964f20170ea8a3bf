"""``make_pictures`` and its like: the stage for a program that has no event loop.

Each call runs an event loop of its own in a thread of its own, and waits for it. So it can be
called from a script, a thread or a notebook alike, whether or not a loop is running there, and
Ctrl-C means the same everywhere: the first one stops, the second one cuts short.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

import anyio

from host_stub.contract import Lane, StagePlan
from stage3_plugin.library.callback import Callback
from stage3_plugin.library.opening import SettingsLike
from stage3_plugin.library.result import Pictures, Progress, Waited
from stage3_plugin.library.run import OnProgress
from stage3_plugin.library.scenes import ScenesLike, folder_of, keep
from stage3_plugin.library.stage import PICTURES, PathLike, UsdLike, cap_of, lane_of, open_stage
from stage3_plugin.library.stopping import Stop

Result = TypeVar("Result")

_MOST_INTERRUPTS: Final = 2
"""The first stops, the second cuts short; a third leaves at once."""
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
        on_progress: Called with each outcome as it comes, in the calling thread. One that raises is
            not called again, and harms nothing.
        stop: Asks the run to stop, from any thread.
        check: Raise if a picture is missing; else look at ``failed``.

    Raises:
        BudgetReached: A cap left pictures out; ``.pictures`` has those that were made.
        PicturesMissing: Some could not be made for another reason; likewise.
        ScenesRefused: The scenes cannot be run; nothing was sent.
        SettingsRefused: The settings cannot be used, or a key is missing; nothing was sent.
        NotStarted: The ledger cannot be opened; nothing was sent.
        KeyboardInterrupt: Ctrl-C; what was in flight has ended, and the ledger has it.
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
                scenes_dir=scenes_dir if scenes_dir is not None else folder_of(scenes),
                lane=lane,
                on_progress=None if on_progress is None else call.report,
                stop=switch,
                check=check,
            )

    def heed(is_at_once: bool) -> None:  # noqa: FBT001 - as a switch calls it
        switch.set(at_once=is_at_once)

    if stop is not None:
        stop.add(heed)
    try:
        return call.wait_for(make)
    finally:
        if stop is not None:
            stop.remove(heed)
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
        async with open_stage(settings, out_dir=out_dir, project_dir=project_dir) as stage:
            return await stage.plan(
                kept,
                max_cost_usd=max_cost_usd,
                scenes_dir=scenes_dir if scenes_dir is not None else folder_of(scenes),
                lane=lane,
            )

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
        KeyboardInterrupt: Ctrl-C; everything is as it was.
    """
    switch = Stop()

    async def wait() -> Waited:
        async with open_stage(settings, project_dir=project_dir) as stage:
            return await stage.wait(for_s=for_s, stop=switch)

    def heed(is_at_once: bool) -> None:  # noqa: FBT001 - as a switch calls it
        switch.set(at_once=is_at_once)

    if stop is not None:
        stop.add(heed)
    try:
        return _Call[Waited](switch=switch).wait_for(wait)
    finally:
        if stop is not None:
            stop.remove(heed)


class _Call(Generic[Result]):
    """Runs a function of its own event loop to its end, in a thread of its own.

    Args:
        switch: Stops it, at the first Ctrl-C, and cuts it short at the second; without one, the
            first leaves at once.
        on_progress: Called in the calling thread.
    """

    def __init__(
        self, *, switch: Stop | None = None, on_progress: OnProgress | None = None
    ) -> None:
        self._switch = switch
        self._on_progress = Callback(on_progress)
        self._queue = SimpleQueue[Progress | None]()
        self._result: list[Result] = []
        self._failure: BaseException | None = None

    def report(self, progress: Progress) -> None:
        """Have it reported by the calling thread."""
        self._queue.put(progress)

    def wait_for(self, function: Callable[[], Awaitable[Result]]) -> Result:
        """Run it, and return or raise what comes of it."""
        # Without the caller's context, which may say that a loop is running here.
        thread = threading.Thread(target=self._go, args=(function,), name="stage3", daemon=True)
        interrupts = self._attend(thread)
        thread.join()
        if interrupts:
            raise interrupts[-1]
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

    def _attend(self, thread: threading.Thread) -> list[KeyboardInterrupt]:
        """Start it, and report progress until it is over; return each Ctrl-C that came meanwhile.

        One may come at any moment, also while another one is dealt with.
        """
        interrupts = list[KeyboardInterrupt]()
        heeded = 0
        while True:
            try:
                if thread.ident is None:
                    thread.start()
                while self._switch is not None and heeded < len(interrupts):
                    heeded += 1
                    self._switch.set(at_once=heeded == _MOST_INTERRUPTS)
                if self._report_next():
                    return interrupts
            except KeyboardInterrupt as interrupt:
                interrupts.append(interrupt)
                if self._switch is None or len(interrupts) > _MOST_INTERRUPTS:
                    raise

    def _report_next(self) -> bool:
        """Report one more outcome, if there is one; return whether it is over."""
        try:
            progress = self._queue.get(timeout=_TURN_S)
        except Empty:
            return False
        if progress is None:
            return True
        self._on_progress(progress)
        return False
