"""A folder held open, so that nothing done in it can be led elsewhere meanwhile.

Where the system can, every name is looked up relative to the open folder, never through its path
again, and never through a link at its end. Windows cannot; there the path is used, and links are
rare because making one needs a privilege.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from stage3_plugin.files.new_file import NEW_FILE_FLAGS

TEMPORARY_PREFIX = ".tmp-"
_LEFTOVER_S = 24 * 60 * 60
_CAN_HOLD = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a planted pipe would block for ever
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class Folder:
    """Names in one folder. Every method may raise ``OSError``.

    Args:
        path: An existing folder; its last part must not be a link.
        around: The folder it is in, if that is held open.
    """

    def __init__(self, path: Path, *, around: Folder | None = None) -> None:
        self._path = path
        self._around = around
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if _CAN_HOLD:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            if self._around is None:
                self._descriptor = os.open(self._path, flags)
            else:
                name, around = self._path.name, self._around
                self._descriptor = os.open(around._at(name), flags, dir_fd=around._descriptor)  # noqa: SLF001 - the same class
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def within(self, name: str) -> Folder:
        """Return a folder in this one, to be opened; it is made if it is not there."""
        with suppress(FileExistsError):
            os.mkdir(self._at(name), 0o755, dir_fd=self._descriptor)
        return Folder(self._path / name, around=self)

    def create_aside(self) -> tuple[str, BinaryIO]:
        """Make a new file under a name of its own, readable as the user's umask says."""
        name = f"{TEMPORARY_PREFIX}{secrets.token_hex(16)}"
        descriptor = os.open(self._at(name), NEW_FILE_FLAGS, 0o644, dir_fd=self._descriptor)
        return name, os.fdopen(descriptor, "wb", buffering=0)

    def open(self, name: str) -> FileIO:
        """Open a file to read, not through a link."""
        descriptor = os.open(self._at(name), READ_FLAGS, dir_fd=self._descriptor)
        return os.fdopen(descriptor, "rb", buffering=0)

    def details(self, name: str) -> os.stat_result | None:
        """Return what the system knows of a name itself, or ``None`` if there is none."""
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def rename(self, old: str, new: str) -> None:
        """Put a file under another name, in the place of what had it."""
        os.replace(
            self._at(old), self._at(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor
        )

    def link(self, name: str, other: Folder, new: str) -> bool:
        """Link a file under a second name in another folder; ``False`` where there are no links.

        Raises:
            FileExistsError: The name is taken.
        """
        if os.link not in os.supports_dir_fd:
            return False
        try:
            os.link(
                self._at(name),
                other._at(new),
                src_dir_fd=self._descriptor,
                dst_dir_fd=other._descriptor,
                follow_symlinks=False,
            )
        except FileExistsError:
            raise
        except OSError:
            return False
        return True

    def move(self, name: str, other: Folder, new: str) -> None:
        """Move a file into another folder, where its new name must not be taken.

        Raises:
            FileExistsError: It is.
        """
        os.close(os.open(other._at(new), NEW_FILE_FLAGS, 0o600, dir_fd=other._descriptor))
        try:
            os.replace(
                self._at(name),
                other._at(new),
                src_dir_fd=self._descriptor,
                dst_dir_fd=other._descriptor,
            )
        except OSError:
            other.remove(new)
            raise

    def sync(self) -> None:
        """See to it that a power cut does not take the names in it, where the system can."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a name, or do nothing if there is none."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def _at(self, name: str) -> str | Path:
        return name if self._descriptor is not None else self._path / name


def is_regular(details: os.stat_result | None) -> bool:
    """Return whether a name is a plain file, neither link, folder, pipe nor device."""
    return details is not None and stat.S_ISREG(details.st_mode)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed run was writing; being harmless, it is not worth an error.

    Its age goes by the one time that cannot be set: a copy that is just being made has its
    original's time of change.
    """
    oldest = time.time() - _LEFTOVER_S
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_ctime < oldest:
                        Path(entry.path).unlink()
