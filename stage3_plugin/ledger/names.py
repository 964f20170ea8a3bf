"""One ledger under two names: a second hard link, as ``cp -al`` or a snapshot tool makes.

SQLite keeps the log beside the name that a database was opened by, so two names in use at once have
two logs, and each loses what the other writes. A second name alone does no harm; it is warned of.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from host_stub.sqlite import numbers_of
from stage3_plugin.errors import LedgerFailed

_LOCKS = Path("/proc/locks")
_SHARED = ("1073741826", "1073742335")
"""The bytes that SQLite locks in a database for as long as a connection is open."""
_TRIES = 4
"""A connection that is just being opened has the one lock, and not the other yet."""


def warning(path: Path) -> str | None:
    """Say that a ledger has another name, and how to give it a file of its own."""
    try:
        links = path.stat().st_nlink
    except OSError:  # there is none yet, or it cannot be read, which opening it will say
        return None
    if links < 2:
        return None
    name, copy = shlex.quote(str(path)), shlex.quote(f"{path}.own")
    return (
        f"the ledger {path} has another name too (a hard link): a run by each at once would lose "
        f"what the other buys; give it a file of its own while no run is going: "
        f"cp {name} {copy} && mv {copy} {name}"
    )


def check(path: Path) -> None:
    """Check that no program uses a ledger by another name, where the system shows that.

    Raises:
        LedgerFailed: One does.
    """
    other_name = warning(path)
    if other_name is None:
        return
    for _ in range(_TRIES):
        if not _is_used_by_another_name(path):
            return
        time.sleep(0.05)
    raise LedgerFailed(
        path,
        "another process uses it by another name (a hard link), and each would lose what the "
        "other buys",
        hint=f"let that end first; {other_name}",
    )


def _is_used_by_another_name(path: Path) -> bool:
    """Return whether a process has it open without sharing the memory beside this name."""
    ledger = numbers_of(path)
    memory = numbers_of(f"{path.resolve()}-shm")
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:  # only Linux shows it
        return False
    users: set[str] = set()
    sharers: set[str] = set()
    for line in lines:
        words = line.split()
        if len(words) != 8 or words[1] != "POSIX":
            continue
        owner, file, first, last = words[4:]
        number = file.rpartition(":")[2]
        if ledger and number == str(ledger[1]) and (first, last) == _SHARED:
            users.add(owner)
        elif memory and number == str(memory[1]):
            sharers.add(owner)
    return bool(users - sharers)
