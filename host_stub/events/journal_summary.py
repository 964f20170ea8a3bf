"""What happened in a journal: ``events.jsonl`` counted again, run by run.

Reads line by line, so that a journal of any length needs little memory, and imports nothing heavy.
The cost of a scene is in the event that ends it and covers its failed attempts too; what
``scene.retried`` says of an attempt is therefore not added again.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, cast

from host_stub.errors import JournalError

LARGEST_USD_DIGITS: Final = 20
"""An amount with more digits is a mistake, and would take a page to print."""

ENDINGS: Final = ("scene.finished", "scene.failed", "scene.reused", "scene.skipped")


@dataclass(slots=True)
class JournalSummary:
    """One run of a journal.

    Attributes:
        run_id: Its name.
        plugin: Who made the pictures.
        events: How often each event was sent.
        codes: How often each failure code was given, for scenes that failed or were skipped.
        cost_usd: The sum of all costs that are known.
        unknown_costs: Ended scenes whose cost is not known.
        first: When its first event was sent.
        last: When its last event was sent.
    """

    run_id: str
    plugin: str
    events: Counter[str] = field(default_factory=Counter[str])
    codes: Counter[str] = field(default_factory=Counter[str])
    cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    first: datetime | None = None
    last: datetime | None = None

    @property
    def elapsed_s(self) -> float | None:
        """Return the seconds from the first to the last event."""
        if self.first is None or self.last is None:
            return None
        return (self.last - self.first).total_seconds()

    def add(self, event: dict[str, Any]) -> None:
        """Count one event.

        Raises:
            ValueError: A cost or a time is not one.
        """
        name = str(event["event"])
        self.events[name] += 1
        if name in {"scene.failed", "scene.skipped"}:
            self.codes[str(event.get("code"))] += 1
        if name in {"scene.finished", "scene.failed"}:
            self._add_cost(event.get("cost_usd"))
        if isinstance(event.get("timestamp"), str):
            moment = datetime.fromisoformat(event["timestamp"])
            if moment.tzinfo is None:
                raise ValueError("a time without a zone")
            self.first = self.first or moment
            self.last = moment

    def _add_cost(self, cost: object) -> None:
        if cost is None:
            self.unknown_costs += 1
            return
        try:
            usd = Decimal(str(cost))
        except InvalidOperation:
            raise ValueError("not a decimal number") from None
        if not usd.is_finite() or usd.adjusted() > LARGEST_USD_DIGITS:
            raise ValueError("not an amount of money")
        self.cost_usd += usd

    def as_json(self) -> dict[str, object]:
        """Return the run as plain JSON values; money is a decimal string."""
        return {
            "run_id": self.run_id,
            "plugin": self.plugin,
            "elapsed_s": self.elapsed_s,
            "events": dict(sorted(self.events.items())),
            "codes": dict(sorted(self.codes.items())),
            "cost_usd": format(self.cost_usd, "f"),
            "unknown_costs": self.unknown_costs,
        }

    def as_text(self) -> str:
        """Return the run as lines for people."""
        made, failed, reused, skipped = (self.events[name] for name in ENDINGS)
        elapsed = "" if self.elapsed_s is None else f", {self.elapsed_s:.1f} s"
        unknown = f" and {self.unknown_costs} of unknown cost" if self.unknown_costs else ""
        retries = self.events["scene.retried"]
        lines = [
            f"run {self.run_id} with {self.plugin}{elapsed}",
            f"  {made} made, {reused} reused, {failed} failed, {skipped} not started",
            f"  {retries} retries, ${self.cost_usd:f}{unknown}",
        ]
        lines += [f"  {code}: {count}" for code, count in sorted(self.codes.items())]
        return "\n".join(lines)


def summarize_journal(path: Path) -> list[JournalSummary]:
    """Count a journal's events, one result per run, in the order the runs began.

    A last line that was cut short, as a killed process leaves it, is passed over.

    Raises:
        JournalError: The file cannot be read, or a line is not an event.
    """
    runs: dict[str, JournalSummary] = {}
    number = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                number += 1
                event = _event(line)
                if event is not None:
                    run_id, plugin = str(event.get("run_id")), str(event.get("plugin"))
                    runs.setdefault(run_id, JournalSummary(run_id, plugin)).add(event)
    except OSError as error:
        raise JournalError(
            path,
            "",
            f"cannot be read: {error.strerror or type(error).__name__}",
            hint="a run writes its journal to events.jsonl in its output folder",
        ) from error
    except (ValueError, RecursionError) as error:
        raise JournalError(
            path,
            f"line {number}",
            "is not an event; each line is a JSON object with 'event' and 'run_id'",
            hint="is this the events.jsonl of a run?",
        ) from error
    return list(runs.values())


def _event(line: bytes) -> dict[str, Any] | None:
    """Parse a line; ``None`` for an empty one and for a last one that was cut short."""
    if not line.strip():
        return None
    try:
        event: object = json.loads(line)
    except ValueError:
        if line.endswith(b"\n"):
            raise
        return None
    if not isinstance(event, dict) or "event" not in event:
        raise ValueError("not an event")
    return cast("dict[str, Any]", event)
