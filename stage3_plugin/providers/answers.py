"""How to read an answer that may be odd: pictures, errors and reasons wherever they were seen.

Nothing here can fail. Recorded answers lack keys, have others, and hold numbers where words were
documented; a picture that was paid for must not be lost to that, so everything is optional, every
key may be missing, and no set of values is closed. Written from recorded answers of OpenAI,
OpenRouter, Google, fal, Replicate, LiteLLM and self-hosted servers; what a word *means* is not
decided here but in ``taxonomy``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from pydantic import JsonValue

from stage3_plugin.providers.base import PictureSource, Reply, SpooledPart

Json: TypeAlias = JsonValue | Decimal

MOST_MESSAGE = 300
MOST_WORD = 80

_KEY = re.compile(
    r"\b(?:sk[-_][\w*.-]{8,}"
    r"|(?:rk|pk|key|xai|gsk|r8|fal)[-_](?=[\w*.-]*[\d*])[\w*.-]{8,}"
    r"|AIza[\w*.-]{8,}|Bearer\s+\S+)"
)
"""What keys look like; a service quotes them, partly starred, when it refuses one."""
_IN_TEXT = re.compile(
    r"(data:image/[\w.+-]+;base64,[\w+/=-]+)|!\[[^\]]*\]\(\s*(https?://[^\s)]+)", re.ASCII
)


def at(value: Json, *path: str | int) -> Json:
    """Follow keys and indexes as far as they lead; ``None`` where they do not."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def text_at(value: Json, *path: str | int) -> str:
    """Give the string at a path, else an empty one."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def items_at(value: Json, *path: str | int) -> list[JsonValue]:
    """Give the list at a path; a lone object counts as a list of one, anything else as empty."""
    found = at(value, *path)
    if isinstance(found, dict):
        return [found]
    return found if isinstance(found, list) else []


def pictures_in(reply: Reply, *, base_url: str) -> tuple[PictureSource, ...]:
    """Find every picture of a success, in the order of the answer.

    Looked for where recorded answers have them: ``data`` and ``images`` of the Images API and its
    likenesses, ``choices`` of chat completions, ``candidates`` of Gemini; a raw picture as body;
    and at last any long base64 string at all, because it was paid for.
    """
    texts = (text for text in _picture_texts(reply.document) if text)
    found = [reply.source(text, base_url=base_url) for text in texts]
    sources = [source for source in found if source is not None]
    if not sources:
        sources.extend(_loose_parts(reply))
    return tuple(sources)


def _loose_parts(reply: Reply) -> list[PictureSource]:
    """Give the spooled strings at places that nobody knew, those called pictures first."""
    parts = sorted(reply.parts.values(), key=lambda part: part.index)
    parts.sort(key=lambda part: not (part.media_type or "").startswith("image/"))
    return [SpooledPart(part.index) for part in parts]


def _picture_texts(document: Json) -> Iterator[str]:
    for name in ("data", "images"):
        for item in items_at(document, name):
            yield _of_item(item)
    for choice in items_at(document, "choices"):
        message = at(choice, "message")
        for item in items_at(message, "images"):
            yield _of_item(item)
        yield from _of_content(at(message, "content"))
    for candidate in items_at(document, "candidates"):
        for part in items_at(candidate, "content", "parts"):
            yield text_at(part, "inlineData", "data") or text_at(part, "inline_data", "data")


def _of_item(item: Json) -> str:
    """Give the picture of one list entry: base64 before an address, since it cannot expire."""
    if isinstance(item, str):
        return item
    for path in (
        ("b64_json",), ("image_url", "url"), ("image_url",), ("url",), ("b64",),
    ):  # fmt: skip
        if text := text_at(item, *path):
            return text
    return ""


def _of_content(content: Json) -> Iterator[str]:
    """Give the pictures within a message's content: parts of a list, or Markdown in a text."""
    if isinstance(content, str):
        for match in _IN_TEXT.finditer(content):
            yield match[1] or match[2]
    for part in items_at(content):
        yield _of_item(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """An error in the provider's words, gathered from wherever such answers keep them.

    Attributes:
        message: For people, cleaned; may be empty.
        words: Everything that names the case, in lower case: codes, types, reasons.
        upstream: The word of whoever stands behind the provider, in lower case. Its money and keys
            are not ours, so it is kept apart.
        code: The most telling of them as written, for logs.
        status: A number given as the code, as some answers do with status 200.
        param: The parameter complained of.
        fields: Names of the fields present in the error and its metadata.
        quotas: Names of the quotas that were passed.
        retryable: The provider's explicit word on trying again.
        resets_at: When a limit ends, as written.
    """

    message: str = ""
    words: frozenset[str] = frozenset()
    upstream: str = ""
    code: str | None = None
    status: int | None = None
    param: str = ""
    fields: frozenset[str] = frozenset()
    quotas: str = ""
    retryable: bool | None = None
    resets_at: str = ""


def error_in(document: Json) -> ErrorWords | None:
    """Find the provider's own error; ``None`` if the document is not one.

    Shapes: ``error`` as object or string, ``errors`` as a list, ``choices[].error``, FastAPI's
    ``detail`` as string or list, and a flat object that calls itself an error. A bare ``message``
    does not count: gateways write that, and know nothing of what was billed.
    """
    for error in (
        at(document, "error"),
        at(document, "errors", 0),
        *(at(choice, "error") for choice in items_at(document, "choices")),
    ):
        if isinstance(error, str) and error.strip():
            return _words(document, {"message": error})
        if isinstance(error, dict) and error:
            return _words(document, error)
    if isinstance(document, dict):
        if document.get("detail"):
            return _of_detail(document)
        if document.get("object") == "error" or document.get("type") == "error":
            return _words(document, document)
    return None


def _of_detail(document: dict[str, JsonValue]) -> ErrorWords:
    detail = document["detail"]
    if isinstance(detail, dict):
        return _words(document, detail)
    lines = [
        ": ".join(filter(None, (_location(item), text_at(item, "msg"))))
        for item in items_at(detail)
    ]
    message = detail if isinstance(detail, str) else "; ".join(filter(None, lines))
    return _words(document, {"message": message})


def _location(item: Json) -> str:
    """Name the field a validation error is about; its value may be a prompt and is left out."""
    return ".".join(str(step) for step in items_at(item, "loc") if isinstance(step, str | int))


def _words(document: Json, error: Json) -> ErrorWords:
    metadata, code = at(error, "metadata"), at(error, "code")
    details = items_at(error, "details")
    candidates = [
        text_at(metadata, "limit_source"),
        text_at(error, "code"),
        text_at(metadata, "error_type"),
        text_at(error, "availability", "code"),
        text_at(metadata, "reason"),
        *(text_at(detail, "reason") for detail in details),
        text_at(error, "type"),
        text_at(error, "status"),
        text_at(document, "error_type"),
        text_at(document, "reject_reason"),
        *(text_at(item, "type") for item in items_at(document, "detail")),
        text_at(metadata, "block_reason"),
    ]
    named = [word for word in candidates if word and not word.isdigit()]
    retryable = at(error, "availability", "retryable")
    quotas = (
        text_at(violation, "quotaId")
        for detail in details
        for violation in items_at(detail, "violations")
    )
    return ErrorWords(
        message=cleaned(text_at(error, "message") or text_at(error, "msg")),
        words=frozenset(as_word(word) for word in named),
        upstream=as_word(text_at(metadata, "provider_code")),
        code=cleaned(named[0], most=MOST_WORD) if named else None,
        status=_status(code),
        param=text_at(error, "param"),
        fields=_fields(error) | _fields(metadata),
        quotas=" ".join(quotas),
        retryable=retryable if isinstance(retryable, bool) else None,
        resets_at=cleaned(text_at(metadata, "resets_at"), most=MOST_WORD),
    )


def as_word(text: str) -> str:
    """Bring a code into the one spelling that the taxonomy knows."""
    return re.sub(r"[\s-]+", "_", text.strip().lower())


def _fields(value: Json) -> frozenset[str]:
    if not isinstance(value, dict):
        return frozenset()
    return frozenset(name for name, held in value.items() if held not in (None, "", [], {}))


def _status(code: Json) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    is_status = isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599
    return code if is_status and isinstance(code, int) else None


def reasons_in(document: Json) -> frozenset[str]:
    """Give the reasons a success names for how it ended, in lower case."""
    reasons = [text_at(document, "status"), text_at(document, "promptFeedback", "blockReason")]
    for choice in items_at(document, "choices"):
        reasons += [text_at(choice, "finish_reason"), text_at(choice, "native_finish_reason")]
        if text_at(choice, "message", "refusal"):
            reasons.append("refusal")
    reasons += [
        text_at(candidate, "finishReason") for candidate in items_at(document, "candidates")
    ]
    if text_at(document, "promptFeedback", "blockReason"):
        reasons.append("blocked")
    return frozenset(as_word(reason) for reason in reasons if reason)


_REQUEST_ID_HEADERS = ("x-request-id", "x-generation-id", "request-id", "x-fal-request-id")


def request_id_of(reply: Reply) -> str | None:
    """Give the provider's name of the exchange: a header's, else a chat completion's ``id``."""
    for name in _REQUEST_ID_HEADERS:
        if value := reply.headers.get(name):
            return cleaned(value, most=128)
    return cleaned(text_at(reply.document, "id"), most=128) or None


def details_of(reply: Reply) -> dict[str, str]:
    """Give the facts about a picture worth keeping, where the answer tells them."""
    document = reply.document
    found = {name: text_at(document, name) for name in ("quality", "size", "background", "model")}
    found["revised_prompt"] = text_at(document, "data", 0, "revised_prompt")
    found["served_by"] = text_at(document, "provider") or reply.headers.get("x-provider-name", "")
    return {name: cleaned(value, most=32_000) for name, value in found.items() if value}


def cleaned(text: str, *, most: int = MOST_MESSAGE) -> str:
    """Make a provider's words safe to show: one line, no control characters, no key, not long."""
    shown = "".join(
        " " if character.isspace() else character
        for character in text[: 8 * most]
        if character.isspace() or character.isprintable()
    )
    shown = _KEY.sub("[key]", " ".join(shown.split()))
    return shown if len(shown) <= most else shown[: most - 1] + "…"
