"""Owners' locks in real processes: they fall with their process, and hold against everybody."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from errno import EIO, ENOSPC, ENOSYS
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import pytest

from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger.owners import Owners

OWNER = """
import sys
from pathlib import Path
from stage3_plugin.ledger.owners import Owners
with Owners(Path(sys.argv[1])).claim(sys.argv[2]):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(state_dir: Path, run_id: str) -> Generator[subprocess.Popen[str]]:
    """Run an owner that holds its lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state_dir), run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        try:
            yield process
        finally:
            process.kill()


def locks(state_dir: Path) -> list[str]:
    """Return the files of the locks."""
    return sorted(path.name for path in (state_dir / "owners").glob("*.lock"))


def test_a_killed_owner_is_seen_to_be_dead_at_once(tmp_path: Path) -> None:
    """Nothing waits for a timeout after ``kill -9``."""
    with another_process(tmp_path, "a") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        left_behind = locks(tmp_path)
        with Owners(tmp_path).take_over("a") as is_held:
            held = is_held

    assert held
    assert left_behind == locks(tmp_path) == ["a.lock"]


def test_two_owners_in_one_process_hold_against_each_other(tmp_path: Path) -> None:
    """Two stages in one program are two runs, even from the same thread or another."""
    found: list[bool] = []

    def look() -> None:
        with Owners(tmp_path).take_over("a") as is_held:
            found.append(is_held)

    with Owners(tmp_path).claim("a"), Owners(tmp_path).claim("b"):
        look()
        thread = Thread(target=look)
        thread.start()
        thread.join()
    look()

    assert found == [False, False, True]


def test_looking_whether_an_owner_lives_changes_nothing(tmp_path: Path) -> None:
    """A living one keeps its lock, a dead one its file, and for none no file is made."""
    owners = Owners(tmp_path)
    with owners.claim("living"):
        living = [owners.lives("living"), owners.lives("living")]
    (tmp_path / "owners" / "dead.lock").touch()

    assert living == [True, True]
    assert not owners.lives("dead")
    assert not owners.lives("nobody")
    assert locks(tmp_path) == ["dead.lock"]


def test_a_name_in_use_cannot_be_claimed(tmp_path: Path) -> None:
    """Two runs of one name would each take the other for dead or alive as it comes."""
    with (
        Owners(tmp_path).claim("a"),
        pytest.raises(StorageFailed, match="another run of this name"),
        Owners(tmp_path).claim("a"),
    ):
        pytest.fail("was claimed twice")


@pytest.mark.parametrize("run_id", ["../a", "a/b", "", ".", "a\0b", "x" * 300, "\ud800", "ä"])
def test_no_run_id_leads_out_of_the_folder(tmp_path: Path, run_id: str) -> None:
    """The host names the runs; a name that is no plain file name is known by its digest."""
    with Owners(tmp_path / "state").claim(run_id):
        held = locks(tmp_path / "state")
        with Owners(tmp_path / "state").take_over(run_id) as is_held:
            taken_over = is_held

    assert len(held) == 1
    assert held[0].startswith("run.")
    assert not taken_over
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_disk_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock by mere existence would outlive its owner; none stands in."""

    def no_locks(*_: object) -> None:
        raise OSError(ENOSYS, os.strerror(ENOSYS))

    monkeypatch.setattr("fcntl.flock", no_locks)

    with (
        pytest.raises(StorageFailed, match="not implemented"),
        Owners(tmp_path).claim("a"),
    ):
        pytest.fail("was claimed")


def test_the_locks_of_the_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    """A killed run leaves its lock behind, also where it has nothing open."""
    owners = Owners(tmp_path)
    (tmp_path / "owners").mkdir()
    (tmp_path / "owners" / "dead.lock").touch()
    (tmp_path / "owners" / "notes.txt").touch()
    with owners.claim("alive"):
        owners.tidy()
        left = {path.name for path in (tmp_path / "owners").iterdir()}

        assert left == {"alive.lock", "alive.sent", "notes.txt"}
        assert owners.lives("alive")


def test_a_run_is_not_kept_from_its_lock_by_whoever_looks_for_the_dead(tmp_path: Path) -> None:
    """The file is there for a moment before it is locked, and somebody may try it just then."""
    owners = Owners(tmp_path)
    is_held, may_go = threading.Event(), threading.Event()

    def try_it() -> None:
        with owners.take_over("new") as is_dead:
            assert is_dead
            is_held.set()
            may_go.wait(10)

    looking = threading.Thread(target=try_it)
    looking.start()
    assert is_held.wait(10)
    threading.Timer(0.05, may_go.set).start()
    with owners.claim("new"):
        looking.join()

        assert owners.lives("new")


# What was sent -----------------------------------------------------------------------------------


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Say when the machine was started, also where nothing does."""
    path = tmp_path / "boot_id"
    path.write_text("this-boot\n", "ascii")
    monkeypatch.setattr("stage3_plugin.ledger.owners._BOOT_ID", path)
    return path


def has_run(state_dir: Path, run_id: str = "a", *, is_killed: bool = True) -> Owners:
    """Leave what a run leaves that held three requests, sent the first two, and ended."""
    owners = Owners(state_dir)
    with suppress(KeyboardInterrupt), owners.claim(run_id) as claim:
        claim.leaves_rows = True
        for name in ("one", "two", "three"):
            claim.note_held(name)
        claim.note_sent("one")
        claim.note_sent("two")
        if is_killed:
            raise KeyboardInterrupt
    return owners


def unsent(owners: Owners, run_id: str = "a") -> set[str]:
    """Return what has provably never been sent."""
    names = ("one", "two", "three", "thre", "another")
    return {name for name in names if owners.has_never_sent(run_id, name)}


@pytest.mark.usefixtures("boot")
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "ended"])
def test_what_a_dead_run_held_and_never_marked_was_never_sent(
    tmp_path: Path, *, is_killed: bool
) -> None:
    """So it is of a run that was killed since the machine was started, and of one that ended."""
    owners = has_run(tmp_path, is_killed=is_killed)

    assert unsent(owners) == {"three"}


@pytest.mark.usefixtures("boot")
def test_who_stands_in_for_a_dead_run_leaves_its_list_and_reads_it(tmp_path: Path) -> None:
    """What is decided about one of its rows takes no proof from the others."""
    owners = has_run(tmp_path)
    with owners.take_over("a"):
        proved, to_another = unsent(owners), unsent(Owners(tmp_path))

    assert proved == unsent(Owners(tmp_path)) == {"three"}
    assert to_another == set(), "to whom its lock is held"


@pytest.mark.usefixtures("boot")
def test_a_run_that_lives_may_still_send(tmp_path: Path) -> None:
    """Nothing is proved before its lock falls."""
    with Owners(tmp_path).claim("a") as claim:
        claim.note_held("one")
        proved = unsent(Owners(tmp_path))

    assert proved == set()


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "ended"])
@pytest.mark.parametrize("then", ["another-boot", ""])
def test_after_a_start_of_the_machine_a_list_proves_nothing_unless_it_was_synced(
    tmp_path: Path, boot: Path, then: str, *, is_killed: bool
) -> None:
    """What was marked last may be lost with the power."""
    owners = has_run(tmp_path, is_killed=is_killed)
    boot.write_text(then, "ascii")

    assert unsent(owners) == (set() if is_killed else {"three"})


def test_where_nothing_says_when_the_machine_was_started_only_an_end_proves(
    tmp_path: Path, boot: Path
) -> None:
    """As on systems other than Linux."""
    boot.unlink()

    assert unsent(has_run(tmp_path)) == set()
    assert unsent(has_run(tmp_path, is_killed=False)) == {"three"}


Harm: TypeAlias = Callable[[Path, Path], object]


def _swapped(path: Path) -> None:
    """Put a copy in a file's place: what its run marks goes into the other from then on."""
    shutil.copy2(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


HARMS: Mapping[str, Harm] = {
    "the lock is gone": lambda lock, _: lock.unlink(),
    "the lock is a copy": lambda lock, _: _swapped(lock),
    "the list is gone": lambda _, sent: sent.unlink(),
    "the list is a copy": lambda _, sent: _swapped(sent),
    "the list is empty": lambda _, sent: sent.write_bytes(b""),
    "the list is cut behind its head": lambda _, sent: os.truncate(
        sent, sent.read_bytes().index(b"\n") + 1
    ),
    "the list is cut within a name": lambda _, sent: os.truncate(
        sent, sent.read_bytes().index(b"three") + 3
    ),
    "the list is cut before a mark": lambda _, sent: os.truncate(
        sent, sent.read_bytes().index(b"three") + len("three ")
    ),
    "the list is no text": lambda _, sent: sent.write_bytes(b"\xff" + sent.read_bytes()),
    "the list is another's": lambda _, sent: sent.write_text("boot (1:2) (3:4)\nthree -", "ascii"),
}


@pytest.mark.usefixtures("boot")
@pytest.mark.parametrize("harm", HARMS)
def test_what_was_done_to_a_list_or_its_lock_makes_it_prove_nothing(
    tmp_path: Path, harm: str
) -> None:
    """Whatever is lost, what is called never sent is there and is the run's own."""
    owners = has_run(tmp_path)
    HARMS[harm](tmp_path / "owners" / "a.lock", tmp_path / "owners" / "a.sent")

    assert unsent(owners) == set()


@pytest.mark.usefixtures("boot")
def test_a_hold_that_is_written_twice_is_noted_once(tmp_path: Path) -> None:
    """A batch that waits for room is held by one name, and a commit may be tried again."""
    owners = Owners(tmp_path)
    with suppress(KeyboardInterrupt), owners.claim("a") as claim:
        for name in ("one", "two", "one", "two"):
            claim.note_held(name)
        claim.note_sent("one")
        claim.note_held("one")  # never done; what was sent once is never called unsent
        raise KeyboardInterrupt

    assert unsent(owners) == {"two"}


@pytest.mark.usefixtures("boot")
def test_a_run_of_the_same_name_says_nothing_of_the_one_before(tmp_path: Path) -> None:
    """The host names the runs."""
    owners = has_run(tmp_path)
    with suppress(KeyboardInterrupt), owners.claim("a"):
        raise KeyboardInterrupt

    assert unsent(owners) == set()


@pytest.mark.usefixtures("boot")
def test_the_marks_are_safe_before_the_end_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that after a power cut no list has its end and lacks a mark."""
    there: list[bytes] = []
    with Owners(tmp_path).claim("a") as claim:
        claim.leaves_rows = True
        claim.note_held("one")
        claim.note_sent("one")
        path = tmp_path / "owners" / "a.sent"

        def fsync(_file: int) -> None:
            there.append(path.read_bytes().partition(b"\n")[2])

        monkeypatch.setattr(os, "fsync", fsync)

    assert there == [b"one +", b"one +\nended"]


@pytest.mark.usefixtures("boot")
def test_a_disk_that_is_full_keeps_nothing_from_being_held_and_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands there half, or not at all, is asked about; what stood there before is marked."""
    owners, write = Owners(tmp_path), os.write

    def half(file: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(file, data[:15])

    def full(_: int, __: bytes) -> int:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with suppress(KeyboardInterrupt), owners.claim("a") as claim:
        claim.note_held("three")
        claim.note_held("one")
        monkeypatch.setattr(os, "write", half)
        claim.note_held("two-of-a-long-name")
        monkeypatch.setattr(os, "write", write)
        claim.note_held("another")
        for name in ("one", "two-of-a-long-name", "another"):
            claim.note_sent(name)
        raise KeyboardInterrupt

    assert unsent(owners) == {"three"}


@pytest.mark.usefixtures("boot")
def test_what_cannot_be_marked_must_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and may be tried again."""
    owners, write = Owners(tmp_path), os.write

    def broken(*_: object) -> int:
        raise OSError(EIO, os.strerror(EIO))

    with suppress(KeyboardInterrupt), owners.claim("a") as claim:
        claim.note_held("one")
        claim.note_held("two")
        monkeypatch.setattr(os, "write", broken)
        for name in ("one", "two"):
            with pytest.raises(StorageFailed, match="Input/output"):
                claim.note_sent(name)
        monkeypatch.setattr(os, "write", write)
        claim.note_sent("one")
        raise KeyboardInterrupt

    assert unsent(owners) == {"two"}


def test_an_end_in_good_order_leaves_no_list(tmp_path: Path) -> None:
    """What is left by a run that has no rows goes with its lock."""
    owners = Owners(tmp_path)
    with owners.claim("a"):
        pass
    with suppress(KeyboardInterrupt), owners.claim("b"):
        raise KeyboardInterrupt
    with suppress(KeyboardInterrupt), owners.claim("c"):
        raise KeyboardInterrupt
    owners.tidy(keep={"c"})

    left = sorted(path.name for path in (tmp_path / "owners").iterdir())
    assert left == ["c.lock", "c.sent"]
