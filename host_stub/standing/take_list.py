"""The takes of one scene, for people and for programs, and the wish for one more.

Pure: where a take's file lies is asked of whoever knows.

One more take is a wish that is written down once, and fulfilled by a run. What is wanted is a
number, those that are made and one more, so that it can be said again by whoever did not see that
it was said: as long as its picture is not there it stays the same wish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from host_stub.contract import MOST_TAKES, Role
from host_stub.standing.standing import SceneStanding
from host_stub.standing.story_state import Price
from host_stub.story.takes import Take, is_current
from host_stub.text.escape import escaped
from host_stub.text.format import counted, dollars, exact

FORMAT: Final = "stage3-takes/1"
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeList:
    """The takes of one scene.

    Attributes:
        scene_id: The scene, or the sheet.
        role: Which of the two.
        takes: They, in their order.
        shown: The one that is shown.
        standing: How the scene stands; ``None`` for one that left its file.
        notes: What people noted of it.
        path_of: Says where a take's file lies, as seen from here.
    """

    scene_id: str
    role: Role
    takes: Sequence[Take]
    shown: Take | None
    standing: SceneStanding | None
    notes: Sequence[str] = ()
    path_of: Callable[[Take], str]

    def state_of(self, take: Take) -> str | None:
        """Return ``current``, ``stale`` or ``draft``; ``None`` where nobody can tell."""
        if take.is_draft:
            return "draft"
        if self.standing is None:
            return None
        return "current" if is_current(take, self.standing.basis) else "stale"

    @property
    def others(self) -> list[int]:
        """The numbers of takes that could be shown instead: rejected ones are none of them."""
        return [take.number for take in self.takes if take != self.shown and not take.is_rejected]

    def as_json(self) -> dict[str, Any]:
        """Return the list as plain JSON values; money is a decimal string, unknown is ``null``."""
        standing = self.standing
        return {
            "format": FORMAT,
            "scene": self.scene_id,
            "role": self.role,
            "state": None if standing is None else standing.state,
            "reasons": [] if standing is None else list(standing.reasons),
            "wanted": None if standing is None else standing.wanted,
            "shown": None if self.shown is None else self.shown.sha256,
            "shown_take": None if self.shown is None else self.shown.number,
            "takes": [self._row(take) for take in self.takes],
            "notes": list(self.notes),
        }

    def as_lines(self) -> Iterator[str]:
        """Return the list for people; a star marks what is shown."""
        yield f"{escaped(self.scene_id, limit=_LONGEST)}: {self._headline()}"
        for take in self.takes:
            star = "*" if self.shown is not None and take.number == self.shown.number else " "
            about = [self.state_of(take) or "its scene left the file"]
            about += ["imported"] if take.is_import else [*_made_by(take)]
            about += ["rejected"] if take.is_rejected else []
            cost = "free" if take.cost.usd == 0 else dollars(take.cost.usd)
            size = f"{take.width}x{take.height}"
            day = f"{take.made_at:%Y-%m-%d %H:%M}"
            yield f" {star} {take.number:>2}  {', '.join(about)}, {cost}, {size}, {day}"
            yield f"      {self.path_of(take)}"
        yield from (f"note: {note}" for note in self.notes)

    def _headline(self) -> str:
        standing = self.standing
        said = counted(len(self.takes), "take")
        if standing is not None:
            why = f" ({', '.join(standing.reasons)})" if standing.reasons else ""
            said += f", {standing.state}{why}"
            if standing.to_make:
                said += f", {counted(standing.to_make, 'picture')} to make"
            if standing.due is not None and standing.due != standing.shown:
                said += f"; the next run shows take {standing.due.number} again"
        return said

    def _row(self, take: Take) -> dict[str, Any]:
        cost = take.cost
        return {
            "take": take.number,
            "sha256": take.sha256,
            "path": self.path_of(take),
            "state": self.state_of(take),
            "plugin": take.plugin,
            "provider": take.provider,
            "model": take.model,
            "cost_usd": exact(cost.usd),
            "cost_basis": cost.basis,
            "draft": take.is_draft,
            "imported": take.is_import,
            "made_at": take.made_at.isoformat(),
            "rejected": take.is_rejected,
            "width": take.width,
            "height": take.height,
            "media_type": take.media_type,
            "basis": take.basis,
        }


def _made_by(take: Take) -> Iterator[str]:
    """Name the model, else who made it, else through which plugin it came."""
    found = take.model or take.provider or take.plugin
    if found is not None:
        yield escaped(found, limit=_LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reroll:
    """One more take of one scene.

    Attributes:
        scene_id: The scene, or the sheet.
        role: Which of the two.
        basis: What it is said for; ``None`` if it cannot be said.
        made: Takes of that basis that are made.
        takes: So many are wanted now.
        is_new: It was not wanted already.
        to_make: So many pictures the next run makes of it.
        cost_usd: The most that one of them can cost; ``None`` if that is not known.
        problem: Why nothing is wanted.
    """

    scene_id: str
    role: Role = "scene"
    basis: str | None = None
    made: int = 0
    takes: int = 0
    is_new: bool = False
    to_make: int = 0
    cost_usd: Decimal | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "scene": self.scene_id,
            "role": self.role,
            "made": self.made,
            "takes": self.takes,
            "new": self.is_new,
            "to_make": self.to_make,
            "cost_usd": exact(self.cost_usd),
            "problem": self.problem,
        }

    def __str__(self) -> str:
        name = escaped(self.scene_id, limit=80)
        if self.problem is not None:
            return f"{name}: {self.problem}"
        if self.is_new:
            return (
                f"{name}: one more take is wanted, beside the {self.made} made of it as it is now"
            )
        if not self.made:
            return f"{name}: nothing is made of it yet, the next run makes it"
        return f"{name}: one more take is wanted already, and not made yet"


def reroll_of(standing: SceneStanding) -> Reroll:
    """Return what one more take of a scene comes to; wanted already is what no run has made yet."""
    made, scene_id, role = standing.made, standing.scene_id, standing.role
    problem = _problem(standing)
    if problem is not None:
        return Reroll(scene_id=scene_id, role=role, made=made, problem=problem)
    is_new = standing.to_make == 0
    return Reroll(
        scene_id=scene_id,
        role=role,
        basis=standing.basis,
        made=made,
        takes=made + 1,
        is_new=is_new,
        to_make=1 if is_new else standing.to_make,
        cost_usd=standing.cost_usd,
    )


def price_of(rerolls: Iterable[Reroll]) -> Price:
    """Return what the next run spends on them at most."""
    price = Price()
    for one in rerolls:
        price.add(one.cost_usd, one.to_make)
    return price


def _problem(standing: SceneStanding) -> str | None:
    if standing.problem is not None:
        return standing.problem
    if standing.basis is None:
        names = ", ".join(escaped(name, limit=80) for name in standing.waits_for[:5])
        what = f"the picture of {names}" if names else "a picture that it shows"
        return f"{what} is to be made anew first; a run does that, and this scene with it"
    if standing.made >= MOST_TAKES:
        return f"it has {counted(standing.made, 'take')} as it is now, and no more can be made"
    return None
