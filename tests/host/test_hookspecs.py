"""The hooks as an author meets them: examples that can be pasted, and types that are checked."""

import inspect
import re
import textwrap
import types
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from host_stub import hookspecs, plain_image
from host_stub.contract import Event, ImagePlugin, RunInfo
from host_stub.hookspecs import (
    CommandsHook,
    EventHook,
    ImagePluginHook,
    ObserverSettingsHook,
    RunHook,
    hookimpl,
)
from host_stub.plugins.loading import HOOKS, read_hooks
from stage3_plugin import hooks as stage3_hooks

SPECS: list[Callable[..., Any]] = [
    hookspecs.host_image_plugin,
    hookspecs.host_run,
    hookspecs.host_event,
    hookspecs.host_commands,
    hookspecs.host_observer_settings,
]

IMAGE_HOOKS: list[ImagePluginHook] = [
    plain_image.host_image_plugin,
    stage3_hooks.host_image_plugin,
]
"""Our own implementations; the type checkers compare them with the protocol here."""


@hookimpl
def host_run(run: RunInfo) -> None:
    """Stand for an implementation, to be checked against its protocol."""


@hookimpl
def host_event(event: Event) -> None:
    """Likewise."""


@hookimpl
def host_observer_settings() -> type[BaseModel]:
    """Likewise."""
    return BaseModel


SETTINGS_HOOK: ObserverSettingsHook = host_observer_settings
COMMANDS_HOOK: CommandsHook = stage3_hooks.host_commands
RUN_HOOK: RunHook = host_run
EVENT_HOOK: EventHook = host_event


def example(spec: Callable[..., Any]) -> str:
    """Return the code in a hook's docstring."""
    match = re.search(r"Example::\n\n(.*?)(?=\n\S|\Z)", inspect.getdoc(spec) or "", re.DOTALL)

    assert match is not None
    return textwrap.dedent(match[1])


def test_these_are_all_the_hooks() -> None:
    """The names the loader knows are the names of the specs."""
    marked = {name for name in vars(hookspecs) if name.startswith("host_")}

    assert marked == set(HOOKS) == {spec.__name__ for spec in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_an_example_can_be_pasted(spec: Callable[..., Any]) -> None:
    """The code in a hook's docstring runs and makes a plugin that is accepted."""
    module = types.ModuleType("pasted")
    exec(example(spec), module.__dict__)

    loaded = read_hooks(module, name="pasted")

    assert list(loaded.implementations) == [spec.__name__]


def test_the_example_of_an_image_plugin_describes_one() -> None:
    """The description passes all checks of the host."""
    module = types.ModuleType("pasted")
    exec(example(hookspecs.host_image_plugin), module.__dict__)

    assert read_hooks(module, name="pasted").describe().name == "my-plugin"


@pytest.mark.parametrize("hook", IMAGE_HOOKS, ids=lambda hook: hook.__module__)
def test_our_own_plugins_describe_themselves(hook: ImagePluginHook) -> None:
    """A description is made without opening anything."""
    assert isinstance(hook(), ImagePlugin)
