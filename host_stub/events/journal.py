"""How the files of a run are written: the journal line by line, everything else whole.

``events.jsonl`` is begun anew by each run, and the one found there is kept in ``runs/``, in a
folder by its own run's name, so that a journal never holds two runs; the manifest is kept the same
way. A line is one JSON object in ASCII and is handed to the system as soon as it is known: a killed
run loses none.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self, cast

from host_stub.text.plain_values import as_json

_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
RUNS = "runs"
"""The folder of what earlier runs left, beside what the last one did."""
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # without it, opening a pipe waits for its writer
_MOST_TRIES = 20
"""Attempts to begin a journal where other runs begin theirs at the same moment."""
# Made once: ``json.dumps`` with options makes one per call, which is a third of its time.
_encode = json.JSONEncoder(default=as_json, allow_nan=False, separators=(",", ":")).encode


def json_line(record: Mapping[str, object]) -> bytes:
    """Write plain values as one line of ASCII; decimals become strings."""
    return _encode(dict(record)).encode("ascii") + b"\n"


class EventJournal:
    """An ``events.jsonl`` of one run.

    Args:
        path: Where; its folder is made. A file that is there already is kept for its run.

    Attributes:
        path: Where.
        failure: Why the journal could not be written to its end, or ``None``. The run goes on
            without it: a picture is worth more than its log line.

    Raises:
        BlockingIOError: Other runs began one here at the same moment, again and again.
        OSError: It cannot be begun.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: OSError | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(_begun(path), "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: bytes) -> None:
        """Append one event, as :func:`json_line` gives it; after a failed write no other is tried.

        Args:
            line: With its line break.
        """
        if self.failure is not None:
            return
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self.failure = error


def _begun(path: Path) -> int:
    """Make a new file at ``path`` and return its descriptor; what was there is kept."""
    # Made anew, never followed: a link planted here would have the journal written elsewhere.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
    for _ in range(_MOST_TRIES):
        keep_earlier(path, _run_of)
        try:
            return os.open(path, flags, 0o644)
        except FileExistsError:  # another run began one at this moment, and will keep its file
            continue
    raise BlockingIOError(errno.EAGAIN, "other runs keep beginning here", str(path))


def keep_earlier(path: Path, run_of: Callable[[BinaryIO], object]) -> None:
    """Move what an earlier run left at ``path`` to ``runs/<its run>/``, where its records lie.

    Args:
        path: What is about to be written anew; nothing happens if it is not there.
        run_of: Reads from the open file which run it is of. It may raise what reading and parsing
            raise; a file that names no run is kept for one called ``earlier``.

    Raises:
        OSError: It cannot be moved, or is a folder.
    """
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    if not path.is_symlink() and not path.exists():
        return
    run_id = "earlier"
    with suppress(OSError, ValueError, LookupError, TypeError), _opened_to_read(path) as file:
        found = str(run_of(file))
        run_id = found if _RUN_ID.fullmatch(found) else run_id
    folder = path.parent / RUNS / run_id
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / path.name
    while kept.exists() or kept.is_symlink():
        kept = folder / f"{path.stem}-{secrets.token_hex(3)}{path.suffix}"
    with suppress(FileNotFoundError):  # another run, begun at the same moment, has just kept it
        path.rename(kept)


def _opened_to_read(path: Path) -> BinaryIO:
    """Open a regular file; a pipe without a writer, or a device without an end, would block us.

    Raises:
        OSError: It cannot be opened, or is something else than a file.
    """
    descriptor = os.open(path, os.O_RDONLY | _NONBLOCK | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def _run_of(journal: BinaryIO) -> object:
    """Read which run a journal is of from its first line."""
    return cast("dict[str, object]", json.loads(journal.readline(65_536)))["run_id"]


def write_whole(
    path: Path, pieces: Iterable[bytes], *, before: Callable[[], None] | None = None
) -> None:
    """Write a file so that it is there whole or as it was before, also after a power cut.

    Args:
        path: Where.
        pieces: The content.
        before: Called when all of it is on disk, right before it takes its place.

    Raises:
        OSError: The disk did not take it; what was there is untouched.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(
        aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            before()
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows cannot open a folder to sync it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
