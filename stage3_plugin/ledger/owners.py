"""Which runs are alive: one lock of the operating system for every run that has rows in the ledger.

A lock falls when its process dies, however it dies, so a free lock proves a dead owner. A pid or
a time would prove nothing: pids are given out again, and clocks are set. Apart from the ledger,
because a row can only name its owner; that the owner lives is not a fact for a database.

Beside its lock a run keeps a list of the requests that it may send. A name is written there before
its money is held, and marked right before the last byte leaves that a request takes to run: what
stands in a dead run's list without the mark was never sent. A name that is not there proves
nothing, so what a list has lost costs no money. Nor does a copy prove anything, of which the run
that marks its own knows nothing: a list names itself and its lock by what the system knows them by.
And a mark is there for certain as long as the machine has not been started anew, since what a
process has written outlives it; and where the run came to its end in good order, and synced it.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from errno import EWOULDBLOCK
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from host_stub.sqlite import Numbers, numbers_of
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.files.private_folders import make_private, sync_folder

if TYPE_CHECKING:
    from filelock import FileLock

NO_PROOF_S = 310.0
"""Age of a row from which its owner counts as dead although its lock is missing, where it is not
known how long its requests may take: the longest by the settings' default, and some."""
MARGIN_S = 10.0
"""Seconds beyond what a request may take, until a missing lock of its owner counts as a death."""
CLAIM_PATIENCE_S = 1.0
"""Seconds; a run that looks for the dead may try a lock for a moment while it is being made."""
_SENT = ".sent"
_UNSENT_MARK, _SENT_MARK = "-", "+"
_ENDED = "ended"
"""The last line of a list that was synced."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another word after each start of the machine (Linux, proc_sys_kernel(5)). Where there is none, a
list proves nothing before its end."""
_PLAIN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")


class Claim:
    """The lock of a run that lives.

    Args:
        path: Its file.
        take: Takes it; makes the folder around the locks only if nothing around that is given.

    Attributes:
        leaves_rows: Rows of the run will be left, and others should see that their owner is dead.

    Raises:
        StorageFailed: Here and in :meth:`renew`: it cannot be taken.
    """

    def __init__(self, path: Path, take: Callable[[Path | None], FileLock]) -> None:
        self.leaves_rows = False
        self._path = path
        self._name = str(path)
        self._take = take
        self._lock = take(None)
        self._noted = numbers_of(self._name)
        self._list = path.with_suffix(_SENT)
        self._marks: dict[str, int] = {}
        """Where in the list that of a request lies which has not left."""
        self._takes_names = True
        self._writing = threading.Lock()
        remove(self._list)
        try:
            self._sent = NewFile(self._list)
            whose = _whose(numbers_of(self._list), self._noted)
            self._sent.write(f"{_boot_id()} {whose}".encode())
        except StorageFailed:
            self._lock.release()
            raise

    def renew(self) -> None:
        """Check that the lock is still the one that others would look at; make it if it is gone."""
        if numbers_of(self._name) == self._noted:
            return
        before, self._lock = self._lock, self._take(self._path.parent.parent)
        self._noted = numbers_of(self._name)
        before.release()

    def note_held(self, name: str) -> None:
        """Note a request before its money is held; one that the disk does not take proves nothing.

        To be called whenever the hold is written, and from any thread.

        Args:
            name: Its attempt, or what was drawn for its batch.
        """
        with self._writing:
            if not self._takes_names:
                return
            try:
                self._sent.write(f"\n{name} {_UNSENT_MARK}".encode())
            except StorageFailed:
                self._takes_names = False  # where the next would begin is not known
            else:
                self._marks[name] = self._sent.size_bytes - 1

    def note_sent(self, name: str) -> None:
        """Note that a request is about to leave.

        Raises:
            StorageFailed: The disk did not take it: the request must not leave.
        """
        with self._writing:
            mark = self._marks.get(name)
            if mark is not None:
                self._sent.write_at(_SENT_MARK.encode(), mark)
                del self._marks[name]

    def forget(self, name: str) -> None:
        """Keep nothing in mind of a request that has ended; its line stays as it is."""
        self._marks.pop(name, None)

    def end(self) -> None:
        """Leave in good order: with the lock and the list where rows are left, else without.

        The files go before the lock falls, so that no run loses a file that it has just locked; on
        Windows an open file stays, and the lock removes it itself as it falls.
        """
        if self.leaves_rows:
            with suppress(StorageFailed):  # then it proves as much as that of a run that was killed
                self._sent.sync()  # before: on the disk, the end is never without the marks
                self._sent.write(f"\n{_ENDED}".encode())
                self._sent.sync()
        elif numbers_of(self._name) == self._noted:  # else it is another run's by now
            remove(self._list)
            remove(self._path)

    def release(self) -> None:
        self._sent.close()
        self._lock.release()


class Owners:
    """The locks of all runs on one ledger, below its state folder.

    A lock holds against other processes and against this one alike. It is only as good as the file
    system's: a network disk without locks is refused, and nothing stands in for them.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "owners"
        self._taken = set[str]()
        """Dead runs that this one stands in for."""

    @contextmanager
    def claim(self, run_id: str) -> Generator[Claim]:
        """Be the owner of a run's rows for as long as the block lasts.

        To be entered before the first row of the run exists. Its file goes when the block ends
        without an error and leaves no rows; one that is left behind shows an owner that has died.

        Raises:
            StorageFailed: The lock cannot be made, or another process holds it.
        """
        path = self._path(run_id)
        claim = Claim(path, partial(self._claimed, path))
        try:
            yield claim
            claim.end()
        finally:
            claim.release()

    def _claimed(self, path: Path, within: Path | None) -> FileLock:
        lock = self._locked(path, CLAIM_PATIENCE_S, within)
        if lock is None:
            taken = BlockingIOError(EWOULDBLOCK, "another run of this name holds the lock")
            raise StorageFailed(path, taken)
        try:
            # A power cut that loses the file loses the proof that its owner is dead, and the next
            # run would wait for it for as long as a request may take.
            for folder in (self._folder, self._folder.parent):
                sync_folder(folder)
        except OSError as error:
            lock.release()
            raise StorageFailed(path, error) from error
        return lock

    @contextmanager
    def take_over(self, run_id: str) -> Generator[bool]:
        """Stand in for an owner that has died, for as long as the block lasts.

        The block gets ``True`` while it holds the lock: no other run takes over meanwhile. It gets
        ``False`` if the owner lives, or another run is taking over already, or the owner ended in
        this very moment. An owner without a file is dead too, so a lock is made for it. It stays:
        others of its rows may be left, of which its list says whether they were sent.

        Raises:
            StorageFailed: The lock cannot be made.
        """
        with self._holding(run_id, lookers_s=CLAIM_PATIENCE_S) as is_held:
            if is_held:
                self._taken.add(run_id)
            try:
                yield is_held
            finally:
                self._taken.discard(run_id)

    def tidy(self, *, keep: Collection[str] = ()) -> None:
        """Remove the locks of dead owners; one that cannot be removed does no harm.

        Args:
            keep: Runs that have left rows; their locks prove that they are dead.
        """
        kept = {self._path(run_id) for run_id in keep}
        for path in list(self._folder.glob("*.lock")):
            if _PLAIN_NAME.fullmatch(path.stem) and path not in kept:
                # Before the lock falls: see Claim.
                with suppress(StorageFailed), self._holding(path.stem) as is_held:
                    if is_held:
                        remove(path)
        for path in list(self._folder.glob(f"*{_SENT}")):
            lock = path.with_suffix(".lock")
            if lock not in kept and not lock.exists():
                remove(path)

    def has_never_sent(self, run_id: str, name: str) -> bool:
        """Return whether a dead run's list proves that it never sent a request; if in doubt, not.

        Args:
            run_id: Its name.
            name: Of the attempt, or what was drawn for its batch.
        """
        path, last, marks = self._path(run_id), "", set[str]()
        try:
            lock = numbers_of(path)
            if lock is None or (run_id not in self._taken and self.lives(run_id)):
                return False
            with path.with_suffix(_SENT).open(encoding="ascii") as file:
                there = os.fstat(file.fileno())
                boot, _, whose = next(file, "").removesuffix("\n").partition(" ")
                if whose != _whose((there.st_dev, there.st_ino), lock):
                    return False
                for line in file:
                    last = line.removesuffix("\n")
                    if last.startswith(f"{name} "):
                        marks.add(last.removeprefix(f"{name} "))
        except (OSError, StorageFailed, UnicodeDecodeError):
            return False
        return marks == {_UNSENT_MARK} and (last == _ENDED or boot == _boot_id() != "")

    def lives(self, run_id: str) -> bool:
        """Return whether an owner lives, and leave everything as it is.

        Raises:
            StorageFailed: The lock cannot be looked at.
        """
        path = self._path(run_id)
        if not path.exists():
            return False
        return not _is_free(path)

    def any_lives(self) -> bool:
        """Return whether a run goes on that holds its lock.

        Raises:
            StorageFailed: A lock cannot be looked at.
        """
        return any(not _is_free(path) for path in self._folder.glob("*.lock"))

    def have_left_a_lock(self) -> bool:
        """Return whether a run has died whose lock no other has removed since.

        Raises:
            StorageFailed: A lock cannot be looked at.
        """
        return any(_is_free(path) and path.exists() for path in self._folder.glob("*.lock"))

    def has_lock(self, run_id: str) -> bool:
        """Return whether an owner has a lock, held or free; without one, nothing is proved."""
        return self._path(run_id).exists()

    @contextmanager
    def _holding(self, run_id: str, *, lookers_s: float = 0.0) -> Generator[bool]:
        path = self._path(run_id)
        lock = self._locked(path)
        if lock is None and lookers_s and not self.lives(run_id):  # another run was just looking
            lock = self._locked(path, lookers_s)
        if lock is None:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _locked(
        self, path: Path, patience_s: float = 0.0, within: Path | None = None
    ) -> FileLock | None:
        """Try for so many seconds, and at least once; ``None`` if another process has the lock."""
        from filelock import FileLock, Timeout  # noqa: PLC0415 - 20 modules, and a plan takes no lock

        try:
            make_private(self._folder, within=within)
            # Another thread may end the block than began it. And no lock by mere existence where
            # the file system has no real ones: such a lock outlives its owner.
            lock = FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)
            lock.acquire(timeout=patience_s, poll_interval=0.005)
        except Timeout:
            return None
        except OSError as error:
            raise StorageFailed(path, error) from error
        return lock

    def _path(self, run_id: str) -> Path:
        """Name a run's lock; a name that is no plain file name is known by its digest."""
        if _PLAIN_NAME.fullmatch(run_id) is None:
            digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()
            return self._folder / f"run.{digest}.lock"
        return self._folder / f"{run_id}.lock"


def _whose(sent: Numbers | None, lock: Numbers | None) -> str:
    """Name a list and its lock by what the system knows them by: a copy has other numbers."""
    return f"{sent} {lock}".replace(", ", ":")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _is_free(path: Path) -> bool:
    """Return whether no process owns a lock.

    Looking takes it shared with all others that look: taken as an owner takes it, it would be in
    the way of a run that looks in the same moment, and that run would call the dead owner alive.

    Raises:
        StorageFailed: The lock cannot be looked at.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, which has no shared locks
    except ImportError:
        return _is_free_for_a_moment(path)
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # falls as the file is closed
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    except OSError as error:
        raise StorageFailed(path, error) from error
    return True


def _is_free_for_a_moment(path: Path) -> bool:
    """Return the same by taking the lock, trying again where another may only be looking."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - likewise

    lock = FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0.1, poll_interval=0.005)
    except Timeout:
        return False
    except OSError as error:
        raise StorageFailed(path, error) from error
    lock.release()
    return True
