"""What the user wants: ``host.toml`` and ``--set``, read into a frozen :class:`HostConfig`.

The host's own tables ``[run]`` and ``[pipeline]`` are checked here, by hand, so that commands which
load no plugin start fast. A table ``[plugin.X]`` is kept as it was written, for that plugin alone:
:meth:`HostConfig.settings_of` returns a copy of it with the secrets filled in
(:mod:`host_stub.config.secrets`), for the plugins that are used and for no others.

Relative paths of a config start at the config's folder, in ``--set`` too; those of ``--out`` start
at the current one, like every path on a command line.

``--set table.key=value`` has a dotted TOML key. Its value is text unless it is TOML as a whole, so
that ``capacity=8`` is a number, ``size=512x512`` and ``colour=#446688`` need no quotes, and
``api_key={env="NAME"}`` is the table the config file would have.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

from host_stub.config.secrets import ResolvedTable, resolve
from host_stub.errors import ConfigError, Problem, UsageError, closest

_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s.=#"'\[\]{},]+)"""
_KEY: Final = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=", re.DOTALL)
_PARTS: Final = re.compile(_PART, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Override:
    """One ``--set``.

    Attributes:
        keys: The tables to go through and, last, the key to set.
        value: What to set it to; it may be a secret.
    """

    keys: tuple[str, ...]
    value: object = field(repr=False)

    @property
    def name(self) -> str:
        """Return the dotted key, for messages."""
        return ".".join(self.keys)


def read_override(text: str) -> Override:
    """Read one ``table.key=value``.

    Raises:
        UsageError: There is no key, no ``=``, or the key names no table. The text itself is not
            shown, since it may hold a key that was meant for a setting.
    """
    match = _KEY.match(text)
    keys = tuple(_unquoted(part) for part in _PARTS.findall(match[1])) if match else ()
    if match is None or len(keys) < 2:  # a table and a key in it
        raise UsageError(
            "--set needs TABLE.KEY=VALUE in one piece",
            hint="for example --set plugin.stage3.capacity=8 or --set 'run.out_dir=my pictures'",
        )
    return Override(keys, _value(text[match.end() :]))


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        key: str = tomllib.loads(f"key = {part}")["key"]
    except ValueError:  # an escape that TOML does not have; the error would show the text
        key = part[1:-1]
    return key


def _value(text: str) -> object:
    """Read TOML, or take the text as it is.

    It has to be TOML both alone and inside brackets: a comment would otherwise swallow what follows
    a ``#``, and a line break could smuggle in a second key.
    """
    try:
        alone = tomllib.loads(f"value = {text}")
        enclosed = tomllib.loads(f"value = [{text}]")
    except (ValueError, RecursionError):  # TOML's own error is a ValueError, as are huge integers
        return text
    values = enclosed["value"]
    if len(alone) == len(enclosed) == len(values) == 1:
        return alone["value"]
    return text


FILE_NAME: Final = "host.toml"
"""Read from the current folder if no other config is named; never searched for upward."""

NO_CEILING: Final = 4096
"""``max_in_flight`` if the config names none; the plugin's own capacity then decides."""

WITHOUT_CONFIG: Final[Mapping[str, Any]] = {"plugin": {"stage3": {"provider": "previz"}}}
"""What holds where there is no config: the offline renderer, which costs nothing."""

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "run": ("journal", "max_in_flight", "out_dir"),
    "pipeline": ("image", "observers"),
    "plugin": (),
}
"""The tables and the keys the host knows; ``plugin`` holds one table per plugin."""

Table: TypeAlias = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """A checked config.

    Attributes:
        path: The file it was read from, or ``None``.
        project_dir: The folder that relative paths start from.
        out_dir: Where results go, absolute.
        journal: Where events are written, absolute; ``None`` writes none.
        max_in_flight: A ceiling on scenes in work at once.
        image: The name of the image plugin.
        observers: The names of the observers, in the order they are called.
        is_guest: The image plugin is another one than the file names.
    """

    path: Path | None
    project_dir: Path
    out_dir: Path
    journal: Path | None
    max_in_flight: int
    image: str
    observers: tuple[str, ...]
    _plugins: Mapping[str, Table] = field(repr=False)  # may hold keys that were written out
    is_guest: bool = False

    @property
    def configured(self) -> tuple[str, ...]:
        """Name the plugins that have a table, used or not."""
        return tuple(self._plugins)

    def settings_of(
        self, name: str, *, only: Collection[str] | None = None, may_lack: bool = False
    ) -> ResolvedTable:
        """Return the table of one plugin with its secrets filled in; the config itself stays as is.

        Args:
            name: The plugin.
            only: Of these keys alone; what the others point to need not be there then.
            may_lack: A secret that cannot be had is missed where it is read, and only there.

        Raises:
            SecretUnavailable: A variable or file that the table points to cannot be read.
        """
        table = self._plugins.get(name, {})
        return resolve(
            table if only is None else {key: table[key] for key in table if key in only},
            table=f"plugin.{name}",
            config=self.path,
            project_dir=self.project_dir,
            may_lack=may_lack,
        )

    def choosing(
        self,
        *,
        image: str | None = None,
        out_dir: Path | None = None,
        observers: Sequence[str] | None = None,
    ) -> HostConfig:
        """Replace what the command line chose; a journal inside the old results folder moves too.

        Args:
            image: The plugin ``--image`` names.
            out_dir: The folder ``--out`` names; relative to the current folder.
            observers: The observers to use instead.
        """
        chosen = self
        if image is not None:
            chosen = replace(chosen, image=image, is_guest=image != self.image)
        if observers is not None:
            chosen = replace(chosen, observers=tuple(observers))
        if out_dir is not None:
            moved = out_dir.absolute()
            journal = self.journal
            if journal is not None and journal.is_relative_to(self.out_dir):
                journal = moved / journal.relative_to(self.out_dir)
            chosen = replace(chosen, out_dir=moved, journal=journal)
        return chosen


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> HostConfig:
    """Read the config, apply the overrides, and check the result.

    Args:
        path: The file ``--config`` names; without it ``./host.toml`` is read if it exists.
        overrides: ``--set`` arguments, as ``table.key=value``.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or says something the host does not know;
            all problems are listed.
        UsageError: An override is not ``table.key=value``.
    """
    if path is None and Path(FILE_NAME).exists():
        path = Path(FILE_NAME)
    document = _read(path) if path is not None else deepcopy(dict(WITHOUT_CONFIG))
    config = _checked(document, path, blamed=path)  # first, so that its faults name the file
    for text in overrides:
        _apply(document, read_override(text))
    return _checked(document, path, blamed=None) if overrides else config


_STANDS_TWICE: Final = re.compile(r"overwrite a value|redefine|twice|Duplicate")
"""How ``tomllib`` words, in one version or another, that a table or a key stands twice."""


_WITH_A_COMMA: Final = re.compile(rb"=[ \t]*[0-9]+,[0-9]+[ \t]*(#|\r?$)", re.MULTILINE)


def _read(path: Path) -> Table:
    """Parse a TOML file; every way this can fail names the file and the place."""
    hint = "correct the file, or write one with 'host-stub init'"
    content = b""
    try:
        content = path.read_bytes()
        # utf-8-sig: editors on Windows like to put a byte order mark in front.
        return tomllib.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        problem = Problem("", "there is no such file")
        hint = "check the path, or write a config with 'host-stub init'"
    except OSError as error:
        problem = Problem("", f"cannot be read: {error.strerror or type(error).__name__}")
        hint = "check the path and the file's permissions"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(f"line {line}", "is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        problem = Problem("", f"is not valid TOML: {error}")
        if _STANDS_TWICE.search(str(error)):
            hint = "it stands twice; change the one that is there"
        elif _WITH_A_COMMA.search(content):
            hint = 'write an amount as text, with a point: "2.50"'
    except (ValueError, RecursionError):  # an integer of thousands of digits, or endless brackets
        problem = Problem("", "is not valid TOML: a number is too long or tables are too deep")
    # Not chained: a decoding error carries the whole file, secrets included.
    raise ConfigError(path, [problem], hint=hint)


def _apply(document: Table, override: Override) -> None:
    """Put an override into the document, making the tables on the way."""
    table = document
    for depth, name in enumerate(override.keys[:-1], start=1):
        inner: object = table.setdefault(name, {})
        if not isinstance(inner, dict):
            taken = ".".join(override.keys[:depth])
            raise ConfigError(
                None,
                [Problem(f"--set {override.name}", f"{taken} has a value and is not a table")],
                hint=f"set {taken} itself, or correct the key",
            )
        table = cast("Table", inner)
    table[override.keys[-1]] = override.value


def _checked(document: Table, path: Path | None, *, blamed: Path | None) -> HostConfig:
    """Check a document and freeze it.

    Args:
        document: The config as TOML gives it.
        path: The file it came from.
        blamed: The file that errors name, or ``None`` where the command line is at fault.
    """
    problems = _unknown_names(document)
    if problems:
        raise ConfigError(blamed, problems, hint="settings of a plugin belong under [plugin.NAME]")
    try:
        project_dir = path.absolute().parent if path is not None else Path.cwd()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(
            f"the current folder cannot be used: {reason}",
            hint="it was moved or removed: go to one that is there",
        ) from error
    read = _Reader(document)
    out_dir = read.value("run.out_dir", _path, Path("out"))
    beside: Path | None = out_dir / "events.jsonl"
    journal = read.value("run.journal", _path_or_none, beside)
    config = HostConfig(
        path=path,
        project_dir=project_dir,
        out_dir=project_dir / out_dir,
        journal=project_dir / journal if journal is not None else None,
        max_in_flight=read.value("run.max_in_flight", _positive, NO_CEILING),
        image=read.value("pipeline.image", _name, "stage3"),
        observers=read.value("pipeline.observers", _distinct_names, ()),
        _plugins=deepcopy(document.get("plugin", {})),
    )
    if read.problems:
        raise ConfigError(
            blamed, read.problems, hint="'host-stub init' writes a config with every key explained"
        )
    return config


def _unknown_names(document: Table) -> list[Problem]:
    """Find what the host does not know, with the closest name that it does."""
    problems: list[Problem] = []
    for table, content in document.items():
        if table not in KNOWN:
            problems.append(_unknown(f"[{table}]", table, KNOWN))
        elif not isinstance(content, dict):
            problems.append(Problem(table, f"should be a table, [{table}]"))
        elif table == "plugin":
            problems += [
                Problem(f"plugin.{name}", f"should be a table, [plugin.{name}]")
                for name, settings in cast("Table", content).items()
                if not isinstance(settings, dict)
            ]
        else:
            problems += [
                _unknown(f"{table}.{key}", key, KNOWN[table])
                for key in cast("Table", content)
                if key not in KNOWN[table]
            ]
    return problems


def _unknown(where: str, name: str, valid: Iterable[str]) -> Problem:
    near = closest(name, valid)
    known = f"did you mean {near!r}?" if near else f"known are {', '.join(sorted(valid))}"
    what = "table" if where.startswith("[") else "setting"
    return Problem(where, f"unknown {what}; {known}")


class _Reader:
    """Reads the host's own values and collects what is wrong with them."""

    def __init__(self, document: Table) -> None:
        self._document = document
        self.problems: list[Problem] = []

    def value(self, where: str, convert: Callable[[object], _T], default: _T) -> _T:
        """Convert the value at ``table.key``; the default stands in for a missing or wrong one."""
        table, key = where.split(".")
        content: Table = self._document.get(table, {})
        if key not in content:
            return default
        try:
            return convert(content[key])
        except _NotThisError as expected:
            self.problems.append(Problem(where, f"should be {expected}"))
            return default


class _NotThisError(Exception):
    """A value that does not fit; says what would, never what was there."""


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _NotThisError("a path, as text")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise _NotThisError("a path; it starts with ~ and names a user who is not here") from None


def _path_or_none(value: object) -> Path | None:
    if value is False:
        return None
    if not isinstance(value, str):
        raise _NotThisError("a path, as text, or false for no journal")
    return _path(value)


def _positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _NotThisError("a whole number of at least 1")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _NotThisError("the name of a plugin, as text")
    return value


def _distinct_names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _NotThisError('a list of names of plugins, such as ["ledger"]')
    names = tuple(_name(part) for part in cast("list[object]", value))
    if len(set(names)) < len(names):
        raise _NotThisError("a list that names each plugin once")
    return names
