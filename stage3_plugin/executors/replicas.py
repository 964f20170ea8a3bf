"""The pool of processes of this machine; ``executor.kind = "processes"`` has one for a GPU.

Nothing is started before the first job. Each replica makes what does the work once, and does one
call at a time; whoever is free takes what waits. A replica that dies, or does not end a call in
time, is killed with all that it has started, and the next one is made when there is work for it.
Several jobs that were lost in one call are done again one by one, so that the one which is to blame
is known.

A replica that cannot be made is not tried for ever: its place stays empty, and when all places are,
that is the same for every job.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Self, TypeVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, Strict

from stage3_plugin.errors import (
    JobFailed,
    NoWorker,
    SettingsRefused,
    Stage3Error,
    StorageFailed,
    WorkerLost,
    WorkUnusable,
)
from stage3_plugin.executors.base import Problem, Surroundings, Work
from stage3_plugin.executors.replica_handle import ReplicaHandle, replica_environment
from stage3_plugin.executors.replica_process import Answer, DiskProblem, Order
from stage3_plugin.runtime.masking import Masked

DEVICES = "CUDA_VISIBLE_DEVICES"
MOST_REPLICAS = 256
_GPUS = Path("/proc/driver/nvidia/gpus")
_TRIES_TO_MAKE = 2
"""A replica that dies while it is made may do so by chance, for want of memory say; not twice."""
_LINGERS_S = 0.05
"""A call that could take more jobs waits for so long after each that comes,"""
_LINGERS_AT_MOST_S = 0.5
"""and no longer than this."""
_LOOKS_AT_OUTPUT_S = 0.2
"""How often what replicas print is looked at: one that prints without end must not fill a disk."""
_Shared = TypeVar("_Shared", bound=Stage3Error)


class ReplicasOptions(BaseModel):
    """What the table ``executor`` holds beside ``kind = "processes"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    replicas: Annotated[int, Strict()] = Field(
        default=1,
        ge=1,
        le=MOST_REPLICAS,
        description="How many processes; each makes the class for itself.",
    )
    gpus: Annotated[int, Strict()] = Field(
        default=1,
        ge=0,
        le=64,
        description="GPUs of each, by CUDA_VISIBLE_DEVICES: its own, and no other's. 0 leaves all "
        "that there are to every replica.",
    )
    start_s: Annotated[float, Strict()] = Field(
        default=900.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a replica may take to import the class and make it.",
    )


class Replicas:
    """Replicas on this machine; an :class:`~stage3_plugin.executors.base.Executor`.

    Args:
        work: What each makes, and does jobs with.
        options: How many, and on what.
        surroundings: Who uses it.

    Raises:
        SettingsRefused: There are not as many GPUs as they would need.
    """

    Options: ClassVar[type[BaseModel]] = ReplicasOptions

    def __init__(self, work: Work, options: BaseModel, /, *, surroundings: Surroundings) -> None:
        asked = ReplicasOptions.model_validate(options.model_dump())
        self.slots = asked.replicas * work.at_once
        self._work = work
        self._start_s = asked.start_s
        self._timeout_s = surroundings.timeout_s
        self._tell = surroundings.tell
        self._secrets = surroundings.secrets
        self._masked = Masked(surroundings.secrets)
        devices = devices_of(asked.replicas, asked.gpus, os.environ.get(DEVICES))
        self._seats = [_Seat(number, own) for number, own in enumerate(devices)]
        self._waiting: deque[_Job] = deque()
        self._news = anyio.Event()
        self._unusable: WorkUnusable | None = None
        self._has_made_one = False
        self._untold: list[str] = []

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._forget_output)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)  # or what is raised inside became a group

    @property
    def process_ids(self) -> frozenset[int]:
        """Name the processes that are alive, as far as is known."""
        return frozenset(
            seat.replica.process_id for seat in self._seats if seat.replica is not None
        )

    async def run(self, job: bytes, into: Path) -> None:
        """Have a job done; waits for a free replica.

        When cancelled, the replica that does it is killed, unless it does others in the same call.

        Raises:
            JobFailed: The work says that it cannot be done.
            WorkerLost: The replica died over it, or took longer than a call may.
            NoWorker: No process can be started.
            WorkUnusable: No replica can be made.
            StorageFailed: The disk did not take what was made.
        """
        if self._unusable is not None:
            raise _again(self._unusable)
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
                if seat.replica is not None:
                    seat.replica.kill_now()
                await job.ended.wait()
            if job.ended.is_set():
                await _remove([job.order])

    async def _forget_output(self) -> None:
        while True:
            await anyio.sleep(_LOOKS_AT_OUTPUT_S)
            for seat in self._seats:
                if seat.replica is not None:
                    with suppress(OSError):
                        seat.replica.forget_output()

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
            self._group.start_soon(self._serve, empty[0])

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
                await _remove([job.order for job in seat.jobs])
            _end(seat.jobs, WorkerLost("was ended, since nothing more is wanted of it"))
            seat.jobs = []
        if seat.why_not is not None:
            self._give_up(seat.why_not)

    async def _serve_once(self, seat: _Seat) -> bool:
        """Have a replica in a place, and have it do one call; return whether it goes on there."""
        try:
            replica = await self._manned(seat)
        except WorkUnusable as error:
            seat.why_not = error
            return False
        except NoWorker as error:
            if any(one.replica is not None for one in self._seats):
                return False  # the others do it
            _end(self._taken(1), error)
            return True
        await self._linger(replica.at_once)
        seat.jobs = self._taken(replica.at_once)
        if seat.jobs:
            await self._call(seat, replica)
        return True

    async def _manned(self, seat: _Seat) -> ReplicaHandle:
        """Return the replica of a place; one that has died idle is replaced unseen.

        Raises:
            WorkUnusable: It cannot be made.
            NoWorker: No process can be started.
        """
        if seat.replica is not None and seat.replica.is_alive:
            return seat.replica
        tries = 0
        while True:
            await seat.leave()
            tries += 1
            environment = self._environment()
            if seat.devices is not None:
                environment[DEVICES] = seat.devices
            seat.replica = replica = await ReplicaHandle.start(environment, self._masked)
            try:
                await replica.make(self._work, self._start_s)
            except WorkerLost as lost:
                await seat.leave()
                if tries == _TRIES_TO_MAKE:
                    problem = f"the replica {lost.how} while it was made"
                    raise WorkUnusable(problem, lost.last_words) from lost
            except WorkUnusable:
                await seat.leave()
                raise
            else:
                self._note_made()
                return replica

    def _environment(self) -> dict[str, str]:
        """Return what a process is started in."""
        return replica_environment(os.environ, self._secrets, self._masked)

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

    async def _call(self, seat: _Seat, replica: ReplicaHandle) -> None:
        """Have a replica do the jobs of its place."""
        try:
            answers = await replica.do([one.order for one in seat.jobs], self._timeout_s)
        except WorkerLost as lost:
            jobs, seat.jobs = seat.jobs, []
            await seat.leave()
            await _remove([one.order for one in jobs])
            if len(jobs) == 1:
                _end(jobs, lost)
            else:
                self._have_done_alone(jobs, lost)
            return
        jobs, seat.jobs = seat.jobs, []
        for job, answer in zip(jobs, answers, strict=True):
            if job.is_dropped:
                await _remove([job.order])
            job.end(self._error_of(answer, job))

    def _have_done_alone(self, jobs: Sequence[_Job], lost: WorkerLost) -> None:
        for job in reversed(jobs):
            if job.is_dropped:
                job.end(lost)
            else:
                job.is_alone = True
                self._waiting.appendleft(job)
        for _ in jobs:
            self._call_for_one_more()
        self._wake()

    def _error_of(self, answer: Answer, job: _Job) -> Stage3Error | None:
        if isinstance(answer, Problem):
            return JobFailed(self._masked.text(answer.words), may_pass=answer.may_pass)
        if isinstance(answer, DiskProblem):
            failure = OSError(answer.number, os.strerror(answer.number))
            return StorageFailed(job.order.into, failure)
        return None

    def _give_up(self, why: WorkUnusable) -> None:
        """Say that nothing can be made anywhere, once that is so; else who is left goes on."""
        left = sum(seat.why_not is None for seat in self._seats)
        if not left:
            self._unusable = why
            _end(self._waiting, why)
            self._waiting.clear()
            return
        self._untold.append(
            f"a replica cannot be made: {why}; the run goes on with {left} of {len(self._seats)}"
        )
        if self._has_made_one:
            self._note_made()
        self._call_for_one_more()


class _Job:
    """One job, from when it is asked for until it has ended."""

    def __init__(self, job: bytes, into: Path) -> None:
        into = into.absolute()
        self.order = Order(job, into, into.with_name(f".{uuid.uuid4().hex}.part"))
        self.ended = anyio.Event()
        self.error: Stage3Error | None = None
        self.is_alone = False
        self.is_dropped = False

    def end(self, error: Stage3Error | None) -> None:
        if not self.ended.is_set():
            self.error = error
            self.ended.set()


class _Seat:
    """A place for one replica, with GPUs of its own."""

    def __init__(self, number: int, devices: str | None) -> None:
        self.number = number
        self.devices = devices
        self.replica: ReplicaHandle | None = None
        self.jobs: list[_Job] = []
        self.is_manned = False
        self.why_not: WorkUnusable | None = None

    async def leave(self) -> None:
        """End its replica at once, if it has one."""
        replica, self.replica = self.replica, None
        if replica is not None:
            with anyio.CancelScope(shield=True):
                await replica.kill()

    async def close(self) -> None:
        """End its replica: in its own time if it is idle, else at once."""
        replica, self.replica = self.replica, None
        if replica is None:
            return
        await (replica.kill() if self.jobs else replica.close())


def _end(jobs: Iterable[_Job], error: WorkerLost | NoWorker) -> None:
    for job in jobs:
        job.end(_again(error))


def _again(error: _Shared) -> _Shared:
    """Return the same error anew: one that is raised twice would grow with each traceback."""
    anew = copy(error)
    anew.__cause__ = error.__cause__
    return anew


async def _remove(orders: Sequence[Order]) -> None:
    """Leave nothing of jobs that came to nothing."""
    for order in orders:
        for path in (order.part, order.into):
            with suppress(OSError):
                await anyio.Path(path).unlink(missing_ok=True)


def devices_of(replicas: int, gpus: int, visible: str | None) -> list[str | None]:
    """Return what CUDA_VISIBLE_DEVICES is in each replica; ``None`` leaves it as it is.

    Args:
        replicas: How many there are.
        gpus: GPUs of each; 0 leaves all to each.
        visible: What it is in this process, which may have been given a part of the machine.

    Raises:
        SettingsRefused: There are fewer.
    """
    if not gpus:
        return [None] * replicas
    if visible is None:
        known = _known_gpus()
        own = list(map(str, range(replicas * gpus if known is None else known)))
        where = "this machine has"
    else:
        own = [name.strip() for name in visible.split(",") if name.strip()]
        where = f"{DEVICES} names"
        if not own or own == ["-1"]:  # no GPU is wanted, or there is none
            return [None] * replicas
    if len(own) < replicas * gpus:
        raise SettingsRefused(
            "executor.replicas",
            f"{replicas} replicas with {gpus} GPUs each need {replicas * gpus}, and {where} "
            f"{len(own)}",
            hint="set fewer replicas, or gpus = 0, which leaves all GPUs to every replica",
        )
    return [",".join(own[start * gpus : (start + 1) * gpus]) for start in range(replicas)]


def _known_gpus() -> int | None:
    """Count the NVIDIA GPUs of this machine; ``None`` where its driver does not say."""
    try:
        return len(list(_GPUS.iterdir())) or None
    except OSError:
        return None
