"""A plugin that keeps every rule and declares nearly everything, so that each rule can be broken.

It is read as text: a mutant is this module with one thing replaced. It draws flat colours, sells
them for a cent, and keeps what it sold in ``.paragon``.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from host_stub.commands import CommandResult, PluginCommand
from host_stub.contract import (
    Capabilities,
    Cost,
    Failure,
    FailureCode,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    KnownTake,
    PlannedLane,
    PlannedLanes,
    Provider,
    Scene,
    SceneOutcome,
    SceneSurvey,
    Services,
    StageContext,
    StageError,
    StagePlan,
    StageSummary,
)
from host_stub.hookspecs import hookimpl
from host_stub.plain_image import flat_png

PRICE_USD = Decimal("0.01")
FREE = Cost(usd=Decimal(0), basis="free")


class Settings(BaseModel):
    """The table [plugin.paragon]."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    size: str = Field("64x64", pattern="^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}$", description="Pixels.")
    api_key: SecretStr | None = Field(None, description="A key that opens nothing.")
    capacity: int = Field(4, ge=1, le=64, description="At most so many at once.")
    draft: bool = Field(False, description="Draw for nothing.")


def add_arguments(parser: Any) -> None:
    """Take nothing."""


def count(options: Any, progress: Any) -> CommandResult:
    """Count to one."""
    return CommandResult(text="1", data={"count": 1})


@hookimpl
def host_commands() -> list[PluginCommand]:
    """Bring one command."""
    return [PluginCommand(name="count", summary="Count.", run=count, add_arguments=add_arguments)]


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """Describe the plugin."""
    return ImagePlugin(
        name="paragon",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(reports_cost=True, resumes=True, plans=True, offline=True),
        open=open_stage,
        draft_settings=draft_settings,
    )


def draft_settings(settings: Settings) -> BaseModel:
    """Return settings that draw for nothing."""
    return settings.model_copy(update={"draft": True})


@asynccontextmanager
async def open_stage(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    """Open the stage."""
    yield Stage(settings, services)


@dataclass(frozen=True)
class Job:
    """One take of a scene."""

    scene: Scene
    take: int
    basis: str


class Stage:
    """The opened plugin."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self.settings = settings
        self.kept = services.project_dir / ".paragon"
        self.warnings = ("every picture has one colour",)
        self.providers = (Provider(name="paragon", source="paragon 1.0", in_use=True),)
        self.spent = Decimal(0)

    def size_px(self, scene: Scene) -> tuple[int, int]:
        """Return the size of a scene's picture."""
        if scene.width is not None and scene.height is not None:
            return scene.width, scene.height
        width_px, height_px = map(int, self.settings.size.split("x"))
        return width_px, height_px

    def basis(self, scene: Scene) -> str:
        """Return what a scene's picture is made from."""
        made_from = (scene.scene_id, scene.prompt, self.size_px(scene))
        return hashlib.sha256(repr(made_from).encode()).hexdigest()

    def there(self, basis: str, take: int) -> Path:
        """Return where a take is kept."""
        return self.kept / basis / f"{take}.png"

    def jobs(self, request: ImageRequest) -> Iterator[Job]:
        """Yield what is wanted."""
        for scene in request.scenes:
            basis, takes = self.basis(scene), scene.takes
            for wanted in request.wanted(scene.scene_id) if request.wanted else ():
                if wanted.basis == basis:
                    takes = max(takes, wanted.takes)
            for take in range(1, takes + 1):
                yield Job(scene, take, basis)

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Plan what a run would make."""
        if request.lane == "batch":
            raise StageError("the paragon has no batch lane", starting=True)
        jobs = list(self.jobs(request))
        reused = sum(self.there(job.basis, job.take).is_file() for job in jobs)
        make = len(jobs) - reused
        cost = make * (Decimal(0) if self.settings.draft else PRICE_USD)
        plan = StagePlan(make=make, reused=reused, cost_low_usd=cost, cost_high_usd=cost)
        lane = PlannedLane(scenes=plan.make, cost_low_usd=cost, cost_high_usd=cost)
        return plan.model_copy(update={"lanes": PlannedLanes(ordinary=lane)})

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """Make what is not there."""
        jobs = self.jobs(request)
        scenes = len(request.scenes)
        context.log.info("stage.started", scenes=scenes)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(self.settings.capacity, context.max_in_flight)):
                    group.start_soon(self.work, jobs, request, context)
            left = [self.skip(job, context) for job in jobs]
        finally:
            context.log.info("stage.finished")
        if self.is_over(request):
            return StageSummary(stopped="budget", message=f"the cap of {request.max_cost_usd} USD")
        return StageSummary(
            stopped="not_tried" if left else None, message="stopped" if left else None
        )

    def is_over(self, request: ImageRequest) -> bool:
        """Return whether one more picture would go over the cap."""
        cap = request.max_cost_usd
        return cap is not None and not self.settings.draft and self.spent + PRICE_USD > cap

    async def work(self, jobs: Iterator[Job], request: ImageRequest, context: StageContext) -> None:
        """Make one take after the other."""
        while not context.stopping.is_set() and not self.is_over(request):
            job = next(jobs, None)
            if job is None:
                return
            if self.there(job.basis, job.take).is_file() and not request.draft:
                self.find(job, request, context)
            else:
                await self.make(job, request, context)

    def skip(self, job: Job, context: StageContext) -> Job:
        """Account for what was not started."""
        failure = Failure(code="not_tried", message="the run had stopped", retryable=True)
        context.log.warning("scene.skipped", scene_id=job.scene.scene_id, code=failure.code)
        scene_id = job.scene.scene_id
        context.deliver(SceneOutcome(scene_id=scene_id, take=job.take, failure=failure, cost=FREE))
        return job

    def find(self, job: Job, request: ImageRequest, context: StageContext) -> None:
        """Deliver what is there."""
        picture = self.there(job.basis, job.take).read_bytes()
        outcome = self.outcome(job, picture, request, FREE, reused=True, attempts=0)
        context.log.info("scene.reused", scene_id=job.scene.scene_id, take=job.take)
        context.deliver(outcome)

    async def make(self, job: Job, request: ImageRequest, context: StageContext) -> None:
        """Make one take, and deliver its outcome."""
        begun_s = anyio.current_time()
        price = Decimal(0) if self.settings.draft else PRICE_USD
        cost = FREE if self.settings.draft else Cost(usd=price, basis="flat")
        log = context.log.bind(scene_id=job.scene.scene_id, take=job.take, attempt=1)
        log.info("scene.started", queued_s=0.0)

        def end(outcome: SceneOutcome) -> None:
            took_s = anyio.current_time() - begun_s
            bound = log.bind(attempts=1, duration_s=took_s, cost_usd=str(outcome.cost.usd))
            if outcome.failure is None:
                bound.info("scene.finished", cost_basis=outcome.cost.basis)
            else:
                bound.error("scene.failed", cost_basis="free", code=outcome.failure.code)
            context.deliver(outcome.model_copy(update={"duration_s": took_s}))

        self.spent += price
        try:
            await anyio.sleep(0.002)
            picture = self.draw(job)
            end(self.outcome(job, picture, request, cost, reused=False, attempts=1))
        except OSError as error:
            end(self.failed(job, "storage", error.strerror or "the disk did not take it"))
        except anyio.get_cancelled_exc_class():
            end(self.failed(job, "cancelled", "the run was cancelled"))
            raise

    def failed(self, job: Job, code: FailureCode, message: str) -> SceneOutcome:
        """Return the outcome of a take without a picture."""
        failure = Failure(code=code, message=message, retryable=True)
        return SceneOutcome(
            scene_id=job.scene.scene_id, take=job.take, failure=failure, attempts=1, cost=FREE
        )

    def draw(self, job: Job) -> bytes:
        """Draw a take, and keep it."""
        width_px, height_px = self.size_px(job.scene)
        said = job.scene.prompt.encode(errors="surrogatepass")
        colour = hashlib.sha256(said + bytes([job.take])).digest()[:3]
        picture = flat_png(width_px, height_px, colour)
        if not self.settings.draft:
            write_whole(self.there(job.basis, job.take), picture)
        return picture

    def outcome(
        self,
        job: Job,
        picture: bytes,
        request: ImageRequest,
        cost: Cost,
        *,
        reused: bool,
        attempts: int,
    ) -> SceneOutcome:
        """Put a picture where it belongs, and return its outcome."""
        width_px, height_px = self.size_px(job.scene)
        sha256 = hashlib.sha256(picture).hexdigest()
        name = hashlib.sha256(job.scene.scene_id.encode()).hexdigest()[:24]
        path = request.out_dir / "images" / f"{name}-{job.take}.png"
        if request.place is not None:
            path = request.place(
                job.scene.scene_id, role="scene", sha256=sha256, media_type="image/png"
            )
        write_whole(path, picture)
        scene = job.scene
        wishes = {
            "seed": scene.seed,
            "negative_prompt": scene.negative_prompt,
            "references": scene.references or None,
        }
        return SceneOutcome(
            scene_id=scene.scene_id,
            take=job.take,
            image=path,
            sha256=sha256,
            media_type="image/png",
            width=width_px,
            height=height_px,
            generation_params={"model": "paragon", "prompt": scene.prompt},
            attempts=attempts,
            cost=cost,
            reused=reused,
            purchase=f"{job.basis}-{job.take}",
            basis=job.basis,
            dropped=tuple(name for name, wish in wishes.items() if wish is not None),
        )

    async def survey(self, request: ImageRequest, tell: Callable[[SceneSurvey], None]) -> None:
        """Tell what there is of each scene."""
        for scene in request.scenes:
            tell(self.surveyed(scene))

    def surveyed(self, scene: Scene) -> SceneSurvey:
        """Return what there is of a scene."""
        basis = self.basis(scene)
        width_px, height_px = self.size_px(scene)
        takes = [
            KnownTake(
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                media_type="image/png",
                width=width_px,
                height=height_px,
                purchase=f"{basis}-{path.stem}",
                basis=basis,
                current=True,
                cost=Cost(usd=PRICE_USD, basis="flat"),
            )
            for path in sorted((self.kept / basis).glob("*.png"))
        ]
        return SceneSurvey(
            scene_id=scene.scene_id, basis=basis, takes=tuple(takes), cost_usd=PRICE_USD
        )

    async def fetch(self, sha256: str, into: Path) -> bool:
        """Put a picture that was sold where it is wanted."""
        for path in sorted(self.kept.glob("*/*.png")):
            picture = path.read_bytes()
            if hashlib.sha256(picture).hexdigest() == sha256:
                write_whole(into, picture)
                return True
        return False


def write_whole(path: Path, picture: bytes) -> None:
    """Write a picture aside, and put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(picture)
    aside.replace(path)


Awaited = Awaitable[None]
