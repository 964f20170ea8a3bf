"""How files of a story are read, copied and put in place: whole, and never through a link.

A folder is held open, and names are looked up in it alone. A link is followed only if it leads to
another place within the folder of results.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

ASIDE: Final = ".tmp-"
"""How the name of a file in the making begins."""
_LEFTOVER_S: Final = 24 * 60 * 60
_PIECE_BYTES: Final = 1 << 18
_MOST_BYTES: Final = 1 << 30  # for one call of the kernel's
_CAN_HOLD: Final = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a planted pipe would block for ever
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NEW: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


class Folder:
    """Names in one folder that is open. Every method may raise ``OSError``.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def opened(cls, top: Path, *parts: str, make: bool = False) -> Generator[Folder]:
        """Open a folder below another one.

        Args:
            top: Is followed, should it be a link: a person named it.
            parts: The names that lead there; none of them may lead out of ``top``.
            make: Make what is not there.

        Raises:
            OSError: It is not there, or a link leads elsewhere.
        """
        if make:
            top.mkdir(parents=True, exist_ok=True)
        path, descriptor = top, _descriptor_of(top, follow=True)
        try:
            for part in parts:
                path = path / part
                inner = _inner(top, path, descriptor, make=make)
                if descriptor is not None:
                    os.close(descriptor)
                descriptor = inner
            yield cls(path, descriptor)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def details(self, name: str) -> os.stat_result | None:
        """Return what the system knows of a file; ``None`` if there is no plain file."""
        try:
            found = os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def is_taken(self, name: str) -> bool:
        """Return whether anything has a name."""
        try:
            os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def names(self) -> list[str]:
        """Return the names of all that is there but for files in the making."""
        where = self.path if self._descriptor is None else self._descriptor
        return sorted(
            name
            for name in os.listdir(where)  # noqa: PTH208 - of an open folder
            if not name.startswith(ASIDE)
        )

    @contextmanager
    def reading(self, name: str) -> Generator[FileIO]:
        """Open a file to read, not through a link."""
        descriptor = os.open(self._at(name), _READ, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no file", str(self.path / name))
            yield file

    def put(
        self,
        name: str,
        source: FileIO,
        *,
        sha256: str,
        time_ns: int | None = None,
        durable: bool = False,
        is_right: bool = False,
    ) -> bool:
        """Copy an open file to a name, whole or not at all; what had the name is replaced.

        Args:
            name: Its name here.
            source: Is read from where it is.
            sha256: What its bytes must have; nothing is put in place if they have not.
            time_ns: The time of change that the copy gets.
            durable: No power cut takes it away again.
            is_right: It has those bytes, and need not be read for it.

        Returns:
            Whether it had those bytes.
        """
        known = sha256 if is_right else None
        with self._copy(source, time_ns=time_ns, durable=durable, known=known) as (aside, digest):
            if digest == sha256:
                self._rename(aside, name)
        return digest == sha256

    def put_by_digest(self, source: FileIO) -> str:
        """Copy an open file to a name that is the digest of its bytes, durably; return that."""
        with self._copy(source, time_ns=None, durable=True) as (aside, digest):
            self._rename(aside, digest)
        self.sync()
        return digest

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole and durable or not at all; what had the name is replaced."""
        aside = f"{ASIDE}{secrets.token_hex(16)}"
        descriptor = os.open(self._at(aside), _NEW, 0o600, dir_fd=self._descriptor)
        try:
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._rename(aside, name)
        finally:
            self.remove(aside)
        self.sync()

    @contextmanager
    def _copy(
        self, source: FileIO, *, time_ns: int | None, durable: bool, known: str | None = None
    ) -> Generator[tuple[str, str]]:
        """Copy an open file aside; yield the copy's name and digest, and remove what is left."""
        aside = f"{ASIDE}{secrets.token_hex(16)}"
        descriptor = os.open(self._at(aside), _NEW, 0o644, dir_fd=self._descriptor)
        try:
            try:
                if known is not None:
                    _copy_in_kernel(source, descriptor)
                digest = _copied(source, descriptor)
                if time_ns is not None:
                    self._set_time(aside, descriptor, time_ns)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            yield aside, known or digest
        finally:
            self.remove(aside)

    def sync(self) -> None:
        """See to it that a power cut does not take the names in it, where the system can."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a name, or do nothing if there is none."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def adopt(self, aside: str, name: str) -> None:
        """Put a file that was made here under another name in its place."""
        self._rename(aside, name)

    def move(self, name: str, into: Folder, new: str) -> None:
        """Move a file to another folder that is open, without reading it."""
        os.replace(
            self._at(name), into._at(new), src_dir_fd=self._descriptor, dst_dir_fd=into._descriptor
        )

    def remove_leftovers(self) -> None:
        """Remove what a killed run was writing; being harmless, it is not worth an error."""
        oldest = time.time() - _LEFTOVER_S
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith(ASIDE) and entry.is_file(follow_symlinks=False):
                    with suppress(OSError):
                        if entry.stat(follow_symlinks=False).st_ctime < oldest:
                            self.remove(entry.name)

    def _rename(self, old: str, new: str) -> None:
        os.replace(
            self._at(old), self._at(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor
        )

    def _set_time(self, name: str, descriptor: int, time_ns: int) -> None:
        if os.utime in os.supports_fd:
            os.utime(descriptor, ns=(time_ns, time_ns))
        else:
            os.utime(self.path / name, ns=(time_ns, time_ns))

    def _at(self, name: str) -> str | Path:
        if os.sep in name or name in {"", ".", ".."}:
            raise ValueError(f"not a file name: {name!a}")
        return name if self._descriptor is not None else self.path / name


@contextmanager
def named_file(path: Path) -> Generator[FileIO]:
    """Open a file that a person names, also through a link; a pipe is refused, not waited for.

    Raises:
        OSError: There is none, or it is something else.
    """
    descriptor = os.open(path, _READ & ~getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        yield file


def digest_of(file: FileIO) -> str:
    """Return the digest of an open file, from where it is."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_in_kernel(source: FileIO, descriptor: int) -> None:
    """Copy as far as the kernel does; both files stand behind it then."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # it cannot between these two; a disk that is full says so again
            while os.copy_file_range(source.fileno(), descriptor, _MOST_BYTES):
                pass


def _copied(source: FileIO, descriptor: int) -> str:
    digest = hashlib.sha256()
    while piece := source.read(_PIECE_BYTES):
        digest.update(piece)
        left = memoryview(piece)
        while left:
            left = left[os.write(descriptor, left) :]
    return digest.hexdigest()


def _descriptor_of(path: Path, *, follow: bool) -> int | None:
    if not _CAN_HOLD:
        return None
    no_link = 0 if follow else os.O_NOFOLLOW
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | no_link)


def _inner(top: Path, path: Path, around: int | None, *, make: bool) -> int | None:
    """Open the last part of a path, whose folder is open."""
    name = path.name if around is not None else path
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=around)
    if path.is_symlink():
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(os.path.realpath(top)):
            raise OSError(errno.ELOOP, "it is a link that leads out of its folder", str(path))
        return _descriptor_of(real, follow=False)
    if around is None:
        return None
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=around)
