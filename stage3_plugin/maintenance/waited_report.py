"""How what is being made at providers stands, while it is waited for and afterwards."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from stage3_plugin.domain.states import State
from stage3_plugin.domain.waited import Waited, WaitedJob
from stage3_plugin.maintenance.next_steps import AT_A_TIME, Next
from stage3_plugin.maintenance.report import (
    Report,
    counted,
    moment,
    named,
    on_one_line,
    route,
    usd,
)

EXIT_PENDING: Final = 5
_MOST_REASONS: Final = 5
"""Reasons for which lines have no picture that are named, the commonest first."""
_SCENES_NAMED: Final = 3
_MOST_SHOWN: Final = 20
"""Jobs of one picture that are named; batches are named all."""
_ON_A_TERMINAL: Final = 2
"""Batches that a line of progress has room for."""
_ID: Final = 40
_CAME_TO: Final = {
    State.PAID: "taken in",
    State.REFUSED: "without a picture, and not billed",
    State.VOID: "never sent",
    State.PAID_BAD: "billed without a picture",
    State.UNKNOWN: "unknown: they may have been billed",
    State.WROTE_OFF: "given up",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Report):
    """How all that was waited for stands.

    Attributes:
        waited: That, as the ledger and providers have it.
        run: The run that puts pictures where they belong, if its scene file is known.
        again: The command that waits further, without its limit.
        at_a_time: So long it is to wait.
    """

    FORMAT: ClassVar[str] = "stage3-wait/1"
    waited: Waited
    run: tuple[str, ...] | None
    again: tuple[str, ...]
    at_a_time: str = AT_A_TIME

    def keys(self) -> Mapping[str, object]:
        """Return how it stands, and each job."""
        return {
            "format": self.FORMAT,
            "is_over": self.waited.is_over,
            "waited_s": round(self.waited.waited_s, 3),
            "taken_in": self.waited.pictures,
            "left": self._left,
            "jobs": [_of_job(one) for one in self.waited.jobs],
        }

    @property
    def exit_code(self) -> int:
        """Return whether something is still being made."""
        return 0 if self.waited.is_over else EXIT_PENDING

    @property
    def _left(self) -> int:
        return sum(one.left for one in self.waited.jobs)

    @property
    def _has_unknown(self) -> bool:
        return any(one.ended.get(State.UNKNOWN) for one in self.waited.jobs)

    def told(self) -> Iterator[str]:
        """Yield a line or more for each job, what all came to, and what comes next."""
        jobs = self.waited.jobs
        if not jobs:
            yield "nothing is being made at a provider, so there is nothing to wait for"
            return
        single = [one for one in jobs if not one.is_batch]
        for one in (*(one for one in jobs if one.is_batch), *single[:_MOST_SHOWN]):
            name = f"batch {_name_of(one)}" if one.is_batch else f"job {_name_of(one)}"
            many = f"{counted(one.count, 'line')}, " if one.is_batch else ""
            yield f"{name}  {route(one.endpoint)}  {many}{_standing(one)}"
            yield from (f"    {line}" for line in _ended_lines(one))
        if len(single) > _MOST_SHOWN:
            yield f"and {counted(len(single) - _MOST_SHOWN, 'more picture')}"
        yield from ("", self._in_all())
        command = "the run that bought it" if self.run is None else f"'{shlex.join(self.run)}'"
        if self.waited.pictures or self.waited.is_over:
            yield f"next: {command} puts what came where it belongs, and buys only what is missing"
        if not self.waited.is_over:
            again = shlex.join(self.again)
            yield f"not over yet: '{again}' goes on waiting; {command} takes in the rest"
        if self._has_unknown:
            yield "what is unknown is yours to decide: see 'stage3 attempts'"

    def _in_all(self) -> str:
        jobs, ended = self.waited.jobs, Counter[State]()
        for one in jobs:
            ended.update(one.ended)
        lost = sum(one.left for one in jobs if one.job.accepted is None)
        parts = {
            "without a picture": ended.total() - self.waited.pictures - ended[State.UNKNOWN],
            "unknown": ended[State.UNKNOWN],
            "still being made": self._left - lost,
            "whose request was lost, and may be found yet": lost,
        }
        told = [
            f"{self.waited.pictures:,} taken in",
            *(f"{n:,} {what}" for what, n in parts.items() if n),
        ]
        spent = sum(one.spent_microusd for one in jobs)
        return f"{', '.join(told)}; ${usd(spent)} counted for what has ended"

    def steps(self) -> Iterator[Next]:
        """Yield what may come next: the run that takes in, above all, if anything came.

        While nothing has come it stands last: a program that takes the first would run in a loop.
        """
        again, run, steps = self.again, self.run, list[Next]()
        if not self.waited.is_over:
            limited = (*again[:2], "--for", self.at_a_time, *again[2:], "--json")
            steps.append(Next(limited, "goes on waiting; it buys nothing"))
        if run is not None and (self.waited.pictures or not self.waited.is_over):
            taking_in = Next(
                (*run[:2], "--max-cost", "0", "--json", *run[2:]),
                "puts what came where it belongs, for nothing",
            )
            steps.insert(0 if self.waited.pictures else len(steps), taking_in)
        yield from steps
        if self._has_unknown:
            yield Next(
                ("stage3", "attempts", *again[2:], "--json"),
                "shows what is unknown, and how each is decided",
            )


def _of_job(one: WaitedJob) -> Mapping[str, object]:
    job = one.job
    return {
        "job_id": None if job.accepted is None else job.accepted.job_id,
        "lane": job.new.lane,
        "provider": one.endpoint.provider,
        "model": one.endpoint.model,
        "accepted_at": job.accepted_at,
        "expires_at": job.expires_at,
        "purchases": one.count,
        "left": one.left,
        "lines": one.lines,
        "ended": one.ended,
        "counted_microusd": one.spent_microusd,
        "free_microusd": one.free_microusd,
        "problem": one.problem or None,
        "is_given_up": one.is_given_up,
        "in_hands": one.is_in_hands,
        "without_picture": one.without,
    }


def _standing(one: WaitedJob) -> str:
    """Say whether a job has ended; if not, how far it is, and until when it is kept."""
    if one.left == 0:
        return "ended"
    if one.job.accepted is None:
        return "sent, and its answer was lost: its provider does not list it yet"
    kept = "" if one.job.expires_at is None else f"; kept until {moment(one.job.expires_at)}"
    if one.is_in_hands:
        return f"being made; a run that goes on takes it in{kept}"
    return f"being made{f': {_lines_in_words(one)}' if one.is_batch else ''}{kept}"


def _lines_in_words(one: WaitedJob) -> str:
    """Say how many lines of a batch are done, failed, and expired."""
    lines = one.lines
    if lines is None:
        return f"{counted(one.left, 'line')}, and its provider does not say how many are done"
    done = f"{lines.done:,} of {lines.total:,} done"
    return f"{done}, {lines.failed:,} failed, {lines.expired:,} expired"


def _ended_lines(one: WaitedJob) -> Iterator[str]:
    """Say what those came to that have ended, why some have no picture, and what is in the way."""
    if one.ended:
        parts = [
            f"{one.ended[state]:,} {word}"
            for state, word in _CAME_TO.items()
            if one.ended.get(state)
        ]
        free = f", ${usd(one.free_microusd)} free again" if one.free_microusd else ""
        yield f"{', '.join(parts)}; ${usd(one.spent_microusd)} counted{free}"
    reasons = Counter(purchase.why for purchase in one.without)
    for why, _ in reasons.most_common(_MOST_REASONS):
        scenes = [two.new.scene_id[:_ID] for two in one.without if two.why == why]
        yield f"{named(scenes, _SCENES_NAMED)}: {why}"
    if len(reasons) > _MOST_REASONS:
        yield f"and {len(reasons) - _MOST_REASONS:,} other reasons: see 'stage3 attempts --all'"
    if one.left and one.problem:
        given_up = "it is not asked for any more" if one.is_given_up else "asked for in vain"
        yield f"{given_up}: {one.problem}"


def progress_line(waited: Waited, *, now: datetime) -> str:
    """Say on one line how far all of it is, and when it is asked for again.

    Args:
        waited: That.
        now: By the clock of this machine, in its own zone.
    """
    batches = [one for one in waited.jobs if one.is_batch and one.left]
    single = [one for one in waited.jobs if not one.is_batch]
    parts = [f"batch {_name_of(one)}: {_lines_in_words(one)}" for one in batches[:_ON_A_TERMINAL]]
    if len(batches) > _ON_A_TERMINAL:
        parts.append(f"{len(batches) - _ON_A_TERMINAL:,} more being made")
    if left := sum(one.left for one in single):
        providers = sorted({one.endpoint.provider for one in single if one.left})
        parts.append(f"{counted(left, 'picture')} at {', '.join(providers)}")
    if waited.pictures:
        parts.append(f"{waited.pictures:,} taken in")
    if waited.next_s is not None:
        parts.append(f"asked again at {now + timedelta(seconds=waited.next_s):%H:%M:%S}")
    return on_one_line("; ".join(parts))


def _name_of(one: WaitedJob) -> str:
    accepted, token = one.job.accepted, one.job.new.token
    return ((token or "?") if accepted is None else accepted.job_id)[:_ID]
