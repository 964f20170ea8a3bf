"""How a file of our own is written: made new, never through a link, and every byte or an error.

``open()`` would follow a planted link, overwrite what is there and buffer; the spool wants none of
these. Apart from its users because the flags and the short writes are easily got wrong twice.
"""

from __future__ import annotations

import os
from pathlib import Path

from stage3_plugin.errors import StorageFailed

_FLAGS = (
    os.O_WRONLY
    | getattr(os, "O_NOFOLLOW", 0)  # these three are not on every system
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
NEW_FILE_FLAGS = _FLAGS | os.O_CREAT | os.O_EXCL
_PIECE_BYTES = 256 * 1024


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` in pieces of at most 256 KiB; the system may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest[:_PIECE_BYTES]) :]


class NewFile:
    """A file that did not exist before, open for writing, readable by its owner alone.

    Attributes:
        path: Where it lies.
        size_bytes: What was written so far.

    Raises:
        StorageFailed: Here and in every method.
    """

    __slots__ = ("_descriptor", "path", "size_bytes")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        try:
            self._descriptor = os.open(path, NEW_FILE_FLAGS, 0o600)
        except OSError as error:
            raise StorageFailed(path, error) from error

    def write(self, data: bytes) -> None:
        """Write ``data`` without a buffer of our own."""
        try:
            write_whole(self._descriptor, data)
        except OSError as error:
            raise StorageFailed(self.path, error) from error
        self.size_bytes += len(data)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.close(descriptor)
            except OSError as error:
                raise StorageFailed(self.path, error) from error


def append(path: Path, data: bytes) -> None:
    """Write ``data`` at the end of a file that is there.

    Raises:
        StorageFailed: It is not, or the disk did not take it.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_APPEND)
        try:
            write_whole(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageFailed(path, error) from error
