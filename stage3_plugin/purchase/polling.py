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
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchMaking
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.exchange import Asked, Fetch, Gone, Poll, Reply, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted, BeingMade, Job
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.policy.polling import Follows, GiveUp, Wait, follows, without_asking
from stage3_plugin.policy.waiting import STRANGE_TIMES, batch_wait_s
from stage3_plugin.providers.base import Polled, Provider
from stage3_plugin.purchase.asking import Asking, NotAsked
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


class Polling:
    """Asks one provider for jobs.

    Args:
        provider: Says where, and what the answers mean.
        asking: Asks it.
    """

    def __init__(self, provider: Provider, asking: Asking) -> None:
        self._provider = provider
        self._asking = asking

    async def ended(self, folder: Path, accepted: Accepted) -> KeptAnswer | None:
        """Return the answer that has ended a job, if it lies on the disk.

        One that nobody understood when it came is looked at again: a provider may be mended since.

        Raises:
            StorageFailed: The disk does not say.
        """
        for answer in await self._asking.pictures.blocking(partial(polls.kept, folder)):
            judge = self._judge(accepted, answer.of)
            if _is_last(await self._asking.understood(answer.folder, judge)):
                return answer
        return None

    async def once(
        self, folder: Path, job: Job, before: BeingMade
    ) -> KeptAnswer | BeingMade | AttemptResult:
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
        first = Poll(url=before.next_url or accepted.poll_url, of=before.next_of)
        ask = partial(self._followed, folder, accepted, first)
        said = await self._asking.by_key(ask, is_of_the_key)
        return said if isinstance(said, KeptAnswer) else after(said, before, job, self._asking)

    async def _followed(
        self, folder: Path, accepted: Accepted, poll: Poll
    ) -> KeptAnswer | _NotTheLast:
        """Ask one address after the other, as long as the next has something now."""
        for _ in range(_STEPS):
            judge = self._judge(accepted, poll.of)
            said = await self._asking.heard(folder, poll.url, poll.of, judge, _is_last)
            if isinstance(said, Verdict | Fetch):
                return KeptAnswer(polls.whole_of(folder, poll.of), poll.of)
            if not isinstance(said, Poll) or not _is_there(said, after=poll):
                return said
            poll = said
        return poll

    def _judge(self, accepted: Accepted, of: Asked) -> Callable[[Reply], Polled]:
        return lambda reply: self._provider.polled(reply, accepted, of)


def _is_last(step: object) -> bool:
    return isinstance(step, Verdict | Fetch)


def is_of_the_key(said: object) -> bool:
    """Return whether it was the key for which nothing was said."""
    return isinstance(said, Unsaid) and said.stops_run


def _is_there(said: Poll, *, after: Poll) -> bool:
    """Return whether an answer leads on to another address that has something now."""
    return said.after_s is None and said.of not in {"status", after.of}


def after(
    said: _NotTheLast, before: BeingMade, job: Job, asking: Asking
) -> BeingMade | AttemptResult:
    """Return how a job stands after an answer that is not its last, or what has come of it.

    The first answer in a row that is not understood is warned of, once a run.
    """
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
    return _after(said, before, now=asking.now())


def _after(said: _NotTheLast, before: BeingMade, *, now: datetime) -> BeingMade | AttemptResult:
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
        stops_run=is_of_the_key(step),
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
