"""Where a delivered picture lies: whether it is there, inside the folder for results, and its path.

Apart from the outcomes, because asking the system about every part of a path took a fifth of the
host's time for a scene. Pictures lie in a few folders; where a folder leads to is found out once
and asked again only if another folder is met under its name.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MOST_FOLDERS = 1_000
"""So many are remembered; a plugin that needs more has them looked up again."""

Fault = Literal["missing", "outside"]


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of pictures: which one it is, whether it is inside, its path from here."""

    device: int
    inode: int
    is_inside: bool
    shown: str


class PicturePaths:
    """Looks at the pictures of one run.

    Args:
        out_dir: Where they have to lie; it exists.
    """

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir.resolve()
        self._folders: dict[str, _Folder] = {}

    def look(self, image: Path) -> tuple[str, Fault | None]:
        """Give a picture's path as seen from the folder the command runs in, and what is wrong.

        Symbolic links are followed, wherever they stand in the path.

        Returns:
            The path, and ``missing`` if no file is there, ``outside`` if it is in another folder.
        """
        try:
            path, name = os.path.split(image)
            mode = os.lstat(image).st_mode
            folder = self._folder(path)
            if stat.S_ISREG(mode):
                fault: Fault | None = None if folder.is_inside else "outside"
            else:
                fault = self._fault_of_link(image)
            return os.path.join(folder.shown, name), fault  # noqa: PTH118 - pathlib takes ten times as long
        except (OSError, ValueError):
            return from_here(image), "missing"

    def _folder(self, path: str) -> _Folder:
        """Give what is known of a folder, if it is still the one that is known."""
        found = os.stat(path or ".")  # noqa: PTH116 - likewise
        known = self._folders.get(path)
        if known is None or (known.device, known.inode) != (found.st_dev, found.st_ino):
            real = Path(path).resolve(strict=True)
            shown = from_here(Path(path))
            known = self._folders[path] = _Folder(
                found.st_dev,
                found.st_ino,
                is_inside=real.is_relative_to(self._out_dir),
                shown="" if shown == "." else shown,
            )
            if len(self._folders) > MOST_FOLDERS:
                del self._folders[next(iter(self._folders))]
        return known

    def _fault_of_link(self, image: Path) -> Fault | None:
        real = image.resolve(strict=True)
        if not real.is_file():
            return "missing"
        return None if real.is_relative_to(self._out_dir) else "outside"


def from_here(path: Path) -> str:
    """Give a path as seen from the folder the command runs in."""
    try:
        return os.path.relpath(path)
    except ValueError:  # Windows: another drive
        return str(path)
