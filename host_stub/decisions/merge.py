"""How the decisions of several reviewers become one for each scene.

In one scene the later decision counts, whole: two reviewers' wishes are not mixed into one that
nobody had. The other is named, unless the two agree.

A decision is a wanted state: what is shown, which of the takes that were seen are rejected, how
many takes there shall be. What it leaves out it says nothing about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from host_stub.errors import DecisionsError, Problem
from host_stub.text.escape import escaped

LONGEST_NAME = 80
"""Characters of an id or a reviewer's name that a message shows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a decision is written.

    Attributes:
        path: The file.
        index: Its place in the file's list, from 0.
        reviewer: Who the file says decided; ``None`` if it does not.
    """

    path: Path
    index: int = 0
    reviewer: str | None = None

    def __str__(self) -> str:
        """Say it in a message: ``ana (out/decisions/ana.json)``."""
        path = escaped(str(self.path))
        if self.reviewer is None:
            return path
        return f"{escaped(self.reviewer, limit=LONGEST_NAME)} ({path})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a reviewer wants of one scene.

    Attributes:
        scene_id: The scene, or the sheet.
        origin: Where it is written.
        seen: The bytes of the takes that the reviewer had before the eyes, each by its sha256 in
            lower-case hex; empty if it is bound to nothing.
        show: The take to be shown.
        reject: The takes that are not wanted, out of those seen, or of all where ``seen`` is empty;
            empty for none of them, ``None`` if nothing is said about that.
        takes: How many takes there shall be.
        prompt: What the picture shall show, in place of the scene's own prompt.
        note: A word for people; empty takes away the one that is there.
        at: When it was decided, aware, in UTC.
    """

    scene_id: str
    origin: Origin
    seen: tuple[str, ...] = ()
    show: str | None = None
    reject: tuple[str, ...] | None = None
    takes: int | None = None
    prompt: str | None = None
    note: str | None = None
    at: datetime | None = None

    @property
    def wish(self) -> tuple[object, ...]:
        """What it wants, whoever said so and when: two decisions that agree have the same."""
        rejected = None if self.reject is None else frozenset(self.reject)
        return (self.show, rejected, self.takes, self.prompt, self.note)


MOST_SCENES: Final = 200_000
MOST_OTHERS: Final = 20
"""Decisions about one scene that are named beside the one that counts."""

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

    Raises:
        DecisionsError: They are about more scenes than a story has.
    """
    counting: dict[str, Decision] = {}
    others: dict[str, list[Decision]] = {}
    for decision in decisions:
        other = counting.get(decision.scene_id)
        if other is None:
            if len(counting) == MOST_SCENES:
                raise _too_many(decision.origin.path)
            counting[decision.scene_id] = decision
            continue
        later, earlier = (decision, other) if _at(decision) >= _at(other) else (other, decision)
        counting[decision.scene_id] = later
        if later.wish != earlier.wish:
            others.setdefault(decision.scene_id, []).append(earlier)
            del others[decision.scene_id][MOST_OTHERS:]
    conflicts = [
        Note(scene_id=scene_id, why=_why(counting[scene_id], other))
        for scene_id, found in others.items()
        for other in _each_once(found)
        if other.wish != counting[scene_id].wish
    ]
    return Merged(decisions=counting, conflicts=tuple(conflicts))


def _each_once(found: Sequence[Decision]) -> Iterable[Decision]:
    """Return each decision once, by its place: one file may be read twice."""
    return {one.origin: one for one in found}.values()


def _too_many(path: Path) -> DecisionsError:
    problem = f"with it they are about more than {MOST_SCENES:,} scenes"
    return DecisionsError(
        path, [Problem("", problem)], hint="name only the files that are about this story"
    )


def _at(decision: Decision) -> datetime:
    return decision.at or _ALWAYS_EARLIER


def _why(later: Decision, earlier: Decision) -> str:
    return f"{_said(later)} counts; {_said(earlier)} wants something else, and is left out"


def _said(decision: Decision) -> str:
    at = "without a time" if decision.at is None else f"of {decision.at:%Y-%m-%dT%H:%M:%SZ}"
    return f"decisions[{decision.origin.index}] of {decision.origin}, {at},"
