"""``manifest.json``: the story for programs, written whole and in input order.

The keys up to ``failures`` are those that callers of the original pipeline read; what this host
adds stands behind them. Pictures are those of the whole story, whatever was run last; figures and
failures are the last run's. Money is a decimal string, unknown money is ``null``. The lists go from
where they are kept to the disk row by row, so that a manifest of any length costs no memory. The
one of an earlier run is kept in a folder of that run's name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol

from host_stub.events.journal import keep_earlier, write_whole
from host_stub.run.outcomes import Outcomes, Totals
from host_stub.text.format import exact

NAME = "manifest.json"

_RUN_ID_LINE: Final = re.compile(rb'^  "run_id": "([^"]*)"', re.MULTILINE)
_TAIL_BYTES: Final = 65_536
"""What stands behind the lists is far shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the manifest says of a run beside its scenes.

    Attributes:
        run_id: The run's name.
        plugin: The image plugin's name in the config.
        source: Its distribution and version.
        started_at: ISO 8601, UTC.
        elapsed_s: From the opening of the stage to its end.
        mode: ``serial`` if one scene at a time was allowed.
        stopped: Why no new scenes were started, if so: a failure code, or ``interrupted``.
        exit_code: What the command exits with.
        events_rejected: Events of the plugin that were not as the contract has them.
        cause: Why the stage stopped, in its own words; empty if it did not. An error says it, too.
    """

    run_id: str
    plugin: str
    source: str
    started_at: str
    elapsed_s: float
    mode: Literal["serial", "concurrent"]
    stopped: str | None
    exit_code: int
    events_rejected: int
    cause: str = ""


def figures(totals: Totals, facts: RunFacts) -> dict[str, Any]:
    """Return the manifest's numbers, those that callers of the original know first.

    ``avg_seconds_per_image`` is the elapsed time over the pictures made, and ``speedup`` the sum of
    all scenes' durations over the elapsed time: how much longer one after the other would have
    taken. Both are ``null`` where there is nothing to divide by, and the second also where the run
    made no picture: it would measure how fast the run found that out.
    """
    average = facts.elapsed_s / totals.images if totals.images else None
    has_made = totals.images > totals.reused and facts.elapsed_s > 0
    speedup = totals.busy_s / facts.elapsed_s if has_made else None
    return {
        "total_images": totals.images,
        "elapsed_seconds": round(facts.elapsed_s, 3),
        "avg_seconds_per_image": None if average is None else round(average, 3),
        "mode": facts.mode,
        "speedup": None if speedup is None else round(speedup, 2),
        "cost_usd": exact(totals.cost_usd),
    }


def further(totals: Totals, facts: RunFacts) -> dict[str, Any]:
    """Return what this host adds behind the agreed keys."""
    return {
        "total_failures": totals.failed.total(),
        "failures_by_code": dict(totals.failed.most_common()),
        "pending": totals.pending,
        "reused": totals.reused,
        "attempts": totals.attempts,
        "known_cost_usd": exact(totals.known_usd),
        "scenes_with_unknown_cost": totals.unknown_costs,
        "run_id": facts.run_id,
        "plugin": facts.plugin,
        "source": facts.source,
        "started_at": facts.started_at,
        "stopped": facts.stopped,
        "exit_code": facts.exit_code,
        "events_rejected": facts.events_rejected,
    }


class Pictures(Protocol):
    """What is shown of a story; :class:`host_stub.run.story_rows.StoryRows` is one."""

    def images(self) -> Iterator[bytes]: ...
    def sheets(self) -> Iterator[bytes]: ...
    def counts(self) -> Mapping[str, int | None]: ...


def write_manifest(
    folder: Path,
    outcomes: Outcomes,
    facts: RunFacts,
    pictures: Pictures,
    *,
    decided: Mapping[str, Any] | None = None,
) -> Path:
    """Write the manifest of a story after a run, and return its path.

    The one that is there goes to ``runs/<its run>/manifest.json`` once the new one is on disk.

    Args:
        folder: The folder for results.
        outcomes: What the run came to.
        facts: What is known of it beside them.
        pictures: What is shown.
        decided: What became of decisions, if there were any.

    Raises:
        OSError: The disk did not take it; an earlier manifest is then still there, whole.
        StoryError: What is shown cannot be read; likewise.
    """
    path = folder / NAME
    pieces = _pieces(outcomes, facts, pictures, decided or {})
    write_whole(path, pieces, before=lambda: keep_earlier(path, _run_of))
    return path


def _run_of(manifest: BinaryIO) -> object:
    """Read which run a manifest is of from its end, however long its lists are."""
    manifest.seek(max(0, manifest.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return _RUN_ID_LINE.findall(manifest.read())[-1].decode("ascii")


def _pieces(
    outcomes: Outcomes, facts: RunFacts, pictures: Pictures, decided: Mapping[str, Any]
) -> Iterator[bytes]:
    yield b"{"
    yield from _fields(figures(outcomes.totals, facts))
    yield b'\n  "images": ['
    yield from _listed(pictures.images())
    yield b'],\n  "failures": ['
    yield from _listed(outcomes.rows("failures"))
    yield b'],\n  "sheets": ['
    yield from _listed(pictures.sheets())
    yield b"],"
    yield b"".join(_fields(decided))  # before what the end is read for, since it may be long
    rest = further(outcomes.totals, facts) | {"story": dict(pictures.counts())}
    yield from _fields(rest, last=b"\n}\n")


def _fields(fields: Mapping[str, Any], *, last: bytes = b",") -> Iterator[bytes]:
    for number, (name, value) in enumerate(fields.items(), start=1):
        written = f"\n  {json.dumps(name)}: {json.dumps(value)}".encode("ascii")
        yield written + (last if number == len(fields) else b",")


def _listed(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Put one row on a line of its own."""
    separator = b"\n    "
    for row in rows:
        yield separator + row
        separator = b",\n    "
    if separator.startswith(b","):
        yield b"\n  "
