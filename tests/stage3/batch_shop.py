"""Buys in batches from the loopback server's vendors, whose books say what that came to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import pytest

from stage3_plugin.settings import Settings
from stage3_plugin.testing.batch_plans import Batched
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.image_api import ImageApi
from tests.doors import settings_for

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what an event loop has no part in."""
AT_ONCE = Batched(polls=0)
LATER = Batched(polls=10_000)
LOOKS_S = (0.0, 0.01)
"""Seconds at which a run looks at what it has just made, where a test waits for nothing."""


def priced(api: ImageApi) -> ImageApi:
    """Let a vendor bill by our table, and have its batches ended at the first look."""
    api.bill = by_the_table
    api.batches.plan = AT_ONCE
    return api


def shop(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings of OpenAI's batches, with a listing that is whole."""
    fixed = {"lane": "batch", "size": "1024x1024", "quality": "low", "drain_s": 0.05}
    return settings_for(api, **(fixed | {"listing_is_whole": True} | more))


def gemini(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings of Gemini's."""
    there = {"provider": "gemini", "model": "gemini-3.1-flash-image", "base_url": api.root_url}
    return shop(api, **(there | {"quality": "medium"} | more))


class HasEnded(Protocol):
    """What a run left behind."""

    outcomes: Any

    def code(self, scene_id: str) -> str: ...


def codes(ran: HasEnded) -> Counter[str]:
    """Count how scenes ended."""
    return Counter(ran.code(scene_id) for scene_id in ran.outcomes)


def left_in_spool(folder: Path) -> list[str]:
    """Name what has not been tidied."""
    spool = folder / ".stage3" / "spool"
    return sorted(path.name for path in spool.iterdir()) if spool.is_dir() else []


def sizes(api: ImageApi) -> list[int]:
    """Return how many lines each batch has, in the order in which they were begun."""
    return [len(batch.lines) for batch in api.batches.all]


def billed_microusd(api: ImageApi) -> int:
    """Return what all lines come to."""
    return int(api.batches.billed_usd * 1_000_000)
