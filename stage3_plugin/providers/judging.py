"""From a complete answer to a verdict: which question is asked first, and what was billed.

The same for every provider over HTTP; they differ in their profile. A picture in a success is kept
whatever else the answer says. Without one, the provider's words come before its status. And what
might have been billed is called so: only the provider's own JSON error, a refusal below 500, or a
documented free failure count as unbilled.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from http.client import responses

from stage3_plugin.money import Usage
from stage3_plugin.providers.answers import (
    MOST_MESSAGE,
    ErrorWords,
    cleaned,
    details_of,
    error_in,
    pictures_in,
    reasons_in,
    request_id_of,
)
from stage3_plugin.providers.base import Profile, Reply, Verdict, VerdictKind
from stage3_plugin.providers.hints import hint_of, used_up_s
from stage3_plugin.providers.taxonomy import ACCOUNT_LIMITED, REFUSAL, Meaning, meaning_of
from stage3_plugin.providers.usage import reported_usd_of, usage_in

_MAY_HAVE_RUN = frozenset({408, 409, 499})
"""Below 500, but a gateway says these of a request that the service may have worked on."""

_CAN_PASS = {VerdictKind.BUSY, VerdictKind.RATE_LIMITED, VerdictKind.REJECTED}
"""Where the provider's explicit word on trying again is obeyed; not for money or policy."""


def judge_reply(reply: Reply, *, profile: Profile, base_url: str, now_s: float) -> Verdict:
    """Tell what a complete answer means.

    Args:
        reply: The answer.
        profile: What is known of the provider.
        base_url: What relative picture addresses are relative to.
        now_s: Seconds since 1970, for hints that name a moment.
    """
    known = Verdict(
        kind=VerdictKind.UNKNOWN,
        reported_usd=reported_usd_of(reply),
        usage=usage_in(reply.document),
        provider_status=reply.status,
        request_id=request_id_of(reply),
        used_up_s=used_up_s(reply.headers),
    )
    if 200 <= reply.status < 300:
        sources = pictures_in(reply, base_url=base_url)
        if sources:
            return replace(
                known,
                kind=VerdictKind.PICTURES,
                sources=sources,
                may_be_billed=True,
                details=details_of(reply),
            )
    is_redirect = 300 <= reply.status < 400
    error = error_in(reply.document)
    if error is not None and not is_redirect:
        return _of_error(reply, error, known, profile, now_s)
    if reply.status < 200 or reply.status >= 300:
        return _of_status(reply, known, now_s)
    return _of_empty_success(reply, known, profile)


def _of_error(
    reply: Reply, error: ErrorWords, known: Verdict, profile: Profile, now_s: float
) -> Verdict:
    """Judge the provider's own error, whatever the status."""
    is_success = 200 <= reply.status < 300
    status = error.status if is_success and error.status is not None else reply.status
    hint_s = hint_of(reply.headers, reply.document, now_s=now_s)
    meaning = meaning_of(error, status, hinted=bool(hint_s))
    message = error.message or _named(status)
    if error.resets_at:
        message = f"{message} (resets at {error.resets_at})"
    verdict = _in_words(known, meaning, message, hint_s)
    told = _explicit_retry(reply, error)
    if told is True and meaning.kind is VerdictKind.REJECTED:
        verdict = replace(verdict, kind=VerdictKind.BUSY, stops_run=False)
    return replace(
        verdict,
        may_be_billed=_is_charged(known) or reply.status in profile.billed_statuses,
        provider_code=error.code,
        should_retry=told if verdict.kind in _CAN_PASS else None,
    )


def _of_status(reply: Reply, known: Verdict, now_s: float) -> Verdict:
    """Judge an answer that is not a success and not the provider's own error, such as a page."""
    status = reply.status
    if status >= 500 or status in _MAY_HAVE_RUN or status < 200:
        message = f"{_named(status)}, and not in the provider's own words: it may have worked on"
        return replace(known, kind=VerdictKind.UNKNOWN, message=message, may_be_billed=True)
    hint_s = hint_of(reply.headers, reply.document, now_s=now_s)
    meaning = meaning_of(ErrorWords(), status, hinted=bool(hint_s))
    message = meaning.case if 300 <= status < 400 else _named(status)
    verdict = _in_words(known, meaning, message, hint_s)
    told = _explicit_retry(reply, ErrorWords())
    return replace(verdict, should_retry=told if meaning.kind in _CAN_PASS else None)


def _of_empty_success(reply: Reply, known: Verdict, profile: Profile) -> Verdict:
    """Judge a success without a picture and without an error."""
    document = reply.document
    if reply.unread:
        message = f"{reply.unread}, so it could not be read; it is kept as it came"
        return replace(known, kind=VerdictKind.UNKNOWN, message=message, may_be_billed=True)
    if document is None:
        if reply.text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
            message = "the answer is JSON that stops or breaks in the middle"
            return replace(known, kind=VerdictKind.UNREADABLE, message=message, may_be_billed=True)
        message = "a success that is no JSON, perhaps a page of a proxy; it may have been billed"
        return replace(known, kind=VerdictKind.UNKNOWN, message=message, may_be_billed=True)
    reasons = reasons_in(document)
    told = f" ({', '.join(sorted(reasons))})" if reasons else ""
    kind, message = VerdictKind.NO_PICTURE, f"a success without a picture{told}"
    if any(map(ACCOUNT_LIMITED.fullmatch, reasons)):
        kind, message = VerdictKind.BAD_CREDENTIALS, f"the account is limited{told}"
    elif any(map(REFUSAL.fullmatch, reasons)):
        kind, message = VerdictKind.REFUSED, f"refused by the provider's policy{told}"
    return replace(
        known,
        kind=kind,
        message=cleaned(message),
        may_be_billed=_may_be_billed_empty(known, profile),
        stops_run=kind is VerdictKind.BAD_CREDENTIALS,
        provider_code=next(iter(sorted(reasons)), None),
    )


def _may_be_billed_empty(known: Verdict, profile: Profile) -> bool:
    """Tell whether a success without a picture may have cost something; silence is no proof."""
    if known.reported_usd is not None:
        return known.reported_usd > 0
    return known.usage is not None or not profile.empty_is_unbilled


def _is_charged(known: Verdict) -> bool:
    """Tell whether an error reports that it was charged."""
    cost: Decimal | None = known.reported_usd
    usage: Usage | None = known.usage
    return cost > 0 if cost is not None else usage is not None


def _in_words(known: Verdict, meaning: Meaning, message: str, hint_s: float | None) -> Verdict:
    """Put a meaning into a verdict, with what a person can do behind the provider's words."""
    step = f"; {meaning.next_step}" if meaning.next_step else ""
    wait_s = meaning.hint_s if hint_s is None else hint_s
    is_unhinted_limit = meaning.kind is VerdictKind.RATE_LIMITED and not hint_s
    return replace(
        known,
        kind=meaning.kind,
        message=cleaned(message, most=MOST_MESSAGE - len(step)).rstrip(" .") + step,
        stops_run=meaning.stops_run,
        lower_capacity=meaning.lower_capacity or is_unhinted_limit,
        hint_s=wait_s or None,  # a wait of 0 is left to backoff: it must not become a busy loop
    )


def _explicit_retry(reply: Reply, error: ErrorWords) -> bool | None:
    """Give the provider's own yes or no on trying again."""
    for name in ("x-should-retry", "x-fal-retryable"):
        word = reply.headers.get(name, "").strip().lower()
        if word in {"true", "1", "false", "0"}:
            return word in {"true", "1"}
    return error.retryable


def _named(status: int) -> str:
    phrase = responses.get(status, "")
    return f"HTTP {status} {phrase}".rstrip()
