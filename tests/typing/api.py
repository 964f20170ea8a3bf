"""The public types, as callers and authors use them. Checked by mypy and pyright, never executed.

A line that stops type-checking here would stop type-checking for somebody else.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

from pydantic import BaseModel

import host_stub.plain_image
import stage3_plugin.hooks
from host_stub.commands import CommandResult, PluginCommand, Progress
from host_stub.contract import (
    CONTRACT,
    Capabilities,
    Cost,
    Event,
    Failure,
    FailureCode,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    RunInfo,
    Scene,
    SceneOutcome,
    SceneSource,
    Services,
    StageContext,
    StageError,
    StagePlan,
    StageSummary,
)
from host_stub.errors import ConfigError, HostError, PluginError
from host_stub.hookspecs import CommandsHook, EventHook, ImagePluginHook, RunHook, hookimpl
from stage3_plugin import (
    ScenesFailed,
    Stage2Output,
    Stage3Error,
    Stage3ImageGenerationService,
    Stage3Output,
)
from stage3_plugin.executors.base import Executor
from stage3_plugin.executors.replicas import Processes
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.providers.openrouter import OpenRouter
from stage3_plugin.renderers.base import LocalRenderer
from stage3_plugin.renderers.previz import Previz

# What is shipped keeps the hooks' types -----------------------------------------------------------

_stage3: ImagePluginHook = stage3_plugin.hooks.host_image_plugin
_plain: ImagePluginHook = host_stub.plain_image.host_image_plugin


# A plugin of another author -----------------------------------------------------------------------


class AuthorsSettings(BaseModel):
    """Any model will do."""

    colour: str = "#446688"


class AuthorsStage:
    """Implements the protocol without inheriting it."""

    async def plan(self, request: ImageRequest) -> StagePlan:
        assert_type(request.scenes, SceneSource)
        return StagePlan(make=len(request.scenes), cost_low_usd=None, cost_high_usd=None)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        for scene in request.scenes:
            assert_type(scene, Scene)
            assert_type(scene.width, int | None)
            assert_type(scene.references, tuple[str, ...])
            assert_type(scene.extra, dict[str, Any])
            context.log.info("scene.started", scene_id=scene.scene_id, queued_s=0.0)
            code: FailureCode = "not_tried"
            failure = Failure(code=code, message="no", retryable=False)
            cost = Cost(usd=Decimal(0), basis="free")
            context.deliver(SceneOutcome(scene_id=scene.scene_id, failure=failure, cost=cost))
        if context.stopping.is_set():
            raise StageError("cannot go on", hint="try again", starting=False)
        return StageSummary()


@asynccontextmanager
async def open_stage(settings: AuthorsSettings, services: Services) -> AsyncGenerator[ImageStage]:
    """Open it, with the settings as their own type."""
    assert_type(services.project_dir, Path)
    yield AuthorsStage()


_stage: ImageStage = AuthorsStage()
_open: Callable[[Any, Services], AbstractAsyncContextManager[ImageStage]] = open_stage


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """The marker keeps the function's type."""
    return ImagePlugin(
        name="authors",
        contract=(1, 0),
        settings=AuthorsSettings,
        capabilities=Capabilities(offline=True),
        open=open_stage,
    )


@hookimpl
def host_event(event: Event) -> None:
    """An event is a mapping."""
    assert_type(event["event"], Any)


@hookimpl
def host_run(run: RunInfo) -> None:
    """A run has a state out of two."""
    if run.state == "started":
        assert_type(run.out_dir, Path)


_authors: ImagePluginHook = host_image_plugin


@hookimpl
def host_commands() -> list[PluginCommand]:
    """A command is a function from options to a result."""

    def ring(options: Namespace, progress: Progress) -> CommandResult:
        progress("ringing")
        return CommandResult(text="ding", data={"ding": options.times})

    return [PluginCommand(name="ring", summary="Ring it.", run=ring)]


_brings: CommandsHook = host_commands
_hears: EventHook = host_event
_told: RunHook = host_run


# What a checker has to refuse; an ignore that is not needed is an error of its own ----------------


def misses_the_description() -> str:
    """Not an image plugin's hook."""
    return "stage3"


async def is_asynchronous() -> ImagePlugin:
    """Not one either: pluggy would take the coroutine for the answer."""
    return host_image_plugin()


_wrong: ImagePluginHook = misses_the_description  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # returns no description
_async: ImagePluginHook = is_asynchronous  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a coroutine function
_code: FailureCode = "teapot"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # the set is closed


# Callers of the original service ------------------------------------------------------------------


async def call_the_service(scenes: list[Stage2Output]) -> None:
    """Use it as the original was used."""

    def on_progress(done: int, total: int) -> None:
        assert done <= total

    service = Stage3ImageGenerationService(output_dir="./output/images")
    one = await service.generate_scene_image(scenes[0], size="1024x1024", quality="hd", model=None)
    assert_type(one, Stage3Output)
    assert_type(one.image_path, str)
    assert_type(one.width, int)
    try:
        every = await service.generate_all_images(
            scenes, "1024x1024", "standard", None, concurrent=True, on_progress=on_progress
        )
        assert_type(every, list[Stage3Output])
    except ScenesFailed as failed:
        assert_type(failed.results, list[Stage3Output])
        failures: Mapping[str, Failure] = failed.failures
        assert_type(failed.hint, str | None)
        error: Stage3Error = failed
        del failures, error


# Programs that run the host -----------------------------------------------------------------------


def report(error: HostError) -> None:
    """Read an error's parts."""
    assert_type(error.hint, str | None)
    assert_type(error.exit_code, int)
    match error:
        case ConfigError():
            assert_type(error.path, Path | None)
        case PluginError():
            assert_type(error.plugin, str)
        case _:
            pass


_contract: tuple[int, int] = CONTRACT


# Providers, renderers and executors fit their seams -----------------------------------------------


def fits(openai: OpenAIImages, openrouter: OpenRouter, previz: Previz, pool: Processes) -> None:
    """What the stage asks of them is what they are."""
    providers: Iterator[Provider] = iter((openai, openrouter))
    renderer: LocalRenderer = previz
    executor: Executor = pool
    del providers, renderer, executor
