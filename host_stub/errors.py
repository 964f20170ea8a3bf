"""What can go wrong with a run as a whole; a scene's own failure is a value, not an error.

::

    HostError                      .hint .exit_code .code
    ├── UsageError                 the command line asks for something that cannot be
    │   └── CommandRefused         and so does what follows the name of a plugin's command
    ├── CommandFailed              .code: a plugin's command cannot do what it was asked
    ├── Interrupted                before a run had begun
    ├── ConfigError                .path .problems
    │   └── SecretUnavailable      .table .key: what an {env=…}, {file=…} or {command=…} has not
    ├── SceneFileError             .path .where .problem .further
    ├── DecisionsError             .path .problems
    ├── JournalError               .path .where .problem
    ├── StoryNotRead               .path .problems: no scenes can be made of it
    ├── FileAlreadyThere           .path: never overwritten
    ├── SystemLacks                memory, threads, open files, or letters for their names
    ├── ResultsNotWritten          .path: the disk did not take a result
    ├── StoryError                 .path .problem: takes and choices cannot be read or written
    ├── NoSuchTake                 .scene_id .number .there
    ├── NotConfirmed               .why .confirm .cost_high_usd .needs_usd
    ├── PluginError                .plugin .source ("stage3-plugin 0.1.0")
    │   ├── PluginNotFound         .installed
    │   ├── PluginConflict         .sources
    │   ├── PluginLoadError        .target (cause chained)
    │   ├── ObserverRefused        .reason
    │   ├── PluginIncompatible     .needs .speaks
    │   ├── PluginSettingsError    .problems
    │   └── ContractViolation      .requirement .detail
    └── StageFailed                .plugin .source .starting (cause chained)

Each error carries data and makes its own sentence from it, so that a program can act on the one and
a person on the other. No message shows a value that could be a secret: where a setting is wrong,
its path is named and what was expected, never what was there. All of them pickle.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")

_IN_UNICODE = "run it in a locale of UTF-8 (LC_ALL=C.UTF-8), or with PYTHONUTF8=1"

_FILES_ENOUGH = 256
"""Open files with which a run may begin, whatever it has in flight."""

EXIT_STARTING = 2
"""The run could not start."""
EXIT_STAGE = 3
"""The stage stopped."""
EXIT_INTERRUPTED = 130
"""SIGINT, as shells report it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    Attributes:
        where: A dotted key (``run.out_dir``), or a line or index of a file.
        what: What was expected there, never the value that was.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def closest(name: str, valid: Iterable[str]) -> str | None:
    """Find the valid name that ``name`` most likely was meant to be, or ``None``."""
    names = sorted(valid, reverse=True)
    unpadded = {_unpadded(candidate): candidate for candidate in names}
    if (same := unpadded.get(_unpadded(name))) is not None:
        return same
    folded = {_folded(candidate): candidate for candidate in names}
    near = get_close_matches(_folded(name), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def _unpadded(name: str) -> str:
    """Return a name whose numbers have no zeros before them: scene_1 is a slip of scene_001."""
    return _ZEROS.sub("", _folded(name))


MOST_OF_A_GROUP = 3


def in_one_line(exception: BaseException) -> str:
    """Put another library's exception into one line: its type and its message's first line.

    A group says nothing itself, so the first three exceptions in it are named.
    """
    if isinstance(exception, BaseExceptionGroup):
        held = _held_by(cast("BaseExceptionGroup[BaseException]", exception))
        lines = list(dict.fromkeys(in_one_line(inner) for inner in held))
        more = [f"and {len(lines) - MOST_OF_A_GROUP} more"] if len(lines) > MOST_OF_A_GROUP else []
        return "; ".join([*lines[:MOST_OF_A_GROUP], *more])
    first, _, _ = str(exception).strip().partition("\n")
    kind = type(exception).__name__
    return f"{kind}: {first.rstrip()}" if first else kind


def _held_by(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _held_by(cast("BaseExceptionGroup[BaseException]", inner))
        else:
            yield inner


class Action(Protocol):
    """A command that may come next; :class:`host_stub.commands.NextAction` is one."""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        ...


_SAID_APART = frozenset({"hint", "next_actions", "retry_with"})


class HostError(Exception):
    """The root of the tree.

    Attributes:
        hint: The next step, or ``None``.
        exit_code: What the command line exits with.
        code: The kind of error for programs, as ``--json`` gives it.
        next_actions: Commands that may come next, the best first, as the command line found them.
        retry_with: The same command, changed so that it would work, if one would.
    """

    code: ClassVar[str] = "host"
    hint: str | None = None
    exit_code: int = EXIT_STARTING
    next_actions: tuple[Action, ...] = ()
    retry_with: Action | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.hint = hint
        super().__init__(message)

    def __reduce__(self) -> tuple[Callable[..., HostError], tuple[object, ...]]:
        return _restore, (type(self), self.args, self.__dict__)

    def details(self) -> dict[str, object]:
        """Return what programs may want beside message and hint, as plain JSON values."""
        return {
            name: _plain(value) for name, value in vars(self).items() if name not in _SAID_APART
        }


def _restore(kind: type[HostError], args: tuple[object, ...], state: dict[str, Any]) -> HostError:
    """Unpickle an error without running its ``__init__``, whose arguments are not its args."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


def _plain(value: object) -> object:
    """Turn an error's data into what JSON has."""
    if isinstance(value, Problem):
        return {"where": value.where, "what": value.what}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in cast("Sequence[object]", value)]
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


class UsageError(HostError):
    """The command line asks for something that cannot be."""

    code = "usage"


class CommandRefused(UsageError):
    """A plugin's command was asked for in words that cannot be understood."""

    code = "command_refused"


class CommandFailed(HostError):
    """A plugin's command cannot do what it was asked.

    Attributes:
        code: The kind of error, in the plugin's words.
    """

    code = "command_failed"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None,
        code: str,
        next_actions: tuple[Action, ...] = (),
        retry_with: Action | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.next_actions = next_actions
        self.retry_with = retry_with
        self.code = code  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # one class for the kinds of all plugins


class Interrupted(HostError):
    """The user ended a command before a run had begun."""

    code = "interrupted"
    exit_code = EXIT_INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted")


class ConfigError(HostError):
    """The config cannot be used.

    Attributes:
        path: The config file, or ``None`` if the fault is in ``--set`` or there is no file.
        problems: Everything that is wrong, not only the first.
    """

    code = "config"

    def __init__(
        self, path: Path | None, problems: Sequence[Problem], *, hint: str | None = None
    ) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(_listed(_config_name(path), self.problems), hint=hint)


class SecretUnavailable(ConfigError, LookupError):
    """A setting points to an environment variable, a file or a command that gives no secret.

    It is a ``LookupError`` to a plugin, which reads a secret without knowing who keeps it.

    Attributes:
        table: The config table the setting is in, for example ``plugin.stage3``.
        key: The setting's dotted path in that table.
    """

    code = "secret_unavailable"

    def __init__(
        self, path: Path | None, table: str, key: str, what: str, *, hint: str | None = None
    ) -> None:
        self.table = table
        self.key = key
        super().__init__(path, [Problem(f"[{table}] {key}", what)], hint=hint)


class SceneFileError(HostError):
    """A scene file that cannot be run, found before anything is.

    Attributes:
        path: The scene file.
        where: The line, the column or the index, in words; empty if the whole file is meant.
        problem: The field and what was expected.
        further: The other problems of the file, each with its place.
    """

    code = "scene_file"

    def __init__(
        self,
        path: Path,
        where: str,
        problem: str,
        hint: str | None = None,
        *,
        further: Sequence[Problem] = (),
    ) -> None:
        self.path = path
        self.where = where
        self.problem = problem
        self.further = tuple(further)
        problems = (Problem(where, problem), *self.further)
        super().__init__(_listed(f"scene file {path}", problems), hint=hint)

    def at(self, path: Path) -> SceneFileError:
        """Return the same error of a file by another name."""
        return SceneFileError(path, self.where, self.problem, self.hint, further=self.further)


class DecisionsError(HostError):
    """Decisions that cannot be read, found before anything is done about any of them.

    Attributes:
        path: The file or folder.
        problems: Everything that is wrong, each with its place.
    """

    code = "decisions"

    def __init__(self, path: Path, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(_listed(f"decisions {path}", self.problems), hint=hint)


class JournalError(HostError):
    """A journal that cannot be read.

    Attributes:
        path: The journal.
        where: The line, in words; empty if the whole file is meant.
        problem: What was expected.
    """

    code = "journal"

    def __init__(self, path: Path, where: str, problem: str, *, hint: str | None = None) -> None:
        self.path = path
        self.where = where
        self.problem = problem
        super().__init__(_listed(f"journal {path}", [Problem(where, problem)]), hint=hint)


class StoryNotRead(HostError):
    """A story that was written elsewhere, and that no scenes can be made of; nothing was written.

    Attributes:
        path: The file.
        problems: What is wrong, each with its place: a line, an index, or nothing for the whole.
    """

    code = "story_not_read"

    def __init__(self, path: Path, problems: Sequence[Problem], *, hint: str) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(_listed(f"story file {path}", self.problems), hint=hint)


class FileAlreadyThere(HostError):
    """A file that would have to be overwritten, and is not.

    Attributes:
        path: The file.
    """

    code = "file_already_there"

    def __init__(self, path: Path, *, hint: str | None = None) -> None:
        self.path = path
        super().__init__(
            f"{path} is already there and is not overwritten",
            hint=hint
            or "name another folder, as in 'host-stub init FOLDER', or move the file away",
        )


class SystemLacks(HostError):
    """The system has no more of something for this process: memory, threads, files, or letters."""

    code = "system_lacks"

    @classmethod
    def behind(cls, error: BaseException) -> SystemLacks | None:
        """Return what the system lacks, if that is what was raised; the cause is chained."""
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            what, raised = "no other thread can be started", "threads (ulimit -u)"
        elif isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            what, raised = "no other file can be opened", f"open files (ulimit -n {_FILES_ENOUGH})"
        elif isinstance(error, MemoryError):
            what, raised = "there is no more memory", "memory (ulimit -v)"
        elif isinstance(error, UnicodeEncodeError) and sys.getfilesystemencoding() != "utf-8":
            what, raised = f"this locale's encoding has no file name {error.object!a}", None
        else:
            return None
        hint = f"raise the limit of {raised}, and run again" if raised else _IN_UNICODE
        found = cls(what, hint=hint)
        found.__cause__ = error
        return found


class ResultsNotWritten(HostError):
    """The disk did not take a result.

    Attributes:
        path: The file or folder.
    """

    code = "results_not_written"

    def __init__(self, path: Path, cause: OSError) -> None:
        self.path = path
        what, hint = obstacle(path, cause)
        super().__init__(f"cannot write {path}: {what}", hint=hint)


class StoryError(HostError):
    """What is kept of a story's takes and choices cannot be read, or written.

    Attributes:
        path: The file or folder.
        problem: What is wrong with it.
    """

    code = "story"

    def __init__(self, path: Path, problem: str, *, hint: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"story {path}: {problem}", hint=hint)


class NoSuchTake(HostError):
    """A take was asked for that a scene does not have.

    Attributes:
        scene_id: The scene.
        number: The take.
        there: The numbers of those that there are.
    """

    code = "no_such_take"

    def __init__(self, scene_id: str, number: int, there: Sequence[int]) -> None:
        self.scene_id = scene_id
        self.number = number
        self.there = tuple(there)
        has = "none" if not there else str(there[0]) if len(there) == 1 else f"1 to {there[-1]}"
        super().__init__(
            f"scene {scene_id!r} has no take {number}; it has {has}",
            hint="'host-stub takes SCENE' lists a scene's takes",
        )


class NotConfirmed(HostError):
    """A run was to buy what was confirmed, and would buy something else, or for more.

    Attributes:
        why: What is different, a sentence each.
        confirm: The hash of what would be bought now; ``None`` if nobody can confirm that.
        cost_high_usd: The most that it costs, as a decimal string; ``None`` if it is not known.
        needs_usd: The cap without which the run does not start, if that is all that it lacks.
    """

    code = "not_confirmed"

    def __init__(
        self,
        why: Sequence[str],
        *,
        confirm: str | None,
        cost_high_usd: str | None,
        needs_usd: str | None = None,
    ) -> None:
        self.why = tuple(why)
        self.confirm = confirm
        self.cost_high_usd = cost_high_usd
        self.needs_usd = needs_usd
        super().__init__(
            f"nothing was sent: {'; '.join(self.why)}",
            hint="'host-stub plan' shows for nothing what would be bought now, and the hash of that"
            if needs_usd is None
            else f"give it with --max-cost {needs_usd}",
        )


class PluginError(HostError):
    """A plugin that the config names and that cannot be used.

    Attributes:
        plugin: Its name in the config.
        source: Its distribution and version, for example ``stage3-plugin 0.1.0``, if known.
    """

    code = "plugin"

    def __init__(
        self, plugin: str, source: str | None, what: str, *, hint: str | None = None
    ) -> None:
        self.plugin = plugin
        self.source = source
        super().__init__(f"{_plugin_name(plugin, source)} {what}", hint=hint)


class PluginNotFound(PluginError):
    """No installed distribution offers a plugin of this name.

    Attributes:
        installed: The names that are there.
    """

    code = "plugin_not_found"

    def __init__(self, plugin: str, installed: Iterable[str]) -> None:
        self.installed = tuple(sorted(set(installed)))
        near = closest(plugin, self.installed)
        there = ", ".join(self.installed) or "none"
        super().__init__(
            plugin,
            None,
            f"is not installed; installed plugins: {there}",
            hint=f"did you mean {near!r}?"
            if near
            else "name an installed one under [pipeline] or with --image, or install the one that "
            "is meant; a provider is a setting of its plugin",
        )


class PluginConflict(PluginError):
    """Two distributions offer plugins of one name; neither silently wins.

    Attributes:
        sources: The distributions, with version and entry point.
    """

    code = "plugin_conflict"

    def __init__(self, plugin: str, sources: Sequence[str]) -> None:
        self.sources = tuple(sorted(sources))
        super().__init__(
            plugin,
            None,
            f"is offered more than once: by {' and by '.join(self.sources)}",
            hint="uninstall all but one of them",
        )


class PluginLoadError(PluginError):
    """A plugin's module cannot be imported.

    Attributes:
        target: What the entry point names, for example ``stage3_plugin.hooks``.
    """

    code = "plugin_load"

    def __init__(
        self,
        plugin: str,
        source: str,
        target: str,
        cause: BaseException,
        *,
        hint: str | None = None,
    ) -> None:
        self.target = target
        super().__init__(
            plugin,
            source,
            f"cannot be imported: {target!r} raised {in_one_line(cause)}",
            hint=hint,
        )


class ObserverRefused(PluginError):
    """An observer that cannot observe here, by its own word; a package that it needs is not there.

    Attributes:
        reason: Why, in one line.
    """

    code = "observer_refused"

    def __init__(self, plugin: str, source: str, reason: str, *, hint: str | None = None) -> None:
        self.reason = reason
        super().__init__(plugin, source, f"cannot observe: {reason}", hint=hint)


class PluginIncompatible(PluginError):
    """A plugin written for a contract that this host does not speak.

    Attributes:
        needs: The plugin's contract, major and minor.
        speaks: The host's.
    """

    code = "plugin_incompatible"

    def __init__(
        self, plugin: str, source: str, needs: tuple[int, int], speaks: tuple[int, int]
    ) -> None:
        self.needs = needs
        self.speaks = speaks
        older = needs[0] < speaks[0]
        super().__init__(
            plugin,
            source,
            f"needs contract {needs[0]}.{needs[1]}, this host speaks {speaks[0]}.{speaks[1]}",
            hint="install a newer version of the plugin"
            if older
            else "upgrade the host, or install an older version of the plugin",
        )


class PluginSettingsError(PluginError):
    """A plugin's config table does not fit its settings.

    Attributes:
        path: The config file, or ``None`` if there is none.
        problems: One per setting, with its dotted path; never a value.
    """

    code = "plugin_settings"

    def __init__(
        self, plugin: str, source: str, problems: Sequence[Problem], *, path: Path | None = None
    ) -> None:
        self.plugin = plugin
        self.source = source
        self.path = path
        self.problems = tuple(problems)
        subject = _plugin_name(plugin, source) if path is None else _config_name(path)
        HostError.__init__(
            self,
            _listed(subject, self.problems),
            hint=f"'host-stub schema {plugin}' lists its settings",
        )


class ContractViolation(PluginError):
    """A plugin that does not keep a rule of the contract.

    Attributes:
        requirement: The rule, under the name the conformance kit gives it.
        detail: What was found.
    """

    code = "contract_violation"

    def __init__(
        self,
        plugin: str,
        requirement: str,
        detail: str,
        *,
        source: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.requirement = requirement
        self.detail = detail
        super().__init__(
            plugin,
            source,
            f"breaks {requirement}: {detail}",
            hint=hint or "this is a fault of the plugin; tell its author",
        )


class StageFailed(HostError):
    """A stage that cannot start or cannot go on; what it finished before is kept.

    Attributes:
        plugin: The image plugin's name in the config.
        source: Its distribution and version, if known.
        starting: Nothing was tried yet; the exit code is then that of a failure to start.
    """

    code = "stage_failed"

    def __init__(
        self,
        plugin: str,
        message: str,
        *,
        source: str | None = None,
        hint: str | None = None,
        starting: bool = False,
    ) -> None:
        self.plugin = plugin
        self.source = source
        self.starting = starting
        self.exit_code = EXIT_STARTING if starting else EXIT_STAGE
        verb = "could not start" if starting else "stopped"
        super().__init__(f"{_plugin_name(plugin, source)} {verb}: {message}", hint=hint)


def _plugin_name(plugin: str, source: str | None) -> str:
    return f"plugin {plugin!r} ({source})" if source else f"plugin {plugin!r}"


def _config_name(path: Path | None) -> str:
    return f"config {path}" if path is not None else "the command line"


def _listed(subject: str, problems: Sequence[Problem]) -> str:
    """Say one problem in one line and several as an indented list, a line for each."""
    lines = [" ".join(str(problem).splitlines()) for problem in problems]
    if len(lines) == 1:
        return f"{subject}: {lines[0]}"
    return "\n  ".join([f"{subject}: {len(lines)} problems", *lines])


def obstacle(path: Path, cause: OSError) -> tuple[str, str]:
    """Say what is in the way of writing ``path``, and the next step.

    Args:
        path: The file or folder that was to be written.
        cause: What the system said. ``BlockingIOError`` stands for another run at work there, and
            says so itself (:class:`host_stub.events.journal.EventJournal`).
    """
    match cause:
        case FileExistsError():
            file = "it" if cause.filename in {None, str(path)} else str(cause.filename)
            return f"{file} is a file, not a folder", "move that file away, or name another folder"
        case NotADirectoryError():
            return (
                "a part of its path is a file, not a folder",
                "move that file away, or name another folder",
            )
        case BlockingIOError():
            hint = "wait until the other run has ended, or choose another folder with --out"
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            hint = f"raise the limit of open files (ulimit -n {_FILES_ENOUGH}), and run again"
        case OSError(errno=errno.EROFS):
            hint = "make that file system writable, or choose another folder with --out"
        case IsADirectoryError():
            hint = "move that folder away, or choose another one for the results with --out"
        case _:
            hint = (
                "free space on the disk, check the folder's permissions, or choose another folder "
                "with --out"
            )
    return cause.strerror or type(cause).__name__, hint


def came_of_an_interrupt(error: BaseException) -> bool:
    """Return whether an error was raised while an interrupt was on its way out.

    An event loop that an interrupt has cut off cannot be closed, and raises an error of its own.
    So does pydantic's core where one meets it as it makes a class of an import: with neither cause
    nor context, and the interrupt in its text.
    """
    seen: set[int] = set()
    to_see: list[BaseException | None] = [error]
    while to_see:
        one = to_see.pop()
        is_made = type(one).__name__ == "SchemaError" and "KeyboardInterrupt:" in str(one)
        if is_made or isinstance(one, KeyboardInterrupt):
            return True
        if one is None or isinstance(one, HostError) or id(one) in seen:
            continue
        seen.add(id(one))
        to_see += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            to_see += cast("BaseExceptionGroup[BaseException]", one).exceptions
    return False
