"""How references stand in a request: a bare array, or parts of a message.

Apart from the providers because each of the two ways belongs to several. A bare array has the names
of its pictures in front of the prompt, parts have each name before its picture; the prompt itself
comes last, as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from stage3_plugin.domain.exchange import InlinePictureOf
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest, labelled, labels_of

Part = TypeVar("Part")
_IN_WORDS = ("prompt", "input", "text", "content", "messages", "parts", "contents")
"""Where the prompt of a request stands, or what it is in."""


def data_url(sent: SentPicture) -> InlinePictureOf:
    """Return a picture as a data URL."""
    return InlinePictureOf(sent, f"data:{sent.media_type};base64,")


def named_first(prompt: str, request: PictureRequest) -> str:
    """Return a prompt behind the names of the pictures that are sent beside it."""
    labels = labels_of(request)
    return prompt if labels is None else f"{labels}\n\n{prompt}"


def as_parts(
    prompt: str,
    request: PictureRequest,
    *,
    text: Callable[[str], Part],
    picture: Callable[[SentPicture], Part],
) -> list[Part]:
    """Return the parts of a message: each picture behind its name, and then the prompt."""
    parts = list[Part]()
    for reference, label in labelled(request):
        if label:
            parts.append(text(label))
        parts.append(picture(reference.sent))
    return [*parts, text(prompt)]


def prompt_in(sent: object) -> str:
    """Return the prompt of a request as it is sent; of several parts it is the last text."""
    if isinstance(sent, str):
        return sent
    places: list[object] = []
    if isinstance(sent, Mapping):
        named = cast("Mapping[str, object]", sent)
        places = [named[name] for name in _IN_WORDS if name in named]
    elif isinstance(sent, list):
        places = cast("list[object]", sent)[::-1]
    found = (prompt_in(place) for place in places)
    return next((one for one in found if one), "")
