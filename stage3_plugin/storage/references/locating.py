"""Which file a reference names, and whether it may name it.

A scene file may come from a stranger, or from a model. It is not trusted with the disk: what it
names must lie, after resolving links, below its own folder, below the config's, or below a folder
that the config allows. The cast stands in the config, whose author may name any file. Everything
blocks; call it in a thread.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import BinaryIO

from stage3_plugin.domain.reference import ReferenceWish
from stage3_plugin.errors import ReferenceRefused, StorageFailed
from stage3_plugin.files.folder import NotAFile, open_beneath

_LONGEST_SHOWN = 160
_ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.-]+)://([^/?#@\s]*@)?([^/?#\s]*)", re.IGNORECASE)
_DATA = re.compile(r"\s*data:", re.IGNORECASE)
_NAME_ONE = "name a picture file"
_LACKS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_WORDS = {
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is not there: a file stands where a folder should be",
    errno.ELOOP: "is a link that leads in a circle, or was put there just now",
    errno.ENAMETOOLONG: "has a name that is too long for a file",
    errno.EACCES: "may not be read by this user",
    errno.EPERM: "may not be read by this user",
}


def shown(image: str) -> str:
    """Return how a reference is called in a message: short, and without what may be a secret."""
    if _DATA.match(image):
        return "data:…"
    address = _ADDRESS.match(image)
    if address is not None:
        return f"{address[1]}://{address[3]}/…"[:_LONGEST_SHOWN]
    return image if len(image) <= _LONGEST_SHOWN else f"{image[:_LONGEST_SHOWN]}…"


def need_file(image: str) -> None:
    """Refuse what names no file on this machine.

    Raises:
        ReferenceRefused: It is an address, or the picture itself, or no name a file can have.
    """
    if _DATA.match(image):
        raise ReferenceRefused(
            shown(image), "is a data URL", hint="save the picture as a file and name that"
        )
    if _ADDRESS.match(image):
        raise ReferenceRefused(
            shown(image),
            "is an address, and only files are sent",
            hint="download the picture and name the file",
        )
    if not image.strip():
        raise ReferenceRefused(shown(image), "is empty", hint="name a file, or scene:ID")
    if "\0" in image:
        raise ReferenceRefused(shown(image), "has a NUL in it, which no file's name has")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file lies, links resolved, that may be opened.

    Attributes:
        folder: One that it may lie in.
        parts: The names that lead from there to it.
    """

    folder: Path
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Return the whole path."""
        return self.folder.joinpath(*self.parts)


class Places:
    """Where references may lie.

    Args:
        scenes_dir: The scene file's folder; relative names of scenes start there.
        project_dir: The config's; those of the cast start there.
        roots: Further folders for scenes, relative to the config's.
    """

    def __init__(self, scenes_dir: Path, project_dir: Path, roots: Sequence[Path]) -> None:
        self._scenes_dir = scenes_dir.absolute()
        self._project_dir = project_dir.absolute()
        self._roots = tuple(self._project_dir / root for root in roots)

    @cached_property
    def _allowed(self) -> tuple[str, ...]:
        folders = (self._scenes_dir, self._project_dir, *self._roots)
        return tuple(dict.fromkeys(os.path.realpath(folder) for folder in folders))

    def find(self, wish: ReferenceWish) -> Place:
        """Return where the file of a reference lies.

        Raises:
            ReferenceRefused: It names none, or one that it may not.
        """
        need_file(wish.image)
        start = self._scenes_dir if wish.by == "scene" else self._project_dir
        try:
            real = PurePath(os.path.realpath(start / wish.image))
        except (OSError, ValueError) as error:  # such as half a character, which no name has
            raise _refused(wish, error) from error
        if wish.by == "cast":
            return Place(Path(real.parent), (real.name,))
        for folder in self._allowed:
            if real.is_relative_to(folder):
                return Place(Path(folder), real.relative_to(folder).parts)
        raise ReferenceRefused(
            shown(wish.image),
            "lies outside of the folders that a scene file may name files in",
            hint="copy it to where the scene file lies, or have the setting reference_roots name "
            "its folder",
        )

    @staticmethod
    def open(wish: ReferenceWish, place: Place) -> BinaryIO:
        """Open the file of a reference.

        Raises:
            ReferenceRefused: It cannot be.
            StorageFailed: This process has no room to open anything.
        """
        if not place.parts or not place.parts[-1]:
            raise ReferenceRefused(shown(wish.image), "is a folder", hint=_NAME_ONE)
        try:
            return open_beneath(place.folder, place.parts)
        except OSError as error:
            if error.errno in _LACKS:
                raise StorageFailed(place.path, error, reading=True) from error
            raise _refused(wish, error) from error


def _refused(wish: ReferenceWish, error: OSError | ValueError) -> ReferenceRefused:
    if isinstance(error, NotAFile):
        return ReferenceRefused(shown(wish.image), f"is {error.kind}", hint=_NAME_ONE)
    if not isinstance(error, OSError):
        return ReferenceRefused(shown(wish.image), "has signs in it that no file's name can have")
    words = _WORDS.get(error.errno or 0) or f"cannot be read: {error.strerror}"
    start = "the scene file's folder" if wish.by == "scene" else "the config's folder"
    hint = f"a relative name starts at {start}" if error.errno == errno.ENOENT else None
    return ReferenceRefused(shown(wish.image), words, hint=hint)
