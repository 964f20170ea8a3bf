"""The command that writes the page for choosing takes, and keeps it up to date during a run."""

# ruff: noqa: PLC0415  - like all commands, it imports what it needs when it is called

from __future__ import annotations

import shlex
import time
from argparse import Namespace
from itertools import islice
from typing import TYPE_CHECKING, Final

from host_stub.cli.next_steps import about_story, as_json_too, safe
from host_stub.cli.story_commands import sitting
from host_stub.errors import ResultsNotWritten
from host_stub.text.console import Console
from host_stub.text.format import coded, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from host_stub.cli.story_commands import Chair
    from host_stub.review.gathering import Gathering

LOOK_EVERY_S: Final = 3.0
"""Between two looks at a run that goes on."""
TELL_EVERY_S: Final = 5.0
"""Between two tellings of the page while small pictures are made."""
MOST_NAMED: Final = 3


def review(options: Namespace, console: Console) -> int:
    """Write the page on which takes are chosen, and wait until its pictures are there."""
    from host_stub.review.later import begin
    from host_stub.review.runs import is_running
    from host_stub.review.told import NAME, write_page
    from host_stub.run.picture_paths import from_here

    with sitting(options, console, write=False) as chair:
        try:
            running = is_running(chair.out_dir)
            found = _gathered(options, chair)
            told = found.told(is_running=running)
            index = write_page(chair.out_dir, told)
            console.say(f"wrote {from_here(index)}: {_rows(told.scenes)}")
            console.say("open it in a browser; '?' there tells the keys")
            missing: dict[str, str] = {}
            if not options.no_wait:
                missing = _made(chair, found, console, is_running=running)
                missing = _followed(options, chair, console, missing) if running else missing
            elif found.pictures:
                begin(chair.out_dir, told, found.pictures)
                missing = dict.fromkeys(found.pictures, "it is being made")
        except OSError as error:
            raise ResultsNotWritten(chair.out_dir / NAME, error) from error
    console.progress("")
    if console.json_only:
        console.result(
            {
                "format": "stage3-review-page/1",
                "path": from_here(index),
                "scenes": len(told.scenes),
                "thumbs_missing": sorted(missing),
            },
            next_actions=[
                safe(as_json_too(about_story(options, "status")), "tells how the scenes stand"),
                safe(as_json_too(about_story(options, "sheet")), "draws them all on one picture"),
            ],
        )
    return 0


def _rows(told: Sequence[Mapping[str, object]]) -> str:
    """Count the scenes of a page, and its sheets beside them."""
    sheets = sum(row.get("role") == "sheet" for row in told)
    scenes = counted(len(told) - sheets, "scene")
    return f"{scenes} and {counted(sheets, 'sheet')}" if sheets else scenes


def _name_of(scenes_path: Path) -> str:
    """Return a story's name: its file's, or its folder's where the file has the name of all."""
    from host_stub.story.finding import USUAL

    usual = scenes_path.name == USUAL
    return (scenes_path.resolve().parent.name if usual else "") or scenes_path.stem


def _gathered(options: Namespace, chair: Chair) -> Gathering:
    """Ask how the story stands now."""
    from host_stub.review.gathering import Gathering
    from host_stub.run.picture_paths import from_here

    said = [
        *(("--config", str(options.config)) if options.config is not None else ()),
        *(("--out", str(options.out)) if options.out is not None else ()),
    ]  # no --set: the page may lie on a share
    command = shlex.join(["host-stub", "plan", from_here(chair.scenes_path), *said])
    found = Gathering(chair.story, _name_of(chair.scenes_path), command)
    chair.look.at_all(found.add)
    return found


def _made(chair: Chair, found: Gathering, console: Console, *, is_running: bool) -> dict[str, str]:
    """Make the small pictures that are not there, and return why some could not be made."""
    from host_stub.review.thumbs import make_thumbs
    from host_stub.review.told import NAME, THUMBS, write_told

    failed: dict[str, str] = {}
    told_at = time.monotonic()
    if found.pictures:
        made = make_thumbs(chair.out_dir / NAME / THUMBS, found.pictures)
        for count, (sha256, why) in enumerate(made, start=1):
            if why is not None:
                failed[sha256] = why
            console.progress(f"small pictures: {count} of {len(found.pictures)}")
            if time.monotonic() - told_at > TELL_EVERY_S:
                write_told(chair.out_dir, found.told(is_running=is_running))
                told_at = time.monotonic()
        console.progress("")
    write_told(chair.out_dir, found.told(is_running=is_running))
    for sha256, why in islice(failed.items(), MOST_NAMED):
        line = f"no small picture of {found.pictures[sha256]}: {why}"
        console.warn(coded("no_small_picture", line))
    if len(failed) > MOST_NAMED:
        console.warn(coded("no_small_picture", f"and of {len(failed) - MOST_NAMED} more"))
    return failed


def _followed(
    options: Namespace, chair: Chair, console: Console, missing: dict[str, str]
) -> dict[str, str]:
    """Tell the page of what a run makes, until that is over."""
    from host_stub.review.runs import is_running, last_change

    running = True
    while running:
        seen = last_change(chair.out_dir)
        while running and last_change(chair.out_dir) == seen:
            console.progress("a run goes on, and the page follows it; Ctrl-C ends that")
            time.sleep(LOOK_EVERY_S)
            running = is_running(chair.out_dir)
        with chair.as_it_is_now() as now:
            missing = _made(now, _gathered(options, now), console, is_running=running)
    return missing
