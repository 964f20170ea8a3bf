"""How a job stands after an answer that is not its last, whatever its kind.

Values alone: who asks is :mod:`stage3_plugin.purchase.drive`, and what is a reason to give a job up
is said by :mod:`stage3_plugin.policy.polling`. Whether it is asked by the run that bought it or by
a later one makes no difference.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchMaking
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.exchange import Gone, Poll, Unclear, Unsaid
from stage3_plugin.domain.job import BeingMade, Job
from stage3_plugin.domain.money import UNKNOWN
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.policy.polling import Follows, GiveUp, Wait, follows, without_asking
from stage3_plugin.policy.waiting import STRANGE_TIMES, batch_wait_s
from stage3_plugin.purchase.asking import Asking, NotAsked
from stage3_plugin.runtime import interrupt

_SHOWN = 40
"""Characters of a job's name that people see."""

OTHER_KEY = (
    "key, headers or address of the settings are not those that it was begun with, and another "
    "account does not have it: set them again"
)

NotTheLast: TypeAlias = Poll | BatchMaking | Unsaid | Gone | Unclear | NotAsked
"""What says that a job goes on, or says nothing."""


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
        warn_of(
            f"{who} says what is not known here: {said.message}; nothing is given up, it is asked "
            f"for again, more slowly, as long as {who} keeps it: see whether a newer release knows "
            "it"
        )
    return _standing(said, before, now=asking.now())


def _standing(said: NotTheLast, before: BeingMade, *, now: datetime) -> BeingMade | AttemptResult:
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
