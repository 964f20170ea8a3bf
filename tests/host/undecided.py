"""An image plugin whose scenes end without a picture, by the code that each is named after."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from host_stub.contract import (
    Capabilities,
    Cost,
    Failure,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    SceneOutcome,
    Services,
    StageContext,
    StagePlan,
    StageSummary,
)
from host_stub.hookspecs import hookimpl


class Settings(BaseModel):
    """It has none."""


class Undecided:
    """Begins each scene and ends it."""

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Plan nothing."""
        free = Decimal(0)
        return StagePlan(make=len(request.scenes), cost_low_usd=free, cost_high_usd=free)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """End all scenes."""
        for scene in request.scenes:
            log = context.log.bind(scene_id=scene.scene_id, attempt=1)
            log.info("scene.started", queued_s=0.0)
            code: Any = scene.scene_id
            log.error("scene.failed", attempts=1, duration_s=0.1, code=code, message="it ended so")
            failure = Failure(code=code, message="it ended so", retryable=False)
            unknown = Cost(usd=None, basis="unknown")
            context.deliver(SceneOutcome(scene_id=scene.scene_id, failure=failure, cost=unknown))
        return StageSummary()


@asynccontextmanager
async def _open(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    del settings, services
    yield Undecided()


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """Describe it."""
    return ImagePlugin(
        name="undecided",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(reports_cost=True, plans=True, offline=True),
        open=_open,
    )
