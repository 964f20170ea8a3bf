"""Where a plugin of contract 1.0 puts its pictures: a folder of the run, and not the story's.

Such a plugin knows nothing of takes: it would put each picture over the one that is shown. So it is
given a folder of its own below the folder for results, ``.incoming/<run>/``, and what it delivers
is copied from there to its place. A run that was killed leaves its folder behind, which the next
run finds by its lock; files that are no pictures go to where the plugin meant them to be.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

INCOMING: Final = ".incoming"
_LOCK: Final = ".lock"
_MOST_TRIES: Final = 20


class Incoming:
    """The folder of one run.

    Args:
        out_dir: The folder for results; it exists.
        run_id: The run's name.

    Attributes:
        folder: Where the plugin writes.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, out_dir: Path, run_id: str) -> None:
        self._out_dir = out_dir
        self.folder = out_dir / INCOMING / run_id
        # Another run that begins now must not find it without its lock, and take it for a dead one.
        aside = self.folder.with_name(f".{run_id}")
        _make(aside)
        self._lock = _locked(aside)
        aside.rename(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    def holds(self, path: Path) -> bool:
        """Return whether a file lies in this folder."""
        return path.is_relative_to(self.folder)

    def clear(self, is_taken: Callable[[Path], bool]) -> tuple[Path, ...]:
        """Remove the folder with what was taken from it; the rest goes where it was meant to be.

        Args:
            is_taken: Says of a file whether it is at its place.

        Returns:
            What stays, since something else lies where it was meant to be.
        """
        stays: list[Path] = []
        for one in list(files_in(self.folder)):
            target = self._out_dir / one.relative_to(self.folder)
            try:
                if is_taken(one):
                    one.unlink()
                elif os.path.lexists(target):
                    stays.append(one)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    one.rename(target)
            except OSError:
                stays.append(one)
        self.__exit__()
        remove_empty(self.folder)
        return tuple(stays)


def left_behind(out_dir: Path) -> Iterator[Path]:
    """Yield the folders of runs that were killed; of one that goes on nothing is touched."""
    try:
        folders = sorted((out_dir / INCOMING).iterdir())
    except OSError:
        return
    for folder in folders:
        if folder.name.startswith(".") or folder.is_symlink() or not folder.is_dir():
            continue
        lock = _locked(folder)
        if lock is not None:
            with lock:
                yield folder
            remove_empty(folder)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the regular files in a folder and those below it; links are not followed."""
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            one = Path(path, name)
            if name != _LOCK and one.is_file() and not one.is_symlink():
                yield one


def remove_empty(folder: Path) -> None:
    """Remove a run's folder, or as much of it as holds nothing."""
    if not any(files_in(folder)):
        with suppress(OSError):
            (folder / _LOCK).unlink()
    for path, _, _ in list(os.walk(folder, topdown=False)):
        with suppress(OSError):  # something stays in it
            Path(path).rmdir()
    with suppress(OSError):
        folder.parent.rmdir()


def _make(folder: Path) -> None:
    """Make a run's folder; one that ends now removes the folder around it, if that is empty."""
    for _ in range(_MOST_TRIES):
        try:
            folder.mkdir(parents=True)
        except FileNotFoundError:
            continue
        return
    folder.mkdir(parents=True)


def _locked(folder: Path) -> IO[bytes] | None:
    """Lock a run's folder for as long as the file is open; ``None`` if its run has it."""
    lock = folder / _LOCK
    try:
        if sys.platform == "win32":  # which removes no file that is open
            lock.unlink(missing_ok=True)
            return lock.open("wb")
        import fcntl  # noqa: PLC0415 - not on Windows

        file = lock.open("wb")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
