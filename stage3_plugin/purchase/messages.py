"""What is said to people about money: what waits, what is held, what to do next.

Functions of values: nothing is asked or decided here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from host_stub.contract import Failure, FailureCode
from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.job import BeingMade, Job, LineCount
from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.purchase import CapName, OverCap, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import State
from stage3_plugin.errors import PictureLost, StorageFailed
from stage3_plugin.policy.plan import Sum
from stage3_plugin.policy.pricing import is_absurd

SHOWN_JOB = 40
"""Characters of a provider's name for a job that people see."""
SHORT_ID = 8
"""Digits of an attempt's id that people see; ``stage3`` takes them."""

Caretaker: TypeAlias = Callable[[str], str]
"""Returns the command line of a ``stage3`` command for this ledger."""

_MOST_ADDRESSES = 5

STOPPED = Failure(code="not_tried", message="the run was stopped", retryable=True)


def _unknown(message: str) -> Failure:
    return Failure(code="unknown", message=message)


def _pending(message: str) -> Failure:
    return Failure(code="pending", message=message, retryable=True)


def _storage(message: str) -> Failure:
    return Failure(code="storage", message=message, retryable=True)


def _short(purchase: Purchase) -> str:
    return purchase.new.attempt_id[:SHORT_ID]


_CALLED: dict[CapName, str] = {
    "budget_usd": "this run's budget (budget_usd or --max-cost)",
    "daily_usd": "daily_usd",
    "total_usd": "total_usd",
}


_TO_GO_ON: dict[CapName, str] = {
    "budget_usd": "run the same command again to go on under a new budget, or raise it",
    "total_usd": "raise total_usd to go on",
}


def still_waiting(
    holds: Collection[int],
    drain_s: float,
    *,
    making: Sequence[Job] = (),
    is_free: bool,
    attempts: str,
) -> Warned:
    """Say what an interrupted run still waits for, for how long, and what leaving at once costs.

    Args:
        holds: What is held for each request in flight, in micro-USD.
        drain_s: Seconds for which the run waits for them.
        making: What is being made at a provider beside them: that outlives the run.
        is_free: They are being drawn for nothing.
        attempts: The command that shows what has an unknown outcome.
    """
    count = len(holds)
    if is_free:
        drawn = "1 picture is" if count == 1 else f"{count:,} pictures are"
        return coded(
            "stopping",
            f"{drawn} being drawn, and waited for, {drain_s:g} s at most; a second Ctrl-C leaves "
            "at once, and the next run draws what was not finished, for nothing",
        )
    said = [_still_made(making, drain_s)] if making else []
    if holds:
        said.append(_still_asked(holds, drain_s, attempts))
    return coded("stopping", ". Beside that, ".join(said))


def _still_made(jobs: Sequence[Job], drain_s: float) -> str:
    return (
        f"{_being_made(jobs)}, and waited for, {drain_s:g} s at most (drain_s): what is not here "
        "by then, or when a second Ctrl-C leaves at once, stays there, "
        f"{_kept(jobs)}, and the same command before then takes it in"
    )


def _still_asked(holds: Collection[int], drain_s: float, attempts: str) -> str:
    is_one, held = len(holds) == 1, sum(holds)
    requests = "1 paid request is" if is_one else f"{len(holds):,} paid requests are"
    money = f" (${usd_text(held)} held)" if held else ""
    return (
        f"{requests} in flight{money}: the run waits for {'it' if is_one else 'them'}, {drain_s:g} "
        "s at most (drain_s), which costs nothing more. A second Ctrl-C leaves at once: what is "
        "not here by then may be billed without a picture, stays counted, and is for you to "
        f"decide, see '{attempts}'"
    )


def with_next_step(failure: Failure, caretaker: Caretaker, *, always: bool = False) -> Failure:
    """Say where to look, for a failure that may have cost money without a known result."""
    if failure.code != "unknown" and not always:
        return failure
    look = caretaker("attempts")
    return failure.model_copy(update={"message": f"{failure.message}: see '{look}'"})


def without_storage(
    attempted: AttemptResult, storage: StorageFailed, caretaker: Caretaker
) -> Failure:
    """Say what the disk did not take, and what that means for the money."""
    if attempted.stays_open:
        return kept_anyway(storage)
    if attempted.verdict.is_unknown:
        sent = f"{storage.hint}; this one was sent and may have been billed"
        return with_next_step(no_storage(storage, sent), caretaker, always=True)
    return no_storage(storage)


def undecided(purchase: Purchase, caretaker: Caretaker) -> Failure:
    """Say that a person has to decide about an earlier request, and what is known of it."""
    short = _short(purchase)
    why = purchase.why.replace("; it may have been billed", "") or "sent, and not answered"
    job = purchase.job
    if job is not None and job.new.lane == "batch":
        return _undecided_line(purchase, job, why, caretaker)
    return _unknown(
        f"request {short} of {purchase.held_at:%Y-%m-%d %H:%M} UTC may have been billed ({why}): "
        f"see '{caretaker('attempts')}', then decide with '{caretaker(f'resolve {short}')}'"
    )


def _undecided_line(purchase: Purchase, job: Job, why: str, caretaker: Caretaker) -> Failure:
    """Say it of a line: of all lines that one request has put in doubt the same."""
    short = (job.new.token or "")[:SHORT_ID]
    sent = f"{purchase.held_at:%Y-%m-%d %H:%M} UTC"
    decide = f"'{caretaker(f'resolve --batch {short}')}'"
    look = f"see '{caretaker('attempts')}'"
    if job.accepted is None:
        return _unknown(
            f"batch {short} of {sent} may have begun ({why}): each run asks for it, until it is "
            f"found or proved absent; {look}; to decide sooner: {decide}"
        )
    return _unknown(
        f"a line of batch {short} of {sent} may have been billed ({why}): {look}, then decide "
        f"with {decide}"
    )


def doubted(purchase: Purchase, route: Route, caretaker: Caretaker) -> Failure:
    """Say that a scene may have been paid for at another endpoint, or is awaited from there."""
    why = undecided(purchase, caretaker).message
    code: FailureCode = "unknown" if purchase.state is State.UNKNOWN else "pending"
    asked = canonical_address(purchase.new.endpoint.base_url or route.public_url)
    sent = purchase.new.endpoint
    if sent.provider != route.endpoint.provider or asked in route.addresses:
        where = (
            f"it was asked of {sent.model or sent.provider}, and is bought nowhere else until then"
        )
    else:
        same = _same_endpoint(route, [asked])
        where = f"it was sent to {asked}; if that is the same endpoint, {same}"
    return Failure(code=code, message=f"{why}; {where}")


def unpriced(request: PictureRequest) -> Failure:
    """Say that a picture is not bought under a cap, since what it costs is not known."""
    shows = " with what it shows" if request.shown else ""
    message = f"there is a cap, but what it costs{shows} with model {request.model!r} is not known"
    return Failure(code="rejected", message=f"{message}, so nothing was sent (price_usd)")


def over_cap(
    over: OverCap, *, resets_at: datetime | None, is_doubted: bool, caretaker: Caretaker
) -> Failure:
    """Put a cap that is in the way into words.

    Args:
        over: The cap.
        resets_at: When it begins anew by itself, in UTC.
        is_doubted: Whether the ledger has an absurd bill that no person has confirmed.
        caretaker: See :data:`Caretaker`.
    """
    limit, committed, needed = (
        usd_text(amount)
        for amount in (over.limit_microusd, over.committed_microusd, over.needed_microusd)
    )
    message = (
        f"{_CALLED[over.cap]} of ${limit} leaves no room: ${committed} is held or spent, and the "
        f"next picture may cost ${needed}"
    )
    if resets_at is not None:
        message += f"; it begins anew at {resets_at:%Y-%m-%d %H:%M} UTC"
    else:
        message += f"; {_TO_GO_ON[over.cap]}"
    if is_doubted:
        message += f"; one bill can hardly be right, see '{caretaker('attempts')}'"
    return Failure(code="budget", message=message, retryable=True)


def overtaken(
    scene_id: str, purchase: Purchase, instead: Purchase | None, caretaker: Caretaker
) -> Warned:
    """Say that a picture came whose purchase had been given up."""
    delivered = "it is the scene's picture now"
    if instead is not None:
        delivered = f"the scene has that of request {_short(instead)}"
    return coded(
        "late_picture",
        f"scene {scene_id!r}: request {_short(purchase)} was made {purchase.state} by somebody "
        "else while its answer was on its way; its picture came, is kept, and "
        f"{delivered}; see '{caretaker('attempts')}'",
    )


def overrun(purchase: Purchase, caretaker: Caretaker) -> Failure:
    """Say that a bill is above its hold, so that no cap can be kept."""
    then = "the next one holds as much for every such picture"
    if is_absurd(purchase):
        then = (
            "no picture costs that, so the next one does not hold as much: "
            f"{_to_be_confirmed(purchase, caretaker)}"
        )
    message = f"{_billed_above(purchase)}, so this run cannot keep its caps; {then}"
    return Failure(code="budget", message=message, retryable=True)


def absurd_bill(purchase: Purchase, caretaker: Caretaker) -> Warned:
    """Put into words that a bill is absurd."""
    return coded(
        "absurd_bill",
        f"{_billed_above(purchase)}; it is counted as it came, but no price: "
        f"{_to_be_confirmed(purchase, caretaker)}",
    )


def _billed_above(purchase: Purchase) -> str:
    billed, held = usd_text(purchase.cost_microusd or 0), usd_text(purchase.new.hold_microusd)
    scene_id = purchase.new.scene_id
    return f"scene {scene_id!r} was billed ${billed} where at most ${held} was expected"


def _to_be_confirmed(purchase: Purchase, caretaker: Caretaker) -> str:
    resolve = caretaker(f"resolve {_short(purchase)}")
    return f"see the provider's bill, and say with '{resolve} --cost USD' what it says"


def no_room(answer_bytes: int, *, lacks_files: bool) -> Failure:
    """Say that no other answer fits on the disk, and what to do about it."""
    message = (
        f"the disk has no room for another answer of up to {answer_bytes:,} bytes; free space and "
        "run again, or lower max_reply_bytes"
    )
    if lacks_files:
        message = (
            "the disk has no room for the files of another answer, however much space is free (it "
            "has no more inodes); remove files from it and run again"
        )
    return _storage(message)


def billed_for_nothing(purchase: Purchase) -> Failure:
    """Say that a picture was paid for in vain while this run went on: it buys no other."""
    came = f"request {_short(purchase)} was billed, and no picture came of it ({purchase.why})"
    return Failure(code="no_picture", message=f"{came}; another run pays for another")


def pending(attempt_id: str, missing: MissingPicture | None) -> Failure:
    """Say that a picture is bought and not here, and that nothing is bought for it again."""
    where = "" if missing is None else f" ({missing.address}: {missing.problem})"
    return _pending(
        f"bought, and the picture is not here yet{where}; request {attempt_id[:SHORT_ID]} is kept, "
        "the next run asks for it again, and nothing is bought twice"
    )


def being_made(attempt_id: str, making: BeingMade) -> Failure:
    """Say that a picture is being made at its provider, and until when that keeps it.

    Of all lines of a batch it is the same, so that they are told as one.
    """
    where = in_the_making(making)
    if making.job.new.lane == "batch":
        return _pending(
            f"bought, and {where}: the same command before then takes it in, and nothing is bought "
            "twice"
        )
    return _pending(
        f"bought, and {where}; request {attempt_id[:SHORT_ID]}: the next run before then takes it "
        "in, and nothing is bought twice"
    )


def not_come_to(purchase: Purchase) -> Failure:
    """Say that a run has stopped before it came to a scene whose line had just ended."""
    if purchase.state is State.PAID:
        return _pending("bought, and its picture is here; the next run brings it to its place")
    message = f"the run had stopped; its line came to nothing: {purchase.why}"
    return Failure(code="cancelled", message=message, retryable=True)


def lost_with_its_batches(code: FailureCode, said: str) -> Failure:
    """Say that a picture came to nothing in one batch after another, and costs nothing so far."""
    return Failure(
        code=code,
        message=f"{said} (in one batch after another; nothing is spent for it, and the same "
        "command later puts it into the next)",
        retryable=True,
    )


def queue_is_full(provider: str) -> Failure:
    """Say that a picture waits until its provider has made what is in its batches."""
    return _pending(
        f"{provider} takes no more into batches before those are made that it has; the same "
        "command then puts this one into the next; nothing was sent"
    )


def in_the_making(making: BeingMade) -> str:
    """Say where a picture is being made, by what name, and until when it is kept there.

    Of a batch it is not said how far it is: its lines ask one by one.
    """
    job = making.job
    problem = f"; it was asked for in vain: {making.problem}" if making.problem else ""
    if job.new.lane == "batch":
        batch = "" if job.accepted is None else f" {job.accepted.job_id[:SHOWN_JOB]}"
        return f"being made in batch{batch} at {job.provider}, kept until {until(job)}{problem}"
    name = "" if job.accepted is None else f" (job {job.accepted.job_id[:SHOWN_JOB]})"
    return f"being made at {job.provider}{name}, which keeps it until {until(job)}{problem}"


def left_in_batches(
    jobs: Sequence[Job],
    lines: LineCount | None,
    held_microusd: int,
    within_s: float | None,
    caretaker: Caretaker,
) -> Warned:
    """Say that pictures are being made in batches when a run ends, and when to come back.

    Args:
        jobs: Of each picture its own.
        lines: How far they are, all together; ``None`` if that is not known.
        held_microusd: What is held for all of them.
        within_s: Seconds within which a batch has ended, if that is known.
        caretaker: See :data:`Caretaker`.
    """
    batches = {job.new.token: job for job in jobs}
    pictures = "1 picture is" if len(jobs) == 1 else f"{len(jobs):,} pictures are"
    count = "1 batch" if len(batches) == 1 else f"{len(batches):,} batches"
    provider = ", ".join(sorted({job.provider for job in jobs}))
    moments = [one.accepted_at for one in batches.values() if one.accepted_at is not None]
    notes = [f"${usd_text(held_microusd)} held"] if held_microusd else []
    if lines is not None and lines.total:
        notes.append(f"{lines.done:,} of {lines.total:,} lines done")
        notes += [f"{lines.failed:,} failed"] if lines.failed else []
        notes += [f"{lines.expired:,} expired"] if lines.expired else []
    far = f" ({', '.join(notes)})" if notes else ""
    when = ""
    if within_s is not None and moments:
        last = (max(moments) + timedelta(seconds=within_s)).astimezone(UTC)
        when = f", by {last:%Y-%m-%d %H:%M} UTC at the latest, and often sooner"
    return coded(
        "batches_waiting",
        f"{pictures} being made in {count} at {provider}{far}{when}: the same command then takes "
        f"in what is done and buys nothing twice, and '{caretaker('wait')}' waits for it",
    )


def left_being_made(jobs: Sequence[Job]) -> Warned:
    """Say that pictures are being made at a provider when a run ends, and what to do."""
    one = len(jobs) == 1
    return coded(
        "jobs_waiting",
        f"{_being_made(jobs)}: {'it stays' if one else 'they stay'} there, {_kept(jobs)}; the same "
        f"command before then takes {'it' if one else 'them'} in, and nothing is bought twice",
    )


def _being_made(jobs: Sequence[Job]) -> str:
    pictures = "1 picture is" if len(jobs) == 1 else f"{len(jobs):,} pictures are"
    return f"{pictures} being made at {', '.join(sorted({job.provider for job in jobs}))}"


def _kept(jobs: Sequence[Job]) -> str:
    first = min(jobs, key=lambda job: (job.expires_at is None, job.expires_at))
    return f"kept until {until(first)}{'' if len(jobs) == 1 else ' at the least'}"


def until(job: Job) -> str:
    """Return until when a provider has promised to keep a job, for people."""
    return "" if job.expires_at is None else f"{job.expires_at:%Y-%m-%d %H:%M} UTC"


def not_asked(making: BeingMade) -> Failure:
    """Say why no job can be asked for any more, so that buying others has no sense."""
    return Failure(
        code="credentials",
        message=f"{making.job.provider} does not let us ask for what it makes: {making.problem}",
    )


def busy(
    purchase: Purchase, caretaker: Caretaker, *, home: str | None = None, is_away: bool = False
) -> Failure:
    """Put into words that another run has a scene in work.

    Args:
        purchase: What it has in work.
        caretaker: See :data:`Caretaker`.
        home: Its home, if that is not this one.
        is_away: No driver of that home is connected.
    """
    short = _short(purchase)
    if home is not None:
        now = _of_home(home, caretaker, is_away=is_away)
        message = f"request {short} was sent by home {home}, {now}"
        return Failure(code="busy", message=message, retryable=True)
    message = f"another run has it in work (request {short}); run again when that has ended"
    return Failure(code="busy", message=message, retryable=True)


def busy_elsewhere(count: int, home: str, caretaker: Caretaker, *, is_away: bool) -> Warned:
    """Say that another home has scenes in work, and what to do if it does not come back."""
    requests = "1 request was" if count == 1 else f"{count:,} requests were"
    return coded(
        "home_busy", f"{requests} sent by home {home}, {_of_home(home, caretaker, is_away=is_away)}"
    )


def _of_home(home: str, caretaker: Caretaker, *, is_away: bool) -> str:
    if not is_away:
        return "which is at work; run again when that has ended"
    return (
        "whose driver is not there now; start it again on that machine, or, if it never comes "
        f"back, '{caretaker(f'recover --of-home {home}')}'"
    )


def on_another_machine(purchase: Purchase, home: str) -> Failure:
    """Say that a picture is paid for, and lies where this driver cannot fetch it."""
    return _storage(
        f"the picture was paid for (request {_short(purchase)}) and lies on the machine of home "
        f"{home}; nothing is bought again. Set `store` there and here, and put what lies there "
        "into it with 'stage3 verify --fill-store' on that machine"
    )


def lost_picture(attempt_id: str, failure: StorageFailed) -> Failure:
    """Put into words that a paid picture cannot be brought where it belongs, and what to do."""
    message = f"the picture was paid for (request {attempt_id[:SHORT_ID]}), but {failure}"
    if not isinstance(failure, PictureLost):
        message += f"; {failure.hint}"
        if not failure.reading:
            message += ", or run again with another --out: it is paid for and kept"
    return _storage(message)


def no_storage(failure: StorageFailed, then: str | None = None) -> Failure:
    """Put into words that the disk did not take something, and what to do or what comes then."""
    return _storage(f"{failure}; {then or failure.hint}")


def kept_anyway(failure: StorageFailed, *, is_line: bool = False) -> Failure:
    """Put into words that the disk did not take a picture whose answer is not lost by that."""
    kept = "its provider keeps the results" if is_line else "the whole answer is kept"
    return no_storage(failure, f"{failure.hint}; {kept}, and the next run takes it in")


def bought_again(
    route: Route, again: Sum, paid_microusd: int, addresses: Collection[str]
) -> Warned:
    """Say what was paid for at other addresses and is bought again, and how to prevent that.

    Args:
        route: Where it is bought again.
        again: What that can cost.
        paid_microusd: What was paid for it.
        addresses: Where it was paid for.
    """
    count, high_microusd, one = again.pictures, again.high_microusd, again.pictures == 1
    price = "an unknown price" if high_microusd is None else f"up to ${usd_text(high_microusd)}"
    shown = [*addresses][:_MOST_ADDRESSES]
    others = [address for address in shown if address != route.address]
    same = _same_endpoint(route, others)
    return coded(
        "bought_again",
        f"{count} {'picture' if one else 'pictures'} of this story "
        f"{'was' if one else 'were'} paid for at another endpoint "
        f"(${usd_text(paid_microusd)} at {', '.join(shown)}) and "
        f"{'is' if one else 'are'} bought again for {price}; if it is the same one, "
        f"{same if others else 'give it the name back that it had (endpoint)'}",
    )


def _same_endpoint(route: Route, addresses: list[str]) -> str:
    """Return the setting by which other addresses are the same endpoint."""
    name = json.dumps(route.name or "NAME", ensure_ascii=False)
    return f"set endpoint = {{ name = {name}, was = {json.dumps(addresses)} }}"
