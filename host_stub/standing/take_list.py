"""The takes of one scene, for people and for programs.

Pure: where a take's file lies is asked of whoever knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from host_stub.contract import Role
from host_stub.standing.standing import SceneStanding
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
