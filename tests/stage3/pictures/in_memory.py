"""A store of pictures that is no disk."""

from __future__ import annotations

import io
import os
import time
from errno import ENOENT
from pathlib import Path
from typing import BinaryIO

from stage3_plugin.files.folder import Folder
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.store import PictureStore


class MemoryStore(PictureStore):
    """Keeps pictures, and when it took them, for as long as it lives.

    Attributes:
        kept: The bytes of each, and its time in nanoseconds.
    """

    address = None

    def __init__(self) -> None:  # nothing of a state folder
        self.kept: dict[str, tuple[bytes, int]] = {}

    def check(self) -> None:
        """There is room."""

    def note_address(self) -> None:
        """Have none to note."""

    def recall(self, sha256: str) -> bool:
        """Have no more than this."""
        return self.holds(sha256)

    def url_of(self, sha256: str) -> str | None:  # noqa: ARG002 - the protocol has it by this name
        """Have no address."""
        return None

    def save(self, part: Path, inspected: InspectedFile) -> None:
        """Take what was inspected."""
        picture = inspected.picture
        start = inspected.leading_bytes
        self._keep(picture.sha256, part.read_bytes()[start : start + picture.size_bytes])

    def restore(self, sha256: str, copy: BinaryIO) -> None:
        """Take it from a copy."""
        self._keep(sha256, copy.read())

    def _keep(self, sha256: str, data: bytes) -> None:
        self.kept[sha256] = data, time.time_ns()

    def holds(self, sha256: str) -> bool:
        """Look whether it is there; memory does not rot."""
        return sha256 in self.kept

    def read(self, sha256: str) -> BinaryIO:
        """Open its bytes."""
        if sha256 not in self.kept:
            raise FileNotFoundError(ENOENT, "it was never saved")
        return io.BytesIO(self.kept[sha256][0])

    def stamp(self, sha256: str) -> tuple[int, int] | None:
        """Return length and time."""
        if sha256 not in self.kept:
            return None
        data, time_ns = self.kept[sha256]
        return len(data), time_ns

    def place(self, sha256: str, folder: Folder, name: str) -> None:
        """Write a copy."""
        data, time_ns = self.kept[sha256]
        aside, file = folder.create_aside()
        with file:
            file.write(data)
            os.utime(file.fileno(), ns=(time_ns, time_ns))
        folder.rename(aside, name)

    def pictures(self) -> frozenset[str]:
        """Name all."""
        return frozenset(self.kept)

    def where(self, sha256: str) -> Path:
        """Name no file."""
        return Path("memory", sha256)
