"""Which failed answers are known to be free, and which may have been billed: the rule, as a table.

Below 500 a service says that it did not take the request. From 500 on it failed at something, and
only the words of a vendor who is known to mean *did not run* by them prove that nothing was billed.
They prove it from any sender, since a gateway that quotes them had them from the vendor; what a
gateway says of itself, or what its class names say, proves nothing. And they prove it only alone:
where the same answer says anything else, of a time-out, a connection or a picture that was made,
the service may have worked on. ``plainness`` has that; ``docs/providers.md`` has the table for
people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stage3_plugin.providers.replies.plainness import is_plain, speaks_of_time_or_way
from stage3_plugin.providers.replies.words import ErrorWords

MAY_HAVE_RUN = frozenset({408, 499})
"""Below 500, but said of a request whose answer did not come in time, in whatever words."""

_OVERLOADED = frozenset({503, 529})


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Words by which a vendor says that a request did not run.

    Attributes:
        quoted: The words, for people.
        vendor: Whose words they are.
        source: The document that has them.
        statuses: Those it has them with.
        says: A pattern within the sentence for people.
        word: A pattern for one of the error's codes, in whole.
        field: A field that the vendor's error has in this case.
        in_error: Only within an ``error`` object, as the vendor writes it.
    """

    quoted: str
    vendor: str
    source: str
    statuses: frozenset[int]
    says: re.Pattern[str] | None = None
    word: re.Pattern[str] | None = None
    field: str | None = None
    in_error: bool = False

    def fits(self, error: ErrorWords, status: int) -> bool:
        return (
            status in self.statuses
            and (error.is_object or not self.in_error)
            and (self.says is None or self.says.search(error.said) is not None)
            and (self.word is None or any(map(self.word.fullmatch, error.words)))
            and (self.field is None or (self.field in error.fields and error.retryable is True))
        )


def _says(phrase: str) -> re.Pattern[str]:
    return re.compile(phrase, re.IGNORECASE | re.ASCII)


_OPENAI = "platform.openai.com/docs/guides/error-codes"
_OPENROUTER = "openrouter.ai/docs/api_reference/errors-and-debugging, 2026-08"
_GOOGLE = "ai.google.dev/gemini-api/docs/troubleshooting"

FREE = (
    Free(
        quoted='"The server had an error while processing your request"',
        vendor="OpenAI",
        source=f"{_OPENAI}: 500",
        statuses=frozenset({500, 503}),
        says=_says("the server had an error (?:while )?processing your request"),
    ),
    Free(
        quoted='"The engine is currently overloaded", "The model is overloaded"',
        vendor="OpenAI, Google",
        source=f"{_OPENAI}: 503; {_GOOGLE}: 503",
        statuses=_OVERLOADED,
        says=_says(r"\b(?:engine|server|model) is (?:currently |temporarily )?overloaded\b"),
    ),
    Free(
        quoted="code `slow_down`",
        vendor="OpenAI",
        source=f"{_OPENAI}: 503 slow down",
        statuses=frozenset({503}),
        word=re.compile("slow_down"),
    ),
    Free(
        quoted='"Slow down" in an `error` object',
        vendor="OpenAI",
        source=f"{_OPENAI}: 503 slow down, behind a gateway that hides the code",
        statuses=frozenset({503}),
        says=_says(r"\bslow down\b"),
        in_error=True,
    ),
    Free(
        quoted="code or type `overloaded`, `overloaded_error`, `provider_overloaded`, "
        "`server_is_overloaded`",
        vendor="OpenAI, OpenRouter, Anthropic",
        source=f"{_OPENAI}: server_is_overloaded; {_OPENROUTER}: provider_overloaded; "
        "docs.claude.com/en/api/errors: 529 overloaded_error",
        statuses=_OVERLOADED,
        word=re.compile("(?:(?:provider|server|engine|model)_)?(?:is_)?overloaded(?:_error)?"),
    ),
    Free(
        quoted='"overloaded" in the sentence of an `error` object',
        vendor="OpenAI, OpenRouter, Anthropic",
        source="the same, where only the sentence is left of it",
        statuses=_OVERLOADED,
        says=_says(r"\boverloaded\b"),
        in_error=True,
    ),
    Free(
        quoted="`error.availability` that is `retryable`: `temporarily_unavailable`, "
        "`capacity_exhausted`",
        vendor="OpenRouter",
        source=f"{_OPENROUTER}: error.availability, not routed to anybody",
        statuses=frozenset({503}),
        word=re.compile("temporarily_unavailable|(?:model_)?capacity_exhausted"),
        field="availability",
    ),
)


def is_in_doubt(error: ErrorWords, status: int) -> bool:
    """Return whether a failed answer may have been billed, by its status and its words.

    Args:
        error: The words of the answer.
        status: The HTTP status, or the one that the body gives instead.
    """
    if status < 500:
        return status in MAY_HAVE_RUN
    if speaks_of_time_or_way(error) or not is_plain(error):
        return True
    return not any(free.fits(error, status) for free in FREE)
