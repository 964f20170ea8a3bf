"""What ``ask`` and ``wait`` say: how jobs at providers stand, and what became of lost requests."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from stage3_plugin.domain.job import Lane, LineCount
from stage3_plugin.domain.states import State
from stage3_plugin.domain.waited import Waited, WaitedJob
from stage3_plugin.maintenance.next_steps import Next, waiting
from stage3_plugin.maintenance.report import (
    SHORT,
    Bought,
    Changed,
    Kept,
    Part,
    Report,
    at,
    counted,
    grouped,
    moment,
    named,
    on_one_line,
    route,
    token_of,
    usd,
)
from stage3_plugin.purchase.lost import name_of

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


class JobStanding(Part):
    """How a job stands, as the ledger and its provider have it."""

    job_id: str | None = at("job", "accepted", "job_id", default=None)
    lane: Lane = at("job", "new", "lane")
    provider: str = at("endpoint", "provider")
    model: str = at("endpoint", "model")
    accepted_at: datetime | None = at("job", "accepted_at")
    expires_at: datetime | None = at("job", "expires_at")
    purchases: int = at("count")
    left: int
    lines: LineCount | None
    ended: dict[State, int]
    counted_microusd: int = at("spent_microusd")
    free_microusd: int
    problem: Annotated[str | None, BeforeValidator(lambda problem: problem or None)]
    is_given_up: bool
    in_hands: bool = at("is_in_hands")
    without_picture: tuple[Bought, ...] = at("without")


def _left(jobs: Iterable[WaitedJob]) -> int:
    return sum(one.left for one in jobs)


class Standing(Report):
    """How what is being made at providers stands, after waiting for it.

    Attributes:
        run: The run that puts pictures where they belong, if its scene file is known.
        config: The option that finds the config from here.
        at_a_time: So long it is to wait.
    """

    format = "stage3-wait/1"
    waited: Kept[Waited]
    run: Kept[tuple[str, ...] | None]
    config: Kept[tuple[str, ...]]
    at_a_time: Kept[str]
    is_over: bool = at("waited", "is_over")
    waited_s: Annotated[float, AfterValidator(partial(round, ndigits=3))] = at("waited", "waited_s")
    taken_in: int = at("waited", "pictures")
    left: Annotated[int, BeforeValidator(_left)] = at("waited", "jobs")
    jobs: tuple[JobStanding, ...] = at("waited", "jobs")

    @property
    def exit_code(self) -> int:
        """Return 5 as long as something is being made."""
        return 0 if self.is_over else EXIT_PENDING

    @property
    def _has_unknown(self) -> bool:
        return any(State.UNKNOWN in one.ended for one in self.jobs)

    def sentences(self) -> Iterator[str]:
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
        yield from ("", _in_all(self.waited))
        command = "the run that bought it" if self.run is None else f"'{shlex.join(self.run)}'"
        if self.taken_in or self.is_over:
            yield f"next: {command} puts what came where it belongs, and buys only what is missing"
        if not self.is_over:
            again = shlex.join(("stage3", "wait", *self.config))
            yield f"not over yet: '{again}' goes on waiting; {command} takes in the rest"
        if self._has_unknown:
            yield "what is unknown is yours to decide: see 'stage3 attempts'"

    def next_steps(self) -> Iterator[Next]:
        """Yield what may come next: the run that takes in, above all, if anything came.

        While nothing has come it stands last: a program that takes the first would run in a loop.
        """
        steps = list[Next]()
        if not self.is_over:
            why = "goes on waiting; it buys nothing"
            steps.append(waiting(self.config, at_a_time=self.at_a_time, why=why))
        if self.run is not None and (self.taken_in or not self.is_over):
            command = (*self.run[:2], "--max-cost", "0", "--json", *self.run[2:])
            taking_in = Next(command, "puts what came where it belongs, for nothing")
            steps.insert(0 if self.taken_in else len(steps), taking_in)
        yield from steps
        if self._has_unknown:
            why = "shows what is unknown, and how each is decided"
            yield Next(("stage3", "attempts", *self.config, "--json"), why)


def _in_all(waited: Waited) -> str:
    jobs, ended = waited.jobs, Counter[State]()
    for one in jobs:
        ended.update(one.ended)
    lost = _left(one for one in jobs if one.job.accepted is None)
    parts = {
        "without a picture": ended.total() - waited.pictures - ended[State.UNKNOWN],
        "unknown": ended[State.UNKNOWN],
        "still being made": _left(jobs) - lost,
        "whose request was lost, and may be found yet": lost,
    }
    told = [f"{waited.pictures:,} taken in", *(f"{n:,} {what}" for what, n in parts.items() if n)]
    spent = sum(one.spent_microusd for one in jobs)
    return f"{', '.join(told)}; ${usd(spent)} counted for what has ended"


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
    if left := _left(single):
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


class Answer(Changed):
    """What became of a purchase that was asked for."""

    answered: str | None = at("asking", "answered", default=None)
    asked_at: datetime | None = at("asking", "at", default=None)
    asked_why: str | None = at("asking", "why", default=None)


class Answers(Report):
    """What providers said of requests whose answer was lost, and by what proof.

    Attributes:
        asked: Each purchase.
        config: The option that finds the config from here.
    """

    format = "stage3-ask/1"
    asked: list[Answer]
    config: Kept[tuple[str, ...]]

    def _states(self) -> Counter[State]:
        return Counter(one.purchase.state for one in self.asked)

    def next_steps(self) -> Iterator[Next]:
        """Yield what stays for what was found, and what shows the rest."""
        states = self._states()
        if states[State.ACCEPTED]:
            yield waiting(self.config)
        if states[State.UNKNOWN]:
            why = "shows what is still unknown, and how each is decided"
            yield Next(("stage3", "attempts", *self.config, "--json"), why)

    def sentences(self) -> Iterator[str]:
        """Yield a line or two for each purchase, and what all came to."""
        if not self.asked:
            yield (
                "there is nothing to ask for: no request is without an answer whose provider lists "
                "what it was sent; 'stage3 attempts' shows what waits for you"
            )
            return
        for group in grouped(
            self.asked, lambda one: (name_of(one.before), one.before.state, one.purchase.state)
        ):
            one, after, token = group[0], group[0].purchase, token_of(group[0].before)
            name = f"{after.new.attempt_id[:SHORT]}  {after.new.scene_id}"
            if token is not None:
                name = f"batch {token[:SHORT]}  {counted(len(group), 'line')}"
            yield f"{name}  {one.before.state} -> {after.state}  {route(after.new.endpoint)}"
            if one.asked_at is not None:
                yield f"    asked {moment(one.asked_at)}: {one.asked_why}"
            elif after.state is State.UNKNOWN:
                none = "its provider has no listing that could be asked"
                yield f"    {none}, or it could not be reached"
        yield ""
        states = self._states()
        freed = sum(
            one.before.counted_microusd for one in self.asked if one.purchase.state is State.REFUSED
        )
        step = "; the next run takes in what was found" if states[State.ACCEPTED] else ""
        if states[State.UNKNOWN]:
            step += "; ask again later, or decide with 'stage3 resolve'"
        yield (
            f"asked for {len(self.asked)}: {states[State.ACCEPTED] + states[State.PAID]} found, "
            f"{states[State.REFUSED]} never arrived (${usd(freed)} free again), "
            f"{states[State.UNKNOWN]} still unknown{step}"
        )
