"""What commands after a run need not be told again: the story's scene file, and its lane.

The file is noted relative to the project's folder, where that can be done, so that a project which
moves as a whole keeps it. Where nothing is noted, it is the file that ``host-stub init`` writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from host_stub.errors import UsageError
from host_stub.story.book import Book

FACT: Final = "scenes_path"
LANE: Final = "lane_on_the_way"
USUAL: Final = "scenes.json"
_HINT: Final = "name it: --scenes FILE"
_HINT_BEFORE: Final = f"'host-stub run FILE' notes it; or {_HINT}"


def remember_scenes(book: Book, project_dir: Path, scenes_path: Path) -> None:
    """Note which file a story is told in, unless that is noted already."""
    path = scenes_path.absolute()
    try:
        noted = os.path.relpath(path, project_dir)
    except ValueError:  # Windows: another drive
        noted = str(path)
    if book.fact(FACT) != noted:
        book.set_fact(FACT, noted)


def remembered_scenes(book: Book, project_dir: Path) -> Path:
    """Return the scene file of a story.

    Raises:
        UsageError: None is noted, or it is not there any more.
    """
    noted = book.fact(FACT)
    if noted is None:
        if (project_dir / USUAL).is_file():
            return project_dir / USUAL
        raise UsageError(
            "no run has noted which scene file this out folder is of", hint=_HINT_BEFORE
        )
    path = Path(os.path.normpath(project_dir / noted))
    if not path.is_file():
        raise UsageError(f"the scene file of this out folder is gone: {path}", hint=_HINT)
    return path


def remember_lane(book: Book, lane: str | None, story: Mapping[str, int | None] | None) -> None:
    """Note by which lane a run bought what is on the way, until nothing is.

    Args:
        book: Where that is noted.
        lane: What the run was told; ``None`` for the settings' own.
        story: How many scenes stand how behind the run; where that is not known, nothing changes.
    """
    pending = None if story is None else story["pending"]
    if pending and lane == "batch":
        book.set_fact(LANE, lane)
    elif pending == 0 and book.fact(LANE):
        book.set_fact(LANE, "")


def is_on_the_way_by_batch(book: Book) -> bool:
    """Return whether a run was told to go by batches, and left something on the way."""
    return book.fact(LANE) == "batch"
