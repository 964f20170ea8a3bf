"""The commands in the host's words, and ``stage3``, which is short for ``host-stub stage3``.

What the commands do is in :mod:`stage3_plugin.maintenance`, which knows no host. Apart from
:mod:`stage3_plugin.hooks`, which needs the contract's models: looking something up in a ledger need
not wait for them. Only what describing the commands needs is imported here.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, cast

from host_stub.commands import CommandError, CommandResult, NextAction, PluginCommand, Progress
from stage3_plugin.errors import SettingsRefused, Stage3Error
from stage3_plugin.maintenance.commands import COMMANDS, Command, Said, Where, add_arguments

ENDINGS: Final = """\
exit codes:
  0  done      1  verify found problems      2  nothing could be done      130  interrupted
"""


def commands() -> list[PluginCommand]:
    """Describe the commands to a host."""
    return [
        *(
            PluginCommand(
                name=name,
                summary=summary,
                run=partial(_run, command),
                add_arguments=partial(add_arguments, name),
            )
            for name, (command, summary, _) in COMMANDS.items()
        ),
        PluginCommand(
            name="ask",
            summary="Ask providers, for free, what became of requests whose answer was lost.",
            run=partial(_run, _ask),
            add_arguments=_add_ask,
        ),
    ]


def _add_ask(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these, as 'attempts' shows them")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the config with the key (default: ./host.toml)"
    )


def _ask(options: Namespace, _: Progress) -> Said:
    """Ask with the key of the config, which alone knows it; nothing is bought."""
    import anyio

    from host_stub.config.file import load_config
    from host_stub.errors import HostError
    from host_stub.plugins.selection import select_plugins
    from stage3_plugin.engine.build import open_stage
    from stage3_plugin.maintenance.asked_report import asked_json, asked_text
    from stage3_plugin.maintenance.next_steps import after_ask
    from stage3_plugin.settings import Settings

    try:
        image = select_plugins(load_config(options.config)).image
    except HostError as error:
        raise CommandError(str(error), hint=error.hint, code=error.code) from error
    settings, services = image.settings, image.services
    if not isinstance(settings, Settings):
        raise CommandError(
            f"the config's pictures are made by {image.name!r}, which asks nobody",
            hint="name the config of the run with --config FILE",
            code="config",
        )

    async def ask() -> Said:
        opened = open_stage(
            settings, services.project_dir, now=services.now, config=services.config
        )
        async with opened as stage:
            asked = await stage.ask(options.ids)
        config = () if options.config is None else ("--config", str(options.config))
        return Said(
            asked_text(asked), asked_json(asked), next_actions=tuple(after_ask(asked, config))
        )

    return anyio.run(ask)


_WHERE: Final = ("ledger", "project", "state_dir", "store")


def _where(options: Namespace) -> Where | None:
    """Return where a config puts the ledger; ``None`` where none was named, or asks for it.

    Without ``--config`` and ``--state-dir`` the usual config is looked at, which decides only where
    the ledger is on a server: whoever has a file finds it as ever.
    """
    from host_stub.config.file import FILE_NAME, load_config
    from host_stub.errors import HostError

    given: Path | None = options.config
    config = given or Path(FILE_NAME)
    if given is None and (options.state_dir is not None or not config.exists()):
        return None
    try:
        loaded = load_config(config)
        table = loaded.settings_of("stage3", only=_WHERE)
        if given is None and "ledger" not in table.values:
            return None
        from host_stub.config.plugin_settings import validate
        from stage3_plugin.settings import Settings

        valid = validate(Settings, table, plugin="stage3", source="stage3-plugin")
        settings = cast("Settings", valid)
    except HostError as error:
        raise CommandError(str(error), hint=error.hint, code=error.code) from error
    ledger = settings.ledger
    return Where(
        state_dir=options.state_dir or loaded.project_dir / settings.state_dir,
        ledger=None if ledger is None else ledger.get_secret_value(),
        project=settings.project,
        store=settings.store,
        config=config,
        is_default=given is None,
    )


def _run(command: Command, options: Namespace, progress: Progress) -> CommandResult:
    if command is not _ask and hasattr(options, "config"):
        options.where = _where(options)
    try:
        said = command(options, progress)
    except Stage3Error as error:
        message = error.message if isinstance(error, SettingsRefused) else str(error)
        raise CommandError(message, hint=error.hint, code=_code_of(error)) from error
    return CommandResult(
        text=said.text,
        data=said.data,
        exit_code=said.exit_code,
        next_actions=tuple(
            NextAction(
                command=one.command,
                why=one.why,
                kind="safe" if one.is_safe else "needs_confirmation",
            )
            for one in said.next_actions
        ),
    )


def _code_of(error: Stage3Error) -> str:
    """Name an error for programs: ``LedgerMissing`` is ``ledger_missing``."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of this plugin and return its exit code.

    Args:
        arguments: What follows the program's name; ``sys.argv`` if absent.
    """
    from host_stub.cli.parser import ShowVersion, carry_out
    from host_stub.cli.plugin_commands import command_parser, parse_commands

    def parse(words: Sequence[str]) -> Namespace:
        parser = command_parser(
            "stage3",
            commands(),
            description="Look after what was bought: the ledger and the pictures of a project.",
            epilog=ENDINGS,
        )
        parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version")
        return parse_commands(parser, words)

    return carry_out(arguments, parse, program="stage3")


def interrupted(*, json_only: bool) -> int:
    """End a program that was interrupted while it was being loaded, in one line."""
    from host_stub.errors import Interrupted
    from host_stub.text.console import Console

    return Console(json_only=json_only, debug=False).error(Interrupted())
