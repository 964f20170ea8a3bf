"""Brings pictures where they belong: checked, among the objects, and beside the story.

The only place that knows both the store and the folder of results. Everything that blocks runs
away from the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import anyio

from stage3_plugin.domain.file_names import earlier_stems, file_stem
from stage3_plugin.domain.outcome import Placed
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.errors import PictureLost, StorageFailed
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.local import EXTENSIONS, LocalStore
from stage3_plugin.storage.room import free_bytes, free_files
from stage3_plugin.storage.spool import awaited, late
from stage3_plugin.storage.spool.receipt import is_complete, is_left

Result = TypeVar("Result")


class RunBlocking(Protocol):
    """Runs work that blocks on a disk away from the event loop."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Run ``work`` and give its result."""
        ...


class Pictures:
    """Takes pictures in and gives them out.

    Args:
        store: The content-addressed store and the folders of received answers.
        max_pixels: A larger picture is refused.
        blocking: Runs disk work.

    Raises:
        StorageFailed: Here and in every method: the disk did not let us.
    """

    def __init__(self, store: LocalStore, *, max_pixels: int, blocking: RunBlocking) -> None:
        self.store = store
        self.max_pixels = max_pixels
        self.blocking = blocking

    def new_folder(self, attempt_id: str) -> Path:
        """Make the folder for what one attempt receives."""
        return self.store.spool_folder(attempt_id)

    def folder_of(self, attempt_id: str) -> Path:
        """Tell where an attempt's answer lies, if one came."""
        return self.store.spool_path(attempt_id)

    def has_whole_answer(self, attempt_id: str) -> bool:
        """Tell whether an attempt's answer was received to its end."""
        return is_complete(self.folder_of(attempt_id))

    def has_answer_left(self, attempt_id: str) -> bool:
        """Tell whether an attempt's whole answer lies there, and nobody can be taking it in."""
        return is_left(self.folder_of(attempt_id))

    def is_awaited(self, attempt_id: str) -> bool:
        """Tell whether an attempt's picture was asked for at its address and did not come."""
        return awaited.read(self.folder_of(attempt_id)) is not None

    async def received(self) -> list[str]:
        """Name the attempts whose answers, or parts of them, are still there."""
        return await self.blocking(self.store.received)

    def free_bytes(self) -> int:
        """Tell how much the disk of the answers can still take."""
        return free_bytes(self.store.state_dir)

    async def note_late(self, purchase: Purchase, picture: Picture) -> None:
        """Note at a purchase that was given up that its picture came all the same."""
        if purchase.state is not State.PAID:
            attempt_id = purchase.new.attempt_id
            await self.blocking(partial(late.note, self.folder_of(attempt_id), picture.sha256))
            await self.secure(attempt_id)

    def free_files(self) -> int | None:
        """Tell how many more files the disk of the answers takes, if that is limited."""
        return free_files(self.store.state_dir)

    async def secure(self, attempt_id: str) -> None:
        """Keep what was received from power cuts; where the disk fails, it is as safe as before.

        Whoever is cancelled meanwhile still learns what he has come for.
        """
        with suppress(StorageFailed), anyio.CancelScope(shield=True):
            await self.blocking(partial(self.store.secure_spool, attempt_id))

    async def tidy(self, attempt_id: str) -> None:
        """Remove an attempt's folder; one that resists is left over, and harms nobody."""
        with suppress(StorageFailed):
            await self.blocking(partial(self.store.remove_spool, attempt_id))

    async def keep(self, part: Path, *, when_whole: Path | None = None) -> Picture:
        """Check one picture file and make it an object, safe from power cuts.

        Args:
            part: The file.
            when_whole: The name it is given once it is seen to be a whole picture.

        Raises:
            PictureRefused: The bytes are not an acceptable picture.
        """
        return await self.blocking(partial(self._keep, part, when_whole))

    def _keep(self, part: Path, when_whole: Path | None) -> Picture:
        inspected = inspect_file(part, max_pixels=self.max_pixels, may_go_on=True)
        if when_whole is not None:
            try:
                part = part.replace(when_whole)
            except OSError as error:
                raise StorageFailed(when_whole, error) from error
        self.store.keep(part, inspected)
        return inspected.picture

    async def publish(
        self,
        picture: Picture,
        folder: Path,
        scene_id: str,
        *,
        is_new: bool = False,
    ) -> Placed:
        """Give a scene its picture file, unless it is there and untouched.

        Args:
            picture: An object.
            folder: Where to.
            scene_id: Whose it is.
            is_new: It was kept just now, so its bytes need not be looked at once more.

        Raises:
            PictureLost: The object is gone or damaged, and so is its copy.
        """
        stem, was = file_stem(scene_id), earlier_stems(scene_id)
        kept = self.store.object_path(picture.sha256)
        path = self.store.published(kept, folder, stem, picture.media_type)
        if path is None:
            path = await self.blocking(
                partial(self._publish, kept, folder, stem, picture.media_type, was, is_new=is_new)
            )
        return Placed(picture, path)

    async def make_way(
        self, picture: Picture, folder: Path, scene_id: str
    ) -> tuple[Path, Path] | None:
        """Keep what has the name of a scene's picture file, if it was not put there by us.

        :meth:`publish` does so by itself; who wants to say so first asks here.

        Returns:
            That name, and the one it is kept by; ``None`` if nothing had to be kept.
        """
        stem = file_stem(scene_id)
        name = f"{stem}.{EXTENSIONS[picture.media_type]}"
        is_taken = self.store.is_taken(folder, stem, picture.media_type)
        if not is_taken or self.is_shown(picture, folder, scene_id):
            return None
        set_aside = partial(self.store.set_aside, folder, stem, picture.media_type)
        kept = await self.blocking(set_aside)
        return None if kept is None else (folder / name, kept)

    def shown(self, picture: Picture, folder: Path, scene_id: str) -> Placed | None:
        """Return a scene's picture file, if it is there and untouched; reads none of it."""
        name = f"{file_stem(scene_id)}.{EXTENSIONS[picture.media_type]}"
        is_there = self.store.has_copy(picture.sha256, f"{folder}/{name}")
        return Placed(picture, folder / name) if is_there else None

    def is_shown(self, picture: Picture, folder: Path, scene_id: str) -> bool:
        """Return whether a scene's picture file is there and untouched."""
        return self.shown(picture, folder, scene_id) is not None

    def _publish(
        self,
        kept: Path,
        folder: Path,
        stem: str,
        media_type: str,
        was: tuple[str, ...],
        *,
        is_new: bool,
    ) -> Path:
        if is_new or self.store.is_whole(kept):
            return self.store.publish(kept, folder, stem, media_type, was=was)
        path = self.store.healed(kept, folder, stem, media_type, was=was)
        if path is None:
            raise PictureLost(kept)
        return path
