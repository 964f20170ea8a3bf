"""What the page is told, gathered from a story: standings, book, files, and its last run."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from host_stub.review.thumbs import made
from host_stub.review.told import NAME, THUMBS, Told, row_of
from host_stub.run.manifest import NAME as MANIFEST
from host_stub.standing.standing import SceneStanding
from host_stub.story.keeper import Story
from host_stub.story.takes import Take

_LONGEST: Final = 500
"""Characters of a failure's message; the manifest has all of it."""
_MOST_BYTES: Final = 256 * 1024 * 1024


class Gathering:
    """Takes in one standing after the other, sheets first.

    Args:
        story: Its book and its files.
        name: The story's, for people.
        command: What prices a file of decisions, but for the file.

    Attributes:
        pictures: Where the picture of each hash is that has no small one yet.
    """

    def __init__(self, story: Story, name: str, command: str) -> None:
        self.pictures: dict[str, Path] = {}
        self._story = story
        self._name = name
        self._command = command
        self._rows: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self._out_dir = story.files.out_dir
        self._thumbs = made(self._out_dir / NAME / THUMBS)
        self._failures = failures_of(self._out_dir / MANIFEST)

    def add(self, standing: SceneStanding) -> None:
        """Take in a scene or a sheet."""
        self._counts[standing.role] += 1
        book, scene_id = self._story.book, standing.scene_id
        problem = None if standing.state == "current" else self._failures.get(scene_id)
        row = row_of(
            standing,
            number=self._counts[standing.role],
            path_of=self._path_of,
            has_thumb=self._thumbs.__contains__,
            pick=book.pick(scene_id),
            notes=[(one.reviewer, one.note) for one in book.notes_of(scene_id)],
            problem=problem,
        )
        self._rows.append(row)

    def told(self, *, is_running: bool) -> Told:
        """Return what the page is told, the small pictures that there are by now among it."""
        thumbs = made(self._out_dir / NAME / THUMBS)
        for row in self._rows:
            for take in row["takes"]:
                take["no_thumb"] = take["sha256"] not in thumbs
        place = str(self._story.book.path).encode("utf-8", "surrogatepass")
        story_id = hashlib.sha256(place).hexdigest()[:16]
        return Told(
            story_id=story_id,
            name=self._name,
            scenes=self._rows,
            is_running=is_running,
            command=self._command,
        )

    def _path_of(self, take: Take) -> str | None:
        files = self._story.files
        if not files.has(take):
            return None
        path = files.place_of(take)
        if take.sha256 not in self._thumbs:
            self.pictures[take.sha256] = path
        return path.relative_to(self._out_dir).as_posix()


def failures_of(manifest: Path) -> Mapping[str, str]:
    """Return why scenes failed in the last run, by scene; nothing if that cannot be read."""
    try:
        if not manifest.is_file() or manifest.stat().st_size > _MOST_BYTES:
            return {}
        read: Any = json.loads(manifest.read_bytes())
        found = cast("list[dict[str, Any]]", read["failures"])
        return {str(one["scene_id"]): _why(one) for one in found}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _why(failure: Mapping[str, Any]) -> str:
    code, message = failure.get("code"), failure.get("message")
    return ": ".join(str(part) for part in (code, message) if part)[:_LONGEST]
