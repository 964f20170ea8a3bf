"""Drives what is paid for, of whatever kind: the one paid request, its answer, and asking on.

::

    buy ── the one paid request ──┐              ┌── a verdict
                                  ├── resume ────┼── pictures ── fetch, ingest
    its answer lies in the spool ─┘   ▲          └── accepted: a job, durable in the ledger
                                      │                             │
    the last answer of one ───────────┴── ended ── ask ── wait ─────┘
    results with many lines ◀─────────────┘

A plain request, a queue's job and a batch all go this way; what an answer means is said by the
provider or by its lane (``conversation``). Everything after the answer begins with
what lies on the disk, or with what the ledger has of the job, so a run that has just received an
answer and one that finds it left behind do the same. A paid request is sent once, in ``buy``, and
nowhere else; every other step costs nothing and may be done again.

Nothing that is asked of a job changes anything, and nothing that comes or does not come is a reason
to give it up, but for what :mod:`stage3_plugin.policy.polling` says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, BatchMaking
from stage3_plugin.domain.events import coded, warn_of
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Gone,
    Lost,
    Poll,
    Reply,
    Send,
    Sought,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.money import FREE, UNKNOWN, Charge, cost_of_answer
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import JobRefused, ProviderBroken, SettingsRefused, StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.policy.polling import FIRST_WAIT_S, GiveUp, follows, without_asking
from stage3_plugin.policy.waiting import STRANGE_TIMES, batch_wait_s
from stage3_plugin.providers.base import BatchLane, Provider
from stage3_plugin.purchase.asking import Asking, NotAsked, moment_of, sought
from stage3_plugin.purchase.ingest import Answer, Ingest, not_taken_in
from stage3_plugin.purchase.maker import Jobs
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime import interrupt
from stage3_plugin.storage.spool import polls
from stage3_plugin.storage.spool.polls import KeptAnswer
from stage3_plugin.storage.spool.reading import load_reply

if TYPE_CHECKING:
    from stage3_plugin.transport.exchange import Exchange  # imports httpx, which drawing needs not

ALL = Decimal(1)
"""The share of what is bought by itself."""
_STEPS = 3
"""How far the job is, what came of it, and the provider's record of that: asked without a wait."""

_SHOWN = 40
"""Characters of a job's name that people see."""
OTHER_KEY = (
    "key, headers or address of the settings are not those that it was begun with, and another "
    "account does not have it: set them again"
)

NotTheLast: TypeAlias = Poll | BatchMaking | Unsaid | Gone | Unclear | NotAsked
"""What says that a job goes on, or says nothing."""
Last: TypeAlias = Verdict | Fetch | BatchEnded
"""What is said by the answer that ends a job."""
Heard: TypeAlias = BeingMade | BatchEnded | AttemptResult
"""What asking for a job comes to: how far it is, that its many lines have ended, or what is true of
all of it."""
Made = TypeVar("Made")
Begun = TypeVar("Begun")
"""A job, of an answer that may begin one; nothing, of all others."""
Judge: TypeAlias = Callable[[Reply], Verdict | Fetch | Begun]
"""Says what an answer comes to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer that has ended a job, which lies on the disk, and what it says."""

    answer: KeptAnswer
    says: Last


@dataclass(eq=False, repr=False)
class Drive(ABC):
    """Drives what is bought at the provider of one endpoint, in one of its lanes.

    Args:
        words: Has its listing: the provider, or its lane.
        provider: Has the prices.
        asking: Has who sends, and the folders for answers.
        ingest: Takes the pictures in.
        flat_usd: The settings' price per picture.
    """

    words: Provider | BatchLane
    provider: Provider
    asking: Asking
    ingest: Ingest
    flat_usd: Decimal | None

    def __post_init__(self) -> None:
        self._pictures = self.asking.pictures

    # What is said by the provider, or by its lane ------------------------------------------------

    @property
    @abstractmethod
    def listing(self) -> Listing | None:
        """Return what its listing can prove; ``None`` if there is none to be asked."""

    @abstractmethod
    def _first(self, reply: Reply) -> Verdict | Fetch | Accepted:
        """Judge the answer to the one paid request."""

    @abstractmethod
    def _polled(self, reply: Reply, accepted: Accepted, of: Asked, /) -> Last | NotTheLast:
        """Judge an answer of a job's."""

    @abstractmethod
    async def _ended(self, folder: Path, accepted: Accepted, ended: Ended, /) -> Heard:
        """Go on from the last answer of a job."""

    @abstractmethod
    async def _may_have_moved(self, folder: Path, came: Heard, /) -> bool:
        """Return whether what came of an old answer may be had by a newer one."""

    # The one paid request ------------------------------------------------------------------------

    async def buy(self, name: str, begin: Callable[[], Send], jobs: Jobs) -> AttemptResult:
        """Send the one paid request, and go on as long as this run waits for what it buys.

        Whoever calls has made the hold for it.

        Args:
            name: Of its folder in the spool: the purchase, or the batch.
            begin: Returns what is sent.
            jobs: Where a job is written down, and for how long it is waited for.
        """
        began_at = anyio.current_time()
        sent = await self._send(name, begin, jobs)
        if isinstance(sent, AttemptResult):
            return sent
        came_at = anyio.current_time()
        result = await self.resume(name, jobs.ledger)
        until = anyio.current_time() + jobs.waits_s
        while result.making is not None and result.making.again_s is not None:
            jobs.told(result.making)
            wait_s = result.making.again_s
            if anyio.current_time() + wait_s > until or not await slept(wait_s):
                break
            said = await self.ask(name, result.making)
            if isinstance(said, BatchEnded):  # whose lines are taken in by who asks for one
                break
            result = being_made(said) if isinstance(said, BeingMade) else said
            came_at = anyio.current_time()
        return replace(result, dropped=sent.dropped, took_s=came_at - began_at)

    async def _send(self, name: str, begin: Callable[[], Send], jobs: Jobs) -> Send | AttemptResult:
        """Return what was sent, where its whole answer lies in its folder; else what came of it."""
        made = sendable(lambda: (begin(), self.asking.to_come(self._pictures.new_folder(name))))
        if isinstance(made, AttemptResult):
            return made
        send, answer = made
        try:
            exchange = await self.asking.client.post(
                send,
                answer.opened,
                is_late=jobs.is_late,
                leave=partial(jobs.ledger.note_sent, name),
            )
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                answer.close()
        if exchange.complete:
            return send
        if exchange.sent:  # what came of it is the only evidence
            await self._pictures.secure(name)
        return replace(_without_answer(exchange), dropped=send.dropped)

    # A whole answer ------------------------------------------------------------------------------

    async def resume(self, name: str, ledger: RunLedger, *, age_s: float = 0.0) -> AttemptResult:
        """Go on from the whole answer to the one paid request; never raises for what is in it.

        A job is made durable, and not asked for yet.

        Args:
            name: Of the folder where it lies.
            ledger: Where a job is written down.
            age_s: How long ago it came.
        """
        folder = self._folder(name)
        came = await self.after_the_answer(folder, self._first, age_s=age_s)
        if isinstance(came, AttemptResult):
            return came
        return await self._noted(folder, await self._accepted(folder, came, ledger))

    async def _accepted(self, folder: Path, accepted: Accepted, ledger: RunLedger) -> AttemptResult:
        """Make a job durable; until then its answer in the spool is all that names it."""
        try:
            job = await ledger.accept(folder.name, accepted)
        except StorageFailed as failure:
            return replace(_AWAITED, storage=failure)
        except JobRefused as refusal:
            return not_taken_in(refusal, folder)
        if job is None:  # somebody has decided about all of it: that is looked at next
            return replace(_AWAITED, stays_open=True)
        return being_made(BeingMade(job=job, again_s=FIRST_WAIT_S))

    async def after_the_answer(
        self,
        folder: Path,
        judge: Judge[Begun],
        *,
        share: Callable[[], Decimal | None] = lambda: ALL,
        lies_in: Path | None = None,
        age_s: float = 0.0,
    ) -> AttemptResult | Begun:
        """Go on from a whole answer; never raises for what is in it.

        What only the disk, an address or an interrupt kept away stays open, the answer where it
        was: ``PICTURES`` without a picture is one that is to be had, and not now. The interrupt in
        force cuts short the fetching of its picture, and nothing else.

        Args:
            folder: The attempt's.
            judge: What the answer comes to.
            share: What part of the ordinary price it costs; of one that is not known, only the
                provider's own figure is believed.
            lies_in: Where it lies, if not there.
            age_s: How long ago it came.

        Returns:
            What came of it; of a job, what names it: it is to be written down by who calls.
        """
        answer = lies_in or folder
        try:
            came = await self.asking.in_turn(partial(self._read, answer, judge, share))
        except Exception as error:  # noqa: BLE001 - what strangers' bytes raise is a verdict
            return await self._noted(folder, not_taken_in(error, answer))
        if not isinstance(came, Answer):
            return came
        result = await self.ingest.first_good(answer, came, age_s, noted_in=folder)
        return await self._noted(folder, result)

    async def _noted(self, folder: Path, result: AttemptResult) -> AttemptResult:
        """Keep what is evidence, and cover what is secret, in what came of an answer."""
        if result.leaves_evidence:
            # it is the only evidence of what was paid for
            await self._pictures.secure(folder.name)
        masked, url = self.asking.masked, result.image_url
        return replace(
            result,
            verdict=masked.record(result.verdict),
            image_url=url and masked.text(url),
            stays_open=result.interrupted
            or result.storage is not None
            or result.not_here is not None
            or result.stays_open,
        )

    def _read(
        self, folder: Path, judge: Judge[Begun], share: Callable[[], Decimal | None]
    ) -> Answer | Begun:
        """Read an answer and ask what follows; run in a thread, since it may be large."""
        with self._pictures.judging(folder):
            reply = load_reply(folder, self.asking.masked)
            step, part = judge(reply), share()
        if not isinstance(step, Verdict | Fetch):
            return step
        verdict = step.verdict if isinstance(step, Fetch) else step
        return Answer(reply, verdict, step.sources, self._cost(verdict, part))

    def _cost(self, verdict: Verdict, share: Decimal | None) -> Charge:
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
                    prices=self.provider.prices,
                    flat_usd=self.flat_usd,
                    share=share,
                    listed_usd=verdict.listed_usd,
                    gateway_usd=verdict.gateway_usd,
                    has_picture=verdict.kind is VerdictKind.PICTURES,
                )
            except Exception:  # noqa: BLE001 - then what was held is counted
                return UNKNOWN
        return UNKNOWN if verdict.may_be_billed else FREE

    # A job ---------------------------------------------------------------------------------------

    async def ask(self, name: str, before: BeingMade) -> Heard:
        """Ask once how far an accepted job is, and go on with its last answer if that is here.

        What has ended it is kept, and found without asking again. It may be called by any run, and
        any number of times; the interrupt in force cuts it short.

        Args:
            name: Of its folder, in which the answers come to lie.
            before: What is known of the job.

        Raises:
            StorageFailed: The disk did not take an answer, or does not say.
        """
        folder, accepted = self._folder(name), before.job.accepted
        assert accepted is not None, "only an accepted job is asked for"
        came, ended = None, await self._kept(folder, accepted)
        if ended is not None:
            came = await self._ended(folder, accepted, ended)
            if not (ended.answer.is_old and await self._may_have_moved(folder, came)):
                return came
        first = Poll(url=before.next_url or accepted.poll_url, of=before.next_of)
        said = await self.asking.by_key(
            partial(self._followed, folder, accepted, first), is_of_the_key
        )
        if isinstance(said, Ended):
            return await self._ended(folder, accepted, said)
        if came is not None:  # it has ended all the same, whatever is said now
            return came
        return stands_after(said, before, self.asking)

    async def _kept(self, folder: Path, accepted: Accepted) -> Ended | None:
        """Return the answer that has ended a job, if it lies on the disk.

        One that nobody understood when it came is looked at again: a provider may be mended since.
        """
        for answer in await self._pictures.blocking(partial(polls.kept, folder)):
            step = await self._understood(answer.folder, accepted, answer.of)
            if not isinstance(step, NotTheLast):
                return Ended(answer, step)
        return None

    async def _followed(self, folder: Path, accepted: Accepted, poll: Poll) -> Ended | NotTheLast:
        """Ask one address after the other, as long as the next has something now."""
        for _ in range(_STEPS):
            said = await self._heard(folder, accepted, poll)
            if not isinstance(said, NotTheLast):
                return Ended(KeptAnswer(polls.whole_of(folder, poll.of), poll.of), said)
            leads_on = isinstance(said, Poll) and said.of not in {"status", poll.of}
            if not isinstance(said, Poll) or not leads_on or said.after_s is not None:
                return said  # it says nothing of another address that has something now
            poll = said
        return poll

    async def _heard(self, folder: Path, accepted: Accepted, poll: Poll) -> Last | NotTheLast:
        """Ask once; an answer that ends a job is kept, and so is one that is not understood."""
        try:
            async with self.asking.answer(folder, poll.url) as answer:
                step = await self._understood(answer, accepted, poll.of)
                if isinstance(step, Unclear) or not isinstance(step, NotTheLast):
                    how: polls.Kept = "unclear" if isinstance(step, Unclear) else "done"
                    keep = partial(polls.keep, answer, poll.of, how=how)
                    await self._pictures.blocking(keep)
                return step
        except NotAsked as problem:
            return problem
        except StorageFailed as failure:
            if is_lack(failure.cause):  # of descriptors: others will free some
                return Unsaid(message=str(failure))
            raise

    async def _understood(self, answer: Path, accepted: Accepted, of: Asked) -> Last | NotTheLast:
        """Judge an answer of a job's."""

        def judge(reply: Reply) -> Last | NotTheLast:
            step = self._polled(reply, accepted, of)
            return replace(step, said_at=moment_of(reply)) if isinstance(step, Gone) else step

        return await self.asking.understood(answer, judge)

    async def find(self, name: str, lost: Lost) -> Sought:
        """Ask the listing for the job of a request whose answer was lost.

        Args:
            name: Of its folder.
            lost: What is known of it.

        Raises:
            StorageFailed: The disk did not take an answer.
        """
        return await sought(self.words, self.asking, self._folder(name), lost)

    def _folder(self, name: str) -> Path:
        return self._pictures.spool.folder_of(name)


_AWAITED = AttemptResult(
    verdict=Verdict(
        kind=VerdictKind.PICTURES, may_be_billed=True, message="its picture is being made"
    ),
    cost=UNKNOWN,
)
"""Of a job: what it will have cost is said by its last answer."""


def being_made(making: BeingMade) -> AttemptResult:
    """Return that a job is being made."""
    return replace(_AWAITED, making=making, stays_open=True)


def sendable(make: Callable[[], Made]) -> Made | AttemptResult:
    """Make something before anything has left: what goes wrong with it is no unknown."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whoever raises it, nothing was sent
        return unsendable(error)


def unsendable(error: Exception) -> AttemptResult:
    """Return an attempt that ended before its first byte.

    On something in the request itself; or there was no place for it or for its answer: for lack of
    descriptors the next one may be made, as others will free some, and all else stops a run.
    """
    if isinstance(error, StorageFailed):
        lacks = is_lack(error.cause)
        message = f"nothing was sent: {error}" if lacks else str(error)
        verdict = Verdict(kind=VerdictKind.NOT_SENT, message=message)
        return AttemptResult(verdict=verdict, cost=FREE, storage=None if lacks else error)
    problem = str(error) if isinstance(error, ProviderBroken) else type(error).__name__
    if isinstance(error.__cause__, SettingsRefused):  # of a scene's own model
        problem = str(error.__cause__)
    message = f"the request cannot be made: {problem}; nothing was sent"
    verdict = Verdict(kind=VerdictKind.REJECTED, message=message)
    return AttemptResult(verdict=verdict, cost=FREE, never_sent=True)


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


# How a job stands after an answer that is not its last --------------------------------------------


def is_of_the_key(said: object) -> bool:
    """Return whether it was the key for which nothing was said."""
    return isinstance(said, Unsaid) and said.stops_run


def stands_after(said: NotTheLast, before: BeingMade, asking: Asking) -> BeingMade | AttemptResult:
    """Return how a job stands after an answer that is not its last, or what has come of it.

    The first answer in a row that is not understood is warned of, once a run.
    """
    job = before.job
    if isinstance(said, Gone) and job.new.account != asking.client.account:
        said = Unsaid(message=f"{said.message}; {OTHER_KEY}")
    if interrupt.current().triggered:  # an answer that was cut short says nothing
        return BeingMade(job=job, asked=before.asked, lines=before.lines)
    if isinstance(said, Unclear) and not before.strange:
        who = job.provider
        line = (
            f"{who} says what is not known here: {said.message}; nothing is given up, it is asked "
            f"for again, more slowly, as long as {who} keeps it: see whether a newer release knows "
            "it"
        )
        warn_of(coded("answer_not_understood", line))
    return _standing(said, before, now=asking.now())


def _standing(said: NotTheLast, before: BeingMade, *, now: datetime) -> BeingMade | AttemptResult:
    step = said.said if isinstance(said, NotAsked) else said
    goes_on = isinstance(step, Poll | BatchMaking)
    job = before.job.still_made(now) if goes_on else before.job
    assert job.expires_at is not None, "an accepted job is kept until some time"
    asked, is_batch = before.asked + 1, job.new.lane == "batch"
    left_s = (job.expires_at - now).total_seconds()
    following: float | GiveUp | None
    if isinstance(said, NotAsked) and said.is_for_good:
        following = without_asking(left_s)
    else:
        # No run waits for a batch for minutes, and who stays for it asks on. Nor do two looks call
        # it lost, however far apart: how much time is between them is known by the ledger alone.
        following = follows(
            step,
            asked=asked,
            was_gone=before.is_gone and not is_batch,
            strange=0 if is_batch else before.strange,
            left_s=left_s,
        )
    if isinstance(following, GiveUp):
        return lost_job(job, following.why)
    is_paced = is_batch and following is not None
    made = BeingMade(
        job=job,
        asked=asked,
        again_s=_batch_wait_s(step, asked) if is_paced else following,
        lines=(isinstance(step, BatchMaking) and step.lines) or before.lines,
    )
    if isinstance(step, Poll):
        return replace(made, next_url=step.url, next_of=step.of)
    if isinstance(step, BatchMaking):
        return made
    return replace(
        made,
        problem=step.message,
        is_gone=isinstance(step, Gone),
        gone_at=step.said_at if isinstance(step, Gone) else None,
        strange=before.strange + isinstance(step, Unclear),
        stops_run=is_of_the_key(step),
    )


def _batch_wait_s(step: object, asked: int) -> float:
    """Return the wait before a batch is asked for again: they are made within a day."""
    if isinstance(step, BatchMaking | Unsaid):
        return batch_wait_s(asked, hint_s=step.hint_s)
    return batch_wait_s(asked) * (STRANGE_TIMES if isinstance(step, Unclear) else 1)


def lost_job(job: Job, why: str) -> AttemptResult:
    """Return what came of a job that nobody can be asked for any more."""
    assert job.accepted is not None, "a job that is lost was accepted"
    verdict = Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"job {job.accepted.job_id[:_SHOWN]}: {why}; it may have been billed",
        may_be_billed=True,
        should_retry=False,
    )
    return AttemptResult(verdict=verdict, cost=UNKNOWN)


async def slept(wait_s: float) -> bool:
    """Let seconds pass; return false, and at once, if the interrupt in force is triggered."""
    with anyio.CancelScope() as scope, interrupt.current().calling(scope.cancel):
        await anyio.sleep(wait_s)
    return not scope.cancelled_caught
