"""How a file is copied so that no other program ever sees half of it.

It is written under a name of its own and renamed. The kernel copies where it can, and where the
file system can share blocks between files (Btrfs, XFS and others), the copy costs neither time nor
space until one of the two is changed: copy_file_range(2).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stage3_plugin.files.folder import Folder
from stage3_plugin.files.new_file import write_whole
from stage3_plugin.files.on_disk import on_disk

_COPY_BYTES = 256 * 1024
_MOST_BYTES = 1 << 30  # for one call of the kernel's


def copy_aside(source: Path, folder: Folder, name: str) -> None:
    """Copy ``source`` into ``folder`` as ``name``, whole or not at all, with its time of change.

    Raises:
        OSError: The disk did not take it; nothing was changed.
        StorageFailed: ``source`` cannot be read; nothing was changed.
    """
    with _opened(source) as original:
        aside, copy = folder.create_aside()
        try:
            with copy:
                _copy_in_kernel(original, copy)
                while piece := _read(original, source):
                    # not copyfileobj: on a full disk it takes half a piece for a whole one
                    write_whole(copy.fileno(), piece)
                _keep_time(original, copy)
            folder.rename(aside, name)
        except BaseException:
            folder.remove(aside)
            raise


def _opened(source: Path) -> BinaryIO:
    with on_disk(source, reading=True):
        return source.open("rb", buffering=0)


def _read(original: BinaryIO, source: Path) -> bytes:
    with on_disk(source, reading=True):
        return original.read(_COPY_BYTES)


def _keep_time(original: BinaryIO, copy: BinaryIO) -> None:
    """Give the copy its original's time where the system can: equal times mean equal files."""
    if os.utime in os.supports_fd:
        time_ns = os.fstat(original.fileno()).st_mtime_ns
        os.utime(copy.fileno(), ns=(time_ns, time_ns))


def _copy_in_kernel(original: BinaryIO, copy: BinaryIO) -> None:
    """Copy as far as the kernel does; both files stand behind it then."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # it cannot between these two; a disk that is full says so again
            while os.copy_file_range(original.fileno(), copy.fileno(), _MOST_BYTES):
                pass
