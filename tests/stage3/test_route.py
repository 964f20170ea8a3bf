"""A route's four properties, each for itself: no two of them are one flag."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

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


def route(settings: Settings = PAID, /, *, is_here: bool = False, **properties: Any) -> Route:
    """Return a route that makes nothing."""
    return replace(route_of(settings, None, is_here=is_here), **properties)


def limiter_at(one: Route, settings: Settings = PAID) -> object:
    return limiter_of(one, settings, 4, draw=lambda: 0.5)


def wish() -> PictureRequest:
    return PictureRequest(scene_id="a", prompt="a harbour", width_px=64, height_px=64)


@pytest.mark.parametrize("others", [{}, {"is_free": True, "may_be_cut": True}])
def test_only_what_is_uncapped_is_not_limited(others: dict[str, Any]) -> None:
    """What is free may still be turned away, and what is here may have a limit."""
    paced = PAID.model_copy(update={"requests_per_minute": 60, "adaptive": False})

    assert isinstance(limiter_at(route(**others)), AdaptiveLimiter)
    assert isinstance(limiter_at(route(is_here=True, **others)), AdaptiveLimiter)
    assert isinstance(limiter_at(route(is_uncapped=True, **others)), Limiter)
    assert isinstance(limiter_at(route(**others), paced), Limiter)


def test_only_what_is_made_here_has_no_address_in_its_keys() -> None:
    """What is free and far away is another picture where it is made somewhere else."""
    elsewhere = PAID.model_copy(update={"base_url": "http://two.example/v1"})
    far = [
        scene_keys(
            wish(), route(settings, is_free=True, is_uncapped=True, may_be_cut=True)
        ).scene_key
        for settings in (PAID, elsewhere)
    ]
    here = [
        scene_keys(wish(), route(settings, is_here=True)).scene_key
        for settings in (PAID, elsewhere)
    ]

    assert far[0] != far[1]
    assert here[0] == here[1]


@pytest.mark.anyio
async def test_the_storyboard_renderer_is_all_four_and_a_provider_none(tmp_path: Path) -> None:
    """Today's are at the two ends, and nothing but what opens them says so."""
    async with open_stage(Settings(), tmp_path) as drawn, open_stage(PAID, tmp_path) as bought:
        (renderer,), (provider,) = drawn.routes, bought.routes

    four = ("is_free", "is_here", "is_uncapped", "may_be_cut")
    assert [getattr(renderer, name) for name in four] == [True] * 4
    assert [getattr(provider, name) for name in four] == [False] * 4
    assert (renderer.needs_prompt, provider.needs_prompt) == (False, True)
