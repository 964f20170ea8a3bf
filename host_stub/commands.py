"""What a plugin's own commands are made of; part of the contract since 1.1.

A command is a plain function: it takes the options that were parsed for it and returns what is to
be said, as text for people and as data for ``--json``. Parsing, the two streams, escaping,
``--json`` and the exit code of an error are the host's. Apart from :mod:`host_stub.contract`
because nothing is imported here: a program that looks something up need not wait for pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

Progress: TypeAlias = Callable[[str], None]
"""Shows how far a long command is, on a terminal only; the next text takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command has to say.

    Attributes:
        text: Lines for people; the host escapes what a terminal would obey, line by line.
        data: The one JSON object of ``--json``.
        exit_code: From 0 to 125; by custom 0 is done and 1 is done with a finding.
    """

    text: str
    data: Mapping[str, Any]
    exit_code: int = 0


def _takes_nothing(_: ArgumentParser) -> None:
    """Add no argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginCommand:
    """A command as its plugin describes it; making one must be cheap.

    Attributes:
        name: The word behind the plugin's name: ``list`` for ``host-stub my-plugin list``.
        summary: One line for ``--help``.
        run: Does it; called with the parsed options and with what shows progress. What is heavy is
            imported in it.
        add_arguments: Adds its arguments to a parser, which has ``--json`` and ``--debug`` already.
    """

    name: str
    summary: str
    run: Callable[[Namespace, Progress], CommandResult]
    add_arguments: Callable[[ArgumentParser], None] = _takes_nothing


class CommandError(Exception):
    """Raised by a command that cannot do what it was asked; any other exception is a fault.

    Attributes:
        message: One line for people.
        hint: The next step.
        code: The kind of error for programs.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, code: str = "command_failed"
    ) -> None:
        self.message = message
        self.hint = hint
        self.code = code
        super().__init__(message)
