"""Where a delivered picture lies: whether it is there, inside the folder for results, and its path.

Apart from the outcomes, because asking the system about every part of a path took a fifth of the
host's time for a scene. Pictures lie in a few folders; each is resolved once, and again only if
another folder has taken its name.
"""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import Literal

MOST_FOLDERS = 1_000
"""Folders remembered; a plugin that needs more has them resolved again."""

Fault = Literal["missing", "outside"]


class PicturePaths:
    """Looks at the pictures of one run.

    Args:
        out_dir: Where they have to lie; it exists.
    """

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir.resolve()
        self._folder = lru_cache(MOST_FOLDERS)(self._resolved)

    def look(self, image: Path) -> tuple[str, Fault | None]:
        """Return a picture's path as seen from the folder the command runs in, and what is wrong.

        Symbolic links are followed, wherever they stand in the path.

        Returns:
            The path, and ``missing`` if no file is there, ``outside`` if it is in another folder.
        """
        try:
            path, name = os.path.split(image)
            shown = self._shown_below(path)
            is_inside = shown is not None
            if shown is None:
                found = os.stat(path or ".")  # noqa: PTH116 - pathlib takes ten times as long
                is_inside, shown = self._folder(path, found.st_dev, found.st_ino)
            fault: Fault | None = None if is_inside else "outside"
            if not stat.S_ISREG(os.lstat(image).st_mode):
                fault = self._fault_of_link(image)
            return os.path.join(shown, name), fault  # noqa: PTH118 - likewise
        except (OSError, ValueError):
            return from_here(image), "missing"

    def _shown_below(self, path: str) -> str | None:
        """Return what a plain folder is called from here whose own folder is inside.

        Each scene has one, and all of these lie in one, which need not be resolved again.
        """
        around, name = os.path.split(path)
        if name in {"", ".", ".."} or not stat.S_ISDIR(os.lstat(path).st_mode):
            return None
        there = os.stat(around or ".")  # noqa: PTH116 - likewise
        is_inside, shown = self._folder(around, there.st_dev, there.st_ino)
        return os.path.join(shown, name) if is_inside else None  # noqa: PTH118 - likewise

    def _resolved(self, path: str, _device: int, _inode: int) -> tuple[bool, str]:
        """Find whether a folder is inside, and its path from here.

        Device and inode are part of the cache's key, so another folder of its name is resolved.
        """
        shown = from_here(Path(path))
        return self._is_inside(Path(path).resolve(strict=True)), "" if shown == "." else shown

    def _fault_of_link(self, image: Path) -> Fault | None:
        real = image.resolve(strict=True)
        if not real.is_file():
            return "missing"
        return None if self._is_inside(real) else "outside"

    def _is_inside(self, real: Path) -> bool:
        return real.is_relative_to(self._out_dir)


def from_here(path: Path) -> str:
    """Return a path as seen from the folder the command runs in."""
    try:
        return os.path.relpath(path)
    except ValueError:  # Windows: another drive
        return str(path)
