"""Puts into words and data how what is being made at providers stands, while it is waited for."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from stage3_plugin.domain.states import State
from stage3_plugin.domain.waited import Waited, WaitedJob
from stage3_plugin.maintenance.report import counted, moment, on_one_line, purchase_json, usd

FORMAT: Final = "stage3-wait/1"
_MOST_REASONS: Final = 5
"""Reasons for which lines have no picture that are named, the commonest first."""
_MOST_SHOWN: Final = 20
"""Jobs of one picture that are named; batches are named all."""
_ON_A_TERMINAL: Final = 2
"""Batches that a line of progress has room for."""
_ID: Final = 40


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
    left = sum(one.left for one in single)
    if left:
        parts.append(f"{counted(left, 'picture')} at {_providers_of(single)}")
    if waited.pictures:
        parts.append(f"{waited.pictures:,} taken in")
    if waited.next_s is not None:
        parts.append(f"asked again at {now + timedelta(seconds=waited.next_s):%H:%M:%S}")
    return "; ".join(parts)


def waited_text(waited: Waited, *, run: Sequence[str] | None, again: Sequence[str]) -> str:
    """Return a line or more for each job, what all came to, and what comes next.

    Args:
        waited: How it stands.
        run: The run that puts pictures where they belong, if its scene file is known.
        again: The command that waits further.
    """
    if not waited.jobs:
        return "nothing is being made at a provider, so there is nothing to wait for"
    batches = [one for one in waited.jobs if one.is_batch]
    single = [one for one in waited.jobs if not one.is_batch]
    lines = [line for one in batches for line in _batch_lines(one)]
    lines += [line for one in single[:_MOST_SHOWN] for line in _picture_lines(one)]
    if len(single) > _MOST_SHOWN:
        lines.append(f"and {counted(len(single) - _MOST_SHOWN, 'more picture')}")
    return "\n".join([*lines, "", _in_all(waited), *_next_lines(waited, run, again)])


def _batch_lines(one: WaitedJob) -> Iterator[str]:
    of = on_one_line(f"{one.endpoint.provider}/{one.endpoint.model}")
    yield f"batch {_name_of(one)}  {of}  {counted(one.count, 'line')}, {_standing(one)}"
    yield from (f"    {line}" for line in (*_ended_lines(one), *_trouble_lines(one)))


def _picture_lines(one: WaitedJob) -> Iterator[str]:
    of = on_one_line(f"{one.endpoint.provider}/{one.endpoint.model}")
    yield f"job {_name_of(one)}  {of}  {_standing(one)}"
    yield from (f"    {line}" for line in (*_ended_lines(one), *_trouble_lines(one)))


def _standing(one: WaitedJob) -> str:
    """Say whether a job has ended; if not, how far it is, and until when it is kept."""
    if one.left == 0:
        return "ended"
    if one.job.accepted is None:
        return "sent, and its answer was lost: its provider does not list it yet"
    kept = "" if one.job.expires_at is None else f"; kept until {moment(one.job.expires_at)}"
    if one.is_in_hands:
        return f"being made; a run that goes on takes it in{kept}"
    if one.is_batch:
        return f"being made: {_lines_in_words(one)}{kept}"
    return f"being made{kept}"


def _lines_in_words(one: WaitedJob) -> str:
    """Say how many lines of a batch are done, failed, and expired."""
    lines = one.lines
    if lines is None:
        return f"{counted(one.left, 'line')}, and its provider does not say how many are done"
    done = f"{lines.done:,} of {lines.total:,} done"
    return f"{done}, {lines.failed:,} failed, {lines.expired:,} expired"


def _ended_lines(one: WaitedJob) -> Iterator[str]:
    """Say what those came to that have ended, and why some have no picture."""
    if one.ended:
        parts = [
            f"{one.ended[state]:,} {word}"
            for state, word in _CAME_TO.items()
            if one.ended.get(state)
        ]
        money = f"${usd(one.spent_microusd)} counted"
        if one.free_microusd:
            money += f", ${usd(one.free_microusd)} free again"
        yield f"{', '.join(parts)}; {money}"
    reasons = Counter(purchase.why for purchase in one.without)
    for why, count in reasons.most_common(_MOST_REASONS):
        names = [on_one_line(two.new.scene_id)[:_ID] for two in one.without if two.why == why][:3]
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        yield f"{', '.join(names)}{more}: {on_one_line(why)}"
    if len(reasons) > _MOST_REASONS:
        yield f"and {len(reasons) - _MOST_REASONS:,} other reasons: see 'stage3 attempts --all'"


_CAME_TO: Final = {
    State.PAID: "taken in",
    State.REFUSED: "without a picture, and not billed",
    State.VOID: "never sent",
    State.PAID_BAD: "billed without a picture",
    State.UNKNOWN: "unknown: they may have been billed",
    State.WROTE_OFF: "given up",
}


def _trouble_lines(one: WaitedJob) -> Iterator[str]:
    if one.left and one.problem:
        given_up = "it is not asked for any more" if one.is_given_up else "asked for in vain"
        yield f"{given_up}: {on_one_line(one.problem)}"


def _in_all(waited: Waited) -> str:
    ended = Counter[State]()
    for one in waited.jobs:
        ended.update(one.ended)
    parts = [f"{waited.pictures:,} taken in"]
    without = ended.total() - waited.pictures - ended[State.UNKNOWN]
    if without:
        parts.append(f"{without:,} without a picture")
    if ended[State.UNKNOWN]:
        parts.append(f"{ended[State.UNKNOWN]:,} unknown")
    lost = sum(one.left for one in waited.jobs if one.job.accepted is None)
    if left := sum(one.left for one in waited.jobs) - lost:
        parts.append(f"{left:,} still being made")
    if lost:
        parts.append(f"{lost:,} whose request was lost, and may be found yet")
    spent = sum(one.spent_microusd for one in waited.jobs)
    return f"{', '.join(parts)}; ${usd(spent)} counted for what has ended"


def _next_lines(waited: Waited, run: Sequence[str] | None, again: Sequence[str]) -> Iterator[str]:
    """Say what comes next: the run, always, and waiting further where something is being made."""
    command = "the run that bought it" if run is None else f"'{shlex.join(run)}'"
    if waited.pictures or waited.is_over:
        yield f"next: {command} puts what came where it belongs, and buys only what is missing"
    if not waited.is_over:
        yield f"not over yet: '{shlex.join(again)}' goes on waiting; {command} takes in the rest"
    if any(one.ended.get(State.UNKNOWN) for one in waited.jobs):
        yield "what is unknown is yours to decide: see 'stage3 attempts'"


def _name_of(one: WaitedJob) -> str:
    accepted, token = one.job.accepted, one.job.new.token
    return on_one_line((token or "?") if accepted is None else accepted.job_id)[:_ID]


def _providers_of(jobs: Sequence[WaitedJob]) -> str:
    return ", ".join(sorted({on_one_line(one.endpoint.provider) for one in jobs if one.left}))


def waited_json(waited: Waited) -> dict[str, object]:
    """Return the same as plain JSON values."""
    return {
        "format": FORMAT,
        "is_over": waited.is_over,
        "waited_s": round(waited.waited_s, 3),
        "taken_in": waited.pictures,
        "left": sum(one.left for one in waited.jobs),
        "jobs": [_job_json(one) for one in waited.jobs],
    }


def _job_json(one: WaitedJob) -> dict[str, object]:
    job, lines = one.job, one.lines
    return {
        "job_id": None if job.accepted is None else job.accepted.job_id,
        "lane": job.new.lane,
        "provider": one.endpoint.provider,
        "model": one.endpoint.model,
        "accepted_at": None if job.accepted_at is None else job.accepted_at.isoformat(),
        "expires_at": None if job.expires_at is None else job.expires_at.isoformat(),
        "purchases": one.count,
        "left": one.left,
        "lines": None
        if lines is None
        else {
            "total": lines.total,
            "done": lines.done,
            "failed": lines.failed,
            "expired": lines.expired,
        },
        "ended": {str(state): count for state, count in one.ended.items()},
        "counted_usd": usd(one.spent_microusd),
        "free_usd": usd(one.free_microusd),
        "problem": one.problem or None,
        "is_given_up": one.is_given_up,
        "in_hands": one.is_in_hands,
        "without_picture": [
            {"attempt_id": purchase.new.attempt_id, **purchase_json(purchase)}
            for purchase in one.without
        ],
    }
