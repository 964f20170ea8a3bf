"""What a harmful picture may do to the process that decodes it, done to small ones alone."""

from __future__ import annotations

import io
import os
import signal

from PIL import Image

from stage3_plugin.storage.copies import job_from
from stage3_plugin.storage.copies.shrinking import copy

SMALL_PX = 20


def _is_bad(job: bytes) -> bool:
    with Image.open(io.BytesIO(job_from(job)[0])) as picture:
        return picture.width == SMALL_PX


def die(job: bytes) -> bytes:
    """End the process, as a decoder that is led astray does."""
    if _is_bad(job):
        os.kill(os.getpid(), signal.SIGSEGV)
    return copy(job)


def hold_memory(job: bytes) -> bytes:
    """Claim more memory than a picture may take, as a decoder does."""
    if _is_bad(job):
        opened = Image.open
        Image.open = lambda *_, **__: bytearray(64 << 30)  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue] - it is to fail
        try:
            return copy(job)
        finally:
            Image.open = opened
    return copy(job)


def say_text(job: bytes) -> bytes:
    """Return what is no picture, as a process that obeys somebody else might."""
    return b"root:x:0:0" if _is_bad(job) else copy(job)


def fill_the_disk(_job: bytes) -> bytes:
    """Fail as a worker does whose copy does not fit on the disk."""
    raise OSError(28, "No space left on device", "/somewhere/x")
