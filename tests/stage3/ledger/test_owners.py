"""Owners' locks in real processes: they fall with their process, and hold against everybody."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from errno import ENOSPC, ENOSYS
from pathlib import Path
from threading import Thread

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
    """Nothing waits for a timeout after ``kill -9``; who takes over removes the file."""
    with another_process(tmp_path, "a") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        left_behind = locks(tmp_path)
        with Owners(tmp_path).take_over("a") as is_held:
            held = is_held

    assert left_behind == ["a.lock"]
    assert held
    assert locks(tmp_path) == []


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
def _boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say when the machine was started, also where nothing does."""
    path = tmp_path / "boot_id"
    path.write_text("this-boot\n", "ascii")
    monkeypatch.setattr("stage3_plugin.ledger.owners._BOOT_ID", path)


def a_list(state_dir: Path, *lines: str) -> Owners:
    """Leave the lock and the list of a run ``a`` that has died."""
    (state_dir / "owners").mkdir()
    (state_dir / "owners" / "a.lock").touch()
    (state_dir / "owners" / "a.sent").write_text("\n".join(lines), "ascii")
    return Owners(state_dir)


@pytest.mark.usefixtures("_boot")
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "ended"])
def test_what_a_list_lacks_was_never_sent(tmp_path: Path, *, is_killed: bool) -> None:
    """So it is of a run that was killed since the machine was started, and of one that ended."""
    owners = Owners(tmp_path)
    with suppress(KeyboardInterrupt), owners.claim("a") as claim:
        claim.leaves_rows = True
        claim.note_sent("one")
        claim.note_sent("two")
        may_still_send = not owners.has_never_sent("a", "three")
        if is_killed:
            raise KeyboardInterrupt

    sent = {name: not owners.has_never_sent("a", name) for name in ("one", "two", "three", "tw")}
    assert sent == {"one": True, "two": True, "three": False, "tw": False}
    assert may_still_send


@pytest.mark.usefixtures("_boot")
def test_a_run_that_was_killed_before_it_sent_anything_has_never_sent(tmp_path: Path) -> None:
    """Its list says only when the machine was started."""
    owners = Owners(tmp_path)
    with suppress(KeyboardInterrupt), owners.claim("a"):
        raise KeyboardInterrupt

    assert owners.has_never_sent("a", "one")


@pytest.mark.usefixtures("_boot")
def test_a_run_whose_lock_was_removed_may_still_send(tmp_path: Path) -> None:
    """It may be stopped for a while: nothing proves that it is dead."""
    owners = a_list(tmp_path, "this-boot", "one", "ended")
    (tmp_path / "owners" / "a.lock").unlink()

    assert not owners.has_never_sent("a", "two")


@pytest.mark.usefixtures("_boot")
@pytest.mark.parametrize(
    "lines, is_proved",
    [
        (["another-boot", "one"], False),
        (["another-boot", "one", "ended"], True),
        (["", "one"], False),
        (["", "one", "ended"], True),
        ([""], False),
    ],
)
def test_a_list_from_before_the_machine_was_started_proves_nothing_unless_it_was_synced(
    tmp_path: Path, lines: list[str], *, is_proved: bool
) -> None:
    """What was written last may be lost with the power."""
    owners = a_list(tmp_path, *lines)

    assert owners.has_never_sent("a", "two") is is_proved
    assert not owners.has_never_sent("a", "one") or "one" not in lines


@pytest.mark.usefixtures("_boot")
def test_the_names_are_safe_before_the_end_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that after a power cut no list has its end and lacks a name."""
    there: list[bytes] = []
    with Owners(tmp_path).claim("a") as claim:
        claim.leaves_rows = True
        claim.note_sent("one")
        path = tmp_path / "owners" / "a.sent"
        monkeypatch.setattr(os, "fsync", lambda _: there.append(path.read_bytes()))

    assert there == [b"this-boot\none", b"this-boot\none\nended"]


@pytest.mark.usefixtures("_boot")
def test_a_line_that_was_not_written_to_its_end_is_of_a_request_that_never_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request leaves after that; and what is noted next is read as it is."""
    owners = Owners(tmp_path)
    write = os.write

    def half(file: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(file, data[:2])

    def full(_: int, __: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with suppress(KeyboardInterrupt), owners.claim("a") as claim:
        monkeypatch.setattr(os, "write", half)
        with pytest.raises(StorageFailed, match="No space"):
            claim.note_sent("two")
        claim.note_sent("one")
        raise KeyboardInterrupt

    assert owners.has_never_sent("a", "two")
    assert not owners.has_never_sent("a", "one")
    assert not owners.has_never_sent("b", "one"), "without a list nothing is proved"


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
