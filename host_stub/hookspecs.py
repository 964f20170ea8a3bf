"""The three hooks of the host, and the markers a plugin author decorates with.

All of them are synchronous, because pluggy takes a coroutine for a finished answer; what is
asynchronous lives behind the description that :func:`host_image_plugin` returns. A plugin is an
object (most often a module) that an entry point of the group ``host_stub.plugins`` names, and it is
imported only if the config names it: under ``image`` for its pictures, under ``observers`` to be
told about runs and events. One plugin may be both, and is then named twice.

Coroutine functions, generators and wrappers are refused, and so is a hook whose name is not here.
"""

from __future__ import annotations

from typing import Protocol

from pluggy import HookimplMarker, HookspecMarker

from host_stub.contract import Event, ImagePlugin, RunInfo

PROJECT = "host_stub"
"""pluggy's name for this family of hooks."""

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)


@hookspec
def host_image_plugin() -> ImagePlugin:  # type: ignore[empty-body]  # a spec has no body
    """Describe an image plugin; called once, right after the plugin was imported.

    Making the description must be cheap: heavy imports belong into ``open``, which is called when
    a run begins. Raising, or returning anything but an
    :class:`~host_stub.contract.ImagePlugin`, refuses the plugin.

    Example::

        from collections.abc import AsyncGenerator
        from contextlib import asynccontextmanager

        from pydantic import BaseModel, ConfigDict

        from host_stub.contract import Capabilities, ImagePlugin, ImageStage, Services
        from host_stub.hookspecs import hookimpl

        class Settings(BaseModel):
            model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
            colour: str = "#446688"

        @asynccontextmanager
        async def open_stage(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
            from my_plugin.stage import Stage  # what is heavy is imported here

            async with Stage(settings, services) as stage:
                yield stage

        @hookimpl
        def host_image_plugin() -> ImagePlugin:
            return ImagePlugin(
                name="my-plugin",
                contract=(1, 0),
                settings=Settings,
                capabilities=Capabilities(offline=True),
                open=open_stage,
            )

    and in its ``pyproject.toml``::

        [project.entry-points."host_stub.plugins"]
        my-plugin = "my_plugin.hooks"
    """


@hookspec
def host_run(run: RunInfo) -> None:
    """Hear that a run begins (``run.state == "started"``) or is over (``"finished"``).

    Called before the stage opens and after it closes, on the thread of the event loop, so it must
    be quick. An observer that raises is muted for the rest of the run, and the run goes on.

    Example::

        from host_stub.contract import RunInfo
        from host_stub.hookspecs import hookimpl

        @hookimpl
        def host_run(run: RunInfo) -> None:
            print(f"{run.run_id}: {run.scenes} scenes with {run.plugin}, {run.state}")
    """


@hookspec
def host_event(event: Event) -> None:
    """Hear one valid event of the stage, in the order of emission.

    ``event`` is flat; ``event["event"]`` says what happened, such as ``scene.finished``. Called on
    the thread of the event loop, so it must be quick. An observer that raises is muted for the rest
    of the run, and the run goes on.

    Example::

        from host_stub.contract import Event
        from host_stub.hookspecs import hookimpl

        @hookimpl
        def host_event(event: Event) -> None:
            if event["event"] == "scene.finished":
                print(event["scene_id"], event["cost_usd"])
    """


class ImagePluginHook(Protocol):
    """The type of an implementation of :func:`host_image_plugin`."""

    def __call__(self) -> ImagePlugin: ...


class RunHook(Protocol):
    """The type of an implementation of :func:`host_run`."""

    def __call__(self, run: RunInfo) -> None: ...


class EventHook(Protocol):
    """The type of an implementation of :func:`host_event`."""

    def __call__(self, event: Event) -> None: ...
