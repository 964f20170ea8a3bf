"""How many files this process may have open, and what of that is kept for answers to come.

A paid request needs a socket while it waits, and its answer needs files the moment it comes:
without descriptors for them, an answer that was paid for would be lost. So they are reserved before
the request leaves. The receipt is made and stays open, and for the file of a picture a descriptor
is kept aside, and released right before that is opened. How many requests can have
all of theirs at a time is counted here as well. Apart from the modules that open files because the
limit is one for the whole process.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from stage3_plugin.errors import ResourceLacking

Opened = TypeVar("Opened")

EACH: Final = 3
"""A socket, a receipt, and the file of a picture: whatever else is made of an answer is made when
its socket is closed. A fetch, and whatever is done with a whole answer, needs less, and comes when
these are closed."""
RESERVE: Final = 10
"""For what comes and goes beside the requests in flight: looking names up, writing the manifest,
taking in what other runs have left."""
TAKEN_IN: Final = 3
"""Of a whole answer that is taken in beside them, left by an earlier run or awaited from an
address: its socket and the file that it is fetched into, or what it is read from and stored in."""
OF_A_RUN: Final = 8
"""What a run that is only being opened will have open: the ledger twice, its lock, the journal, and
what the event loop keeps."""

_MOST: Final = 65_536
"""No run needs more, and where the limit is a thousand million, programs that are started here and
close whatever they may have inherited would take minutes."""
_MACOS_MOST: Final = 10_240
_TOO_MANY: Final = {errno.EMFILE, errno.ENFILE}

_kept = deque[int]()


# Kept aside --------------------------------------------------------------------------------------


def keep_aside(descriptor: int) -> None:
    """Keep a descriptor for a file that will have to be opened, by any part of the process.

    Args:
        descriptor: An open one; what is kept is a copy of it.

    Raises:
        OSError: There is none left.
    """
    _kept.append(os.dup(descriptor))


def release() -> bool:
    """Release one that was kept, so that a file can be opened; return whether there was any."""
    try:
        descriptor = _kept.pop()
    except IndexError:
        return False
    os.close(descriptor)
    return True


def opened(opening: Callable[[], Opened]) -> Opened:
    """Open something that a paid answer needs; what is kept aside goes if there is no other way.

    Raises:
        OSError: It cannot be opened.
    """
    while True:
        try:
            return opening()
        except OSError as error:
            if error.errno not in _TOO_MANY or not release():
                raise


# Counted -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many requests can be in flight, as far as descriptors go.

    Attributes:
        limit: How many descriptors this process may have.
        taken: How many it has, or will have once the run is open.
    """

    limit: int
    taken: int

    @property
    def places(self) -> int:
        """Return how many requests can have all they may need; may be less than none."""
        return (self.limit - self.taken - RESERVE) // EACH

    def beside(self, requests: int) -> int:
        """Return how many answers may be taken in beside so many requests in flight; at least one.

        Where all is promised to requests, that one is part of the reserve.
        """
        spare = self.limit - self.taken - RESERVE - requests * EACH
        return max(spare // TAKEN_IN, 1)

    def needed_for(self, requests: int) -> int:
        """Return the limit that so many requests in flight need."""
        return self.taken + RESERVE + requests * EACH


def room(*, to_come: int = 0) -> Room | None:
    """Raise the limit as far as it may be, and return the room under it; ``None`` without a limit.

    Args:
        to_come: Descriptors that will be opened before the first request leaves.
    """
    limit = _raised_limit()
    taken = _taken()
    return None if limit is None or taken is None else Room(limit=limit, taken=taken + to_come)


def _raised_limit() -> int | None:
    """Raise the limit as far as the system lets us, and return what it is."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, which has no such limit
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    for more in (most, _MACOS_MOST):  # macOS calls it infinite, and takes no more than this
        if soft < more <= most:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
                return more
    return soft


def _taken() -> int | None:
    """Count the descriptors of this process; ``None`` if the system does not say."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder)) - 1  # noqa: PTH208 - without the one that it takes itself
        except OSError as error:
            if error.errno in _TOO_MANY:
                import resource  # noqa: PLC0415 - a system that says this has it

                return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None


def most_of(wanted: int, state_dir: Path, *, to_come: int = 0) -> tuple[int, str]:
    """Return how many of the wanted requests can be in flight, and words if those are fewer.

    Args:
        wanted: What the settings allow.
        state_dir: For the error.
        to_come: As for :func:`room`.

    Raises:
        ResourceLacking: Not even one can.
    """
    found = room(to_come=to_come)
    if found is None or found.places >= wanted:
        return wanted, ""
    if found.places >= 1:
        return found.places, (
            f"at most {found.places:,} requests are in flight, not {wanted:,}: this process may "
            f"have {found.limit:,} files open, and each request needs {EACH} to be sure of room "
            f"for its answer; raise the limit (ulimit -n {found.needed_for(wanted)}), or lower "
            "capacity"
        )
    needed = found.needed_for(1)
    raise ResourceLacking(
        state_dir,
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        f"this process may have {found.limit:,} files open, and needs {needed:,} to send a paid "
        "request and be sure of room for its answer",
        hint=f"raise the limit of open files (ulimit -n {needed}) and run again",
    )


def is_lack(error: OSError) -> bool:
    """Return whether an error says that there are too many open files, here or in the system."""
    return error.errno in _TOO_MANY
