"""From a complete answer to a verdict: which question is asked first, and what was billed.

The same for every provider over HTTP; they differ in their profile. A picture in a success is kept
whatever else the answer says. Then comes whether it may have been billed, which wins over whatever
the words mean: ``unbilled`` has that rule. Only then the words, before the status, by ``taxonomy``.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.exchange import Fetch, Reply
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.replies.answers import (
    details_of,
    holds_a_page,
    is_surely_empty,
    pictures_in,
    reasons_in,
    request_id_of,
    with_pictures,
)
from stage3_plugin.providers.replies.causes import about_of_error, about_of_reasons
from stage3_plugin.providers.replies.hints import hint_of, told_to_retry, used_up_s
from stage3_plugin.providers.replies.reading import MOST_WORD, cleaned, status_line, with_step
from stage3_plugin.providers.replies.taxonomy import (
    ACCOUNT_LIMITED,
    Meaning,
    meaning_named,
    meaning_of,
    meanings,
)
from stage3_plugin.providers.replies.unbilled import (
    MAY_HAVE_RUN,
    is_in_doubt,
    speaks_of_time_or_way,
)
from stage3_plugin.providers.replies.usage import gateway_usd_of, reported_usd_of, usage_in
from stage3_plugin.providers.replies.words import ErrorWords, error_in, message_in

_CONFLICT = 409
"""In words that are not the provider's, it may be of a request that the service has worked on."""
_FORBIDDEN = 403
_PROXY_LOGIN = 407
_RETRY = ("x-should-retry", "x-fal-retryable")
_MOVED = frozenset({301, 302, 307, 308})
"""Said of an address, and so of every request to it; 303 says where the result of this one is."""

_DOUBT_STEP = "; it may have been billed"

_CAN_PASS = {VerdictKind.BUSY, VerdictKind.RATE_LIMITED, VerdictKind.REJECTED}
"""Where the provider's explicit word on trying again is obeyed; not for money or policy."""


def judge_reply(
    reply: Reply, *, profile: Profile, base_url: str, now_s: float, is_free: bool = False
) -> Verdict | Fetch:
    """Return what a complete answer means, or that its picture is to be fetched first.

    Args:
        reply: The answer.
        profile: What is known of the provider.
        base_url: What relative picture addresses are relative to.
        now_s: Seconds since 1970, for hints that name a moment.
        is_free: It is a server whose pictures cost nothing, so that there is nothing to pay twice:
            its failures in its own words are believed, whatever they say.
    """
    known = Verdict(
        kind=VerdictKind.UNKNOWN,
        reported_usd=reported_usd_of(reply),
        gateway_usd=gateway_usd_of(reply),
        usage=usage_in(reply.document),
        provider_status=reply.status,
        request_id=request_id_of(reply),
        used_up_s=used_up_s(reply.headers),
    )
    is_success = 200 <= reply.status < 300
    found = pictures_in(reply, base_url=base_url)
    if found.sources and (is_success or found.is_surely_one):
        details = details_of(reply)
        known = replace(known, kind=VerdictKind.PICTURES, may_be_billed=True, details=details)
        return with_pictures(known, found.sources)
    if is_success and found.has_bad_address:
        return _in_doubt(known, "the address of its picture is none")
    if 300 <= reply.status < 400:
        return _of_redirect(reply, known)
    error = None if reply.status == _PROXY_LOGIN else error_in(reply.document)
    if error is not None:
        is_vendors = canonical_address(base_url) == canonical_address(profile.base_url)
        return _of_error(
            reply, error, known, profile, now_s, is_free=is_free, is_vendors=is_vendors
        )
    if reply.status < 200 or reply.status >= 300:
        return _of_status(reply, known, now_s)
    return _of_empty_success(reply, known, profile)


def forbidden(verdict: Verdict) -> Verdict:
    """Take a 403 that does not say why for one of the key.

    For vendors that refuse nothing else by it.
    """
    if verdict.kind is not VerdictKind.REJECTED or verdict.provider_status != _FORBIDDEN:
        return verdict
    bad_key = meaning_named("bad key")
    step = f"; {bad_key.next_step}"
    return replace(
        verdict,
        kind=bad_key.kind,
        message=with_step(verdict.message, step),
        stops_run=bad_key.stops_run,
    )


def _in_doubt(known: Verdict, message: str, *, step: str = _DOUBT_STEP) -> Verdict:
    """Make the verdict of a request that may have been billed and whose outcome is unknown."""
    return replace(
        known, kind=VerdictKind.UNKNOWN, message=with_step(message, step), may_be_billed=True
    )


def _of_redirect(reply: Reply, known: Verdict) -> Verdict:
    """Judge an answer that sends the request elsewhere: it is never followed.

    That would carry a paid request and a key to another server. Whether the server that answered
    has passed it on already is unknown.
    """
    elsewhere = _elsewhere(reply.headers.get("location", ""))
    message = f"{status_line(reply.status)}{elsewhere}: a redirect, which is not followed"
    step = f"{_DOUBT_STEP}; set base_url to the address that answers itself"
    return replace(_in_doubt(known, message, step=step), stops_run=reply.status in _MOVED)


def _elsewhere(location: str) -> str:
    """Name where a redirect leads, without what such an address may carry in its query."""
    try:
        parts = urlsplit(location[:1000].strip())
        host = parts.hostname or ""
    except ValueError:
        return ""
    shown = cleaned(f"{parts.scheme}://{host}{parts.path}", most=MOST_WORD)
    return f" to {shown}" if host and parts.scheme in {"http", "https"} else ""


def _of_error(
    reply: Reply,
    error: ErrorWords,
    known: Verdict,
    profile: Profile,
    now_s: float,
    *,
    is_free: bool,
    is_vendors: bool,
) -> Verdict:
    """Judge the provider's own error, whatever the status."""
    is_success = 200 <= reply.status < 300
    status = error.status if is_success and error.status is not None else reply.status
    named = replace(known, provider_code=error.code)
    own = profile.name if is_vendors else ""
    if not is_free and _may_have_run(error, status, own, is_success=is_success):
        words = f": {error.message}" if error.message else ""
        return _in_doubt(named, f"{status_line(status)}{words}")
    hint_s = hint_of(reply.headers, reply.document, now_s=now_s)
    meaning = meaning_of(error, status, hinted=bool(hint_s))
    if meaning.case == "bad key" and not is_vendors:
        meaning = meaning_named("bad key elsewhere")
    message = error.message or status_line(status)
    if error.resets_at:
        message = f"{message} (resets at {error.resets_at})"
    if meaning.kind is VerdictKind.REFUSED:
        named = replace(named, about=about_of_error(error))
        if named.about == "reference":
            meaning = meaning_named("refused for a reference")
    verdict = _in_words(named, meaning, message, hint_s)
    wish = told_to_retry(reply.headers, *_RETRY)
    wish = error.retryable if wish is None else wish
    if wish is True and meaning.kind is VerdictKind.REJECTED:
        verdict = replace(verdict, kind=VerdictKind.BUSY, stops_run=False)
    return replace(
        verdict,
        may_be_billed=_is_charged(known) or reply.status in profile.billed_statuses,
        should_retry=wish if verdict.kind in _CAN_PASS else None,
    )


def _may_have_run(error: ErrorWords, status: int, own: str, *, is_success: bool) -> bool:
    """Return whether an error leaves open what became of the request.

    One that comes as a success is believed, unless it speaks of trouble on the way, or, without a
    status of its own, of trouble in general.
    """
    if is_success and speaks_of_time_or_way(error):
        return True
    if is_success and error.status is None:
        return any(map(meanings().trouble.fullmatch, error.words))
    return is_in_doubt(error, status, own=own)


def _of_status(reply: Reply, known: Verdict, now_s: float) -> Verdict:
    """Judge an answer that is not a success and not the provider's own error, such as a page."""
    status = reply.status
    if status >= 500 or status in MAY_HAVE_RUN or status == _CONFLICT or status < 200:
        step = ", and not in the provider's own words: it may have worked on"
        return _in_doubt(known, status_line(status), step=step)
    words = message_in(reply.document)
    hint_s = hint_of(reply.headers, reply.document, now_s=now_s)
    meaning = meaning_of(words, status, hinted=bool(hint_s))
    message = f"{status_line(status)}: {words.message}" if words.message else status_line(status)
    if status == _PROXY_LOGIN:
        message = f"{meaning.case}{_who(reply)} ({status_line(status)})"
    verdict = _in_words(known, meaning, message, hint_s)
    wish = told_to_retry(reply.headers, *_RETRY)
    return replace(verdict, should_retry=wish if meaning.kind in _CAN_PASS else None)


def _who(reply: Reply) -> str:
    """Return the name that a proxy has for itself."""
    name = reply.headers.get("via") or reply.headers.get("server") or ""
    return f": {cleaned(name, most=MOST_WORD)}" if name else ""


def _of_empty_success(reply: Reply, known: Verdict, profile: Profile) -> Verdict:
    """Judge a success without a picture and without an error."""
    document = reply.document
    if reply.unread:
        step = ", so it could not be read; it is kept as it came, and may have been billed"
        return _in_doubt(known, reply.unread, step=step)
    if document is None:
        is_cut = reply.text.lstrip("\ufeff \t\r\n").startswith(("{", "["))
        broken = "an answer in JSON that breaks off, or breaks"
        return _in_doubt(known, broken if is_cut else "a success that is no JSON")
    if holds_a_page(document):
        return _in_doubt(known, "a success that is a page of a proxy")
    reasons = reasons_in(document)
    named = f" ({', '.join(sorted(reasons))})" if reasons else ""
    is_limited = ACCOUNT_LIMITED in reasons
    is_refusal = any(map(meanings().refusal.fullmatch, reasons))
    if not is_limited and not is_refusal and not is_surely_empty(document):
        step = "; it is kept as it came, and may have been billed"
        return _in_doubt(known, f"a success in a format that is not known{named}", step=step)
    kind, message, about = VerdictKind.NO_PICTURE, f"a success without a picture{named}", None
    if is_limited:
        kind, message = VerdictKind.BAD_CREDENTIALS, f"the account is limited{named}"
    elif is_refusal:
        kind, message = VerdictKind.REFUSED, f"refused by the provider's policy{named}"
        about = about_of_reasons(document)
    return replace(
        known,
        kind=kind,
        message=cleaned(message),
        may_be_billed=_may_be_billed_empty(known, profile),
        stops_run=kind is VerdictKind.BAD_CREDENTIALS,
        provider_code=cleaned(next(iter(sorted(reasons)), ""), most=MOST_WORD) or None,
        about=about,
    )


def _may_be_billed_empty(known: Verdict, profile: Profile) -> bool:
    """Return whether a success without a picture may have cost something; silence is no proof."""
    if known.reported_usd is not None and (known.reported_usd > 0 or profile.reports_cost):
        return known.reported_usd > 0
    return known.usage is not None or not profile.empty_is_unbilled


def _is_charged(known: Verdict) -> bool:
    """Return whether an error reports that it was charged."""
    usd = known.reported_usd
    return known.usage is not None if usd is None else usd > 0


def _in_words(known: Verdict, meaning: Meaning, message: str, hint_s: float | None) -> Verdict:
    """Put a meaning into a verdict, with what a person can do behind the provider's words."""
    step = f"; {meaning.next_step}" if meaning.next_step else ""
    wait_s = meaning.hint_s if hint_s is None else hint_s
    is_unhinted_limit = meaning.kind is VerdictKind.RATE_LIMITED and not hint_s
    return replace(
        known,
        kind=meaning.kind,
        message=with_step(message, step),
        stops_run=meaning.stops_run,
        lower_capacity=meaning.lower_capacity or is_unhinted_limit,
        hint_s=wait_s or None,  # a wait of 0 is left to backoff: it must not become a busy loop
    )
