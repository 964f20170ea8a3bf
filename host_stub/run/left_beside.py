"""Pictures that lie beside the story for scenes that a run has no picture of.

They come from an earlier run, perhaps of another plugin, and a copy of all of ``images/`` has them
too: so the run names them and leaves them. They are found by the names that the two plugins here
use; pictures of a plugin with other names are not found, and not named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from host_stub.run.picture_paths import from_here
from host_stub.text.escape import escaped
from host_stub.text.format import counted

MOST_NAMED: Final = 5


def left_beside(
    images: Path, without: Iterable[str], *, sheets: Iterable[str] = ()
) -> Iterator[str]:
    """Say which pictures are not of this run: one line, or none.

    Args:
        images: Where pictures lie; it may not be there.
        without: The ids of scenes that this run has no picture of.
        sheets: Those of sheets, likewise.
    """
    there = _by_stem(images)
    if not there:
        return
    from host_stub.plain_image import file_stem  # noqa: PLC0415 - only where there is something

    stems = chain(map(file_stem, without), (f"cast-{file_stem(name)}" for name in sheets))
    names = [there[stem] for stem in stems if stem in there]
    if not names:
        return
    shown = ", ".join(escaped(name, limit=80) for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    count = counted(len(names), "picture")
    which = "is not of this run, which has none of its scene"
    if len(names) > 1:
        which = "are not of this run, which has none of their scenes"
    folder = escaped(from_here(images))
    yield (
        f"{count} in {folder} {which}: "
        f"{shown}{more}; take the pictures that are named above, or in the manifest"
    )


def _by_stem(folder: Path) -> dict[str, str]:
    """Return the names of regular files by their stems; none where the folder cannot be read.

    A name that begins with a dot is a file in the making, and is left out.
    """
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in entries if one.is_file() and one.name[0] != "."]
    except OSError:
        return {}
    return {os.path.splitext(name)[0]: name for name in names}  # noqa: PTH122 - of 100,000 names
