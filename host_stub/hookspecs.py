"""The four hooks of the host, and the markers a plugin author decorates with.

All of them are synchronous, because pluggy takes a coroutine for a finished answer; what is
asynchronous lives behind the description that :func:`host_image_plugin` returns. A plugin is an
object (most often a module) that an entry point of the group ``host_stub.plugins`` names, and it is
imported only if the config names it: under ``image`` for its pictures, under ``observers`` to
receive runs and events. One plugin may be both, and is then named twice. The commands that a plugin
brings need no config: ``host-stub NAME COMMAND`` imports the plugin of that name and no other.

Coroutine functions, generators and wrappers are refused, and so is a hook whose name is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pluggy import HookimplMarker, HookspecMarker
from pydantic import BaseModel

from host_stub.commands import PluginCommand
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
    """Observe that a run begins (``run.state == "started"``) or is over (``"finished"``).

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
    """Observe one valid event of the stage, in the order of emission.

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


@hookspec
def host_observer_settings() -> type[BaseModel]:  # type: ignore[empty-body]  # likewise
    """Name the model of an observer's settings; asked before a run begins.

    Its table ``[plugin.NAME]`` is validated with it, and what comes of that is in
    :attr:`~host_stub.contract.RunInfo.settings`. An observer without this hook has no table.
    Raising a :class:`~host_stub.contract.StageError` says that it cannot observe here, in one line
    and with the next step; then nothing is started.

    Example::

        from pydantic import BaseModel, ConfigDict

        from host_stub.hookspecs import hookimpl

        class Settings(BaseModel):
            model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
            loud: bool = False

        @hookimpl
        def host_observer_settings() -> type[BaseModel]:
            return Settings
    """


@hookspec
def host_commands() -> Sequence[PluginCommand]:  # type: ignore[empty-body]  # likewise
    """Describe the commands that the plugin brings; called when one is asked for.

    They are called as ``host-stub NAME COMMAND``, NAME being the plugin's in its entry point.
    Parsing, ``--json``, escaping and errors are the host's; a command returns what is to be said.

    Example::

        from argparse import ArgumentParser, Namespace

        from host_stub.commands import CommandError, CommandResult, PluginCommand, Progress
        from host_stub.hookspecs import hookimpl

        def add_arguments(parser: ArgumentParser) -> None:
            parser.add_argument("--colour", default="grey", help="which one")

        def swatch(options: Namespace, progress: Progress) -> CommandResult:
            if options.colour == "octarine":
                raise CommandError("there is no such colour", hint="try another one")
            return CommandResult(
                text=f"the colour is {options.colour}", data={"colour": options.colour}
            )

        @hookimpl
        def host_commands() -> list[PluginCommand]:
            return [
                PluginCommand(
                    name="swatch", summary="Show a colour.", run=swatch, add_arguments=add_arguments
                )
            ]
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


class ObserverSettingsHook(Protocol):
    """The type of an implementation of :func:`host_observer_settings`."""

    def __call__(self) -> type[BaseModel]: ...


class CommandsHook(Protocol):
    """The type of an implementation of :func:`host_commands`."""

    def __call__(self) -> Sequence[PluginCommand]: ...
