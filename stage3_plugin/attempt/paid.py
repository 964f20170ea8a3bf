"""One attempt at a picture, step by step, from the request to a file that is safely kept.

A paid attempt goes: compose → send and spool → judge → check → store. It is shielded from
cancellation from end to end, because whatever was paid for must be stored and told; only the
waiting for an answer is cut short, through :class:`~stage3_plugin.runtime.interrupt.Interrupt`.

An attempt never tries again and never raises for what a provider or a network did: its result says
what came of it. Holding the money before it and settling after it are the run's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from stage3_plugin.attempt.ingest import Ingest
from stage3_plugin.attempt.maker import shielded
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.providers.base import Provider
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps, Spool

if TYPE_CHECKING:
    from stage3_plugin.transport.client import (  # imports httpx, which drawing needs not
        Client,
        Exchange,
    )


class PaidMaker:
    """Buys pictures from a provider over HTTP.

    Args:
        provider: Says what to send.
        client: Sends it.
        intake: Takes in the answers.
        shelf: Has the folders for them.
        caps: How much of an answer is taken.
        masked: Covers secrets in what comes back.
    """

    def __init__(
        self,
        provider: Provider,
        client: Client,
        intake: Ingest,
        shelf: Pictures,
        *,
        caps: Caps,
        masked: Masked = NOTHING,
    ) -> None:
        self.provider = provider
        self.client = client
        self.intake = intake
        self.shelf = shelf
        self.caps = caps
        self.masked = masked

    async def attempt(self, attempt_id: str, request: PictureRequest) -> AttemptResult:
        """Buy one picture: send once, keep whatever comes, say what it was."""
        try:
            if not self.masked.is_prepared:  # the event loop would do it when the answer is there
                await shielded(partial(self.shelf.blocking, self.masked.prepare))
            folder = self.shelf.new_folder(attempt_id)
            receipt = Receipt(folder)
        except StorageFailed as failure:
            return without_room(failure) if is_lack(failure.cause) else without_storage(failure)
        purchase = _Purchase(self, request, folder, receipt)
        return await shielded(purchase.to_the_end)


class _Purchase:
    """One purchase: the request, the folder its answer goes into, and the steps in their order."""

    def __init__(
        self,
        maker: PaidMaker,
        request: PictureRequest,
        folder: Path,
        receipt: Receipt,
    ) -> None:
        self._maker = maker
        self._request = request
        self._folder = folder
        self._receipt = receipt

    async def to_the_end(self) -> AttemptResult:
        """Send, spool, judge, check and store."""
        maker = self._maker
        try:
            try:
                call = maker.provider.compose(self._request)
            except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
                return _unsendable(error)
            sent_at = anyio.current_time()
            exchange = await maker.client.post(call, self._open_spool)
            took_s = anyio.current_time() - sent_at
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                self._receipt.close()
        if not exchange.complete:
            if exchange.sent:  # what came of it is the only evidence
                await maker.shelf.secure(self._folder.name)
            return replace(_attempted_without_answer(exchange), dropped=call.dropped)
        taken = await maker.intake.take(self._folder)
        return replace(taken, dropped=call.dropped, took_s=took_s)

    def _open_spool(self, status: int, headers: Mapping[str, str]) -> Spool:
        media_type = headers.get("content-type")
        maker = self._maker
        spool = Spool(
            self._folder,
            media_type=media_type,
            caps=maker.caps,
            masked=maker.masked,
            receipt=self._receipt,
        )
        spool.head(status, headers.items())
        return spool


def _unsendable(error: Exception) -> AttemptResult:
    """Give an attempt that ended before its first byte, on something in the request itself."""
    message = f"the request cannot be made: {type(error).__name__}; nothing was sent"
    verdict = Verdict(kind=VerdictKind.REJECTED, message=message)
    return AttemptResult(verdict=verdict, cost=FREE, never_sent=True)


def _attempted_without_answer(exchange: Exchange) -> AttemptResult:
    """Put an exchange without a complete answer into words."""
    verdict = _verdict_of_failure(exchange)
    return AttemptResult(
        verdict=verdict,
        cost=UNKNOWN if verdict.may_be_billed else FREE,
        interrupted=exchange.interrupted,
        storage=exchange.storage,
    )


def without_storage(failure: StorageFailed) -> AttemptResult:
    """Give an attempt that was never made, because there was no place for its answer."""
    verdict = Verdict(kind=VerdictKind.NOT_SENT, message=str(failure))
    return AttemptResult(verdict=verdict, cost=FREE, storage=failure)


def without_room(failure: StorageFailed) -> AttemptResult:
    """Give an attempt that was not made because descriptors were lacking: others will free some."""
    verdict = Verdict(kind=VerdictKind.NOT_SENT, message=f"nothing was sent: {failure}")
    return AttemptResult(verdict=verdict, cost=FREE)


def _verdict_of_failure(exchange: Exchange) -> Verdict:
    """Put an exchange without a complete answer into a verdict."""
    if not exchange.sent:
        return Verdict(
            kind=VerdictKind.NOT_SENT,
            message=f"nothing was sent: {exchange.problem}",
            should_retry=False if exchange.permanent else None,
            stops_run=exchange.stops_run,
        )
    return Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"sent, but {exchange.problem}; it may have been billed",
        may_be_billed=True,
        provider_status=exchange.status,
    )
