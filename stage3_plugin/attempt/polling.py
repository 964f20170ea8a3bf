"""Asks for a job until an answer ends it: one short request after the other, all of them free.

::

    poll_url ── "being made" ── wait ── …        each answer goes to the disk, as any other does,
        └── "done" ── result_url ── last answer  and is removed again unless it is the last one

Apart from the conversation, which knows requests that are paid for, and goes on with the last
answer as with any whole answer. Nothing that is asked here changes anything, and nothing that comes
or does not come is a reason to give up a job, but for what :mod:`stage3_plugin.policy.polling`
says. Whether it is asked by the run that bought it or by a later one makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.attempt.asking import Asking, NotAsked
from stage3_plugin.attempt.ingest import storage_behind
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.exchange import Asked, Fetch, Gone, Poll, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken, SpoolRefused, StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.policy.polling import Follows, GiveUp, Wait, follows, without_asking
from stage3_plugin.providers.base import Polled, Provider
from stage3_plugin.runtime import interrupt
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import polls
from stage3_plugin.storage.spool.polls import KeptAnswer

_SHOWN = 40
"""Characters of a job's name that people see."""
_STEPS = 3
"""How far the job is, what came of it, and the provider's record of that: asked without a wait."""

OTHER_KEY = (
    "key, headers or address of the settings are not those that it was begun with, and another "
    "account does not have it: set them again"
)


@dataclass(frozen=True, slots=True)
class _NotToBeAsked:
    """An address that must not be asked with the settings of this run; a later one may have others.

    Attributes:
        message: Why.
    """

    message: str


_NotTheLast: TypeAlias = Poll | Unsaid | Gone | Unclear | _NotToBeAsked


@dataclass(frozen=True, slots=True)
class Over:
    """Nobody can be asked for a job any more, and no answer has ended it.

    Attributes:
        why: In words.
    """

    why: str


class Polling:
    """Asks one provider for jobs.

    Args:
        provider: Says where, and what the answers mean.
        asking: Asks it.
        pictures: Has the folders for the answers.
        now: The wall clock, aware.
    """

    def __init__(
        self,
        provider: Provider,
        asking: Asking,
        pictures: Pictures,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._provider = provider
        self._asking = asking
        self._pictures = pictures
        self._now = now

    async def ended(self, folder: Path, accepted: Accepted) -> KeptAnswer | None:
        """Return the answer that has ended a job, if it lies on the disk.

        One that nobody understood when it came is looked at again: a provider may be mended since.

        Raises:
            StorageFailed: The disk does not say.
        """
        for answer in await self._pictures.blocking(partial(polls.kept, folder)):
            step = await self._judged(answer.folder, accepted, answer.of)
            if isinstance(step, Verdict | Fetch):
                return answer
        return None

    async def once(
        self, folder: Path, job: Job, before: BeingMade
    ) -> KeptAnswer | BeingMade | Over:
        """Ask how far a job is, and for what came of it if it is done.

        Args:
            folder: The attempt's, in which the answers come to lie.
            job: An accepted one.
            before: What was known of it.

        Raises:
            StorageFailed: The disk did not take an answer.
        """
        accepted = job.accepted
        assert accepted is not None, "only an accepted job is asked for"
        poll = Poll(url=before.next_url or accepted.poll_url, of=before.next_of)
        number = self._asking.number
        said: KeptAnswer | _NotTheLast = poll
        for _ in range(_STEPS):
            said = await self._said(folder, accepted, poll)
            if not isinstance(said, Poll) or not _is_there(said, after=poll):
                break
            poll = said
        if isinstance(said, KeptAnswer):
            return said
        is_of_the_key = isinstance(said, Unsaid) and said.stops_run
        if is_of_the_key and await self._asking.has_another_key_since(number):
            return await self.once(folder, job, before)
        if isinstance(said, Gone) and job.new.account != self._asking.account:
            said = Unsaid(message=f"{said.message}; {OTHER_KEY}")
        if interrupt.current().triggered:  # an answer that was cut short says nothing
            return BeingMade(job=job, asked=before.asked)
        tell_of_strange(said, before)
        return _after(said, before, now=self._now())

    async def _said(self, folder: Path, accepted: Accepted, poll: Poll) -> KeptAnswer | _NotTheLast:
        """Ask one address once; an answer that ends the job is kept, and so is a strange one."""
        try:
            return await self._answer_of(folder, accepted, poll)
        except StorageFailed as failure:
            if is_lack(failure.cause):  # of descriptors: others will free some
                return Unsaid(message=str(failure))
            raise

    async def _answer_of(
        self, folder: Path, accepted: Accepted, poll: Poll
    ) -> KeptAnswer | _NotTheLast:
        try:
            async with self._asking.answer(folder, poll.url) as answer:
                step = await self._judged(answer, accepted, poll.of)
                if isinstance(step, Verdict | Fetch):
                    await self._pictures.blocking(partial(polls.keep, answer, poll.of, how="done"))
                    return KeptAnswer(polls.whole_of(folder, poll.of), poll.of)
                if isinstance(step, Unclear):
                    keep = partial(polls.keep, answer, poll.of, how="unclear")
                    await self._pictures.blocking(keep)
                return step
        except NotAsked as problem:
            return _NotToBeAsked(str(problem)) if problem.is_for_good else problem.said

    async def _judged(self, answer: Path, accepted: Accepted, of: Asked) -> Polled:
        """Ask the provider what an answer means; one that breaks over it does not understand it.

        Raises:
            StorageFailed: The disk did not give it.
        """
        try:
            return await self._asking.judged(
                answer, lambda reply: self._provider.polled(reply, accepted, of)
            )
        except Exception as error:
            storage = storage_behind(error, answer)
            if storage is not None:
                raise storage from error
            known = isinstance(error, ProviderBroken | SpoolRefused)
            what = str(error) if known else type(error).__name__
            return Unclear(message=f"an answer could not be understood: {what}")


def _is_there(said: Poll, *, after: Poll) -> bool:
    """Return whether an answer leads on to another address that has something now."""
    return said.after_s is None and said.of not in {"status", after.of}


def tell_of_strange(said: object, before: BeingMade) -> None:
    """Warn of an answer that is not understood: the first of a job's in a row, once a run."""
    if isinstance(said, Unclear) and not before.strange:
        who = before.job.provider
        warn_of(
            f"{who} says what is not known here: {said.message}; nothing is given up, it is asked "
            f"for again, more slowly, as long as {who} keeps it: see whether a newer release knows "
            "it"
        )


def _after(said: _NotTheLast, before: BeingMade, *, now: datetime) -> BeingMade | Over:
    """Return how a job stands after an answer that is not its last."""
    job = before.job.still_made(now) if isinstance(said, Poll) else before.job
    assert job.expires_at is not None, "an accepted job is kept until some time"
    asked, strange = before.asked + 1, before.strange
    left_s = (job.expires_at - now).total_seconds()
    following: Follows
    if isinstance(said, _NotToBeAsked):
        following = without_asking(left_s)
    else:
        following = follows(
            said, asked=asked, was_gone=before.is_gone, strange=strange, left_s=left_s
        )
    if isinstance(following, GiveUp):
        return Over(following.why)
    made = BeingMade(
        job=job, asked=asked, again_s=following.wait_s if isinstance(following, Wait) else None
    )
    if isinstance(said, Poll):
        return replace(made, next_url=said.url, next_of=said.of)
    return replace(
        made,
        problem=said.message,
        is_gone=isinstance(said, Gone),
        strange=strange + isinstance(said, Unclear),
        stops_run=isinstance(said, Unsaid) and said.stops_run,
    )


def lost(job: Job, why: str) -> AttemptResult:
    """Return what came of a job that nobody can be asked for any more."""
    assert job.accepted is not None, "a job that is lost was accepted"
    verdict = Verdict(
        kind=VerdictKind.UNKNOWN,
        message=f"job {job.accepted.job_id[:_SHOWN]}: {why}; it may have been billed",
        may_be_billed=True,
        should_retry=False,
    )
    return AttemptResult(verdict=verdict, cost=UNKNOWN)
