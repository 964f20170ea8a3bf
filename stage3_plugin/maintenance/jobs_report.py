"""What ``ask`` and ``wait`` say: how jobs at providers stand, and what became of lost requests."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from stage3_plugin.domain.purchase import AskedFor
from stage3_plugin.domain.states import State
from stage3_plugin.domain.waited import Waited, WaitedJob
from stage3_plugin.maintenance.next_steps import Next, waiting
from stage3_plugin.maintenance.report import (
    SHORT,
    Report,
    counted,
    grouped,
    moment,
    named,
    on_one_line,
    route,
    together,
    token_of,
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


def standing(
    waited: Waited, run: tuple[str, ...] | None, config: tuple[str, ...], *, at_a_time: str
) -> Report:
    """Say how all that was waited for stands, as the ledger and providers have it.

    Args:
        waited: That.
        run: The run that puts pictures where they belong, if its scene file is known.
        config: The option that finds the config from here.
        at_a_time: So long it is to wait.
    """
    document = {
        "format": "stage3-wait/1",
        "is_over": waited.is_over,
        "waited_s": round(waited.waited_s, 3),
        "taken_in": waited.pictures,
        "left": sum(one.left for one in waited.jobs),
        "jobs": [_of_job(one) for one in waited.jobs],
    }
    return Report(
        document=document,
        sentences=list(_standing_in_words(waited, run, config)),
        next_steps=list(_after_waiting(waited, run, config, at_a_time)),
        exit_code=0 if waited.is_over else EXIT_PENDING,
    )


def _has_unknown(waited: Waited) -> bool:
    return any(one.ended.get(State.UNKNOWN) for one in waited.jobs)


def _standing_in_words(
    waited: Waited, run: tuple[str, ...] | None, config: tuple[str, ...]
) -> Iterator[str]:
    """Yield a line or more for each job, what all came to, and what comes next."""
    if not waited.jobs:
        yield "nothing is being made at a provider, so there is nothing to wait for"
        return
    single = [one for one in waited.jobs if not one.is_batch]
    for one in (*(one for one in waited.jobs if one.is_batch), *single[:_MOST_SHOWN]):
        name = f"batch {_name_of(one)}" if one.is_batch else f"job {_name_of(one)}"
        many = f"{counted(one.count, 'line')}, " if one.is_batch else ""
        yield f"{name}  {route(one.endpoint)}  {many}{_standing(one)}"
        yield from (f"    {line}" for line in _ended_lines(one))
    if len(single) > _MOST_SHOWN:
        yield f"and {counted(len(single) - _MOST_SHOWN, 'more picture')}"
    yield from ("", _in_all(waited))
    command = "the run that bought it" if run is None else f"'{shlex.join(run)}'"
    if waited.pictures or waited.is_over:
        yield f"next: {command} puts what came where it belongs, and buys only what is missing"
    if not waited.is_over:
        again = shlex.join(("stage3", "wait", *config))
        yield f"not over yet: '{again}' goes on waiting; {command} takes in the rest"
    if _has_unknown(waited):
        yield "what is unknown is yours to decide: see 'stage3 attempts'"


def _in_all(waited: Waited) -> str:
    jobs, ended = waited.jobs, Counter[State]()
    for one in jobs:
        ended.update(one.ended)
    lost = sum(one.left for one in jobs if one.job.accepted is None)
    parts = {
        "without a picture": ended.total() - waited.pictures - ended[State.UNKNOWN],
        "unknown": ended[State.UNKNOWN],
        "still being made": sum(one.left for one in jobs) - lost,
        "whose request was lost, and may be found yet": lost,
    }
    told = [f"{waited.pictures:,} taken in", *(f"{n:,} {what}" for what, n in parts.items() if n)]
    spent = sum(one.spent_microusd for one in jobs)
    return f"{', '.join(told)}; ${usd(spent)} counted for what has ended"


def _after_waiting(
    waited: Waited, run: tuple[str, ...] | None, config: tuple[str, ...], at_a_time: str
) -> Iterator[Next]:
    """Yield what may come next: the run that takes in, above all, if anything came.

    While nothing has come it stands last: a program that takes the first would run in a loop.
    """
    steps = list[Next]()
    if not waited.is_over:
        why = "goes on waiting; it buys nothing"
        steps.append(waiting(config, at_a_time=at_a_time, why=why))
    if run is not None and (waited.pictures or not waited.is_over):
        taking_in = Next(
            (*run[:2], "--max-cost", "0", "--json", *run[2:]),
            "puts what came where it belongs, for nothing",
        )
        steps.insert(0 if waited.pictures else len(steps), taking_in)
    yield from steps
    if _has_unknown(waited):
        yield Next(
            ("stage3", "attempts", *config, "--json"),
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


def asked(asked: Sequence[AskedFor], config: tuple[str, ...]) -> Report:
    """Say what providers said of requests whose answer was lost, and by what proof.

    Args:
        asked: Each purchase.
        config: The option that finds the config from here.
    """
    each = [
        {
            "state_before": one.before.state,
            "purchase": one.after,
            "answered": one.asking and one.asking.answered,
            "asked_at": one.asking and one.asking.at,
            "asked_why": one.asking and one.asking.why,
        }
        for one in asked
    ]
    states, steps = Counter(one.after.state for one in asked), list[Next]()
    if states[State.ACCEPTED]:
        steps.append(waiting(config))
    if states[State.UNKNOWN]:
        why = "shows what is still unknown, and how each is decided"
        steps.append(Next(("stage3", "attempts", *config, "--json"), why))
    document = {"format": "stage3-ask/1", "asked": each}
    return Report(
        document=document, sentences=list(_asked_in_words(asked, states)), next_steps=steps
    )


def _asked_in_words(asked: Sequence[AskedFor], states: Counter[State]) -> Iterator[str]:
    """Yield a line or two for each purchase, and what all came to."""
    if not asked:
        yield (
            "there is nothing to ask for: no request is without an answer whose provider lists "
            "what it was sent; 'stage3 attempts' shows what waits for you"
        )
        return
    for group in grouped(
        asked, lambda one: (together(one.before), one.before.state, one.after.state)
    ):
        one, new, token = group[0], group[0].after.new, token_of(group[0].before)
        name = f"{new.attempt_id[:SHORT]}  {new.scene_id}"
        if token is not None:
            name = f"batch {token[:SHORT]}  {counted(len(group), 'line')}"
        yield f"{name}  {one.before.state} -> {one.after.state}  {route(new.endpoint)}"
        if one.asking is not None:
            yield f"    asked {moment(one.asking.at)}: {one.asking.why}"
        elif one.after.state is State.UNKNOWN:
            yield "    its provider has no listing that could be asked, or it could not be reached"
    yield ""
    freed = sum(one.before.counted_microusd for one in asked if one.after.state is State.REFUSED)
    step = "; the next run takes in what was found" if states[State.ACCEPTED] else ""
    if states[State.UNKNOWN]:
        step += "; ask again later, or decide with 'stage3 resolve'"
    yield (
        f"asked for {len(asked)}: {states[State.ACCEPTED] + states[State.PAID]} found, "
        f"{states[State.REFUSED]} never arrived (${usd(freed)} free again), "
        f"{states[State.UNKNOWN]} still unknown{step}"
    )
