"""What makes attempts, whether it buys or draws; and the shield around what was paid for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.purchase.run_ledger import RunLedger

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What an attempt needs of its run where a job may come of its request.

    Attributes:
        ledger: Where the job is written down before it is asked for.
        waits_s: Seconds for which its picture is waited for; then it is left to a later run.
        told: Called with how far the job is, after each time of asking.
        is_late: Returns whether so much time has passed since the hold that nothing may be sent.
    """

    ledger: RunLedger
    waits_s: float
    told: Callable[[BeingMade], None] = lambda _: None
    is_late: Callable[[], bool] = lambda: False


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
