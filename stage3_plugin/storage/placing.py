"""The pictures beside the story: copies of stored ones, and what is there that is none.

A copy is known by its stamp, without reading it. What lies under a picture's name and is no such
copy was edited by hand, or made by another plugin. It is kept before the picture takes it: it gets
a name in a folder for such files, where no pattern like ``images/*.png`` finds it, and which says
which scene it was of and which bytes it has. It has that name, durably, before the picture takes
the first; nothing that is there is ever replaced. ``host_stub.plain_image``, which has no store,
does the same. A picture that its store has lost is restored from its copy. Nothing is ever written
through a link, nor read through one. Everything blocks; call it in a thread.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePath

from host_stub.text.file_names import stem_of
from stage3_plugin.domain.picture import EXTENSIONS, Picture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.folder import Folder, is_regular, remove_leftovers
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.system_errors import says_not_there
from stage3_plugin.storage.store import PictureStore

KEPT = "kept"
"""The folder's name, within that of the pictures."""

_DIGITS = 16

MOST_REMEMBERED = 4096
"""Folders that are known to have been tidied; a story has one for each scene."""


class PlacedPictures:
    """The copies of a store's pictures in folders of results.

    Args:
        store: Has the pictures.

    Raises:
        StorageFailed: In every method: the disk or the system did not let us.
    """

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._tidied: set[Path] = set()

    def place(
        self, sha256: str, path: Path, root: Path, *, instead_of: Iterable[str] = ()
    ) -> Path | None:
        """Copy a picture to a path, whole or not at all.

        Whatever has that name is replaced, a planted link too; nothing is ever written through
        one. A picture that is no copy of a stored one is kept first. An empty file, a link and
        whatever else is no picture file are not kept.

        Args:
            sha256: A stored one.
            path: Where to; its folder is made.
            root: No link on the way may lead out of this folder.
            instead_of: Names beside it of the same picture in another format: each is removed if it
                is such a copy, so that nothing is lost. One that was edited stays.

        Returns:
            Where what had the name is kept; ``None`` if nothing had to be.
        """
        folder, name = path.parent, path.name
        with on_disk(path):
            real = _without_links(folder, root)
            with on_disk(real):
                real.mkdir(parents=True, exist_ok=True)
            with Folder(_without_links(folder, root)) as target:
                kept = self._set_aside(folder, target, name)
                self._store.place(sha256, target, name)
                for other in instead_of:
                    if name != other:
                        self._remove_our_copy(target, other)
        if folder not in self._tidied:
            if len(self._tidied) >= MOST_REMEMBERED:
                self._tidied.clear()
            self._tidied.add(folder)
            remove_leftovers(folder)
        return kept

    def _remove_our_copy(self, folder: Folder, name: str) -> None:
        if not is_regular(folder.details(name)):
            return
        if self._has_whole(folder.digest(name)):
            folder.remove(name)

    def is_copy(self, sha256: str, folder: Path, name: str) -> bool:
        """Return whether a name is an untouched copy of a stored picture; reads none of it.

        A copy has its picture's length and time of change, and editing it changes at least the
        latter.
        """
        try:  # asked for every scene before a run, hence of a text: a path costs more than a look
            copy = os.lstat(f"{folder}{os.sep}{name}")
        except OSError:
            return False
        stamp = self._store.stamp(sha256)
        return stamp == (copy.st_size, copy.st_mtime_ns) and is_regular(copy)

    def take_back(self, sha256: str, path: Path, root: Path) -> bool:
        """Have a picture that its store has lost made anew from what is at a path, if it is that.

        Returns:
            Whether it is.

        Raises:
            StorageFailed: It cannot be read now, or the store did not take the picture.
        """
        folder, name = path.parent, path.name
        try:
            with Folder(_without_links(folder, root)) as source:
                if not is_regular(source.details(name)) or source.digest(name) != sha256:
                    return False
                with source.open(name) as copy:
                    self._store.restore(sha256, copy)
        except _LedElsewhere:
            return False
        except OSError as error:
            if says_not_there(error):
                return False
            raise StorageFailed(path, error, reading=True) from error
        return True

    def _set_aside(self, folder: Path, target: Folder, name: str) -> Path | None:
        details = target.details(name)
        if not is_regular(details) or details is None or details.st_size == 0:
            return None
        digest: str | None = None
        with suppress(OSError):  # what cannot be read is not known to be ours
            digest = target.digest(name)
        if digest is not None and self._has_whole(digest):
            return None
        try:
            return folder / KEPT / _keep_beside(target, name, digest)
        except FileNotFoundError:  # it was removed just now
            raise
        except OSError as error:  # something else has the name of the folder, say
            raise StorageFailed(folder / KEPT, error) from error

    def _has_whole(self, digest: str) -> bool:
        try:
            return self._store.holds(digest)
        except StorageFailed:  # that cannot be known now
            return False


def _keep_beside(folder: Folder, name: str, digest: str | None) -> str:
    """Link a file of ``folder`` into the folder for what is kept, and return its name there.

    The same bytes are kept once. Where a file cannot have two names, it loses the first.

    Args:
        folder: Where it lies.
        name: Its name.
        digest: Of its bytes; ``None`` where they cannot be read.

    Raises:
        OSError: The disk did not let us; the file has its name as before.
    """
    path = PurePath(name)
    label = secrets.token_hex(_DIGITS // 2) if digest is None else digest[:_DIGITS]
    with folder.within(KEPT) as kept:
        for number in count(1):
            again = "" if number == 1 else f"-{number}"
            second = f"{path.stem}-{label}{again}{path.suffix}"
            if kept.details(second) is None:
                if not folder.link(name, kept, second):
                    folder.move(name, kept, second)
                kept.sync()
                folder.sync()  # the folder for what is kept may be new
                return second
            if _has(kept, second, digest):
                return second
    raise AssertionError("there are more names than files")


def _has(folder: Folder, name: str, digest: str | None) -> bool:
    is_known = digest is not None and is_regular(folder.details(name))
    return is_known and folder.digest(name) == digest


def names_of(request: PictureRequest, *, take: int = 1) -> list[str]:
    """Return the names that a picture may have, in whichever format."""
    stem = _stem(request, take)
    return [f"{stem}.{extension}" for extension in EXTENSIONS.values()]


def place_of(picture: Picture, folder: Path, request: PictureRequest, *, take: int = 1) -> Path:
    """Return where a picture lies in a folder of results, or would lie."""
    return folder / f"{_stem(request, take)}.{EXTENSIONS[picture.media_type]}"


def _stem(request: PictureRequest, take: int) -> str:
    """Return what a picture's file is called; all takes but the first have it in their name."""
    stem = stem_of(request.scene_id, request.role)
    return stem if take == 1 else f"{stem}.take-{take}"


def _without_links(folder: Path, root: Path) -> Path:
    """Return where a folder really lies, unless a link leads somewhere else entirely."""
    ways = [folder, *folder.parents]
    if root not in ways:
        raise ValueError(f"{folder} is not below {root}")
    if not any(one.is_symlink() for one in ways[: ways.index(root)]):
        return folder
    real = folder.resolve()
    if not real.is_relative_to(root.resolve()):
        raise _LedElsewhere(errno.ELOOP, "it is a link that leads out of its folder")
    return real


class _LedElsewhere(OSError):
    """A folder of results is a link to somewhere else entirely; nothing of ours is there."""
