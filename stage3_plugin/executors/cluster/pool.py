"""Which replica does which job, in the cluster's driver: one thread for each replica.

A replica takes jobs when it is ready, and not before: one that is gone is out of the pool until it
says that it is ready again, wherever it is by then. Calls into a cluster may block for as long as a
node is frozen, so each is made in a thread that has nothing else to do. Knows nothing of Ray.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Protocol

from stage3_plugin.executors.base import Problem
from stage3_plugin.executors.replica import LONGEST_PROBLEM, in_one_line

DEATHS_WHILE_STARTING = 3
"""In a row; then a replica counts as one that cannot be started."""
LINGER_S = 0.05
"""A call that could take more jobs waits for so long after each that comes,"""
LINGERS = 10
"""and so often at most."""
STEP_S = 0.5
"""Seconds after which a thread that waits for its replica looks whether all is over."""

_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)  # these three are not on every system
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Made new, and never through a link."""


class Gone(Exception):
    """A replica is out of reach, or did not answer in time; its words say how."""


class NotBegun(Gone):
    """A replica is not what it was, and has begun nothing of what it was handed."""


class Unusable(Exception):
    """A replica is there, and cannot make what does the work; its words say why."""


class Remote(Protocol):
    """One replica, wherever the cluster has it. All calls may block."""

    def find(self, wait_s: float) -> bool:
        """Have it placed and running; return whether it is within ``wait_s``.

        Raises:
            Gone: It died for good; it is asked for anew at the next call.
        """
        ...

    def load(self, start_s: float) -> int:
        """Have it make what does the work; return how many jobs it takes in one call.

        Raises:
            Gone: It died over it, or took longer.
            Unusable: It cannot.
        """
        ...

    def do(self, jobs: list[bytes], timeout_s: float) -> Sequence[bytes | Problem]:
        """Have jobs done.

        Raises:
            NotBegun: It has nothing to do them with any more.
            Gone: It died over them, is out of reach, or took longer.
        """
        ...

    def restart(self) -> None:
        """End it at once, whatever it does, and have another one made in its place."""
        ...

    def end(self) -> None:
        """End it for good."""
        ...


@dataclass(eq=False, slots=True)
class Job:
    """One job of the run.

    Attributes:
        number: The run's name for it.
        into: Where what is made of it appears, whole.
        part: Where it is written first, in the same folder.
    """

    number: int
    content: bytes
    into: Path
    part: Path
    lock: Lock = field(default_factory=Lock)
    """Held while it is written, and to take it back: afterwards nothing of it is written."""
    is_taken_back: bool = False
    is_alone: bool = False
    """It was lost among others, any of which may be to blame."""


class Pool:
    """Hands jobs to replicas, each of them to one.

    Args:
        remotes: The replicas.
        start_s: Seconds that making what does the work may take.
        timeout_s: Seconds that one call may take.
        answer: Takes what became of a job, or a notice; called from any thread.
    """

    def __init__(
        self,
        remotes: Sequence[Remote],
        *,
        start_s: float,
        timeout_s: float,
        answer: Callable[[Mapping[str, object]], None],
    ) -> None:
        self._remotes = remotes
        self._start_s = start_s
        self._timeout_s = timeout_s
        self._answer = answer
        self._changed = Condition()
        """Guards all that follows, and is told of every change."""
        self._waiting: deque[Job] = deque()
        self._batches: dict[int, list[Job]] = {}
        """What is being done, by the number of the replica."""
        self._ready: set[int] = set()
        self._unusable: dict[int, str] = {}
        self._has_ended = False

    def start(self) -> None:
        """Have all replicas made; waits for none."""
        for number in range(len(self._remotes)):
            Thread(target=self._keep, args=(number,), daemon=True).start()

    @property
    def lacking(self) -> int:
        """How many replicas are neither ready nor known to be unusable."""
        with self._changed:
            return len(self._remotes) - len(self._ready) - len(self._unusable)

    @property
    def is_idle(self) -> bool:
        """Whether there is no job at all."""
        with self._changed:
            return not (self._waiting or self._batches)

    def add(self, job: Job) -> None:
        """Have a job done; what becomes of it is answered."""
        with self._changed:
            words = self._why_none()
            if words is None:
                self._waiting.append(job)
                self._changed.notify_all()
                return
        self._answer({"id": job.number, "unusable": words})

    def take_back(self, number: int) -> None:
        """Have a job left undone; once that is answered, nothing of it is written any more."""
        with self._changed:
            waiting = next((job for job in self._waiting if job.number == number), None)
            if waiting is not None:
                self._waiting.remove(waiting)
            where, under_way = next(
                (
                    (where, job)
                    for where, jobs in self._batches.items()
                    for job in jobs
                    if job.number == number
                ),
                (-1, None),
            )
        if under_way is not None:
            with under_way.lock:
                under_way.is_taken_back = True
            self._end_if_unwanted(where)
        self._answer({"id": number, "taken_back": True})

    def end(self, within_s: float) -> None:
        """End all replicas, as far as the cluster hears of it in time."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        enders = [Thread(target=remote.end, daemon=True) for remote in self._remotes]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join(within_s)

    def _end_if_unwanted(self, where: int) -> None:
        """End a replica whose jobs are all taken back: what runs in it cannot be told to stop."""
        with self._changed:
            jobs = self._batches.get(where, [])
            if jobs and all(job.is_taken_back for job in jobs):
                Thread(target=self._remotes[where].restart, daemon=True).start()

    # What follows runs in the thread of one replica.

    def _keep(self, number: int) -> None:
        """Have a replica made, hand it jobs until it is gone, and again."""
        remote = self._remotes[number]
        deaths = 0
        while not self._has_ended:
            try:
                at_once = self._started(remote)
                deaths = 0
                while jobs := self._next(number, at_once):
                    self._have_done(number, remote, jobs)
            except Gone as gone:
                deaths = deaths + 1 if number not in self._ready else 0
                if deaths == DEATHS_WHILE_STARTING:
                    return self._give_up(number, f"it died {deaths} times as it started: {gone}")
            except Unusable as unusable:
                return self._give_up(number, str(unusable))
            except Exception as error:  # noqa: BLE001 - no job may wait for a thread that ended
                return self._give_up(number, in_one_line(error))
            finally:
                with self._changed:
                    self._ready.discard(number)
        return None

    def _started(self, remote: Remote) -> int:
        while not remote.find(STEP_S):
            if self._has_ended:
                return 0
        return remote.load(self._start_s)

    def _next(self, number: int, at_once: int) -> list[Job]:
        """Wait for jobs and take as many as are there and go at once; none: all is over."""
        with self._changed:
            self._ready.add(number)
            self._changed.notify_all()
            while not (self._waiting or self._has_ended):
                self._changed.wait()
                self._linger(at_once)  # and in the meantime another may take it
            if self._has_ended:
                return []
            jobs = self._taken(at_once)
            self._batches[number] = jobs
        return jobs

    def _linger(self, at_once: int) -> None:
        """Wait a moment for more jobs, where a call takes several."""
        for _ in range(LINGERS):
            there = len(self._waiting)
            if not 0 < there < at_once or self._waiting[0].is_alone:
                return
            self._changed.wait(LINGER_S)
            if len(self._waiting) == there:
                return

    def _taken(self, at_once: int) -> list[Job]:
        """Take what waits; one that was lost among others is done alone."""
        taken = [self._waiting.popleft()]
        while self._waiting and len(taken) < at_once and not taken[0].is_alone:
            if self._waiting[0].is_alone:
                break
            taken.append(self._waiting.popleft())
        return taken

    def _have_done(self, number: int, remote: Remote, jobs: list[Job]) -> None:
        try:
            found = remote.do([job.content for job in jobs], self._timeout_s)
        except NotBegun:
            self._put_back(jobs)
            raise
        except Exception as error:
            if len(jobs) > 1:
                for job in jobs:
                    job.is_alone = True
                self._put_back(jobs)
            elif not jobs[0].is_taken_back:
                words = str(error) if isinstance(error, Gone) else in_one_line(error)
                self._answer({"id": jobs[0].number, "lost": words[:LONGEST_PROBLEM]})
            raise
        finally:
            with self._changed:
                self._batches.pop(number, None)
        for job, made in zip(jobs, found, strict=True):
            self._finish(job, made)

    def _put_back(self, jobs: list[Job]) -> None:
        with self._changed:
            self._waiting.extendleft(job for job in reversed(jobs) if not job.is_taken_back)
            self._changed.notify_all()

    def _finish(self, job: Job, made: bytes | Problem) -> None:
        with job.lock:
            if job.is_taken_back:
                return
            said = _said(made) if isinstance(made, Problem) else _written(made, job)
        self._answer({"id": job.number, **said})

    def _give_up(self, number: int, words: str) -> None:
        """Go on without a replica; without any, every job says why."""
        with self._changed:
            self._unusable[number] = words[:LONGEST_PROBLEM]
            why = self._why_none()
            left = list(self._waiting) if why is not None else []
            if left:
                self._waiting.clear()
            count = len(self._unusable)
        if why is None:
            of_all = f"{count} of {len(self._remotes)} replicas cannot be used"
            self._answer({"notice": f"{of_all}: {words[:LONGEST_PROBLEM]}"})
        for job in left:
            self._answer({"id": job.number, "unusable": why})

    def _why_none(self) -> str | None:
        if len(self._unusable) < len(self._remotes):
            return None
        return next(iter(self._unusable.values()))


def _said(problem: Problem) -> dict[str, object]:
    return {"problem": problem.words, "may_pass": problem.may_pass}


def _written(made: bytes, job: Job) -> dict[str, object]:
    """Write what was made, whole or not at all; return what is to be said of it."""
    try:
        with os.fdopen(os.open(job.part, _NEW_FILE, 0o600), "wb") as file:
            file.write(made)
        job.part.replace(job.into)
    except OSError as error:
        with suppress(OSError):
            job.part.unlink(missing_ok=True)
        return {"errno": error.errno or errno.EIO}
    return {}
