"""The two plugins whose pictures cost nothing to make, and a story of any length for them.

With :func:`idle_plugin` every scene gets one picture that lies there already: what is left is the
host. With :func:`idle_stage3` Stage3's own stage runs, ledger, store and copies included, and only
the drawing is left out.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from host_stub.contract import (
    Capabilities,
    Cost,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    PlaceFor,
    Scene,
    SceneOutcome,
    SceneSurvey,
    Services,
    StageContext,
    StagePlan,
    StageSummary,
)
from host_stub.plain_image import flat_png
from host_stub.plugins.selection import SelectedPlugin
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.hooks import host_image_plugin
from stage3_plugin.renderers import previz
from stage3_plugin.settings import Settings as Stage3Settings

WORKERS = 16
PICTURE = flat_png(8, 8, b"\x10\x20\x30")
SHA256 = hashlib.sha256(PICTURE).hexdigest()
SECRETS = ("sk-benchmark-0123456789abcdef",)
"""A key is there in every real run, and looking for it is part of the host's work."""
FREE = Cost(usd=Decimal(0), basis="free")


class Settings(BaseModel):
    """The renderer that does nothing has nothing to set."""


class Idle:
    """Delivers one picture, which lies there already, for every scene."""

    async def plan(self, request: ImageRequest) -> StagePlan:
        free = Decimal(0)
        return StagePlan(make=len(request.scenes), cost_low_usd=free, cost_high_usd=free)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        assert request.place is not None, "the host says where pictures go"
        scenes = iter(request.scenes)
        async with anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(self._work, scenes, request.place, context)
        return StageSummary()

    async def survey(self, request: ImageRequest, tell: Callable[[SceneSurvey], None]) -> None:
        for scene in request.scenes:
            tell(SceneSurvey(scene_id=scene.scene_id, basis="idle", size="8x8"))

    async def fetch(self, sha256: str, into: Path) -> bool:
        del sha256, into
        return False

    async def _work(self, scenes: Iterator[Scene], place: PlaceFor, context: StageContext) -> None:
        for scene in scenes:
            picture = place(scene.scene_id, role="scene", sha256=SHA256, media_type="image/png")
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(PICTURE)
            begun = time.monotonic()
            context.log.info("scene.started", scene_id=scene.scene_id, attempt=1, queued_s=0.0)
            await anyio.lowlevel.checkpoint()
            took_s = round(time.monotonic() - begun, 6)
            context.log.info(
                "scene.finished",
                scene_id=scene.scene_id,
                attempt=1,
                attempts=1,
                duration_s=took_s,
                cost_usd="0",
                cost_basis="free",
                sha256=SHA256,
            )
            context.deliver(_outcome(scene, picture, took_s))


def _outcome(scene: Scene, picture: Path, took_s: float) -> SceneOutcome:
    return SceneOutcome(
        scene_id=scene.scene_id,
        image=picture,
        sha256=SHA256,
        media_type="image/png",
        width=8,
        height=8,
        generation_params={"model": "idle", "size": "8x8", "prompt": scene.prompt},
        attempts=1,
        duration_s=took_s,
        cost=FREE,
        purchase=scene.scene_id,
        basis="idle",
    )


@asynccontextmanager
async def _opened(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    yield Idle()


@contextmanager
def idle_plugin(folder: Path) -> Generator[SelectedPlugin]:
    """Return the renderer as the host selects it."""
    yield SelectedPlugin(
        name="idle",
        source="idle 1.0",
        description=ImagePlugin(
            name="idle",
            contract=(1, 0),
            settings=Settings,
            capabilities=Capabilities(offline=True),
            open=_opened,
        ),
        settings=Settings(),
        services=Services(project_dir=folder, now=lambda: datetime.now(UTC)),
        secrets=SECRETS,
    )


class Blank(previz.Previz):
    """Stands in for previz: takes the same calls, and draws one small picture for all."""

    def unmet(self, request: PictureRequest) -> tuple[str, ...]:
        """Honour every wish alike."""
        del request
        return ()

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """Go through the story once, as previz does."""
        for _ in story:
            pass

    def edition(self, request: PictureRequest) -> str:
        """Draw everything alike."""
        del request
        return "1"

    async def render(self, request: PictureRequest, path: Path) -> None:
        """Write the picture."""
        del request
        await anyio.lowlevel.checkpoint()
        path.write_bytes(PICTURE)


@contextmanager
def idle_stage3(folder: Path) -> Generator[SelectedPlugin]:
    """Return Stage3 with a renderer that does nothing."""
    with patch.object(previz, "Previz", Blank):
        yield SelectedPlugin(
            name="stage3",
            source="stage3 with a blank renderer",
            description=host_image_plugin(),
            settings=Stage3Settings(capacity=WORKERS),
            services=Services(project_dir=folder, now=lambda: datetime.now(UTC)),
            secrets=SECRETS,
        )


def write_scenes(path: Path, count: int) -> Path:
    """Write a JSON Lines file whose scenes are as long as real ones."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            entry = {
                "scene_id": f"scene_{number:06d}",
                "image_prompt": f"Medium shot {number} of a woman in a red coat in a library at "
                "night, tea on the table, warm light from a lamp, rain on the windows",
                "negative_prompt": "blurry, text",
                "characters_in_scene": ["anna"],
            }
            file.write(json.dumps(entry) + "\n")
    return path
