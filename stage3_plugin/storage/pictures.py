"""Brings pictures where they belong: checked, into the store, and beside the story.

The async face of the store, of the folders of received answers and of the pictures beside the
story: whatever blocks runs away from the event loop.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import anyio

from stage3_plugin.domain.picture import Picture
from stage3_plugin.errors import PictureLost, PictureRefused, StorageFailed
from stage3_plugin.files.folder import Folder
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.placing import PlacedPictures
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.spool.trial import judging
from stage3_plugin.storage.store import PictureStore

Result = TypeVar("Result")
IS_SHA256 = re.compile(r"[0-9a-f]{64}")


class RunBlocking(Protocol):
    """Runs work that blocks on a disk away from the event loop."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Run ``work`` and return its result."""
        ...


class Pictures:
    """Takes pictures in and brings them to their place.

    Args:
        store: Has the pictures.
        spool: Has the received answers.
        max_pixels: A larger picture is refused.
        blocking: Runs disk work.
        storing: Runs what brings pictures into the store and out of it, where that may wait for
            another machine; by default as disk work.

    Raises:
        StorageFailed: Here and in every method: the disk did not let us.
    """

    def __init__(
        self,
        store: PictureStore,
        spool: SpoolFolders,
        *,
        max_pixels: int,
        blocking: RunBlocking,
        storing: RunBlocking | None = None,
    ) -> None:
        self.store = store
        self.spool = spool
        self.max_pixels = max_pixels
        self.blocking = blocking
        self.storing = storing or blocking
        self._placed = PlacedPictures(store)

    # Received answers ----------------------------------------------------------------------------

    def new_folder(self, attempt_id: str) -> Path:
        """Make the folder for what one attempt receives."""
        return self.spool.new_folder(attempt_id)

    async def received(self) -> list[str]:
        """Name the attempts whose answers, or parts of them, are still there."""
        return await self.blocking(self.spool.received)

    def free_bytes(self) -> int:
        """Return how much the disk of the answers can still take."""
        return free_bytes(self.spool.state_dir.path)

    def free_files(self) -> int | None:
        """Return how many more files the disk of the answers takes, if that is limited."""
        return _of_what_is_there(self.spool.state_dir.path, _free_files)

    def judging(self, answer: Path, *, comes_anew: bool = False) -> AbstractContextManager[None]:
        """Judge an answer in the block; see :func:`stage3_plugin.storage.spool.trial.judging`.

        Args:
            answer: Its folder, in that of an attempt if it comes anew each time.
            comes_anew: It has another folder then.
        """
        attempt = self.spool.attempt_of(answer) if comes_anew else None
        return judging(answer, max_pixels=self.max_pixels, known_at=attempt)

    async def note_late(self, attempt_id: str, picture: Picture) -> None:
        """Note at an attempt that was given up that its picture came all the same."""
        await self.blocking(partial(self.spool.note_late, attempt_id, picture.sha256))
        await self.secure(attempt_id)

    async def secure(self, attempt_id: str) -> None:
        """Keep what was received from power cuts, and without secrets.

        Where the disk fails, it is as safe as before.
        A task that is cancelled meanwhile still gets what it was called for.
        """
        with suppress(StorageFailed), anyio.CancelScope(shield=True):
            await self.blocking(partial(self.spool.secure, attempt_id))

    async def remove_answer(self, attempt_id: str) -> None:
        """Remove an attempt's folder; one that cannot be removed is left over and does no harm."""
        with suppress(StorageFailed):
            await self.blocking(partial(self.spool.remove, attempt_id))

    async def check_store(self) -> None:
        """See that pictures can be taken in, before any is paid for; and note where they go."""
        await self.storing(self.store.check)
        await self.blocking(self.store.note_address)

    # Pictures ------------------------------------------------------------------------------------

    async def save(self, part: Path, *, when_whole: Path | None = None) -> Picture:
        """Check one picture file and store it, safe from power cuts.

        Args:
            part: The file.
            when_whole: The name it is given once it is seen to be a whole picture.

        Raises:
            PictureRefused: The bytes are not an acceptable picture.
        """

        def save() -> Picture:
            with self.judging(part.parent):
                return self._save(part, when_whole)

        return await self.storing(save)

    async def save_drawn(
        self, part: Path, *, size_px: tuple[int, int] | None = None
    ) -> Picture | None:
        """Check and store what a renderer wrote; ``None`` if that is no regular file.

        Args:
            part: The file.
            size_px: The width and height that it has to have, if that is sure.

        Raises:
            PictureRefused: The bytes are not an acceptable picture, or one of another size.
        """
        return await self.storing(
            lambda: self._save(part, None, size_px) if part.is_file() else None
        )

    def _save(
        self, part: Path, when_whole: Path | None, size_px: tuple[int, int] | None = None
    ) -> Picture:
        inspected = inspect_file(part, max_pixels=self.max_pixels, may_go_on=True)
        found = (inspected.picture.width_px, inspected.picture.height_px)
        if size_px not in {None, found}:
            asked, came = ("x".join(map(str, size)) for size in (size_px or found, found))
            raise PictureRefused(f"the picture is {came}, and {asked} was asked for")
        if when_whole is not None:
            with on_disk(when_whole):
                part = part.replace(when_whole)
        self.store.save(part, inspected)
        return inspected.picture

    async def fetch(self, sha256: str, into: Path) -> bool:
        """Put a copy of a stored picture where nothing is, whole; return whether there is one."""
        return await self.storing(partial(self._fetch, sha256, into))

    def _fetch(self, sha256: str, into: Path) -> bool:
        if IS_SHA256.fullmatch(sha256) is None:
            return False
        if not (self.store.holds(sha256) or self.store.recall(sha256)):
            return False
        with on_disk(into):
            into.parent.mkdir(parents=True, exist_ok=True)
            with Folder(into.parent) as folder:
                self.store.place(sha256, folder, into.name)
        return True

    # Beside the story ----------------------------------------------------------------------------

    async def put(
        self,
        picture: Picture,
        path: Path,
        *,
        root: Path,
        is_new: bool = False,
        instead_of: Collection[str] = (),
    ) -> Path | None:
        """Give a picture its file at a path of the host's, unless it is there and untouched.

        Args:
            picture: A stored one.
            path: Where to.
            root: No link on the way may lead out of this folder.
            is_new: It was kept just now, so its bytes need not be looked at once more.
            instead_of: Names beside it of the same picture in another format.

        Returns:
            The name by which what was there is kept; ``None`` if nothing had to be.

        Raises:
            PictureLost: The stored picture is gone or damaged, and so is its copy.
        """
        if self._placed.is_copy(picture.sha256, path.parent, path.name):
            return None
        return await self.storing(partial(self._put, picture, path, root, is_new, instead_of))

    def _put(
        self,
        picture: Picture,
        path: Path,
        root: Path,
        is_new: bool,  # noqa: FBT001 - its one caller is above
        instead_of: Collection[str],
    ) -> Path | None:
        is_stored = is_new or self.store.holds(picture.sha256)
        is_stored = is_stored or self._placed.take_back(picture.sha256, path, root)
        if not (is_stored or self.store.recall(picture.sha256)):
            raise PictureLost(self.store.where(picture.sha256))
        return self._placed.place(picture.sha256, path, root, instead_of=instead_of)

    def is_copy(self, sha256: str, folder: Path, name: str) -> bool:
        """Return whether a name is an untouched copy of a stored picture; reads none of it."""
        return self._placed.is_copy(sha256, folder, name)


def free_bytes(path: Path) -> int:
    """Return how much the disk of a folder still takes."""
    return _of_what_is_there(path, lambda one: shutil.disk_usage(one).free)


def _free_files(path: Path) -> int | None:
    try:
        found = os.statvfs(path)
    except AttributeError:  # Windows has no such number
        return None
    return found.f_favail if found.f_files else None  # some make them as they are needed


def _of_what_is_there(path: Path, ask: Callable[[Path], Result]) -> Result:
    """Ask for a folder, or for the next one around it that is there: it may not be made yet."""
    try:
        return ask(path)
    except FileNotFoundError as error:
        if path == path.parent:
            raise StorageFailed(path, error, reading=True) from error
    except OSError as error:
        raise StorageFailed(path, error, reading=True) from error
    return _of_what_is_there(path.parent, ask)
