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
from stage3_plugin.errors import StorageFailed
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.spool.receipt import SKELETON
from stage3_plugin.storage.spool.writing import ENCODED


def cover_answer(directory: Path, masked: Masked) -> None:
    """Cover secrets in all files of an answer but its receipt, which was written without any.

    Raises:
        StorageFailed: The disk did not let us.
    """
    with suppress(FileNotFoundError):  # another run has taken it in and removed it
        for name in os.listdir(directory):  # noqa: PTH208 - asked for every answer: no parsing
            if name in {SKELETON, ENCODED} or name.startswith("part-"):
                cover(directory / name, masked)


def cover(path: Path, masked: Masked) -> None:
    """Cover secrets in a file, unless it is a picture; a text that begins as one is, so far.

    Raises:
        StorageFailed: The disk did not let us.
    """
    try:
        if not _is_picture(path):
            goes_on = path.suffix == ".raw" and _is_picture(path.with_suffix(""))
            masked.cover_file(path, within_picture=goes_on)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageFailed(path, error) from error


def _is_picture(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        return is_picture_behind(file.read(OPENING_BYTES))
