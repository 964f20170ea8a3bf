"""What may come next, as commands that can be run as they stand: for ``next_actions``.

A command is made from the words that were typed, so that it is about the same config, folder and
scenes: it is run where this one was. Words are not quoted here; where a line is written for a
person, :func:`in_a_line` does that. An id or a file that begins like an option is put where it is
taken for what it is.
"""

# ruff: noqa: PLC0415  - what is heavy was imported by the command that asks here

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Container, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from host_stub.commands import NextAction, NextKind
from host_stub.errors import (
    CommandRefused,
    HostError,
    NoSuchTake,
    NotConfirmed,
    PluginConflict,
    PluginNotFound,
    PluginSettingsError,
    UsageError,
)

if TYPE_CHECKING:
    from host_stub.run.finish import RunReport
    from host_stub.stage.plan import RunPlan
    from host_stub.standing.story_state import StoryState

PROGRAM: Final = "host-stub"
MOST_TAKES_NAMED: Final = 5
MOST_FAILED_NAMED: Final = 5
_FREE: Final = Decimal(0)
_JSON: Final = "--json"
_TAKES_IN: Final = "takes in what is bought and not here yet, for nothing"
_AT_A_TIME: Final = ("--for", "10m")
"""So long a program waits in one command, whose caller may have a limit of its own."""
_BOUNDS: Final = frozenset({"--confirm", "--max-cost"})
_PLACES: Final = frozenset({"--config", "--set", "--out", "--scenes"})
_VALUED: Final = frozenset({*_BOUNDS, "--lane", "--only", "--junit"})


def in_a_line(command: Sequence[str]) -> str:
    """Write a command as it would be typed."""
    return shlex.join(command)


def again(
    words: Sequence[str],
    command: str | None = None,
    *,
    more: Sequence[str] = (),
    without: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return the command that was typed, changed.

    Args:
        words: It, without the program's name.
        command: Another one in its place, that takes the same options.
        more: Options to add.
        without: Options to leave out first.
    """
    out = {*without, _JSON, "--debug"}
    kept: list[str] = []
    rest = iter(words[1:])
    behind: list[str] = []
    for word in rest:
        if word == "--":
            behind = [word, *rest]
        elif word in out:
            if word in _VALUED:
                next(rest, None)
        elif word.partition("=")[0] not in out:
            kept.append(word)
    return (PROGRAM, command or words[0], *kept, *more, _JSON, *behind)


def about_story(
    options: Namespace, command: str, *names: str, more: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return a command on the same story.

    Args:
        options: What was typed.
        command: The command.
        names: What it is about: scenes, takes, files.
        more: Its own options.
    """
    shared = [
        *(("--config", str(options.config)) if options.config is not None else ()),
        *(part for one in options.overrides for part in ("--set", one)),
        *(("--out", str(options.out)) if options.out is not None else ()),
    ]
    lane: str | None = getattr(options, "lane", None)
    if lane is not None and command in {"run", "plan", "status", "reroll"}:
        shared += ["--lane", lane]
    scenes: Path | None = getattr(options, "scenes", None)
    if scenes is not None and command in {"status", "takes", "show", "reroll", "import", "sheet"}:
        shared += ["--scenes", str(scenes)]
    is_odd = any(name.startswith("-") for name in names)
    if is_odd:
        return (PROGRAM, command, *more, *shared, "--", *names)
    return (PROGRAM, command, *names, *more, *shared)


def _of_project(words: Sequence[str]) -> Iterator[str]:
    """Yield what was typed to say which project and story is meant."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        if word in _PLACES:
            yield from (word, *islice(rest, 1))
        elif word.partition("=")[0] in _PLACES:
            yield word


def as_json_too(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command that answers with an object, as the one that was typed does."""
    where = command.index("--") if "--" in command else len(command)
    return (*command[:where], _JSON, *command[where:])


def capped(command: tuple[str, ...], cost_usd: Decimal | None) -> tuple[str, ...]:
    """Return a run that can cost no more than is said of it, if that is known."""
    if cost_usd is None:
        return command
    return (*command[:2], "--max-cost", f"{cost_usd:f}", *command[2:])


def buying(command: tuple[str, ...], why: str, cost_usd: Decimal | None) -> NextAction:
    """Return a command that makes pictures; one that costs nothing needs nobody's word."""
    kind: NextKind = "safe" if cost_usd == _FREE else "needs_confirmation"
    return NextAction(command=command, why=why, cost_usd=cost_usd, kind=kind)


def safe(command: tuple[str, ...], why: str) -> NextAction:
    """Return a command that spends nothing and gives up nothing."""
    return NextAction(command=command, why=why)


def _taking_in(words: Sequence[str]) -> NextAction:
    """Return the run that takes in what is bought, and buys nothing if that does not come."""
    return safe(again(words, "run", more=("--max-cost", "0"), without=_BOUNDS), _TAKES_IN)


def settling(options: Namespace, plugin: str) -> NextAction:
    """Return the command that shows what is held; a plugin with a ledger has one of this name."""
    config = () if options.config is None else ("--config", str(options.config))
    return safe(
        (PROGRAM, plugin, "attempts", *config, _JSON),
        "shows what is known of requests whose outcome is unknown, and how each is decided",
    )


def _staying(options: Namespace, plugin: str) -> Iterator[NextAction]:
    """Yield the command that stays for what is being made, if the plugin brings one."""
    from host_stub.cli.plugin_commands import understands

    config = () if options.config is None else ("--config", str(options.config))
    for bound in (_AT_A_TIME, ()):
        if understands(plugin, "wait", *bound, *config):
            yield safe(
                (PROGRAM, plugin, "wait", *bound, *config, _JSON),
                "stays for what is being made, and takes it in; it buys nothing",
            )
            return


def after_story(folder: Path, scenes: Path, *, is_new: bool) -> Iterator[NextAction]:
    """Return what may come after a story became scenes: a config that was there may name a price.

    Args:
        folder: The project's.
        scenes: The scene file that was written.
        is_new: Its config was written, too, and draws for nothing.
    """
    config = () if folder == Path() else ("--config", str(folder / "host.toml"))
    command, why = (
        ("run", "draws the scenes here, for nothing")
        if is_new
        else ("plan", "tells what a run would buy")
    )
    yield safe((PROGRAM, command, *config, _JSON, *_as_operands(str(scenes))), why)


def first_steps() -> str:
    """Return the three commands that are likely next in this folder, and where all of them are."""
    steps: Sequence[tuple[str, str]]
    from host_stub.config.file import FILE_NAME, load_config

    try:
        out = load_config(None).out_dir if Path(FILE_NAME).exists() else None
    except HostError:
        steps = [("check", "shows what is wrong with host.toml")]
    else:
        if out is None:
            steps = (
                ("init my-story", "begins a project, with three scenes"),
                ("init my-story --from story.md", "begins it with the scenes of a story"),
                ("run scenes.json", "draws a scene file that you have, for nothing"),
            )
        elif not (out / "manifest.json").exists():
            steps = (
                ("check --online", "tests config, key and model; spends nothing"),
                ("plan scenes.json", "shows what a run would make and cost"),
                ("run scenes.json --limit 1", "makes the first picture"),
            )
        else:
            steps = (
                ("status", "shows how each scene stands"),
                ("review", "writes the page where you compare and pick takes"),
                ("run scenes.json", "makes what is missing; pays for nothing twice"),
            )
    lines = (f"  {PROGRAM} {words:<31} {why}" for words, why in steps)
    return "\n".join(("next in this folder:", *lines, "all commands:", f"  {PROGRAM} --help"))


def after_check(words: Sequence[str], scenes: Path, *, is_good: bool) -> Iterator[NextAction]:
    """Return what may come after a stage was opened."""
    from host_stub.run.picture_paths import from_here

    if "--online" not in words:
        yield safe(
            again(words, more=("--online",)),
            "asks the provider, for nothing, whether the key, the model and the account are good",
        )
    if is_good and scenes.is_file():
        plan = again(words, "plan", without={"--online"})
        yield safe((*plan, *_as_operands(from_here(scenes))), "tells what a run would buy")


def _as_operands(*names: str) -> tuple[str, ...]:
    return ("--", *names) if any(name.startswith("-") for name in names) else names


def after_plan(options: Namespace, words: Sequence[str], plan: RunPlan) -> Iterator[NextAction]:
    """Return what may come after a plan: to buy what it says, above all."""
    from host_stub.stage.scene_plans import goes_by_none

    stage = plan.stage
    if plan.whole_usd is not None:
        cap = ("--max-cost", f"{plan.whole_usd:f}")
        yield safe(
            again(words, "plan", more=cap, without=_BOUNDS),
            f"plans all of it: a cap of ${plan.whole_usd:f} leaves nothing out",
        )
    if stage.make and plan.confirm is not None and stage.cost_high_usd is not None:
        yield buying(
            again(
                words,
                "run",
                more=("--confirm", plan.confirm, "--max-cost", f"{stage.cost_high_usd:f}"),
                without=_BOUNDS,
            ),
            "buys what this plan has, or less, and refuses if anything of it is another by then",
            stage.cost_high_usd,
        )
    elif stage.make:
        yield buying(
            again(words, "run", without={"--confirm"}),
            f"makes what fits; it cannot be confirmed: {plan.unconfirmable}",
            stage.cost_high_usd,
        )
    elif stage.pending:
        yield _taking_in(words)
    if (stage.make or stage.refused) and stage.lanes is not None and goes_by_none(stage.lanes):
        yield safe(
            again(words, "plan", more=("--lane", "batch"), without={"--lane", "--confirm"}),
            "tells what a batch would cost of it, and what cannot be had in one",
        )
    if stage.pending:
        yield from _staying(options, plan.plugin)
    if stage.held:
        yield settling(options, plan.plugin)


def after_run(
    options: Namespace,
    words: Sequence[str],
    report: RunReport,
    *,
    resumes: bool,
    has_lost_batch: bool = False,
) -> tuple[list[NextAction], NextAction | None]:
    """Return what may come after a run, and the same command with a cap that suffices, if it lacks.

    Args:
        options: What was typed.
        words: Likewise.
        report: How the run ended.
        resumes: The plugin keeps a ledger of what was bought.
        has_lost_batch: What is unknown may be of a batch, which is found or disproved by asking.
    """
    from host_stub.stage.exit_codes import EXIT_PENDING, EXIT_UNKNOWN

    told, rest = report.manifest, report.rest
    retry: NextAction | None = None
    found: list[NextAction] = []
    cap_usd: Decimal | None = options.max_cost
    is_short = told["failures_by_code"].get("budget", 0) and rest.usd and cap_usd is not None
    if is_short and rest.usd and report.known_usd + rest.usd > (cap_usd or _FREE):
        retry = buying(
            again(words, more=("--max-cost", f"{rest.usd:f}"), without={"--max-cost"}),
            f"makes the rest: a cap of ${rest.usd:f} for one run suffices",
            rest.usd,
        )
        found.append(retry)
    elif told["pending"] and options.confirm is not None:
        found.append(
            buying(
                again(words),
                "takes in what is bought and not here yet, and makes what is left of what was "
                "confirmed; nothing is bought twice",
                cap_usd,
            )
        )
        found.append(_taking_in(words))
    elif rest.pictures:
        what = "takes in what is bought and not here yet, and " if told["pending"] else ""
        is_bounded = rest.usd is None or (cap_usd is not None and cap_usd <= rest.usd)
        cap = () if is_bounded else ("--max-cost", f"{rest.usd:f}")
        found.append(
            buying(
                again(words, more=cap, without={"--max-cost"} if cap else ()),
                f"{what}makes what is missing; nothing is bought twice",
                rest.usd,
            )
        )
    elif told["pending"]:
        found.append(_taking_in(words))
    if (told["pending"] or has_lost_batch) and resumes:
        staying = [*_staying(options, told["plugin"])]
        # Before any run, which would look once, and be in a loop.
        is_to_stay = told["exit_code"] in {EXIT_PENDING, EXIT_UNKNOWN}
        found = [*staying, *found] if is_to_stay else [*found, *staying]
    if told["failures_by_code"].get("unknown") and resumes:
        found.append(settling(options, told["plugin"]))
    if told["total_images"] and not options.draft:
        sheet = as_json_too(about_story(options, "sheet"))
        if options.scenes != Path("-"):
            found.append(safe(sheet, "draws every scene's picture on one, to look at"))
    return found, retry


def after_status(
    options: Namespace,
    scenes: str,
    state: StoryState,
    *,
    settles_with: str | None,
    plans: bool = True,
) -> Iterator[NextAction]:
    """Return what may come after a look at a story.

    Args:
        options: What was typed.
        scenes: The scene file, as seen from here.
        state: How the scenes stand.
        settles_with: The plugin that keeps a ledger; ``None`` if none does.
        plans: The plugin makes plans.
    """
    if state.make.pictures:
        if plans:
            yield safe(
                as_json_too(about_story(options, "plan", scenes)),
                "tells what a run would buy, and the hash that confirms it",
            )
        yield buying(
            as_json_too(capped(about_story(options, "run", scenes), state.make.usd)),
            "makes everything that is wanted",
            state.make.usd,
        )
    elif state.states["pending"] or state.sheets["pending"]:
        run = about_story(options, "run", scenes, more=("--max-cost", "0"))
        yield safe(as_json_too(run), _TAKES_IN)
    if settles_with is not None and (state.states["pending"] or state.sheets["pending"]):
        yield from _staying(options, settles_with)
    if settles_with is not None and (state.states["held"] or state.sheets["held"]):
        yield settling(options, settles_with)


def after_conform(words: Sequence[str], failed: Sequence[str]) -> Iterator[NextAction]:
    """Say how a requirement that is not kept is looked at; each on its own, the first ones.

    Args:
        words: What was typed, without the program's name.
        failed: The requirements.
    """
    for name in failed[:MOST_FAILED_NAMED]:
        command = again(words, more=("--only", name, "--debug"), without=("--only", "--junit"))
        yield safe(command, f"try {name} alone, and show where the plugin raised")


def with_next_steps(
    error: BaseException, words: Sequence[str], program: str, commands: Container[str]
) -> BaseException:
    """Give an error of the host's the commands that lead on from it.

    Args:
        error: It, or another one, which stays as it is.
        words: What was typed.
        program: The program's name.
        commands: Its commands: any other word may be a key, and is not said again.
    """
    if not isinstance(error, HostError) or error.next_actions or error.retry_with is not None:
        return error
    error.next_actions = tuple(_after(error, words, program, commands))
    if isinstance(error, NotConfirmed) and error.confirm is not None:
        cap = error.cost_high_usd or "0"
        error.retry_with = buying(
            again(
                words,
                "run",
                more=("--confirm", error.confirm, "--max-cost", cap),
                without=_BOUNDS,
            ),
            "buys what would be bought now, once somebody who pays has seen that",
            None if error.cost_high_usd is None else Decimal(error.cost_high_usd),
        )
    return error


def _after(
    error: HostError, words: Sequence[str], program: str, commands: Container[str]
) -> Iterator[NextAction]:
    match error:
        case NotConfirmed():
            cap = () if error.needs_usd is None else ("--max-cost", error.needs_usd)
            without = {"--confirm"} if error.needs_usd is None else _BOUNDS
            yield safe(
                again(words, "plan", more=cap, without=without),
                "shows what would be bought now, and the hash of that",
            )
        case NoSuchTake():
            where = _of_project(words)
            listing = (PROGRAM, "takes", *where, _JSON, "--", error.scene_id)
            yield safe(listing, "lists the scene's takes")
        case PluginNotFound() | PluginConflict():
            yield safe((PROGRAM, "plugins", _JSON), "lists what is installed")
        case PluginSettingsError():
            yield safe((PROGRAM, "schema", error.plugin, _JSON), "tells every setting there is")
        case CommandRefused() if program == PROGRAM and words:
            yield safe((PROGRAM, words[0], "--help"), "tells the commands and how they are used")
        case UsageError():
            known = words[:1] if words and words[0] in commands else ()
            yield safe((program, *known, "--help"), "tells how it is used")
        case _:
            return
