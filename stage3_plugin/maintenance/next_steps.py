"""What may come next, as commands that can be run as they stand.

Each is made so that it finds the same ledger from here. What only looks is safe; what decides
something for good, or would have a run buy again, a person has to want.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from stage3_plugin.maintenance.state_folder import StateFolder

AT_A_TIME: Final = "10m"
"""So long a program waits in one command, whose caller may have a limit of its own."""
_STAYS: Final = "stays for what is being made, and takes it in; it buys nothing"
_MOST: Final = {"ask": 5, "wait": 1, "resolve": 15, "recover": 20}
"""How many commands of each are named, in this order; the others are made likewise."""


class Next(NamedTuple):
    """A command that may come next.

    Attributes:
        command: Its words, the program's name first; nothing in them is quoted.
        why: What it is for.
        is_safe: It spends nothing and gives up nothing that could not be had back.
    """

    command: tuple[str, ...]
    why: str
    is_safe: bool = True


def located(folder: StateFolder) -> tuple[str, ...]:
    """Return the option that a command needs to find the ledger from here."""
    if folder.is_default:
        return ()
    if folder.config is not None:
        return ("--config", str(folder.config))
    return ("--state-dir", str(folder.given))


def asking(folder: StateFolder) -> tuple[str, ...]:
    """Return the option for ``ask`` and ``wait``, which know a config alone."""
    return () if folder.config is None else located(folder)


def stage3(folder: StateFolder, *words: str) -> tuple[str, ...]:
    """Return a command that finds this ledger."""
    return ("stage3", *words, *located(folder), "--json")


def looking(folder: StateFolder) -> Next:
    """Return the listing of what needs somebody."""
    return Next(stage3(folder, "attempts"), "lists what needs somebody")


def checking(folder: StateFolder) -> Next:
    """Return the check of a ledger."""
    return Next(stage3(folder, "verify"), "checks the ledger, and that every picture is there")


def waiting(where: Sequence[str], *, at_a_time: str = AT_A_TIME, why: str = _STAYS) -> Next:
    """Return what stays for a job, by the config that ``where`` names."""
    return Next(("stage3", "wait", "--for", at_a_time, *where, "--json"), why)


def deciding(
    folder: StateFolder, *which: str, billed: str | None = None, shows_first: bool = False
) -> Iterator[Next]:
    """Yield the decisions about a purchase, or about a batch, of which each is shown first."""
    them = shows_first
    paid = "they were billed; what each cost" if them else "it was billed; what it cost"
    free = "they were not: their" if them else "it was not billed: its"
    again = "count them, send them again" if them else "count it, and send it again"
    more = "" if them else ", with --cost"
    for option, why in (
        ("--billed", billed or f"{paid} can be put right later{more}"),
        ("--not-billed", f"{free} money is free again. This is final"),
        ("--resend", f"nobody can tell: {again}. This is final"),
    ):
        command = ("stage3", "resolve", *which, *located(folder), option, "--json")
        yield Next(command, why, is_safe=shows_first)


def in_lines(steps: Iterable[Next]) -> Iterator[str]:
    """Yield commands as people type them, and what they are for."""
    typed = [(shlex.join(one.command[:-1]), one) for one in steps]
    width = max((len(line) for line, one in typed if one.command[1] == "resolve"), default=0)
    for line, one in typed:
        yield f"  {line:<{width if one.command[1] == 'resolve' else 0}}   {one.why}"


def best_first(steps: Iterable[Next]) -> Iterator[Next]:
    """Yield commands for programs, each once: what asks and waits before what decides."""
    each = list(dict.fromkeys(steps))
    for word, most in _MOST.items():
        yield from islice((one for one in each if one.command[1] == word), most)
