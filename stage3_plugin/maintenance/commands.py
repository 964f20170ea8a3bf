"""What the commands of ``stage3`` take, and what they return.

Each command is a plain function from parsed options to text and data; a host reads the command line
and writes to the streams. Only what parsing needs is imported here; a command imports what it uses
when it is called.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from stage3_plugin.domain.states import State
from stage3_plugin.errors import Stage3Error

if TYPE_CHECKING:
    from datetime import date, datetime

    from stage3_plugin.ledger.postgres.place import PostgresPlace
    from stage3_plugin.ledger.spending import Dimension
    from stage3_plugin.maintenance.next_steps import Next
    from stage3_plugin.maintenance.state_folder import StateFolder

EXIT_DONE: Final = 0
EXIT_PROBLEMS: Final = 1
DEFAULT_STATE_DIR: Final = Path(".stage3")
DEFAULT_OUT_DIR: Final = Path("out")

_MANY_PICTURES = 60
"""From so many on the check shows its progress."""
_PROGRESS_EVERY = 20
"""Pictures between two such lines."""


class Said(NamedTuple):
    """What a command returns.

    Attributes:
        text: For people.
        data: For programs.
        exit_code: For a shell.
        next_actions: Commands that may come next, the best first.
    """

    text: str
    data: Mapping[str, object]
    exit_code: int = EXIT_DONE
    next_actions: tuple[Next, ...] = ()


class Where(NamedTuple):
    """What a config says of where a ledger is, for a command that was named one, or found it.

    Attributes:
        state_dir: The setting, from the current folder.
        ledger: The setting, with what is secret in it; ``None`` for a file below ``state_dir``.
        project: The setting.
        store: The setting; of a run that the machine has not had yet, too.
        config: The file, as a command that is run here would name it.
        is_default: It need not be named.
    """

    state_dir: Path
    ledger: str | None
    project: str
    store: str | None
    config: Path
    is_default: bool

    def __repr__(self) -> str:
        return f"Where({str(self.config)!r})"


Progress: TypeAlias = Callable[[str], None]
Command: TypeAlias = Callable[[Namespace, Progress], Said]


class CommandRefused(Stage3Error):
    """Options that do not belong together."""

    def __init__(self, problem: str, *, hint: str) -> None:
        self.hint = hint
        super().__init__(problem)


# The commands ------------------------------------------------------------------------------------


def attempts(options: Namespace, _: Progress) -> Said:
    """List purchases."""
    from datetime import UTC, datetime

    from stage3_plugin.maintenance import next_steps
    from stage3_plugin.maintenance.listing import look
    from stage3_plugin.maintenance.report import listing_json, listing_text

    folder = _folder(options)
    chosen = bool(options.state or options.scene is not None or options.all)
    listing = look(
        folder,
        states=options.state or None,
        scene_id=options.scene,
        everything=options.all,
        limit=options.limit,
    )
    today = datetime.now(UTC).date()
    text = listing_text(listing, folder, chosen=chosen, today=today)
    return Said(
        text,
        listing_json(listing, folder),
        next_actions=tuple(next_steps.after_listing(listing, folder)),
    )


def resolve_purchases(options: Namespace, _: Progress) -> Said:
    """Record what became of purchases, what they cost, or which day it is."""
    from datetime import UTC, datetime

    _check_resolve(options)
    now = datetime.now(UTC)
    if options.day is not None:
        return _set_day(options, now)
    if options.decision is None:
        return _correct(options, now)
    if not options.ids:
        return _resolve_chosen(options, now)
    from stage3_plugin.maintenance import next_steps, resolve, resolve_report

    folder = _folder(options)
    decision = resolve.Decision(options.decision)
    resolved = resolve.resolve(
        folder,
        options.ids,
        decision,
        now=now,
        cost_microusd=options.cost,
        gives_up_answers=options.yes,
    )
    text = resolve_report.resolved_text(resolved, decision)
    return Said(
        text,
        resolve_report.resolved_json(resolved, decision, folder),
        next_actions=tuple(next_steps.after_resolved(resolved, folder, decision)),
    )


_NO_CHOICE: Final = (None, None, None)


def _check_resolve(options: Namespace) -> None:
    """Check that the options belong together.

    Raises:
        CommandRefused: It does not.
    """
    how = "'stage3 resolve --help' tells how it is used"
    chosen_by = (options.run, options.scene, options.since, options.batch)
    chooses = options.all or any(word is not None for word in chosen_by)
    decides = options.decision is not None
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
    is_about_a_batch = options.batch is not None and not options.all and chosen_by[:3] == _NO_CHOICE
    if not options.ids and (not chooses or not (decides or is_about_a_batch)):
        ways = "--all, --run RUN, --scene SCENE, --since WHEN or --batch BATCH"
        choice = f", or {ways}" if decides else ""
        raise CommandRefused(f"an ID is required{choice}", hint=how)


def _resolve_chosen(options: Namespace, now: datetime) -> Said:
    """Record a decision about many, or show what it would be."""
    from stage3_plugin.maintenance import next_steps, resolve, resolve_report, selection

    try:
        since = None if options.since is None else selection.moment(options.since, now=now)
    except (ValueError, OverflowError):
        raise CommandRefused(
            "--since should be a date, a date and time, or so long ago, such as 2026-11-03, "
            "2026-11-03T18:00 or 2h",
            hint="times without a zone are UTC, as 'stage3 attempts' shows them; "
            "'stage3 resolve --help' tells the rest",
        ) from None
    folder = _folder(options)
    decision = resolve.Decision(options.decision)
    if options.batch is not None and len(options.batch) < selection.BATCH_CHARACTERS:
        raise CommandRefused(
            f"--batch should be at least {selection.BATCH_CHARACTERS} characters of a batch's name",
            hint="'stage3 attempts' shows how it is called",
        )
    choice = selection.Choice(
        run_id=options.run, scene_id=options.scene, since=since, batch=options.batch
    )
    resolved: list[resolve.Resolved] = []
    if options.yes:
        resolved, chosen = resolve.resolve_chosen(
            folder, choice, decision, now=now, cost_microusd=options.cost
        )
    else:
        chosen = resolve.foresee(folder, choice)
    text = resolve_report.chosen_text(chosen, decision, options.cost, is_done=options.yes)
    if resolved:
        text += f"\n{resolve_report.resolved_text(resolved, decision)}"
    result = resolve_report.chosen_json(chosen, resolved, decision, folder, is_done=options.yes)
    after = (
        next_steps.after_resolved(resolved, folder, decision)
        if options.yes
        else next_steps.after_foreseen(chosen, options, folder)
    )
    return Said(text, result, next_actions=tuple(after))


def _correct(options: Namespace, now: datetime) -> Said:
    """Correct bills."""
    from stage3_plugin.maintenance import resolve, resolve_report

    folder = _folder(options)
    ids: list[str] = options.ids
    if options.batch is not None:
        found = resolve.found_billed(folder, options.batch)
        if not options.yes:
            text = resolve_report.would_correct_text(found, options.cost)
            return Said(text, resolve_report.corrected_json((), folder))
        ids = [one.new.attempt_id for one in found]
    corrected = resolve.correct(folder, ids, options.cost, now=now)
    text = resolve_report.corrected_text(corrected)
    return Said(text, resolve_report.corrected_json(corrected, folder))


def _set_day(options: Namespace, now: datetime) -> Said:
    """Correct the ledger's day."""
    from stage3_plugin.maintenance import resolve, resolve_report

    folder = _folder(options)
    with folder.reading() as ledger:
        known = ledger.last_day()
    before = resolve.set_day(folder, options.day, now=now)
    text = resolve_report.day_text(options.day, before, known)
    return Said(text, resolve_report.day_json(options.day, before, known, folder))


def verify_ledger(options: Namespace, progress: Progress) -> Said:
    """Check the ledger and the pictures."""
    from datetime import UTC, datetime

    from stage3_plugin.maintenance import next_steps, report, verify

    def show(done: int, of: int) -> None:
        if of >= _MANY_PICTURES and done % _PROGRESS_EVERY == 0:
            progress(f"checking pictures: {done:,} of {of:,}")

    folder = _folder(options)
    if options.accept_folder:
        accepted = verify.accept(folder, now=datetime.now(UTC))
        text = report.accepted_text(accepted, folder)
        checking = next_steps.checking(folder)
        return Said(text, report.accepted_json(accepted, folder), next_actions=(checking,))
    far = {"fill_store": options.fill_store, "read_store": options.read_store}
    verified = verify.verify(folder, **far, progress=show)
    return Said(
        report.verified_text(verified, folder),
        report.verified_json(verified, folder),
        EXIT_PROBLEMS if verified.problems else EXIT_DONE,
        tuple(next_steps.after_verify(verified, folder)),
    )


def recover_home(options: Namespace, _: Progress) -> Said:
    """Give up what another machine has sent, or show what that would be."""
    from datetime import UTC, datetime

    from stage3_plugin.maintenance import next_steps, recover

    folder, home = _folder(options), options.of_home
    if options.yes:
        found = recover.give_up(folder, home, now=datetime.now(UTC))
    else:
        found = recover.foresee(folder, home)
    return Said(
        recover.as_text(found),
        recover.as_json(found, folder),
        next_actions=tuple(next_steps.after_recover(found, folder)),
    )


def list_providers(_options: Namespace, _: Progress) -> Said:
    """List who can make pictures, and what each can."""
    from stage3_plugin.maintenance import executors, providers

    found = providers.installed()
    run_by = executors.installed_executors()
    return Said(
        f"{providers.as_text(found)}\n{executors.as_text(run_by)}",
        providers.as_json(found) | {"executors": executors.as_json(run_by)},
    )


def show_costs(options: Namespace, _: Progress) -> Said:
    """Say what was spent, or write it for accountants."""
    from stage3_plugin.maintenance import costs, costs_file

    if options.csv == Path("-") and options.json:
        raise CommandRefused(
            "--csv - and --json cannot both have the standard output",
            hint="name a file for --csv, or leave --json out",
        )
    if options.since is not None and options.until is not None and options.until < options.since:
        raise CommandRefused(
            "--until is a day before --since", hint="both are days of the ledger, and count"
        )
    question = costs.Question(by=options.by, since=options.since, until=options.until)
    folder = _folder(options)
    if options.csv is None:
        most = None if options.json else costs.MOST_LINES
        found = costs.look(folder, question, most=most)
        return Said(costs.costs_text(found, folder), costs.costs_json(found, folder))
    where: Where | None = getattr(options, "where", None)
    on_a_server = where is not None and where.ledger is not None
    account = where.project if where is not None and on_a_server else folder.path.parent.name
    account = account or "stage3"
    if options.csv == Path("-"):
        found = costs_file.send(folder, question, account=account)
        return Said("", costs.costs_json(found, folder, csv="-"))
    found = costs_file.save(folder, question, options.csv, account=account)
    total = costs.costs_text(costs.without_lines(found), folder)
    return Said(
        f"{options.csv} has it\n{total}", costs.costs_json(found, folder, csv=str(options.csv))
    )


def show_room(options: Namespace, _: Progress) -> Said:
    """Say what a project holds, by what."""
    from stage3_plugin.maintenance.room import look
    from stage3_plugin.maintenance.room_report import room_json, room_text

    room = look(_folder(options), options.out)
    return Said(room_text(room), room_json(room))


def move_ledger(options: Namespace, progress: Progress) -> Said:
    """Move a ledger from its file to a server."""
    from datetime import UTC, datetime

    from stage3_plugin.maintenance import moving, next_steps
    from stage3_plugin.maintenance.state_folder import StateFolder

    where = _server(options)
    folder = StateFolder(where.state_dir, is_default=where.is_default, config=where.config)
    place = _server_place(where)
    if options.back:
        path = moving.take_back(folder, place)
        return Said(moving.back_text(path), moving.back_json(path))

    def tell(table: str, count: int) -> None:
        progress(f"{count:,} {table} are there")

    moved = moving.move(folder, place, now=datetime.now(UTC), tell=tell)
    return Said(
        moving.moved_text(moved),
        moving.moved_json(moved),
        next_actions=(next_steps.checking(folder),),
    )


def write_ledger_sql(options: Namespace, _: Progress) -> Said:
    """Write what an owner runs, so that a role may buy and neither delete nor change a rule."""
    from stage3_plugin.errors import need

    need("postgres", setting="ledger")
    from stage3_plugin.ledger.postgres.place import rights, script

    where = _server(options)
    text = (rights if options.rights else script)(where.project, options.role)
    return Said(text, {"format": "stage3-ledger-sql/1", "project": where.project, "sql": text})


def _server_place(where: Where) -> PostgresPlace:
    """Return the server that a config names, as a place that a move goes to."""
    from stage3_plugin.errors import need

    need("postgres", setting="ledger")
    from stage3_plugin.ledger.postgres.place import PostgresPlace
    from stage3_plugin.runtime.database_url import DatabaseUrl

    return PostgresPlace(DatabaseUrl.parse(where.ledger or ""), where.project)


def _server(options: Namespace) -> Where:
    """Return where the config puts the ledger.

    Raises:
        CommandRefused: It is a file, or there is no config.
    """
    where: Where | None = getattr(options, "where", None)
    if where is None or where.ledger is None:
        raise CommandRefused(
            "the config names no server that could keep the ledger",
            hint='set ledger = { env = "STAGE3_LEDGER" } under [plugin.stage3], and name the '
            "config with --config FILE if it is not ./host.toml",
        )
    return where


def _folder(options: Namespace) -> StateFolder:
    from stage3_plugin.maintenance.state_folder import StateFolder

    where: Where | None = getattr(options, "where", None)
    if where is not None:
        from stage3_plugin.ledger.place import place_of

        return StateFolder(
            where.state_dir,
            is_default=where.is_default,
            place=place_of(where.ledger, where.project, where.state_dir.absolute()),
            config=where.config,
            store_address=where.store,
        )
    given: Path | None = options.state_dir
    return StateFolder(given or DEFAULT_STATE_DIR, is_default=given is None)


# What may be asked --------------------------------------------------------------------------------


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command of this name."""
    _, _, add_own = COMMANDS[name]
    add_own(parser)
    if name != "providers":  # it looks at no ledger
        _add_state_dir(parser)


def _add_attempts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        type=_state,
        metavar="STATE",
        help=f"only these, such as unknown; may be repeated ({', '.join(State).lower()})",
    )
    parser.add_argument("--scene", metavar="ID", help="only those of this scene")
    parser.add_argument("--limit", type=count, metavar="N", help="only the newest N")
    parser.add_argument("--all", action="store_true", help="also those that need nobody")


def _add_resolve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="what 'attempts' shows, or its first 6 digits or more"
    )
    decision = parser.add_mutually_exclusive_group()
    for option, value, summary in (
        ("--billed", "billed", "it was billed: it stays counted, the scene may be made again"),
        ("--not-billed", "not_billed", "it was not: its money is free, the scene may be made"),
        ("--resend", "resend", "nobody can tell: it stays counted, and is sent again"),
    ):
        decision.add_argument(
            option, dest="decision", action="store_const", const=value, help=summary
        )
    parser.add_argument(
        "--cost",
        type=_microusd,
        metavar="USD",
        help="with --billed: what each was billed, if you know (default: what was held for it); "
        "with ids alone: what they were really billed, in the place of what is recorded",
    )
    parser.add_argument("--all", action="store_true", help="all whose outcome is unknown")
    parser.add_argument("--run", metavar="RUN", help="those of them that this run has sent")
    parser.add_argument("--scene", metavar="SCENE", help="those of them of this scene")
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="those of them sent since a date, a date and time, or so long ago, such as 2h",
    )
    parser.add_argument(
        "--batch",
        metavar="BATCH",
        help="all lines of this batch, by what 'attempts' or its provider calls it, or how that "
        "begins",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="record it; without, all of these only show what would be. "
        "With ids: also where the next run would take in an answer that is there",
    )
    parser.add_argument(
        "--day",
        type=_day,
        metavar="DAY",
        help="set the ledger's day back to this one, such as 2026-11-03, after a wrong clock",
    )


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-folder",
        action="store_true",
        help="go on with a ledger that is older than its folder: what it has forgotten is bought "
        "again",
    )
    parser.add_argument(
        "--fill-store",
        action="store_true",
        help="put what the bucket of the setting store lacks into it",
    )
    parser.add_argument(
        "--read-store",
        action="store_true",
        help="read every picture in that bucket; without, names and lengths are compared there",
    )


def _add_recover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--of-home",
        required=True,
        metavar="WORD",
        help="the home of a machine that never comes back, as 'attempts' names it",
    )
    parser.add_argument(
        "--yes", action="store_true", help="give it up; without, only what is at stake is shown"
    )


def _add_costs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        type=_dimensions,
        default=("day", "provider", "model"),
        metavar="WORDS",
        help="what is told apart: some of day,provider,model,story,scene "
        "(default: day,provider,model)",
    )
    parser.add_argument(
        "--since", type=_day, metavar="DAY", help="only from this day on, such as 2026-11-03"
    )
    parser.add_argument(
        "--until", type=_day, metavar="DAY", help="only up to this day, it included"
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write it as CSV in the columns of FOCUS; - is the standard output",
    )


def _add_room(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=DEFAULT_OUT_DIR,
        help="the folder of results (default: ./out)",
    )


def _add_move(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--back",
        action="store_true",
        help="give up a move that did not end and brought nothing: the file is used again",
    )


def _add_ledger_sql(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role", required=True, metavar="NAME", help="the role by which drivers ask; it exists"
    )
    parser.add_argument(
        "--rights",
        action="store_true",
        help="only the rights: the tables are there already, made by the first run or by a move",
    )


def _add_nothing(_parser: argparse.ArgumentParser) -> None:
    """Add no argument."""


def _add_state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="the folder of the setting state_dir (default: ./.stage3)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the config that says where the ledger is (default: ./host.toml, if it has the "
        "setting ledger)",
    )


def _state(text: str) -> State:
    try:
        return State(text.upper().replace("-", "_"))
    except ValueError:
        names = ", ".join(State).lower()
        raise argparse.ArgumentTypeError(f"should be one of {names}") from None


def _day(text: str) -> date:
    from datetime import date

    refused = argparse.ArgumentTypeError("should be a day, such as 2026-11-03")
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        raise refused
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise refused from None


def _dimensions(text: str) -> tuple[Dimension, ...]:
    from stage3_plugin.maintenance.costs import dimensions

    try:
        return dimensions(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


COMMANDS: Final[dict[str, tuple[Command, str, Callable[[argparse.ArgumentParser], None]]]] = {
    "attempts": (attempts, "List the purchases that need somebody, and what to do.", _add_attempts),
    "resolve": (
        resolve_purchases,
        "Record what became of purchases with unknown outcome, or what they cost.",
        _add_resolve,
    ),
    "verify": (
        verify_ledger,
        "Check the ledger, and that every picture is there and right.",
        _add_verify,
    ),
    "providers": (list_providers, "List who can make pictures, and what each can.", _add_nothing),
    "costs": (
        show_costs,
        "Say what was spent, by day, provider, model, story or scene, and write it as CSV.",
        _add_costs,
    ),
    "room": (
        show_room,
        "Say what the project holds, by what, and what could be made again at no cost.",
        _add_room,
    ),
    "recover": (
        recover_home,
        "Give up what a machine that never comes back has sent: it is unknown then.",
        _add_recover,
    ),
    "move-ledger": (
        move_ledger,
        "Move the ledger from its file to the server that the config names.",
        _add_move,
    ),
    "ledger-sql": (
        write_ledger_sql,
        "Write what a database's owner runs, so that drivers need not own the ledger.",
        _add_ledger_sql,
    ),
}
