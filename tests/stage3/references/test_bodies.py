"""What is held of references: shared by all who send it, on a disk, and gone with its process."""

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.storage.references.bodies import Bodies, Body
from tests.stage3.references.opened import descriptors, resident_bytes


def held(bodies: Bodies, data: bytes) -> Body:
    """Hold some bytes, written in two pieces."""
    body = bodies.new(len(data))
    middle = len(data) // 2
    bodies.write(body, middle, data[middle:])
    bodies.write(body, 0, data[:middle])
    return body


@given(
    st.lists(st.tuples(st.integers(0, 70_000), st.booleans()), max_size=30),
    st.builds(slice, st.integers(0, 70_000), st.integers(0, 70_000)),
)
def test_what_is_held_is_given_as_it_was_taken(
    wanted: list[tuple[int, bool]], piece: slice
) -> None:
    """Whatever is given back in between: no body lies where another does."""
    bodies = Bodies(Path(gettempdir()))
    kept, given_back = list[tuple[Body, bytes]](), list[Body]()
    for number, (size_bytes, is_kept) in enumerate(wanted):
        data = bytes([number]) * size_bytes
        body = held(bodies, data)
        if is_kept:
            kept.append((body, data))
        else:
            given_back.append(body)
        if number % 3 == 0 and given_back:
            bodies.give_back(given_back.pop(0))

    assert [body[:] for body, _ in kept] == [data for _, data in kept]
    assert [body[piece] for body, _ in kept] == [data[piece] for _, data in kept]

    bodies.close()


def test_room_that_was_given_back_is_used_again(tmp_path: Path) -> None:
    """So that looking at many files, one after the other, takes the room of the largest."""
    bodies = Bodies(tmp_path)
    for _ in range(100):
        bodies.give_back(held(bodies, b"x" * (1 << 20)))

    assert bodies.new(1).start == 0

    bodies.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted by Linux's words")
def test_many_pictures_are_not_in_memory(tmp_path: Path) -> None:
    """Of 600 MB that were sent nothing stays, and they have one descriptor."""
    bodies = Bodies(tmp_path)
    before, had = resident_bytes(), descriptors()
    data = b"x" * (6 << 20)
    all_of_them = [held(bodies, data) for _ in range(100)]
    most = 0
    for body in all_of_them:
        assert body[1 << 20 : 2 << 20].count(b"x") == 1 << 20
        most = max(most, resident_bytes() - before)

    assert most < 50_000_000
    assert descriptors() - had == 1

    bodies.close()
    assert descriptors() == had


def test_what_was_closed_is_never_read_from_another_file(tmp_path: Path) -> None:
    """Though its descriptor is another's by then: a request under way is cut, and no more."""
    bodies = Bodies(tmp_path)
    body = held(bodies, b"abcd")
    bodies.close()
    (tmp_path / "secret").write_bytes(b"efgh")

    with (tmp_path / "secret").open("rb"), pytest.raises(ValueError, match="closed"):
        body[:]


KILLED = """
import os, signal, sys
from pathlib import Path
from stage3_plugin.storage.references.bodies import Bodies
bodies = Bodies(Path(sys.argv[1]))
bodies.write(bodies.new(1000), 0, b"x" * 1000)
print("ready", flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_of_what_it_held(tmp_path: Path) -> None:
    """It has no name; a copy that was just being made has one that goes after a day."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdin is not None
        assert run.stdout.readline() == b"ready\n"
        left = list(tmp_path.rglob("*"))
        run.stdin.close()
        assert run.wait() == -signal.SIGKILL

    assert left == list(tmp_path.rglob("*")) == []
