"""The commands in the host's words, and ``stage3``, which is short for ``host-stub stage3``.

What the commands do is in :mod:`stage3_plugin.maintenance`, which knows no host. Apart from
:mod:`stage3_plugin.hooks`, which needs the contract's models: looking something up in a ledger need
not wait for them. Only what describing the commands needs is imported here.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from host_stub.commands import CommandError, CommandResult, NextAction, PluginCommand, Progress
from stage3_plugin.errors import SettingsRefused, Stage3Error
from stage3_plugin.maintenance.commands import (
    COMMANDS,
    SECONDS,
    Command,
    add_arguments,
    count,
    duration_s,
)

if TYPE_CHECKING:
    from host_stub.config.file import HostConfig
    from host_stub.contract import Services
    from stage3_plugin.domain.free_checks import Finding
    from stage3_plugin.domain.waited import Waited
    from stage3_plugin.engine.stage import Stage
    from stage3_plugin.maintenance.report import Report
    from stage3_plugin.maintenance.state_folder import StateFolder
    from stage3_plugin.settings import Settings

ENDINGS: Final = """\
exit codes:
  0  done      1  verify found problems      2  nothing could be done
  5  wait: something is still being made      130  interrupted
"""
DEFAULT_STATE_DIR: Final = Path(".stage3")


def commands() -> list[PluginCommand]:
    """Describe the commands to a host."""
    described: list[tuple[str, Command, Callable[[ArgumentParser], None]]] = [
        *((name, command, partial(add_arguments, name)) for name, (command, _) in COMMANDS.items()),
        ("ask", _ask, _add_ask),
        ("wait", _wait, _add_wait),
        ("models", _models, _add_models),
        ("rehearse", _rehearse, _add_rehearse),
    ]
    return [
        PluginCommand(
            name=name, summary=command.__doc__ or "", run=partial(_run, command), add_arguments=add
        )
        for name, command, add in described
    ]


def _add_ask(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these, as 'attempts' shows them")
    _add_config(parser)


def _add_wait(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="for_s",
        type=duration_s,
        metavar="DURATION",
        help="at most so long, such as 90s, 30m, 2h or 1d (default: until nothing is being made)",
    )
    _add_config(parser)


def _add_models(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="only this model, or those with this in their name"
    )
    parser.add_argument(
        "--online", action="store_true", help="ask the free pages of the config's providers, too"
    )
    parser.add_argument(
        "--older-than",
        type=count,
        metavar="DAYS",
        help="only what was last seen at its source longer ago, with the page to look at",
    )
    _add_config(parser)


def _add_rehearse(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--provider", default="openrouter", metavar="NAME", help="which one (default: openrouter)"
    )
    parser.add_argument(
        "--delay",
        type=duration_s,
        default=0.0,
        metavar="DURATION",
        help="take so long for a picture, and for a batch as a whole, such as 30s",
    )
    parser.add_argument(
        "--lose",
        type=count,
        metavar="N",
        help="lose the answer to every Nth request for a picture, and bill it",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the config that buys from it to FILE, which must not exist",
    )


def _add_config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the config with the key (default: ./host.toml)"
    )


def duration_text(seconds: float | None) -> str | None:
    """Return a duration as it may be typed; ``None`` for none at all."""
    if not seconds:
        return None
    unit = next(one for one in "dhms" if not seconds % SECONDS[one])
    return f"{int(seconds / SECONDS[unit])}{unit}"


def _ask(options: Namespace, _: Progress) -> Report:
    """Ask providers, for free, what became of requests whose answer was lost."""
    import anyio

    from stage3_plugin.maintenance.jobs_report import Answer, Answers

    chosen = _Chosen.by(options)

    async def ask() -> Report:
        async with chosen.opened() as stage:
            asked = [Answer.model_validate(one) for one in await stage.ask(options.ids)]
            return Answers(asked=asked, config=chosen.option)

    return anyio.run(ask)


def _wait(options: Namespace, progress: Progress) -> Report:
    """Stay until what is being made at providers is there, and take it in."""
    from datetime import datetime

    import anyio

    from stage3_plugin.maintenance.jobs_report import Standing, progress_line
    from stage3_plugin.maintenance.next_steps import AT_A_TIME

    chosen = _Chosen.by(options)

    async def wait() -> Waited:
        async with chosen.opened() as stage:
            return await stage.wait(
                for_s=options.for_s,
                report=lambda one: progress(progress_line(one, now=datetime.now().astimezone())),
            )

    waited = anyio.run(wait)
    progress("")
    return Standing.of(
        waited=waited,
        run=chosen.run(lane="batch" if waited.is_all_batches else None),
        config=chosen.option,
        # Who only looked does not wait so: to go on with that would be a loop without a pause.
        at_a_time=duration_text(options.for_s) or AT_A_TIME,
    )


def _models(options: Namespace, _: Progress) -> Report:
    """Show what is known of models, by whom and how old, and what vendors say now."""
    from datetime import UTC, datetime

    import anyio

    from stage3_plugin.maintenance import models
    from stage3_plugin.maintenance.commands import CommandRefused

    known, today = list(models.known_models()), datetime.now(UTC).date()
    if options.name is not None:
        known = models.named(known, options.name)
        if not known:
            raise CommandRefused(
                f"the table knows no model {options.name!r}",
                hint="'stage3 models' shows all; for one that is newer there is the setting like",
            )
    if options.older_than is not None:
        known = models.older_than(known, options.older_than, today=today)

    async def ask() -> models.Online:
        said: dict[tuple[str, str], list[Finding]] = {}
        async with _Chosen.by(options).opened() as stage:
            for backend in stage.backends:
                provider, checks = backend.route.endpoint.provider, backend.sender().free_checks
                asked = [one.model for one in known if one.provider == provider and one.is_whole]
                if checks is None or any((provider, one) in said for one in asked):
                    continue
                for finding in await replace(checks, models=tuple(asked)).ask(today):
                    said.setdefault((provider, finding.model or ""), []).append(finding)
        return said

    online = anyio.run(ask) if options.online else None
    is_named = options.name is not None
    whole = is_named or options.older_than is not None
    return models.shown(known, online, whole=whole, prices=is_named)


def _rehearse(options: Namespace, _: Progress) -> Report:
    """Stand in for a provider until Ctrl-C, so that all can be tried for nothing."""
    from stage3_plugin.maintenance.commands import CommandRefused
    from stage3_plugin.maintenance.rehearsed import Rehearsed
    from stage3_plugin.testing.dialects import dialect_of
    from stage3_plugin.testing.rehearsal import MODELS, losing, serve, server, table_of
    from stage3_plugin.testing.storyboards import storyboards

    provider, delay_s = options.provider, options.delay
    if provider not in MODELS:
        raise CommandRefused(
            "no stand-in of this provider comes along", hint=f"there are {', '.join(MODELS)}"
        )
    turns = losing(provider, options.lose, delay_s=delay_s) if options.lose else ()
    api = server(provider, dialect_of(provider), delay_s=delay_s, turns=turns)
    with storyboards() as api.draws:
        try:
            books = serve(api, table_of(provider), config=options.write)
        except OSError as error:  # a file that is there is not written over
            raise CommandRefused(
                f"{options.write} cannot be written: {error.strerror}",
                hint="name a new file, or copy base_url into it without --write",
            ) from error
    return Rehearsed(said=str(books), **asdict(books))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """What a config names, for a command that asks with its key.

    Attributes:
        loaded: The config.
        settings: Those of its plugin, which is this one.
        services: What a host offers it.
        option: Finds the config from here.
    """

    loaded: HostConfig
    settings: Settings
    services: Services
    option: tuple[str, ...]

    @classmethod
    def by(cls, options: Namespace) -> _Chosen:
        """Read the config.

        Raises:
            CommandError: It cannot be used, or its pictures are made by another plugin.
        """
        from host_stub.config.file import load_config
        from host_stub.errors import HostError
        from host_stub.plugins.selection import select_plugins
        from stage3_plugin.settings import Settings

        try:
            loaded = load_config(options.config)
            image = select_plugins(loaded).image
        except HostError as error:
            raise CommandError(str(error), hint=error.hint, code=error.code) from error
        if not isinstance(image.settings, Settings):
            raise CommandError(
                f"the config's pictures are made by {image.name!r}, which asks nobody",
                hint="name the config of the run with --config FILE",
                code="config",
            )
        option = () if options.config is None else ("--config", str(options.config))
        return cls(loaded=loaded, settings=image.settings, services=image.services, option=option)

    def opened(self) -> AbstractAsyncContextManager[Stage]:
        """Open the stage."""
        from stage3_plugin.engine.build import open_stage

        services = self.services
        return open_stage(
            self.settings, services.project_dir, now=services.now, config=services.config
        )

    def run(self, *, lane: str | None = None) -> tuple[str, ...] | None:
        """Return the run of the config's story; ``None`` where its scene file is not known.

        Args:
            lane: What was bought in, so that the rest is bought likewise; ``None`` where that is
                not one.
        """
        from host_stub.errors import HostError
        from host_stub.run.picture_paths import from_here
        from host_stub.story.book import Book
        from host_stub.story.finding import remembered_scenes, story_folder

        folders = self.loaded.project_dir, self.loaded.out_dir
        try:
            with Book.copied(story_folder(*folders)) as book:
                scenes = from_here(remembered_scenes(book, self.loaded.project_dir))
        except HostError:
            return None
        said = () if lane in {None, self.settings.lane} else ("--lane", str(lane))
        if scenes.startswith("-"):
            return ("host-stub", "run", *said, *self.option, "--", scenes)
        return ("host-stub", "run", scenes, *said, *self.option)


_WHERE: Final = ("ledger", "project", "state_dir", "store")


def _folder(options: Namespace) -> StateFolder:
    """Return the state folder that is meant, by ``--state-dir`` or a config.

    Without ``--config`` and ``--state-dir`` the usual config is looked at, which decides only where
    the ledger is on a server: whoever has a file finds it as ever.
    """
    from host_stub.config.file import FILE_NAME, load_config
    from host_stub.errors import HostError
    from stage3_plugin.maintenance.state_folder import StateFolder

    given: Path | None = options.config
    named: Path | None = options.state_dir
    config = given or Path(FILE_NAME)
    if given is None and (named is not None or not config.exists()):
        return StateFolder(named or DEFAULT_STATE_DIR, is_default=named is None)
    try:
        loaded = load_config(config)
        table = loaded.settings_of("stage3", only=_WHERE)
        if given is None and "ledger" not in table.values:
            return StateFolder(DEFAULT_STATE_DIR, is_default=True)
        from host_stub.config.plugin_settings import validate
        from stage3_plugin.settings import Settings

        valid = validate(Settings, table, plugin="stage3", source="stage3-plugin")
        settings = cast("Settings", valid)
    except HostError as error:
        raise CommandError(str(error), hint=error.hint, code=error.code) from error
    from stage3_plugin.ledger.place import place_of

    ledger = None if settings.ledger is None else settings.ledger.get_secret_value()
    state_dir = named or loaded.project_dir / settings.state_dir
    return StateFolder(
        state_dir,
        is_default=given is None,
        place=place_of(ledger, settings.project, state_dir.absolute()),
        config=config,
        store_address=settings.store,
    )


def _run(command: Command, options: Namespace, progress: Progress) -> CommandResult:
    try:
        if command not in {_ask, _wait, _models} and hasattr(options, "config"):
            options.folder = _folder(options)
        report = command(options, progress)
    except Stage3Error as error:
        message = error.message if isinstance(error, SettingsRefused) else str(error)
        raise CommandError(message, hint=error.hint, code=_code_of(error)) from error
    return CommandResult(
        text=report.text,
        data=report.data,
        exit_code=report.exit_code,
        next_actions=tuple(
            NextAction(
                command=one.command,
                why=one.why,
                kind="safe" if one.is_safe else "needs_confirmation",
            )
            for one in report.next_steps()
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
