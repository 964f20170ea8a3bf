"""What the answer to a free question says, as far as all providers say it alike.

Apart from ``judging``, whose every sentence is about a request that may have been paid for. Here
nothing is at stake, so that what is not said in the provider's own words is unknown and never bad:
a server of one's own may have none of these pages, and a page that a gateway made says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.free_checks import About, Ask, Finding, Price
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.models import WARNED_BEFORE, end_of
from stage3_plugin.providers.replies.reading import Json, cleaned, status_line, text_at
from stage3_plugin.providers.replies.taxonomy import meaning_of
from stage3_plugin.providers.replies.words import ErrorWords, error_in, message_in

ONE_PICTURE = "'host-stub run' with '--limit 1' makes one picture, for its price, and shows it"
_PROXY_LOGIN = 407
_NO_SUCH_PAGE = frozenset({404, 405, 501})
_NO_SUCH_MODEL = frozenset({"model_not_found", "not_found", "model_deprecated"})
_MAY_NOT_LOOK = (
    "missing scopes", "insufficient permissions", "to call this route", "to access this route",
)  # fmt: skip
"""What OpenAI and LiteLLM say, with 401 or 403, of a key that may make pictures and not look."""


def trouble(ask: Ask, reply: Reply, *, is_vendor: bool) -> tuple[Finding, ...]:
    """Return what an answer that is not the expected one says.

    Args:
        ask: What was asked.
        reply: The answer.
        is_vendor: It was asked at the vendor's own address, so that what it has no page for is
            not there.
    """
    error = error_in(reply.document)
    words = error or message_in(reply.document)
    told = _told(reply, words)
    if 200 <= reply.status < 400:
        return ask.unknown(told, ONE_PICTURE)
    no_to = _no_to(reply, words, is_vendor=is_vendor and error is not None)
    if no_to is None:
        return ask.unknown(told, ONE_PICTURE if reply.status in _NO_SUCH_PAGE else None)
    return tuple(_of_each(ask, no_to, told))


def _no_to(reply: Reply, words: ErrorWords, *, is_vendor: bool) -> About | None:
    """Return what an answer says no to; ``None`` if that is not said."""
    if any(phrase in words.said.lower() for phrase in _MAY_NOT_LOOK):
        return None
    meaning = meaning_of(words, reply.status, hinted=False)
    if meaning.kind is VerdictKind.OUT_OF_MONEY or meaning.case == "wrong region":
        return "account"
    if meaning.kind is VerdictKind.BAD_CREDENTIALS and reply.status != _PROXY_LOGIN:
        return "key"
    if is_vendor and not _NO_SUCH_MODEL.isdisjoint(words.words):
        return "model"
    return None


def _of_each(ask: Ask, no_to: About, told: str) -> Iterator[Finding]:
    """Yield what follows for all that was asked about: a model is only denied to a good key."""
    if no_to not in ask.about:
        yield bad(no_to, told)
    for about in ask.about:
        model = ask.model if about == "model" else None
        if about == no_to:
            yield missing(told, model or "") if about == "model" else bad(about, told)
        elif about == "key" and no_to == "model":
            yield good("key", "accepted")
        else:
            why = f"nothing is said of it, since the {no_to} is not good"
            yield unsure(about, why, model=model)


_HINTS = {
    "key": "check api_key, and what the key and its organization may do",
    "model": "check model, api and base_url (many servers want /v1 at its end)",
    "account": "see to the account at the provider",
}


def good(about: About, message: str, *, model: str | None = None) -> Finding:
    """Return that something is good."""
    return Finding(about=about, verdict="good", message=message, model=model)


def bad(
    about: About, message: str, *, model: str | None = None, hint: str | None = None
) -> Finding:
    """Return that something is bad; the next step is the usual one where none is given."""
    return Finding(
        about=about, verdict="bad", message=message, model=model, hint=hint or _HINTS[about]
    )


def unsure(about: About, message: str, *, model: str | None = None) -> Finding:
    """Return that nothing is known of something."""
    return Finding(about=about, verdict="unknown", message=message, model=model)


def missing(message: str, model: str) -> Finding:
    """Return that a vendor does not have a model: a warning, since nothing is paid for that."""
    return replace(bad("model", message, model=model), is_warning=True)


def found_model(
    provider: str, vendor: str, model: str, ends_on: date | None, today: date
) -> Finding:
    """Return that the provider has a model, with the day on which it says that it ends."""
    if ends_on is None:
        return good("model", f"{vendor} has it", model=model)
    known = end_of(provider, model)
    hint = f"in its place: {' or '.join(known.instead)}" if known else "choose another model"
    if ends_on <= today:
        return replace(missing(f"{vendor} says that it ended on {ends_on}", model), hint=hint)
    found = good("model", f"{vendor} has it, and says that it ends on {ends_on}", model=model)
    is_soon = ends_on - today <= WARNED_BEFORE
    return replace(found, hint=hint, is_warning=True) if is_soon else found


def compared(
    who: str,
    model: str,
    theirs: Price,
    ours: tuple[Decimal | None, Decimal | None],
    line: str | None,
) -> Finding | None:
    """Compare what a vendor says that a plain picture costs with what is reckoned here.

    Args:
        who: Says so.
        model: Of this model.
        theirs: The price.
        ours: The least and the most that is reckoned for the same; ``None`` if it is not known.
        line: The setting that says their price of every picture, if one can.

    Returns:
        An error where more would be billed than is held, a warning where less would be or nothing
        is known here; ``None`` where both say the same.
    """
    low, high = ours
    told = f"{who} asks ${theirs.usd:f} per {theirs.per}"
    most = "set price_usd to the most that one of your pictures costs"
    if low is None or high is None:
        told = f"{told}, and no price is known here"
        return replace(good("model", told, model=model), hint=most, is_warning=True)
    if theirs.usd > high:
        told = f"{told}, which is above the ${high.normalize():f} that are reckoned here"
        hint = (
            f"install a newer table, or {most}"
            if line is None
            else f"write {line}, or install a newer table"
        )
        return bad("model", told, model=model, hint=hint)
    if theirs.usd < low:
        told = f"{told}, which is below the ${low.normalize():f} that are reckoned here"
        return replace(good("model", told, model=model), is_warning=True)
    return None


def day_at(document: Json, *path: str) -> date | None:
    """Return the day at a path, of an ISO date or of a moment that begins with one."""
    try:
        return date.fromisoformat(text_at(document, *path)[:10])
    except ValueError:
        return None


def _told(reply: Reply, words: ErrorWords) -> str:
    """Say what an answer was, in the provider's own words where it has some."""
    status = status_line(reply.status)
    if 300 <= reply.status < 400:
        return f"{status}: a redirect, which is not followed"
    if 200 <= reply.status < 300 and not words.message:
        return f"{status}, and not the answer that was expected"
    return cleaned(f"{status}: {words.message}") if words.message else status
