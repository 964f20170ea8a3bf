"""What was confirmed to be bought, kept beside the stories of a project.

::

    .story/.confirmed/<hash>.json

One file for each confirmation that a run was started with, written before its first request and
never changed: so a run that was cut off can be started with the same confirmation, although by then
less is left to buy. No out folder's story can have this name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from host_stub.errors import StoryError
from host_stub.story.database import STORIES, refuse_other_kinds, sync_folder
from host_stub.story.files import Folder

CONFIRMED: Final = ".confirmed"
FORMAT: Final = "stage3-confirmed/1"
MOST_BYTES: Final = 256 * 1024 * 1024
HINT: Final = "move it away, and confirm what 'host-stub plan' shows now"


def path_of(project_dir: Path, name: str) -> Path:
    """Return where it lies what a confirmation is of."""
    return project_dir / STORIES / CONFIRMED / f"{name}.json"


def keep_confirmed(project_dir: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write down what a confirmation is of; one that is there already stays as it is.

    Args:
        project_dir: The folder of the config.
        name: The confirmation's hash.
        record: Plain JSON values.

    Raises:
        StoryError: The disk did not take it.
    """
    path = path_of(project_dir, name)
    folder = path.parent
    try:
        for one in (folder.parent, folder):
            refuse_other_kinds(one)
            one.mkdir(mode=0o700, parents=one == folder.parent, exist_ok=True)
            refuse_other_kinds(one)
        sync_folder(folder.parent)
        with Folder.opened(folder) as there:
            if there.details(path.name) is None:
                there.write(path.name, json.dumps({"format": FORMAT, **record}).encode("ascii"))
    except OSError as error:
        raise StoryError(
            path,
            error.strerror or type(error).__name__,
            hint="nothing was sent; see to the disk or its permissions, and start again",
        ) from error


def read_confirmed(project_dir: Path, name: str) -> dict[str, Any] | None:
    """Return what a confirmation is of; ``None`` if no run was started with it here.

    Raises:
        StoryError: What lies there is none of ours.
    """
    path = path_of(project_dir, name)
    folder = path.parent
    for one in (folder.parent, folder):
        refuse_other_kinds(one)
    try:
        with Folder.opened(folder) as there:
            if there.details(path.name) is None:
                return None
            with there.reading(path.name) as file:
                found: object = json.loads(file.read(MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise StoryError(path, "it cannot be read", hint=HINT) from error
    if not isinstance(found, dict):
        raise StoryError(path, "it is no confirmation", hint=HINT)
    record = cast("dict[str, Any]", found)
    if record.get("format") != FORMAT:
        raise StoryError(path, "it is of another version, or no confirmation", hint=HINT)
    return record
