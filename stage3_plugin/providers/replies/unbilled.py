"""Which failed answers cost nothing: the rule, as a table. ``docs/providers.md`` has it for people.

Below 500 a service says that it did not take the request. From 500 on it failed at something, and
the answer costs nothing only by a row of the table. There are two kinds. A sentence frees whoever
says it, since a gateway that quotes it had it from the vendor; it frees only alone, so that it is
compared in whole, and nothing may stand beside it but codes and names that the vendors put there.
At a vendor's own address, in its own shape, any words do that speak of no time-out, connection or
service behind it, and of nothing that was made or billed: there no gateway can be speaking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from stage3_plugin.providers.replies.reading import MOST_WORD
from stage3_plugin.providers.replies.words import MOST_SAID, ErrorWords, as_word, sentence

MAY_HAVE_RUN = frozenset({408, 499})
"""Below 500, but said of a request whose answer did not come in time, in whatever words."""

_WAY = (
    r"time[ds]?[\s_-]{0,3}out|deadline|connect|econn|epipe|socket|upstream|gateway|\bproxy|"
    r"\borigin\b|hang(?:ing)?[\s_-]{0,3}up|hung[\s_-]{0,3}up|stream[\s_-]?(?:reset|error|closed)|"
    r"reset[\s_-](?:by|before)|grpc|cloudflare|litellm|<!doctype|<html"
)
WAY = re.compile(_WAY, re.IGNORECASE | re.ASCII)
"""Time, connections, what stands in between, and its pages."""
RAN = re.compile(
    rf"{_WAY}|reset|stream|\blost\b|abort|cancel|waiting|gave up|\bgone\b|billed|charged|"
    r"\bpaid\b|costs?(?![a-z])|charge|credits?(?![a-z])|deduct|generated|\bmade\b|created|rendered|completed|"
    r"finished|stored|storage|saved|upload|produced|succe|return the|to return|\bresults?\b|"
    r"too large|delivered|already|(?:output|image|total|used)[_-]?tokens|tokens[_-]used|usage|"
    r"(?-i:[\u0370-\u1fff\u3040-\uffee])",
    re.IGNORECASE,
)
"""What is said of a request that ran, or of one whose answer was lost, beside that; and other
scripts than ours, in which anything may be said."""

_ID = r"(?:(?:req|chatcmpl|gen)[_-][a-z0-9_-]{4,80}|[0-9a-f-]{16,40})"
_TAIL = (
    r"[ .,!:;]{0,3}(?:sorry about that|you can retry your request|(?:or )?contact us through our "
    r"help center at help\.openai\.com|if (?:the error persists|you keep seeing this(?: error)?)|"
    rf"\(please include the request id {_ID} in your message\.\)|"
    r"(?:please )?(?:try again|retry)(?: later| soon)?)"
)
"""What OpenAI, Anthropic, Google and OpenRouter go on with."""
_QUOTING = (
    r"(?:(?:litellm\.)?(?:InternalServerError|ServiceUnavailableError|APIError"
    r"|[A-Z][A-Za-z]{2,30}Exception)(?::| -)\s?){0,4}"
)
_QUOTED = r"(?:\s?LiteLLM: its models failed with the error above\. No fallback was attempted\.)?"
"""What LiteLLM puts around the vendor's sentence."""


def _says(sentences: str) -> re.Pattern[str]:
    """Compile sentences, parted by ``|``, each to be compared in whole."""
    whole = rf"{_QUOTING}(?:{sentences})(?:{_TAIL})*[ .,!:;]{{0,3}}{_QUOTED}"
    return re.compile(whole, re.IGNORECASE | re.ASCII)


_IS_OVERLOADED = (
    "(?:the|that|this) (?:engine|server|model) is (?:currently |temporarily )?overloaded"
    "(?: with other requests)?"
)
_OVERLOAD = (
    "(?:(?:server|model|provider|service) )?overloaded|the (?:service|provider) is overloaded"
    "(?: or temporarily unavailable)?"
)
_TURNED_AWAY = (
    f"|{_OVERLOAD}|{_IS_OVERLOADED}|(?:please )?slow down|too many requests|down|no capacity|"
    "(?:service )?(?:temporarily )?unavailable"
)
"""Beside a code that says it all: nothing, or what says no more than that."""

_SENTENCES = frozenset({"message", "msg", "detail", "raw", "error"})
_CODES = frozenset(
    {"code", "type", "status", "title", "error_type", "reason", "object", "provider_code"}
    | {"finish_reason"}
)
_CODE = re.compile(
    r"error|api_error|server(_error)?|internal(_server)?(_error)?|slow_down|requests|tokens"
    r"|(service_|temporarily_)?unavailable(_error)?|(model_)?capacity_exhausted"
    r"|((provider|server|engine|model)_)?(is_)?overloaded(_error)?"
)
_STATUS = re.compile("[45][0-9][0-9]")
_NAMES = frozenset(
    {"id", "request_id", "user_id", "model", "model_slug", "provider", "provider_name", "@type"}
)
_HOLD = frozenset(
    {"errors", "inner_error", "innererror", "details", "loc", "ctx", "metadata", "availability"}
    | {"violations", "fieldviolations", "links", "headers", "previous_errors"}
)
"""Fields that the vendors put parts of an error in."""
_WAIT = re.compile(r"retry_?-?(?:after.{0,40}|able|delay)|created|x-ratelimit-.{1,40}")
_AN_ERROR = (_SENTENCES | _CODES | _NAMES | _HOLD | {"usage"}) - {"id"}
"""What an answer consists of that is an error and nothing besides: a job that was begun has an id,
and of a usage the verdict says whether it was charged."""
_NAME = re.compile(r"[\w./:@ -]{1,200}", re.ASCII)
_MOST_SENTENCE = 1000

_READ = date(2026, 11, 24)
_BUSY = frozenset({503})
_OVERLOADED = frozenset({503, 529})


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """A failed answer that costs nothing.

    Attributes:
        quoted: Its words, for people.
        vendor: Whose they are.
        page: Where that stands.
        seen: When the page was read last.
        kind: The vendor says so, or it is presumed.
        statuses: Those it comes with.
        says: Its sentence; no other member of the answer may say anything else.
        word: A pattern for one of the error's codes, in whole.
        in_error: Only within an ``error`` object, as the vendor writes it.
        is_retryable: Only where ``error.availability`` says that it may be tried again.
        at: At the own address of this provider, whatever the words.
        has: Then by these fields the error is known for the vendor's own.
        unless: Save words that have this in them, wherever they stand.
    """

    quoted: str
    vendor: str
    page: str
    seen: date = _READ
    kind: Literal["said", "presumed"] = "said"
    statuses: frozenset[int] = _OVERLOADED
    says: re.Pattern[str] | None = None
    word: re.Pattern[str] | None = None
    in_error: bool = False
    is_retryable: bool = False
    at: str = ""
    has: str = ""
    unless: re.Pattern[str] | None = None

    def fits(self, error: ErrorWords, status: int, own: str) -> bool:
        if status not in self.statuses or self.at not in {"", own}:
            return False
        if not all(name in _AN_ERROR or _WAIT.fullmatch(name) for name in error.around):
            return False  # there may be what was made, such as `images` or `output`
        names = {name for name, _ in error.members}
        if self.says is None:
            is_its_own = names.issuperset(self.has.split()) and "" not in names  # that is: and more
            is_seen = all(len(_text(value)) <= MOST_SAID for _, value in error.members)
            may_have_run = self.unless and (not is_seen or _any(self.unless, error, *names))
            return is_its_own and not may_have_run
        return (
            (error.is_object or not self.in_error)
            and (self.word is None or any(map(self.word.fullmatch, error.words)))
            and (not self.is_retryable or error.retryable is True)
            and (self.says.fullmatch("") is not None or not names.isdisjoint(_SENTENCES))
            and all(_is_known(*member, self.says, status) for member in error.members)
        )


def _is_known(name: str, value: object, says: re.Pattern[str], status: int) -> bool:
    """Return whether a member of an answer is the sentence, or what vendors put beside it."""
    text = _text(value)
    if name in _CODES:
        is_whole = len(text) <= MOST_WORD  # a word is cut there
        return text == str(status) or (is_whole and _CODE.fullmatch(as_word(text)) is not None)
    if name in _NAMES or _WAIT.fullmatch(name):
        return _NAME.fullmatch(text) is not None and RAN.search(text) is None
    is_short = name in _SENTENCES and len(text) <= _MOST_SENTENCE
    return is_short and says.fullmatch(sentence(text)) is not None


def _text(value: object) -> str:
    """Write a value out; a number of thousands of digits cannot be."""
    return "" if isinstance(value, int) and abs(value) > 10**12 else str(value)


def _presumed(at: str, vendor: str, has: str, page: str, seen: date, **more: Any) -> Free:
    row: dict[str, Any] = {"quoted": "any other words", "statuses": _BUSY, "unless": RAN, **more}
    return Free(at=at, vendor=vendor, has=has, page=page, seen=seen, kind="presumed", **row)


_OPENAI = "platform.openai.com/docs/guides/error-codes"
_OPENROUTER = "openrouter.ai/docs/api_reference/errors-and-debugging"
_OF_AUGUST = date(2026, 8, 22)
_GOOGLE = "ai.google.dev/gemini-api/docs"

FREE = (
    Free(
        quoted='"The server had an error while processing your request"',
        vendor="OpenAI",
        page=f"{_OPENAI}: 500",
        statuses=frozenset({500, 503}),
        says=_says("the server had an error (?:while )?processing your request"),
    ),
    Free(
        quoted='"The engine is currently overloaded", "The model is overloaded"',
        vendor="OpenAI, Google",
        page=f"{_OPENAI}: 503; {_GOOGLE}/troubleshooting: 503",
        says=_says(_IS_OVERLOADED),
    ),
    Free(
        quoted="code `slow_down`",
        vendor="OpenAI",
        page=f"{_OPENAI}: 503 slow down",
        statuses=_BUSY,
        says=_says(_TURNED_AWAY),
        word=re.compile("slow_down"),
    ),
    Free(
        quoted='"Slow down" in an `error` object',
        vendor="OpenAI",
        page=f"{_OPENAI}: 503 slow down, behind a gateway that hides the code",
        statuses=_BUSY,
        says=_says("(?:please )?slow down"),
        in_error=True,
    ),
    Free(
        quoted="code or type `overloaded`, `overloaded_error`, `provider_overloaded`, "
        "`server_is_overloaded`",
        vendor="OpenAI, OpenRouter, Anthropic",
        page=f"{_OPENAI}: server_is_overloaded; {_OPENROUTER}: provider_overloaded; "
        "docs.claude.com/en/api/errors: 529 overloaded_error",
        says=_says(_TURNED_AWAY),
        word=re.compile("(?:(?:provider|server|engine|model)_)?(?:is_)?overloaded(?:_error)?"),
    ),
    Free(
        quoted='"Overloaded" in an `error` object',
        vendor="OpenAI, OpenRouter, Anthropic",
        page="the same, where only the sentence is left of it",
        says=_says(_OVERLOAD),
        in_error=True,
    ),
    Free(
        quoted="`error.availability` that is `retryable`: `temporarily_unavailable`, "
        "`capacity_exhausted`",
        vendor="OpenRouter",
        page=f"{_OPENROUTER}: error.availability, not routed to anybody",
        seen=_OF_AUGUST,
        statuses=_BUSY,
        says=_says(_TURNED_AWAY),
        word=re.compile("temporarily_unavailable|(?:model_)?capacity_exhausted"),
        is_retryable=True,
    ),
    Free(
        quoted="any words",
        vendor="Google",
        page=f"{_GOOGLE}/billing: If your request fails with a 400 or 500 error, you won't be "
        "charged for the tokens used",
        seen=date(2026, 9, 29),
        statuses=frozenset({400, 500}),
        at="gemini",
        has="code message status",
    ),
    _presumed(
        "gemini", "Google", "code message status", f"{_GOOGLE}/troubleshooting: 503", _READ,
        quoted='any other words, such as `UNAVAILABLE` and "experiencing high demand"',
    ),
    _presumed("openai", "OpenAI", "message type", f"{_OPENAI}: 503, high traffic", _READ),
    # Its time-outs and lost connections have 502, 504 and 524; what it quotes is looked through.
    _presumed(
        "openrouter", "OpenRouter", "code message",
        f"{_OPENROUTER}: 503, 529, provider overloaded; a failed call is not charged", _OF_AUGUST,
        quoted="any other words, those of a service behind it included", statuses=_OVERLOADED,
    ),
    _presumed(
        "xai", "xAI", "code error", "none; a picture is in the same answer", date(2026, 12, 1)
    ),
    _presumed(
        "fal", "fal.ai", "detail", "docs.fal.ai/faq: a server's error is never charged",
        date(2026, 11, 22),
    ),
    _presumed(
        "bfl", "Black Forest Labs", "detail",
        "docs.bfl.ai: 503; a task that has begun is answered with its name", date(2026, 11, 25),
    ),
    _presumed(
        "replicate", "Replicate", "detail",
        "none; a prediction that has begun is answered with its name", date(2026, 11, 25),
    ),
)  # fmt: skip


def is_in_doubt(error: ErrorWords, status: int, *, own: str = "") -> bool:
    """Return whether a failed answer may have been billed, by its status and its words.

    Args:
        error: The words of the answer.
        status: The HTTP status, or the one that the body gives instead.
        own: The provider whose own address has answered; empty for any other.
    """
    if status < 500:
        return status in MAY_HAVE_RUN
    told = {_text(value) for name, value in error.members if name in {"code", "status"}}
    if any(map(_STATUS.fullmatch, told - {str(status)})):
        return True  # another status than its own stands in it
    return not any(free.fits(error, status, own) for free in FREE)


def speaks_of_time_or_way(error: ErrorWords) -> bool:
    """Return whether an error speaks of a time-out, a connection, or of what stands in between."""
    return _any(WAY, error)


def _any(pattern: re.Pattern[str], error: ErrorWords, *names: str) -> bool:
    """Look for a pattern in every string of an answer, save in the names of what is in it."""
    texts = (text for name, text in error.members if isinstance(text, str) and name not in _NAMES)
    said = (error.said, error.upstream, *error.words, *names, *map(sentence, texts))
    return any(map(pattern.search, said))
