"""How a file of our own is written: made new, never through a link, and every byte or an error.

``open()`` would follow a planted link, overwrite what is there and buffer; the spool wants none of
these. Whatever is received or stored is written through here, so it is written once: an object may
share its inode with a part, since neither can be opened to write. Apart from its users because the
flags and the short writes are easily got wrong twice.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.descriptors import keep_aside, opened
from stage3_plugin.files.on_disk import on_disk

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


@contextmanager
def replacing(path: Path) -> Generator[NewFile]:
    """Write a file in the block that takes the place of another when all of it is there.

    Raises:
        StorageFailed: The disk did not take it; what was there is there.
    """
    aside = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    try:
        with NewFile(aside) as file:
            yield file
        with on_disk(path):
            aside.replace(path)
    finally:
        remove(aside)


def remove(path: Path) -> None:
    """Remove a file; one that resists goes with its folder, or stays as a leftover."""
    with suppress(OSError):
        path.unlink()


class NewFile:
    """A file that did not exist before, open for writing, readable by its owner alone.

    As a context manager, it closes at the end of the block.

    Args:
        path: Where to; there must be nothing.

    Attributes:
        path: Where it lies.
        size_bytes: What was taken so far; all of it is written once the file is closed.

    Raises:
        StorageFailed: Here and in every method.
    """

    __slots__ = ("_descriptor", "path", "size_bytes")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        with on_disk(path):
            self._descriptor = opened(partial(os.open, path, NEW_FILE_FLAGS, 0o600))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Write ``data`` without a buffer of our own."""
        try:  # by itself: it is called for every piece
            write_whole(self._descriptor, data)
        except OSError as error:
            raise StorageFailed(self.path, error) from error
        self.size_bytes += len(data)

    def write_at(self, data: bytes, offset: int) -> None:
        """Write ``data`` over what was written before."""
        with on_disk(self.path):
            os.lseek(self._descriptor, offset, os.SEEK_SET)  # not every system has pwrite
            try:
                write_whole(self._descriptor, data)
            finally:
                os.lseek(self._descriptor, 0, os.SEEK_END)

    def write_from(self, source: BinaryIO, most_bytes: int | None = None) -> None:
        """Write what ``source`` still holds, or only the beginning of that."""
        end = math.inf if most_bytes is None else self.size_bytes + most_bytes
        while piece := self._read(source, end - self.size_bytes):
            self.write(piece)

    def _read(self, source: BinaryIO, most_bytes: float) -> bytes:
        with on_disk(self.path):
            return source.read(int(min(most_bytes, _PIECE_BYTES)))

    def keep_aside(self) -> None:
        """Keep a descriptor for the file that will stand beside this one."""
        with on_disk(self.path):
            keep_aside(self._descriptor)

    def sync(self) -> None:
        """See to it that a power cut does not take what was written."""
        with on_disk(self.path):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with on_disk(self.path):
                os.close(descriptor)
