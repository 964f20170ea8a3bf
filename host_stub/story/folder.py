"""Where a story's book and the bytes that nobody else keeps lie: outside of what may be deleted.

::

    .story/<out folder>/       beside the config, one folder for each folder of results
        story.db               takes, what is shown, what is wanted
        objects/<sha256>       bytes of imports, and of takes whose plugin cannot give them back

A folder of results is known by where it really lies, seen from the project: two names of one folder
are one story, and a project that is moved as a whole keeps its stories.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from host_stub.errors import StoryError
from host_stub.text.file_names import file_stem

STORIES: Final = ".story"
BOOK: Final = "story.db"
OBJECTS: Final = "objects"


def story_folder(project_dir: Path, out_dir: Path) -> Path:
    """Return the folder of the story whose results lie in ``out_dir``; nothing is made.

    Args:
        project_dir: The folder of the config.
        out_dir: The folder of results; it need not be there.
    """
    project, out = os.path.realpath(project_dir), os.path.realpath(out_dir)
    try:
        seen = Path(os.path.relpath(out, project)).as_posix()
    except ValueError:  # Windows: another drive
        seen = out
    return project_dir / STORIES / file_stem(seen)


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
