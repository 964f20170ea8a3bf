"""A body in pieces is the JSON that it would be in one, and pictures are not copied into it."""

from __future__ import annotations

import base64
import hashlib
from typing import cast

from stage3_plugin.domain.exchange import InlinePictureOf, Send
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.transport.bodies import body_of
from stage3_plugin.transport.sinks import PIECE_BYTES


def sent(data: bytes) -> SentPicture:
    text = memoryview(base64.b64encode(data))
    return SentPicture(
        sha256=hashlib.sha256(data).hexdigest(),
        media_type="image/png",
        size_bytes=len(data),
        base64=lambda: text,
    )


def test_a_picture_is_had_in_slices_of_what_is_shared() -> None:
    """Two bodies that show it hold it once, and none of their pieces is large."""
    data = b"x" * 3 * PIECE_BYTES
    shown = sent(data)
    shared = cast("memoryview[int]", shown.base64())
    send = Send(url="http://a.test", payload={"image": InlinePictureOf(shown)})
    bodies = [body_of(send.payload) for _ in range(2)]

    for body in bodies:
        pieces = list(body)
        assert max(map(len, pieces)) <= PIECE_BYTES
        views = [piece for piece in pieces if isinstance(piece, memoryview)]
        assert sum(len(piece) for piece in views if piece.obj is shared.obj) == len(shared)
