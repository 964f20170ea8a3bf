"""The model plugin: keeps every rule of the contract that needs a service, in few words.

The kit's own subject. Its service is ``model_service.py``; a mutant is this text with a line of it
changed, so what the rules need stands here once and plainly.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import anyio
from pydantic import BaseModel, ConfigDict, Field, SecretStr

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
from tests.kit.model_service import PRICE_USD, SERVICES, Answer, ConnectionCut, Service

FREE = Cost(usd=Decimal(0), basis="free")
UNKNOWN = Cost(usd=None, basis="unknown")
FAILURES: Mapping[tuple[int, str], tuple[FailureCode, str]] = {
    (200, "endless"): ("unreadable", "the answer is larger than any picture"),
    (200, "page"): ("unreadable", "the answer is no answer of this service"),
    (400, "policy"): ("refused", ""),
    (400, "wrong"): ("rejected", ""),
    (401, ""): ("credentials", "the service does not take the key"),
    (402, ""): ("out_of_money", ""),
}
"""Answers that would come again: code, and words, if not the service's own."""
STOPPING: frozenset[FailureCode] = frozenset({"credentials", "out_of_money"})


class Settings(BaseModel):
    """The table [plugin.model]."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    service: Annotated[str, Field(min_length=1, description="Which service is asked.")]
    key: Annotated[SecretStr, Field(description="Its key.")]
    capacity: Annotated[int, Field(ge=1, description="At most so many scenes at once.")] = 4
    attempts: Annotated[int, Field(ge=1, description="At most so many requests for a scene.")] = 3
    wait_s: Annotated[float, Field(ge=0, description="Seconds between two of them.")] = 1.0
    timeout_s: Annotated[float, Field(gt=0, description="Seconds for a request.")] = 60.0
    size: Annotated[str, Field(pattern=r"^\d+x\d+$", description="WIDTHxHEIGHT.")] = "32x32"


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """Describe the plugin."""
    return ImagePlugin(
        name="model",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(reports_cost=True, retries=True, resumes=True, plans=True),
        open=open_stage,
    )


@asynccontextmanager
async def open_stage(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    """Open a connection, which all scenes share."""
    service = SERVICES[settings.service]
    async with service.connection():
        yield Stage(settings, service, Kept(services.project_dir / ".model"))


class Kept:
    """What earlier runs bought: pictures by what was asked for, and what may have been bought."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def name(self, scene: Scene, take: int, size_px: tuple[int, int]) -> str:
        said = json.dumps([scene.scene_id, scene.prompt, take, size_px])
        return hashlib.sha256(said.encode()).hexdigest()  # in ASCII: half a pair is harmless

    def picture(self, name: str) -> bytes | None:
        path = self.folder / f"{name}.png"
        return path.read_bytes() if path.is_file() else None

    def is_in_doubt(self, name: str) -> bool:
        return (self.folder / f"{name}.unknown").exists()

    def keep(self, name: str, content: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        put(self.folder / f"{name}.png", content)

    def doubt(self, name: str) -> None:
        self.folder.mkdir(exist_ok=True)
        put(self.folder / f"{name}.unknown", b"")


class Failed(Exception):
    """A scene ends without a picture."""

    def __init__(self, code: FailureCode, message: str, *, is_known: bool = True) -> None:
        self.failure = Failure(code=code, message=message, retryable=code == "unavailable")
        self.is_known = is_known
        super().__init__(message)


class Work:
    """One scene, or one more take of it, in one run."""

    def __init__(self, scene: Scene, take: int, context: StageContext) -> None:
        self.scene = scene
        self.take = take
        self.deliver = context.deliver
        self.log = context.log.bind(scene_id=scene.scene_id, take=take)
        self.begun_at = anyio.current_time()
        self.attempts = 0
        self.spent = Decimal(0)
        self.is_known = True

    @property
    def cost(self) -> Cost:
        return Cost(usd=self.spent, basis="reported") if self.is_known else UNKNOWN

    def say_start(self) -> None:
        self.log.info("scene.started", attempt=self.attempts + 1, queued_s=0.0)

    def end(self, **what: Any) -> None:
        """Say how it ended, and deliver that."""
        took_s = anyio.current_time() - self.begun_at
        outcome = SceneOutcome(
            scene_id=self.scene.scene_id,
            take=self.take,
            attempts=self.attempts,
            duration_s=took_s,
            cost=self.cost,
            **what,
        )
        log = self.log.bind(attempt=self.attempts, attempts=self.attempts, duration_s=took_s)
        log = log.bind(cost_usd=outcome.cost.usd, cost_basis=outcome.cost.basis)
        if outcome.failure is None:
            log.info("scene.finished", sha256=outcome.sha256)
        else:
            log.error("scene.failed", code=outcome.failure.code, message=outcome.failure.message)
        self.deliver(outcome)

    def skip(self, code: FailureCode, message: str) -> None:
        """Account for one that was not started."""
        failure = Failure(code=code, message=message, retryable=True)
        self.log.warning("scene.skipped", code=code, message=message)
        self.deliver(
            SceneOutcome(scene_id=self.scene.scene_id, take=self.take, failure=failure, cost=FREE)
        )


class Stage:
    """The opened plugin."""

    def __init__(self, settings: Settings, service: Service, kept: Kept) -> None:
        self.settings = settings
        self.service = service
        self.kept = kept

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Return what ``run`` would do."""
        wanted = self.wanted(request)
        names = [self.kept.name(scene, take, self.size_of(scene)) for scene, take in wanted]
        reused = sum(self.kept.picture(name) is not None for name in names)
        held = sum(self.kept.is_in_doubt(name) for name in names)
        make = len(names) - reused - held
        high = make * PRICE_USD
        refused = 0
        if request.max_cost_usd is not None and high > request.max_cost_usd:
            fits = int(request.max_cost_usd / PRICE_USD)
            make, refused, high = fits, make - fits, fits * PRICE_USD
        return StagePlan(
            make=make,
            reused=reused,
            held=held,
            refused=refused,
            cost_low_usd=high,
            cost_high_usd=high,
        )

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """Make the pictures."""
        run = Run(self, request, context)
        context.log.info("stage.started", scenes=len(request.scenes))
        try:
            return await run.whole()
        finally:
            context.log.info("stage.finished")

    def wanted(self, request: ImageRequest) -> Iterator[tuple[Scene, int]]:
        """Yield each picture that is wanted: its scene, and which of its takes it is."""
        for scene in request.scenes:
            basis = self.kept.name(scene, 0, self.size_of(scene))
            also = () if request.wanted is None else request.wanted(scene.scene_id)
            most = max([scene.takes, *(one.takes for one in also if one.basis == basis)])
            yield from ((scene, take) for take in range(1, most + 1))

    def size_of(self, scene: Scene) -> tuple[int, int]:
        if scene.width is not None and scene.height is not None:
            return scene.width, scene.height
        width_px, height_px = map(int, self.settings.size.split("x"))
        return width_px, height_px


class Run:
    """One run."""

    def __init__(self, stage: Stage, request: ImageRequest, context: StageContext) -> None:
        self.stage = stage
        self.settings = stage.settings
        self.request = request
        self.context = context
        self.cap = request.max_cost_usd
        self.committed = Decimal(0)
        self.stopped: FailureCode | None = None
        self.why = ""
        self.left: Iterator[tuple[Scene, int]] = stage.wanted(request)

    async def whole(self) -> StageSummary:
        at_once = min(self.settings.capacity, self.context.max_in_flight)
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(self.work)
        left = [Work(scene, take, self.context) for scene, take in self.left]
        for work in left:
            work.skip("not_tried", self.why or "the run was stopped")
        if self.stopped is None and left:
            self.stopped, self.why = "not_tried", "the run was stopped; run it again for the rest"
        return StageSummary(stopped=self.stopped, message=self.why or None)

    async def work(self) -> None:
        """Take one scene after the other."""
        while self.stopped is None and not self.context.stopping.is_set():
            scene, take = next(self.left, (None, 0))
            if scene is None:
                return
            await self.one(Work(scene, take, self.context))

    async def one(self, work: Work) -> None:
        """Make one scene; its failure is a value."""
        size_px = self.stage.size_of(work.scene)
        name = self.stage.kept.name(work.scene, work.take, size_px)
        kept = self.stage.kept.picture(name)
        if kept is not None:
            self.reuse(work, name, kept)
            return
        if self.stage.kept.is_in_doubt(name):
            work.skip("unknown", "an earlier request for it may have been billed")
            return
        if not self.fits():
            work.skip("budget", self.why)
            return
        try:
            content = await self.buy(work, size_px)
        except Failed as failed:
            if not failed.is_known:
                work.is_known = False
                self.stage.kept.doubt(name)
            if failed.failure.code in STOPPING:
                self.stopped, self.why = failed.failure.code, failed.failure.message
            work.end(failure=failed.failure)
        except anyio.get_cancelled_exc_class():
            work.is_known = False
            work.end(failure=Failure(code="cancelled", message="it was cut off", retryable=True))
            raise
        else:
            self.stage.kept.keep(name, content)
            work.end(**self.put_picture(work, name, content))

    def fits(self) -> bool:
        """Hold the price of one more picture under the cap, if it fits."""
        if self.cap is not None and self.committed + PRICE_USD > self.cap:
            self.stopped = "budget"
            self.why = f"the cap of {self.cap} USD for this run is reached"
            self.context.log.warning(
                "budget.reached", scope="run", limit_usd=self.cap, committed_usd=self.committed
            )
            return False
        self.committed += PRICE_USD
        return True

    def reuse(self, work: Work, name: str, content: bytes) -> None:
        """Deliver what an earlier run bought."""
        found = self.put_picture(work, name, content)
        work.log.info("scene.reused", sha256=found["sha256"])
        work.deliver(
            SceneOutcome(
                scene_id=work.scene.scene_id, take=work.take, reused=True, cost=FREE, **found
            )
        )

    async def buy(self, work: Work, size_px: tuple[int, int]) -> bytes:
        """Ask for a picture until there is one or no more to be hoped for."""
        while True:
            work.say_start()
            work.attempts += 1
            answer = await self.ask(work, size_px)
            work.spent += answer.billed_usd
            if answer.status == 200 and not answer.kind:
                return readable(answer.picture)
            if answer.status in {429, 503}:
                code: FailureCode = "rate_limited" if answer.status == 429 else "unavailable"
            else:
                code, words = FAILURES[answer.status, answer.kind]
                raise Failed(code, words or answer.words)
            wait_s = max(self.settings.wait_s, answer.wait_s or 0.0)
            if work.attempts >= self.settings.attempts:
                raise Failed(code, answer.words)
            work.log.warning(
                "scene.retried",
                attempt=work.attempts,
                cause=code,
                wait_s=wait_s,
                cost_usd=Decimal(0),
                cost_basis="free",
            )
            await anyio.sleep(wait_s)
            if self.context.stopping.is_set():
                raise Failed(code, answer.words)

    async def ask(self, work: Work, size_px: tuple[int, int]) -> Answer:
        """Send one request, and return its answer."""
        key = self.settings.key.get_secret_value()
        try:
            with anyio.fail_after(self.settings.timeout_s):
                return await self.stage.service.paint(work.scene.prompt, key, size_px)
        except (TimeoutError, ConnectionCut):
            raise Failed("unknown", "no whole answer came", is_known=False) from None

    def put_picture(self, work: Work, name: str, content: bytes) -> dict[str, Any]:
        """Put a picture where the host wants it, and return what there is to say of it."""
        from PIL import Image

        sha256 = hashlib.sha256(content).hexdigest()
        scene_id = work.scene.scene_id
        if self.request.place is None:
            path = self.request.out_dir / "images" / f"{name[:16]}.png"
        else:
            path = self.request.place(scene_id, role="scene", sha256=sha256, media_type="image/png")
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, content)
        with Image.open(io.BytesIO(content)) as picture:
            width_px, height_px = picture.size
        wishes = {
            "seed": work.scene.seed,
            "negative_prompt": work.scene.negative_prompt,
            "references": work.scene.references,
            "model": work.scene.model,
            "quality": work.scene.quality,
        }
        return {
            "image": path,
            "sha256": sha256,
            "media_type": "image/png",
            "width": width_px,
            "height": height_px,
            "generation_params": {"model": "model", "prompt": work.scene.prompt},
            "dropped": tuple(name for name, wish in wishes.items() if wish not in {None, "", ()}),
            "purchase": name,
            "basis": self.stage.kept.name(work.scene, 0, self.stage.size_of(work.scene)),
        }


def readable(content: bytes | None) -> bytes:
    """Return a picture that was looked through to its end.

    Raises:
        Failed: There is none, or it is none.
    """
    from PIL import Image

    if content is None:
        raise Failed("no_picture", "an answer without a picture")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError):
        raise Failed("unreadable", "the picture cannot be read") from None
    return content


def put(path: Path, content: bytes) -> None:
    """Put a file in its place, whole or not at all."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(content)
    aside.replace(path)
