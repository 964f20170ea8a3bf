"""How the decisions of several reviewers become one for each scene.

In one scene the later decision counts, whole: two reviewers' wishes are not mixed into one that
nobody had. The other is named, unless the two agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from host_stub.decisions.decision import LONGEST_NAME, Decision
from host_stub.text.escape import escaped

_ALWAYS_EARLIER: Final = datetime.min.replace(tzinfo=UTC)
"""When a decision was made that does not say when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to be said of what was decided about one scene.

    Attributes:
        scene_id: The scene.
        why: In words.
    """

    scene_id: str
    why: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{escaped(self.scene_id, limit=LONGEST_NAME)}: {self.why}"

    def as_json(self) -> dict[str, str]:
        """Return it as plain JSON values."""
        return {"scene": self.scene_id, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One decision for each scene.

    Attributes:
        decisions: By scene, in the order in which scenes were first named.
        conflicts: Where two wanted something else, and which of them counts.
    """

    decisions: Mapping[str, Decision]
    conflicts: tuple[Note, ...] = ()


def merge(decisions: Iterable[Decision]) -> Merged:
    """Return the decision that counts in each scene.

    Args:
        decisions: In the order in which they were read. Of two with the same time, or without one,
            the later read counts; one without a time is earlier than all that have one.
    """
    counting: dict[str, Decision] = {}
    conflicts: list[Note] = []
    for decision in decisions:
        other = counting.get(decision.scene_id)
        if other is None:
            counting[decision.scene_id] = decision
            continue
        later, earlier = (decision, other) if _at(decision) >= _at(other) else (other, decision)
        counting[decision.scene_id] = later
        if later.wish != earlier.wish:
            conflicts.append(Note(scene_id=decision.scene_id, why=_why(later, earlier)))
    return Merged(decisions=counting, conflicts=tuple(conflicts))


def _at(decision: Decision) -> datetime:
    return decision.at or _ALWAYS_EARLIER


def _why(later: Decision, earlier: Decision) -> str:
    return f"{_said(later)} counts; {_said(earlier)} wants something else, and is left out"


def _said(decision: Decision) -> str:
    at = "without a time" if decision.at is None else f"of {decision.at:%Y-%m-%dT%H:%M:%SZ}"
    return f"decisions[{decision.origin.index}] of {decision.origin}, {at},"
