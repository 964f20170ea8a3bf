"""What Replicate's models and xAI take: all that is composed fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import seed_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.models import takes_of
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.transport.bodies import body_of
from tests.fakes.inputs import REPLICATE, check_replicate, check_xai
from tests.fakes.test_requests import reference_to

Check = Callable[[str, Mapping[str, Any]], None]

ENDPOINTS: list[tuple[Endpoint, Check]] = [
    *((Endpoint(provider="replicate", model=model), check_replicate) for model in REPLICATE),
    (
        Endpoint(provider="replicate", model=f"black-forest-labs/flux-dev:{'0' * 64}"),
        check_replicate,
    ),
    (Endpoint(provider="xai", model="grok-imagine-image-2.0"), check_xai),
    (Endpoint(provider="xai", model="grok-imagine-image"), check_xai),
]
SIZES = [(64, 64), (1024, 1024), (1280, 704), (1536, 1024), (3840, 2160), (1000, 777), (300, 8000)]
TOKEN = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "endpoint, check", ENDPOINTS, ids=[f"{one.model[:40]}" for one, _ in ENDPOINTS]
)
def test_every_combination_has_the_models_shape(endpoint: Endpoint, check: Check) -> None:
    """Sizes, qualities, formats, backgrounds, seeds, tokens and references."""
    provider, one = provider_at(endpoint), reference_to("image/jpeg", "Mira", None)
    name = endpoint.model.partition(":")[0]
    takes = takes_of(endpoint.provider, name)
    most = takes.references.most if takes is not None and provider.profile.references else 0
    for size, quality, output_format, background, seed, count in product(
        SIZES,
        ("auto", "high"),
        ("png", "jpeg", "webp"),
        ("auto", "transparent"),
        (None, 7, 2**40),
        sorted({0, 1, most} if most else {0}),
    ):
        request = PictureRequest(
            scene_id="s1",
            prompt="a pier",
            negative_prompt="fog",
            width_px=size[0],
            height_px=size[1],
            quality=quality,
            output_format=output_format,
            background=background,
            seed=seed,
            token=TOKEN if seed is None else None,
            shown=(one,) * count,
        )
        send = provider.begin(request)
        document = json.loads(b"".join(body_of(send.payload)))

        check(urlsplit(send.url).path, document)
        given = document.get("input", document)
        if endpoint.provider == "replicate" and provider.profile.seed:
            assert given.get("seed") == {None: seed_of(TOKEN), 7: 7, 2**40: None}[seed]
        assert ("references" in send.dropped) is (count > max(most, 0))
