"""One reviewer's decision about one scene, and where it is written.

A decision is a wanted state: what is shown, which of the takes that were seen are rejected, how
many takes there shall be. What it leaves out it says nothing about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from host_stub.text.escape import escaped

LONGEST_NAME = 80
"""Characters of an id or a reviewer's name that a message shows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a decision is written.

    Attributes:
        path: The file.
        index: Its place in the file's list, from 0.
        reviewer: Who the file says decided; ``None`` if it does not.
    """

    path: Path
    index: int = 0
    reviewer: str | None = None

    def __str__(self) -> str:
        """Say it in a message: ``ana (out/decisions/ana.json)``."""
        path = escaped(str(self.path))
        if self.reviewer is None:
            return path
        return f"{escaped(self.reviewer, limit=LONGEST_NAME)} ({path})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a reviewer wants of one scene.

    Attributes:
        scene_id: The scene, or the sheet.
        origin: Where it is written.
        seen: The bytes of the takes that the reviewer had before the eyes, each by its sha256 in
            lower-case hex; empty if it is bound to nothing.
        show: The take to be shown.
        reject: The takes that are not wanted, out of those seen, or of all where ``seen`` is empty;
            empty for none of them, ``None`` if nothing is said about that.
        takes: How many takes there shall be.
        prompt: What the picture shall show, in place of the scene's own prompt.
        note: A word for people; empty takes away the one that is there.
        at: When it was decided, aware, in UTC.
    """

    scene_id: str
    origin: Origin
    seen: tuple[str, ...] = ()
    show: str | None = None
    reject: tuple[str, ...] | None = None
    takes: int | None = None
    prompt: str | None = None
    note: str | None = None
    at: datetime | None = None

    @property
    def wish(self) -> tuple[object, ...]:
        """What it wants, whoever said so and when: two decisions that agree have the same."""
        rejected = None if self.reject is None else frozenset(self.reject)
        return (self.show, rejected, self.takes, self.prompt, self.note)
