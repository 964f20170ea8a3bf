"""Speaks with the provider of one endpoint: one loop for a plain request and a queue's job.

::

    begin ── send ── resume ──┬── a picture, or why there is none
                              └── accepted: durable ── wait ── ask ── …
    resume: a whole answer lies in the spool         └── ask: the ledger has the job

A run that has just received an answer and one that finds it left behind go the same way from there;
only ``begin`` sends what is paid for, and only the run that made the hold calls it. What a provider
with a queue answers is a job. It is durable in the ledger before it is asked for the first time;
from then on nothing about it is unknown, whoever dies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.exchange import Asked, Fetch, Lost, Reply, Sought
from stage3_plugin.domain.job import Accepted, BeingMade
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import JobRefused, ProviderBroken, StorageFailed
from stage3_plugin.policy.polling import first_wait_s
from stage3_plugin.policy.refusal import refused_for
from stage3_plugin.providers.base import Next, Provider
from stage3_plugin.purchase.asking import Asking, RenewableKey, sought
from stage3_plugin.purchase.batching import Batching
from stage3_plugin.purchase.drive import ALL, Drive, slept
from stage3_plugin.purchase.ingest import not_taken_in
from stage3_plugin.purchase.maker import Jobs, shielded
from stage3_plugin.purchase.polling import Ended, Polling
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime.masking import NOTHING, Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts

if TYPE_CHECKING:
    from stage3_plugin.transport.client import (  # imports httpx, which drawing needs not
        Client,
    )

Last: TypeAlias = Verdict | Fetch
"""What has ended a job."""


class PaidMaker:
    """Buys pictures from a provider over HTTP.

    An attempt never tries again and never raises for what a provider or a network did: its result
    says what came of it. Holding the money before it and settling after it are the run's.

    Args:
        conversation_of: Returns the one with the provider for a request's model.
    """

    def __init__(self, conversation_of: Callable[[PictureRequest], Conversation]) -> None:
        self._conversation_of = conversation_of

    async def attempt(self, attempt_id: str, request: PictureRequest, jobs: Jobs) -> AttemptResult:
        """Buy one picture: send once, keep whatever comes, say what it was.

        What was paid for must be stored and reported, so it is shielded from end to end; only the
        waiting for an answer is cut short, by the interrupt in force.
        """
        begin = self._conversation_of(request).begin
        return await shielded(partial(begin, attempt_id, request, jobs))


class Conversation:
    """Speaks with the provider of one endpoint.

    Args:
        provider: Says the steps.
        client: Sends requests, and fetches pictures that are only an address.
        pictures: Takes the pictures.
        hosts: Where pictures may be fetched from.
        job_hosts: Where jobs may be asked for, with the key.
        flat_usd: The settings' price per picture.
        most_bytes: How much of an answer, and of a fetched picture, is taken.
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
        most_bytes: int,
        masked: Masked = NOTHING,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        key: RenewableKey | None = None,
    ) -> None:
        self._provider = provider
        self._spool = pictures.spool
        self._model = model
        self._asking = Asking(
            client=client,
            pictures=pictures,
            hosts=job_hosts,
            most_bytes=most_bytes,
            masked=masked,
            now=now,
            key=key,
        )
        self._drive = Drive(provider, self._asking, hosts, flat_usd=flat_usd)
        self._polling: Polling[Last, AttemptResult] = Polling(
            asking=self._asking,
            words=provider.polled,
            go_on=self._take_in,
            may_have_moved=_may_have_moved,
        )

    async def begin(
        self,
        attempt_id: str,
        request: PictureRequest,
        jobs: Jobs,
    ) -> AttemptResult:
        """Send the one paid request, and go on until its picture is here or is left to a later run.

        Args:
            attempt_id: Its purchase.
            request: What is wanted.
            jobs: Where a job is written down, and for how long it is waited for.
        """
        began_at, begin = anyio.current_time(), partial(self._provider.begin, request)
        sent = await self._drive.send(
            attempt_id,
            begin,
            is_late=jobs.is_late,
            leave=partial(jobs.ledger.note_sent, attempt_id),
        )
        if isinstance(sent, AttemptResult):
            return sent
        folder, came_at = self._spool.folder_of(attempt_id), anyio.current_time()
        result = await self.resume(folder, jobs.ledger)
        if result.making is not None:
            result = await self._waited_for(folder, result, jobs)
            came_at = anyio.current_time()
        verdict = refused_for(result.verdict, request)
        took_s = came_at - began_at
        return replace(result, verdict=verdict, dropped=sent.dropped, took_s=took_s)

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

        A job is made durable, and not asked for yet.

        Args:
            folder: Where it lies.
            ledger: Where a job is written down.
            age_s: How long ago it came.
        """
        came = await self._drive.after_the_answer(folder, self._first, age_s=age_s)
        if isinstance(came, AttemptResult):
            return came
        return await self._drive.noted(folder, await self._accepted(folder, came, ledger))

    async def ask(self, folder: Path, before: BeingMade) -> AttemptResult:
        """Ask once for an accepted job, and go on with its last answer if that is here.

        It may be called by any run, and any number of times; the interrupt in force cuts it short.

        Args:
            folder: The attempt's, whether it has one of the job's answers or not.
            before: What is known of the job.
        """
        try:
            said = await self._polling.ask(folder, before)
        except StorageFailed as failure:
            return replace(_being_made(BeingMade(job=before.job)), storage=failure)
        return _being_made(said) if isinstance(said, BeingMade) else said

    @cached_property
    def batching(self) -> Batching | None:
        """Return who takes the steps of batches here; ``None`` where the provider makes none.

        Raises:
            ProviderBroken: What it calls its lane is none.
        """
        lane = self._provider.batch
        return None if lane is None else Batching(lane, self._asking, self._drive, self._model)

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

    async def _take_in(self, folder: Path, accepted: Accepted, ended: Ended[Last]) -> AttemptResult:
        """Go on from the last answer of a job, which lies on the disk, as from any whole answer."""
        answer = ended.answer
        return await self._drive.after_the_answer(
            folder,
            partial(self._last, accepted, answer.of),
            lies_in=answer.folder,
            age_s=answer.age_s,
        )

    def _first(self, reply: Reply) -> tuple[Next, Decimal]:
        step, profile = self._provider.next(reply), self._provider.profile
        if isinstance(step, Accepted) and not profile.has_jobs:
            raise ProviderBroken(profile.name, "next", "returned a job, and its profile has none")
        return step, ALL

    def _last(self, accepted: Accepted, of: Asked, reply: Reply) -> tuple[Last, Decimal]:
        """Judge the answer that has ended a job."""
        step = self._provider.polled(reply, accepted, of)
        if not isinstance(step, Verdict | Fetch):
            raise ProviderBroken(
                self._provider.profile.name, "polled", "does not end any more what it has ended"
            )
        return step, ALL


_AWAITED = AttemptResult(
    verdict=Verdict(
        kind=VerdictKind.PICTURES, may_be_billed=True, message="its picture is being made"
    ),
    cost=UNKNOWN,
)
"""Of a job: what it will have cost is said by its last answer."""


def _being_made(making: BeingMade) -> AttemptResult:
    return replace(_AWAITED, making=making, stays_open=True)


async def _may_have_moved(_folder: Path, result: AttemptResult) -> bool:
    """Return whether a picture's address did not give it: a newer answer may name another one."""
    is_there = result.picture is not None or result.image_url is None
    return not (is_there or result.interrupted or result.storage is not None)
