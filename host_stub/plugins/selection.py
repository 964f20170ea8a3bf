"""The plugins a config names, ready for a run; what it does not name is never imported.

Selection is by name and never by order. Each plugin is imported in its own ``try`` and fails with
its own error: not found, conflict, broken import, wrong contract, broken rule, bad settings. The
image plugin's settings are validated before anything is opened, with secrets filled in for it only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias

from pydantic import BaseModel

from host_stub.config.file import HostConfig
from host_stub.config.plugin_settings import validate
from host_stub.config.secrets import ResolvedTable
from host_stub.contract import Event, ImagePlugin, RunInfo, Services
from host_stub.errors import (
    ConfigError,
    ContractViolation,
    PluginError,
    PluginIncompatible,
    Problem,
    SecretUnavailable,
)
from host_stub.plugins.loading import LoadedPlugin, import_plugin, pick, read_hooks
from host_stub.plugins.offers import Offer, offers_of
from host_stub.text.redaction import secrets_of

Heeding: TypeAlias = Callable[[Iterable[str]], None]
"""Takes secrets out of all that it shows or writes from now on."""


class Observer(NamedTuple):
    """A plugin that observes; both calls may raise anything, ``None`` is a hook it lacks.

    ``secrets`` are the texts in its settings that nothing may show.
    """

    name: str
    on_event: Callable[[Event], None] | None
    on_run: Callable[[RunInfo], None] | None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedPlugin:
    """An image plugin that is ready to be opened.

    Attributes:
        name: Its name in the config.
        source: Its distribution and version, for example ``stage3-plugin 0.1.0``.
        description: What its hook returned.
        settings: An instance of ``description.settings``.
        services: What it may use of the host's.
        secrets: The texts that came from variables, files and commands, for masking.
        lacks: The secrets that could not be had, where it is only looked at.
        heed_secrets: Called with further ones, should a command give another; whoever masks them
            adds itself.
    """

    name: str
    source: str
    description: ImagePlugin
    settings: BaseModel = field(repr=False)
    services: Services
    secrets: tuple[str, ...] = field(default=(), repr=False)
    lacks: Sequence[SecretUnavailable] = ()
    heed_secrets: list[Heeding] = field(default_factory=list[Heeding], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSet:
    """What a run uses.

    Attributes:
        image: The plugin that makes the pictures.
        observers: The plugins that observe, in the config's order.
    """

    image: SelectedPlugin
    observers: list[Observer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What became of loading one installed plugin, for ``plugins --load``.

    Attributes:
        status: Whether it could be used.
        hooks: The hooks it answers.
        description: Of an image plugin that is ready.
        error: Why it is not ready.
    """

    status: Literal["ready", "broken", "incompatible"]
    hooks: tuple[str, ...] = ()
    description: ImagePlugin | None = None
    error: PluginError | None = None


def select_plugins(
    config: HostConfig,
    *,
    extra: Mapping[str, object] | None = None,
    found: Iterable[Offer] | None = None,
    is_looking: bool = False,
) -> PluginSet:
    """Load the plugins that the config names.

    Args:
        config: The config.
        extra: Plugins given as objects, by name; they come before installed ones.
        found: The installed plugins; looked up if absent.
        is_looking: Nothing will be sent, so that no key is needed.

    Raises:
        PluginError: One of its kinds, for the first plugin that cannot be used.
        ConfigError: A secret is unavailable, or an observer was given settings it cannot take.
    """
    load = _Loader(extra or {}, found)
    image = _select_image(load(config.image), config, is_looking=is_looking)
    observers = [_observer(load(name), config, is_looking=is_looking) for name in config.observers]
    return PluginSet(image=image, observers=observers)


def load_settings_model(name: str) -> type[BaseModel]:
    """Load one plugin to ask for the model of its settings: an image plugin's, or an observer's.

    Raises:
        PluginError: It cannot be used, or has none.
    """
    loaded = _Loader({}, None)(name)
    model = None
    if "host_image_plugin" not in loaded.implementations:
        model = loaded.observer_settings()
    return loaded.describe().settings if model is None else model


def survey(found: Offer) -> Surveyed:
    """Load one installed plugin and say what came of it; nothing is raised."""
    hooks: tuple[str, ...] = ()
    try:
        loaded = import_plugin(found)
        hooks = tuple(sorted(loaded.implementations))
        makes_pictures = "host_image_plugin" in hooks
        description = loaded.describe() if makes_pictures else None
    except PluginIncompatible as error:
        return Surveyed(status="incompatible", hooks=hooks, error=error)
    except PluginError as error:
        return Surveyed(status="broken", hooks=hooks, error=error)
    return Surveyed(status="ready", hooks=hooks, description=description)


class _Loader:
    """Finds a plugin by name among objects given and distributions installed."""

    def __init__(self, extra: Mapping[str, object], found: Iterable[Offer] | None) -> None:
        self._extra = extra
        self._found = None if found is None else tuple(found)

    def __call__(self, name: str) -> LoadedPlugin:
        if name in self._extra:
            return read_hooks(self._extra[name], name=name)
        if self._found is None:
            self._found = offers_of()
        return import_plugin(pick(name, self._found))


def _select_image(loaded: LoadedPlugin, config: HostConfig, *, is_looking: bool) -> SelectedPlugin:
    description = loaded.describe()
    table = config.settings_of(loaded.name, may_lack=is_looking)
    settings = _valid(description.settings, table, loaded, config)
    heed_secrets: list[Heeding] = []

    def settings_anew() -> BaseModel | None:
        try:
            table = config.settings_of(loaded.name)
            settings = _valid(description.settings, table, loaded, config)
        except (ConfigError, PluginError):
            return None
        for heed in heed_secrets:
            heed((*secrets_of(settings), *table.secrets))
        return settings

    return SelectedPlugin(
        name=loaded.name,
        source=loaded.source,
        description=description,
        settings=settings,
        services=Services(
            project_dir=config.project_dir,
            now=lambda: datetime.now(UTC),
            out_dir=config.out_dir,
            settings_anew=settings_anew if table.asks_commands else None,
            config=config.path,
            secrets=table.secrets,
        ),
        secrets=table.secrets,
        lacks=table.lacks,
        heed_secrets=heed_secrets,
    )


def _observer(loaded: LoadedPlugin, config: HostConfig, *, is_looking: bool) -> Observer:
    if loaded.on_event is None and loaded.on_run is None:
        raise ContractViolation(
            loaded.name,
            "hooks.observer",
            "is named under observers and answers neither host_event nor host_run",
            source=loaded.source,
            hint="take it out of observers under [pipeline]",
        )
    model = loaded.observer_settings()
    if model is not None:
        table = config.settings_of(loaded.name, may_lack=is_looking)
        settings = _valid(model, table, loaded, config)
        on_run = _with_settings(loaded.on_run, settings)
        secrets = (*secrets_of(settings), *table.secrets)
        return Observer(loaded.name, loaded.on_event, on_run, secrets)
    if loaded.name in config.configured and "host_image_plugin" not in loaded.implementations:
        raise ConfigError(
            config.path,
            [Problem(f"plugin.{loaded.name}", "is an observer that takes no settings")],
            hint=f"take out the table [plugin.{loaded.name}]",
        )
    return Observer(loaded.name, loaded.on_event, loaded.on_run)


def _valid(
    model: type[BaseModel], table: ResolvedTable, loaded: LoadedPlugin, config: HostConfig
) -> BaseModel:
    source = loaded.source
    return validate(model, table, plugin=loaded.name, source=source, path=config.path)


def _with_settings(
    on_run: Callable[[RunInfo], None] | None, settings: BaseModel
) -> Callable[[RunInfo], None] | None:
    """Give an observer its own settings with each run."""
    return None if on_run is None else lambda run: on_run(replace(run, settings=settings))
