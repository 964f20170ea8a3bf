"""The folder of results of one run: pictures are copied there, and what had their names is kept.

Apart from ``storage.pictures``, which keeps such a file silently: here it is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stage3_plugin.domain.outcome import Placed
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.engine.notices import from_here
from stage3_plugin.storage.pictures import Pictures

MOST_KEPT = 20
"""Kept pictures that a run names one by one; one more line says where all others are."""


class Results:
    """Brings a run's pictures to their place beside the story.

    Args:
        pictures: Has them.
        folder: The folder of results.
        warn: Says what was kept.
    """

    def __init__(self, pictures: Pictures, folder: Path, warn: Callable[[str], None]) -> None:
        self._pictures = pictures
        self._folder = folder
        self._warn = warn
        self._kept = 0

    async def publish(self, picture: Picture, scene_id: str, *, is_new: bool = False) -> Placed:
        """Place a scene's picture file; see :meth:`.storage.pictures.Pictures.publish`."""
        placed = None if is_new else self._pictures.shown(picture, self._folder, scene_id)
        if placed is not None:  # as all are in a finished run
            return placed
        way = await self._pictures.make_way(picture, self._folder, scene_id)
        if way is not None:
            self._say(*way)
        return await self._pictures.publish(picture, self._folder, scene_id, is_new=is_new)

    def _say(self, path: Path, kept: Path) -> None:
        self._kept += 1
        if self._kept <= MOST_KEPT:
            self._warn(
                f"{from_here(path)} is not what was put there, so it is kept as {from_here(kept)}"
            )
        elif self._kept == MOST_KEPT + 1:
            self._warn(
                f"further pictures that are not what was put there are kept in {kept.parent}"
            )

    async def note_late(self, purchase: Purchase, picture: Picture) -> None:
        """Note that the picture of a purchase came after it was given up."""
        if purchase.state is not State.PAID:
            await self._pictures.note_late(purchase.new.attempt_id, picture)

    async def remove_answer(self, attempt_id: str) -> None:
        """Remove an attempt's folder."""
        await self._pictures.remove_answer(attempt_id)
