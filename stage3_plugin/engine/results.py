"""The folder of results of one run: pictures are copied there, and what had their names is kept.

Apart from ``storage.pictures``, which keeps such a file silently: here it is reported.
"""

from __future__ import annotations

from pathlib import Path

from host_stub.contract import PlaceFor
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.file_names import picture_name
from stage3_plugin.domain.picture import Picture, Placed
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
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
        place: Says where each picture goes; else they lie in the folder, called after their scenes.
        root: What no link on the way to such a place may lead out of.
    """

    def __init__(
        self,
        pictures: Pictures,
        folder: Path,
        *,
        place: PlaceFor | None = None,
        root: Path | None = None,
    ) -> None:
        self._pictures = pictures
        self._folder = folder
        self._place = place
        self._root = folder.parent if root is None else root
        self._kept = 0

    async def publish(
        self, picture: Picture, request: PictureRequest, *, take: int = 1, is_new: bool = False
    ) -> Placed:
        """Place the file of a scene's picture; see :meth:`.storage.pictures.Pictures.publish`."""
        if self._place is not None:
            return await self._put(picture, request, self._place, is_new=is_new)
        name = picture_name(request, take=take)
        placed = None if is_new else self._pictures.shown(picture, self._folder, name)
        if placed is not None:  # as all are in a finished run
            return placed
        way = await self._pictures.make_way(picture, self._folder, name)
        if way is not None:
            self._say(*way)
        return await self._pictures.publish(picture, self._folder, name, is_new=is_new)

    async def _put(
        self, picture: Picture, request: PictureRequest, place: PlaceFor, *, is_new: bool
    ) -> Placed:
        path = place(
            request.scene_id,
            role=request.role,
            sha256=picture.sha256,
            media_type=picture.media_type,
        )
        if not is_new and self._pictures.is_copy(picture.sha256, path.parent, path.name):
            return Placed(picture, path)  # as all are in a finished run
        kept = await self._pictures.make_way_at(picture, path, root=self._root)
        if kept is not None:
            self._say(path, kept)
        return await self._pictures.put(picture, path, root=self._root, is_new=is_new)

    def _say(self, path: Path, kept: Path) -> None:
        self._kept += 1
        if self._kept <= MOST_KEPT:
            warn_of(
                f"{from_here(path)} is not what was put there, so it is kept as {from_here(kept)}"
            )
        elif self._kept == MOST_KEPT + 1:
            warn_of(f"further pictures that are not what was put there are kept in {kept.parent}")

    async def note_late(self, purchase: Purchase, picture: Picture) -> None:
        """Note that the picture of a purchase came after it was given up."""
        if purchase.state is not State.PAID:
            await self._pictures.note_late(purchase.new.attempt_id, picture)

    async def remove_answer(self, attempt_id: str) -> None:
        """Remove an attempt's folder."""
        await self._pictures.remove_answer(attempt_id)
