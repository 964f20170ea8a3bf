"""What an executor is: it has jobs done somewhere else, and knows nothing of what they are.

A job is bytes, and what is made of them is bytes too, by what ``module:name`` stands for in another
process or on another machine. Work costs nothing and may simply be done again.

Two kinds of work are done. A plain function takes a job and returns what is made of it; storyboards
are drawn so. A :class:`Work` makes an object once in each replica, such as a model on a GPU, and
``executors.replica`` keeps that. Executors of the second kind are found by name in the entry-point
group ``stage3.executors``, and anybody may add one: see :class:`ExecutorType`.

Nothing heavy is imported here: replicas import it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stage3_plugin.errors import JobFailed

if TYPE_CHECKING:
    from pydantic import BaseModel


class Executor(AbstractAsyncContextManager["Executor"], Protocol):
    """Does one kind of job, several at once.

    Use it as an asynchronous context manager: entering starts nothing, the first job does, and
    leaving ends all that was started.
    """

    @property
    def slots(self) -> int:
        """How many jobs are done at once; others wait."""
        ...

    async def run(self, job: bytes, into: Path) -> None:
        """Have one job done, and what it makes written to ``into``, whole or not at all.

        When cancelled, the work ends and leaves nothing.

        Raises:
            JobFailed: The work says that this cannot be done.
            WorkerLost: The worker is gone, or did not end in time; another may do the job.
            NoWorker: None can be started.
            WorkUnusable: One was started, and could not make what does the work; it would be the
                same for every job.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a replica makes once, and then does jobs with.

    Attributes:
        target: A function, ``module:name``. It is imported in each replica and never here, and
            called there once with ``setup``; what it returns is a :class:`Worker`.
        setup: What it is called with.
        path: Folders in which a replica looks for modules, behind all others.
        at_once: How many jobs a replica does in one call, if that is known beforehand.
        most_bytes: Of what is made of one job; more is refused in the replica.
    """

    target: str
    setup: bytes = b""
    path: tuple[str, ...] = ()
    at_once: int = 1
    most_bytes: int = 64 << 20


class Worker(Protocol):
    """What a replica has made, and does jobs with; it may block, and is called by one thread."""

    @property
    def at_once(self) -> int:
        """How many jobs it takes in one call."""
        ...

    def do(self, jobs: list[bytes], /) -> list[bytes | JobFailed]:
        """Do jobs; what is made of each, or why it is not, in their order.

        What it raises is every job's problem, and the replica lives on.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an executor is told of who uses it.

    Attributes:
        secrets: Texts that no replica may get. A variable of the environment whose value holds one
            is left out, and words of a replica are shown without them.
        timeout_s: Seconds that one call may take in a replica. Then the replica is ended, and its
            jobs are :class:`~stage3_plugin.errors.WorkerLost`.
        tell: Takes a sentence for people while they wait, such as "waiting for 2 of 4 replicas".
            To be called from within :meth:`Executor.run`.
    """

    secrets: tuple[str, ...] = ()
    timeout_s: float = 300.0
    tell: Callable[[str], None] = lambda _sentence: None


class ExecutorType(Protocol):
    """A class of executors, as the group ``stage3.executors`` names it."""

    @property
    def Options(self) -> type[BaseModel]:  # noqa: N802 - a class of its own
        """What the table ``executor`` may hold beside ``kind``; one that forbids what it lacks."""
        ...

    def __call__(
        self, work: Work, options: BaseModel, /, *, surroundings: Surroundings
    ) -> Executor:
        """Make one; nothing is started."""
        ...
