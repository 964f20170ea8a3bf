"""The vendors' request shapes: all that our providers compose fits, and what does not is seen."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.reference import MediaType, Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest, labelled
from stage3_plugin.providers.models import Takes, takes_of
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.transport.bodies import body_of
from tests.fakes import shapes
from tests.fakes.inputs import check_replicate, check_xai
from tests.fakes.pngs import make_png
from tests.fakes.requests import Refusing, check, shown_in
from tests.fakes.wire import Asked, prompt_of

ENDPOINTS = [
    Endpoint(provider="openai", model="gpt-image-1.5"),
    Endpoint(provider="openai", model="gpt-image-2"),
    Endpoint(provider="openai", model="gpt-image-2.5-flare"),
    Endpoint(provider="openai", model="gpt-image-2.6-sunburst"),
    *(
        Endpoint(provider="openrouter", api=api, model=model)
        for api in ("images", "chat")
        for model in ("openai/gpt-image-2.5-flare", "google/gemini-nano-banana-2.1", "x/painter")
    ),
    *(
        Endpoint(provider="gemini", model=model)
        for model in (
            "gemini-2.5-flash-image", "gemini-3.1-flash-lite-image", "gemini-3.1-flash-image",
            "gemini-3-pro-image", "gemini-nano-banana-2.1",
        )
    ),
    *(
        Endpoint(provider="fal", model=model)
        for model in (
            "fal-ai/flux-2/turbo", "fal-ai/nano-banana-2", "openai/gpt-image-2",
            "openai/gpt-image-2.5/flare/text-to-image", "blackforestlabs/flux-3/text-to-image",
            "xai/grok-imagine-image/v2.0/text-to-image",
        )
    ),
    *(
        Endpoint(provider="bfl", model=model)
        for model in ("flux-2-pro", "flux-kontext-pro", "flux-3-image")
    ),
]  # fmt: skip
FREE_SIZES = [
    (64, 64), (1024, 1024), (1536, 1024), (1280, 720), (3840, 2160), (2160, 3840), (3072, 1024),
]  # fmt: skip
FOUR_MEGAPIXELS = [size for size in FREE_SIZES if size[0] * size[1] <= 4 * 1024**2]
THREE_SIZES = [(1024, 1024), (1536, 1024), (1024, 1536)]


PICTURES: Mapping[MediaType, bytes] = {
    "image/png": make_png("Mira", 16, 16),
    "image/jpeg": b"\xff\xd8\xff\xe0 a likeness",
    "image/webp": b"RIFF\0\0\0\0WEBP a likeness",
}


def reference_to(media_type: MediaType, name: str | None, role: str | None) -> Reference:
    """Return a reference to one of the pictures."""
    data = PICTURES[media_type]
    sha256 = hashlib.sha256(data).hexdigest()
    sent = SentPicture(
        sha256=sha256,
        media_type=media_type,
        size_bytes=len(data),
        base64=lambda: memoryview(base64.b64encode(data)),
    )
    return Reference(
        wish=ReferenceWish(image="refs/one", name=name, role=role), sha256=sha256, sent=sent
    )


def sizes_of(endpoint: Endpoint, takes: Takes) -> list[tuple[int, int]]:
    """Return sizes that can be asked for there."""
    if takes.sizes:
        return THREE_SIZES
    return FOUR_MEGAPIXELS if endpoint.provider == "bfl" else FREE_SIZES


@st.composite
def requests(draw: st.DrawFn, endpoint: Endpoint) -> PictureRequest:
    """Draw what can be asked for there; sizes are any where there are no pixels."""
    takes = takes_of(endpoint.provider, endpoint.model)
    assert takes is not None
    sizes = st.sampled_from(sizes_of(endpoint, takes))
    if takes.free_sizes is None and not takes.sizes:
        sizes |= st.tuples(st.integers(16, 8192), st.integers(16, 8192))
    width_px, height_px = draw(sizes)
    output_format = draw(st.sampled_from(["png", "jpeg", "webp"]))
    backgrounds = ["auto", "opaque", *(["transparent"] if output_format != "jpeg" else [])]
    return PictureRequest(
        scene_id="scene_001",
        prompt=draw(st.sampled_from(["a lighthouse", "灯塔", '"\\', "x" * 20_000])),
        negative_prompt=draw(st.none() | st.just("fog")),
        width_px=width_px,
        height_px=height_px,
        quality=draw(st.sampled_from(takes.qualities or ("auto", "low", "medium", "high"))),
        output_format=output_format,
        background=draw(st.sampled_from(backgrounds)),
        seed=draw(st.none() | st.integers(0, 2**64)),
        references=draw(st.sampled_from([(), ("refs/one",)])),
        shown=tuple(draw(st.lists(references, max_size=takes.references.most))),
        labels=draw(st.booleans()),
    )


names = st.none() | st.sampled_from(["Mira", '"', "two\nlines", "灯塔"])
references = st.builds(reference_to, st.sampled_from(sorted(PICTURES)), names, names)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.model} {one.api}")
@given(data=st.data())
def test_whatever_is_composed_has_the_vendors_shape(
    endpoint: Endpoint, data: st.DataObject
) -> None:
    """Every size, quality, format, seed, negative prompt and reference that can be asked for.

    References arrive in their order, with what they are called before them, and the prompt as it is
    in the file at the end; without references there is nothing before it.
    """
    request = data.draw(requests(endpoint))
    send = provider_at(endpoint).begin(request)
    asked = arriving(send)
    document = asked.document

    check(asked.path, document)
    assert Refusing()(asked) is None
    arrived = [(one.media_type, one.sha256) for one in shown_in(asked)]
    assert arrived == [(one.sent.media_type, one.sha256) for one in request.shown]
    assert ("references" in send.dropped) is (bool(request.references) and not request.shown)
    expected = request.whole_prompt
    said = [label for _, label in labelled(request) if label]
    words, _, prompt = prompt_of(document).rpartition(expected)
    assert (words.split(), prompt) == (" ".join(said).split(), "")


def arriving(send: Send) -> Asked:
    """Return what the vendor gets."""
    path = urlsplit(send.url).path.replace("/api/v1", "/v1")
    return asking(path, json.loads(b"".join(body_of(send.payload))))


def asking(path: str, document: dict[str, Any]) -> Asked:
    return Asked(
        number=1,
        method="POST",
        path=path,
        headers={"content-length": str(len(json.dumps(document)))},
        document=document,
        prompt=prompt_of(document),
        in_flight=1,
    )


BODIES: Mapping[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("bodies.json").read_text(encoding="utf-8")
)
"""Plain bodies, and what is wrong with each of the others."""
CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], None]] = {
    "path": check,
    "replicate": check_replicate,
    "xai": check_xai,
}
TOO_LONG = {
    "by": "path",
    "path": shapes.OPENAI,
    "document": {"model": "gpt-image-2", "prompt": "x" * 32_001},
}


@pytest.mark.parametrize("row", [*BODIES["refused"], TOO_LONG], ids=lambda row: row["path"])
def test_what_a_vendor_would_not_take_is_seen(row: dict[str, Any]) -> None:
    """Fields of others, values of others, and nothing where something must be."""
    with pytest.raises((ValueError, AssertionError)):
        CHECKS[row["by"]](row["path"], row["document"])


@pytest.mark.parametrize("row", BODIES["taken"], ids=lambda row: row["path"])
def test_a_plain_request_is_taken(row: dict[str, Any]) -> None:
    CHECKS[row["by"]](row["path"], row["document"])
