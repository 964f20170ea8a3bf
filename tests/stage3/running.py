"""Runs a whole stage against the loopback API, for the tests that start from settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio

from host_stub.contract import (
    ImageRequest,
    Lane,
    PlaceFor,
    SceneSource,
    ShownPicture,
    WantedTakes,
)
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import RunBlocking
from tests.doors import Ran, Story, context_of, request, story

__all__ = ["Ran", "Story", "asking", "costing", "run_stage", "story"]


def asking(scenes: SceneSource, folder: Path = Path("nowhere"), **more: Any) -> ImageRequest:
    """Ask for a story whose pictures go below ``folder``."""
    return request(scenes, folder, **more)


def costing(
    microusd: int, least_microusd: int | None = None
) -> Callable[[PictureRequest], Estimate]:
    """Return what expects the same cost of every picture."""
    low = microusd if least_microusd is None else least_microusd
    estimate = Estimate(low_microusd=low, high_microusd=microusd)
    return lambda _request: estimate


async def run_stage(
    settings: Settings,
    scenes: Story,
    folder: Path,
    *,
    into: Ran | None = None,
    blocking: RunBlocking | None = None,
    stopping: anyio.Event | None = None,
    max_cost_usd: Decimal | None = None,
    deadline_s: float | None = None,
    scenes_dir: Path | None = None,
    whole_story: Story | None = None,
    place: PlaceFor | None = None,
    shown: Callable[[str], ShownPicture | None] | None = None,
    wanted: Callable[[str], Sequence[WantedTakes]] | None = None,
    is_draft: bool = False,
    lane: Lane | None = None,
    **opening: Any,
) -> Ran:
    """Open the stage, run the story into ``folder``, and return what came of it.

    ``opening`` goes to :func:`~stage3_plugin.engine.build.open_stage`.
    """
    ran = into or Ran()
    asked = asking(
        scenes,
        folder,
        max_cost_usd=max_cost_usd,
        deadline_s=deadline_s,
        scenes_dir=scenes_dir,
        story=whole_story,
        place=place,
        shown=shown,
        wanted=wanted,
        draft=is_draft,
        lane=lane,
    )
    async with open_stage(settings, folder, blocking=blocking, **opening) as stage:
        ran.ending = await stage.run(asked, context_of(ran, stopping))
    return ran
