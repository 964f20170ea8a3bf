"""What each command does, from its options to an exit code.

Each command imports what it needs when it is called: listing plugins must not wait for pydantic,
and nothing but a run needs an event loop.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from host_stub.errors import EXIT_STARTING, ConfigError, SceneFileError, UsageError
from host_stub.text.console import Console
from host_stub.text.format import coded

if TYPE_CHECKING:
    from host_stub.config.file import HostConfig
    from host_stub.plugins.selection import PluginSet
    from host_stub.stage.asking import RunOptions
    from host_stub.stage.preflight import Preflight
# ruff: noqa: PLC0415  - what a command needs is imported when it is called


import argparse
from typing import Final

KEY_NOT_TRIED = "a key is set; '--online' asks the provider, for free, whether it is accepted"
"""What ``check`` cannot see, since it sends nothing."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


def run(options: Namespace, console: Console) -> int:
    """Make the pictures of a scene file."""
    config, chosen = select(options, console, is_looking=options.draft)
    from host_stub.run.pipeline import run_pipeline

    with _scene_file(options.scenes) as path:
        asked = _asked(options, path, config, chosen, console)
        report = run_pipeline(chosen.image, asked, console=console)
        in_doubt = report.manifest["failures_by_code"].get("unknown", 0)
        is_by_batch = in_doubt and console.json_only and _is_by_batch(asked, chosen)
    if report.exit_code == 0:
        _say_first_lines(options, config, console)
    if console.json_only:
        from host_stub.cli.next_steps import after_run

        found, retry = after_run(
            options,
            options.words,
            report,
            resumes=chosen.image.description.capabilities.resumes,
            has_lost_batch=bool(is_by_batch),
        )
        lacks = None if retry is None else retry.as_json()
        console.result(report.document(retry_with=lacks), next_actions=found)
    return report.exit_code


def _is_by_batch(asked: RunOptions, chosen: PluginSet) -> bool:
    """Return whether some of what a run was asked for goes by the batch lane."""
    from host_stub.scenes.file import read_scenes

    lane = asked.lane or getattr(chosen.image.settings, "lane", None)
    if lane == "batch":
        return True
    try:
        return any(scene.lane == "batch" for scene in read_scenes(asked.scenes_path))
    except SceneFileError:  # it was changed since
        return False


def plan(options: Namespace, console: Console) -> int:
    """Report what a run would make and cost; nothing is sent, spent or written."""
    config, chosen = select(options, console, is_looking=True)
    from host_stub.stage.exit_codes import EXIT_FAILURES
    from host_stub.stage.plan import plan_pipeline

    with _scene_file(options.scenes) as path:
        planned = plan_pipeline(chosen.image, _asked(options, path, config, chosen, console))
    for line in planned.as_lines():
        console.say(line)
    if console.json_only:
        from host_stub.cli.next_steps import after_plan

        next_actions = after_plan(options, options.words, planned)
        console.result(planned.as_json(), next_actions=next_actions)
    is_refused = planned.decided is not None and bool(planned.decided.applied.refused)
    return EXIT_FAILURES if is_refused else 0


def _say_first_lines(options: Namespace, config: HostConfig, console: Console) -> None:
    """Show who has no config how a model makes the pictures."""
    from host_stub.config.template import first_lines, is_without_choice

    if not options.draft and is_without_choice(config):
        given = [name for name, value in os.environ.items() if value]
        for line in first_lines(given, shlex.quote(str(options.scenes))):
            console.say(line)


def init(options: Namespace, console: Console) -> int:
    """Write the files a new project starts from, with the scenes of a story if one is named."""
    from host_stub.config.template import write_project

    if options.source is not None:
        return _init_from(options, console)
    if options.scenes is not None:
        raise UsageError("'--scenes' of 'init' goes with '--from FILE'", hint="name a story")
    folder: Path = options.folder
    written = write_project(folder)
    for path in written:
        console.say(f"wrote {path}")
    console.say(f"next: {_go_to(folder)}host-stub run scenes.json")
    if console.json_only:
        from host_stub.cli.next_steps import after_story

        told = {"format": "stage3-init/1", "written": [str(path) for path in written]}
        next_actions = after_story(folder, folder / "scenes.json", is_new=True)
        console.result(told, next_actions=next_actions)
    return 0


def _init_from(options: Namespace, console: Console) -> int:
    """Make the scene file of a story that was written elsewhere."""
    from host_stub.cli.next_steps import after_story
    from host_stub.config.template import SCENES_NAME, write_story
    from host_stub.scenes.importing.reading import (
        cast_tables,
        read_story,
        references_from,
        scene_file,
    )
    from host_stub.text.format import counted

    folder: Path = options.folder
    source: Path = options.source
    scenes: Path = options.scenes or folder / SCENES_NAME
    read = read_story(source)
    cast = cast_tables(references_from(read, source=source, folder=folder), plugin="stage3")
    written, is_new = write_story(folder, (scenes, scene_file(read)), cast=cast)
    console.say(f"read {source}: {read.kind}, {counted(len(read.entries), 'scene')}")
    for note in read.notes:
        console.say(f"  {note}")
    for path in written:
        console.say(f"wrote {path}")
    if cast and not is_new:
        console.say(f"for the cast, put this into {folder / 'host.toml'}:\n{cast}")
    # A config that was there may name somebody who is paid: what that costs is said first.
    command = "run" if is_new else "plan"
    named = os.path.relpath(scenes, folder) if folder != Path() else str(scenes)
    next_line = f"{_go_to(folder)}host-stub {command} {shlex.quote(named)}"
    console.say(f"next: {next_line}")
    if console.json_only:
        console.result(
            {
                "format": "stage3-init/1",
                "written": [str(path) for path in written],
                "source": str(source),
                "kind": read.kind,
                "scenes": len(read.entries),
                "notes": list(read.notes),
                "cast": cast if cast and not is_new else None,
                "next": next_line,
            },
            next_actions=after_story(folder, scenes, is_new=is_new),
        )
    return 0


def _go_to(folder: Path) -> str:
    return "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "


def plugins(options: Namespace, console: Console) -> int:
    """List the installed plugins and what the config says about them."""
    from host_stub.cli.plugin_table import as_table, list_plugins
    from host_stub.config.file import load_config
    from host_stub.plugins.offers import offers_of

    found = offers_of()
    config: HostConfig | None = None
    fault: str | None = None
    try:
        config = load_config(options.config, options.overrides)
    except ConfigError as error:  # what is installed can be listed without it
        fault = str(error)
        console.warn(coded(error.code, f"warning: {error}"))
        console.warn(f"hint: {error.hint}")
    rows = list_plugins(found, config)
    if options.load:
        from host_stub.plugins.selection import survey

        rows = [row if row.found is None else row.after(survey(row.found)) for row in rows]
    path = None if config is None or config.path is None else str(config.path)
    console.say(as_table(rows))
    if console.json_only:
        listed = [row.as_json() for row in rows]
        from host_stub.cli.next_steps import again, safe

        told = {"config": path, "config_error": fault, "plugins": listed}
        check = again(options.words, "check", without={"--load"})
        opens = [safe(check, "loads what the config names, and opens the stage; sends nothing")]
        console.result({"format": "stage3-plugins/1", **told}, next_actions=[] if fault else opens)
    return 0


def check(options: Namespace, console: Console) -> int:
    """Load the selected plugins, show the config with secrets masked, and try the stage's door."""
    config, chosen = select(options, console)
    from host_stub.cli.next_steps import after_check
    from host_stub.stage.offered import as_lines, in_a_line
    from host_stub.stage.preflight import run_preflight
    from host_stub.text.redaction import secrets_of

    shown = _shown(config, chosen)
    image = chosen.image
    contract = ".".join(map(str, image.description.contract))
    console.say(f"# {config.path or 'no config file; these are the defaults'}")
    console.say(f"# image plugin {image.name}: {image.source}, contract {contract}")
    console.say(_as_toml("run", shown["run"], unset={"max_in_flight": "no ceiling"}))
    console.say(_as_toml("pipeline", shown["pipeline"]))
    console.say(_as_toml(f"plugin.{image.name}", shown["settings"]))
    found = run_preflight(image, online=options.online)
    if found.providers:
        console.say(f"# providers: {in_a_line(found.providers, own=image.source)}")
    for warning in () if console.json_only else found.warnings:
        console.warn(f"warning: {warning}")
    if options.online:
        console.say("\n" + "\n".join(f"# {line}" for line in as_lines(found.online)))
    elif image.secrets or any(secrets_of(image.settings)):
        console.say(f"\n# {KEY_NOT_TRIED}")
    code = _ended(found, console)
    if code == 0:
        sent = "no picture was asked for" if options.online else "nothing was sent"
        console.say(f"\n# ok: the stage opens; {sent}")
    if console.json_only:
        described = {
            **shown["plugin"],
            "capabilities": found.capabilities.model_dump(),
            "providers": [asdict(provider) for provider in found.providers],
        }
        opened = {"plugin": described, "opens": True, "warnings": list(found.warnings)}
        told = {"format": "stage3-check/1"} | shown | opened | _online(options, found)
        scenes = config.project_dir / "scenes.json"
        console.result(told, next_actions=after_check(options.words, scenes, is_good=code == 0))
    return code


def _online(options: Namespace, found: Preflight) -> dict[str, object]:
    """Return what was found out online for programs; nothing of it where nobody asked."""
    if not options.online:
        return {}
    online = found.online
    return {"online": None if online is None else [asdict(one) for one in online]}


def _ended(found: Preflight, console: Console) -> int:
    """Say what keeps pictures from being made, and return the exit code."""
    from host_stub.stage.offered import is_error, subject_of

    online = found.online or ()
    for check in online:
        if check.is_warning:
            line = f"warning: the {subject_of(check)}: {check.message}"
            console.warn(coded("online_check", line))
    bad = [check for check in online if is_error(check)]
    for check in bad:
        console.warn(f"error: the {subject_of(check)} is not good: {check.message}")
        if check.hint is not None:
            console.warn(f"hint: {check.hint}")
    return EXIT_STARTING if bad else 0


def schema(options: Namespace, console: Console) -> int:
    """Print the JSON Schema of a plugin's settings, one JSON object with or without ``--json``."""
    from host_stub.plugins.selection import load_settings_model

    console.schema(load_settings_model(options.name).model_json_schema())
    return 0


def events(options: Namespace, console: Console) -> int:
    """Count what happened in a journal."""
    from host_stub.events.journal_summary import summarize_journal

    runs = summarize_journal(options.journal)
    if console.json_only:
        told = {"journal": str(options.journal), "runs": [run.as_json() for run in runs]}
        console.result({"format": "stage3-events/1", **told})
        return 0
    for counted in runs:
        console.say(counted.as_text())
    if not runs:
        console.say("no events")
    return 0


def select(
    options: Namespace, console: Console, *, is_looking: bool = False
) -> tuple[HostConfig, PluginSet]:
    """Read the config, load what it names, and keep its secrets out of the output.

    Args:
        options: Those of the command.
        console: Where secrets are hidden.
        is_looking: The command sends nothing, and so needs no key.
    """
    from host_stub.config.file import load_config

    config = load_config(options.config, options.overrides).choosing(
        image=options.image,
        out_dir=options.out,
        observers=() if options.no_observers else None,
    )
    from host_stub.cli.plugin_table import misspelt_tables, tables_without_plugin
    from host_stub.plugins.offers import offers_of
    from host_stub.plugins.selection import select_plugins
    from host_stub.text.redaction import secrets_of

    found = offers_of()
    meant = list(misspelt_tables(found, config))
    if meant:
        raise ConfigError(config.path, meant, hint="correct the name of the table, or take it out")
    for problem in tables_without_plugin(found, config):
        console.warn(coded("table_unused", f"warning: {problem}"))
    chosen = select_plugins(config, found=found, is_looking=is_looking)
    console.hide((*secrets_of(chosen.image.settings), *chosen.image.secrets))
    for observer in chosen.observers:
        console.hide(observer.secrets)
    chosen.image.heed_secrets.append(console.hide)
    return config, chosen


@contextmanager
def _scene_file(path: Path) -> Generator[Path]:
    """Return where the scenes lie: standard input is copied, since a run reads them repeatedly.

    Raises:
        UsageError: There is no standard input.
    """
    if path != Path("-"):
        yield path
        return
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # closed by the parent process
        raise UsageError("there is no standard input", hint="name a file with scenes in it")
    import shutil
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="scenes-") as folder:
        copy = Path(folder, "standard-input")
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield copy
        except SceneFileError as error:
            if error.path != copy:
                raise
            raise error.at(Path("standard input")) from error


def _asked(
    options: Namespace, scenes: Path, config: HostConfig, chosen: PluginSet, console: Console
) -> RunOptions:
    """Put together what a run, or the plan of one, is asked to do."""
    from host_stub.scenes.asked import Shard
    from host_stub.stage.asking import RunOptions

    return RunOptions(
        scenes_path=scenes,
        scenes_dir=Path() if options.scenes == Path("-") else None,
        scene_ids=tuple(options.scene),
        limit=options.limit,
        only=options.only,
        takes=options.takes,
        lane=options.lane,
        shard=None if options.shard is None else Shard(*options.shard),
        is_draft=options.draft,
        is_guest=config.is_guest,
        decisions=tuple(options.decisions),
        max_cost_usd=options.max_cost,
        confirm=options.confirm,
        out_dir=config.out_dir,
        journal=config.journal,
        max_in_flight=config.max_in_flight,
        observers=chosen.observers,
        json_only=console.json_only,
    )


def _shown(config: HostConfig, chosen: PluginSet) -> dict[str, Mapping[str, object]]:
    """Return the resolved config as plain JSON values, masked."""
    from host_stub.config.file import NO_CEILING
    from host_stub.config.plugin_settings import masked

    ceiling = None if config.max_in_flight == NO_CEILING else config.max_in_flight
    image = chosen.image
    return {
        "run": {
            "out_dir": str(config.out_dir),
            "max_in_flight": ceiling,
            "journal": False if config.journal is None else str(config.journal),
        },
        "pipeline": {"image": config.image, "observers": list(config.observers)},
        "plugin": {
            "name": image.name,
            "source": image.source,
            "contract": list(image.description.contract),
        },
        "settings": masked(image.settings, image.secrets),
    }


def _as_toml(
    title: str, table: Mapping[str, object], unset: Mapping[str, str] | None = None
) -> str:
    """Write a table as a config would have it; what is not set is a comment.

    Args:
        title: Its name.
        table: Plain values, ``None`` for what is not set.
        unset: What it means for a key not to be set.
    """
    lines: list[str] = []
    tables: list[str] = []  # behind all else: what follows a table's head belongs to it
    for name, value in table.items():
        key = _key(name)
        if value is None:
            meaning = (unset or {}).get(name)
            lines.append(f"# {key} is not set" + (f": {meaning}" if meaning else ""))
        elif not isinstance(value, Mapping):
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        elif any(
            isinstance(part, Mapping) for part in cast("Mapping[str, object]", value).values()
        ):
            tables.append(_as_toml(f"{title}.{key}", cast("Mapping[str, object]", value)))
        else:
            lines.append(f"{key} = {_inline(cast('Mapping[str, object]', value))}")
    head = [f"\n[{title}]"] if lines or not tables else []
    return "\n".join([*head, *lines, *tables])


def _inline(table: Mapping[str, object]) -> str:
    """Write a table in one line; TOML has no word for what is not set."""
    parts = [
        f"{_key(name)} = {json.dumps(part, ensure_ascii=False)}"
        for name, part in table.items()
        if part is not None
    ]
    return f"{{ {', '.join(parts)} }}" if parts else "{}"


def _key(name: str) -> str:
    """Return a key as TOML has it; any but a plain one stands in quotes."""
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


SKILL_NAME: Final = "stage3"
"""What the skill is called; the folder that it lies in has to be called the same."""


def add_skill(parser: argparse.ArgumentParser) -> None:
    """Add what ``skill`` takes."""
    parser.add_argument(
        "--install",
        type=Path,
        metavar="DIR",
        help=f"write it to DIR/{SKILL_NAME}/SKILL.md, where an agent looks for skills",
    )


def skill(options: Namespace, console: Console) -> int:
    """Print the instructions, or put them where an agent finds them; overwrites nothing."""
    text = instructions()
    installed = None if options.install is None else _install(options.install, text)
    if console.json_only:
        path = None if installed is None else str(installed)
        console.result({"format": "stage3-skill/1", "name": SKILL_NAME, "path": path, "text": text})
    elif installed is None:
        console.say(text.rstrip("\n"))
    else:
        console.say(f"wrote {installed}")
    return 0


def instructions() -> str:
    """Return the text of the skill."""
    from importlib.resources import files

    return files("host_stub").joinpath("skill", "SKILL.md").read_text(encoding="utf-8")


def _install(folder: Path, text: str) -> Path:
    from host_stub.errors import FileAlreadyThere, ResultsNotWritten

    path = folder / SKILL_NAME / "SKILL.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
            return path
        raise FileAlreadyThere(path, hint="remove it, and install it anew") from error
    except OSError as error:
        raise ResultsNotWritten(path, error) from error
    return path
