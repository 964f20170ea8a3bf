"""What one paid POST leaves: where its answer goes, and what is said where none came whole.

Pure but for the spool that is opened. Apart from the conversation because a batch is begun by such
a request as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken, SettingsRefused, StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.spool.reading import SpooledAnswer
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps

if TYPE_CHECKING:
    from stage3_plugin.transport.exchange import Exchange  # imports httpx, which drawing needs not


def open_spool(
    folder: Path,
    status: int,
    headers: Mapping[str, str],
    *,
    receipt: Receipt | None = None,
    caps: Caps,
    masked: Masked,
) -> SpooledAnswer:
    """Open what an answer goes into, and write its head."""
    answer = SpooledAnswer(folder, caps=caps, masked=masked, receipt=receipt)
    answer.head(status, headers.items())
    return answer


def unsendable(error: Exception) -> AttemptResult:
    """Return an attempt that ended before its first byte, on something in the request itself."""
    problem = str(error) if isinstance(error, ProviderBroken) else type(error).__name__
    if isinstance(error.__cause__, SettingsRefused):  # of a scene's own model
        problem = str(error.__cause__)
    message = f"the request cannot be made: {problem}; nothing was sent"
    verdict = Verdict(kind=VerdictKind.REJECTED, message=message)
    return AttemptResult(verdict=verdict, cost=FREE, never_sent=True)


def without_storage(failure: StorageFailed) -> AttemptResult:
    """Return an attempt that was never made, as there was no place for it or for its answer.

    For lack of descriptors the next one may be made: others will free some. All else stops a run.
    """
    lacks = is_lack(failure.cause)
    message = f"nothing was sent: {failure}" if lacks else str(failure)
    verdict = Verdict(kind=VerdictKind.NOT_SENT, message=message)
    return AttemptResult(verdict=verdict, cost=FREE, storage=None if lacks else failure)


def without_answer(exchange: Exchange) -> AttemptResult:
    """Return what came of a request without a complete answer."""
    verdict = _verdict_of_failure(exchange)
    return AttemptResult(
        verdict=verdict,
        cost=UNKNOWN if verdict.may_be_billed else FREE,
        interrupted=exchange.interrupted,
        storage=exchange.storage,
    )


async def slept(wait_s: float) -> bool:
    """Let seconds pass; return false, and at once, if the interrupt in force is triggered."""
    with anyio.CancelScope() as scope, interrupt.current().calling(scope.cancel):
        await anyio.sleep(wait_s)
    return not scope.cancelled_caught


def _unsent(exchange: Exchange) -> str:
    if exchange.in_part:
        return "the request has not left as a whole, so that it cannot have run"
    return "nothing was sent"


def _verdict_of_failure(exchange: Exchange) -> Verdict:
    if not exchange.sent:
        return Verdict(
            kind=VerdictKind.NOT_SENT,
            message=f"{_unsent(exchange)}: {exchange.problem}",
            should_retry=False if exchange.permanent else None,
            stops_run=exchange.stops_run,
        )
    return Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"sent, but {exchange.problem}; it may have been billed",
        may_be_billed=True,
        provider_status=exchange.status,
    )
