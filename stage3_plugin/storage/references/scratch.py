"""The folder of one run that executors write copies into, and what becomes of it.

A lock on the folder itself proves that its run lives: it falls however that ends, and then another
run removes the folder. Apart from what is held for sending, whose files have no names.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from stage3_plugin.files.on_disk import on_disk

_PREFIX = "references-"


class Scratch:
    """Names for new files; its methods block.

    Args:
        around: The folder that the run's own is made in, when it is first needed.
    """

    def __init__(self, around: Path) -> None:
        self._around = around
        self._held: tuple[Path, int] | None = None

    def new(self) -> Path:
        """Return the path of a file that is not there yet.

        Raises:
            StorageFailed: The disk took no folder.
        """
        if self._held is None:
            self.remove_leftovers()
            with on_disk(self._around):
                self._held = _made(self._around)
        return self._held[0] / secrets.token_hex(8)

    def remove_leftovers(self) -> None:
        """Remove what runs have left that were killed; being harmless, it is not worth an error."""
        with suppress(OSError), os.scandir(self._around) as entries:
            for entry in entries:
                if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                    _remove_if_left(Path(entry.path))

    def close(self) -> None:
        """Remove the folder, and all that is in it."""
        held, self._held = self._held, None
        if held is not None:
            path, descriptor = held
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def _made(around: Path) -> tuple[Path, int]:
    while True:
        path = around / f"{_PREFIX}{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            is_ours = _locked(descriptor, is_alive=True) and _is_at(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if is_ours:
            return path, descriptor
        os.close(descriptor)  # another run took it for a leftover before it was locked


def _remove_if_left(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            if _locked(descriptor, is_alive=False):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _locked(descriptor: int, *, is_alive: bool) -> bool:
    """Lock a folder: shared as its run does, or alone as it can be when that is gone."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, which has no locks of folders
    except ImportError:
        return is_alive
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_alive else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
