"""Asks for a job, whatever its kind, until an answer ends it: short requests, all of them free.

::

    poll_url ── "being made" ── wait ── …        each answer goes to the disk, as any other does,
        └── "done" ── result_url ── last answer  and is removed again unless it is the last one

Nothing that is asked here changes anything, and nothing that comes or does not come is a reason to
give up a job, but for what :mod:`stage3_plugin.policy.polling` says. Whether it is asked by the run
that bought it or by a later one makes no difference. Nor does its kind: what an answer means is
said by the provider, or by its lane of batches, and so is what follows from the last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchMaking
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.exchange import Asked, Gone, Poll, Reply, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.policy.polling import Follows, GiveUp, Wait, follows, without_asking
from stage3_plugin.policy.waiting import STRANGE_TIMES, batch_wait_s
from stage3_plugin.purchase.asking import Asking, NotAsked, moment_of
from stage3_plugin.runtime import interrupt
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


_NotTheLast: TypeAlias = Poll | BatchMaking | Unsaid | Gone | Unclear | NotAsked
Last = TypeVar("Last")
"""What is said by the answer that ends a job."""
Came = TypeVar("Came")
"""What comes of it."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[Last]):
    """The answer that has ended a job, which lies on the disk, and what it says."""

    answer: KeptAnswer
    says: Last


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling(Generic[Last, Came]):
    """Asks one provider for jobs of one kind.

    Attributes:
        asking: Asks it.
        words: Says what an answer means.
        go_on: Goes on from what has ended a job, in its folder.
        may_have_moved: Returns whether what came of an old answer may be had by a newer one.
    """

    asking: Asking
    words: Callable[[Reply, Accepted, Asked], Last | _NotTheLast]
    go_on: Callable[[Path, Accepted, Ended[Last]], Awaitable[Came]]
    may_have_moved: Callable[[Path, Came], Awaitable[bool]]

    async def ask(self, folder: Path, before: BeingMade) -> Came | BeingMade | AttemptResult:
        """Ask once how far a job is, and go on with its last answer if that is here.

        What has ended it is kept, and found without asking again. It may be called by any run, and
        any number of times; the interrupt in force cuts it short.

        Args:
            folder: The attempt's or the batch's, in which the answers come to lie.
            before: What is known of the job.

        Returns:
            What came of it; or how far it is; or, where nobody can be asked any more, that this is
            unknown.

        Raises:
            StorageFailed: The disk did not take an answer, or does not say.
        """
        accepted = before.job.accepted
        assert accepted is not None, "only an accepted job is asked for"
        ended = await self._ended(folder, accepted)
        if ended is None:
            said = await self._asked(folder, accepted, before)
            if not isinstance(said, Ended):
                return _after(said, before, self.asking)
            return await self.go_on(folder, accepted, said)
        came = await self.go_on(folder, accepted, ended)
        if ended.answer.is_old and await self.may_have_moved(folder, came):
            said = await self._asked(folder, accepted, before)
            if isinstance(said, Ended):  # else it has ended all the same, whatever is said now
                return await self.go_on(folder, accepted, said)
        return came

    async def _asked(
        self, folder: Path, accepted: Accepted, before: BeingMade
    ) -> Ended[Last] | _NotTheLast:
        """Ask, and once more where that was turned away for its key and there is another one."""
        first = Poll(url=before.next_url or accepted.poll_url, of=before.next_of)
        ask = partial(self._followed, folder, accepted, first)
        return await self.asking.by_key(ask, _is_of_the_key)

    async def _ended(self, folder: Path, accepted: Accepted) -> Ended[Last] | None:
        """Return the answer that has ended a job, if it lies on the disk.

        One that nobody understood when it came is looked at again: a provider may be mended since.
        """
        for answer in await self.asking.pictures.blocking(partial(polls.kept, folder)):
            step = await self._understood(answer.folder, accepted, answer.of)
            if not isinstance(step, _NotTheLast):
                return Ended(answer, step)
        return None

    async def _followed(
        self, folder: Path, accepted: Accepted, poll: Poll
    ) -> Ended[Last] | _NotTheLast:
        """Ask one address after the other, as long as the next has something now."""
        for _ in range(_STEPS):
            said = await self._heard(folder, accepted, poll)
            if not isinstance(said, _NotTheLast):
                return Ended(KeptAnswer(polls.whole_of(folder, poll.of), poll.of), said)
            if not isinstance(said, Poll) or not _is_there(said, after=poll):
                return said
            poll = said
        return poll

    async def _heard(self, folder: Path, accepted: Accepted, poll: Poll) -> Last | _NotTheLast:
        """Ask once; an answer that ends a job is kept, and so is one that is not understood."""
        try:
            async with self.asking.answer(folder, poll.url) as answer:
                step = await self._understood(answer, accepted, poll.of)
                if isinstance(step, Unclear) or not isinstance(step, _NotTheLast):
                    how: polls.Kept = "unclear" if isinstance(step, Unclear) else "done"
                    keep = partial(polls.keep, answer, poll.of, how=how)
                    await self.asking.pictures.blocking(keep)
                return step
        except NotAsked as problem:
            return problem
        except StorageFailed as failure:
            if is_lack(failure.cause):  # of descriptors: others will free some
                return Unsaid(message=str(failure))
            raise

    async def _understood(self, answer: Path, accepted: Accepted, of: Asked) -> Last | _NotTheLast:
        """Judge an answer of a job's."""

        def judge(reply: Reply) -> Last | _NotTheLast:
            step = self.words(reply, accepted, of)
            return replace(step, said_at=moment_of(reply)) if isinstance(step, Gone) else step

        return await self.asking.understood(answer, judge)


def _is_of_the_key(said: object) -> bool:
    """Return whether it was the key for which nothing was said."""
    return isinstance(said, Unsaid) and said.stops_run


def _is_there(said: Poll, *, after: Poll) -> bool:
    """Return whether an answer leads on to another address that has something now."""
    return said.after_s is None and said.of not in {"status", after.of}


def _after(said: _NotTheLast, before: BeingMade, asking: Asking) -> BeingMade | AttemptResult:
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
        warn_of(
            f"{who} says what is not known here: {said.message}; nothing is given up, it is asked "
            f"for again, more slowly, as long as {who} keeps it: see whether a newer release knows "
            "it"
        )
    return _standing(said, before, now=asking.now())


def _standing(said: _NotTheLast, before: BeingMade, *, now: datetime) -> BeingMade | AttemptResult:
    step = said.said if isinstance(said, NotAsked) else said
    goes_on = isinstance(step, Poll | BatchMaking)
    job = before.job.still_made(now) if goes_on else before.job
    assert job.accepted is not None, "only an accepted job is asked for"
    assert job.expires_at is not None, "an accepted job is kept until some time"
    asked, is_batch = before.asked + 1, job.new.lane == "batch"
    left_s = (job.expires_at - now).total_seconds()
    following: Follows
    if isinstance(said, NotAsked) and said.is_for_good:
        following = without_asking(left_s)
    else:
        # No run waits for a batch for minutes, and who stays for it asks on. Nor do two looks call
        # it lost, however far apart: how much time is between them is known by the ledger alone.
        following = follows(
            Poll(url=job.accepted.poll_url, after_s=step.hint_s)
            if isinstance(step, BatchMaking)
            else step,
            asked=asked,
            was_gone=before.is_gone and not is_batch,
            strange=0 if is_batch else before.strange,
            left_s=left_s,
        )
    if isinstance(following, GiveUp):
        return lost(job, following.why)
    wait_s = following.wait_s if isinstance(following, Wait) else None
    made = BeingMade(
        job=job,
        asked=asked,
        again_s=_batch_wait_s(step, asked) if is_batch and wait_s is not None else wait_s,
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
        stops_run=_is_of_the_key(step),
    )


def _batch_wait_s(step: object, asked: int) -> float:
    """Return the wait before a batch is asked for again: they are made within a day."""
    if isinstance(step, BatchMaking | Unsaid):
        return batch_wait_s(asked, hint_s=step.hint_s)
    return batch_wait_s(asked) * (STRANGE_TIMES if isinstance(step, Unclear) else 1)


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
