"""One more take of a scene: a wish that is written down once, and fulfilled by a run.

Pure. What is wanted is a number, those that are made and one more, so that it can be said again by
whoever did not see that it was said: as long as its picture is not there it stays the same wish.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from host_stub.contract import MOST_TAKES, Role
from host_stub.standing.standing import SceneStanding
from host_stub.standing.story_state import Price
from host_stub.text.escape import escaped
from host_stub.text.format import counted, exact


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
