"""What is sent of references, as base64 that all requests share.

It lies in one file without a name, in the state folder where there is one, and is read as it
leaves: a thousand different pictures take up disk, and no memory. A process that ends in whatever
way leaves nothing of it. One file and not one for each picture, since each takes a descriptor, and
those are for answers.
"""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stage3_plugin.files.new_file import write_whole
from stage3_plugin.files.on_disk import on_disk


@dataclass(frozen=True, slots=True)
class Body:
    """A stretch of the file, of which a slice is read whenever it is asked for.

    Attributes:
        held: All that is held.
        start: Where it begins in the file.
        size_bytes: How long it is.

    Raises:
        StorageFailed: The disk does not give it.
    """

    held: Bodies
    start: int
    size_bytes: int

    def __len__(self) -> int:
        return self.size_bytes

    def __getitem__(self, piece: slice) -> bytes:
        start, stop, _ = piece.indices(self.size_bytes)
        return self.held.read(self.start + start, max(stop - start, 0))


class Bodies:
    """All that is held of references; its methods may be called from any thread.

    Args:
        folder: Where the file lies, once something is held.

    Raises:
        StorageFailed: In every method: the disk did not let us.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0
        self._lock = threading.Lock()

    def new(self, size_bytes: int) -> Body:
        """Make room for so many bytes."""
        with self._lock:
            body = Body(self, self._end, size_bytes)
            self._end += size_bytes
        return body

    def give_back(self, body: Body) -> None:
        """Let the next have the room of a body that is not sent, where nothing lies behind it."""
        with self._lock:
            if body.start + body.size_bytes == self._end:
                self._end = body.start

    def write(self, body: Body, offset: int, data: bytes) -> None:
        """Write a piece of a body."""
        with on_disk(self._folder), self._lock:
            write_whole(self._descriptor_at(body.start + offset), data)

    def read(self, start: int, size_bytes: int) -> bytes:
        """Read a piece of the file."""
        pieces: list[bytes] = []
        with on_disk(self._folder, reading=True), self._lock:
            descriptor = self._descriptor_at(start)
            while size_bytes and (piece := os.read(descriptor, size_bytes)):
                pieces.append(piece)
                size_bytes -= len(piece)
        return b"".join(pieces)

    def _descriptor_at(self, offset: int) -> int:
        """Return the file's, at a place of it, for who has the lock: not every system has pread."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115 - close() does
        descriptor = self._file.fileno()  # a closed one has none: never another file's
        os.lseek(descriptor, offset, os.SEEK_SET)
        return descriptor

    def close(self) -> None:
        """Give everything back to the system."""
        with self._lock:
            if self._file is not None:
                self._file.close()
