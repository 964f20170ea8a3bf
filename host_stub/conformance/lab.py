"""The kit's own host: opens a stage, runs it, records what comes, and judges nothing.

Every check gets a lab of its own, with an empty project folder. What the plugin raises ends up in
the record, so that an exception which leaves a check is the check's fault, or says that a rule is
broken (:class:`host_stub.conformance.verdict.Broken`).
"""

from __future__ import annotations

import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import anyio
from pydantic import BaseModel, ValidationError
from structlog.typing import EventDict, FilteringBoundLogger

from host_stub.config.plugin_settings import validate
from host_stub.config.secrets import ResolvedTable
from host_stub.conformance.behaviours import Behaviour
from host_stub.conformance.case import Backend, Case
from host_stub.conformance.cases import CaseRefused
from host_stub.conformance.recorded import Delivered, Heard, Recorded, Watching
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import (
    Capabilities,
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
from host_stub.errors import HostError, in_one_line
from host_stub.events.schema import PREFIXES, EventRefused, checked
from host_stub.events.stream import logger_to, stamped
from host_stub.plugins.loading import LoadedPlugin

Answer = TypeVar("Answer")

LOOK_EVERY_S: Final = 0.005
"""How often a run in work is looked at by whoever waits for something in it."""
_OF_A_BACKEND: Final = ("settings", "secrets", "behave", "calls", "billed", "connections")
_SMALL: Final = ("64x48", "48x64")


class Scenes:
    """Scenes of a request; counts how often they are gone through."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = tuple(scenes)
        self.passes = 0

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Scene]:
        self.passes += 1
        return iter(self._scenes)


@dataclass(frozen=True, slots=True)
class Watches:
    """What a run is given, and who looks at it meanwhile."""

    max_in_flight: int = 8
    stop: Watching | None = None
    cancel: Watching | None = None
    during: Watching | None = None
    on_delivery: Callable[[SceneOutcome], None] | None = None

    @property
    def is_needed(self) -> bool:
        return not (self.stop is None and self.cancel is None and self.during is None)


@dataclass(slots=True)
class Lab:
    """What one check tries a plugin with.

    Attributes:
        loaded: The plugin's hooks.
        plugin: Its description.
        case: What its author brought; an empty one without.
        has_case: Whether the author brought one.
        folder: An empty folder; ``project``, ``elsewhere`` and others are made in it.
        backend: The author's backend, if there is one and the check needs it.
        loop: The event loop, as anyio names it.
        before: What belongs to all of the process, before the plugin was imported.
        printed_before: How many bytes had been printed by then.
        stage_capabilities: What the opened stage says that it can do, where it says so.
    """

    loaded: LoadedPlugin
    plugin: ImagePlugin
    case: Case
    has_case: bool
    folder: Path
    backend: Backend | None = None
    loop: str = "asyncio"
    before: Mapping[str, object] = field(default_factory=dict[str, object])
    printed_before: int = 0
    stage_capabilities: Capabilities | None = None
    _runs: int = field(default=0)

    # What there is to work with -----------------------------------------------------------------

    @property
    def project(self) -> Path:
        """The folder of the config, where the plugin may keep what the case says it keeps."""
        path = self.folder / "project"
        path.mkdir(parents=True, exist_ok=True)  # whatever a plugin has removed
        return path

    @property
    def out(self) -> Path:
        """The folder of results."""
        return self.project / "out"

    @property
    def service(self) -> Backend:
        """The backend of a check that needs one."""
        if self.backend is None:
            raise NotShown("the case brings no backend")
        return self.backend

    @property
    def capabilities(self) -> Capabilities:
        """What the plugin says it can do: the opened stage's word, if it has one."""
        return self.stage_capabilities or self.plugin.capabilities

    def table(self, **further: object) -> dict[str, Any]:
        """Return the config table: the case's, what leads to its backend, and what is given."""
        leads = {} if self.backend is None else dict(self.backend.settings)
        return {**self.case.settings, **leads, **further}

    def settings(self, table: Mapping[str, Any] | None = None) -> BaseModel:
        """Validate a config table as the host does.

        Raises:
            Broken: The plugin refuses its case's settings.
        """
        try:
            return self.validated(self.table() if table is None else table)
        except HostError as error:
            raise Broken(f"its settings are refused: {error}") from None

    def validated(self, table: Mapping[str, Any]) -> BaseModel:
        """Validate a config table as the host does.

        Raises:
            HostError: The plugin refuses it.
        """
        secrets = () if self.backend is None else tuple(self.backend.secrets)
        name, source = self.loaded.name, self.loaded.source
        return validate(
            self.plugin.settings,
            ResolvedTable(dict(table), secrets=secrets),
            plugin=name,
            source=source,
        )

    def scenes(self, count: int = 3, /, *, first: int = 1, **wishes: object) -> list[Scene]:
        """Make scenes, each with its id in its prompt; ``wishes`` are further fields of each."""
        return [self.scene(number, **wishes) for number in range(first, first + count)]

    def scene(self, number: int = 1, /, **wishes: object) -> Scene:
        """Make one scene, with its id in its prompt between colons, and the case's first size."""
        name = f"scene-{number:02}"
        said: dict[str, object] = {
            "scene_id": name,
            "prompt": f":{name}: a lighthouse at dusk, seen from the sea",
        }
        if self.case.sizes:
            said["width"], said["height"] = map(int, self.case.sizes[0].split("x"))
        return Scene.model_validate({**said, **wishes})

    @property
    def sizes(self) -> tuple[str, ...]:
        """Sizes that can be asked for; two or more where the plugin has them."""
        return self.case.sizes or self.capabilities.sizes or _SMALL

    def tell(self, scene: Scene | str, *script: Behaviour) -> None:
        """Have the backend answer the next requests for a scene so.

        Raises:
            NotShown: The case says that its service has no such answer.
        """
        for behaviour in script:
            why = self.case.cannot.get(type(behaviour).__name__)
            if why is not None:
                raise NotShown(f"the case's backend has no {type(behaviour).__name__}: {why}")
        self.service.behave(scene if isinstance(scene, str) else scene.scene_id, *script)

    def request(
        self,
        scenes: Iterable[Scene],
        *,
        out: Path | None = None,
        **further: Any,
    ) -> ImageRequest:
        """Make a request for scenes; ``further`` are fields of an ``ImageRequest``."""
        self._runs += 1
        source = Scenes(tuple(scenes))
        return ImageRequest(
            run_id=f"conform-{self._runs}",
            scenes=source,
            story=source,
            out_dir=out or self.out,
            scenes_dir=self.project,
            **further,
        )

    def services(self, *, out: Path | None = None) -> Services:
        """Make what a plugin may use of the host's."""
        return Services(
            project_dir=self.project,
            now=lambda: datetime.now(UTC),
            out_dir=out or self.out,
            secrets=() if self.backend is None else tuple(self.backend.secrets),
        )

    # Running ------------------------------------------------------------------------------------

    def run(
        self,
        scenes: Iterable[Scene],
        *,
        max_in_flight: int = 8,
        stop_when: Watching | None = None,
        cancel_when: Watching | None = None,
        table: Mapping[str, Any] | None = None,
        settings: BaseModel | None = None,
        out: Path | None = None,
        during: Watching | None = None,
        on_delivery: Callable[[SceneOutcome], None] | None = None,
        **further: Any,
    ) -> Recorded:
        """Open a stage, run these scenes, close it, and return what was seen; never raises.

        Args:
            scenes: What to make.
            max_in_flight: The ceiling that the plugin is given.
            stop_when: Sets ``stopping`` as soon as it says so; it is looked at all the time.
            cancel_when: Likewise cancels ``run``.
            table: The config table, instead of the case's.
            settings: Validated settings, instead of a table.
            out: The folder of results, instead of the project's.
            during: Called as often, whatever it returns; for watching.
            on_delivery: Called with each outcome while the plugin delivers it.
            further: Fields of the ``ImageRequest``.
        """
        recorded = Recorded()
        request = self.request(scenes, out=out, **further)
        chosen = self.settings(table) if settings is None else settings
        watching = Watches(max_in_flight, stop_when, cancel_when, during, on_delivery)

        async def whole() -> None:
            try:
                with anyio.move_on_after(self.case.patience_s) as patience:
                    await self.session(recorded, request, chosen, watching)
                recorded.is_hung = patience.cancelled_caught
            finally:
                recorded.ended_s = recorded.ended_s or time.monotonic()

        try:
            anyio.run(whole, backend=self.loop)
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            recorded.closing = recorded.closing or error
        return recorded

    def ask(
        self,
        question: Callable[[ImageStage], Awaitable[Answer]],
        *,
        table: Mapping[str, Any] | None = None,
        settings: BaseModel | None = None,
    ) -> Answer:
        """Open a stage, ask it something, close it, and return the answer.

        Raises:
            Broken: Opening, closing, or the question raised, or did not end.
        """
        answers: list[Answer] = []
        chosen = self.settings(table) if settings is None else settings

        async def whole() -> None:
            with anyio.move_on_after(self.case.patience_s) as patience:
                async with self.plugin.open(chosen, self.services()) as stage:
                    self._look_at(stage)
                    answers.append(await question(stage))
            if patience.cancelled_caught:
                raise Broken(f"no answer came within {self.case.patience_s:g} s")

        try:
            anyio.run(whole, backend=self.loop)
        except (Broken, NotShown):
            raise
        except BaseException as error:
            when = "closing" if answers else "opening it, or its answer,"
            raise Broken(f"{when} raised {in_one_line(error)}") from error
        return answers[0]

    def plan(self, scenes: Iterable[Scene], **further: Any) -> StagePlan:
        """Return the plan for scenes.

        Raises:
            Broken: There is none, or it is not a ``StagePlan``.
        """
        request = self.request(scenes, **further)

        async def question(stage: ImageStage) -> object:
            return await stage.plan(request)

        found: object = self.ask(question)
        if isinstance(found, StagePlan):
            return found
        raise Broken(f"plan returned {type(found).__name__}, not StagePlan")

    def together(self, first: Iterable[Scene], second: Iterable[Scene]) -> list[Recorded]:
        """Open two stages, run each with scenes of its own while both are open, close both.

        Raises:
            Broken: Opening or closing them raised, or they did not end.
        """
        runs = [(Recorded(), self.request(scenes)) for scenes in (first, second)]

        async def question(stage: ImageStage) -> None:
            async with (
                self.plugin.open(self.settings(), self.services()) as other,
                anyio.create_task_group() as group,
            ):
                for (recorded, request), one in zip(runs, (stage, other), strict=True):
                    context = self._context(recorded, request.run_id, max_in_flight=8)
                    group.start_soon(_run, one, request, context, recorded)

        self.ask(question)
        return [recorded for recorded, _ in runs]

    def _context(
        self,
        recorded: Recorded,
        run_id: str,
        *,
        max_in_flight: int,
        on_delivery: Callable[[SceneOutcome], None] | None = None,
    ) -> StageContext:
        recorded.begun_s = time.monotonic()
        return StageContext(
            log=_logger(recorded, run_id, self.loaded.name),
            max_in_flight=max_in_flight,
            stopping=anyio.Event(),
            deliver=_taker(recorded, on_delivery),
        )

    def _look_at(self, stage: object) -> None:
        own: Any = getattr(stage, "capabilities", None)
        if isinstance(own, Capabilities):
            self.stage_capabilities = own

    async def session(
        self,
        recorded: Recorded,
        request: ImageRequest,
        settings: BaseModel,
        watching: Watches | None = None,
    ) -> None:
        """Open a stage, run a request and close it, in a loop of the check's own."""
        watching = watching or Watches()
        is_open = is_over = False
        try:
            async with self.plugin.open(settings, self.services(out=request.out_dir)) as stage:
                is_open = True
                self._look_at(stage)
                context = self._context(
                    recorded,
                    request.run_id,
                    max_in_flight=watching.max_in_flight,
                    on_delivery=watching.on_delivery,
                )
                async with _watched(recorded, context, watching):
                    await _run(stage, request, context, recorded)
                is_over = True
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            if is_over:
                recorded.closing = error
            elif is_open:
                recorded.raised = recorded.raised or error
            else:
                recorded.opening = error

    # What checks have in common -----------------------------------------------------------------

    def well(self, recorded: Recorded) -> Recorded:
        """Return a run that ended, whatever became of its scenes.

        Raises:
            Broken: It did not.
        """
        if recorded.trouble is not None:
            behind = recorded.opening or recorded.raised or recorded.closing
            raise Broken(recorded.trouble) from behind
        return recorded

    def made(self, scenes: Sequence[Scene], **how: Any) -> Recorded:
        """Run scenes, and return the run if each of them has a picture.

        Raises:
            Broken: One has none.
        """
        recorded = self.well(self.run(scenes, **how))
        if recorded.failures:
            raise Broken(f"nothing was in the way, and yet {recorded.failures}")
        missing = [scene.scene_id for scene in scenes if not recorded.of(scene.scene_id)]
        if missing:
            raise Broken(f"no outcome came for {', '.join(missing)}")
        return recorded


async def _run(
    stage: ImageStage, request: ImageRequest, context: StageContext, recorded: Recorded
) -> None:
    try:
        summary = await cast("Awaitable[object]", stage.run(request, context))
    except anyio.get_cancelled_exc_class():
        recorded.was_cancelled = True
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        recorded.raised = error
    else:
        recorded.returned = True
        if isinstance(summary, StageSummary):
            recorded.summary = summary
    finally:
        recorded.ended_s = time.monotonic()


@asynccontextmanager
async def _watched(
    recorded: Recorded, context: StageContext, watching: Watches
) -> AsyncGenerator[None]:
    """Look at a run while it is in work, and stop or cancel it when its moment has come."""
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:

            def stop_now() -> None:
                if watching.stop is None or context.stopping.is_set():
                    return
                if watching.stop(recorded):
                    recorded.stopped_s = time.monotonic()
                    context.stopping.set()

            async def watch() -> None:
                while True:
                    if watching.during is not None:
                        watching.during(recorded)
                    stop_now()
                    if watching.cancel is not None and watching.cancel(recorded):
                        recorded.stopped_s = time.monotonic()
                        scope.cancel()
                        return
                    await anyio.sleep(LOOK_EVERY_S)

            if watching.is_needed:
                stop_now()  # what is to be stopped from the start must not have begun
                group.start_soon(watch)
            yield
        group.cancel_scope.cancel()


def _logger(recorded: Recorded, run_id: str, plugin: str) -> FilteringBoundLogger:
    """Make the logger for the plugin: all it logs is kept, with what is wrong with it."""

    def take(fields: EventDict) -> None:
        event = stamped(fields, now=datetime.now(UTC), run_id=run_id, plugin=plugin)
        problems: tuple[str, ...] = ()
        if event["event"].startswith(PREFIXES):
            try:
                event = checked(event)
            except EventRefused as refused:
                problems = refused.problems
        recorded.heard.append(Heard(event, time.monotonic(), problems))

    return logger_to(take)


def _taker(
    recorded: Recorded, on_delivery: Callable[[SceneOutcome], None] | None
) -> Callable[[SceneOutcome], None]:
    """Make what takes outcomes: one that is none is noted, and harms no other."""

    def deliver(outcome: SceneOutcome) -> None:
        now = time.monotonic()
        if not isinstance(outcome, SceneOutcome):  # pyright: ignore[reportUnnecessaryIsInstance]  # plugins need not be typed
            recorded.malformed.append(f"{type(outcome).__name__} was delivered, not SceneOutcome")
            return
        try:  # one that was made without validation, or copied with a wrong value, may be anything
            same = SceneOutcome.model_validate(outcome.model_dump(warnings=False))
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)
            faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
            recorded.malformed.append(f"an outcome is not as the contract has it: {faults}")
            return
        except Exception as error:  # noqa: BLE001 - nothing need be as its type says
            recorded.malformed.append(f"an outcome cannot be read: {in_one_line(error)}")
            return
        recorded.delivered.append(Delivered(same, now))
        if on_delivery is not None:
            on_delivery(same)

    return deliver


@contextmanager
def at_work(case: Case, *, needed: bool) -> Generator[Backend | None]:
    """Start a case's backend if it is needed, and stop it on leaving.

    Raises:
        CaseRefused: It is no backend.
    """
    if not needed or case.backend is None:
        yield None
        return
    with case.backend() as backend:
        lacking = [name for name in _OF_A_BACKEND if not hasattr(backend, name)]
        if lacking:
            names = ", ".join(lacking)
            raise CaseRefused(f"the case's backend lacks {names}: see docs/testing-a-plugin.md")
        yield backend


def usd(amount: Decimal | None) -> str:
    """Write an amount for people."""
    return "an unknown amount" if amount is None else f"{amount} USD"


__all__ = ["Lab", "Scenes", "at_work", "usd"]
