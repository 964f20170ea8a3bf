"""The one pool: jobs that wait, and replicas that do them, wherever those are.

Nothing is started before the first job. Each replica makes what does the work once, and does one
call at a time; whoever is free takes what waits. A replica that dies, or does not end a call in
time, is killed with all that it has started, and the next one is made when there is work for it.
Several jobs that were lost in one call are done again one by one, so that the one which is to blame
is known.

A replica that cannot be made is not tried for ever: its place stays empty, and when all places are,
that is the same for every job.
"""

from __future__ import annotations

import math
import os
import uuid
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import anyio

from stage3_plugin.errors import (
    JobFailed,
    NoWorker,
    Stage3Error,
    StorageFailed,
    WorkerLost,
    WorkUnusable,
)
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.child import DiedIdle, Line
from stage3_plugin.executors.messages import Said, making
from stage3_plugin.runtime.masking import Masked

_LINGERS_S = 0.05
"""A call that could take more jobs waits for so long after each that comes,"""
_LINGERS_AT_MOST_S = 0.5
"""and no longer than this."""
_Shared = TypeVar("_Shared", bound=Stage3Error)


class Pool:
    """Replicas, and the jobs for them; an :class:`~stage3_plugin.executors.base.Executor`.

    Args:
        work: What each replica makes, and does jobs with.
        replicas: How many there may be.
        start_s: Seconds that one may take to make it.
        surroundings: Who uses them.
    """

    tries_to_make: ClassVar = 2
    """One that dies while it is made may do so by chance, for want of memory say; not each time."""
    remembers_s: ClassVar = 0.0
    """For how long it is the same for every job that no replica can be started."""

    def __init__(
        self, work: Work, replicas: int, start_s: float, surroundings: Surroundings
    ) -> None:
        self.slots = replicas * work.at_once
        self._work = work
        self._start_s = start_s
        self._timeout_s = surroundings.timeout_s
        self._tell = surroundings.tell
        self._masked = Masked(surroundings.secrets)
        self._seats = [_Seat(number) for number in range(replicas)]
        self._waiting: deque[_Job] = deque()
        self._news = anyio.Event()
        self._none: NoWorker | None = None
        self._none_until = 0.0
        self._has_made_one = False
        self._untold: list[str] = []

    async def _started(self, number: int, /) -> Line:
        """Start the replica of a place.

        Raises:
            NoWorker: It cannot be started.
            WorkerLost: It was, and is gone.
        """
        raise NotImplementedError

    async def _look_after(self) -> None:
        """Do what is to be done beside the jobs, until it is cancelled."""
        raise NotImplementedError

    async def _leave(self) -> None:
        """End what is left when all replicas have ended."""

    async def __aenter__(self) -> Self:
        self._beside = anyio.create_task_group()
        await self._beside.__aenter__()
        self._beside.start_soon(self._look_after)
        self._serving = anyio.create_task_group()
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *_raised: object) -> None:
        try:
            self._serving.cancel_scope.cancel()
            await self._serving.__aexit__(None, None, None)  # or what is raised became a group
        finally:
            await self._leave()
            self._beside.cancel_scope.cancel()
            await self._beside.__aexit__(None, None, None)

    @property
    def process_ids(self) -> frozenset[int]:
        """Name the processes of this machine that are alive, as far as is known."""
        return frozenset(seat.line.process.pid for seat in self._seats if seat.line is not None)

    @property
    def is_wanted(self) -> bool:
        """Whether there is any job."""
        return bool(self._waiting) or any(seat.jobs for seat in self._seats)

    async def run(self, job: bytes, into: Path) -> None:
        """Have a job done; waits for a free replica.

        When cancelled, the replica that does it is killed, unless it does others in the same call.

        Raises:
            JobFailed: The work says that it cannot be done.
            WorkerLost: The replica died over it, or took longer than a call may.
            NoWorker: None can be started.
            WorkUnusable: No replica can be made.
            StorageFailed: The disk did not take what was made.
        """
        self._raise_if_none()
        mine = _Job(job, into)
        self._waiting.append(mine)
        self._call_for_one_more()
        self._wake()
        try:
            await mine.ended.wait()
        except BaseException:
            await self._drop(mine)
            raise
        if mine.error is not None:
            raise mine.error

    async def _drop(self, job: _Job) -> None:
        """Leave a job that nobody waits for any more; one that is being done alone ends with it."""
        job.is_dropped = True
        if job in self._waiting:
            self._waiting.remove(job)
            return
        seat = next((seat for seat in self._seats if job in seat.jobs), None)
        with anyio.CancelScope(shield=True):
            if seat is not None and all(one.is_dropped for one in seat.jobs):
                if seat.line is not None:
                    seat.line.kill_now()
                await job.ended.wait()
            if job.ended.is_set():
                await job.remove()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    # Who does it ---------------------------------------------------------------------------------

    def _call_for_one_more(self) -> None:
        """Man one more place, if more waits than those take who are free or on their way."""
        free = sum(seat.is_manned and not seat.jobs for seat in self._seats)
        empty = [seat for seat in self._seats if not (seat.is_manned or seat.why_not)]
        if empty and len(self._waiting) > free * self._work.at_once:
            empty[0].is_manned = True
            self._serving.start_soon(self._serve, empty[0])

    async def _serve(self, seat: _Seat) -> None:
        """Do what waits, in one place, until it is left or nothing can be made there."""
        try:
            goes_on = True
            while goes_on:
                while not self._waiting:
                    await self._news.wait()
                goes_on = await self._serve_once(seat)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not hang whoever waits
            seat.why_not = WorkUnusable(f"{type(error).__name__}: {error}")
        finally:
            seat.is_manned = False
            with anyio.CancelScope(shield=True):
                await seat.close()
                for job in seat.jobs:
                    await job.remove()
            _end(seat.jobs, WorkerLost("was ended, since nothing more is wanted of it"))
            seat.jobs = []
        if seat.why_not is not None:
            self._give_up(seat.why_not)

    async def _serve_once(self, seat: _Seat) -> bool:
        """Have a replica in a place, and have it do one call; return whether it goes on there."""
        try:
            seat.is_starting = True
            line = await self._manned(seat)
        except WorkUnusable as error:
            await seat.leave()
            seat.why_not = error
            return False
        except NoWorker as error:
            if any(one.line is not None for one in self._seats):
                return False  # the others do it
            self._refuse(error, self.remembers_s)
            return True
        finally:
            seat.is_starting = False
        await self._linger(seat.at_once)
        seat.jobs = self._taken(seat.at_once)
        if seat.jobs:
            await self._call(seat, line)
        return True

    async def _manned(self, seat: _Seat) -> Line:
        """Return how the replica of a place is spoken with; one that died idle is replaced unseen.

        Raises:
            WorkUnusable: It cannot be made.
            NoWorker: None can be started.
        """
        if seat.line is not None and seat.line.is_alive:
            return seat.line
        tries = 0
        while True:
            await seat.leave()
            tries += 1
            try:
                seat.line = line = await self._started(seat.number)
                with anyio.fail_after(self._start_s):
                    said = await line.ask(*making(self._work))
            except TimeoutError as error:
                if tries < self.tries_to_make - 1:  # it takes longest, so once less
                    continue
                problem = f"it was not made within start_s, {self._start_s:g} s"
                words = "" if seat.line is None else seat.line.last_words()
                raise WorkUnusable(problem, words) from error
            except WorkerLost as lost:
                if tries == self.tries_to_make:
                    problem = f"the replica {lost.how} while it was made"
                    raise WorkUnusable(problem, lost.last_words) from lost
                continue
            seat.at_once = said["at_once"]
            self._note_made()
            return line

    def _note_made(self) -> None:
        """Say what could not be made, now that others can."""
        self._has_made_one = True
        while self._untold:
            self._tell(self._untold.pop())

    async def _linger(self, at_once: int) -> None:
        """Wait a moment for more jobs, where a call takes several."""
        with anyio.move_on_after(_LINGERS_AT_MOST_S):
            while 0 < len(self._waiting) < at_once and not self._waiting[0].is_alone:
                with anyio.move_on_after(_LINGERS_S) as moment:
                    await self._news.wait()
                if moment.cancelled_caught:
                    return

    def _taken(self, at_once: int) -> list[_Job]:
        """Take what waits; one that was lost among others is done alone."""
        taken: list[_Job] = []
        while self._waiting and len(taken) < at_once:
            if taken and self._waiting[0].is_alone:
                break
            taken.append(self._waiting.popleft())
            if taken[-1].is_alone:
                break
        return taken

    async def _call(self, seat: _Seat, line: Line) -> None:
        """Have a replica do the jobs of its place."""
        places = [[str(job.into), str(job.part)] for job in seat.jobs]
        try:
            with anyio.fail_after(self._timeout_s):
                said = await line.ask({"places": places}, [job.content for job in seat.jobs])
        except TimeoutError:
            how = f"did not end its work within timeout_s, {self._timeout_s:g} s"
            await self._lose(seat, WorkerLost(how, line.last_words()))
        except WorkerLost as lost:
            await self._lose(seat, lost)
        else:
            jobs, seat.jobs = seat.jobs, []
            for job, answer in zip(jobs, said["answers"], strict=True):
                if job.is_dropped:
                    await job.remove()
                job.end(self._error_of(answer, job))

    async def _lose(self, seat: _Seat, lost: WorkerLost) -> None:
        """End a replica, and tell its job; several, or what was not begun, are done again."""
        jobs, seat.jobs = seat.jobs, []
        await seat.leave()
        for job in reversed(jobs):
            await job.remove()
            is_told = job.is_alone or (len(jobs) == 1 and not isinstance(lost, DiedIdle))
            if is_told or job.is_dropped:
                job.end(lost)
            else:
                job.is_alone = True
                self._waiting.appendleft(job)
        for _ in jobs:
            self._call_for_one_more()
        self._wake()

    def _error_of(self, answer: Said | None, job: _Job) -> Stage3Error | None:
        if answer is None:
            return None
        if "errno" in answer:
            return StorageFailed(job.into, OSError(answer["errno"], os.strerror(answer["errno"])))
        return JobFailed(self._masked.text(answer["words"]), may_pass=answer["may_pass"])

    # Where nobody does it ------------------------------------------------------------------------

    def _give_up(self, why: WorkUnusable) -> None:
        """Say that nothing can be made anywhere, once that is so; else who is left goes on."""
        left = sum(seat.why_not is None for seat in self._seats)
        if not left:
            self._refuse(why, math.inf)
            return
        self._untold.append(
            f"a replica cannot be made: {why}; the run goes on with {left} of {len(self._seats)}"
        )
        if self._has_made_one:
            self._note_made()
        self._call_for_one_more()

    def _refuse(self, why: NoWorker, lasts_s: float) -> None:
        """Tell whoever waits, and whoever comes within so many seconds."""
        self._none, self._none_until = why, anyio.current_time() + lasts_s
        _end(self._waiting, why)
        self._waiting.clear()

    def _raise_if_none(self) -> None:
        if self._none is not None and anyio.current_time() < self._none_until:
            raise _again(self._none)


class _Job:
    """One job, from when it is asked for until it has ended."""

    def __init__(self, content: bytes, into: Path) -> None:
        self.content = content
        self.into = into.absolute()
        self.part = self.into.with_name(f".tmp-{uuid.uuid4().hex}")  # as files.folder has it
        self.ended = anyio.Event()
        self.error: Stage3Error | None = None
        self.is_alone = False
        self.is_dropped = False

    def end(self, error: Stage3Error | None) -> None:
        if not self.ended.is_set():
            self.error = error
            self.ended.set()

    async def remove(self) -> None:
        """Leave nothing of it, since it came to nothing."""
        for path in (self.part, self.into):
            with suppress(OSError):
                await anyio.Path(path).unlink(missing_ok=True)


class _Seat:
    """A place for one replica."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.line: Line | None = None
        self.at_once = 1
        self.jobs: list[_Job] = []
        self.is_manned = False
        self.is_starting = False
        self.why_not: WorkUnusable | None = None

    async def leave(self) -> None:
        """End its replica at once, if it has one."""
        line, self.line = self.line, None
        if line is not None:
            with anyio.CancelScope(shield=True):
                await line.kill()

    async def close(self) -> None:
        """End its replica: in its own time if it is idle, else at once."""
        line, self.line = self.line, None
        if line is not None:
            await (line.kill() if self.jobs else line.close())


def _end(jobs: Iterable[_Job], error: WorkerLost | NoWorker) -> None:
    for job in jobs:
        job.end(_again(error))


def _again(error: _Shared) -> _Shared:
    """Return the same error anew: one that is raised twice would grow with each traceback."""
    anew = copy(error)
    anew.__cause__ = error.__cause__
    return anew
