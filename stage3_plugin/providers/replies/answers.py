"""How to read an answer that may be odd: pictures, reasons and facts wherever they were seen.

Nothing here can fail. Recorded answers lack keys, have others, and hold numbers where words were
documented; a picture that was paid for must not be lost to that, so everything is optional, every
key may be missing, and no set of values is closed. Written from recorded answers of OpenAI,
OpenRouter, Google, fal, Replicate, LiteLLM and self-hosted servers; errors have ``words`` to
themselves, and what a word *means* is decided in ``taxonomy``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from stage3_plugin.domain.addressing import claims_to_be_address
from stage3_plugin.domain.exchange import Fetch, Reply
from stage3_plugin.domain.picture import InlinePicture, PictureSource, RemotePicture, SpooledPart
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.providers.replies.reading import Json, at, cleaned, items_at, members_of, text_at
from stage3_plugin.providers.replies.words import as_word

MOST_PICTURES = 64
"""Looked at in one answer; one was asked for."""
_MOST_ALT = 1000
"""Characters of a picture's description in Markdown."""

# Neither ignores case as a whole: the search for their beginnings would be ten times slower.
_DATA_URL = re.compile(
    r"(?:data|DATA|Data):[iI][mM][aA][gG][eE]/[^\s,:()<>]{0,200},[\w+/=%-]+", re.ASCII
)
_LINK = re.compile(r"\]\([ \t\r\n]{0,8}([hH][tT][tT][pP][sS]?://[^\s)]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """The pictures of a success.

    Attributes:
        sources: In the order of the answer, each at most once.
        has_bad_address: It names an address of one that cannot be an address.
        is_surely_one: One of them is a picture by its beginning, or an address at a known place.
    """

    sources: tuple[PictureSource | RemotePicture, ...]
    has_bad_address: bool = False
    is_surely_one: bool = False


def pictures_in(reply: Reply, *, base_url: str) -> Found:
    """Find every picture of a success, in the order of the answer.

    Looked for where recorded answers have them: ``data`` and ``images`` of the Images API and its
    likenesses, ``choices`` of chat completions, ``candidates`` of Gemini, ``output`` of the
    Responses API, all of these within a ``result``, in a list as well; a raw picture as body;
    and at last any long base64 string at all, because it was paid for. An entry that has its
    picture twice, as base64 and as an address, counts twice: one of them may be broken.
    """
    sources: dict[PictureSource | RemotePicture, None] = {}
    has_bad_address = is_surely_one = False
    for text, is_address in _picture_texts(reply.document):
        if not text.strip():
            continue
        source = reply.source(text, base_url=base_url)
        is_picture = isinstance(source, InlinePicture) and begins_as_picture(source.base64)
        if source is None or (is_address and isinstance(source, InlinePicture) and not is_picture):
            has_bad_address = True
        else:
            sources[source] = None
            is_surely_one = is_surely_one or is_picture or isinstance(source, RemotePicture)
        if len(sources) == MOST_PICTURES:
            break
    for source in _loose_parts(reply):
        sources[source] = None
    media_types = (part.media_type or "" for part in reply.parts.values())
    is_surely_one = is_surely_one or any(name.startswith("image/") for name in media_types)
    return Found(tuple(sources)[:MOST_PICTURES], has_bad_address, is_surely_one)


def with_pictures(
    known: Verdict, sources: tuple[PictureSource | RemotePicture, ...]
) -> Verdict | Fetch:
    """Return a verdict with its pictures; if one lies at an address, that it is fetched first."""
    held = tuple(source for source in sources if not isinstance(source, RemotePicture))
    if len(held) < len(sources):
        return Fetch(sources=sources, verdict=known)
    return replace(known, sources=held)


_BEGINNINGS = ("iVBORw0KGgo", "/9j/", "_9j_", "UklGR", "R0lGOD")
"""PNG, JPEG in both alphabets, WebP and GIF in base64."""


def begins_as_picture(text: str) -> bool:
    """Return whether a text is a data URL, or begins as the base64 of a picture."""
    beginning = text[:200].lstrip(" \t\r\n\"'`(<")
    return beginning.startswith(_BEGINNINGS) or beginning[:5].lower() == "data:"


def _loose_parts(reply: Reply) -> list[PictureSource]:
    """Return the spooled strings, wherever they stood, those called pictures first.

    What a model thought by is none of them: a signature of a thought may be a megabyte.
    """
    thoughts = {text for text in _thought_texts(reply.document) if text}
    parts = [part for text, part in reply.parts.items() if text not in thoughts]
    parts.sort(key=lambda part: part.index)
    parts.sort(key=lambda part: not (part.media_type or "").startswith("image/"))
    return [SpooledPart(part.index) for part in parts]


_WRAPPERS = ("result", "response", "output")


def _picture_texts(document: Json) -> Iterator[tuple[str, bool]]:
    """Return what may be a picture, and whether it stands where an address is expected."""
    yield from _of_object(document)
    for name in _WRAPPERS:
        inner = at(document, name)
        yield from _of_object(inner)
        for item in [inner] if isinstance(inner, str) else items_at(inner):
            yield from _of_output(item)
    if isinstance(document, list):
        for item in document:
            yield from _of_output(item)
            yield from _of_object(item)
    elif isinstance(document, str):
        yield from _of_output(document)
    else:
        yield from _of_item(document)


def _of_object(document: Json) -> Iterator[tuple[str, bool]]:
    for name in ("data", "images"):
        for item in items_at(document, name):
            yield from _of_item(item)
    for choice in items_at(document, "choices"):
        message = at(choice, "message")
        for item in items_at(message, "images"):
            yield from _of_item(item)
        yield from _of_content(at(message, "content"))
    for candidate in items_at(document, "candidates"):
        # The last one is what came of it; a thought's picture is a draft.
        for part in reversed(items_at(candidate, "content", "parts")):
            if not _is_thought(part):
                yield _inline_of(part), False


def _inline_of(part: Json) -> str:
    return text_at(part, "inlineData", "data") or text_at(part, "inline_data", "data")


def _is_thought(part: Json) -> bool:
    return at(part, "thought") is True


def _thought_texts(document: Json) -> Iterator[str]:
    """Yield what Gemini sends of its thinking: signatures, and drafts."""
    for candidate in items_at(document, "candidates"):
        for part in items_at(candidate, "content", "parts"):
            yield text_at(part, "thoughtSignature") or text_at(part, "thought_signature")
            if _is_thought(part):
                yield _inline_of(part)


def _of_output(item: Json) -> Iterator[tuple[str, bool]]:
    """Return the picture of an entry that may be words as well."""
    for text in (item, at(item, "result")):
        if isinstance(text, str) and (begins_as_picture(text) or claims_to_be_address(text)):
            yield text, False
    if isinstance(item, dict):
        yield from _of_item(item)


def _of_item(item: Json) -> Iterator[tuple[str, bool]]:
    """Return the picture of one list entry: base64 before an address, since it cannot expire."""
    if isinstance(item, str):
        yield item, not begins_as_picture(item) and ":" in item[:_MOST_ALT]
    for path, is_address in (
        (("b64_json",), False), (("image_url", "url"), True), (("image_url",), True),
        (("url",), True), (("url", "url"), True), (("b64",), False),
    ):  # fmt: skip
        yield text_at(item, *path), is_address


def _of_content(content: Json) -> Iterator[tuple[str, bool]]:
    """Return the pictures within a message's content: parts of a list, or Markdown in a text."""
    if isinstance(content, str):
        for text in _in_text(content):
            yield text, False
    for part in items_at(content):
        yield from _of_item(part)


def _in_text(text: str) -> Iterator[str]:
    """Return data URLs and Markdown's pictures in a text, in time proportional to it."""
    found = [(match.start(), match[0]) for match in _DATA_URL.finditer(text)]
    for match in _LINK.finditer(text):
        earliest = max(0, match.start() - _MOST_ALT)
        opening = text.rfind("![", text.rfind("]", earliest, match.start()) + 1, match.start())
        if opening >= earliest:
            found.append((match.start(), match[1]))
    yield from (picture for _, picture in sorted(found))


_PLACES = frozenset({"data", "images", "choices", "candidates", "promptFeedback"})
_TEXTS = frozenset({"revised_prompt", "text", "type", "mime_type", "mimetype", "media_type"})
_MOST_WORD = 200


def is_surely_empty(document: Json) -> bool:
    """Return whether a success without a picture is one that is known to have none.

    A place for pictures is there, and what is in it is nothing, or words; and nothing elsewhere
    looks like a picture or an address that was not understood.
    """
    if not isinstance(document, dict) or _PLACES.isdisjoint(document):
        return False
    for name in ("data", "images"):
        for field, value in members_of(document.get(name)):
            if field not in _TEXTS and not (isinstance(value, str) and not value.strip()):
                return False
    texts = (value for _, value in members_of(document) if isinstance(value, str))
    return not any(map(_may_be_picture, texts))


def _may_be_picture(text: str) -> bool:
    """Return whether a text is or holds an address, or one word that is too long for one."""
    if begins_as_picture(text) or "://" in text:
        return True
    return any(len(word) > _MOST_WORD for word in text.split())


def reasons_in(document: Json) -> frozenset[str]:
    """Return the reasons a success names for how it ended, in lower case."""
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


_ID_HEADERS = (
    # what the vendor looks it up by
    "x-generation-id", "x-request-id", "request-id", "x-fal-request-id", "apim-request-id",
    "x-ms-request-id", "x-amzn-requestid", "llm_provider-x-request-id",
)  # fmt: skip
_WAY_HEADERS = (
    # what a gateway or a network in between looks it up by
    "x-litellm-call-id", "x-portkey-trace-id", "helicone-id", "cf-aig-log-id", "x-correlation-id",
    "x-trace-id", "cf-ray", "x-amz-cf-id", "x-vercel-id",
)  # fmt: skip


def request_id_of(reply: Reply) -> str | None:
    """Return the name of the exchange that leads furthest.

    The vendor's own comes first, in a header or in the body, then a gateway's, then the network's.
    """
    document = reply.document
    candidates = (
        *_held(reply.headers, _ID_HEADERS),
        text_at(document, "id"),
        text_at(document, "request_id"),
        text_at(document, "responseId"),
        text_at(document, "error", "request_id"),
        *_held(reply.headers, _WAY_HEADERS),
    )
    names = (cleaned(candidate, most=128) for candidate in candidates)
    return next((name for name in names if name), None)


def _held(headers: Mapping[str, str], names: tuple[str, ...]) -> Iterator[str]:
    return (headers[name] for name in names if name in headers)


_MOST_DETAIL = 32_000
"""The longest prompt that a provider takes, and so the longest revised one."""
_PAGE = ("<!doctype", "<html", "<head", "<?xml")


def holds_a_page(document: Json) -> bool:
    """Return whether a document is a proxy's page, wrapped in JSON."""
    values = list(document.values())[:8] if isinstance(document, dict) else [document]
    return any(
        isinstance(value, str) and value[:200].lstrip("\ufeff \t\r\n").lower().startswith(_PAGE)
        for value in values
    )


def details_of(reply: Reply) -> dict[str, str]:
    """Return the facts about a picture worth keeping, where the answer has them."""
    document = reply.document
    found = {name: text_at(document, name) for name in ("quality", "size", "background", "model")}
    found["revised_prompt"] = text_at(document, "data", 0, "revised_prompt")
    found["model"] = found["model"] or text_at(document, "modelVersion")
    found["served_by"] = text_at(document, "provider") or reply.headers.get("x-provider-name", "")
    return {name: cleaned(value, most=_MOST_DETAIL) for name, value in found.items() if value}
