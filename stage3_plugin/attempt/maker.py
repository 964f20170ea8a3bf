"""What makes attempts, whether it buys or draws; and the shield around what was paid for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.job import Jobs
from stage3_plugin.domain.request import PictureRequest

Result = TypeVar("Result")


class Maker(Protocol):
    """Makes one attempt at a picture."""

    async def attempt(
        self, attempt_id: str, request: PictureRequest, jobs: Jobs, /
    ) -> AttemptResult:
        """Try once; what is received goes into the attempt's spool folder.

        The interrupt in force cuts short what of it may be cut short.

        Args:
            attempt_id: Its purchase.
            request: What is wanted.
            jobs: Where a job that comes of it is written down, and how long it is waited for.
        """
        ...


async def shielded(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run ``work`` to its end, also where what is around it is cancelled."""
    with anyio.CancelScope(shield=True):
        return await work()
    raise AssertionError("a shield without a deadline swallows nothing")
