"""What an answer about a batch comes to, whoever makes it: its upload, its create, its lines.

Apart from ``judging``, whose sentences are about one request for one picture. An upload costs
nothing, so that nothing of it can be in doubt. A create stands for all of its lines: only a whole
refusal in the provider's own words proves that none of them was begun; and what a line says of
waiting, or of what is in flight, is no word for who sends requests now.
"""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.domain.exchange import Fetch, Reply
from stage3_plugin.domain.job import LineCount
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.replies.figures import count_of
from stage3_plugin.providers.replies.polling import unsaid
from stage3_plugin.providers.replies.reading import Json, cleaned, with_step
from stage3_plugin.providers.replies.unbilled import MAY_HAVE_RUN, is_in_doubt
from stage3_plugin.providers.replies.words import error_in

MOST_LINES = 10**7
"""Beyond this a count is a broken figure."""

_TURNED_AWAY = frozenset({503, 529})
_PASSES = frozenset({VerdictKind.BUSY, VerdictKind.RATE_LIMITED})
_NO_SUCH_PLACE = frozenset({404, 405, 501})
_CONFLICT = 409
_SAYS_NO = frozenset(
    {
        VerdictKind.REFUSED,
        VerdictKind.REJECTED,
        VerdictKind.RATE_LIMITED,
        VerdictKind.BUSY,
        VerdictKind.OUT_OF_MONEY,
        VerdictKind.BAD_CREDENTIALS,
    }
)
"""What a whole answer may say instead of beginning anything."""


def why_not_uploaded(reply: Reply, step: Verdict | Fetch, *, who: str, now_s: float) -> Verdict:
    """Return why an upload came to nothing; whatever it was, nothing is paid for it.

    Args:
        reply: The answer.
        step: What it would be of a request for a picture.
        who: Who has answered, as people call it.
        now_s: Seconds since 1970, for hints that name a moment.
    """
    verdict = step.verdict if isinstance(step, Fetch) else step
    told = unsaid(reply, now_s=now_s)
    if reply.status in _NO_SUCH_PLACE:
        message = f"{who} takes no files here ({told.message}): it may have no batch lane"
        hint = '; set lane = "ordinary", or base_url to a server that has one'
        return _free(
            verdict,
            VerdictKind.REJECTED,
            message=with_step(message, hint),
            stops_run=True,
        )
    if verdict.kind in _SAYS_NO and not verdict.may_be_billed:
        return _free(verdict, verdict.kind, message=verdict.message, stops_run=verdict.stops_run)
    if 300 <= reply.status < 400:
        message = f"{told.message}: a redirect, which is not followed; set base_url to the address"
        message = f"{message} that answers itself"
        return _free(verdict, VerdictKind.REJECTED, message=cleaned(message), stops_run=True)
    kind = VerdictKind.UNREADABLE if reply.status < 300 else VerdictKind.BUSY
    return _free(verdict, kind, message=told.message, hint_s=told.hint_s)


def _free(
    verdict: Verdict,
    kind: VerdictKind,
    *,
    message: str,
    stops_run: bool = False,
    hint_s: float | None = None,
) -> Verdict:
    return Verdict(
        kind=kind,
        message=message,
        stops_run=stops_run,
        hint_s=hint_s or verdict.hint_s,
        provider_status=verdict.provider_status,
        provider_code=verdict.provider_code,
        request_id=verdict.request_id,
        should_retry=verdict.should_retry,
    )


def why_not_created(reply: Reply, step: Verdict | Fetch, *, now_s: float) -> Verdict:
    """Return why a create did not answer with a batch: a whole refusal, or that it is not known.

    A conflict may be with the batch itself, and a server's error may have come behind it: the
    listing has the last word on both. So what is presumed of one picture is not presumed of them
    all: an overload counts in words alone that free an answer at any address.

    Args:
        reply: The answer.
        step: What it would be of a request for a picture.
        now_s: Seconds since 1970, for hints that name a moment.
    """
    verdict = step.verdict if isinstance(step, Fetch) else step
    is_refusal = 400 <= reply.status < 500 and reply.status not in {*MAY_HAVE_RUN, _CONFLICT}
    is_said = (error := error_in(reply.document)) and not is_in_doubt(error, reply.status)
    is_turned_away = reply.status in _TURNED_AWAY and verdict.kind in _PASSES and is_said
    says_no = verdict.kind in _SAYS_NO and not verdict.may_be_billed
    if says_no and (is_refusal or is_turned_away):
        return replace(verdict, sources=(), lower_capacity=False)
    told = unsaid(reply, now_s=now_s).message.rstrip(" .")
    return Verdict(
        kind=VerdictKind.UNKNOWN,
        message=with_step(told, "; it may have begun the whole batch"),
        may_be_billed=True,
        provider_status=verdict.provider_status,
        provider_code=verdict.provider_code,
        request_id=verdict.request_id,
    )


def not_taken(message: str, reply: Reply) -> Verdict:
    """Return that a file has not come to lie there as it was handed over: it may be, once more."""
    return Verdict(kind=VerdictKind.BUSY, message=message, provider_status=reply.status)


def why_not_begun(step: Verdict | Fetch) -> Verdict:
    """Return why nothing of a batch was begun, by its words judged as a refusal of its create."""
    verdict = step.verdict if isinstance(step, Fetch) else step
    if verdict.kind in {VerdictKind.PICTURES, VerdictKind.UNKNOWN}:
        verdict = replace(verdict, kind=VerdictKind.REJECTED, sources=())
    return replace(verdict, may_be_billed=False, lower_capacity=False, provider_status=None)


def of_a_line(step: Verdict | Fetch) -> Verdict | Fetch:
    """Return what a line says without what is meant for who sends requests one after the other."""
    if isinstance(step, Fetch):
        return replace(step, verdict=_for_a_line(step.verdict))
    return _for_a_line(step)


def _for_a_line(verdict: Verdict) -> Verdict:
    return replace(verdict, lower_capacity=False, hint_s=None, used_up_s=None, should_retry=None)


def line_count(*, total: Json, done: Json, failed: Json) -> LineCount | None:
    """Return how far a batch is, from figures as they came; ``None`` without a whole."""
    lines = count_of(total, most=MOST_LINES)
    if lines is None:
        return None
    return LineCount(
        total=lines,
        done=min(count_of(done, most=MOST_LINES) or 0, lines),
        failed=min(count_of(failed, most=MOST_LINES) or 0, lines),
    )
