"""How a folder of ours is made: for its owner alone, and on the disk before anything is paid for.

The state folder may have been made by hand, readable by everybody; what we make in it is not. And a
folder that is lost in a power cut takes the ledger in it along. Apart from its users because either
the ledger or the store makes the first folder.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_OWNER_ALONE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(path: Path, *, within: Path | None = None) -> list[Path]:
    """Make a folder, and those above it that are lacking, each for its owner alone.

    One that is there stays as it is. Returns those that were made.

    Args:
        path: The folder.
        within: A folder around it that is there, and is not made anew if it is not there any more.

    Raises:
        OSError: It cannot be made.
    """
    try:
        path.mkdir(mode=_OWNER_ALONE)
    except FileExistsError:
        if not path.is_dir():
            raise
        return []
    except FileNotFoundError:
        if path.parent == within:
            raise
        above = make_private(path.parent, within=within)
        return [*above, *make_private(path, within=within)]
    return [path]


def keep_private(path: Path) -> None:
    """Take from others what they may do with a folder or a file of ours, if it is there."""
    with suppress(OSError):  # not there, or another user's, who has to do it
        found = path.lstat()
        if found.st_mode & _OTHERS and not stat.S_ISLNK(found.st_mode):
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def make_anchored(path: Path) -> None:
    """Make a folder as :func:`make_private` does, and see to it that its name is on the disk.

    That of one that is there as well: another process may have made it just now, and not have come
    to this yet.

    Raises:
        OSError: It cannot be made, or the disk did not take it.
    """
    made = make_private(path)
    for parent in dict.fromkeys(folder.parent for folder in (*made, path)):
        sync_folder(parent)


def sync_folder(path: Path) -> None:
    """See to it that the names in a folder are on the disk.

    Raises:
        OSError: The disk did not take them.
    """
    if os.name == "nt":  # Windows cannot open a folder, and orders its own metadata
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # it may be passed through but not read: then it cannot be synced
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Sync a file that is only read: nothing stored is opened to write."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
