"""What the commands of ``stage3`` take, and what they return.

Each command is a plain function from parsed options to a report; a host reads the command line and
writes to the streams. Only what parsing needs is imported here; a command imports what it uses
when it is called.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from stage3_plugin.domain.states import State
from stage3_plugin.maintenance import Refused

if TYPE_CHECKING:
    from stage3_plugin.ledger.postgres.place import PostgresPlace
    from stage3_plugin.ledger.spending import Dimension
    from stage3_plugin.maintenance.next_steps import Next
    from stage3_plugin.maintenance.report import Report
    from stage3_plugin.maintenance.state_folder import StateFolder

_CHOSEN_BY: Final = ("run", "scene", "since", "batch")
"""The options of ``resolve`` that choose purchases of unknown outcome."""
_BATCH_CHARACTERS = 6
"""Of a batch's name, at least, are said."""
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_MANY_PICTURES = 60
"""From so many on the check shows its progress."""
_PROGRESS_EVERY = 20
"""Pictures between two such lines."""


Progress: TypeAlias = Callable[[str], None]
Command: TypeAlias = Callable[[Namespace, Progress], "Report"]


class CommandRefused(Refused):
    """Options that do not belong together."""


# The commands ------------------------------------------------------------------------------------


def attempts(options: Namespace, _: Progress) -> Report:
    """List the purchases that need somebody, and what to do."""
    from stage3_plugin.maintenance.listing import look

    return look(
        options.folder,
        states=options.state or None,
        scene_id=options.scene,
        everything=options.all,
        limit=options.limit,
    )


def resolve_purchases(options: Namespace, _: Progress) -> Report:
    """Record what became of purchases with unknown outcome, or what they cost."""
    from stage3_plugin.maintenance import resolve

    _check_resolve(options)
    folder, ids, now = options.folder, options.ids, datetime.now(UTC)
    if options.day is not None:
        return resolve.set_day(folder, options.day, now=now)
    if options.decision is not None:
        choice = resolve.Choice(
            run_id=options.run, scene_id=options.scene, since=options.since, batch=options.batch
        )
        return resolve.resolve(
            folder,
            ids or choice,
            resolve.Decision(options.decision),
            now=now,
            cost_microusd=options.cost,
            is_sure=options.yes,
            again=_recording(options),
        )
    if ids:
        return resolve.correct(folder, ids, options.cost, now=now)
    return resolve.correct_batch(folder, options.batch, options.cost, now=now, is_sure=options.yes)


def _recording(options: Namespace) -> Next:
    """Return the command that records what this one shows."""
    from stage3_plugin.domain.money import usd_text
    from stage3_plugin.maintenance.next_steps import Next, stage3

    words = ["--all"] if options.all else []
    given = ((name, getattr(options, name)) for name in _CHOSEN_BY)
    words += [f"--{name}={value}" for name, value in given if value is not None]
    words += [f"--{options.decision.replace('_', '-')}"]
    words += [] if options.cost is None else ["--cost", usd_text(options.cost)]
    return Next(stage3(options.folder, "resolve", *words, "--yes"), "records it", is_safe=False)


def _check_resolve(options: Namespace) -> None:
    """Check that the options belong together.

    Raises:
        CommandRefused: They do not.
    """
    how = "'stage3 resolve --help' tells how it is used"
    chosen_by = [name for name in _CHOSEN_BY if getattr(options, name) is not None]
    chooses, decides = options.all or bool(chosen_by), options.decision is not None
    if options.day is not None:
        if options.ids or chooses or decides or options.cost is not None:
            raise CommandRefused("--day stands alone: it is about the ledger's day", hint=how)
        return
    if options.ids and chooses:
        raise CommandRefused(
            "ids and --all, --run, --scene, --since or --batch are not allowed together", hint=how
        )
    if options.cost is not None and options.decision not in {None, "billed"}:
        raise CommandRefused(
            "--cost tells what was billed", hint="give it with --billed, or leave it out"
        )
    if not decides and options.cost is None:
        raise CommandRefused(
            "one of --billed, --not-billed and --resend is required, or --cost USD for a bill that "
            "is wrong",
            hint=how,
        )
    is_about_a_batch = chosen_by == ["batch"] and not options.all
    if not options.ids and not (chooses if decides else is_about_a_batch):
        ways = "--all, --run RUN, --scene SCENE, --since WHEN or --batch BATCH"
        choice = f", or {ways}" if decides else ""
        raise CommandRefused(f"an ID is required{choice}", hint=how)


def verify_ledger(options: Namespace, progress: Progress) -> Report:
    """Check the ledger, and that every picture is there and right."""
    from stage3_plugin.maintenance import verify

    def show(done: int, of: int) -> None:
        if of >= _MANY_PICTURES and done % _PROGRESS_EVERY == 0:
            progress(f"checking pictures: {done:,} of {of:,}")

    folder = options.folder
    if options.accept_folder:
        return verify.accept(folder, now=datetime.now(UTC))
    return verify.verify(
        folder, fill_store=options.fill_store, read_store=options.read_store, progress=show
    )


def recover_home(options: Namespace, _: Progress) -> Report:
    """Give up what a machine that never comes back has sent: it is unknown then."""
    from stage3_plugin.maintenance.recover import recover

    now = datetime.now(UTC)
    return recover(options.folder, options.of_home, now=now, is_sure=options.yes)


def list_providers(_options: Namespace, _: Progress) -> Report:
    """List who can make pictures, and what each can."""
    from stage3_plugin.maintenance.providers import installed

    return installed()


def show_costs(options: Namespace, _: Progress) -> Report:
    """Say what was spent, by day, provider, model, story or scene, and write it as CSV."""
    from stage3_plugin.maintenance import costs

    if options.csv == costs.STDOUT and options.json:
        raise CommandRefused(
            "--csv - and --json cannot both have the standard output",
            hint="name a file for --csv, or leave --json out",
        )
    if options.since is not None and options.until is not None and options.until < options.since:
        raise CommandRefused(
            "--until is a day before --since", hint="both are days of the ledger, and count"
        )
    question = costs.Question(by=options.by, since=options.since, until=options.until)
    if options.csv is not None:
        return costs.save(options.folder, question, options.csv)
    most = None if options.json else costs.MOST_LINES
    return costs.look(options.folder, question, most=most)


def show_room(options: Namespace, _: Progress) -> Report:
    """Say what the project holds, by what, and what could be made again at no cost."""
    from stage3_plugin.maintenance.room import look

    return look(options.folder, options.out)


def move_ledger(options: Namespace, progress: Progress) -> Report:
    """Move the ledger from its file to the server that the config names."""
    from stage3_plugin.maintenance import moving

    folder: StateFolder = options.folder
    if folder.place.is_file:
        raise CommandRefused(
            "the config names no server that could keep the ledger",
            hint='set ledger = { env = "STAGE3_LEDGER" } under [plugin.stage3], and name the '
            "config with --config FILE if it is not ./host.toml",
        )
    place = cast("PostgresPlace", folder.place)
    if options.back:
        return moving.take_back(folder, place)

    def tell(table: str, count: int) -> None:
        progress(f"{count:,} {table} are there")

    return moving.move(folder, place, now=datetime.now(UTC), tell=tell)


# What may be asked --------------------------------------------------------------------------------


class Option(NamedTuple):
    """An option of a command, or its words.

    Attributes:
        name: As it is typed.
        help: For ``--help``.
        metavar: What its value is called there; without, it takes none.
        more: What else a parser is told.
    """

    name: str
    help: str
    metavar: str | None = None
    more: Mapping[str, Any] = {}


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Add options to a parser."""
    for one in options:
        takes: dict[str, Any] = (
            {"metavar": one.metavar} if one.metavar else {"action": "store_true"}
        )
        parser.add_argument(one.name, help=one.help, **{**takes, **one.more})


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command of this name."""
    if name == "resolve":
        decision = parser.add_mutually_exclusive_group()
        for option, value, summary in _DECISIONS:
            decision.add_argument(
                option, dest="decision", action="store_const", const=value, help=summary
            )
    add_options(parser, COMMANDS[name][1])
    if name != "providers":  # it looks at no ledger
        add_options(parser, _LEDGER)


def _state(text: str) -> State:
    try:
        return State(text.upper().replace("-", "_"))
    except ValueError:
        names = ", ".join(State).lower()
        raise argparse.ArgumentTypeError(f"should be one of {names}") from None


def _day(text: str) -> date:
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if str(day) == text:
            return day
    raise argparse.ArgumentTypeError("should be a day, such as 2026-11-03")


def duration_s(text: str) -> float:
    """Read a duration of an option, such as ``2h``, as seconds."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            "should be a whole number and a unit, such as 90s, 30m, 2h or 1d"
        )
    return float(int(found[1]) * SECONDS[found[2]])


def _since(text: str) -> datetime:
    """Read since when: a date, a date and time (UTC without a zone), or so long ago."""
    with suppress(ValueError, OverflowError):
        if _DURATION.fullmatch(text):
            return datetime.now(UTC) - timedelta(seconds=duration_s(text))
        if _MOMENT.fullmatch(text):  # fromisoformat takes more, and not the same everywhere
            read = datetime.fromisoformat(text)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read
    raise argparse.ArgumentTypeError(
        "should be a date, a date and time (UTC without a zone), or so long ago, such as "
        "2026-11-03, 2026-11-03T18:00 or 2h"
    )


def _batch(text: str) -> str:
    if len(text) < _BATCH_CHARACTERS:
        raise argparse.ArgumentTypeError(
            f"should be at least {_BATCH_CHARACTERS} characters of what 'attempts' calls a batch"
        )
    return text


def _dimensions(text: str) -> tuple[Dimension, ...]:
    from stage3_plugin.ledger.spending import DIMENSIONS

    said = [one.strip() for one in text.split(",")]
    if not set(said) <= set(DIMENSIONS) or len(set(said)) < len(said):
        problem = f"should be some of {','.join(DIMENSIONS)}, each once"
        raise argparse.ArgumentTypeError(problem)
    return tuple(one for one in DIMENSIONS if one in said)


def count(text: str) -> int:
    """Read a whole number of an option."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError("should be a whole number of at least 1")
    return int(text)


def _microusd(text: str) -> int:
    from stage3_plugin.domain.money import to_microusd

    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(
            "should be US dollars with at most 6 decimals, such as 0.042"
        )
    return to_microusd(Decimal(text))


_LEDGER: Final = (
    Option(
        "--state-dir",
        "the folder of the setting state_dir (default: ./.stage3)",
        "DIR",
        {"type": Path},
    ),
    Option(
        "--config",
        "the config that says where the ledger is (default: ./host.toml, if it has the setting "
        "ledger)",
        "FILE",
        {"type": Path},
    ),
)
_DECISIONS: Final = (
    ("--billed", "billed", "it was billed: it stays counted, the scene may be made again"),
    ("--not-billed", "not_billed", "it was not billed: release its amount, allow the scene"),
    ("--resend", "resend", "unclear: keep counting it, and send the request again"),
)
_ATTEMPTS: Final = (
    Option(
        "--state",
        f"only these, such as unknown; may be repeated ({', '.join(State).lower()})",
        "STATE",
        {"action": "append", "default": [], "type": _state},
    ),
    Option("--scene", "only those of this scene", "ID"),
    Option("--limit", "only the newest N", "N", {"type": count}),
    Option("--all", "also those that need nobody"),
)
_RESOLVE: Final = (
    Option("ids", "what 'attempts' shows, or its first 6 digits or more", "ID", {"nargs": "*"}),
    Option(
        "--cost",
        "with --billed: what each was billed, if you know (default: what was held for it); "
        "with ids alone: what they were really billed, in the place of what is recorded",
        "USD",
        {"type": _microusd},
    ),
    Option("--all", "all whose outcome is unknown"),
    Option("--run", "those of them that this run has sent", "RUN"),
    Option("--scene", "those of them of this scene", "SCENE"),
    Option(
        "--since",
        "those of them sent since a date, a date and time, or so long ago, such as 2h",
        "WHEN",
        {"type": _since},
    ),
    Option(
        "--batch",
        "all lines of this batch, by what 'attempts' or its provider calls it, or how that begins",
        "BATCH",
        {"type": _batch},
    ),
    Option(
        "--yes",
        "record what is shown. With ids it is needed only where the next run would take in an "
        "answer that is there",
    ),
    Option(
        "--day",
        "set the ledger's day back to this one, such as 2026-11-03, after a wrong clock",
        "DAY",
        {"type": _day},
    ),
)
_VERIFY: Final = (
    Option(
        "--accept-folder",
        "go on with a ledger that is older than its folder: what it has forgotten is bought again",
    ),
    Option("--fill-store", "put what the bucket of the setting store lacks into it"),
    Option(
        "--read-store",
        "read every picture in that bucket; without, names and lengths are compared there",
    ),
)
_COSTS: Final = (
    Option(
        "--by",
        "what is told apart: some of day,provider,model,story,scene (default: day,provider,model)",
        "WORDS",
        {"type": _dimensions, "default": ("day", "provider", "model")},
    ),
    Option("--since", "only from this day on, such as 2026-11-03", "DAY", {"type": _day}),
    Option("--until", "only up to this day, it included", "DAY", {"type": _day}),
    Option("--csv", "write it as CSV; - is the standard output", "FILE", {"type": Path}),
)
_ROOM: Final = (
    Option(
        "--out",
        "the folder of results (default: ./out)",
        "DIR",
        {"type": Path, "default": Path("out")},
    ),
)
_RECOVER: Final = (
    Option(
        "--of-home",
        "the home of a machine that never comes back, as 'attempts' names it",
        "WORD",
        {"required": True},
    ),
    Option("--yes", "give it up; without, only what is at stake is shown"),
)
_MOVE: Final = (
    Option("--back", "give up a move that did not end and brought nothing: the file is used again"),
)


COMMANDS: Final[Mapping[str, tuple[Command, Iterable[Option]]]] = {
    "attempts": (attempts, _ATTEMPTS),
    "resolve": (resolve_purchases, _RESOLVE),
    "verify": (verify_ledger, _VERIFY),
    "providers": (list_providers, ()),
    "costs": (show_costs, _COSTS),
    "room": (show_room, _ROOM),
    "recover": (recover_home, _RECOVER),
    "move-ledger": (move_ledger, _MOVE),
}
"""Each with what it takes beside what finds the ledger; its first line says what it is for."""
