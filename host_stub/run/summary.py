"""What a person reads when a run is over: every picture, every failure, time and money.

Read back from the rows of the manifest, in input order, so that the summary says what the manifest
says and a run of 100,000 scenes is summed up in as little memory as one of six.

Pictures that lie beside the story, for scenes that a run has no picture of, come from an earlier
run, perhaps of another plugin, and a copy of all of ``images/`` has them too: so they are named,
and left. They are found by the names that the two plugins here use; pictures of a plugin with other
names are not found, and not named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path, PurePath
from typing import Any, Final

from host_stub.contract import Role
from host_stub.run.manifest import RunFacts
from host_stub.run.outcomes import Outcomes, Totals
from host_stub.run.picture_paths import from_here
from host_stub.run.story_rows import StoryRows
from host_stub.text.escape import escaped
from host_stub.text.format import (
    BEHIND_A_RUN,
    NOT_HERE_YET,
    TO_KEEP_TO_A_CAP,
    counted,
    dollars,
    duration,
    how_to_settle,
)

MOST_NAMED: Final = 5


def left_beside(
    images: Path, without: Iterable[str], *, sheets: Iterable[str] = ()
) -> Iterator[str]:
    """Say which pictures are not of this run: one line, or none.

    Args:
        images: Where pictures lie; it may not be there.
        without: The ids of scenes that this run has no picture of.
        sheets: Those of sheets, likewise.
    """
    there = _by_stem(images)
    if not there:
        return
    from host_stub.plain_image import file_stem  # noqa: PLC0415 - only where there is something

    stems = chain(map(file_stem, without), (f"cast-{file_stem(name)}" for name in sheets))
    names = [there[stem] for stem in stems if stem in there]
    if not names:
        return
    shown = ", ".join(escaped(name, limit=80) for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    count = counted(len(names), "picture")
    which = "is not of this run, which has none of its scene"
    if len(names) > 1:
        which = "are not of this run, which has none of their scenes"
    folder = escaped(from_here(images))
    yield (
        f"{count} in {folder} {which}: "
        f"{shown}{more}; take the pictures that are named above, or in the manifest"
    )


def _by_stem(folder: Path) -> dict[str, str]:
    """Return the names of regular files by their stems; none where the folder cannot be read.

    A name that begins with a dot is a file in the making, and is left out.
    """
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in entries if one.is_file() and one.name[0] != "."]
    except OSError:
        return {}
    return {os.path.splitext(name)[0]: name for name in names}  # noqa: PTH122 - of 100,000 names


MOST_PICTURES = 50
"""More are not named one by one."""
FIRST_PICTURES = 20
"""Pictures named when there are more."""
MOST_REASONS = 20
_NAMES_PER_REASON = 5
_LONGEST_MESSAGE = 500
_LONG_ENOUGH = 40
"""A message as long as this is not repeated."""


_MOST_STALE = 5
"""Scenes named that go on showing an earlier picture."""


def summary_lines(
    outcomes: Outcomes,
    facts: RunFacts,
    manifest_path: str | None,
    *,
    resumes: bool = False,
    offline: bool = False,
    pictures: StoryRows | None = None,
    is_draft: bool = False,
) -> Iterator[str]:
    """Return the summary line by line, safe for a terminal.

    Args:
        outcomes: What became of each scene.
        facts: What is known of the run beside them.
        manifest_path: Where the manifest is, if it could be written.
        resumes: The plugin keeps a ledger of what was bought.
        offline: It buys nothing.
        pictures: What is shown by now; where each picture of the run is if absent.
        is_draft: The run drew drafts.
    """
    if outcomes.totals.images:
        yield "drafts, beside what the story shows:" if is_draft else "pictures:"
        yield from _as_far_as_readable(_picture_lines(outcomes, pictures))
    if outcomes.totals.failed:
        yield f"{_not_made(outcomes.totals)}:"
        yield from _as_far_as_readable(_failure_lines(outcomes, facts.cause))
        if pictures is not None:
            yield from _as_far_as_readable(_still_shown(outcomes, pictures))
            scenes = _without(outcomes, "scene", pictures)
            sheets = _without(outcomes, "sheet", pictures)
            yield from _as_far_as_readable(left_beside(pictures.folder, scenes, sheets=sheets))
        if outcomes.totals.unsettled and not offline:
            count = counted(outcomes.totals.unsettled, "scene")
            settling = how_to_settle(facts.plugin, resumes=resumes)
            yield f"money may be spent for {count} whose outcome or cost is unknown: {settling}"
        yield from _next_steps(outcomes.totals, facts)
    yield figures_line(outcomes.totals, facts)
    if manifest_path is not None:
        yield f"manifest: {escaped(manifest_path)}"


def _without(outcomes: Outcomes, role: Role, pictures: StoryRows) -> Iterator[str]:
    """Return the ids of scenes, or of sheets, that show no picture at all."""
    failed = map(_read, outcomes.rows("failures"))
    ids = (str(row["scene_id"]) for row in failed if row["role"] == role)
    return (one for one in ids if pictures.shown(one, role) is None)


def _still_shown(outcomes: Outcomes, pictures: StoryRows) -> Iterator[str]:
    """Say which scenes go on showing a picture that this run was to replace."""
    count, names, last = 0, list[str](), None
    for row in map(_read, outcomes.rows("failures")):
        scene_id, role = str(row["scene_id"]), row["role"]
        is_seen, last = (scene_id, role) == last, (scene_id, role)
        if is_seen or pictures.shown(scene_id, role) is None or outcomes.pictures_of(scene_id):
            continue
        count += 1
        if len(names) < _MOST_STALE:
            names.append(escaped(scene_id, limit=80))
    if count:
        more = f" and {count - len(names)} more" if count > len(names) else ""
        shows = "1 of them still shows" if count == 1 else f"{count} of them still show"
        yield f"{shows} an earlier picture: {', '.join(names)}{more}"


def _noun(totals: Totals) -> str:
    """Say what is counted: where a scene has several takes, each of them ends by itself."""
    return "take" if totals.further else "scene"


def _not_made(totals: Totals) -> str:
    scenes, sheets = totals.failed.total() - totals.failed_sheets, totals.failed_sheets
    parts = [counted(scenes, _noun(totals))] if scenes or not sheets else []
    said = " and ".join([*parts, *([counted(sheets, "sheet")] if sheets else [])])
    return f"{said} {'not made' if totals.further else 'without a picture'}"


def figures_line(totals: Totals, facts: RunFacts) -> str:
    """Say time, average, speed-up and cost."""
    parts = [f"{counted(totals.images, 'picture')} in {duration(facts.elapsed_s)}"]
    if totals.reused:
        which = "all" if totals.reused == totals.images else totals.reused
        parts.append(f"{which} of them reused (nothing paid for those)")
    if totals.images:
        parts.append(f"{duration(facts.elapsed_s / totals.images)} each")
    if totals.images > totals.reused and facts.elapsed_s > 0 and totals.busy_s > 0:
        speed_up = totals.busy_s / facts.elapsed_s
        if round(speed_up, 1) >= 1:  # below 1 it measures the run's own start and what was reused
            parts.append(f"speed-up {speed_up:.1f} ({facts.mode})")
    return ", ".join([*parts, _cost(totals)])


def _cost(totals: Totals) -> str:
    if not totals.unknown_costs:
        return f"cost {dollars(totals.known_usd)}"
    if not totals.known_usd:
        return "cost unknown"
    unknown = counted(totals.unknown_costs, "scene")
    made = totals.unpriced_images
    if 0 < made < totals.unknown_costs:  # of both kinds, and only one is to be decided
        unknown += f", {made} of them with a picture"
    return f"cost at least {dollars(totals.known_usd)} (unknown for {unknown})"


def _as_far_as_readable(lines: Iterator[str]) -> Iterator[str]:
    """Pass lines on; a disk that does not return them must not keep time and money from us."""
    try:
        yield from lines
    except OSError as error:
        yield f"  the rest cannot be read back: {error.strerror or error}"


def _picture_lines(outcomes: Outcomes, pictures: StoryRows | None) -> Iterator[str]:
    """Name what was made and found: one line for a scene, with the picture that it shows."""
    scenes = groupby(_pictures(outcomes), key=lambda one: (one[0], str(one[1]["scene_id"])))
    lines: list[tuple[str, int]] = []
    for (role, scene_id), group in scenes:
        rows = [row for _, row in group]
        if len(lines) <= MOST_PICTURES:
            shown = None if pictures is None else pictures.shown(scene_id, role)
            lines.append((_picture_line(rows, shown), len(rows)))
    named = lines if len(lines) <= MOST_PICTURES else lines[:FIRST_PICTURES]
    for line, _ in named:
        yield f"  {escaped(line)}"
    if len(lines) > len(named):
        others = outcomes.totals.images - sum(count for _, count in named)
        folder = PurePath(lines[0][0]).parent
        yield f"  and {others} more in {escaped(str(folder))}"


def _pictures(outcomes: Outcomes) -> Iterator[tuple[Role, dict[str, Any]]]:
    sheets, scenes = outcomes.rows("sheets"), outcomes.rows("images")
    return chain(
        (("sheet", _read(row)) for row in sheets), (("scene", _read(row)) for row in scenes)
    )


def _picture_line(rows: list[dict[str, Any]], shown: tuple[str, str] | None) -> str:
    """Say where a scene's picture is; where another one is shown than it made, where that is."""
    takes = "" if len(rows) == 1 else f" ({len(rows)} takes)"
    if shown is None:
        return f"{rows[0]['image_path']}{takes}"
    path, sha256 = shown
    made = [row for row in rows if not row["reused"]]
    if not made or any(row["sha256"] == sha256 for row in rows):
        return f"{path}{takes}"
    return f"{made[-1]['image_path']}{takes}, beside {path}, which is shown"


def _failure_lines(outcomes: Outcomes, cause: str) -> Iterator[str]:
    """Say each reason once, with the scenes it holds for; why the run stopped is said below."""
    names: dict[tuple[str, str], list[str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for row in map(_read, outcomes.rows("failures")):
        about = "" if row["cause"] is None else f" ({row['cause']})"
        reason = (f"{row['code']}{about}", str(row["message"]))
        if reason not in counts and len(counts) == MOST_REASONS:
            continue
        counts[reason] = counts.get(reason, 0) + 1
        if counts[reason] <= _NAMES_PER_REASON:
            names.setdefault(reason, []).append(escaped(str(row["scene_id"]), limit=80))
    said_before = {cause: "see the error below"} if cause else {}
    for reason, count in counts.items():
        code, message = reason
        scenes = ", ".join(names[reason])
        more = f" and {count - _NAMES_PER_REASON} more" if count > _NAMES_PER_REASON else ""
        said = f"{code}: {_shortened(message, said_before)}" if message != code else code
        said_before.setdefault(message, "see above")
        yield f"  {said} ({scenes}{more})"
    others = outcomes.totals.failed.total() - sum(counts.values())
    if others:
        yield f"  and {others} more; the manifest names them"


def _shortened(message: str, said: dict[str, str]) -> str:
    """Return a message; what it repeats of another one is not said again, but where that is."""
    for other, where in said.items():
        if len(other) >= _LONG_ENOUGH and other in message:
            message = message.replace(other, where)
    return escaped(message, limit=_LONGEST_MESSAGE)


def _next_steps(totals: Totals, facts: RunFacts) -> Iterator[str]:
    """Say what a person can do about what is to come, and where a run or a cap is in the way."""
    one = _noun(totals)
    if totals.pending:
        count = counted(totals.pending, f"{one} is", f"{one}s are")
        yield f"{count} not here yet: {NOT_HERE_YET}"
    if busy := totals.failed["busy"]:
        count = counted(busy, f"{one} is", f"{one}s are")
        yield f"{count} in flight in another run: {BEHIND_A_RUN}"
    left_out = totals.failed["budget"]
    if facts.stopped == "budget":
        behind = totals.failed["not_tried"]
        if behind and not left_out:  # nothing failed to fit: a bill was higher than expected, say
            count = counted(behind, f"{one} was", f"{one}s were")
            yield f"{count} not tried, and no cap is reached: {TO_KEEP_TO_A_CAP}"
            return
        left_out += behind
    if left_out:
        count = counted(left_out, f"{one} was", f"{one}s were")
        yield f"{count} left out by a cap; its reason says how to go on"


def _read(row: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(row)
    return read
