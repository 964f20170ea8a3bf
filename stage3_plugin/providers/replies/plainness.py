"""Whether all that a failed answer says is what its vendor documents for that case, and no more.

A sentence that frees an answer frees it only alone: "overloaded" beside "the picture was made" is
no proof of anything. So every member of the answer is looked at, wherever it stands. Its name has
to be one that the vendors' errors have, its code one that they use, and its sentence made of the
words of theirs alone; whatever is foreign leaves the outcome open, in any language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stage3_plugin.providers.replies.words import ErrorWords, as_word, sentence

_DOCUMENTED = (
    "The server had an error processing your request. Sorry about that! If you keep seeing this",
    "The server had an error while processing your request. You can retry your request, or contact",
    "us through our help center at help.openai.com if the error persists. (Please include the",
    "request ID in your message.)",
    "The engine is currently overloaded, please try again later. The server is overloaded.",
    "That model is currently overloaded with other requests. This model is temporarily overloaded.",
    "The service is overloaded or temporarily unavailable. The provider is overloaded.",
    "Please slow down and reduce your request rate: too many requests. Retry soon.",
    "No capacity. It may be down.",
)
"""What OpenAI, Anthropic, Google and OpenRouter say of a request that did not run."""
_PUNCTUATION = " .,;:!()'\"-"
_VOCABULARY = frozenset(
    word.strip(_PUNCTUATION) for text in _DOCUMENTED for word in text.lower().split()
)
_ID = re.compile(r"(?:req|chatcmpl|gen)[_-][a-z0-9_-]{4,80}|[0-9a-f]{16,40}|[0-9a-f-]{36}")
_QUOTING = re.compile(
    r"(?:(?:litellm\.)?(?:InternalServerError|ServiceUnavailableError|APIError"
    r"|[A-Z][A-Za-z]{2,30}Exception)(?::| -)\s?){1,4}",
    re.ASCII,
)
_QUOTED = re.compile(
    r"\s?LiteLLM: its models failed with the error above\. No fallback was attempted\.", re.ASCII
)
"""What LiteLLM puts around the vendor's sentence."""

_SENTENCES = frozenset({"message", "msg", "detail", "raw", "error", "title"})
_CODES = frozenset(
    {"code", "type", "status", "error_type", "reason", "object", "provider_code", "finish_reason"}
)
_KNOWN_CODE = re.compile(
    r"error|api_error|server(_error)?|internal(_server)?(_error)?|slow_down|requests|tokens"
    r"|(service_|temporarily_)?unavailable(_error)?|(model_)?capacity_exhausted"
    r"|((provider|server|engine|model)_)?(is_)?overloaded(_error)?"
)
_KNOWN_STATUSES = frozenset({500, 503, 529})
_STATUS_CODES = frozenset({"500", "503", "529"})  # LiteLLM's way of writing them
_NAMES = frozenset(
    {"id", "request_id", "user_id", "model", "model_slug", "provider", "provider_name", "@type"}
)
_NAME = re.compile(r"[\w./:@ -]{1,200}", re.ASCII)
_WAITS = frozenset({"retry_after", "retry_after_seconds", "retryable", "created", "retrydelay"})
_WAIT = re.compile(r"[0-9.]{1,20}s?", re.ASCII)

_WAY = re.compile(
    r"time[ds]?[\s_-]{0,3}out|deadline|connect|econn|epipe|socket|upstream|gateway|\bproxy|"
    r"\borigin\b|hang(?:ing)?[\s_-]{0,3}up|hung[\s_-]{0,3}up|stream[\s_-]?(?:reset|error|closed)|"
    r"reset[\s_-](?:by|before)|grpc|<!doctype|<html",
    re.IGNORECASE | re.ASCII,
)
"""Time, connections, what stands in between, and its pages."""
_RAN = re.compile(
    r"timeout|reset|stream|\blost\b|abort|cancel|waiting|gave up|billed|charged|generat|finished|"
    r"stored|delivered|already",
    re.IGNORECASE | re.ASCII,
)
"""What is said of a request that ran, or of one whose answer was lost."""


def speaks_of_time_or_way(error: ErrorWords) -> bool:
    """Return whether an error speaks of a time-out, a connection, or of what stands in between.

    Looked for in every string of the answer, save in the names of what is in it.
    """
    texts = (text for name, text in error.members if isinstance(text, str) and name not in _NAMES)
    return _any(_WAY, (error.said, error.upstream, *error.words, *map(sentence, texts)))


def is_plain(error: ErrorWords) -> bool:
    """Return whether an error says nothing beside what its vendor documents."""
    return all(_is_known(name, value) for name, value in error.members)


def _is_known(name: str, value: object) -> bool:
    if isinstance(value, str):
        return _is_known_text(name, value)
    if name in _WAITS or name.startswith("x-ratelimit-"):
        return True
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and name in {"code", "status"} and value in _KNOWN_STATUSES


def _is_known_text(name: str, text: str) -> bool:
    said = sentence(text)
    if _WAY.search(said) or _RAN.search(said):
        return False
    if name in _CODES:
        word = as_word(text)
        is_known = word in _STATUS_CODES or _KNOWN_CODE.fullmatch(word) is not None
        return len(text) <= _MOST_CODE and is_known
    if name in _NAMES:
        return _NAME.fullmatch(text) is not None
    if name in _WAITS or name.startswith(("x-ratelimit-", "retry-after")):
        return _WAIT.fullmatch(text) is not None
    return name in _SENTENCES and _is_documented(text)


_MOST_CODE = 60
_MOST_SENTENCE = 1000


def _is_documented(text: str) -> bool:
    """Return whether a sentence is made of the vendors' words alone, quoted by a gateway or not."""
    if len(text) > _MOST_SENTENCE:
        return False
    said = sentence(text)
    quoting = _QUOTING.match(said)
    said = _QUOTED.sub("", said[quoting.end() :] if quoting else said)
    words = (word.strip(_PUNCTUATION) for word in said.lower().split())
    return all(not word or word in _VOCABULARY or _ID.fullmatch(word) for word in words)


def _any(pattern: re.Pattern[str], texts: Iterable[str]) -> bool:
    return any(map(pattern.search, texts))
