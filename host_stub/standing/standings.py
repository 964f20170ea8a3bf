"""How the scenes of a run stand, kept small: some bytes for each scene.

A run looks at the whole story before its first request, and the manifest says at its end how each
scene stands. In between, outcomes say what scenes are made from by then. So nothing is computed
twice, and a story of 100,000 scenes needs a few megabytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

from host_stub.contract import Role, SceneOutcome
from host_stub.scenes.index import SceneFile, id_digest
from host_stub.standing.standing import SceneStanding, State, is_wrong_aspect
from host_stub.standing.story_state import Price

_DIGEST_BYTES: Final = 32
_NOTHING: Final = 0
_HELD: Final = 1
_PENDING: Final = 2
_UNKNOWN_COST: Final = -1
_MADE_BY_ANOTHER_RUN: Final = frozenset(
    {
        "rate_limited",
        "unavailable",
        "no_picture",
        "unreadable",
        "credentials",
        "out_of_money",
        "budget",
        "not_tried",
        "storage",
        "cancelled",
    }
)
"""Failures after which the same command would ask for the picture once more, and pay for it."""
_DOUBTS: Final = {"held": _HELD, "pending": _PENDING, "unknown": _HELD}
"""How states and failures say that something may be paid for, or is on its way."""


class Standings:
    """What every scene and sheet would be made from, and whether a request is in doubt.

    Args:
        story: All scenes.

    Attributes:
        scenes: How many there are.
        tells_bases: The plugin says what scenes are made from; else the host does.
        rest: What the same command would ask for again, and pay for.
    """

    def __init__(self, story: SceneFile) -> None:
        self.tells_bases = True
        self.scenes = len(story)
        self._positions = story.positions
        self._bases = array("Q", [0]) * len(story)
        self._own = bytearray()
        self._doubts = bytearray(len(story))
        self._sizes = array("L", [0]) * len(story)
        self._costs = array("q", [_UNKNOWN_COST]) * len(story)
        self.rest = Price()
        self._sheets: dict[str, int] = {}

    def note(self, standing: SceneStanding) -> None:
        """Note how a scene or a sheet stands."""
        place = self._place(standing.scene_id, standing.role)
        if place is None:
            return
        self._bases[place] = _digest(standing.basis)
        self._doubts[place] = _DOUBTS.get(standing.state, _NOTHING)
        width, _, height = (standing.size or "0x0").partition("x")
        usd = standing.cost_usd
        self._costs[place] = _UNKNOWN_COST if usd is None else int(usd.scaleb(6))
        self._sizes[place] = (int(width) << 16) | int(height)
        if not self.tells_bases and standing.basis is not None:
            self._own = self._own or bytearray(_DIGEST_BYTES * self.scenes)
            start = place * _DIGEST_BYTES
            self._own[start : start + _DIGEST_BYTES] = bytes.fromhex(standing.basis)

    def ended(self, outcome: SceneOutcome) -> None:
        """Note what an outcome says of its scene."""
        place = self._place(outcome.scene_id, outcome.role)
        if place is None:
            return
        if self.tells_bases and outcome.basis is not None:
            self._bases[place] = _digest(outcome.basis)
        code = None if outcome.failure is None else outcome.failure.code
        if code in _MADE_BY_ANOTHER_RUN:
            micro = self._costs[place]
            self.rest.add(None if micro == _UNKNOWN_COST else Decimal(micro) / 1_000_000, 1)
        if code is None or outcome.take == 1:
            doubt = _DOUBTS.get(code or "", _NOTHING)
            # What waits for a picture that it shows is itself not bought, as a survey says.
            is_behind_another = doubt == _PENDING and not self._bases[place]
            self._doubts[place] = _NOTHING if is_behind_another else doubt

    def present(self, outcome: SceneOutcome) -> str | None:
        """Return what an outcome's scene is made from, if that is known."""
        if self.tells_bases:
            return outcome.basis
        place = self._positions.find(outcome.scene_id) if outcome.role == "scene" else None
        if place is None or not self._own:
            return None
        start = place * _DIGEST_BYTES
        return self._own[start : start + _DIGEST_BYTES].hex()

    def place_of(self, scene_id: str, role: Role) -> int | None:
        """Return a scene's place in the story; sheets come behind all scenes."""
        return self._positions.find(scene_id) if role == "scene" else self._sheets.get(scene_id)

    @property
    def sheets(self) -> Collection[str]:
        """The sheets, in the order in which they were heard of."""
        return self._sheets

    def state_at(self, place: int, bases: Iterable[str | None]) -> State:
        """Return how a scene stands.

        Args:
            place: Its place.
            bases: Those of its takes that are no drafts.
        """
        made = [_digest(basis) for basis in bases]
        if self._bases[place] and self._bases[place] in made:
            return "current"
        if self._doubts[place]:
            return "held" if self._doubts[place] == _HELD else "pending"
        return "stale" if made else "missing"

    def is_wrong_aspect(self, place: int, width: int, height: int) -> bool:
        """Return whether a picture has another shape than its scene asks for."""
        size = self._sizes[place]
        return size > 0 and is_wrong_aspect(width, height, f"{size >> 16}x{size & 0xFFFF}")

    def _place(self, scene_id: str, role: Role) -> int | None:
        if role == "scene":
            return self._positions.find(scene_id)
        if scene_id not in self._sheets:
            self._sheets[scene_id] = len(self._bases)
            self._bases.append(0)
            self._doubts.append(_NOTHING)
            self._sizes.append(0)
            self._costs.append(_UNKNOWN_COST)
        return self._sheets[scene_id]


def _digest(basis: str | None) -> int:
    return 0 if basis is None else id_digest(basis)
