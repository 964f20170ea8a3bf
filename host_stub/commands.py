"""What a plugin's own commands are made of; part of the contract.

A command is a plain function: it takes the options that were parsed for it and returns what is to
be said, as text for people and as data for ``--json``. Parsing, the two streams, escaping,
``--json`` and the exit code of an error are the host's. Apart from :mod:`host_stub.contract`
because nothing is imported here: a program that looks something up need not wait for pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

Progress: TypeAlias = Callable[[str], None]
"""Shows how far a long command is, on a terminal only; the next text takes its place."""


NextKind: TypeAlias = Literal["safe", "needs_confirmation"]
"""Whether a program may run a command by itself: ``safe`` spends nothing and gives up nothing that
could not be had back; what ``needs_confirmation`` does, somebody who pays has to want."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction:
    """A command that may come next, as it would be typed where this one was.

    Attributes:
        command: Its words, the program's name first; nothing in them is quoted.
        why: What it is for, in one line.
        cost_usd: The most it can cost; 0 for nothing, ``None`` if that is not known.
        kind: See :data:`NextKind`.
    """

    command: tuple[str, ...]
    why: str
    cost_usd: Decimal | None = Decimal(0)
    kind: NextKind = "safe"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, as it stands under ``next_actions``."""
        return {
            "command": list(self.command),
            "why": self.why,
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
            "kind": self.kind,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command has to say.

    Attributes:
        text: Lines for people; the host escapes what a terminal would obey, line by line.
        data: The one JSON object of ``--json``; it names itself under ``format``, such as
            ``my-plugin-list/1``.
        exit_code: From 0 to 125; by custom 0 is done and 1 is done with a finding.
        next_actions: What may come next, the best first; the host puts them into the object.
    """

    text: str
    data: Mapping[str, Any]
    exit_code: int = 0
    next_actions: tuple[NextAction, ...] = ()


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
        next_actions: What may come next, the best first.
        retry_with: The same command, changed so that it would work, if one would.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str = "command_failed",
        next_actions: tuple[NextAction, ...] = (),
        retry_with: NextAction | None = None,
    ) -> None:
        self.message = message
        self.hint = hint
        self.code = code
        self.next_actions = next_actions
        self.retry_with = retry_with
        super().__init__(message)
