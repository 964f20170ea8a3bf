"""The reference image plugin: one flat colour per scene, as a PNG written by hand.

No network, no cost, no library beyond the host's own. It is here to show that the contract is
enough to write a plugin against, to be swapped in with ``--image plain``, and as the control that
the conformance kit must find nothing wrong with; so it takes no short cut that an author should not
copy. Pictures are one bit deep with a palette of one colour, which makes any size cheap.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from host_stub.contract import (
    Capabilities,
    Cost,
    Failure,
    FailureCode,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    Scene,
    SceneOutcome,
    Services,
    StageContext,
    StagePlan,
    StageSummary,
)
from host_stub.hookspecs import hookimpl

MOST_WORKERS: Final = 8
"""More would only wait for each other: drawing holds one core."""

FREE: Final = Cost(usd=Decimal(0), basis="free")
_PLAIN_NAME: Final = re.compile(
    r"(?!(?:con|prn|aux|nul|com\d|lpt\d|scene-[0-9a-f]{16})$)[a-z0-9][a-z0-9_-]{0,63}"
)


class Settings(BaseModel):
    """The settings of the plain plugin."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    colour: Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")] | None = Field(
        None, description="`#rrggbb` for every picture; without it each prompt has its own."
    )
    size: Annotated[str, Field(pattern="^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}$")] = Field(
        "1024x1024",
        description="Width x height in pixels, for scenes that do not name their own.",
    )


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """Describe the plugin to the host."""
    return ImagePlugin(
        name="plain",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(reports_cost=True, plans=True, offline=True),
        open=_open,
    )


@asynccontextmanager
async def _open(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    """Open the stage; there is nothing to hold open."""
    del services
    yield PlainStage(settings)


class PlainStage:
    """Draws each scene in its colour, a few at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Tell that every scene will be drawn, for nothing."""
        free = Decimal(0)
        return StagePlan(make=len(request.scenes), cost_low_usd=free, cost_high_usd=free)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """Draw the scenes; after ``stopping`` the rest is delivered as not tried."""
        scenes = iter(request.scenes)
        capacity = max(1, min(context.max_in_flight, MOST_WORKERS, len(request.scenes)))
        context.log.info("stage.started", scenes=len(request.scenes), capacity=capacity)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(capacity):
                    group.start_soon(self._work, scenes, request, context)
            if not _skip(scenes, context):
                return StageSummary()
            return StageSummary(stopped="not_tried", message="stopped; run it again for the rest")
        finally:
            context.log.info("stage.finished")

    async def _work(
        self, scenes: Iterator[Scene], request: ImageRequest, context: StageContext
    ) -> None:
        """Take one scene after the other until there are none, or the run is to stop."""
        while not context.stopping.is_set():
            scene = next(scenes, None)
            if scene is None:
                return
            await self._make(scene, request, context)

    async def _make(self, scene: Scene, request: ImageRequest, context: StageContext) -> None:
        """Draw one scene and deliver its outcome, whatever happens."""
        started = anyio.current_time()

        def end(outcome: SceneOutcome) -> None:
            timed = outcome.model_copy(update={"duration_s": anyio.current_time() - started})
            _tell(timed, context)
            context.deliver(timed)

        context.log.info("scene.started", scene_id=scene.scene_id, attempt=1, queued_s=0.0)
        draw = partial(_draw, scene, self._settings, request.out_dir)
        try:
            end(await anyio.to_thread.run_sync(draw))
        except OSError as error:
            end(_failed(scene, "storage", error.strerror or type(error).__name__))
        except anyio.get_cancelled_exc_class():
            end(_failed(scene, "cancelled", "the run was cancelled"))
            raise


def _skip(scenes: Iterator[Scene], context: StageContext) -> int:
    """Deliver the scenes that are left as not tried; return how many there were."""
    failure = Failure(
        code="not_tried", message="the run was stopped before this scene", retryable=True
    )
    count = 0
    for scene in scenes:
        count += 1
        context.log.warning(
            "scene.skipped", scene_id=scene.scene_id, code=failure.code, message=failure.message
        )
        context.deliver(SceneOutcome(scene_id=scene.scene_id, failure=failure, cost=FREE))
    return count


def _failed(scene: Scene, code: FailureCode, message: str) -> SceneOutcome:
    failure = Failure(code=code, message=message, retryable=True)
    return SceneOutcome(scene_id=scene.scene_id, failure=failure, attempts=1, cost=FREE)


def _tell(outcome: SceneOutcome, context: StageContext) -> None:
    """Send the event that ends a scene."""
    log = context.log.bind(
        scene_id=outcome.scene_id,
        attempt=1,
        attempts=1,
        duration_s=round(outcome.duration_s, 6),
        cost_usd="0",
        cost_basis="free",
    )
    if outcome.failure is None:
        log.info("scene.finished", sha256=outcome.sha256)
    else:
        log.error("scene.failed", code=outcome.failure.code, message=outcome.failure.message)


def _draw(scene: Scene, settings: Settings, out_dir: Path) -> SceneOutcome:
    """Write the picture of one scene; called in a thread."""
    width_px, height_px = map(int, settings.size.split("x"))
    if scene.width is not None and scene.height is not None:
        width_px, height_px = scene.width, scene.height
    colour = settings.colour or "#" + hashlib.sha256(_bytes(scene.prompt)).hexdigest()[:6]
    picture = flat_png(width_px, height_px, bytes.fromhex(colour[1:]))
    path = out_dir / "images" / f"{_stem(scene.scene_id)}.png"
    _write_whole(path, picture)
    wishes = {
        "negative_prompt": scene.negative_prompt,
        "seed": scene.seed,
        "references": scene.references,
    }
    return SceneOutcome(
        scene_id=scene.scene_id,
        image=path,
        sha256=hashlib.sha256(picture).hexdigest(),
        media_type="image/png",
        width=width_px,
        height=height_px,
        generation_params={
            "model": "plain",
            "size": f"{width_px}x{height_px}",
            "colour": colour,
            "prompt": scene.prompt,
        },
        attempts=1,
        cost=FREE,
        dropped=tuple(name for name, wish in wishes.items() if wish not in (None, "", ())),
    )


def flat_png(width_px: int, height_px: int, colour: bytes) -> bytes:
    """Make a PNG of one colour.

    Args:
        width_px: At least 1.
        height_px: At least 1.
        colour: Red, green and blue, one byte each.
    """
    row = bytes(1 + (width_px + 7) // 8)  # filter type 0, then palette index 0 in every bit
    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(row) for _ in range(height_px)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colour), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stem(scene_id: str) -> str:
    """Name a scene's file; no two ids meet, and none leads out of the folder."""
    if _PLAIN_NAME.fullmatch(scene_id):
        return scene_id
    return f"scene-{hashlib.sha256(_bytes(scene_id)).hexdigest()[:16]}"


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # JSON may hold half of a surrogate pair


def _write_whole(path: Path, content: bytes) -> None:
    """Write aside, then rename: a picture is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
