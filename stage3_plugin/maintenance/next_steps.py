"""What may come next, as commands that can be run as they stand, for programs.

Each is made so that it finds the same ledger from here. What only looks is safe; what decides
something for good, or would have a run buy again, a person has to want.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from stage3_plugin.domain.money import usd_text
from stage3_plugin.domain.purchase import AskedFor
from stage3_plugin.domain.states import State
from stage3_plugin.domain.waited import Waited
from stage3_plugin.maintenance.listing import Found, FoundBatch, Listing, Situation
from stage3_plugin.maintenance.recover import AtStake
from stage3_plugin.maintenance.resolve import Decision, Resolved, batch_of
from stage3_plugin.maintenance.selection import Chosen
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.maintenance.verify import Verified

AT_A_TIME: Final = "10m"
"""So long a program waits in one command, whose caller may have a limit of its own."""
MOST_NAMED: Final = 5
"""Purchases whose decisions are spelled out; the others are decided likewise."""
_SHORT: Final = 8
_TO_DECIDE: Final = frozenset(
    {Situation.UNDECIDED, Situation.ABANDONED, Situation.AWAITED, Situation.NOT_TAKEN_IN}
)


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


def _stage3(folder: StateFolder, *words: str) -> tuple[str, ...]:
    return ("stage3", *words, *located(folder), "--json")


def _asking(folder: StateFolder, *ids: str) -> tuple[str, ...]:
    return _asking_command(folder, "ask", *ids)


def _asking_command(folder: StateFolder, *words: str) -> tuple[str, ...]:
    """Return a command that asks providers, which knows a config and no state folder."""
    where = () if folder.config is None else located(folder)
    return ("stage3", *words, *where, "--json")


def after_listing(listing: Listing, folder: StateFolder) -> Iterator[Next]:
    """Return what can be decided of what was listed, what only asks first."""
    batches = [one for one in listing.batches() if one.first.situation in _TO_DECIDE]
    in_batches = {one.short_id for batch in batches for one in batch.lines}
    open_ones = [
        one
        for one in listing.found
        if one.situation in _TO_DECIDE and one.short_id not in in_batches
    ]
    first_ones = [*(batch.first for batch in batches), *open_ones]
    asked = [one.short_id for one in first_ones if one.asking is not None]
    if asked:
        why = "asks their providers once more what became of them, for nothing"
        yield Next(_asking(folder, *asked[:MOST_NAMED]), why)
    if any(one.situation is Situation.BEING_MADE for one in listing.found):
        yield Next(
            _asking_command(folder, "wait", "--for", AT_A_TIME),
            "stays for what is being made, and takes it in; it buys nothing",
        )
    for batch in batches[:MOST_NAMED]:
        yield from _of_a_batch(batch, folder)
    for one in open_ones[:MOST_NAMED]:
        yield from _decisions(one, folder)
    homes = [one.home for one in listing.found if one.situation is Situation.ELSEWHERE]
    for home in dict.fromkeys(filter(None, homes)):
        yield Next(
            _stage3(folder, "recover", "--of-home", home),
            "shows what is at stake if that machine never comes back; nothing is changed",
        )


def _decisions(found: Found, folder: StateFolder) -> Iterator[Next]:
    name = f"{found.short_id} of scene {found.purchase.new.scene_id}"
    high = usd_text(found.purchase.new.hold_microusd)
    again = f"nobody can tell of {name}: it stays counted, and the next run sends it again"
    for option, why in (
        ("--billed", f"{name} was billed: it stays counted, and its scene may be made again"),
        ("--not-billed", f"{name} was not billed: its money is free again; this is final"),
        ("--resend", f"{again}, for up to {high} USD more; this is final"),
    ):
        yield Next(_stage3(folder, "resolve", found.short_id, option), why, is_safe=False)


def _of_a_batch(batch: FoundBatch, folder: StateFolder) -> Iterator[Next]:
    """Return the decisions about a whole batch; each shows first what it would be."""
    count, high = len(batch.lines), usd_text(batch.held_microusd)
    what = f"all {count:,} lines of batch {batch.short_id}, {high} USD held"
    for option, why in (
        ("--billed", "they were billed: they stay counted, and their scenes may be made again"),
        ("--not-billed", "they were not billed: their money is free again; this is final"),
        ("--resend", "nobody can tell: they stay counted, and are sent again; this is final"),
    ):
        command = _stage3(folder, "resolve", "--batch", batch.short_id, option)
        yield Next(command, f"{what}: shows what it would be if {why}")


def after_resolved(
    resolved: Sequence[Resolved], folder: StateFolder, decision: Decision
) -> Iterator[Next]:
    """Return how a decision is taken back, where it can be."""
    ids = [one.after.new.attempt_id[:_SHORT] for one in resolved]
    batch = batch_of(resolved)
    which = ids if batch is None else ["--batch", batch]
    if decision is Decision.BILLED and ids:
        sure = () if batch is None else ("--yes",)
        yield Next(
            _stage3(folder, "resolve", *which, "--cost", "0", *sure),
            "takes it back: it was not billed after all; the old figure is kept",
            is_safe=False,
        )
    yield _look(folder)


def after_foreseen(chosen: Chosen, options: Namespace, folder: StateFolder) -> Iterator[Next]:
    """Return the command that records what was shown."""
    if not chosen.purchases:
        yield _look(folder)
        return
    choice = [
        *(["--all"] if options.all else []),
        *(
            f"--{name}={value}"
            for name in ("run", "scene", "since", "batch")
            if (value := getattr(options, name)) is not None
        ),
    ]
    decision = f"--{str(options.decision).replace('_', '-')}"
    cost = [] if options.cost is None else ["--cost", usd_text(options.cost)]
    yield Next(
        _stage3(folder, "resolve", *choice, decision, *cost, "--yes"),
        "records it",
        is_safe=False,
    )


def after_verify(verified: Verified, folder: StateFolder) -> Iterator[Next]:
    """Return what a check found can be mended with."""
    kinds = {problem.kind for problem in verified.problems}
    if "store" in kinds:
        read = ("--read-store",) if verified.is_store_read else ()
        yield Next(
            _stage3(folder, "verify", "--fill-store", *read),
            "puts what the bucket lacks into it; nothing is taken away",
        )
    if "outdated" in kinds:
        yield Next(
            _stage3(folder, "verify", "--accept-folder"),
            "goes on with a ledger that is older than its folder: runs buy again what it has "
            "forgotten",
            is_safe=False,
        )


def after_ask(asked: Sequence[AskedFor], config: tuple[str, ...]) -> Iterator[Next]:
    """Return what may come after providers were asked: to stay for what was found, above all."""
    if any(one.after.state is State.ACCEPTED for one in asked):
        yield Next(
            ("stage3", "wait", "--for", AT_A_TIME, *config, "--json"),
            "stays for what is being made, and takes it in; it buys nothing",
        )
    if any(one.after.state is State.UNKNOWN for one in asked):
        yield Next(
            ("stage3", "attempts", *config, "--json"),
            "shows what is still unknown, and how each is decided",
        )


def after_wait(
    waited: Waited,
    run: tuple[str, ...] | None,
    again: tuple[str, ...],
    *,
    at_a_time: str = AT_A_TIME,
) -> Iterator[Next]:
    """Return what may come after waiting: the run that takes in, above all, if anything came.

    While nothing has come it stands last: a program that takes the first would run in a loop.

    Args:
        waited: How it stands.
        run: The run of the story, if its scene file is known.
        again: The command that waited, without its limit.
        at_a_time: So long it is to wait.
    """
    steps: list[Next] = []
    if not waited.is_over:
        limited = (*again[:2], "--for", at_a_time, *again[2:], "--json")
        steps.append(Next(limited, "goes on waiting; it buys nothing"))
    if run is not None and (waited.pictures or not waited.is_over):
        taking_in = Next(
            (*run[:2], "--max-cost", "0", "--json", *run[2:]),
            "puts what came where it belongs, for nothing",
        )
        steps.insert(0 if waited.pictures else len(steps), taking_in)
    yield from steps
    if any(one.ended.get(State.UNKNOWN) for one in waited.jobs):
        yield Next(
            ("stage3", "attempts", *again[2:], "--json"),
            "shows what is unknown, and how each is decided",
        )


def after_recover(found: AtStake, folder: StateFolder) -> Iterator[Next]:
    """Return what may come after a look at what another machine has sent."""
    if found.is_done:
        yield _look(folder)
    else:
        yield Next(
            _stage3(folder, "recover", "--of-home", found.home, "--yes"),
            "gives it up: what may have been billed is unknown then, and stays counted",
            is_safe=False,
        )


def checking(folder: StateFolder) -> Next:
    """Return the check of a ledger."""
    return Next(_stage3(folder, "verify"), "checks the ledger, and that every picture is there")


def _look(folder: StateFolder) -> Next:
    return Next(_stage3(folder, "attempts"), "lists what needs somebody")
