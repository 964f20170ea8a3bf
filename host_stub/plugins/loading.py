"""One plugin: imported, its hooks checked, and from then on called through typed methods.

The only module that talks to pluggy. Every plugin gets a plugin manager of its own, so that one
cannot spoil another and a name in the config belongs to exactly one object. pluggy accepts things
that would fail silently later (a coroutine as an answer, a hook with a misspelt name, a generator
that never runs, a class that was never called); they are refused here, where the plugin at fault is
known.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from pluggy import HookImpl, PluginManager, PluginValidationError
from pydantic import BaseModel

from host_stub import hookspecs
from host_stub.commands import PluginCommand
from host_stub.contract import CONTRACT, Capabilities, Event, ImagePlugin, RunInfo, StageError
from host_stub.errors import (
    ContractViolation,
    ObserverRefused,
    PluginConflict,
    PluginIncompatible,
    PluginLoadError,
    PluginNotFound,
    came_of_an_interrupt,
    closest,
    in_one_line,
)
from host_stub.plugins.offers import Offer, offers_of

HOOKS: Final = (
    "host_commands",
    "host_event",
    "host_image_plugin",
    "host_observer_settings",
    "host_run",
)
"""The hooks there are."""

_COMMAND_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")

IN_PROCESS: Final = "given in process"
"""The source of a plugin that came as an object and not from a distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """A plugin whose hooks keep the rules.

    Attributes:
        name: Its name in the config.
        source: Its distribution and version.
        implementations: What it answers, by the name of the hook.
    """

    name: str
    source: str
    implementations: Mapping[str, tuple[HookImpl, ...]] = field(repr=False)

    @property
    def on_event(self) -> Callable[[Event], None] | None:
        """Return what passes the plugin an event, if it has this hook; it may raise anything."""
        return self._caller_of("host_event")

    @property
    def on_run(self) -> Callable[[RunInfo], None] | None:
        """Return what passes the plugin a run, if it has this hook; it may raise anything."""
        return self._caller_of("host_run")

    def describe(self) -> ImagePlugin:
        """Ask the plugin for its description and check it.

        Raises:
            ContractViolation: It makes no pictures, its hook raised, or the description is wrong.
            PluginIncompatible: It was written for a contract this host does not speak.
        """
        implementations = self.implementations.get("host_image_plugin", ())
        if len(implementations) != 1:
            raise self._violation(
                "hooks.image-plugin",
                f"has {len(implementations)} implementations of host_image_plugin, and an image "
                "plugin has one",
                "keep one of them"
                if implementations
                else "an observer is named under observers, and a hook needs @hookimpl",
            )
        try:
            description = implementations[0].function()
        except Exception as error:
            raise self._violation(
                "hooks.described", f"host_image_plugin raised {in_one_line(error)}"
            ) from error
        if not isinstance(description, ImagePlugin):
            _discard(description)
            raise self._violation(
                "hooks.described",
                f"host_image_plugin returned {type(description).__name__} and not ImagePlugin",
            )
        self._check_contract(description)
        for requirement, fault in _faults(description):
            raise self._violation(requirement, fault)
        return description

    def observer_settings(self) -> type[BaseModel] | None:
        """Ask an observer for the model of its settings; ``None`` if it takes none.

        Raises:
            ContractViolation: Its hook raised, or what it returned is no model.
            ObserverRefused: It cannot observe here.
        """
        implementations = self.implementations.get("host_observer_settings", ())
        if not implementations:
            return None
        try:
            model = implementations[0].function()
        except StageError as error:
            raise ObserverRefused(self.name, self.source, error.message, hint=error.hint) from error
        except Exception as error:
            raise self._violation(
                "hooks.observer", f"host_observer_settings raised {in_one_line(error)}"
            ) from error
        if not _is_model(model):
            _discard(model)
            raise self._violation(
                "hooks.observer",
                "host_observer_settings returned no class derived from pydantic.BaseModel",
            )
        return cast("type[BaseModel]", model)

    def commands(self) -> tuple[PluginCommand, ...]:
        """Ask the plugin for the commands it brings; none if it has no such hook.

        Raises:
            ContractViolation: Its hook raised, or what it returned is no list of commands.
        """
        brought: list[PluginCommand] = []
        for implementation in self.implementations.get("host_commands", ()):
            try:
                described = list(cast("Iterable[object]", implementation.function()))
            except Exception as error:
                raise self._violation(
                    "hooks.commands", f"host_commands raised {in_one_line(error)}"
                ) from error
            for command in described:
                fault = _fault_of(command, [other.name for other in brought])
                if fault is not None:
                    raise self._violation("hooks.commands", f"host_commands returned {fault}")
                brought.append(cast("PluginCommand", command))
        return tuple(brought)

    def _check_contract(self, description: ImagePlugin) -> None:
        needs: object = description.contract
        if not _is_contract(needs):
            raise self._violation("hooks.described", "contract is not two numbers, such as (1, 0)")
        major, minor = description.contract
        if major != CONTRACT[0] or minor > CONTRACT[1]:
            raise PluginIncompatible(self.name, self.source, (major, minor), CONTRACT)

    def _caller_of(self, hook: str) -> Callable[[Event | RunInfo], None] | None:
        implementations = self.implementations.get(hook)
        if not implementations:
            return None

        def call(news: Event | RunInfo) -> None:
            for implementation in implementations:
                # As with pluggy, an implementation may leave out an argument it does not need.
                answer = implementation.function(*(news for _ in implementation.argnames))
                if inspect.isawaitable(answer):
                    _discard(answer)
                    raise self._violation("hooks.sync", f"{hook} returned an awaitable")

        return call

    def _violation(
        self, requirement: str, detail: str, hint: str | None = None
    ) -> ContractViolation:
        return ContractViolation(self.name, requirement, detail, source=self.source, hint=hint)


def pick(name: str, found: Iterable[Offer] | None = None) -> Offer:
    """Choose the one plugin of this name, of all that are installed, or of some.

    Raises:
        PluginNotFound: No distribution offers it; the hint has the closest name.
        PluginConflict: More than one distribution, or one of them twice, offers it.
    """
    known = offers_of() if found is None else tuple(found)
    matching = [plugin for plugin in known if plugin.name == name]
    if not matching:
        raise PluginNotFound(name, [plugin.name for plugin in known])
    if len(matching) > 1:
        raise PluginConflict(name, [f"{plugin.source} ({plugin.target})" for plugin in matching])
    return matching[0]


def import_plugin(found: Offer) -> LoadedPlugin:
    """Import what the entry point names and check its hooks.

    Raises:
        PluginLoadError: The import failed, in whatever way.
        ContractViolation: The hooks break a rule.
    """
    try:
        plugin: object = found.entry_point.load()
    except (Exception, SystemExit) as error:
        if came_of_an_interrupt(error):
            raise KeyboardInterrupt from error
        hint = (
            f"reinstall it with what it requires: python -m pip install --force-reinstall "
            f"{found.distribution!r}"
            if isinstance(error, ImportError)
            else "run again with --debug to see where it failed, and tell its author"
        )
        raise PluginLoadError(found.name, found.source, found.target, error, hint=hint) from error
    return read_hooks(plugin, name=found.name, source=found.source)


def read_hooks(plugin: object, *, name: str, source: str = IN_PROCESS) -> LoadedPlugin:
    """Check the hooks of an object and return typed access to them.

    Raises:
        ContractViolation: A hook is a coroutine function, a generator, a wrapper, has an unknown
            name or argument, or the object is a class.
    """

    def violation(requirement: str, detail: str, hint: str) -> ContractViolation:
        return ContractViolation(name, requirement, detail, source=source, hint=hint)

    if inspect.isclass(plugin):
        raise violation(
            "hooks.object",
            f"the entry point names the class {plugin.__name__}, whose hooks lack their self",
            f"let it name an object: plugin = {plugin.__name__}()",
        )
    manager = PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
    except PluginValidationError as error:
        raise violation(
            "hooks.arguments",
            " ".join(str(error).split()),
            "host_stub.hookspecs shows each hook with its arguments",
        ) from error
    implementations: dict[str, tuple[HookImpl, ...]] = {}
    for caller in manager.get_hookcallers(plugin) or []:
        implementations[caller.name] = tuple(caller.get_hookimpls())
        if caller.name not in HOOKS:
            near = closest(caller.name, HOOKS)
            raise violation(
                "hooks.known",
                f"there is no hook {caller.name!r}",
                f"did you mean {near!r}?" if near else f"the hooks are {', '.join(HOOKS)}",
            )
        for implementation in implementations[caller.name]:
            fault = _not_plain(implementation)
            if fault is not None:
                raise violation(*fault, f"make {caller.name} an ordinary function")
    return LoadedPlugin(name=name, source=source, implementations=implementations)


def _not_plain(implementation: HookImpl) -> tuple[str, str] | None:
    """Say which requirement a hook breaks by not being an ordinary function, and how."""
    function = implementation.function
    name = getattr(function, "__name__", "a hook")
    if implementation.wrapper or implementation.hookwrapper:
        return "hooks.no-wrappers", f"{name} is a wrapper"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "hooks.sync", f"{name} is asynchronous"
    if inspect.isgeneratorfunction(function):
        return "hooks.sync", f"{name} is a generator, which does nothing when called"
    return None


def _faults(description: ImagePlugin) -> Iterator[tuple[str, str]]:
    """Find what a description has wrong: no type checker need have read the plugin."""
    if not (_is(description.name, str) and description.name):
        yield "hooks.described", "name is not a text"
    if not _is_model(description.settings):
        yield "settings.typed", "settings is not a class derived from pydantic.BaseModel"
    if not _is(description.capabilities, Capabilities):
        yield "hooks.described", "capabilities is not a Capabilities"
    if not callable(description.open):
        yield "hooks.described", "open cannot be called"
    elif inspect.iscoroutinefunction(description.open) or inspect.isasyncgenfunction(
        description.open
    ):
        yield "hooks.described", "open is a bare async function; it wants @asynccontextmanager"


def _fault_of(command: object, taken: Sequence[str]) -> str | None:
    """Say what is wrong with a command: no type checker need have read the plugin."""
    if not isinstance(command, PluginCommand):
        _discard(command)
        return f"{type(command).__name__} among what should be PluginCommand"
    name = command.name
    if not _is(name, str) or _COMMAND_NAME.fullmatch(name) is None:
        return "a command whose name is not a word of a-z, 0-9 and -"
    if name in taken:
        return f"two commands {name!r}"
    if not all(map(callable, (command.run, command.add_arguments))):
        return f"a command {name!r} that cannot be called"
    if inspect.iscoroutinefunction(command.run):
        return f"a command {name!r} that is asynchronous"
    return None


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind)


def _is_model(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseModel)


def _is_contract(value: object) -> bool:
    return isinstance(value, tuple) and [type(part) for part in value] == [int, int]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any tuple at all


def _discard(answer: object) -> None:
    """Close a coroutine that is never awaited, so that Python does not warn about it."""
    if inspect.iscoroutine(answer):
        answer.close()
