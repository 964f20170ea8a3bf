"""A body in pieces is the JSON that it would be in one, and pictures are not copied into it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.exchange import InlinePictureOf, Send
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.transport.bodies import Body, body_of
from stage3_plugin.transport.sinks import PIECE_BYTES

PREFIX = "data:image/png;base64,"


def sent(data: bytes) -> SentPicture:
    text = memoryview(base64.b64encode(data))
    return SentPicture(
        sha256=hashlib.sha256(data).hexdigest(),
        media_type="image/png",
        size_bytes=len(data),
        base64=lambda: text,
    )


def with_shown(payload: Mapping[str, Any], pictures: list[bytes]) -> tuple[Body, Any]:
    """Return the body, and the document that it should be."""
    urls = [InlinePictureOf(sent(one), PREFIX) for one in pictures]
    body = body_of({**payload, "images": urls})
    texts = [PREFIX + base64.b64encode(one).decode() for one in pictures]
    return body, {**payload, "images": texts}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    payload=st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=7), json_values),
    pictures=st.lists(st.binary(max_size=200), max_size=4),
)
def test_a_body_is_the_same_json_in_pieces(payload: dict[str, Any], pictures: list[bytes]) -> None:
    """Whatever stands around the pictures, and wherever in the order they are."""
    body, document = with_shown(payload, pictures)
    data = b"".join(body)

    assert data == json.dumps(document, ensure_ascii=False).encode()
    assert len(data) == body.length


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


@pytest.mark.parametrize("prompt", ["\ud800", "half of \udfff a pair"])
@pytest.mark.parametrize("pictures", [[], [b"one"], [b"one", b"two"]])
def test_half_a_pair_is_refused_and_takes_no_pictures_place(
    prompt: str, pictures: list[bytes]
) -> None:
    """No text can be sent that holds one, whichever half it is."""
    with pytest.raises(UnicodeEncodeError):
        with_shown({"prompt": prompt}, pictures)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        with_shown({"prompt": value}, [b"one"])


def test_a_picture_that_nobody_holds_is_refused() -> None:
    unheld = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=3)
    send = Send(url="http://a.test", payload={"image": InlinePictureOf(unheld)})

    with pytest.raises(LookupError):
        body_of(send.payload)
