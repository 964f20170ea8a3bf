"""A file that a stranger names, opened below a folder whatever is swapped for a link meanwhile.

Its path was resolved before, links and all, and found to be allowed. Until it is opened, anything
on its way may become a link to somewhere else. So each step is taken from the folder before it,
held open, and none through a link. What is no plain file is not even opened: opening a device may
do something, and a pipe would let its writer go on.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from stage3_plugin.files.folder import READ_FLAGS

_CAN_HOLD = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_FOLDER_FLAGS = (
    getattr(os, "O_PATH", os.O_RDONLY)  # where it is there, a folder need not be readable
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link that leads in a circle, or was put there just now",
}


class NotAFile(OSError):
    """What was to be opened is no plain file.

    Attributes:
        kind: What it is instead, such as "a folder".
    """

    def __init__(self, kind: str) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}")
        self.kind = kind


def open_beneath(folder: Path, parts: Sequence[str]) -> BinaryIO:
    """Open a plain file below a folder to read it; never waits for another program.

    Args:
        folder: Its last part must not be a link.
        parts: The names that lead from there to the file; none may be a link.

    Raises:
        NotAFile: It is something else.
        OSError: It is not there, cannot be read, or a link stands on the way.
    """
    *way, name = parts
    if not _CAN_HOLD:
        return _opened(folder.joinpath(*parts), None)
    held = os.open(folder, _FOLDER_FLAGS)
    try:
        for step in way:
            outer, held = held, os.open(step, _FOLDER_FLAGS, dir_fd=held)
            os.close(outer)
        return _opened(name, held)
    finally:
        os.close(held)


def _opened(name: str | Path, folder: int | None) -> BinaryIO:
    _need_file(os.stat(name, dir_fd=folder, follow_symlinks=False))
    file = os.fdopen(os.open(name, READ_FLAGS, dir_fd=folder), "rb", buffering=0)
    try:
        _need_file(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _need_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotAFile(_KINDS.get(stat.S_IFMT(found.st_mode), "no plain file"))
