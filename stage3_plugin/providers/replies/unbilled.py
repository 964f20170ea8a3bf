"""Which failed answers cost nothing: the rule, and how ``unbilled.toml``, its table, is read.

Below 500 a service says that it did not take the request. From 500 on it failed at something, and
the answer costs nothing only by a row of the table. There are two kinds. A sentence frees whoever
says it, since a gateway that quotes it had it from the vendor; it frees only alone, so that it is
compared in whole, and nothing may stand beside it but codes and names that the vendors put there.
At a vendor's own address, in its own shape, any words do that speak of no time-out, connection or
service behind it, and of nothing that was made or billed: there no gateway can be speaking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from stage3_plugin.providers.replies.reading import MOST_WORD
from stage3_plugin.providers.replies.words import MOST_SAID, ErrorWords, as_word, sentence
from stage3_plugin.providers.tables import shipped

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


def _says(names: list[str], info: ValidationInfo) -> re.Pattern[str]:
    """Compile the sentences of these names, each to be compared in whole."""
    known: Mapping[str, str] = info.context or {}
    if not known.keys() >= set(names):
        raise ValueError(f"known: {', '.join(known)}")
    sentences = "|".join(map(known.__getitem__, names))
    whole = rf"{_QUOTING}(?:{sentences})(?:{_TAIL})*[ .,!:;]{{0,3}}{_QUOTED}"
    return re.compile(whole, re.IGNORECASE | re.ASCII)


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


class Free(BaseModel):
    """A failed answer that costs nothing: a row of ``unbilled.toml``, where its fields are told."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    quoted: str = Field(min_length=1)
    vendor: str
    page: str = Field(min_length=1)
    seen: date
    kind: Literal["said", "presumed"] = "said"
    statuses: frozenset[int]
    says: Annotated[re.Pattern[str], BeforeValidator(_says)] | None = None
    word: re.Pattern[str] | None = None
    in_error: bool = False
    is_retryable: bool = False
    at: str = ""
    has: frozenset[str] = frozenset()

    def fits(self, error: ErrorWords, status: int, own: str) -> bool:
        if status not in self.statuses or self.at not in {"", own}:
            return False
        if not all(name in _AN_ERROR or _WAIT.fullmatch(name) for name in error.around):
            return False  # there may be what was made, such as `images` or `output`
        names = {name for name, _ in error.members}
        if self.says is None:
            is_its_own = names >= self.has and "" not in names  # that is: and more
            is_seen = all(len(_text(value)) <= MOST_SAID for _, value in error.members)
            is_said = self.kind == "said"
            return is_its_own and (is_said or (is_seen and not _any(RAN, error, *names)))
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


class Failures(BaseModel):
    """The whole of ``unbilled.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, title="unbilled.toml")

    sentences: Mapping[str, str]
    row: tuple[Free, ...]


@cache
def free() -> tuple[Free, ...]:
    """Return the table."""
    read = shipped("replies/unbilled.toml")
    return Failures.model_validate(read, context=read["sentences"]).row


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
    return not any(row.fits(error, status, own) for row in free())


def speaks_of_time_or_way(error: ErrorWords) -> bool:
    """Return whether an error speaks of a time-out, a connection, or of what stands in between."""
    return _any(WAY, error)


def _any(pattern: re.Pattern[str], error: ErrorWords, *names: str) -> bool:
    """Look for a pattern in every string of an answer, save in the names of what is in it."""
    texts = (text for name, text in error.members if isinstance(text, str) and name not in _NAMES)
    said = (error.said, error.upstream, *error.words, *names, *map(sentence, texts))
    return any(map(pattern.search, said))
