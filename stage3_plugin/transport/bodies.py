"""The body of a request in pieces: JSON, and between it pictures out of shared buffers.

A body with fourteen references has sixty megabytes, and hundreds of them are on their way at once.
So only the JSON around the pictures is made anew for each; the pictures themselves are views of
what all requests share, and a body is never put together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from stage3_plugin.domain.exchange import InlinePictureOf, Send
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.transport.sinks import PIECE_BYTES

Base64Of: TypeAlias = Callable[[SentPicture], memoryview]
"""Returns the base64 of what is sent of a reference; all requests share it."""

_PLACE = "\ud800"
"""Stands for a picture while JSON is made: half of a surrogate pair, which no text can hold that is
sent."""


class Body:
    """What is sent, in the order of its pieces.

    Attributes:
        length: Its bytes.
    """

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._pieces = pieces
        self.length = sum(len(piece) for piece in pieces)

    def __iter__(self) -> Iterator[memoryview]:
        """Yield the body in pieces that a connection can take at once."""
        for piece in self._pieces:
            view = memoryview(piece)
            for start in range(0, len(view), PIECE_BYTES):
                yield view[start : start + PIECE_BYTES]


def no_pictures(_sent: SentPicture) -> memoryview:
    """Return no buffer, for requests that show no reference."""
    raise LookupError("there are no references here")


def body_of(send: Send, base64_of: Base64Of = no_pictures) -> Body:
    """Make the body of a request.

    Raises:
        ValueError: Something in it cannot be put into JSON.
        TypeError: Likewise.
        LookupError: A picture is not held.
    """
    pictures: list[SentPicture] = []

    def place(value: object) -> str:
        if not isinstance(value, InlinePictureOf):
            raise TypeError(f"{type(value).__name__} is not JSON")
        pictures.append(value.sent)
        return value.prefix + _PLACE

    text = json.dumps(send.payload, ensure_ascii=False, allow_nan=False, default=place)
    around = text.split(_PLACE) if text.count(_PLACE) == len(pictures) else [text]
    pieces: list[bytes | memoryview] = [around[0].encode()]
    for picture, behind in zip(pictures, around[1:], strict=True):
        pieces += [base64_of(picture), behind.encode()]
    return Body(pieces)
