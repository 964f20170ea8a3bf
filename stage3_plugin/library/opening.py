"""From what a caller has at hand (a config, a dictionary, settings) to what a stage opens with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, cast

from host_stub.config.file import NO_CEILING, HostConfig, load_config
from host_stub.config.plugin_settings import validate
from host_stub.config.secrets import ResolvedTable, resolve
from host_stub.errors import (
    ConfigError,
    HostError,
    PluginSettingsError,
    Problem,
    SecretUnavailable,
)
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.settings import Settings

SettingsLike: TypeAlias = str | os.PathLike[str] | Mapping[str, object] | Settings
"""The command's config file, or what would stand in its table ``[plugin.stage3]``."""

_NAME: Final = "stage3"
_TABLE: Final = f"plugin.{_NAME}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a stage opens with.

    Attributes:
        settings: Validated.
        project_dir: Where relative paths in them start.
        config: The file they come from, if any.
        results_dir: Where the command of this config puts results.
        most_in_flight: A ceiling on scenes in work at once.
        secrets: The texts that came from variables, files and commands.
        lacks: What is to be said of each secret that could not be had, where it is only looked.
        anew: Reads the settings anew, where a command gives one of their secrets.
    """

    settings: Settings
    project_dir: Path
    config: Path | None = None
    results_dir: Path | None = None
    most_in_flight: int = NO_CEILING
    secrets: tuple[str, ...] = field(default=(), repr=False)
    lacks: tuple[Warned, ...] = ()
    anew: Callable[[], Settings | None] | None = None


def opening_of(
    settings: SettingsLike, project_dir: str | os.PathLike[str] | None, *, is_looking: bool = False
) -> Opening:
    """Read and check settings; a command may be asked for a secret, which blocks.

    Args:
        settings: Where they are, or what they are.
        project_dir: Where relative paths in them start; by default the config's folder, or the
            current one.
        is_looking: Nothing will be sent, so that no key is needed.

    Raises:
        SettingsRefused: They cannot be used; a setting is named, never a value.
    """
    folder = None if project_dir is None else Path(project_dir).absolute()
    try:
        if isinstance(settings, Settings):
            return Opening(settings=settings, project_dir=folder or Path.cwd())
        if isinstance(settings, str | os.PathLike):
            return _of_config(load_config(Path(settings)), folder, is_looking=is_looking)
        here = folder or Path.cwd()
        read = partial(resolve, dict(settings), table=_TABLE, config=None, project_dir=here)
        return _of(read, here, is_looking=is_looking)
    except HostError as error:
        raise _refused(error) from error


def _of_config(config: HostConfig, folder: Path | None, *, is_looking: bool) -> Opening:
    if config.image != _NAME:
        raise SettingsRefused(
            "pipeline.image",
            f"the pictures of {config.path} are made by {config.image!r}, and this is Stage3",
            hint=f'name another config, or set image = "{_NAME}" under [pipeline]',
        )
    opening = _of(partial(config.settings_of, _NAME), config.project_dir, is_looking=is_looking)
    return replace(
        opening,
        project_dir=folder or config.project_dir,
        config=config.path,
        results_dir=config.out_dir,
        most_in_flight=config.max_in_flight,
    )


def _of(read: Callable[..., ResolvedTable], folder: Path, *, is_looking: bool) -> Opening:
    """Return what a table opens a stage with."""
    table = read(may_lack=is_looking)

    def anew() -> Settings | None:
        try:
            return _valid(read())
        except HostError:
            return None

    return Opening(
        settings=_valid(table),
        project_dir=folder,
        secrets=table.secrets,
        lacks=_lacks(table),
        anew=anew if table.asks_commands else None,
    )


def _lacks(table: ResolvedTable) -> tuple[Warned, ...]:
    lines = (f"{one.key}: {one.problems[0].what}; a run needs it" for one in table.lacks)
    return tuple(coded("secret_missing", line) for line in lines)


def _valid(table: ResolvedTable) -> Settings:
    settings = validate(Settings, table, plugin=_NAME, source="stage3-plugin")
    return cast("Settings", settings)


def _refused(error: HostError) -> SettingsRefused:
    """Return the same in the words of this package, for the first of its problems."""
    if isinstance(error, SecretUnavailable):
        return SettingsRefused(error.key, error.problems[0].what, hint=error.hint)
    if not isinstance(error, ConfigError | PluginSettingsError):
        return SettingsRefused("config", str(error), hint=error.hint)
    problems = [_named(one) for one in error.problems]
    path = error.path
    first, *further = problems
    if not first.where:
        return SettingsRefused("config", f"{path}: {first.what}", hint=error.hint)
    return SettingsRefused(first.where, f"{first.what}{_beside(path, further)}", hint=error.hint)


def _named(problem: Problem) -> Problem:
    return Problem(problem.where.removeprefix(f"{_TABLE}."), problem.what)


def _beside(path: Path | None, further: Sequence[Problem]) -> str:
    where = "" if path is None else f" (in {path})"
    return where + "".join(f"; and {one.where}: {one.what}" for one in further)
