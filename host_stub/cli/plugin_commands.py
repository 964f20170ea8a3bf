"""The commands that a plugin brings: parsing them, running them, and printing their results.

``host-stub NAME COMMAND`` finds the plugin NAME in the metadata and imports it and no other. A
plugin's own short program calls :func:`parse_commands` with the same commands.
"""

# ruff: noqa: PLC0415  - the parser imports this, and most command lines name no plugin

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from host_stub.commands import CommandError, CommandResult, PluginCommand
from host_stub.errors import (
    CommandFailed,
    CommandRefused,
    ContractViolation,
    HostError,
    UsageError,
    closest,
    in_one_line,
)

if TYPE_CHECKING:
    from host_stub.text.console import Console

_CODES: Final = range(126)
"""Exit codes above these have a meaning of their own in a shell."""


def parse_installed(words: Sequence[str]) -> Namespace | None:
    """Read a command line whose first word may be the name of an installed plugin.

    Returns:
        The options; ``None`` if no plugin has this name, and nothing was imported then.

    Raises:
        PluginError: The plugin cannot be used.
        UsageError: It brings no commands, or the words cannot be understood.
    """
    from host_stub.plugins.offers import offers_of

    name, *rest = words
    found = offers_of()
    if name not in {plugin.name for plugin in found}:
        return None
    from host_stub.plugins.loading import import_plugin, pick

    chosen = pick(name, found)
    brought = import_plugin(chosen).commands()
    if not brought:
        raise UsageError(
            f"plugin {name!r} ({chosen.source}) brings no commands of its own",
            hint="'host-stub --help' lists the host's",
        )
    parser = command_parser(
        f"host-stub {name}",
        brought,
        description=f"Commands of plugin {name!r} ({chosen.source}).",
    )
    return parse_commands(parser, rest)


def understands(plugin: str, *words: str) -> bool:
    """Return whether an installed plugin has such a command; one that is broken has none.

    Args:
        plugin: Its name.
        words: The command's name, and options.
    """
    from host_stub.plugins.loading import import_plugin, pick

    try:
        commands = import_plugin(pick(plugin)).commands()
        parser = command_parser(plugin, commands, description="")
        return not parser.parse_known_args(words)[1]
    except HostError:
        return False


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that ``--json`` has an object for this too."""

    refusal: type[UsageError] = UsageError

    def error(self, message: str) -> NoReturn:
        raise self.refusal(message, hint=f"'{self.prog} --help' tells how it is used")


class CommandParser(Parser):
    """Reads what follows a plugin's name."""

    refusal = CommandRefused
    brought: tuple[str, ...] = ()
    """The commands that it knows."""


def meant(word: str, known: Iterable[str], program: str) -> str:
    """Return the hint for a word that is no command."""
    near = closest(word, known)
    return f"did you mean {near!r}?" if near else f"'{program} --help' lists the commands"


def command_parser(
    prog: str, brought: Sequence[PluginCommand], *, description: str, epilog: str | None = None
) -> CommandParser:
    """Build the parser of a plugin's commands.

    Args:
        prog: What is typed before a command.
        brought: The commands.
        description: What they are for, for ``--help``.
        epilog: What ``--help`` ends with.
    """
    parser = CommandParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.brought = tuple(command.name for command in brought)
    chosen = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=CommandParser)
    for command in brought:
        sub = chosen.add_parser(
            command.name, help=command.summary, description=command.summary, allow_abbrev=False
        )
        sub.set_defaults(command=_run_by_host(command, prog))
        try:
            command.add_arguments(sub)
            add_shared(sub)
        except Exception as error:
            problem = f"the arguments of command {command.name!r} raised {in_one_line(error)}"
            raise ContractViolation(_plugin_of(prog), "hooks.commands", problem) from error
    return parser


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command has."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and no more")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _plugin_of(prog: str) -> str:
    """Return the name of the plugin, with which both ways to call its commands end."""
    return prog.rsplit(maxsplit=1)[-1]


def parse_commands(parser: CommandParser, words: Sequence[str]) -> Namespace:
    """Read what follows the plugin's name.

    Raises:
        CommandRefused: It cannot be understood.
    """
    if words and not words[0].startswith("-") and words[0] not in parser.brought:
        raise CommandRefused(
            "unknown command",
            hint=meant(words[0], parser.brought, parser.prog),
        )
    options, unknown = parser.parse_known_args(words)
    if unknown:
        # What stands behind a = may be a key that was meant for a setting.
        named = " ".join(word.partition("=")[0] for word in unknown)
        raise CommandRefused(
            f"unrecognized arguments: {named}",
            hint=f"'{parser.prog} {words[0]} --help' tells how it is used",
        )
    return options


def _run_by_host(command: PluginCommand, prog: str) -> Callable[[Namespace, Console], int]:
    """Wrap a command as the host's own are: it prints its result and returns an exit code."""

    def run(options: Namespace, console: Console) -> int:
        try:
            result: object = command.run(options, console.progress)
        except CommandError as error:
            raise CommandFailed(
                error.message,
                hint=error.hint,
                code=error.code,
                next_actions=error.next_actions,
                retry_with=error.retry_with,
            ) from error
        except Exception as error:
            raise CommandFailed(
                f"this should not have happened: {type(error).__name__}",
                hint="run it again with --debug and report what it shows",
                code="surprise",
            ) from error
        said = _checked(result, plugin=_plugin_of(prog), command=command.name)
        if said.text:
            console.say(said.text)
        if console.json_only:
            console.result(said.data, next_actions=said.next_actions)
        return said.exit_code

    return run


def _checked(result: object, *, plugin: str, command: str) -> CommandResult:
    """Check that a result is one: no type checker need have read the plugin."""

    def violation(detail: str) -> ContractViolation:
        found = f"command {command!r} returned {detail}"
        return ContractViolation(plugin, "commands.result", found)

    if not isinstance(result, CommandResult):
        raise violation(f"{type(result).__name__} and not CommandResult")
    if result.exit_code not in _CODES:
        raise violation(f"an exit code that is none of 0 to {_CODES[-1]}")
    try:
        json.dumps(result.data, allow_nan=False)
        json.dumps([one.as_json() for one in result.next_actions])
    except (AttributeError, TypeError, ValueError) as error:
        raise violation("data that JSON does not have") from error
    return result
