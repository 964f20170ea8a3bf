"""What of two results has to be equal, and what is told where it is not.

Messages, names that a run makes up, and times are not compared; whatever money, a person's decision
or another program hangs on is.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.hostile.spellings import found_in
from tests.oracle.cases import Case

GIVEN_UP = Path(__file__).with_name("given_up.toml")
_OF_A_ROW = (
    "state", "situation", "cost_usd", "cost_basis", "counted_usd", "hold_usd", "provider", "model",
    "overbilled", "line",
)  # fmt: skip
_OF_A_RUN = (
    "raised", "on_disk", "sha256", "media_type", "width", "height", "attempts", "reused", "dropped",
    "request_id", "stopped", "bought_for", "cost",
)  # fmt: skip
_MADE_UP = re.compile("spooled:[0-9a-f]{32}[0-9:]*|[0-9a-f]{32}")
_OF_A_FAILURE = ("code", "cause", "retryable", "provider_status")


def seen_in(case: Case, found: Mapping[str, Any], secret: str) -> dict[str, str]:
    """Return what is compared of a case's result, by short names."""
    if "broke" in found:
        return {"broke": str(found["broke"])}
    seen: dict[str, str] = {}
    for number, run in enumerate(found["runs"], 1):
        if case.only_end and number < len(found["runs"]):
            continue
        failure = _part(run, "failure")
        told = {name: failure.get(name) for name in _OF_A_FAILURE}
        told |= {name: run.get(name) for name in _OF_A_RUN}
        steps = [(one["provider"], one["attempts"], one["cost"]) for one in run.get("steps", ())]
        seen |= {f"run {number} {name}": _text(value) for name, value in told.items()}
        seen[f"run {number} steps"] = _text(steps)
    rows = found["attempts"].get("attempts", ())[::-1]
    runs = list(dict.fromkeys(row["run_id"] for row in rows))
    for number, row in enumerate(rows, 1):
        values = {name: row.get(name) for name in _OF_A_ROW}
        values["run"] = runs.index(row["run_id"]) + 1
        values["job"] = _MADE_UP.sub("#", str(_part(row, "job").get("job_id")))
        values["is kept"] = row.get("evidence") is not None
        values["setting"] = _part(row, "awaited").get("needs_setting")
        seen |= {f"row {number} {name}": _text(value) for name, value in values.items()}
    seen["rows"] = str(len(rows))
    seen["costs"] = _text(found["costs"].get("total"))
    seen["verify"] = _text([found["verify"].get("code"), len(found["verify"].get("problems", ()))])
    seen |= {name: _text(value) for name, value in found["server"].items()}
    text = json.dumps(found)
    shown = found_in(text.encode(), secret) if "/key " in case.name else [secret] * (secret in text)
    seen["the key"] = _text([found["key_in"], shown])
    return seen


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return document.get(name) or dict[str, Any]()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Difference:
    """One case in which the builds differ.

    Attributes:
        case: Its name.
        fields: What differs, in the reference and in the candidate.
        reason: Why that is given up, if all of it is.
    """

    case: str
    fields: Mapping[str, tuple[str, str]]
    reason: str | None = None


class GivenUp:
    """The table of what is given up.

    Attributes:
        unused: Patterns that no difference was found for.
    """

    def __init__(self, path: Path = GIVEN_UP) -> None:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        self._reasons = {pattern: str(reason) for pattern, reason in table.items()}
        self.unused = set(self._reasons)

    def compared(
        self, case: str, reference: Mapping[str, str], candidate: Mapping[str, str]
    ) -> Difference | None:
        """Compare what was seen of a case in both builds."""
        is_whole = "broke" not in {*reference, *candidate}
        names = [*dict.fromkeys([*reference, *candidate])] if is_whole else ["broke"]
        pairs = {name: (reference.get(name, "-"), candidate.get(name, "-")) for name in names}
        fields = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if not fields:
            return None
        reasons = [self._reason(f"{case} {name}") for name in fields]
        return Difference(case, fields, None if None in reasons else reasons[0])

    def _reason(self, where: str) -> str | None:
        for pattern, reason in self._reasons.items():
            if fnmatchcase(where, pattern):
                self.unused.discard(pattern)
                return reason
        return None


def table_of(differences: Sequence[Difference], *, width: int = 44) -> str:
    """Put differences into a table: those that are alike are one row."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in differences:
        name, (before, now) = next(iter(one.fields.items()))
        more = f" and {len(one.fields) - 1} more" if len(one.fields) > 1 else ""
        alike.setdefault((name + more, before[:width], now[:width]), []).append(one.case)
    rows = [("what", "reference", "candidate", "cases")]
    for (name, before, now), names in sorted(alike.items(), key=lambda row: -len(row[1])):
        shown = ", ".join(names[:3]) + (f", … ({len(names)})" if len(names) > 3 else "")
        rows.append((name, before, now, shown))
    wide = [max(len(row[at]) for row in rows) for at in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(size) for cell, size in zip(row, wide, strict=False)), row[3]])
        for row in rows
    )
