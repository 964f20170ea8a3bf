"""What an executor is: it has jobs done somewhere else, and knows nothing of what they are.

A job is bytes, and what is made of them is bytes too, by a function ``module:name`` that the maker
of the jobs names, and that may run in another process or on another machine. Work costs nothing and
may simply be done again.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Executor(Protocol):
    """Does one kind of job, several at once.

    Use it as an asynchronous context manager: entering starts nothing, the first job does, and
    leaving ends all that was started.
    """

    @property
    def slots(self) -> int:
        """How many jobs are done at once; others wait."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None: ...

    async def run(self, job: bytes, into: Path) -> None:
        """Have one job done, and what it makes written to ``into``, whole or not at all.

        When cancelled, the work ends and leaves nothing.

        Raises:
            JobFailed: The work says that this cannot be done.
            WorkerLost: The worker is gone; another may do the job.
        """
        ...
