"""Whether the ledger that is open is still the one that its folder means.

Open descriptors outlive names: a database that was moved, removed or replaced takes every row that
is written to it, and no later run will ever see one of them. So what was opened is noted (the file,
its log, the memory that connections share, and the process), and compared before money is held and
before a commit counts; that is three looks at names, some microseconds.

And what a process forks inherits SQLite's table of locks without the locks
(https://sqlite.org/howtocorrupt.html, section 2.6): a connection that the child opens would believe
itself to be protected, and the parent, as it ends, would remove the log that the child goes on
writing to. So a process that was forked while a ledger was open in it opens none.
"""

from __future__ import annotations

import os
from pathlib import Path

from host_stub.sqlite import Numbers, numbers_of
from stage3_plugin.errors import LedgerFailed, LedgerForked, LedgerMoved


class Identity:
    """What an opened ledger consists of.

    Args:
        path: The name that it was opened by.
        before: What that name meant before it was opened.
        stored: Where SQLite says the file lies, with all links followed: its log lies there too.
    """

    def __init__(self, path: Path, before: Numbers | None, stored: Path) -> None:
        self._path = path
        self._process = os.getpid()
        self._noted = [(str(path), before)]
        for end in ("-wal", "-shm"):
            name = f"{stored}{end}"
            numbers = numbers_of(name)
            if numbers is not None:
                self._noted.append((name, numbers))

    def why_not(self) -> LedgerFailed | None:
        """Return what is wrong; ``None`` if all of it is where it was, and this process opened it.

        The numbers of a file are not given out again while it is open.
        """
        if os.getpid() != self._process:
            return LedgerForked(self._path)
        for name, numbers in self._noted:
            if numbers_of(name) != numbers:
                return LedgerMoved(self._path, Path(name))
        return None


# Forks -------------------------------------------------------------------------------------------


class Opening:
    """One connection, from before it is opened until it is closed."""


_open: set[Opening] = set()
_inherited: set[Opening] = set()
"""What was open in the process that this one was forked from."""


def opening(path: Path) -> Opening:
    """Note that a connection is about to be opened.

    Raises:
        LedgerForked: This process was forked while one was open.
    """
    if _inherited:
        raise LedgerForked(path)
    one = Opening()
    _open.add(one)
    return one


def closed(one: Opening) -> None:
    """Note that a connection was closed."""
    _open.discard(one)


def is_inherited(one: Opening) -> bool:
    """Return whether a connection belongs to the process that this one was forked from."""
    return one in _inherited


def _in_a_child() -> None:
    _inherited.update(_open)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)
