"""Where a story's book and the bytes that nobody else keeps lie: outside of what may be deleted.

::

    .story/<out folder>/       beside the config, one folder for each folder of results
        story.db               takes, what is shown, what is wanted
        objects/<sha256>       bytes of imports, and of takes whose plugin cannot give them back
        place.json             which story this is, see ``finding.py``
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from host_stub.errors import StoryError

STORIES: Final = ".story"
BOOK: Final = "story.db"
OBJECTS: Final = "objects"
PLACE: Final = "place.json"


def make_folders(folder: Path) -> None:
    """Make a story's folders, for their owner alone, and see to it that they are on the disk.

    Raises:
        StoryError: One of them is a link, or something else; nothing is written through a link.
        OSError: They cannot be made.
    """
    for one in (folder.parent, folder, folder / OBJECTS):
        refuse_other_kinds(one)
        one.mkdir(mode=0o700, parents=one == folder.parent, exist_ok=True)
        refuse_other_kinds(one)
    for one in (folder.parent.parent, folder.parent, folder):
        sync_folder(one)


def is_begun(folder: Path) -> bool:
    """Return whether there is what only a story that has a book leaves in its folder."""
    objects = folder / OBJECTS
    return (folder / PLACE).exists() or (objects.is_dir() and any(objects.iterdir()))


def way_out(path: Path) -> str:
    """Say what may help where something of a story cannot be read or written."""
    there = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"the disk of {there} can only be read: copy the project to one that can be written"
    needs = os.R_OK | os.W_OK | (os.X_OK if there.is_dir() else 0)
    if not os.access(there, needs):
        return (
            f"this user may not read and write {there}: run as the user that it belongs to, or "
            f"have that user give it to you (chown -R)"
        )
    return f"free space on the disk, and check the permissions of {path.parent}"


def refuse_other_kinds(path: Path) -> None:
    """Refuse what is neither a folder nor, where the book belongs, a file; above all, links.

    A link would lead its writer elsewhere, a pipe would have its reader wait, and what is read as
    absent would be an empty story.

    Raises:
        StoryError: It is there, and something else.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    is_expected = stat.S_ISREG(mode) if path.name == BOOK else stat.S_ISDIR(mode)
    if is_expected:
        return
    what = "it is a link, which is not followed" if stat.S_ISLNK(mode) else _unlike(path)
    raise StoryError(
        path, what, hint="move it away; takes that were paid for are found again without it"
    )


def _unlike(path: Path) -> str:
    return "it is no regular file" if path.name == BOOK else "it is no folder"


def sync_folder(folder: Path) -> None:
    """See to it that a power cut does not take the names in a folder, where the system can.

    Raises:
        OSError: The disk did not take them.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be passed through but not read: then it cannot be synced
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
