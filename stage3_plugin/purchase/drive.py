"""Drives what is paid for: the one paid request, its whole answer, and what lies at an address.

::

    send ── the one paid request ──┐                     ┌── a verdict
                                   ├── after_the_answer ─┼── pictures ── fetch, ingest
    its answer lies in the spool ──┘        │            └── accepted: a job, to be written down
                                            │
    a job's last answer, or a line's ───────┘

A plain request, a queue's job, a batch and a line of one all go this way; what an answer means is
said by the provider, or by its lane (``judge``). Everything after the answer begins with what lies
on the disk, so a run that has just received an answer and one that finds it left behind do the
same. A paid request is sent once, in ``send``, and nowhere else; every other step costs nothing and
may be done again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.exchange import Fetch, Reply, Send
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge, cost_of_answer
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken, SettingsRefused, StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.providers.base import Provider
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.ingest import Answer, Ingest, not_taken_in
from stage3_plugin.runtime import interrupt
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.transport.picture_hosts import PictureHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.exchange import Exchange  # imports httpx, which drawing needs not

ALL = Decimal(1)
"""The share of what is bought by itself."""
Begun = TypeVar("Begun")
"""A job, of an answer that may begin one; nothing, of all others."""
Judge: TypeAlias = Callable[[Reply], tuple[Verdict | Fetch | Begun, Decimal | None]]
"""Says what an answer comes to, and what part of the ordinary price it costs."""


class Drive:
    """Drives what is bought at the provider of one endpoint.

    Args:
        provider: Has the prices, and says how long its pictures last.
        asking: Has who sends, and who takes the pictures.
        hosts: Where pictures may be fetched from.
        flat_usd: The settings' price per picture.
    """

    def __init__(
        self, provider: Provider, asking: Asking, hosts: PictureHosts, *, flat_usd: Decimal | None
    ) -> None:
        self._provider = provider
        self._asking = asking
        self._pictures = asking.pictures
        self._ingest = Ingest(asking, hosts, lasts_s=provider.profile.pictures_last_s)
        self._flat_usd = flat_usd

    async def send(
        self,
        name: str,
        begin: Callable[[], Send],
        *,
        is_late: Callable[[], bool],
        leave: Callable[[], None],
    ) -> Send | AttemptResult:
        """Send the one paid request, once: whoever calls has made the hold for it.

        Args:
            name: Of its folder in the spool: the purchase, or the batch.
            begin: Returns what is sent.
            is_late: Returns whether so much time has passed since the hold that nothing may leave.
            leave: Notes that it leaves; see :meth:`~.transport.client.Client.post`.

        Returns:
            What was sent, where its whole answer lies in its folder; else what came of it.
        """
        try:
            send = begin()
        except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
            return unsendable(error)
        try:
            folder = self._pictures.new_folder(name)
            answer = self._asking.to_come(folder)
        except StorageFailed as failure:
            return without_storage(failure)
        try:
            exchange = await self._asking.client.post(
                send, answer.opened, is_late=is_late, leave=leave
            )
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                answer.close()
        if exchange.complete:
            return send
        if exchange.sent:  # what came of it is the only evidence
            await self._pictures.secure(name)
        return replace(_without_answer(exchange), dropped=send.dropped)

    async def after_the_answer(
        self, folder: Path, judge: Judge[Begun], *, lies_in: Path | None = None, age_s: float = 0.0
    ) -> AttemptResult | Begun:
        """Go on from a whole answer; never raises for what is in it.

        What only the disk, an address or an interrupt kept away stays open, the answer where it
        was: ``PICTURES`` without a picture is one that is to be had, and not now. The interrupt in
        force cuts short the fetching of its picture, and nothing else.

        Args:
            folder: The attempt's.
            judge: What the answer comes to.
            lies_in: Where it lies, if not there.
            age_s: How long ago it came.

        Returns:
            What came of it; of a job, what names it: it is to be written down by who calls.
        """
        answer = lies_in or folder
        try:
            came = await self._asking.in_turn(partial(self._read, answer, judge))
        except Exception as error:  # noqa: BLE001 - what strangers' bytes raise is a verdict
            return await self.noted(folder, not_taken_in(error, answer))
        if not isinstance(came, Answer):
            return came
        result = await self._ingest.first_good(answer, came, age_s, noted_in=folder)
        return await self.noted(folder, result)

    async def noted(self, folder: Path, result: AttemptResult) -> AttemptResult:
        """Keep what is evidence, and cover what is secret, in what came of an answer."""
        if result.leaves_evidence:
            # it is the only evidence of what was paid for
            await self._pictures.secure(folder.name)
        masked, url = self._asking.masked, result.image_url
        return replace(
            result,
            verdict=masked.record(result.verdict),
            image_url=url and masked.text(url),
            stays_open=result.interrupted
            or result.storage is not None
            or result.not_here is not None
            or result.stays_open,
        )

    def _read(self, folder: Path, judge: Judge[Begun]) -> Answer | Begun:
        """Read an answer and ask what follows; run in a thread, since it may be large."""
        with self._pictures.judging(folder):
            reply = load_reply(folder, self._asking.masked)
            step, share = judge(reply)
        if not isinstance(step, Verdict | Fetch):
            return step
        verdict = step.verdict if isinstance(step, Fetch) else step
        return Answer(reply, verdict, step.sources, self._cost(verdict, share))

    def _cost(self, verdict: Verdict, share: Decimal | None) -> Charge:
        """Return what an answer cost; a failure may have been billed, too.

        A figure that cannot be used is no reason to lose the picture beside it.

        Args:
            verdict: What it comes to.
            share: What part of the ordinary price is asked for; of one that is not known, only the
                provider's own figure is believed.
        """
        figures = (verdict.reported_usd, verdict.usage, verdict.gateway_usd, verdict.listed_usd)
        has_figure = any(figure is not None for figure in figures)
        if verdict.kind is VerdictKind.PICTURES or (verdict.may_be_billed and has_figure):
            try:
                return cost_of_answer(
                    reported_usd=verdict.reported_usd,
                    usage=verdict.usage,
                    prices=self._provider.prices,
                    flat_usd=self._flat_usd,
                    share=share,
                    listed_usd=verdict.listed_usd,
                    gateway_usd=verdict.gateway_usd,
                    has_picture=verdict.kind is VerdictKind.PICTURES,
                )
            except Exception:  # noqa: BLE001 - then what was held is counted
                return UNKNOWN
        return UNKNOWN if verdict.may_be_billed else FREE


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


def _without_answer(exchange: Exchange) -> AttemptResult:
    """Return what came of a request without a complete answer."""
    if exchange.sent:
        verdict = Verdict(
            kind=VerdictKind.UNKNOWN,
            message=f"sent, but {exchange.problem}; it may have been billed",
            may_be_billed=True,
            provider_status=exchange.status,
        )
    else:
        unsent = "nothing was sent"
        if exchange.in_part:
            unsent = "the request has not left as a whole, so that it cannot have run"
        verdict = Verdict(
            kind=VerdictKind.NOT_SENT,
            message=f"{unsent}: {exchange.problem}",
            should_retry=False if exchange.permanent else None,
            stops_run=exchange.stops_run,
        )
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
