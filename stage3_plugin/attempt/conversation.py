"""Drives the conversation with a provider, step by step, until a picture is kept or will not be.

::

    begin ── send, into the spool ──┐
                                    ├── next ── fetch, once for each address ── ingest
    resume: it lies in the spool ───┘

Everything after the answer begins with what lies on the disk, so a run that has just received an
answer and one that finds it left behind do the same. A paid request is sent once, in ``begin``, and
nowhere else; every other step costs nothing and may be done again.

A provider with a further kind of step (a queue that is asked how far it is) gets its branch between
``next`` and the pictures, and what has to outlive the process is made durable before the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from stage3_plugin.attempt.fetching import Fetching
from stage3_plugin.attempt.ingest import Ingest, not_taken_in, without_pictures
from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.exchange import Fetch, Reply
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import FREE, UNKNOWN, Cost, cost_of_answer
from stage3_plugin.domain.picture import PictureSource, RemotePicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import FetchRefused, ProviderBroken, StorageFailed
from stage3_plugin.policy.refetch import next_of, shown
from stage3_plugin.policy.refusal import refused_for
from stage3_plugin.providers.base import Provider
from stage3_plugin.runtime import interrupt, trace
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import awaited
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps, Spool
from stage3_plugin.transport.bodies import Base64Of, no_pictures
from stage3_plugin.transport.picture_hosts import PictureHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.client import (  # imports httpx, which drawing needs not
        Client,
        Exchange,
    )

_JUDGES = 2
"""Answers judged at once. It is work for the interpreter, of which there is one: each further one
would only make the event loop wait longer for it."""


class Conversation:
    """Speaks with the provider of one endpoint.

    Args:
        provider: Says the steps.
        client: Sends requests, and fetches pictures that are only an address.
        pictures: Takes the pictures.
        hosts: Where pictures may be fetched from.
        flat_usd: The settings' price per picture.
        caps: How much of an answer, and of a fetched picture, is taken.
        masked: Covers secrets in what comes back.
    """

    def __init__(
        self,
        provider: Provider,
        client: Client,
        pictures: Pictures,
        *,
        hosts: PictureHosts,
        flat_usd: Decimal | None = None,
        caps: Caps,
        masked: Masked = NOTHING,
    ) -> None:
        self._provider = provider
        self._client = client
        self._pictures = pictures
        self._flat_usd = flat_usd
        self._caps = caps
        self._masked = masked
        self._judges = anyio.Semaphore(_JUDGES)
        self._fetching = Fetching(
            client, pictures, hosts=hosts, cap=caps.total_bytes, masked=masked
        )

    async def begin(
        self,
        request: PictureRequest,
        folder: Path,
        receipt: Receipt,
        *,
        base64_of: Base64Of = no_pictures,
    ) -> AttemptResult:
        """Send the one paid request, and go on with its answer.

        Args:
            request: What is wanted.
            folder: Where the answer goes.
            receipt: Its receipt, made before; it is closed here.
            base64_of: Has the pictures that the request shows.
        """
        try:
            try:
                send = self._provider.begin(request)
            except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
                return _unsendable(error)
            sent_at = anyio.current_time()
            with trace.span("receive", attempt_id=folder.name) as span:
                exchange = await self._client.post(
                    send, partial(self._open_spool, folder, receipt), base64_of=base64_of
                )
                span.note(outcome=_came_to(exchange))
            took_s = anyio.current_time() - sent_at
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                receipt.close()
        if not exchange.complete:
            if exchange.sent:  # what came of it is the only evidence
                await self._pictures.secure(folder.name)
            return replace(_without_answer(exchange), dropped=send.dropped)
        result = await self.resume(folder)
        verdict = refused_for(result.verdict, request)
        return replace(result, verdict=verdict, dropped=send.dropped, took_s=took_s)

    async def resume(self, folder: Path, *, age_s: float = 0.0) -> AttemptResult:
        """Go on from the complete answer in ``folder``; never raises for what is in it.

        What only the disk, an address or an interrupt kept away stays open, the answer where it
        was: ``PICTURES`` without a picture is one that is to be had, and not now. The interrupt in
        force cuts short the fetching of its picture, and nothing else.

        Args:
            folder: Where it lies.
            age_s: How long ago it came.
        """
        with trace.span("ingest", attempt_id=folder.name) as span:
            result = await self._after_the_answer(folder, age_s)
            span.note(outcome=result.verdict.kind.value)
        if result.leaves_evidence:
            await self._pictures.secure(folder.name)  # it is the only evidence of what was paid for
        url = result.image_url
        return replace(
            result,
            verdict=self._masked.record(result.verdict),
            image_url=url and self._masked.text(url),
            stays_open=result.interrupted
            or result.storage is not None
            or result.not_here is not None,
        )

    def _open_spool(
        self, folder: Path, receipt: Receipt, status: int, headers: Mapping[str, str]
    ) -> Spool:
        spool = Spool(
            folder,
            media_type=headers.get("content-type"),
            caps=self._caps,
            masked=self._masked,
            receipt=receipt,
        )
        spool.head(status, headers.items())
        return spool

    async def _after_the_answer(self, folder: Path, age_s: float) -> AttemptResult:
        try:
            async with self._judges:
                answer = await self._pictures.blocking(partial(self._read, folder))
        except Exception as error:  # noqa: BLE001 - what strangers' bytes raise is a verdict
            return not_taken_in(error, folder)
        if answer.verdict.kind is not VerdictKind.PICTURES:
            return without_pictures(answer.verdict, answer.cost)
        ingest = Ingest(self._pictures, folder, answer.verdict, answer.cost)
        for number, source in enumerate(answer.sources):
            if isinstance(source, RemotePicture):
                whole = folder / ("fetched" if number == 0 else f"fetched.{number}")
                result = await self._fetch(ingest, source.url, whole, age_s)
            else:
                result = await ingest.take_part(source, answer.reply)
            if result is not None:
                return result
        result = ingest.without_picture()
        if result.not_here is not None:
            await self._note(folder, result.not_here)
        return result

    def _read(self, folder: Path) -> _Answer:
        """Read an answer and ask what follows; run in a thread, since it may be large."""
        reply = load_reply(folder, self._masked)
        step = self._provider.next(reply)
        if isinstance(step, Accepted):
            raise ProviderBroken(self._provider.profile.name, "next", "returned a job")
        verdict = step.verdict if isinstance(step, Fetch) else step
        return _Answer(reply, verdict, step.sources, self._cost(verdict))

    def _cost(self, verdict: Verdict) -> Cost:
        """Return what an answer cost; a failure may have been billed, too.

        A figure that cannot be used is no reason to lose the picture beside it.
        """
        figures = (verdict.reported_usd, verdict.usage, verdict.gateway_usd, verdict.listed_usd)
        has_figure = any(figure is not None for figure in figures)
        if verdict.kind is VerdictKind.PICTURES or (verdict.may_be_billed and has_figure):
            try:
                return cost_of_answer(
                    reported_usd=verdict.reported_usd,
                    usage=verdict.usage,
                    prices=self._provider.prices,
                    flat_usd=verdict.listed_usd if self._flat_usd is None else self._flat_usd,
                    gateway_usd=verdict.gateway_usd,
                    has_picture=verdict.kind is VerdictKind.PICTURES,
                )
            except Exception:  # noqa: BLE001 - then what was held is counted
                return UNKNOWN
        return UNKNOWN if verdict.may_be_billed else FREE

    async def _fetch(
        self, ingest: Ingest, url: str, whole: Path, age_s: float
    ) -> AttemptResult | None:
        """Take the step of fetching one picture; ``None`` if its address did not give it."""
        try:
            return await ingest.take_fetched(url, partial(self._fetching.kept, url, whole))
        except FetchRefused as refusal:
            if interrupt.current().triggered:
                return ingest.interrupted(refusal)
            lasts_s = self._provider.profile.pictures_last_s
            follows = next_of(refusal.reason, age_s=age_s, lasts_s=lasts_s)
            if follows == "gone":
                ingest.gone(f"{refusal} ({shown(url)})")
            else:
                needs_setting = follows == "setting"
                ingest.missing(
                    MissingPicture(
                        address=shown(url), problem=str(refusal), needs_setting=needs_setting
                    )
                )
            return None

    async def _note(self, folder: Path, missing: MissingPicture) -> None:
        """Note, for people to look at, what a purchase waits for; nothing depends on it."""
        with suppress(StorageFailed):
            await self._pictures.blocking(
                partial(
                    awaited.note,
                    folder,
                    address=missing.address,
                    problem=missing.problem,
                    needs_setting=missing.needs_setting,
                    now=datetime.now(UTC),
                )
            )


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer, what it comes to, where its pictures are, and what it cost."""

    reply: Reply
    verdict: Verdict
    sources: tuple[PictureSource | RemotePicture, ...]
    cost: Cost


def _came_to(exchange: Exchange) -> str:
    """Return the trace's word for what came of a request."""
    if exchange.complete:
        return "complete"
    return "interrupted" if exchange.interrupted else "incomplete" if exchange.sent else "not_sent"


def _unsendable(error: Exception) -> AttemptResult:
    """Return an attempt that ended before its first byte, on something in the request itself."""
    problem = str(error) if isinstance(error, ProviderBroken) else type(error).__name__
    message = f"the request cannot be made: {problem}; nothing was sent"
    verdict = Verdict(kind=VerdictKind.REJECTED, message=message)
    return AttemptResult(verdict=verdict, cost=FREE, never_sent=True)


def _without_answer(exchange: Exchange) -> AttemptResult:
    """Return what came of a request without a complete answer."""
    verdict = _verdict_of_failure(exchange)
    return AttemptResult(
        verdict=verdict,
        cost=UNKNOWN if verdict.may_be_billed else FREE,
        interrupted=exchange.interrupted,
        storage=exchange.storage,
    )


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
