"""What an attempt needs of its run, whether it buys or draws; and those that are made for nothing.

Nothing is paid for a drawing, so it may simply be cut, and where a renderer is gone over it another
may make it. What was paid for is shielded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.money import FREE
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import PictureRefused, StorageFailed
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.renderers.base import LocalRenderer, not_drawn
from stage3_plugin.runtime import interrupt
from stage3_plugin.storage.pictures import Pictures

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


Attempt: TypeAlias = Callable[[str, PictureRequest, Jobs], Awaitable[AttemptResult]]
"""Makes one attempt at a picture: by the name of its purchase, what is wanted, and its run.

What is received goes into the attempt's spool folder. It is never tried again there, and what a
provider or a network did is never raised: the result says what came of it. The interrupt in force
cuts short what of it may be cut short.
"""


async def shielded(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run ``work`` to its end, also where what is around it is cancelled."""
    with anyio.CancelScope(shield=True):
        return await work()
    raise AssertionError("a shield without a deadline swallows nothing")


@dataclass(frozen=True, slots=True)
class LocalMaker:
    """Has pictures made by a renderer that costs nothing.

    Args:
        renderer: Draws them.
        pictures: Takes them.
        is_exact: A picture of another size than was asked for is none.
    """

    renderer: LocalRenderer
    pictures: Pictures
    is_exact: bool = False

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None, /
    ) -> AttemptResult:
        """Render one picture; it may be cut short."""
        try:
            folder = self.pictures.new_folder(attempt_id)
            return await self._render(request, folder / "part-0")
        except (PictureRefused, StorageFailed) as failure:  # it would be as bad the next time
            verdict = not_drawn(str(failure), may_pass=False)
            storage = failure if isinstance(failure, StorageFailed) else None
            return AttemptResult(verdict=verdict, cost=FREE, storage=storage)

    async def _render(self, request: PictureRequest, path: Path) -> AttemptResult:
        began_at = anyio.current_time()
        with anyio.CancelScope() as scope, interrupt.current().calling(scope.cancel):
            verdict = await self._drawn(request, path)
            if verdict is not None:
                return AttemptResult(verdict=verdict, cost=FREE)
        took_s = anyio.current_time() - began_at
        if scope.cancelled_caught:
            verdict = Verdict(kind=VerdictKind.NOT_SENT, message="interrupted")
            return AttemptResult(verdict=verdict, cost=FREE, interrupted=True)
        size_px = (request.width_px, request.height_px) if self.is_exact else None
        picture = await shielded(partial(self.pictures.save_drawn, path, size_px=size_px))
        if picture is None:
            verdict = _undrawn(request, "its renderer ended without a picture")
            return AttemptResult(verdict=verdict, cost=FREE)
        return AttemptResult(
            verdict=Verdict(kind=VerdictKind.PICTURES),
            cost=FREE,
            picture=picture,
            dropped=self.renderer.unmet(request),
            took_s=took_s,
        )

    async def _drawn(self, request: PictureRequest, path: Path) -> Verdict | None:
        """Have it drawn; what a renderer raises of its own is this picture's, and no other's."""
        try:
            return await self.renderer.render(request, path)
        except StorageFailed:
            raise
        except Exception as error:  # noqa: BLE001 - it is this picture's alone
            return _undrawn(request, f"{type(error).__name__}: {error}")


def _undrawn(request: PictureRequest, problem: str) -> Verdict:
    return not_drawn(f"scene {request.scene_id!r} could not be drawn: {problem}")
