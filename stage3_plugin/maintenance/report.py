"""Puts what was found in a ledger, or done to it, into words, and into plain JSON values.

The words name the next step wherever there is one. Money is a decimal string in USD; what is not
known is said to be unknown, or ``null``, and never 0. Ids, paths and providers' words are put in
piece by piece, so that a line stays a line; the host that writes it to a terminal escapes what a
terminal would obey.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from stage3_plugin.domain.job import Job
from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import COUNTED, OPEN, UNSETTLED, State
from stage3_plugin.errors import newest_of
from stage3_plugin.maintenance.listing import Found, FoundBatch, Listing, Situation, token_of
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.maintenance.verify import Problem, ProblemKind, Verified
from stage3_plugin.purchase.inventory import Unaccounted

_INDENT = " " * 10
_SCENES_NAMED = 3
"""Scenes of a batch that are named; the others are counted."""

_LOOK_IT_UP = "look it up in the provider's records of that time, and say what they say"
_ASK_AGAIN = (
    "asks its provider once more, for nothing; --not-billed is refused while that may list it yet"
)
_NEXT_STEPS: Mapping[Situation, str] = {
    Situation.SETTLED: "",
    Situation.IN_FLIGHT: "nothing to do: a run that is still going has it in work",
    Situation.UNBILLED: "nothing to do: the next run lets go of its money",
    Situation.ANSWERED: "nothing to do: its answer is there; the next run takes it in for free",
    Situation.BEING_MADE: "run the same command again while its provider keeps it: it is asked for "
    "free, and nothing is bought twice",
    Situation.AWAITED: "run the same command again: it asks for the picture for free, and buys "
    "nothing twice. Only if it is not to be had any more, say what became of it",
    Situation.NOT_TAKEN_IN: "its answer is there and was not understood: the next run tries again "
    "for free. Or look it up in the provider's records, and say what they say",
    Situation.UNREADABLE: "what was received for it cannot be read now; see to the disk and its "
    "permissions, and ask again",
    Situation.ELSEWHERE: "start the driver of its home again, on that machine: its answer may lie "
    "there, and nobody else can see that",
    Situation.ABANDONED: _LOOK_IT_UP,
    Situation.UNDECIDED: _LOOK_IT_UP,
    Situation.LOST: "a run that still has this scene makes it again, for another price; take the "
    "scene out of the story if you do not want that",
    Situation.REPLACED: "nothing to do: its scene was sent again since",
    Situation.CAME_LATE: "nothing to do: its picture came after it had been given up, and is kept",
    Situation.OVERBILLED: "its bill is far above what was held for it: look it up in the "
    "provider's records, and say what it was",
}
_TO_DECIDE = {
    Situation.UNDECIDED,
    Situation.ABANDONED,
    Situation.AWAITED,
    Situation.NOT_TAKEN_IN,
}
_CALLED = {
    Situation.IN_FLIGHT: "in flight",
    Situation.BEING_MADE: "bought, being made",
    Situation.AWAITED: "bought, picture awaited",
    Situation.ANSWERED: "bought, answer received",
}
"""What a row is where its state does not say it: it is SENDING or ACCEPTED until its picture is
stored."""
_DAYS_AHEAD = 1  # two calendars may differ by one
_HAS_A_BILL = {State.PAID, State.PAID_BAD}

_PROBLEM_HINTS: Mapping[ProblemKind, str] = {
    "ledger": "let no run use this ledger; keep a copy of {what}, and bring back the last copy "
    "that 'stage3 verify' finds right",
    "missing": "run the story again: it takes the copy beside it (images/) for free if nobody has "
    "changed that. Or put a copy there, of a backup, say; verify tells if it is the right one. "
    "If there is none left, 'stage3 resolve ID --resend' has the next run make it again, for "
    "another price",
    "damaged": "replace it by a copy: the one beside the story (images/), or one of a backup; "
    "verify tells whether it is the right one",
    "unreadable": "see to the disk or the permissions first, and let verify look again; do not "
    "call it lost before it can be read",
    "outdated": "bring back {newest}; until then no run starts. Or go on knowingly: after 'stage3 "
    "verify --accept-folder' runs buy again what the ledger does not know of",
    "store": "'stage3 verify --fill-store' puts it there, with --read-store also in the place of "
    "other bytes; what is missing here as well is lost",
    "bucket": "see to it, or to the credentials in this environment, and let verify look again",
    "different": "keep a copy of the state folder and report it: no run writes such a row",
}


# Money and moments -------------------------------------------------------------------------------


def on_one_line(text: str) -> str:
    """Return text of unknown origin that does not end the line it is put in."""
    return text.replace("\n", "\\n")


def usd(microusd: int | None) -> str | None:
    """Return an amount as a decimal string of at least two decimals."""
    return None if microusd is None else usd_text(microusd)


def _cost_in_words(purchase: Purchase) -> str:
    if purchase.state not in COUNTED:
        return "not billed"
    if purchase.counted_basis == "held":  # not known: the hold counts, as in the run's report
        return f"cost ${usd(purchase.counted_microusd)} (held)"
    if purchase.cost_microusd is None:
        is_open = purchase.state in {*OPEN, State.ACCEPTED}
        return "cost not known yet" if is_open else "cost unknown"
    return f"cost ${usd(purchase.cost_microusd)}"


def _held_in_words(purchase: Purchase) -> str:
    if purchase.new.hold_microusd:
        return f"held ${usd(purchase.new.hold_microusd)}"
    return "free" if purchase.new.is_local else "nothing held"


def moment(when: datetime) -> str:
    """Write a moment for people."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()


# A listing ---------------------------------------------------------------------------------------


def listing_text(
    listing: Listing, folder: StateFolder, *, chosen: bool, today: date | None = None
) -> str:
    """Put a listing into words.

    Args:
        listing: What was found.
        folder: Where.
        chosen: A person chose what to see; otherwise it is what needs a decision.
        today: By this machine's clock; without it nothing is said of the ledger's day.
    """
    lines = [
        line
        for one in listing.in_groups()
        for line in (
            *(
                _batch_lines(one, folder)
                if isinstance(one, FoundBatch)
                else _found_lines(one, folder)
            ),
            "",
        )
    ]
    if not listing.found:
        lines += ["no such purchase" if chosen else "no purchase needs you", ""]
    if listing.left_out:
        lines += [f"and {listing.left_out} more; a higher --limit shows them", ""]
    lines += [
        *_day_lines(listing, folder, today),
        *_tally_lines(listing),
        f"ledger: {on_one_line(folder.shown)}",
    ]
    return "\n".join(lines)


def _day_lines(listing: Listing, folder: StateFolder, today: date | None) -> Iterator[str]:
    """Say so if the ledger is days ahead of the clock: then no daily cap begins anew until then."""
    last_day = listing.last_day
    if last_day is not None and today is not None and (last_day - today).days > _DAYS_AHEAD:
        yield f"the ledger's day is {last_day}, and this machine's is {today}: was a clock wrong?"
        yield "  daily caps begin anew only after it. If it was wrong, set the day right:"
        yield f"  stage3 resolve --day {today}{_state_dir_option(folder)}"
        yield ""


def _found_lines(found: Found, folder: StateFolder) -> Iterator[str]:
    purchase, new = found.purchase, found.purchase.new
    state = _CALLED.get(found.situation, str(purchase.state))
    yield (
        f"{found.short_id}  {state}  {on_one_line(new.scene_id)}  {moment(purchase.held_at)}  "
        f"{on_one_line(f'{new.endpoint.provider}/{new.endpoint.model}')}"
    )
    yield (
        f"{_INDENT}{_held_in_words(purchase)}, {_cost_in_words(purchase)}, "
        f"of run {on_one_line(new.run_id[:64])}"
        + ("" if found.home is None else f", of home {on_one_line(found.home)}")
    )
    if purchase.why:
        yield f"{_INDENT}{on_one_line(purchase.why)}"
    if found.request_id is not None:
        yield f"{_INDENT}the provider calls it {on_one_line(found.request_id)}"
    yield from (f"{_INDENT}{line}" for line in (*_job_lines(purchase), *_awaited_lines(found)))
    if found.asking is not None:
        yield f"{_INDENT}asked for {moment(found.asking.at)}: {on_one_line(found.asking.why)}"
    for one in found.corrections:
        old = "an unknown cost" if one.old_microusd is None else f"${usd(one.old_microusd)}"
        now = f"${usd(one.new_microusd)} on {moment(one.at)}"
        yield f"{_INDENT}corrected by a person: {old} to {now}"
    if found.late is not None:
        yield f"{_INDENT}its picture: {on_one_line(str(found.late))}"
    if found.evidence is not None:
        yield f"{_INDENT}received: {on_one_line(str(found.evidence))}"
    for step in next_steps(found, folder):
        yield f"{_INDENT}{step}"


def _batch_lines(batch: FoundBatch, folder: StateFolder) -> Iterator[str]:
    """Say of lines of a batch that wait for the same what there is of them together."""
    first, count = batch.first, len(batch.lines)
    purchase, new = first.purchase, first.purchase.new
    state = _CALLED.get(first.situation, str(purchase.state))
    yield (
        f"batch {batch.short_id}  {state}  {counted(count, 'line')}  {moment(purchase.held_at)}  "
        f"{on_one_line(f'{new.endpoint.provider}/{new.endpoint.model}')}"
    )
    yield (
        f"{_INDENT}held ${usd(batch.held_microusd)} for all of them, of run "
        f"{on_one_line(new.run_id[:64])}"
        + ("" if first.home is None else f", of home {on_one_line(first.home)}")
    )
    scenes = [one.purchase.new.scene_id for one in batch.lines]
    more = f" and {count - _SCENES_NAMED:,} more" if count > _SCENES_NAMED else ""
    named = ", ".join(on_one_line(one) for one in sorted(scenes)[:_SCENES_NAMED])
    yield f"{_INDENT}scenes {named}{more}"
    if purchase.why:
        yield f"{_INDENT}{on_one_line(purchase.why)}"
    yield from (f"{_INDENT}{line}" for line in _job_lines(purchase))
    if first.asking is not None:
        yield f"{_INDENT}asked for {moment(first.asking.at)}: {on_one_line(first.asking.why)}"
    if first.evidence is not None and first.situation is not Situation.BEING_MADE:
        yield f"{_INDENT}received: {on_one_line(str(first.evidence))}"
    for step in _batch_steps(batch, folder):
        yield f"{_INDENT}{step}"


def _batch_steps(batch: FoundBatch, folder: StateFolder) -> Iterator[str]:
    """Say what to do about a batch, and the command that does it where there is one."""
    first = batch.first
    if first.situation is Situation.BEING_MADE:
        yield f"next: {_NEXT_STEPS[first.situation]}. To stay for it:"
        yield f"  stage3 wait{_config_option(folder)}"
        return
    if first.situation not in _TO_DECIDE:
        yield from next_steps(first, folder)[: 1 if first.situation is Situation.ANSWERED else None]
        return
    yield f"next: {_next_step(first)}"
    where = _state_dir_option(folder)
    asks = f"stage3 ask {first.short_id}{_config_option(folder)}"
    yield f"  {asks}   asks its provider for all of it, for nothing, before anybody decides"
    command = f"stage3 resolve --batch {batch.short_id}{where}"
    yield f"  {command} --billed       they were billed; what each cost can be put right later"
    yield f"  {command} --not-billed   they were not: their money is free again. This is final"
    yield f"  {command} --resend       nobody can tell: count them, send them again. This is final"
    yield "  (each shows what it would be; with --yes it is recorded)"


def next_steps(found: Found, folder: StateFolder) -> list[str]:
    """Return what to do about a purchase, and the command that does it where there is one."""
    step = _next_step(found)
    command = f"stage3 resolve {found.short_id}{_state_dir_option(folder)}"
    if found.situation not in _TO_DECIDE:
        steps = [f"next: {step}"] if step else []
        if found.situation is Situation.ELSEWHERE:
            given_up = f"stage3 recover --of-home {found.home}{_state_dir_option(folder)}"
            steps.append(f"  {given_up}   if that machine never comes back")
        if found.situation is Situation.ANSWERED:
            steps.append(f"  {command} --resend --yes   to give it up all the same")
        if found.is_overbilled and found.situation is not Situation.OVERBILLED:
            steps.append(f"its bill is far above what was held for it; {_LOOK_IT_UP}")
        if found.purchase.state in _HAS_A_BILL and found.situation is not Situation.SETTLED:
            steps.append(f"  {command} --cost USD     if it was billed something else")
        return steps
    billed = "it was billed; what it cost can be put right later, with --cost"
    if found.situation is Situation.AWAITED:
        billed = "it never comes, and was billed; the scene may be made again"
    asks = (
        []
        if found.asking is None
        else [f"  stage3 ask {found.short_id}{_config_option(folder)}   {_ASK_AGAIN}"]
    )
    return [
        f"next: {step}",
        *asks,
        f"  {command} --billed       {billed}",
        f"  {command} --not-billed   it was not billed: its money is free again. This is final",
        f"  {command} --resend       nobody can tell: count it, and send it again. This is final",
    ]


def _next_step(found: Found) -> str:
    step = _NEXT_STEPS[found.situation]
    awaited = found.awaited
    if found.situation is Situation.AWAITED and awaited is not None and awaited.needs_setting:
        return f"change the setting that is in its way, and {step}"
    if found.request_id is not None:
        return step.replace("look it up in", f"look {on_one_line(found.request_id)} up in")
    return step


def _job_lines(purchase: Purchase) -> Iterator[str]:
    """Say by what name a provider has a job, and until when it has promised to know it."""
    job = purchase.job
    if job is None or job.accepted is None or job.expires_at is None or job.accepted_at is None:
        return
    if purchase.state in UNSETTLED:
        yield (
            f"job {on_one_line(job.accepted.job_id)}, accepted {moment(job.accepted_at)}, kept "
            f"there until {moment(job.expires_at)}"
        )


def _awaited_lines(found: Found) -> Iterator[str]:
    """Say where a picture that was bought is awaited from, how often it was asked for, and why."""
    awaited = found.awaited
    if awaited is None:
        return
    times = "once" if awaited.asked == 1 else f"{awaited.asked:,} times"
    yield f"its picture is awaited from {on_one_line(shown(awaited.address))}"
    yield (
        f"asked for {times}, the last time at {on_one_line(awaited.last_at)}: "
        f"{on_one_line(awaited.problem)}"
    )


def shown(address: str) -> str:
    """Return an address as everybody may read it: without query, fragment and login.

    A signed one is as good as a key while it lasts; the ledger alone has the full address.
    """
    whole = re.split(r"[?#]", address, maxsplit=1)[0]
    scheme, found, behind = whole.partition("://")
    if not found:
        return whole
    host, slash, path = behind.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _state_dir_option(folder: StateFolder) -> str:
    """Return the option a printed command needs to find the ledger from here."""
    if folder.is_default:
        return ""
    if folder.config is not None:
        return f" --config {shlex.quote(on_one_line(str(folder.config)))}"
    return f" --state-dir {shlex.quote(on_one_line(str(folder.given)))}"


def _config_option(folder: StateFolder) -> str:
    """Return the option that finds the config from here, where that is not the usual one."""
    return "" if folder.config is None else _state_dir_option(folder)


def _tally_lines(listing: Listing) -> Iterator[str]:
    for state, tally in listing.tallies.items():
        if tally.count:
            line = f"{tally.count:>7,} {state:<9}"
            if state in COUNTED:
                line += f"  ${usd(tally.counted_microusd)} counted"
            if tally.held_costs:
                line += f"; of {tally.held_costs:,} what was held counts"
            if unknown := tally.unknown_costs - tally.held_costs:
                line += f"; the cost of {unknown:,} is unknown"
            called = Counter(
                _CALLED[one.situation]
                for one in listing.found
                if one.purchase.state is state and one.situation in _CALLED
            )
            line += "".join(f"; {many:,} of them {name}" for name, many in called.items())
            yield line.rstrip()
    yield f"${usd(listing.counted_microusd)} held and spent in all"


def listing_json(listing: Listing, folder: StateFolder) -> dict[str, object]:
    """Return a listing as plain JSON values."""
    return {
        "format": "stage3-attempts/1",
        "ledger": folder.shown,
        "attempts": [_found_json(one) for one in listing.found],
        "batches": [_batch_json(one) for one in listing.batches()],
        "left_out": listing.left_out,
        "states": {
            str(state): {
                "count": tally.count,
                "counted_usd": usd(tally.counted_microusd),
                "unknown_costs": tally.unknown_costs,
                "held_costs": tally.held_costs,
            }
            for state, tally in listing.tallies.items()
            if tally.count
        },
        "counted_usd": usd(listing.counted_microusd),
        "last_day": None if listing.last_day is None else listing.last_day.isoformat(),
    }


def _batch_json(batch: FoundBatch) -> dict[str, object]:
    purchase = batch.first.purchase
    return {
        "batch": batch.token,
        "short_id": batch.short_id,
        "situation": str(batch.first.situation),
        "state": str(purchase.state),
        "lines": len(batch.lines),
        "held_usd": usd(batch.held_microusd),
        "provider": purchase.new.endpoint.provider,
        "model": purchase.new.endpoint.model,
        "job": _job_json(purchase.job),
    }


def _found_json(found: Found) -> dict[str, object]:
    return {
        "attempt_id": found.purchase.new.attempt_id,
        "short_id": found.short_id,
        "situation": str(found.situation),
        "home": found.home,
        "next_step": _next_step(found) or None,
        "evidence": None if found.evidence is None else str(found.evidence),
        **purchase_json(found.purchase),
        "request_id": found.request_id,
        "asked_for": None
        if found.asking is None
        else {
            "answered": found.asking.answered,
            "at": found.asking.at.isoformat(),
            "why": found.asking.why,
        },
        "overbilled": found.is_overbilled,
        "late": None if found.late is None else str(found.late),
        "awaited": None
        if found.awaited is None
        else {
            "address": shown(found.awaited.address),
            "problem": found.awaited.problem,
            "asked": found.awaited.asked,
            "first_at": found.awaited.first_at,
            "last_at": found.awaited.last_at,
            "needs_setting": found.awaited.needs_setting,
        },
        "corrections": [
            {
                "old_usd": usd(one.old_microusd),
                "new_usd": usd(one.new_microusd),
                "at": _iso(one.at),
                "why": one.why,
            }
            for one in found.corrections
        ],
    }


def purchase_json(purchase: Purchase) -> dict[str, object]:
    """Return what a row says as plain JSON values."""
    new = purchase.new
    return {
        "scene_id": new.scene_id,
        "state": str(purchase.state),
        "held_at": _iso(purchase.held_at),
        "changed_at": _iso(purchase.changed_at),
        "day": purchase.day.isoformat(),
        "run_id": new.run_id,
        "provider": new.endpoint.provider,
        "model": new.endpoint.model,
        "size": new.size,
        "quality": new.quality,
        "hold_usd": usd(new.hold_microusd),
        "cost_usd": usd(purchase.cost_microusd),
        "cost_basis": purchase.counted_basis,
        "counted_usd": usd(purchase.counted_microusd),
        "decided_by": purchase.decided_by,
        "why": purchase.why,
        "image_url": None if purchase.image_url is None else shown(purchase.image_url),
        "request_id": purchase.request_id,
        "job": _job_json(purchase.job),
        "batch": token_of(purchase),
        "line": new.line,
    }


def _job_json(job: Job | None) -> dict[str, object] | None:
    """Return what a provider has accepted; its addresses may be as good as a key."""
    if job is None or job.accepted is None or job.expires_at is None or job.accepted_at is None:
        return None
    return {
        "job_id": job.accepted.job_id,
        "accepted_at": _iso(job.accepted_at),
        "expires_at": _iso(job.expires_at),
    }


# Checks ------------------------------------------------------------------------------------------


def verified_text(verified: Verified, folder: StateFolder) -> str:
    """Put a check into words, every problem with its next step."""
    lines: list[str] = []
    for problem in verified.problems:
        lines += [_problem_line(problem), f"  next: {_hint_of(problem, folder)}"]
    paid = counted(verified.purchases, "paid purchase")
    pictures = f"{counted(verified.pictures, 'picture')} of {paid}"
    ledger = on_one_line(folder.shown)
    if verified.problems:
        problems = counted(len(verified.problems), "problem")
        lines += _store_lines(verified)
        return "\n".join([*lines, f"{problems} in {ledger}; {pictures} checked"])
    lines = [f"ok: every picture is there and whole ({pictures}), and {ledger} agrees with itself"]
    lines += _store_lines(verified)
    if verified.corrected:
        corrected = counted(verified.corrected, "cost")
        lines.append(f"{corrected} put right by a person; the figures that were there are kept")
    return "\n".join(lines)


def _store_lines(verified: Verified) -> Iterator[str]:
    """Say what there is of the bucket."""
    if verified.filled:
        yield f"put into {verified.store}: {counted(verified.filled, 'picture')}"
    if verified.store is not None and not verified.is_store_read:
        yield f"{verified.store} was compared by names and lengths; --read-store reads its pictures"
    if verified.only_in_store:
        alone = counted(verified.only_in_store, "picture")
        yield f"only in {verified.store}: {alone}; a run that needs one brings it back"


def accepted_text(accepted: Unaccounted | None, folder: StateFolder) -> str:
    """Put into words what was accepted."""
    ledger = on_one_line(folder.shown)
    if accepted is None:
        return f"{ledger} accounts for all that is in its folder; nothing was to be accepted"
    return (
        f"accepted in {ledger}: {accepted}; runs start again, and buy again what it has forgotten"
    )


def accepted_json(accepted: Unaccounted | None, folder: StateFolder) -> dict[str, object]:
    """Return what was accepted as plain JSON values."""
    return {
        "format": "stage3-accepted/1",
        "ledger": folder.shown,
        "answers": [] if accepted is None else sorted(accepted.answers),
        "pictures": [] if accepted is None else sorted(accepted.pictures),
    }


def counted(count: int, what: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _hint_of(problem: Problem, folder: StateFolder) -> str:
    is_file = folder.place.is_file
    what = "its folder" if is_file else "the server's database"
    return _PROBLEM_HINTS[problem.kind].format(newest=newest_of(is_file=is_file), what=what)


def _problem_line(problem: Problem) -> str:
    of = ", ".join(map(on_one_line, problem.scene_ids[:3]))
    more = len(problem.scene_ids) - 3
    of = f" of scene {of}" if of else ""
    of += f" and {more} more" if more > 0 else ""
    where = problem.url or str(problem.path)
    return f"{on_one_line(where)}{of}: {on_one_line(problem.message)}"


def verified_json(verified: Verified, folder: StateFolder) -> dict[str, object]:
    """Return a check as plain JSON values."""
    return {
        "format": "stage3-verify/1",
        "ledger": folder.shown,
        "corrected": verified.corrected,
        "purchases": verified.purchases,
        "pictures": verified.pictures,
        "store": verified.store,
        "filled": verified.filled,
        "store_read": verified.is_store_read,
        "only_in_store": verified.only_in_store,
        "problems": [
            {
                "kind": problem.kind,
                "message": problem.message,
                "hint": _hint_of(problem, folder),
                "path": str(problem.path),
                "url": problem.url,
                "scene_ids": list(problem.scene_ids),
                "attempt_ids": list(problem.attempt_ids),
            }
            for problem in verified.problems
        ],
    }
