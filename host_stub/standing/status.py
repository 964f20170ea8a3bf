"""The status of a story: how its scenes stand, for people and for programs.

A long story is shown in the first scenes of each kind that wants something; the JSON has them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from host_stub.contract import Role
from host_stub.standing.standing import SceneStanding
from host_stub.standing.story_state import Price, StoryState
from host_stub.story.takes import Take
from host_stub.text.addresses import in_text
from host_stub.text.escape import escaped
from host_stub.text.format import dollars, exact

FORMAT: Final = "stage3-status/1"
MOST_SHOWN: Final = 20
_LONGEST: Final = 80
_LONGEST_TEXT: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Status:
    """How a story stands, taken in one scene after the other; no more is kept than is said.

    Attributes:
        path_of: Says where a take's file lies, as seen from here.
        is_full: Keep what is to be said of every scene, for programs.
        state: The counts.
    """

    path_of: Callable[[Take], str]
    is_full: bool = False
    state: StoryState = field(default_factory=StoryState)
    _rows: dict[Role, list[dict[str, Any]]] = field(
        default_factory=lambda: {"scene": [], "sheet": []}
    )
    _lines: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    _counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, standing: SceneStanding) -> None:
        """Take one scene in, or one sheet."""
        self.state.add(standing)
        if self.is_full:
            self._rows[standing.role].append(self._row(standing))
        for kind, wants in _KINDS.items():
            if wants(standing):
                self._counts[kind] += 1
                if self._counts[kind] <= MOST_SHOWN:
                    self._lines[kind].append(_line(standing))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; money is a decimal string, unknown is ``null``."""
        return {
            "format": FORMAT,
            "story": self.state.as_json(),
            "stale_reasons": dict(self.state.reasons.most_common()),
            "redo": _price(self.state.redo),
            "make": _price(self.state.make),
            "scenes": self._rows["scene"],
            "sheets": self._rows["sheet"],
        }

    def as_lines(self) -> Iterator[str]:
        """Return it for people, line by line."""
        yield self.state.in_words()
        for kind, lines in self._lines.items():
            if lines:
                yield f"{kind}:"
                yield from (f"  {line}" for line in lines)
            if self._counts[kind] > MOST_SHOWN:
                yield f"  and {self._counts[kind] - MOST_SHOWN} more; --json has all of them"
        yield from self.state.as_lines()

    def _row(self, one: SceneStanding) -> dict[str, Any]:
        shown = one.shown
        return {
            "scene": one.scene_id,
            "state": one.state,
            "reasons": list(one.reasons),
            "wrong_aspect": one.wrong_aspect,
            "take": None if shown is None else shown.number,
            "sha256": None if shown is None else shown.sha256,
            "path": None if shown is None else self.path_of(shown),
            "draft": shown is not None and shown.is_draft,
            "imported": shown is not None and shown.is_import,
            "takes": len(one.takes),
            "wanted": one.wanted,
            "to_make": one.to_make,
            "next_take": None if one.due is None else one.due.number,
            "cost_usd": exact(one.cost_usd),
            "problem": None if one.problem is None else in_text(one.problem),
            "waits_for": list(one.waits_for),
        }


def _wants_more(one: SceneStanding) -> bool:
    return one.state == "current" and one.to_make > 0


def _goes_back(one: SceneStanding) -> bool:
    return one.due is not None and one.shown is not None and one.due != one.shown


_KINDS: Final[dict[str, Callable[[SceneStanding], bool]]] = {
    "stale": lambda one: one.state == "stale",
    "missing": lambda one: one.state == "missing",
    "held, since what became of a request is unknown": lambda one: one.state == "held",
    "on the way, nothing more is paid for those": lambda one: one.state == "pending",
    "more takes wanted": _wants_more,
    "another take is shown after the next run": _goes_back,
    "of a wrong aspect": lambda one: one.wrong_aspect,
}


def _line(one: SceneStanding) -> str:
    name = escaped(one.scene_id, limit=_LONGEST)
    name = f"sheet {name}" if one.role == "sheet" else name
    about: list[str] = list(one.reasons)
    if one.shown is not None:
        about.append(f"take {one.shown.number} of {len(one.takes)}")
    elif one.takes:
        about.append("drafts only")
    if one.problem is not None:
        about.append(escaped(in_text(one.problem), limit=_LONGEST_TEXT))
    elif one.to_make and one.state != "pending":
        times = f"{one.to_make} x " if one.to_make > 1 else ""
        about.append(f"{times}{dollars(one.cost_usd)}")
    return f"{name}: {', '.join(about)}" if about else name


def _price(price: Price) -> dict[str, Any]:
    return {
        "pictures": price.pictures,
        "cost_high_usd": exact(price.usd),
    }
