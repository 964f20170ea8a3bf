"""An image plugin that keeps what it made, as small as one can be: for tests of the host's takes.

It does what the contract asks of such a plugin, and no more: takes of a wish, pictures at their
places, a survey, pictures once more. Each picture costs five cents, is drawn in a colour that its
wish and its number come to, and is noted in ``.painter/`` beside the config.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from host_stub.contract import (
    Capabilities,
    Cost,
    Failure,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    KnownTake,
    Scene,
    SceneOutcome,
    SceneSurvey,
    Services,
    ShownPicture,
    StageContext,
    StagePlan,
    StageSummary,
    StaleReason,
)
from host_stub.hookspecs import hookimpl
from host_stub.plain_image import flat_png

PRICE = Decimal("0.05")
BEGIN = datetime(2026, 11, 26, tzinfo=UTC)
FREE = Cost(usd=Decimal(0), basis="free")
FAILS = "fails: "
"""A prompt that begins so goes on with how its scene ends."""
Wish = dict[str, Any]


class Settings(BaseModel):
    """What a config says of it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    model: str = "oil"
    size: str = "48x32"
    makes: str | None = None
    """Of which size its pictures come, if not as they are asked for."""
    is_broken: bool = False
    draws: bool = False


def open_painter(settings: Settings, services: Services) -> Any:
    """Open the stage."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[ImageStage]:
        if settings.is_broken:
            raise OSError("the painter is out")
        yield Painter(settings, services.project_dir / ".painter")

    return opened()


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """Describe it."""
    return ImagePlugin(
        name="painter",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(plans=True, resumes=True, reports_cost=True, offline=True),
        open=open_painter,
        draft_settings=lambda settings: settings.model_copy(update={"draws": True}),
    )


class Painter:
    """The stage."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._ledger = folder / "ledger.jsonl"

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Count what is missing, as far as that is known before anything is made."""
        missing = reused = 0
        for scene in request.scenes:
            wish = self._wish(scene, request)
            live = 0 if wish is None else len(self._live(scene, wish))
            wanted = self._wanted(scene, wish, request)
            missing += max(0, wanted - live)
            reused += min(wanted, live)
        cost = Decimal(0) if self._settings.draws else missing * PRICE
        return StagePlan(make=missing, reused=reused, cost_low_usd=cost, cost_high_usd=cost)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """Make what is missing, what others refer to first."""
        left = list(request.scenes)
        while left:
            able = [scene for scene in left if self._wish(scene, request) is not None]
            for scene in able:
                self._make(scene, request, context)
            left = [scene for scene in left if scene not in able]
            if not able:
                for scene in left:
                    failure = Failure(code="not_tried", message="nothing to show", retryable=True)
                    context.deliver(
                        SceneOutcome(scene_id=scene.scene_id, failure=failure, cost=FREE)
                    )
                break
        return StageSummary()

    async def survey(self, request: ImageRequest, tell: Callable[[SceneSurvey], None]) -> None:
        """Tell what there is of each scene."""
        for scene in request.scenes:
            wish = self._wish(scene, request)
            tell(
                SceneSurvey(
                    scene_id=scene.scene_id,
                    basis=None if wish is None else _digest(wish),
                    waits_for=() if wish is not None else tuple(_referred(scene)),
                    size=self._size(scene),
                    model=self._model,
                    takes=tuple(self._known(row, wish) for row in self._rows(scene.scene_id)),
                    cost_usd=Decimal(0) if self._settings.draws else PRICE,
                )
            )

    async def fetch(self, sha256: str, into: Path) -> bool:
        """Put a picture at ``into`` once more."""
        kept = self._folder / f"{sha256}.png"
        if not kept.is_file():
            return False
        into.write_bytes(kept.read_bytes())
        return True

    # ---------------------------------------------------------------------------------------------

    @property
    def _model(self) -> str:
        return "pencil" if self._settings.draws else self._settings.model

    def _size(self, scene: Scene) -> str:
        return self._settings.size if scene.width is None else f"{scene.width}x{scene.height}"

    def _make(self, scene: Scene, request: ImageRequest, context: StageContext) -> None:
        if scene.prompt.startswith(FAILS):
            self._fail(scene, scene.prompt.removeprefix(FAILS), context)
            return
        wish = self._wish(scene, request)
        assert wish is not None
        wanted = self._wanted(scene, wish, request)
        for number in range(1, wanted + 1):
            live = self._live(scene, wish)
            is_new = number > len(live)
            row = self._paint(scene, wish, len(live) + 1) if is_new else live[number - 1]
            data = (self._folder / f"{row['sha256']}.png").read_bytes()
            assert request.place is not None
            path = request.place(
                scene.scene_id, role="scene", sha256=row["sha256"], media_type="image/png"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                path.write_bytes(data)
            price = Decimal(row["cost_usd"])
            context.deliver(
                SceneOutcome(
                    scene_id=scene.scene_id,
                    image=path,
                    sha256=row["sha256"],
                    media_type="image/png",
                    width=row["width"],
                    height=row["height"],
                    generation_params={"prompt": scene.prompt, "model": row["wish"]["model"]},
                    attempts=int(is_new),
                    cost=Cost(usd=price, basis="flat") if is_new and price else FREE,
                    reused=not is_new,
                    take=number,
                    purchase=row["purchase"],
                    basis=_digest(wish),
                    made_at=None if is_new else datetime.fromisoformat(row["made_at"]),
                )
            )

    def _fail(self, scene: Scene, code: Any, context: StageContext) -> None:
        """End a scene without a picture, at a cost that nobody knows."""
        log = context.log.bind(scene_id=scene.scene_id, attempt=1)
        log.info("scene.started", queued_s=0.0)
        log.error("scene.failed", attempts=1, duration_s=0.1, code=code, message="it ended so")
        failure = Failure(code=code, message="it ended so", retryable=False)
        unknown = Cost(usd=None, basis="unknown")
        context.deliver(SceneOutcome(scene_id=scene.scene_id, failure=failure, cost=unknown))

    def _paint(self, scene: Scene, wish: Wish, number: int) -> Wish:
        self._folder.mkdir(exist_ok=True)
        size = self._settings.makes or wish["size"]
        width, height = map(int, size.split("x"))
        colour = hashlib.sha256(f"{_digest(wish)} {number}".encode()).digest()[:3]
        data = flat_png(width, height, colour)
        rows = len(list(self._rows()))
        row = {
            "purchase": f"p{rows + 1:04}",
            "scene": scene.scene_id,
            "wish": wish,
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": width,
            "height": height,
            "cost_usd": "0" if self._settings.draws else str(PRICE),
            "made_at": (BEGIN + timedelta(seconds=rows)).isoformat(),
        }
        (self._folder / f"{row['sha256']}.png").write_bytes(data)
        with self._ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return row

    def _rows(self, scene_id: str | None = None) -> Iterator[Wish]:
        if self._ledger.exists():
            for line in self._ledger.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                if scene_id in {None, row["scene"]}:
                    yield row

    def _live(self, scene: Scene, wish: Wish) -> list[Wish]:
        return [row for row in self._rows(scene.scene_id) if row["wish"] == wish]

    def _known(self, row: Wish, wish: Wish | None) -> KnownTake:
        names: tuple[StaleReason, ...] = ("prompt", "sheet", "size", "model")
        made = row["wish"]
        reasons: list[StaleReason] = [
            name for name in names if wish is None or made[name] != wish[name]
        ]
        price = Decimal(row["cost_usd"])
        return KnownTake(
            sha256=row["sha256"],
            media_type="image/png",
            width=row["width"],
            height=row["height"],
            purchase=row["purchase"],
            basis=_digest(row["wish"]),
            current=not reasons,
            stale=tuple(reasons) if wish is not None else ("sheet",),
            draft=row["wish"]["draft"],
            made_at=datetime.fromisoformat(row["made_at"]),
            cost=Cost(usd=price, basis="flat") if price else FREE,
            model=row["wish"]["model"],
            generation_params={"prompt": row["wish"]["prompt"]},
        )

    def _wanted(self, scene: Scene, wish: Wish | None, request: ImageRequest) -> int:
        said = () if request.wanted is None or wish is None else request.wanted(scene.scene_id)
        bound = [one.takes for one in said if wish is not None and one.basis == _digest(wish)]
        return max([scene.takes, *bound])

    def _wish(self, scene: Scene, request: ImageRequest) -> Wish | None:
        """Return what a scene would be made from; ``None`` while what it refers to is missing."""
        scenes = {one.scene_id: one for one in request.story or request.scenes}
        sheets: list[str] = []
        for one in [] if self._settings.draws else _referred(scene):
            shown = self._shown(scenes[one], request)
            if shown is None:
                return None
            sheets.append(shown)
        return {
            "prompt": scene.prompt,
            "sheet": sheets,
            "size": self._size(scene),
            "model": self._model,
            "draft": request.draft,
        }

    def _shown(self, other: Scene, request: ImageRequest) -> str | None:
        """Return the picture of another scene that one is shown, by its hash."""
        wish = self._wish(other, request)
        if wish is None:
            return None
        shown: ShownPicture | None = (
            None if request.shown is None else request.shown(other.scene_id)
        )
        if shown is not None and shown.basis == _digest(wish):
            return shown.sha256
        live = self._live(other, wish)
        return live[0]["sha256"] if live else None


def _referred(scene: Scene) -> list[str]:
    return [one.removeprefix("scene:") for one in scene.references if one.startswith("scene:")]


def _digest(wish: Wish) -> str:
    return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()
