"""The command line: what may be asked, and how an ending becomes an exit code.

Only what parsing needs is imported here; each command (:mod:`host_stub.cli.commands`) imports what
it uses when it is called, so that ``plugins`` answers at once and an interrupt while something
heavy is being imported still ends in one line. argparse quotes what it does not understand, which
may be a key that was meant for a setting; its messages are therefore made here.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, NoReturn

from host_stub.cli import (
    commands,
    conform_command,
    explain_command,
    review_command,
    story_commands,
)
from host_stub.cli.next_steps import PROGRAM, first_steps, with_next_steps
from host_stub.cli.plugin_commands import (
    Parser,
    add_shared,
    meant,
    parse_installed,
)
from host_stub.errors import (
    EXIT_STAGE,
    EXIT_STARTING,
    Interrupted,
    UsageError,
    came_of_an_interrupt,
    closest,
)
from host_stub.text.console import Console

ENDINGS: Final = """\
exit codes (more: host-stub explain):
  0 all made       1 some failed       2 not started     3 stopped
  4 perhaps billed   5 not here yet      129, 130, 143 interrupted
"""

OF_PLUGINS: Final = """\
look after money:
  stage3 --help   attempts, resolve, costs, wait and more (host-stub stage3)
  (any plugin with commands of its own: host-stub PLUGIN --help)
"""

GROUPS: Final = {
    "make pictures": ("init", "check", "plan", "run"),
    "look": ("status", "takes", "sheet", "review", "explain"),
    "choose": ("show", "reroll", "import"),
    "build on it": ("plugins", "schema", "conform", "events", "skill"),
}
EXAMPLES: Final = {
    "run": "host-stub run scenes.json --max-cost 2.50",
    "plan": "host-stub plan scenes.json --takes 2",
    "status": "host-stub status",
    "takes": "host-stub takes scene_001",
    "show": "host-stub show scene_001 2",
    "reroll": "host-stub reroll scene_001 scene_004",
    "import": "host-stub import scene_001 mine.png",
    "sheet": "host-stub sheet",
    "review": "host-stub review",
    "init": "host-stub init my-story --from story.md",
    "plugins": "host-stub plugins --load",
    "check": "host-stub check --online",
    "explain": "host-stub explain rate_limited",
    "conform": "host-stub conform plain",
    "skill": "host-stub skill --install .claude/skills",
    "schema": "host-stub schema stage3",
    "events": "host-stub events out/events.jsonl",
}

MOST_TAKES: Final = 20
LANES: Final = ("ordinary", "batch")
"""As the contract has both, which is imported only where something is run."""

Command = Callable[[argparse.Namespace, Console], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: What follows the program's name; ``sys.argv`` if absent.
    """
    return carry_out(arguments, parse)


def carry_out(
    arguments: Sequence[str] | None,
    parse: Callable[[Sequence[str]], argparse.Namespace],
    *,
    program: str = PROGRAM,
) -> int:
    """Run the command that ``parse`` finds in the arguments, and return its exit code.

    Args:
        arguments: What follows the program's name; ``sys.argv`` if absent.
        parse: Reads them.
        program: The program's name.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    console = Console(json_only="--json" in words, debug="--debug" in words)
    try:
        with console.owning_stdout():
            options = parse(words)
            options.words = tuple(words)
            command: Command = options.command
            code = command(options, console)
            return _when_lost(command) if console.lost_output and code == 0 else code
    except KeyboardInterrupt:
        return _interrupted(console)
    except Exception as error:  # noqa: BLE001  - nothing leaves as a traceback unless asked to
        if came_of_an_interrupt(error):
            return _interrupted(console)
        return console.error(with_next_steps(error, words, program, COMMANDS))
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001  - what a loop raises when an interrupt cancels it
        return _interrupted(console)


def _interrupted(console: Console) -> int:
    """End in one line; a second Ctrl-C while it is written adds no other."""
    try:
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # only the main thread may, and only it is interrupted
        return console.error(Interrupted())
    try:
        return console.error(Interrupted())
    finally:
        signal.signal(signal.SIGINT, former)


def _when_lost(command: Command) -> int:
    """Return the code for output that was lost: 2 would say of a run that nothing was sent."""
    return EXIT_STAGE if command is commands.run else EXIT_STARTING


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        UsageError: It cannot be understood.
    """
    parser, of_commands = parsers()
    if not words:
        print(first_steps())  # noqa: T201  - as argparse prints its help
        parser.exit()
    first = words[0]
    if first.startswith("-") and first not in {"-h", "--help", "--version"}:
        raise UsageError(
            f"the first word is a command, and option {first.partition('=')[0]} comes behind it",
            hint=f"the commands are {', '.join(of_commands)}",
        )
    if not first.startswith("-") and first not in of_commands:
        options = parse_installed(words)
        if options is not None:
            return options
        raise UsageError(
            "unknown command",
            hint=meant(first, of_commands, PROGRAM),
        )
    options, unknown = parser.parse_known_args(words)
    if unknown:
        raise _not_understood(unknown, of_commands[first])
    return options


def _not_understood(unknown: Sequence[str], parser: argparse.ArgumentParser) -> UsageError:
    """Say which option is not known; a word that is no option is not shown."""
    help_hint = f"'{parser.prog} --help' lists what it takes"
    for word in unknown:
        if word.startswith("-"):
            option = word.partition("=")[0]
            near = closest(option, re.findall("--[a-z-]+", parser.format_help()))
            return UsageError(
                f"'{parser.prog}' has no option {option}",
                hint=f"did you mean {near}?" if near else help_hint,
            )
    scenes = "name a scene file with --scenes FILE; "
    return UsageError(
        f"'{parser.prog}' was given more words than it takes",
        hint=f"{scenes if '--scenes FILE' in parser.format_help() else ''}"
        f"quote what belongs together, as in --set 'KEY=two words'; {help_hint}",
    )


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """Build the parser and those of its commands."""
    parser = Parser(
        prog="host-stub",
        description="Turn a story's scenes into pictures with the image plugin of your choice.",
        usage="host-stub COMMAND ...\n       host-stub COMMAND --help",
        epilog="\n".join((*map(_group, GROUPS), OF_PLUGINS, ENDINGS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version")
    of_commands: dict[str, Parser] = {}
    chosen = parser.add_subparsers(
        prog=PROGRAM, metavar="COMMAND", required=True, parser_class=Parser, help=argparse.SUPPRESS
    )
    for name, (command, summary, add_arguments) in COMMANDS.items():
        of_commands[name] = sub = chosen.add_parser(
            name,
            description=summary,
            epilog=f"example:\n  {EXAMPLES[name]}\nexit codes: {PROGRAM} explain",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(command=command)
        add_arguments(sub)
        add_shared(sub)
    return parser, of_commands


def _group(title: str) -> str:
    """Return a group of commands, for the list of all."""
    lines = (f"  {name:<9} {COMMANDS[name][1]}" for name in GROUPS[title])
    return "\n".join((f"{title}:", *lines, ""))


class ShowVersion(argparse.Action):
    """Looks the version up only when it is asked for; all programs here are of one distribution."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version  # noqa: PLC0415  - most commands do not need it

        print(f"{parser.prog} {version('stage3-plugin')}")  # noqa: T201  - all there is to do
        parser.exit()


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the config (default: ./host.toml if there)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one key of the config, such as plugin.stage3.capacity=8; may be repeated",
    )


def _add_selection(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--image", metavar="NAME", help="the image plugin to use instead")
    parser.add_argument("--no-observers", action="store_true", help="tell no observers")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where results go (default: the config's out_dir)"
    )


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_selection(parser)
    parser.add_argument(
        "--online",
        action="store_true",
        help="ask the provider, for free, whether the key, the model and the account are good",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenes",
        type=Path,
        metavar="SCENES",
        help="a JSON or JSON Lines file; - for standard input",
    )
    _add_selection(parser)
    parser.add_argument(
        "--scene", action="append", default=[], metavar="ID", help="only this one; may be repeated"
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N scenes")
    parser.add_argument(
        "--only",
        type=_standings,
        default=frozenset(),
        metavar="missing,stale",
        help="only scenes without a picture, or whose picture is stale",
    )
    parser.add_argument(
        "--takes",
        type=_takes,
        metavar="N",
        help="make N takes of each scene, counting those that exist",
    )
    _add_lane(parser)
    parser.add_argument(
        "--shard",
        type=_shard,
        metavar="K/N",
        help="begin with part K of N: for one of N drivers that run the same story at once",
    )
    parser.add_argument(
        "--draft", action="store_true", help="draw free drafts, beside the real pictures"
    )
    parser.add_argument(
        "--decisions",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="carry out reviewers' decisions: a file, or a folder of them; may be repeated",
    )
    parser.add_argument(
        "--confirm",
        type=_confirmation,
        metavar="HASH",
        help="buy only what the plan with this hash showed, or less",
    )
    parser.add_argument(
        "--max-cost", type=_amount, metavar="USD", help="spend no more than this in this run"
    )


def _add_story(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that works on the story of the out folder."""
    _add_config(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="whose results (default: the config's out_dir)"
    )
    parser.set_defaults(image=None, no_observers=True)


def _add_looking(parser: argparse.ArgumentParser) -> None:
    _add_story(parser)
    parser.add_argument(
        "--scenes",
        type=Path,
        metavar="FILE",
        help="the scene file (default: the last run's, else scenes.json)",
    )


def _add_lane(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lane",
        type=_lane,
        metavar="ordinary|batch",
        help="ordinary: at once; batch: about half the price, within 24 to 48 hours; a scene's "
        "own lane wins",
    )


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_looking(parser)
    _add_lane(parser)


def _add_takes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", metavar="SCENE", help="a scene's id, or a sheet's")
    _add_looking(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", metavar="SCENE", help="a scene's id, or a sheet's")
    parser.add_argument(
        "take", nargs="?", metavar="TAKE", help="its number, or 6 or more digits of its sha256"
    )
    parser.add_argument("--undo", action="store_true", help="take back what was chosen last")
    _add_looking(parser)


def _add_reroll(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", nargs="+", metavar="SCENE", help="a scene's id, or a sheet's")
    parser.add_argument("--show", action="store_true", help="show the new take when it comes")
    _add_status(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", metavar="SCENE", help="a scene's id, or a sheet's")
    parser.add_argument("file", type=Path, metavar="FILE", help="a PNG, JPEG or WebP")
    _add_looking(parser)


def _add_review(parser: argparse.ArgumentParser) -> None:
    _add_looking(parser)
    parser.add_argument(
        "--no-wait", action="store_true", help="wait for no small pictures, follow no run"
    )


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="FOLDER")
    parser.add_argument(
        "--from",
        type=Path,
        dest="source",
        metavar="FILE",
        help="make the scenes of a story: Markdown, CSV, a mulmoscript, an OpenMontage scene plan",
    )
    parser.add_argument(
        "--scenes",
        type=Path,
        metavar="FILE",
        help="with --from: the scene file to write (default: scenes.json in FOLDER)",
    )


def _add_plugins(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--load", action="store_true", help="import each, and say which are ready")


def _add_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="an image plugin")


def _add_events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journal", type=Path, metavar="FILE", help="an events.jsonl")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError("should be a whole number of at least 1")
    return int(text)


def _takes(text: str) -> int:
    if (count := _count(text)) > MOST_TAKES:
        raise argparse.ArgumentTypeError(f"should be at most {MOST_TAKES}")
    return count


def _lane(text: str) -> str:
    if text not in LANES:
        raise argparse.ArgumentTypeError("should be ordinary or batch")
    return text


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(
            "should be K/N, such as 2/4 for the second of four drivers: K from 1 to N"
        )
    return int(found[1]), int(found[2])


def _standings(text: str) -> frozenset[str]:
    named = frozenset(word.strip() for word in text.split(","))
    if not named <= {"missing", "stale"}:
        raise argparse.ArgumentTypeError("should be missing, stale, or both with a comma between")
    return named


def _confirmation(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{32}", text):
        raise argparse.ArgumentTypeError(
            "should be the 32 digits that 'host-stub plan' says can be confirmed"
        )
    return text.lower()


def _amount(text: str) -> Decimal:
    """Read an amount of money; what a ledger counts in, a millionth, is the least of it."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(
            "should be an amount in USD such as 2.50: no comma, at most six digits after the point"
        )
    return Decimal(text)


COMMANDS: Final[dict[str, tuple[Command, str, Callable[[argparse.ArgumentParser], None]]]] = {
    "run": (commands.run, "Make the pictures of a scene file.", _add_run),
    "plan": (commands.plan, "Show what a run would make and cost; spend nothing.", _add_run),
    "status": (
        story_commands.status,
        "Show how each scene stands, why, and what remaking it costs.",
        _add_status,
    ),
    "takes": (story_commands.takes, "List the takes of a scene.", _add_takes),
    "show": (
        story_commands.show,
        "Choose which take a scene shows. Free; undo with --undo.",
        _add_show,
    ),
    "reroll": (
        story_commands.reroll,
        "Request one more take of each scene; the next run pays for it.",
        _add_reroll,
    ),
    "import": (
        story_commands.import_picture,
        "Add your own picture as a take of a scene, and show it.",
        _add_import,
    ),
    "sheet": (
        story_commands.sheet,
        "Write a contact sheet of all scenes, sheet.png.",
        _add_looking,
    ),
    "review": (
        review_command.review,
        "Write the review page, where you compare and pick takes.",
        _add_review,
    ),
    "init": (commands.init, "Write a commented host.toml and a small scenes.json.", _add_init),
    "plugins": (
        commands.plugins,
        "List the installed plugins without importing them.",
        _add_plugins,
    ),
    "check": (
        commands.check,
        "Load what the config names, show it, and open the stage.",
        _add_check,
    ),
    "explain": (
        explain_command.explain,
        "Explain a code: what happened, what it cost, what to do.",
        explain_command.add_arguments,
    ),
    "conform": (
        conform_command.conform,
        "Test an image plugin against the rules of the contract.",
        conform_command.add_arguments,
    ),
    "skill": (
        commands.skill,
        "Print instructions for a coding agent.",
        commands.add_skill,
    ),
    "schema": (commands.schema, "Print the JSON Schema of a plugin's settings.", _add_schema),
    "events": (commands.events, "Count the events of a journal.", _add_events),
}
