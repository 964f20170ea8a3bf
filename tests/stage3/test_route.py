"""What is made here, and what is bought far away."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.backend import route_of
from stage3_plugin.engine.build import open_stage
from stage3_plugin.engine.scene import limiter_of
from stage3_plugin.policy.capacity import AdaptiveLimiter, Limiter
from stage3_plugin.settings import Settings

PAID = Settings(provider="openai", model="m", base_url="http://one.example/v1", capacity=4)


def route(settings: Settings = PAID, /, *, is_here: bool = False) -> Route:
    """Return a route that makes nothing."""
    return route_of(settings, None, is_here=is_here)


def limiter_at(one: Route, settings: Settings = PAID) -> object:
    return limiter_of(one, settings, 4, draw=lambda: 0.5)


def wish() -> PictureRequest:
    return PictureRequest(scene_id="a", prompt="a harbour", width_px=64, height_px=64)


def test_only_what_is_made_here_is_not_limited() -> None:
    """What is asked for far away may be turned away; what is made here waits for places alone."""
    paced = PAID.model_copy(update={"requests_per_minute": 60, "adaptive": False})

    assert isinstance(limiter_at(route()), AdaptiveLimiter)
    assert type(limiter_at(route(is_here=True))) is Limiter
    assert type(limiter_at(route(), paced)) is Limiter


def test_only_what_is_made_here_has_no_address_in_its_keys() -> None:
    """What is far away is another picture where it is made somewhere else."""
    elsewhere = PAID.model_copy(update={"base_url": "http://two.example/v1"})
    far = [scene_keys(wish(), route(settings)).scene_key for settings in (PAID, elsewhere)]
    here = [
        scene_keys(wish(), route(settings, is_here=True)).scene_key
        for settings in (PAID, elsewhere)
    ]

    assert far[0] != far[1]
    assert here[0] == here[1]


@pytest.mark.anyio
async def test_the_storyboard_renderer_is_here_and_a_provider_is_not(tmp_path: Path) -> None:
    """Nothing but what opens them says so."""
    async with open_stage(Settings(), tmp_path) as drawn, open_stage(PAID, tmp_path) as bought:
        (renderer,), (provider,) = drawn.routes, bought.routes

    assert (renderer.is_here, provider.is_here) == (True, False)
    assert renderer.list_price(wish()).high_microusd == 0
