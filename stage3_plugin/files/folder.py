"""A folder held open, so that nothing done in it can be led elsewhere meanwhile.

Where the system can, every name is looked up relative to the open folder, never through its path
again, and never through a link at its end. Windows cannot; there the path is used, and links are
rare because making one needs a privilege.

A file that a stranger names is opened likewise (:func:`open_beneath`), and a copy is made within
one, so that no other program ever sees half of it (:func:`copy_aside`). The kernel copies where it
can, and where the file system can share blocks between files (Btrfs, XFS and others), the copy
costs neither time nor space until one of the two is changed: copy_file_range(2).
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from stage3_plugin.files.new_file import NEW_FILE_FLAGS, write_whole
from stage3_plugin.files.on_disk import on_disk

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
_COPY_BYTES = 256 * 1024
_MOST_BYTES = 1 << 30  # for one call of the kernel's
_FOLDER_FLAGS = (
    getattr(os, "O_PATH", os.O_RDONLY)  # where it is there, a folder need not be readable
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link that leads in a circle, or was put there just now",
}


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

    def digest(self, name: str) -> str:
        """Hash a file, 64 hex digits."""
        with self.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

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


# Copied ------------------------------------------------------------------------------------------


def copy_aside(source: Path, folder: Folder, name: str) -> None:
    """Copy ``source`` into ``folder`` as ``name``, whole or not at all, with its time of change.

    Raises:
        OSError: The disk did not take it; nothing was changed.
        StorageFailed: ``source`` cannot be read; nothing was changed.
    """
    with _opened(source) as original:
        aside, copy = folder.create_aside()
        try:
            with copy:
                _copy_in_kernel(original, copy)
                while piece := _read(original, source):
                    # not copyfileobj: on a full disk it takes half a piece for a whole one
                    write_whole(copy.fileno(), piece)
                _keep_time(original, copy)
            folder.rename(aside, name)
        except BaseException:
            folder.remove(aside)
            raise


def _opened(source: Path) -> BinaryIO:
    with on_disk(source, reading=True):
        return source.open("rb", buffering=0)


def _read(original: BinaryIO, source: Path) -> bytes:
    with on_disk(source, reading=True):
        return original.read(_COPY_BYTES)


def _keep_time(original: BinaryIO, copy: BinaryIO) -> None:
    """Give the copy its original's time where the system can: equal times mean equal files."""
    if os.utime in os.supports_fd:
        time_ns = os.fstat(original.fileno()).st_mtime_ns
        os.utime(copy.fileno(), ns=(time_ns, time_ns))


def _copy_in_kernel(original: BinaryIO, copy: BinaryIO) -> None:
    """Copy as far as the kernel does; both files stand behind it then."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # it cannot between these two; a disk that is full says so again
            while os.copy_file_range(original.fileno(), copy.fileno(), _MOST_BYTES):
                pass


# Opened for a stranger ----------------------------------------------------------------------------


class NotAFile(OSError):
    """What was to be opened is no plain file.

    Attributes:
        kind: What it is instead, such as "a folder".
    """

    def __init__(self, kind: str) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}")
        self.kind = kind


def open_beneath(folder: Path, parts: Sequence[str]) -> BinaryIO:
    """Open a plain file below a folder to read it; never waits for another program.

    Args:
        folder: Its last part must not be a link.
        parts: The names that lead from there to the file; none may be a link.

    Raises:
        NotAFile: It is something else.
        OSError: It is not there, cannot be read, or a link stands on the way.
    """
    *way, name = parts
    if not _CAN_HOLD:
        return _opened_file(folder.joinpath(*parts), None)
    held = os.open(folder, _FOLDER_FLAGS)
    try:
        for step in way:
            outer, held = held, os.open(step, _FOLDER_FLAGS, dir_fd=held)
            os.close(outer)
        return _opened_file(name, held)
    finally:
        os.close(held)


def _opened_file(name: str | Path, folder: int | None) -> BinaryIO:
    _need_file(os.stat(name, dir_fd=folder, follow_symlinks=False))
    file = os.fdopen(os.open(name, READ_FLAGS, dir_fd=folder), "rb")
    try:
        _need_file(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _need_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotAFile(_KINDS.get(stat.S_IFMT(found.st_mode), "no plain file"))
