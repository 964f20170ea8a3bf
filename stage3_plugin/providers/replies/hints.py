"""How long a provider asks to wait, in every place where one was seen to say so.

Pure: the time is an argument, because dates and resets are moments and not lengths. A hint that is
absurd, negative or no number is none: backoff decides then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.reading import Json, at, items_at, one_line, text_at, unwrapped

LONGEST_S = 31 * 86_400.0
"""A month: the longest reset of a documented limit. Anything beyond is a broken figure."""

_UNITS_S = {
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_UNIT = "|".join(sorted(_UNITS_S, key=len, reverse=True))
_STEP = rf"[0-9]{{1,12}}(?:\.[0-9]{{1,12}})? ?(?:{_UNIT})(?![a-z])"
_RUN = rf"{_STEP}(?:,? ?{_STEP}){{0,7}}"
# The texts are on one line, so that a blank is one blank: runs of blanks beside each other, each
# of any length, would take the cube of the time.
_DURATION = re.compile(_RUN, re.ASCII)
_EACH_STEP = re.compile(rf"([0-9.]{{1,25}}) ?({_UNIT})(?![a-z])", re.ASCII)
_IN_WORDS = re.compile(
    r"(?:(?:try again|retry|resets?|wait)(?: (?:in|after|for))? ?(?:about ?|~ ?)?"
    r'|"?retry_?delay"? ?[:=] ?\\?")'
    rf"({_RUN})",
    re.IGNORECASE | re.ASCII,
)
_DATE = re.compile(r"[A-Za-z]{3,9},? [A-Za-z0-9 :+-]{10,40}")
"""What may be a date; only that is handed to the library's parser, which takes much more."""

_MOST_DURATION = 100
_MOST_WORDS = 4000
_MOST_DETAILS = 50
_MOST_S = 10**14
"""The largest figure that is read at all: epoch milliseconds are a tenth of it."""


def duration_s(text: str) -> float | None:
    """Read a run of numbers with units, such as ``6m0s``, ``57.2s`` or ``150ms``, in seconds."""
    if len(text) > _MOST_DURATION:
        return None
    text = one_line(text).lower()
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in _EACH_STEP.findall(text))


def hint_of(headers: Mapping[str, str], document: Json, *, now_s: float) -> float | None:
    """Return the seconds a provider asks to wait; 0 if it says that none are needed, else ``None``.

    The most precise place counts, in the order of OpenAI's own client: ``retry-after-ms``, then
    ``retry-after`` as a number or a date; then the body's fields, its words, and last the moment a
    window of requests ends.

    Args:
        headers: Names in lower case.
        document: The body.
        now_s: The moment of the answer, seconds since 1970; its ``Date`` header is preferred, which
            spares the comparison of two clocks.
    """
    sent_s = moment_s(headers.get("date", ""))
    now_s = now_s if sent_s is None else sent_s
    none_needed = None
    for found in _hints(headers, unwrapped(document), now_s):
        if found == 0:
            none_needed = 0.0
        elif found is not None and 0 < found <= LONGEST_S:
            return found
    return none_needed


def _hints(headers: Mapping[str, str], document: Json, now_s: float) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms", ""))
    yield None if milliseconds is None else milliseconds / 1000
    yield _retry_after(headers.get("retry-after", ""), now_s)
    error = at(document, "error")
    inner = {
        name.lower(): value
        for name, value in _mapping(at(error, "metadata", "headers")).items()
        if isinstance(value, str)
    }
    yield _retry_after(inner.get("retry-after", ""), now_s)
    yield from _in_fields(error)
    yield from _in_words(document)
    yield _reset(headers.get("x-ratelimit-reset", ""), now_s)
    yield _reset(inner.get("x-ratelimit-reset", ""), now_s)
    yield _reset(headers.get("ratelimit-reset", ""), now_s)
    yield _used_up(headers)


def _in_fields(error: Json) -> Iterator[float | None]:
    """Look into the fields made for it: OpenRouter's, Google's, and plain ones."""
    for path in (("availability", "retry_after"), ("metadata", "retry_after"), ("retry_after",)):
        yield _seconds(at(error, *path))
    for detail in items_at(error, "details")[:_MOST_DETAILS]:
        delay = at(detail, "retryDelay")
        if isinstance(delay, dict):
            yield _seconds(delay.get("seconds"))
        yield _seconds(delay)


def _in_words(document: Json) -> Iterator[float | None]:
    """Look into the words for people, and into an upstream's answer quoted as text."""
    error = at(document, "error")
    for text in (
        text_at(error, "message"),
        text_at(error, "metadata", "raw"),
        error if isinstance(error, str) else "",
        text_at(document, "detail"),
        text_at(document, "message"),
    ):
        for match in _IN_WORDS.finditer(one_line(text[:_MOST_WORDS])):
            yield duration_s(match[1])


def _used_up(headers: Mapping[str, str]) -> float | None:
    """Return the reset of the windows that are used up; each is a duration, as OpenAI writes it."""
    waits: list[float] = []
    for kind in ("requests", "tokens", "images"):
        reset_s = duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))
        remaining = headers.get(f"x-ratelimit-remaining-{kind}")
        if reset_s is not None and remaining in {"0", None}:
            waits.append(reset_s)
    return max(waits, default=None)


def told_to_retry(headers: Mapping[str, str], *names: str) -> bool | None:
    """Return the provider's own yes or no on trying again, in the first header that has one."""
    words = (headers.get(name, "").strip().lower() for name in names)
    said = next((word for word in words if word in {"true", "1", "false", "0"}), None)
    return None if said is None else said in {"true", "1"}


def used_up_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a window with nothing left begins anew, or ``None``.

    Any answer may say so, a success too. The tokens that are left are those of chats, and bound no
    picture.

    Args:
        headers: Names in lower case.
    """
    waits = [
        duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in ("requests", "images")
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    found = [wait_s for wait_s in waits if wait_s is not None and 0 < wait_s <= LONGEST_S]
    return max(found, default=None)


def _retry_after(value: str, now_s: float) -> float | None:
    """Read seconds or an HTTP date; of a repeated header the longest."""
    date_s = moment_s(value)
    if date_s is not None:
        return date_s - now_s
    numbers = [_seconds(part) for part in value[:_MOST_WORDS].split(",")]
    return max((number for number in numbers if number is not None), default=None)


def _reset(value: str, now_s: float) -> float | None:
    """Read the end of a window: epoch milliseconds, epoch seconds, or seconds from now."""
    number = _number(value)
    if number is None:
        return duration_s(value)
    if number > 1e11:
        return number / 1000 - now_s
    return number - now_s if number > 1e9 else number


def _seconds(value: object) -> float | None:
    number = _number(value)
    return duration_s(value) if number is None and isinstance(value, str) else number


def _number(value: object) -> float | None:
    number = figure_of(value, most=_MOST_S)
    return None if number is None else float(number)


def moment_s(text: str) -> float | None:
    """Read an HTTP date as seconds since 1970."""
    text = text[:_MOST_DURATION].strip()
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def iso_moment_s(text: str) -> float | None:
    """Read an ISO moment as seconds since 1970; one without a zone is of UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _mapping(value: Json) -> dict[str, Json]:
    return {**value} if isinstance(value, dict) else {}
