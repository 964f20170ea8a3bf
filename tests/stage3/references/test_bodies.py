"""What is held of references: shared by all who send it, on a disk, and gone with its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.errors import StorageFailed
from stage3_plugin.storage.references import bodies as bodies_module
from stage3_plugin.storage.references.bodies import Bodies, Body
from stage3_plugin.storage.references.scratch import Scratch
from tests.stage3.references.opened import descriptors, resident_bytes


def held(bodies: Bodies, data: bytes) -> Body:
    """Hold some bytes, written in two pieces."""
    body = bodies.new(len(data))
    middle = len(data) // 2
    bodies.write(body, middle, data[middle:])
    bodies.write(body, 0, data[:middle])
    return body


@given(st.lists(st.tuples(st.integers(0, 70_000), st.booleans()), max_size=30))
def test_what_is_held_is_given_as_it_was_taken(wanted: list[tuple[int, bool]]) -> None:
    """Whatever is given back in between: no body lies where another does."""
    kept: list[tuple[Body, bytes]] = []
    bodies = Bodies()
    for number, (size_bytes, is_kept) in enumerate(wanted):
        data = bytes([number]) * size_bytes
        body = held(bodies, data)
        if is_kept:
            kept.append((body, data))
        else:
            bodies.give_back(body)

    assert [bytes(bodies.view(body)) for body, _ in kept] == [data for _, data in kept]
    assert [bodies.read(body) for body, _ in kept] == [data for _, data in kept]

    bodies.close()


def test_room_that_was_given_back_is_used_again() -> None:
    """So that looking at many files, one after the other, takes the room of the largest."""
    had = descriptors()
    bodies = Bodies()
    for _ in range(100):
        bodies.give_back(held(bodies, b"x" * (1 << 20)))

    assert descriptors() - had == 2, "one file, and its place in memory"

    bodies.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted by Linux's words")
def test_many_pictures_are_not_all_in_memory(tmp_path: Path) -> None:
    """Of 600 MB that were sent, only what was sent last stays, in few descriptors."""
    bodies = Bodies(tmp_path)
    before, had = resident_bytes(), descriptors()
    piece = b"x" * (6 << 20)
    all_of_them = [held(bodies, piece) for _ in range(100)]
    most = 0
    for body in all_of_them:
        assert bytes(bodies.view(body)[::4096]).count(b"x") == len(piece) // 4096
        most = max(most, resident_bytes() - before)

    assert most < 150_000_000
    assert descriptors() - had <= 12

    bodies.close()
    assert descriptors() == had


def test_a_view_outlives_what_held_it() -> None:
    """A request that is cut off while the run ends reads no memory that is not there."""
    bodies = Bodies()
    view = bodies.view(held(bodies, b"abcd"))
    bodies.close()

    assert bytes(view) == b"abcd"


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is nobody's mistake but the disk's."""
    bodies = Bodies()
    body = bodies.new(10)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bodies_module, "write_whole_at", full)
    with pytest.raises(StorageFailed, match="No space left on device") as failed:
        bodies.write(body, 0, b"x")

    assert "free space" in (failed.value.hint or "")

    bodies.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from stage3_plugin.storage.references.bodies import Bodies
from stage3_plugin.storage.references.scratch import Scratch
folder = Path(sys.argv[1])
bodies, scratch = Bodies(folder), Scratch(folder)
bodies.write(bodies.new(1000), 0, b"x" * 1000)
scratch.new().write_bytes(b"a copy")
print("ready", flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_a_killed_run_leaves_is_removed_by_another(tmp_path: Path) -> None:
    """And nothing of a run that lives. What was held for sending has no name, and is not left."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdin is not None
        assert run.stdout.readline() == b"ready\n"
        left = list(tmp_path.rglob("*"))
        other = Scratch(tmp_path)
        other.new().write_bytes(b"another copy")
        while_it_lives = sorted(tmp_path.rglob("*"))
        run.stdin.close()
        assert run.wait() == -signal.SIGKILL

    Scratch(tmp_path).remove_leftovers()
    after = sorted(tmp_path.rglob("*"))
    other.close()

    assert len(left) == 2, "a folder and the copy in it"
    assert len(while_it_lives) == 4
    assert set(after) == set(while_it_lives) - set(left)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_took_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment before it is locked, another run may remove it."""
    opening = os.open
    removed: list[str] = []

    def removes(path: str | Path, *how: int) -> int:
        descriptor = opening(path, *how)
        if not removed:
            removed.append(str(path))
            Path(path).rmdir()
        return descriptor

    scratch = Scratch(tmp_path)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(os, "open", removes)
        path = scratch.new()

    assert str(path.parent) not in removed
    assert path.parent.is_dir()

    scratch.close()


def test_a_planted_link_is_no_leftover(tmp_path: Path) -> None:
    """What it leads to stays."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "tmp/references-0").symlink_to(tmp_path / "mine")

    Scratch(tmp_path / "tmp").remove_leftovers()

    assert (tmp_path / "mine/a.txt").is_file()
