"""The folder of results of one run: pictures are copied there, and what had their names is kept.

Apart from ``storage.pictures``, which keeps such a file silently: here it is reported.
"""

from __future__ import annotations

from pathlib import Path

from host_stub.contract import PlaceFor
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.file_names import picture_name
from stage3_plugin.domain.picture import Picture, Placed
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.notices import from_here
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.placing import names_of, place_of

MOST_KEPT = 20
"""Kept pictures that a run names one by one; one more line says where all others are."""


class Results:
    """Brings a run's pictures to their place beside the story.

    Args:
        pictures: Has them.
        folder: The folder of results.
        place: Says where each picture goes; else they lie in the folder, called after their scenes.
    """

    def __init__(self, pictures: Pictures, folder: Path, *, place: PlaceFor | None = None) -> None:
        self._pictures = pictures
        self._folder = folder
        self._place = place
        self._kept = 0

    async def publish(
        self, picture: Picture, request: PictureRequest, *, take: int = 1, is_new: bool = False
    ) -> Placed:
        """Give a scene its picture file, unless it is there and untouched.

        Args:
            picture: A stored one.
            request: The scene's.
            take: Which of its pictures it is.
            is_new: It was kept just now, so its bytes need not be looked at once more.

        Raises:
            PictureLost: The stored picture is gone or damaged, and so is its copy.
        """
        root, name = self._folder.parent, picture_name(request, take=take)
        if self._place is None:
            path = place_of(picture, self._folder, name)
        else:
            path = self._place(
                request.scene_id,
                role=request.role,
                sha256=picture.sha256,
                media_type=picture.media_type,
            )
        if not is_new and self._pictures.is_copy(picture.sha256, path.parent, path.name):
            return Placed(picture, path)  # as all are in a finished run
        kept = await self._pictures.make_way(picture, path, root=root)
        if kept is not None:
            self._say(path, kept)
        others = names_of(name) if self._place is None else ()
        return await self._pictures.put(picture, path, root=root, is_new=is_new, instead_of=others)

    def _say(self, path: Path, kept: Path) -> None:
        self._kept += 1
        if self._kept <= MOST_KEPT:
            warn_of(
                f"{from_here(path)} is not what was put there, so it is kept as {from_here(kept)}"
            )
        elif self._kept == MOST_KEPT + 1:
            warn_of(f"further pictures that are not what was put there are kept in {kept.parent}")
