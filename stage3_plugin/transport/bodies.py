"""The body of a request in pieces: JSON, and between it pictures out of shared buffers.

A body with fourteen references has sixty megabytes, and hundreds of them are on their way at once.
So only the JSON around the pictures is made anew for each; the pictures themselves are slices of
what all requests share, and a body is never put together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stage3_plugin.domain.exchange import InlinePictureOf, Payload
from stage3_plugin.domain.reference import SentPicture, Sliced
from stage3_plugin.transport.sinks import PIECE_BYTES

_END_OF_LINE = "\n"
_ENDS_A_LINE = re.compile("[\x85\u2028\u2029]")
"""What JSON leaves as it is, and some readers of files take for the end of a line."""

_PLACE = "\ud800"
"""Stands for a picture while JSON is made: half of a surrogate pair, which no text can hold that is
sent."""


class Body:
    """What is sent, in the order of its pieces.

    Attributes:
        length: Its bytes.
    """

    def __init__(self, pieces: Sequence[Sliced]) -> None:
        self._pieces = pieces
        self.length = sum(len(piece) for piece in pieces)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return small(self._pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file that is handed over.

    Attributes:
        size_bytes: Of all of it.
        pieces: Begins to yield it, anew each time; its first piece is asked for once the connection
            is made.
    """

    size_bytes: int
    pieces: Callable[[], Iterable[Sliced]]


def small(pieces: Iterable[Sliced]) -> Iterator[bytes | memoryview]:
    """Yield pieces that a connection can take at once."""
    for piece in pieces:
        for start in range(0, len(piece), PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]


def body_of(payload: Mapping[str, Payload], *, is_line: bool = False) -> Body:
    """Make the body of a request, or a line of a file of JSON, its end included.

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

    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, default=place)
    if is_line:
        text = _ENDS_A_LINE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + _END_OF_LINE
    around = text.split(_PLACE) if text.count(_PLACE) == len(pictures) else [text]
    pieces: list[Sliced] = [around[0].encode()]
    for picture, behind in zip(pictures, around[1:], strict=True):
        pieces += [picture.base64(), behind.encode()]
    return Body(pieces)
