"""What an error says, gathered into one shape from wherever answers keep it.

What a word *means* is decided elsewhere: in ``taxonomy`` for what follows, in ``unbilled`` for what
it may have cost. Every word is cut to a bound before anything else looks at it, so that no pattern
ever meets more than that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import JsonValue

from stage3_plugin.providers.replies.reading import (
    MOST_WORD,
    Json,
    at,
    cleaned,
    fields_around,
    items_at,
    members_of,
    one_line,
    text_at,
    unwrapped,
)

MOST_SAID = 4000
"""Characters of one text that are looked through for what it says."""
_MOST_ITEMS = 50
"""Entries of a list of details that are looked at; answers have one or two."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", re.ASCII)
_BETWEEN = re.compile(r"[\s-]+")
_GROUP = re.compile(r"model group '[^']{0,200}'", re.ASCII)
"""LiteLLM names its group of models, which a person has named: no word of what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """An error in the provider's words, gathered from wherever such answers keep them.

    Attributes:
        message: For people, cleaned; may be empty.
        said: All that it says in sentences, cut, for patterns.
        words: Everything that names the case, in lower case: codes, types, reasons.
        upstream: The word of the service behind the provider, in lower case. Its money and keys are
            not ours, so it is kept apart.
        code: The most telling of them as written, for logs.
        status: A number given as the code, as some answers do with status 200.
        param: The parameter complained of.
        fields: Names of the fields present in the error and its metadata.
        quotas: Names of the quotas that were passed.
        retryable: The provider's explicit word on trying again.
        resets_at: When a limit ends, as written.
        is_object: It came as an ``error`` object, the shape that the vendors themselves write.
        members: All that the answer says, wherever it stands, by the lower-case names of the
            fields; but for its usage.
        around: Names of the answer's own fields, and of all that others stand in.
    """

    message: str = ""
    said: str = ""
    words: frozenset[str] = frozenset()
    upstream: str = ""
    code: str | None = None
    status: int | None = None
    param: str = ""
    fields: frozenset[str] = frozenset()
    quotas: str = ""
    retryable: bool | None = None
    resets_at: str = ""
    is_object: bool = False
    members: tuple[tuple[str, Json], ...] = ()
    around: frozenset[str] = frozenset()


def error_in(document: Json) -> ErrorWords | None:
    """Find the provider's own error; ``None`` if the document is not one.

    Shapes: ``error`` as object or string, ``errors`` as a list, ``choices[].error``, FastAPI's
    ``detail`` as string or list, and a flat object that calls itself an error. A bare ``message``
    does not count: gateways write that, and know nothing of what was billed.
    """
    document = unwrapped(document)
    for error in (
        at(document, "error"),
        at(document, "errors", 0),
        *(at(choice, "error") for choice in items_at(document, "choices")),
    ):
        if isinstance(error, str) and error.strip():
            return _words(document, {"message": error})
        if isinstance(error, dict) and error:
            return _words(document, error, is_object=True)
    if isinstance(document, dict):
        if document.get("detail"):
            return _of_detail(document)
        if document.get("object") == "error" or document.get("type") == "error":
            return _words(document, document)
    return None


def message_in(document: Json) -> ErrorWords:
    """Read a gateway's flat ``message``, which is shown, and is no word on what was billed."""
    message = text_at(document, "message")
    return ErrorWords(message=cleaned(message), said=sentence(message))


def _of_detail(document: dict[str, JsonValue]) -> ErrorWords:
    detail = document["detail"]
    if isinstance(detail, dict):
        return _words(document, detail)
    lines = [
        ": ".join(filter(None, (_location(item), text_at(item, "msg")[:MOST_SAID])))
        for item in items_at(detail)[:_MOST_ITEMS]
    ]
    message = detail if isinstance(detail, str) else "; ".join(filter(None, lines))
    return _words(document, {"message": message})


def _location(item: Json) -> str:
    """Name the field a validation error is about; its value may be a prompt and is left out."""
    steps = items_at(item, "loc")[:_MOST_ITEMS]
    return ".".join(str(step)[:MOST_WORD] for step in steps if _is_step(step))


def _is_step(step: JsonValue) -> bool:
    if isinstance(step, int):  # one of thousands of digits cannot be written out
        return 0 <= step <= 10**6
    return isinstance(step, str)


def _words(document: Json, error: Json, *, is_object: bool = False) -> ErrorWords:
    metadata, code = at(error, "metadata"), at(error, "code")
    details = items_at(error, "details")[:_MOST_ITEMS]
    inner = [at(error, name) for name in ("inner_error", "innererror")]
    candidates = [
        text_at(metadata, "limit_source"),
        text_at(error, "code"),
        text_at(metadata, "error_type"),
        text_at(error, "availability", "code"),
        text_at(metadata, "reason"),
        *(text_at(detail, "reason") for detail in details),
        *(text_at(each, "code") for each in inner),
        text_at(error, "type"),
        text_at(error, "status"),
        text_at(document, "error_type"),
        text_at(document, "reject_reason"),
        *(text_at(item, "type") for item in items_at(document, "detail")[:_MOST_ITEMS]),
        text_at(metadata, "block_reason"),
    ]
    named = [word for word in candidates if word and not word.isdigit()]
    retryable = at(error, "availability", "retryable")
    quotas = (
        text_at(violation, "quotaId")[:MOST_WORD]
        for detail in details
        for violation in items_at(detail, "violations")[:_MOST_ITEMS]
    )
    message = text_at(error, "message") or text_at(error, "msg")
    is_a_choices = error is not None and any(
        at(one, "error") is error for one in items_at(document, "choices")
    )
    return ErrorWords(
        message=cleaned(message),
        said=sentence(
            message, text_at(metadata, "raw"), text_at(document, "detail"), text_at(error, "detail")
        ),
        words=frozenset(as_word(word) for word in named),
        upstream=as_word(text_at(metadata, "provider_code")),
        code=cleaned(named[0], most=MOST_WORD) if named else None,
        status=_status(code),
        param=text_at(error, "param")[:MOST_WORD],
        fields=_fields(error) | _fields(metadata),
        quotas=" ".join(quotas),
        retryable=retryable if isinstance(retryable, bool) else None,
        resets_at=cleaned(text_at(metadata, "resets_at"), most=MOST_WORD),
        is_object=is_object,
        members=tuple(members_of(document)),
        around=fields_around(document) - ({"choices"} if is_a_choices else set()),
    )


def sentence(*texts: str) -> str:
    """Bring texts into one line that patterns can look through."""
    lines = (one_line(text[:MOST_SAID]) for text in texts if text)
    return _GROUP.sub("its models", " ".join(lines))


def as_word(text: str) -> str:
    """Bring a code into the one spelling that is known: lower case, its parts joined by ``_``."""
    parted = _CAMEL.sub("_", text[:MOST_WORD].strip())
    return _BETWEEN.sub("_", parted.lower())


def _fields(value: Json) -> frozenset[str]:
    if not isinstance(value, dict):
        return frozenset()
    return frozenset(name for name, held in value.items() if held not in (None, "", [], {}))


def _status(code: Json) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    is_status = isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599
    return code if is_status and isinstance(code, int) else None
