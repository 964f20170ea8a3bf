"""What a person at the machine can do about what the system refused, by the number of its error.

Apart from the errors, which make their sentences from what is known here: one hint for all numbers
sends people to free space on a disk that is half empty.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

_ANY: Final = "check the disk, and who owns the folder, and run again"

_FOREIGN: Final = "keep it on a disk of this machine, and run again"

HINTS: Final[Mapping[int, str]] = {
    errno.ENOSPC: "free space on the disk (files too, where it has space left), and run again",
    errno.EDQUOT: "free some of your quota of the disk, or have it raised, and run again",
    errno.EFBIG: "raise the limit of a file's length (ulimit -f), or use another file system",
    errno.EACCES: "check who owns the folder and what its permissions are, and run again",
    errno.EPERM: "check who owns the folder and what its permissions are, and run again",
    errno.EROFS: "this file system may only be read: the system's log may say why; make it "
    "writable, or name another folder",
    errno.EMFILE: "let fewer requests be in flight (capacity), or raise the limit of open files "
    "(ulimit -n), and run again",
    errno.ENFILE: "the whole system has as many files open as it can: end other programs, or raise "
    "that limit, and run again",
    errno.ENOMEM: "free memory, or let fewer requests be in flight (capacity), and run again",
    errno.EISDIR: "a folder stands where a file should be: move it away, and run again",
    errno.ENOTDIR: "a file stands where a folder should be: move it away, or name another folder",
    errno.ELOOP: "a link stands where a file or a folder of our own should be: remove the link, or "
    "name another folder",
    errno.EEXIST: "something that is not overwritten has that name, such as a link that leads "
    "nowhere: move it away, and run again",
    errno.ENOENT: "the folder was moved or removed: bring it back, or go to one that is there, and "
    "run again",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
    errno.ENOLCK: f"that file system takes no locks: {_FOREIGN}",
    errno.ENOTSUP: f"that file system cannot do what is needed: {_FOREIGN}",
    errno.EIO: "the disk failed: look for what the system's log says of it, and copy the folder to "
    "another one before anything else",
    errno.ENODEV: "the disk is gone: connect or mount it again, and run again",
    errno.ENXIO: "the disk is gone: connect or mount it again, and run again",
    errno.ESTALE: "the server of that file system has lost the file: mount it anew, and run again",
    errno.ETIMEDOUT: "the server of that file system does not answer: run again when it does",
    errno.EBUSY: "another program is using it: end that, and run again",
    errno.EAGAIN: "another program is using it: wait for that, and run again",
}
"""What to do next, by ``errno``."""
THREADS_HINT: Final = (
    "let fewer requests be in flight (capacity), or raise the limit of threads (ulimit -u) or of "
    "the memory that they reserve (ulimit -v), and run again"
)

_MAY_BE_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


def hint_for(error: OSError) -> str:
    """Return what to do about an error of the system."""
    return HINTS.get(error.errno or 0, _ANY)


LONGEST_PROBLEM: Final = 4_000
"""Characters; longer words would not be read to their end."""


def in_one_line(error: BaseException) -> str:
    """Return an error's type and words, short enough to be read."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:LONGEST_PROBLEM].removesuffix(": ")


def says_not_there(error: OSError) -> bool:
    """Return whether an error says that there is no such file, and not that it cannot be read now.

    Only what is not there, or is something else, may ever be given up: an answer or a picture that
    was paid for and cannot be read for a moment is there again the next time.
    """
    return error.errno in _MAY_BE_MISSING


def from_lack(error: BaseException) -> OSError | None:
    """Return what the system lacks, where Python says so by an exception of its own.

    For memory that is an exception without a number, for a thread one without a class of its own.
    """
    if isinstance(error, MemoryError):
        return OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return ThreadLacking()
    return None


class ThreadLacking(OSError):
    """The system lets no other thread be started."""

    def __init__(self, *_: object) -> None:
        super().__init__(errno.EAGAIN, "no other thread can be started")
