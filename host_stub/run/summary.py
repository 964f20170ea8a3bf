"""What a person reads when a run is over: every picture, every failure, time and money.

Read back from the rows of the manifest, in input order, so that the summary says what the manifest
says and a run of 100,000 scenes is summed up in as little memory as one of six.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Any

from host_stub.contract import Role
from host_stub.run.left_beside import left_beside
from host_stub.run.manifest import RunFacts
from host_stub.run.outcomes import Outcomes, Totals
from host_stub.text.escape import escaped
from host_stub.text.format import (
    BEHIND_A_RUN,
    BEYOND_A_CAP,
    NOT_HERE_YET,
    TO_KEEP_TO_A_CAP,
    counted,
    dollars,
    duration,
    how_to_settle,
)

MOST_PICTURES = 50
"""More are not named one by one."""
FIRST_PICTURES = 20
"""Pictures named when there are more."""
MOST_REASONS = 20
_NAMES_PER_REASON = 5
_LONGEST_MESSAGE = 500
_LONG_ENOUGH = 40
"""A message as long as this is not repeated."""


def summary_lines(
    outcomes: Outcomes,
    facts: RunFacts,
    manifest_path: str | None,
    *,
    resumes: bool = False,
    offline: bool = False,
    images: Path | None = None,
) -> Iterator[str]:
    """Return the summary line by line, safe for a terminal.

    Args:
        outcomes: What became of each scene.
        facts: What is known of the run beside them.
        manifest_path: Where the manifest is, if it could be written.
        resumes: The plugin keeps a ledger of what was bought.
        offline: It buys nothing.
        images: Where pictures lie, to see what lies there of other runs.
    """
    if outcomes.totals.images:
        yield "pictures:"
        yield from _as_far_as_readable(_picture_lines(outcomes))
    if outcomes.totals.failed:
        yield f"{_without_picture(outcomes.totals)} without a picture:"
        yield from _as_far_as_readable(_failure_lines(outcomes))
        if images is not None:
            scenes, sheets = _without(outcomes, "scene"), _without(outcomes, "sheet")
            yield from _as_far_as_readable(left_beside(images, scenes, sheets=sheets))
        if outcomes.totals.unsettled and not offline:
            count = counted(outcomes.totals.unsettled, "scene")
            settling = how_to_settle(facts.plugin, resumes=resumes)
            yield f"money may be spent for {count} whose outcome or cost is unknown: {settling}"
        yield from _next_steps(outcomes.totals, facts)
    yield figures_line(outcomes.totals, facts)
    if manifest_path is not None:
        yield f"manifest: {escaped(manifest_path)}"


def _without(outcomes: Outcomes, role: Role) -> Iterator[str]:
    """Return the ids of scenes, or of sheets, that have no picture."""
    failed = map(_read, outcomes.rows("failures"))
    return (str(row["scene_id"]) for row in failed if row["role"] == role)


def _without_picture(totals: Totals) -> str:
    scenes, sheets = totals.failed.total() - totals.failed_sheets, totals.failed_sheets
    parts = [counted(scenes, "scene")] if scenes or not sheets else []
    return " and ".join([*parts, *([counted(sheets, "sheet")] if sheets else [])])


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


def _picture_lines(outcomes: Outcomes) -> Iterator[str]:
    rows = map(_read, chain(outcomes.rows("sheets"), outcomes.rows("images")))
    paths = [str(row["image_path"]) for row in islice(rows, MOST_PICTURES + 1)]
    shown = paths if len(paths) <= MOST_PICTURES else paths[:FIRST_PICTURES]
    for path in shown:
        yield f"  {escaped(path)}"
    if len(paths) > len(shown):
        folder = PurePath(paths[0]).parent
        yield f"  and {outcomes.totals.images - len(shown)} more in {escaped(str(folder))}"


def _failure_lines(outcomes: Outcomes) -> Iterator[str]:
    """Say each reason once, with the scenes it holds for."""
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
    said_before: list[str] = []
    for reason, count in counts.items():
        code, message = reason
        scenes = ", ".join(names[reason])
        more = f" and {count - _NAMES_PER_REASON} more" if count > _NAMES_PER_REASON else ""
        said = f"{code}: {_shortened(message, said_before)}" if message != code else code
        said_before.append(message)
        yield f"  {said} ({scenes}{more})"
    others = outcomes.totals.failed.total() - sum(counts.values())
    if others:
        yield f"  and {others} more; the manifest names them"


def _shortened(message: str, said_before: list[str]) -> str:
    """Return a message; what it repeats of another that stands above is not said again."""
    for earlier in said_before:
        if len(earlier) >= _LONG_ENOUGH and earlier in message:
            message = message.replace(earlier, "see above")
    return escaped(message, limit=_LONGEST_MESSAGE)


def _next_steps(totals: Totals, facts: RunFacts) -> Iterator[str]:
    """Say what a person can do about what is to come, and where a run or a cap is in the way."""
    if totals.pending:
        count = counted(totals.pending, "scene is", "scenes are")
        yield f"{count} bought and not here yet: {NOT_HERE_YET}"
    if busy := totals.failed["busy"]:
        count = counted(busy, "scene is", "scenes are")
        yield f"{count} in flight in another run: {BEHIND_A_RUN}"
    left_out = totals.failed["budget"]
    if facts.stopped == "budget":
        behind = totals.failed["not_tried"]
        if behind and not left_out:  # nothing failed to fit: a bill was higher than expected, say
            count = counted(behind, "scene was", "scenes were")
            yield f"{count} not tried, and no cap is reached: {TO_KEEP_TO_A_CAP}"
            return
        left_out += behind
    if left_out:
        count = counted(left_out, "scene was", "scenes were")
        yield f"{count} left out by a cap: {BEYOND_A_CAP}, and run this again"


def _read(row: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(row)
    return read
