"""A disk that forgets: records what a run asks of it, and makes folders as power cuts leave them.

A process that is killed loses nothing that it wrote; a machine without power loses whatever was not
synced: bytes of files, and apart from them the names in folders. So every call that changes a
folder is noted in its order, and from these notes the folder is made anew as it would stand had the
power gone after any of them, with all, some or none of what nobody had synced.

The database is written by C, beside all that is patched here. Its commits are taken to be atomic,
as its log is made to be: what is noted is how its two files are after each, and when each began.
That the log is synced before a commit returns is shown elsewhere (``tests/stage3/ledger``).
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import stat
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest

from stage3_plugin.ledger import database
from stage3_plugin.ledger.making import prepare

Keep: TypeAlias = Callable[[int], float]
"""How much of an unsynced change, by its number, is on the disk all the same: from 0 to 1."""
_WRITES = frozenset("wax+")


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes went into a file, or it was cut where there are none."""

    node: int
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Timed:
    """A file was given a time of change; that is a matter of its name's."""

    node: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A file's bytes, or a folder's names, are on the disk."""

    what: int | str


@dataclass(frozen=True, slots=True)
class Named:
    """Names changed, at once: ``(folder, name, what)``, a folder's own path, ``None`` if gone."""

    changes: tuple[tuple[str, str, int | str | None], ...]


@dataclass(frozen=True, slots=True)
class Files:
    """The database as it is on the disk from here on; ``None`` for a file that is not there."""

    stored: bytes | None
    log: bytes | None


@dataclass(frozen=True, slots=True)
class Began:
    """A commit began, of which more or less may be on the disk until it has returned."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something happened elsewhere at this moment."""

    what: str


Change: TypeAlias = Wrote | Timed | Synced | Named | Files | Began | Mark


class Disk:
    """Notes what happens below a folder, which must be empty; Linux alone.

    Args:
        folder: Where; what is outside of it is taken to be there for good.
        ledger: The database's file in it.

    Attributes:
        changes: In their order.
    """

    def __init__(self, folder: Path, ledger: Path) -> None:
        self._folder = str(folder)
        self._ledger = ledger
        self._lock = threading.RLock()
        self._nodes: dict[tuple[int, int], int] = {}
        self._count = 0
        self._stored: int | None = None
        self._open = os.open
        self.changes: list[Change] = []

    def mark(self, what: str) -> None:
        """Note that something happened; from any thread."""
        with self._lock:
            self.changes.append(Mark(what))

    # Recording -----------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Generator[None]:
        """Stand between the program and the system."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("write", "fsync", "ftruncate", "unlink", "rmdir", "mkdir", "link"):
                patch.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))
            patch.setattr(os, "fdatasync", self._fsync(os.fdatasync))
            patch.setattr(os, "remove", os.unlink)
            for name in ("rename", "replace"):
                patch.setattr(os, name, self._rename(getattr(os, name)))
            utime = self._utime(os.utime)
            patch.setattr(os, "supports_fd", os.supports_fd | {utime})
            patch.setattr(os, "utime", utime)
            patch.setattr(os, "open", self._opening(os.open))
            for module in (io, builtins):
                patch.setattr(module, "open", self._streaming(io.open))
            patch.setattr(os, "copy_file_range", _never, raising=False)  # it would write, unseen
            self._watch_the_database(patch)
            try:
                yield
            finally:
                if self._stored is not None:
                    os.close(self._stored)

    def _watch_the_database(self, patch: pytest.MonkeyPatch) -> None:
        run, close = database.Database.run, database.Database.close

        def running(one: database.Database, statement: str) -> None:
            if statement == "COMMIT":
                self.changes.append(Began())
            run(one, statement)
            if statement == "COMMIT":
                self._note_database()

        def preparing(*arguments: Any, **named: Any) -> None:
            prepare(*arguments, **named)
            self._note_database()

        def closing(one: database.Database) -> None:
            close(one)
            self._note_database()

        patch.setattr(database.Database, "run", running)
        patch.setattr("stage3_plugin.ledger.sqlite.prepare", preparing)
        patch.setattr(database.Database, "close", closing)

    def _note_database(self) -> None:
        """Note the database's files; the first is never closed, which would take its locks off."""
        with self._lock:
            if self._stored is None and self._ledger.exists():
                self._stored = self._open(self._ledger, os.O_RDONLY)
            stored = None
            if self._stored is not None:
                stored = os.pread(self._stored, os.fstat(self._stored).st_size, 0)
            log = self._ledger.with_name(f"{self._ledger.name}-wal")
            found = Files(stored, log.read_bytes() if log.exists() else None)
            if found != next((one for one in reversed(self.changes) if type(one) is Files), None):
                self.changes.append(found)

    def _place(self, path: Any, dir_fd: int | None = None) -> tuple[str, str] | None:
        """Return a path's folder and name, if it is below ours."""
        at = os.fsdecode(path)
        if dir_fd is not None and not at.startswith("/"):
            at = f"{_path_of(dir_fd)}/{at}"
        at = os.path.normpath(os.path.join(os.getcwd(), at))  # noqa: PTH109, PTH118 - not links
        folder, _, name = at.rpartition("/")
        return (folder, name) if f"{folder}/".startswith(f"{self._folder}/") else None

    def _node(self, descriptor: int) -> int | None:
        found = os.fstat(descriptor)
        return self._nodes.get((found.st_dev, found.st_ino))

    def _name(self, *changes: tuple[tuple[str, str] | None, int | str | None]) -> None:
        kept = tuple((*place, what) for place, what in changes if place is not None)
        if kept:
            self.changes.append(Named(kept))

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            place = self._place(path, dir_fd) if flags & os.O_CREAT else None
            if place is None:
                return real(path, flags, mode, dir_fd=dir_fd)
            with self._lock:
                is_new = not os.path.lexists("/".join(place))
                descriptor = real(path, flags, mode, dir_fd=dir_fd)
                if is_new:
                    self._create(place, descriptor)
                elif flags & os.O_TRUNC:
                    self._change(descriptor, 0, None)
                return descriptor

        return opening

    def _create(self, place: tuple[str, str], descriptor: int) -> None:
        found = os.fstat(descriptor)
        self._count += 1
        self._nodes[found.st_dev, found.st_ino] = self._count
        self._name((place, self._count))

    def _change(self, descriptor: int, offset: int, data: bytes | None) -> None:
        node = self._node(descriptor)
        if node is not None:
            self.changes.append(Wrote(node, offset, data))
            self.changes.append(Timed(node, os.fstat(descriptor).st_mtime_ns))

    def _write(self, real: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, data: Any) -> int:
            with self._lock:
                if self._node(descriptor) is None:
                    return real(descriptor, data)
                written = real(descriptor, data)
                offset = os.lseek(descriptor, 0, os.SEEK_CUR) - written
                self._change(descriptor, offset, bytes(memoryview(data)[:written]))
                return written

        return write

    def _ftruncate(self, real: Callable[..., None]) -> Callable[..., None]:
        def ftruncate(descriptor: int, length: int) -> None:
            with self._lock:
                real(descriptor, length)
                self._change(descriptor, length, None)

        return ftruncate

    def _fsync(self, real: Callable[..., None]) -> Callable[..., None]:
        def fsync(descriptor: Any) -> None:
            real(descriptor)
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            with self._lock:
                if stat.S_ISDIR(os.fstat(number).st_mode):
                    self.changes.append(Synced(_path_of(number)))
                elif (node := self._node(number)) is not None:
                    self.changes.append(Synced(node))

        return fsync

    def _utime(self, real: Callable[..., None]) -> Callable[..., None]:
        def utime(path: Any, *more: Any, **named: Any) -> None:
            with self._lock:
                real(path, *more, **named)
                if isinstance(path, int) and (node := self._node(path)) is not None:
                    self.changes.append(Timed(node, os.fstat(path).st_mtime_ns))

        return utime

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            with self._lock:
                real(path, mode, dir_fd=dir_fd)
                place = self._place(path, dir_fd)
                self._name((place, "" if place is None else "/".join(place)))

        return mkdir

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def unlink(path: Any, *, dir_fd: int | None = None) -> None:
            with self._lock:
                place = self._place(path, dir_fd)
                real(path, dir_fd=dir_fd)
                self._name((place, None))

        return unlink

    _rmdir = _unlink

    def _link(self, real: Callable[..., None]) -> Callable[..., None]:
        def link(source: Any, target: Any, **named: Any) -> None:
            with self._lock:
                real(source, target, **named)
                found = Path(target).stat()
                self._name((self._place(target), self._nodes[found.st_dev, found.st_ino]))

        return link

    def _rename(self, real: Callable[..., None]) -> Callable[..., None]:
        def rename(
            source: Any,
            target: Any,
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
        ) -> None:
            with self._lock:
                before, after = self._place(source, src_dir_fd), self._place(target, dst_dir_fd)
                are_one = _are_one(before, after)
                real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
                if are_one:
                    return  # two names of one file: the system leaves both
                if after is None:
                    self._name((before, None))
                    return
                found = os.lstat("/".join(after))
                assert stat.S_ISREG(found.st_mode), "no folder of ours is ever renamed"
                self._name((before, None), (after, self._nodes[found.st_dev, found.st_ino]))

        return rename

    def _streaming(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Let streams that write do so through the calls that are noted."""
        disk = self

        class Noted(io.FileIO):
            def write(self, data: Any) -> int:
                return os.write(self.fileno(), data)

            def truncate(self, size: int | None = None) -> int:
                length = self.tell() if size is None else size
                os.ftruncate(self.fileno(), length)
                return length

        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o666)

        def streaming(  # noqa: PLR0917 - as open() takes them
            path: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            *more: Any,
            **named: Any,
        ) -> Any:
            is_ours = not set(mode).isdisjoint(_WRITES) and (
                disk._node(path) is not None
                if isinstance(path, int)
                else disk._place(path) is not None
            )
            is_ours = is_ours and "opener" not in named  # a temporary file has no name
            if not is_ours:
                return real(path, mode, buffering, encoding, errors, newline, *more, **named)
            raw_mode = mode.replace("b", "").replace("t", "")
            raw = Noted(path, raw_mode, opener=None if isinstance(path, int) else opener)
            if buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return buffered
            return io.TextIOWrapper(buffered, encoding, errors, newline)

        return streaming

    # Replaying -----------------------------------------------------------------------------------

    @property
    def moments(self) -> range:
        """Return the numbers of changes after which the power may go: all, and before the first."""
        return range(len(self.changes) + 1)

    def marks(self, moment: int) -> set[str]:
        """Return what had happened by a moment."""
        return {one.what for one in self.changes[:moment] if isinstance(one, Mark)}

    def left_after(self, moment: int, keep: Keep, *, commit: float = 0.0) -> Left:
        """Return what is on the disk when the power goes after so many changes.

        Args:
            moment: See :attr:`moments`.
            keep: How much of what was not synced is there.
            commit: How much there is of a commit that is under way: 1 is all, anything between
                is a log that stops in the middle.
        """
        changes = self.changes[:moment]
        synced = {one.what: at for at, one in enumerate(changes) if isinstance(one, Synced)}
        names: dict[str, dict[str, int | str]] = {}
        data: dict[int, bytearray] = {}
        times: dict[int, int] = {}
        for at, one in enumerate(changes):
            if isinstance(one, Wrote):
                share = 1.0 if synced.get(one.node, -1) > at else keep(at)
                _apply(data.setdefault(one.node, bytearray()), one, share)
            elif isinstance(one, Timed):
                times[one.node] = one.time_ns
            elif isinstance(one, Named):
                kept = keep(at) >= 0.5
                for folder, name, what in one.changes:
                    if not kept and synced.get(folder, -1) < at:
                        continue
                    if what is None:
                        names.setdefault(folder, {}).pop(name, None)
                    else:
                        names.setdefault(folder, {})[name] = what
        return Left(self._folder, names, data, times, self._database_after(moment, commit))

    def _database_after(self, moment: int, commit: float) -> Files:
        before = [one for one in self.changes[:moment] if isinstance(one, Files | Began)]
        files = next((one for one in reversed(before) if isinstance(one, Files)), Files(None, None))
        if not before or not isinstance(before[-1], Began) or commit == 0:
            return files
        after = next((one for one in self.changes[moment:] if isinstance(one, Files)), files)
        if commit == 1 or after.log is None:
            return after
        pairs = zip(files.log or b"", after.log, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return Files(after.stored, after.log[: same + int(commit * (len(after.log) - same))])


@dataclass(frozen=True, slots=True)
class Left:
    """What a power cut has left of a folder."""

    folder: str
    names: Mapping[str, Mapping[str, int | str]]
    data: Mapping[int, bytearray]
    times: Mapping[int, int]
    database: Files

    def files(self) -> Iterator[tuple[str, int | None]]:
        """Return the paths that are still to be found, below the folder; ``None`` for a folder."""
        folders = [self.folder]
        while folders:
            folder = folders.pop()
            for name, what in self.names.get(folder, {}).items():
                path = f"{folder}/{name}"
                if isinstance(what, str):
                    folders.append(path)
                    yield path[len(self.folder) + 1 :], None
                else:
                    yield path[len(self.folder) + 1 :], what

    def contents(self) -> dict[str, bytes | None]:
        """Return every file's bytes, and the folders, the database's files as they were noted."""
        found = {
            path: None if node is None else bytes(self.data.get(node, b""))
            for path, node in self.files()
        }
        for path in [path for path in found if path.endswith("ledger.db")]:
            del found[path]
            for end, data in (("", self.database.stored), ("-wal", self.database.log)):
                if data is not None:
                    found[f"{path}{end}"] = data
        return found

    def put(self, folder: Path) -> None:
        """Make it on the disk, in a folder that is there and may have other things in it."""
        nodes = dict(self.files())
        for path, data in self.contents().items():
            at = folder / path
            if data is None:
                at.mkdir(parents=True, exist_ok=True)
                continue
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(data)
            node = nodes.get(path)
            if node is not None and node in self.times and len(data):
                os.utime(at, ns=(self.times[node], self.times[node]))


def _never(*_: object) -> NoReturn:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def _path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _are_one(before: tuple[str, str] | None, after: tuple[str, str] | None) -> bool:
    if before is None or after is None or not os.path.lexists("/".join(after)):
        return False
    return Path(*before).samefile(Path(*after))


def _apply(file: bytearray, wrote: Wrote, share: float) -> None:
    if wrote.data is None:
        if share >= 0.5:
            del file[wrote.offset :]
        return
    data = wrote.data[: int(share * len(wrote.data))]
    if data:
        file.extend(b"\0" * (wrote.offset - len(file)))
        file[wrote.offset : wrote.offset + len(data)] = data


def found_in(folder: Path, *, without: Sequence[str] = ()) -> dict[str, bytes | None]:
    """Return every file's bytes below a folder, and the folders, to compare with what was noted."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name not in without
    }
