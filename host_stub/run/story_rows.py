"""The rows of the story for the manifest: of every scene that has a picture, the shown take.

What a run made is told as the run tells it; all other scenes stand with what is kept of them, as
pictures that this run found and paid nothing for. One pass through the book keeps eleven bytes for
each scene, and a second one reads the rows where they are written.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from host_stub.contract import Role
from host_stub.events.journal import json_line
from host_stub.run.outcomes import Outcomes
from host_stub.run.picture_paths import from_here
from host_stub.stage.survey import Inquiry
from host_stub.standing.standing import STATES
from host_stub.standing.standings import Standings
from host_stub.story.results import IMAGES, image_name
from host_stub.story.takes import Glance, Take
from host_stub.text.redaction import Redactor

_NOTHING: Final = 0
_ROWS_AT_ONCE: Final = 256
_ASIDE: Final = frozenset({"scene_id", "image_path", "take"})
"""Keys that the story's row has in another way than a run's."""
_FOUND: Final = {
    "cost_usd": "0",
    "attempts": 0,
    "duration_s": 0.0,
    "reused": True,
    "cost_basis": "free",
}
"""What a run says of a picture that it did nothing for."""


class StoryRows:
    """What the manifest says of a story.

    Args:
        asking: What the run was asked to do, and what is kept of its story.
        standings: How its scenes stand.
        outcomes: What the run made of those that it was asked for.
        redactor: Takes secrets out of what is written.

    Raises:
        StoryError: The book cannot be read.
    """

    def __init__(
        self,
        asking: Inquiry,
        standings: Standings,
        outcomes: Outcomes,
        *,
        redactor: Redactor,
    ) -> None:
        self._book = book = asking.story.book
        self._standings = standings
        self._outcomes = outcomes
        self._out_dir = asking.options.out_dir
        self._here = from_here(self._out_dir)
        self._redactor = redactor
        # Else nothing is said of states: what a guest would make is no measure.
        self._is_looked_at = not (asking.options.is_draft or asking.options.is_guest)
        places = standings.scenes + len(standings.sheets)
        self._shown = array("Q", [_NOTHING]) * places
        self._takes = array("L", [0]) * places
        self._states = bytearray(
            STATES.index(standings.state_at(place, ())) for place in range(places)
        )
        self._is_wrong = bytearray(places)
        for glance in book.glances():
            self._note(glance)

    def images(self) -> Iterator[bytes]:
        """Return the rows of scenes, in input order, each one JSON object."""
        return self._rows(range(self._standings.scenes))

    def sheets(self) -> Iterator[bytes]:
        """Return the rows of sheets."""
        return self._rows(range(self._standings.scenes, len(self._shown)))

    @property
    def folder(self) -> Path:
        """Where shown pictures lie."""
        return self._out_dir / "images"

    def shown(self, scene_id: str, role: Role) -> tuple[str, str] | None:
        """Return the path, seen from here, and the digest of what a scene or a sheet shows."""
        place = self._standings.place_of(scene_id, role)
        if place is None or place >= len(self._shown) or self._shown[place] == _NOTHING:
            return None
        (take,) = self._book.takes_at([self._shown[place]])
        return self._from_here(take), take.sha256

    def _from_here(self, take: Take) -> str:
        return os.path.join(self._here, IMAGES, image_name(take))  # noqa: PTH118 - pathlib takes ten times as long

    def counts(self) -> dict[str, int | None]:
        """Return how many scenes stand how."""
        scenes = self._standings.scenes
        counts: dict[str, int | None] = {"scenes": scenes}
        if not self._is_looked_at:
            nothing = scenes - sum(map(bool, self._shown[:scenes]))
            unknown: dict[str, int | None] = dict.fromkeys((*STATES, "wrong_aspect"))
            return counts | unknown | {"missing": nothing}
        found = Counter(self._states[:scenes])
        states: dict[str, int | None] = {one: found[at] for at, one in enumerate(STATES)}
        return counts | states | {"wrong_aspect": sum(self._is_wrong[:scenes])}

    def _note(self, glance: Glance) -> None:
        place = self._standings.place_of(glance.scene_id, glance.role)
        if place is None or place >= len(self._shown):  # it left the story, but its takes stay
            return
        shown = next((take for take in glance.takes if take.number == glance.shown), None)
        self._takes[place] = len(glance.takes)
        if shown is not None:
            self._shown[place] = shown.place
            self._is_wrong[place] = self._standings.is_wrong_aspect(place, *shown.size)
        bases = [
            take.basis
            for take in glance.takes
            if not take.is_draft and (take is shown or not take.is_withdrawn)
        ]
        self._states[place] = STATES.index(self._standings.state_at(place, bases))

    def _rows(self, places: range) -> Iterator[bytes]:
        shown = (place for place in places if self._shown[place] != _NOTHING)
        while group := list(islice(shown, _ROWS_AT_ONCE)):
            takes = self._book.takes_at([self._shown[place] for place in group])
            yield from map(self._written, group, takes)

    def _written(self, place: int, take: Take) -> bytes:
        row = self._row(place, take)
        written = json_line(row)
        if self._redactor.may_be_in(written):
            written = json_line(self._redactor.value(row))
        return written.rstrip()

    def _row(self, place: int, take: Take) -> dict[str, Any]:
        """Lay a shown take out: the keys of a run's row first, and what is the story's behind."""
        ran = self._of_this_run(take)
        state = STATES[self._states[place]] if self._is_looked_at else None
        return {
            "scene_id": take.scene_id,
            "image_path": self._from_here(take),
            **(_kept(take) | _FOUND if ran is None else ran),
            "take": take.number,
            "takes": self._takes[place],
            "state": state,
            "path": f"{IMAGES}/{image_name(take)}",
            "take_cost_usd": take.cost.usd,
            "imported": take.is_import,
        }

    def _of_this_run(self, take: Take) -> dict[str, Any] | None:
        """Return what this run says of a take, if it made it or found it again."""
        for row in self._outcomes.pictures_of(take.scene_id):
            if row["sha256"] == take.sha256:
                return {name: row[name] for name in row if name not in _ASIDE}
        return None


def _kept(take: Take) -> dict[str, Any]:
    """Return what is kept of a take; one that a person brought has no row of its own."""
    row: dict[str, Any] = {
        "image_url": None,
        "width": take.width,
        "height": take.height,
        "generation_params": {},
        "sha256": take.sha256,
        **_FOUND,
        "media_type": take.media_type,
        "dropped": [],
        "request_id": None,
    }
    return row | {name: part for name, part in take.row.items() if name not in _ASIDE}
