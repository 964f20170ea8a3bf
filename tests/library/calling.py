"""Calls the library against the loopback API, with a dictionary as a program has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from host_stub.contract import SceneOutcome
from tests.fakes.image_api import KEY, ImageApi


def painter(api: ImageApi, /, **more: object) -> dict[str, object]:
    """Return settings of a provider that reports what it bills; 0.05 USD are held for a picture."""
    values: dict[str, object] = {
        "provider": "openrouter",
        "model": "a/painter",
        "base_url": api.base_url,
        "api_key": KEY,
        "size": "64x64",
        "price_usd": "0.05",
        "backoff_base_s": 0.01,
        "backoff_max_s": 0.02,
    }
    return values | more


def scenes(count: int) -> list[dict[str, Any]]:
    """Return scenes from ``s01`` on, whose prompts name them, so that the API can be scripted."""
    ids = [f"s{number:02}" for number in range(1, count + 1)]
    return [{"scene_id": one, "prompt": f"{one}: a harbour at dusk"} for one in ids]


def code(outcome: SceneOutcome) -> str:
    """Return how a scene ended, in one word."""
    if outcome.failure is not None:
        return outcome.failure.code
    return "reused" if outcome.reused else "made"


async def until(condition: Callable[[], object]) -> None:
    """Wait for another thread to come as far, at most a minute."""
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.005)
