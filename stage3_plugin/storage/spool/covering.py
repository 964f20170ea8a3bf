"""Covers secrets in the files of an answer, once those are as they stay.

While an answer arrives, its files hold what came, for their owner alone. They are looked through
before anything is read of them, and where a cut answer is kept: in a thread, since one may have
many megabytes. Apart from the spool, which writes on the event loop, and from reading, since an
answer that was cut is kept and never read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stage3_plugin.domain.signature import OPENING_BYTES, is_picture_behind
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.spool.receipt import RECEIPT


def cover_answer(directory: Path, masked: Masked) -> None:
    """Cover secrets in all files of an answer, and of those that lie in its folder.

    Raises:
        StorageFailed: The disk did not let us.
    """
    with suppress(FileNotFoundError):  # another run has taken it in and removed it
        for name in os.listdir(directory):  # noqa: PTH208 - asked for every answer: no parsing
            path = directory / name
            if name == RECEIPT or name.startswith(("part-", "inflated-")):
                cover(path, masked)
            elif path.is_dir():
                cover_answer(path, masked)


def cover(path: Path, masked: Masked) -> None:
    """Cover secrets in a file, unless it is a picture; its age stays.

    Raises:
        StorageFailed: The disk did not let us.
    """
    with on_disk(path), suppress(FileNotFoundError):
        with path.open("rb", buffering=0) as file:
            if is_picture_behind(file.read(OPENING_BYTES)):
                return
            before = os.fstat(file.fileno())
        masked.cover_file(path)
        if path.stat().st_mtime_ns != before.st_mtime_ns:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
