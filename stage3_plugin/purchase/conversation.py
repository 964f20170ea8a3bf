"""Drives the conversation with a provider, step by step, until a picture is kept or will not be.

::

    begin ── send, into the spool ──┐
                                    ├── next ──┬── fetch, once for each address ── ingest
    resume: it lies in the spool ───┘          │                │
                                               └ accepted ─┐    └── the last answer, in the spool
    ask: the ledger has the job ───────────────────────────┴── poll ──┘

Everything after the answer begins with what lies on the disk, so a run that has just received an
answer and one that finds it left behind do the same. A paid request is sent once, in ``begin``, and
nowhere else; every other step costs nothing and may be done again.

What a provider with a queue answers is a job. It is durable in the ledger before it is asked for
the first time; from then on nothing about it is unknown, whoever dies.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.exchange import Asked, Fetch, Lost, Reply, Sought
from stage3_plugin.domain.job import Accepted, BeingMade
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge, cost_of_answer
from stage3_plugin.domain.picture import PictureSource, RemotePicture
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import FetchRefused, JobRefused, ProviderBroken, StorageFailed
from stage3_plugin.policy.polling import first_wait_s
from stage3_plugin.policy.refetch import next_of, shown
from stage3_plugin.policy.refusal import refused_for
from stage3_plugin.providers.base import BatchLane, Provider
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.batching import Batching
from stage3_plugin.purchase.fetching import Fetching
from stage3_plugin.purchase.finding import sought
from stage3_plugin.purchase.ingest import Ingest, not_taken_in, without_pictures
from stage3_plugin.purchase.maker import Jobs
from stage3_plugin.purchase.polling import Polling
from stage3_plugin.purchase.renewing import RenewableKey
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.purchase.sending import slept, unsendable, without_answer
from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import awaited
from stage3_plugin.storage.spool.polls import KeptAnswer
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.transport.bodies import Base64Of, no_pictures
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.client import (  # imports httpx, which drawing needs not
        Client,
    )

_ALL = Decimal(1)
"""The share of what is bought by itself."""
_Judged: TypeAlias = tuple[Verdict | Fetch | Accepted, Decimal | None]
"""What an answer comes to, and what part of the ordinary price it costs."""


class Conversation:
    """Speaks with the provider of one endpoint.

    Args:
        provider: Says the steps.
        client: Sends requests, and fetches pictures that are only an address.
        pictures: Takes the pictures.
        hosts: Where pictures may be fetched from.
        job_hosts: Where jobs may be asked for, with the key.
        flat_usd: The settings' price per picture.
        caps: How much of an answer, and of a fetched picture, is taken.
        masked: Covers secrets in what comes back.
        now: The wall clock, aware.
        key: The key, where another one can be had.
        model: What a line of a batch has its price by.
    """

    def __init__(
        self,
        provider: Provider,
        client: Client,
        pictures: Pictures,
        *,
        model: str = "",
        hosts: PictureHosts,
        flat_usd: Decimal | None = None,
        job_hosts: JobHosts,
        caps: Caps,
        masked: Masked = NOTHING,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        key: RenewableKey | None = None,
    ) -> None:
        self._provider = provider
        self._client = client
        self._pictures = pictures
        self._flat_usd = flat_usd
        self._model = model
        self._masked = masked
        self._asking = Asking(
            client=client,
            pictures=pictures,
            hosts=job_hosts,
            caps=caps,
            masked=masked,
            now=now,
            key=key,
        )
        self._fetching = Fetching(self._asking, hosts)
        self._polling = Polling(provider, self._asking)

    async def begin(
        self,
        request: PictureRequest,
        folder: Path,
        receipt: Receipt,
        jobs: Jobs,
        *,
        base64_of: Base64Of = no_pictures,
    ) -> AttemptResult:
        """Send the one paid request, and go on with its answer, or with the job that came of it.

        Args:
            request: What is wanted.
            folder: Where the answer goes.
            receipt: Its receipt, made before; it is closed here.
            jobs: Where a job is written down, and for how long it is waited for.
            base64_of: Has the pictures that the request shows.
        """
        try:
            try:
                send = self._provider.begin(request)
            except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
                return unsendable(error)
            sent_at = anyio.current_time()
            exchange = await self._client.post(
                send,
                self._asking.into(folder, receipt),
                base64_of=base64_of,
                is_late=jobs.is_late,
                leave=partial(jobs.ledger.note_sent, folder.name),
            )
            took_s = anyio.current_time() - sent_at
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                receipt.close()
        if not exchange.complete:
            if exchange.sent:  # what came of it is the only evidence
                await self._pictures.secure(folder.name)
            return replace(without_answer(exchange), dropped=send.dropped)
        result = await self.resume(folder, jobs.ledger)
        if result.making is not None:
            result = await self._waited_for(folder, result, jobs)
            took_s = anyio.current_time() - sent_at
        verdict = refused_for(result.verdict, request)
        return replace(result, verdict=verdict, dropped=send.dropped, took_s=took_s)

    async def _waited_for(self, folder: Path, result: AttemptResult, jobs: Jobs) -> AttemptResult:
        """Ask for a job until its picture is here, as long as this run waits for it."""
        until = anyio.current_time() + jobs.waits_s
        while result.making is not None and result.making.again_s is not None:
            jobs.told(result.making)
            wait_s = result.making.again_s
            if anyio.current_time() + wait_s > until or not await slept(wait_s):
                break
            result = await self.ask(folder, result.making)
        return result

    async def resume(self, folder: Path, ledger: RunLedger, *, age_s: float = 0.0) -> AttemptResult:
        """Go on from the complete answer in ``folder``; never raises for what is in it.

        What only the disk, an address or an interrupt kept away stays open, the answer where it
        was: ``PICTURES`` without a picture is one that is to be had, and not now. The interrupt in
        force cuts short the fetching of its picture, and nothing else. A job is made durable, and
        not asked for yet.

        Args:
            folder: Where it lies.
            ledger: Where a job is written down.
            age_s: How long ago it came.
        """
        return await self._after_the_answer(folder, self._next, age_s=age_s, ledger=ledger)

    async def ask(self, folder: Path, before: BeingMade) -> AttemptResult:
        """Ask once for an accepted job, and go on with its last answer if that is here.

        It may be called by any run, and any number of times; the interrupt in force cuts it short.

        Args:
            folder: The attempt's, whether it has one of the job's answers or not.
            before: What is known of the job.
        """
        job = before.job
        assert job.accepted is not None, "only an accepted job is asked for"
        kept: AttemptResult | None = None
        try:
            answer = await self._polling.ended(folder, job.accepted)
            if answer is not None:
                kept = await self._take_in(folder, answer, job.accepted)
                if not (answer.is_old and _may_have_moved(kept)):
                    return kept
            said = await self._polling.once(folder, job, before)
        except StorageFailed as failure:
            return replace(_being_made(BeingMade(job=job)), storage=failure)
        if isinstance(said, KeptAnswer):
            return await self._take_in(folder, said, job.accepted)
        if kept is not None:
            return kept
        return _being_made(said) if isinstance(said, BeingMade) else said

    @cached_property
    def batching(self) -> Batching | None:
        """Return who takes the steps of batches here; ``None`` where the provider makes none.

        Raises:
            ProviderBroken: What it calls its lane is none.
        """
        lane = self._provider.batch
        if lane is None:
            return None
        take_in = partial(self._take_in_line, lane)
        return Batching(lane, self._asking, take_in=take_in)

    @property
    def listing(self) -> Listing | None:
        """Return what the provider's listing can prove; ``None`` if there is none to be asked."""
        return self._provider.profile.listing

    async def find(self, folder: Path, lost: Lost) -> Sought:
        """Ask the provider's listing for the job of a request whose answer was lost.

        Args:
            folder: The attempt's.
            lost: What is known of it.

        Raises:
            StorageFailed: The disk did not take an answer.
        """
        return await sought(self._provider, self._asking, folder, lost)

    async def _take_in(self, folder: Path, answer: KeptAnswer, accepted: Accepted) -> AttemptResult:
        """Go on from the last answer of a job, which lies on the disk, as from any whole answer."""
        judge = partial(self._last, accepted, answer.of)
        return await self._after_the_answer(
            folder, judge, lies_in=answer.folder, age_s=answer.age_s
        )

    async def _take_in_line(self, lane: BatchLane, folder: Path, age_s: float) -> AttemptResult:
        """Go on from a line of a batch's results, which lies in a folder as a whole answer does."""
        return await self._after_the_answer(folder, partial(self._line, lane), age_s=age_s)

    async def _came_to(self, folder: Path, result: AttemptResult) -> AttemptResult:
        """Keep what is evidence, and cover what is secret, in what came of an answer."""
        if result.leaves_evidence:
            # it is the only evidence of what was paid for
            await self._pictures.secure(folder.name)
        url = result.image_url
        return replace(
            result,
            verdict=self._masked.record(result.verdict),
            image_url=url and self._masked.text(url),
            stays_open=result.interrupted
            or result.storage is not None
            or result.not_here is not None
            or result.stays_open,
        )

    async def _after_the_answer(
        self,
        folder: Path,
        judge: Callable[[Reply], _Judged],
        *,
        lies_in: Path | None = None,
        age_s: float,
        ledger: RunLedger | None = None,
    ) -> AttemptResult:
        """Judge a whole answer and go on from it.

        Args:
            folder: The attempt's.
            judge: What it comes to.
            lies_in: Where it lies, if not there.
            age_s: How long ago it came.
            ledger: Where a job is written down, if it may be one.
        """
        answer = lies_in or folder
        try:
            came = await self._asking.in_turn(partial(self._read, answer, judge))
        except Exception as error:  # noqa: BLE001 - what strangers' bytes raise is a verdict
            result = not_taken_in(error, answer)
        else:
            if isinstance(came, _Answer):
                result = await self._pictures_of(answer, came, age_s, noted_in=folder)
            else:
                assert ledger is not None, "only the first answer is a job"
                result = await self._accepted(folder, came, ledger)
        return await self._came_to(folder, result)

    async def _accepted(self, folder: Path, accepted: Accepted, ledger: RunLedger) -> AttemptResult:
        """Make a job durable; until then its answer in the spool is all that names it."""
        try:
            job = await ledger.accept(folder.name, accepted)
        except StorageFailed as failure:
            return replace(_AWAITED, storage=failure)
        except JobRefused as refusal:
            return not_taken_in(refusal, folder)
        if job is None:  # somebody has decided about its purchase: that is looked at next
            return replace(_AWAITED, stays_open=True)
        return _being_made(BeingMade(job=job, again_s=first_wait_s()))

    async def _pictures_of(
        self, folder: Path, answer: _Answer, age_s: float, *, noted_in: Path
    ) -> AttemptResult:
        """Take in the first good picture of an answer, if it has any."""
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
            await self._note(noted_in, result.not_here)
        return result

    def _read(self, folder: Path, judge: Callable[[Reply], _Judged]) -> _Answer | Accepted:
        """Read an answer and ask what follows; run in a thread, since it may be large."""
        with self._pictures.judging(folder):
            reply = load_reply(folder, self._masked)
            step, share = judge(reply)
        if isinstance(step, Accepted):
            return step
        verdict = step.verdict if isinstance(step, Fetch) else step
        return _Answer(reply, verdict, step.sources, self._cost(verdict, share))

    def _next(self, reply: Reply) -> _Judged:
        step, profile = self._provider.next(reply), self._provider.profile
        if isinstance(step, Accepted) and not profile.has_jobs:
            raise ProviderBroken(profile.name, "next", "returned a job, and its profile has none")
        return step, _ALL

    def _last(self, accepted: Accepted, of: Asked, reply: Reply) -> _Judged:
        """Judge the answer that has ended a job."""
        step = self._provider.polled(reply, accepted, of)
        if not isinstance(step, Verdict | Fetch):
            raise ProviderBroken(
                self._provider.profile.name, "polled", "does not end any more what it has ended"
            )
        return step, _ALL

    def _line(self, lane: BatchLane, reply: Reply) -> _Judged:
        """Judge a line of a batch's results, which costs the lane's share."""
        return lane.said(reply).step, lane.share(self._model)

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
    cost: Charge


_AWAITED = AttemptResult(
    verdict=Verdict(
        kind=VerdictKind.PICTURES, may_be_billed=True, message="its picture is being made"
    ),
    cost=UNKNOWN,
)
"""Of a job: what it will have cost is said by its last answer."""


def _being_made(making: BeingMade) -> AttemptResult:
    return replace(_AWAITED, making=making, stays_open=True)


def _may_have_moved(result: AttemptResult) -> bool:
    """Return whether a picture's address did not give it: a newer answer may name another one."""
    is_there = result.picture is not None or result.image_url is None
    return not (is_there or result.interrupted or result.storage is not None)
