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
from host_stub.cli.next_steps import PROGRAM, with_next_steps
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
exit codes:
  0  every scene made          1  some scenes failed      2  the run could not start
  3  the stage stopped         4  outcomes unknown: money may be spent
  5  not finished: bought and not here yet; the same command again buys nothing twice
  129/130/143  interrupted; where several hold: the interrupt, then 3, 4, 5, 1
"""

OF_PLUGINS: Final = """\
commands of a plugin:
  host-stub PLUGIN --help
"""

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
        parser.print_help()
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
            f"there is no such command; there are {', '.join(of_commands)}",
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
        epilog=f"{OF_PLUGINS}\n{ENDINGS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version")
    of_commands: dict[str, Parser] = {}
    chosen = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name, (command, summary, add_arguments) in COMMANDS.items():
        of_commands[name] = sub = chosen.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=ENDINGS if name == "run" else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(command=command)
        add_arguments(sub)
        add_shared(sub)
    return parser, of_commands


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
        help="so many takes of each scene, those there included",
    )
    _add_lane(parser)
    parser.add_argument(
        "--shard",
        type=_shard,
        metavar="K/N",
        help="begin with part K of N: for one of N drivers that run the same story at once",
    )
    parser.add_argument(
        "--draft", action="store_true", help="draw drafts for nothing, beside the real pictures"
    )
    parser.add_argument(
        "--decisions",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="obey what reviewers decided, from a file or the *.json of a folder; may be repeated",
    )
    parser.add_argument(
        "--confirm",
        type=_confirmation,
        metavar="HASH",
        help="buy what the plan of this hash has, or less, or nothing; 'plan' tells the hash",
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
        help="buy pictures at once, or in batches: for less, within a day or so; a scene's own "
        "lane goes first",
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
        "--no-wait", action="store_true", help="leave small pictures, and a run, to themselves"
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
    parser.add_argument("--load", action="store_true", help="import each and tell what came of it")


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
    "plan": (commands.plan, "Tell what a run would make and cost; spends nothing.", _add_run),
    "status": (
        story_commands.status,
        "Tell how a story's scenes stand, why, and what making them anew costs.",
        _add_status,
    ),
    "takes": (story_commands.takes, "List the takes of a scene.", _add_takes),
    "show": (
        story_commands.show,
        "Show another take of a scene; at once, for nothing, and it can be taken back.",
        _add_show,
    ),
    "reroll": (
        story_commands.reroll,
        "Want one more take of each scene; buys nothing, a run does.",
        _add_reroll,
    ),
    "import": (
        story_commands.import_picture,
        "Make your own picture a take of a scene, and show it.",
        _add_import,
    ),
    "sheet": (
        story_commands.sheet,
        "Draw what every scene shows on one contact sheet, sheet.png.",
        _add_looking,
    ),
    "review": (
        review_command.review,
        "Write the page on which takes are chosen, review/index.html.",
        _add_review,
    ),
    "init": (commands.init, "Write a commented host.toml and a small scenes.json.", _add_init),
    "plugins": (commands.plugins, "List the installed plugins; imports none.", _add_plugins),
    "check": (
        commands.check,
        "Load what the config names, show it, open the stage.",
        _add_check,
    ),
    "explain": (
        explain_command.explain,
        "Explain a code: what happened, what it cost, what to do.",
        explain_command.add_arguments,
    ),
    "conform": (
        conform_command.conform,
        "Try an image plugin against the rules of the contract; spends nothing.",
        conform_command.add_arguments,
    ),
    "skill": (
        commands.skill,
        "Print the instructions by which a coding agent works with these commands.",
        commands.add_skill,
    ),
    "schema": (commands.schema, "Print the JSON Schema of a plugin's settings.", _add_schema),
    "events": (commands.events, "Count what happened in a journal.", _add_events),
}
