"""Disks without room: nothing is sent that could not be kept, and nothing is paid for twice."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.purchase.checkout import RESERVE_BYTES
from stage3_plugin.storage import pictures
from tests.doors import (
    HOLD,
    Ran,
    bills,
    counted,
    micro,
    only,
    painter,
    purchases,
    run_stage,
    scenes,
    states,
)
from tests.fakes.behaviours import Behaviour, Gate
from tests.fakes.image_api import ImageApi
from tests.fakes.wire import Asked
from tests.projects import Project, wait_until
from tests.stage3.buying import ledger_path

pytestmark = pytest.mark.anyio

ANSWER = 1 << 20
"""The most one answer may take, in these tests."""


def codes(ran: Ran) -> Counter[str]:
    return Counter(ran.code(scene_id) for scene_id in ran.outcomes)


def has_free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    def tell(_path: Path) -> int:
        return free_bytes

    monkeypatch.setattr(pictures, "free_bytes", tell)


# Before sending ----------------------------------------------------------------------------------


async def test_without_room_for_an_answer_nothing_is_sent(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stops and says what to do; when there is room, the same command makes it all."""
    settings = painter(image_api, max_reply_bytes=ANSWER)
    with monkeypatch.context() as patch:
        has_free(patch, RESERVE_BYTES + ANSWER - 1)
        ran = await run_stage(settings, scenes(3), tmp_path)
    rows = purchases(tmp_path)
    rerun = await run_stage(settings, scenes(3), tmp_path)

    assert rows == []
    assert codes(ran) == {"storage": 1, "not_tried": 2}
    assert ran.ending is not None
    assert ran.ending.stopped == "storage"
    assert "no room for another answer of up to 1,048,576 bytes" in (ran.ending.message or "")
    assert codes(rerun) == {"made": 3}
    assert image_api.received() == 3


@pytest.mark.parametrize("room", [1, 3])
async def test_only_as_many_are_in_flight_as_the_disk_has_room_for(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """The others wait for their turn, and all are made."""
    image_api.always(bills(0.05, delay_s=0.02))
    has_free(monkeypatch, RESERVE_BYTES + room * ANSWER)
    ran = await run_stage(painter(image_api, max_reply_bytes=ANSWER), scenes(8), tmp_path)

    assert codes(ran) == {"made": 8}
    assert image_api.most_in_flight == room


async def test_what_is_there_needs_no_room(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding a picture takes no space; a scene in between that is missing stops the run."""
    await run_stage(painter(image_api), scenes(2), tmp_path)
    has_free(monkeypatch, 0)
    ran = await run_stage(painter(image_api), scenes(2), tmp_path)

    assert all(outcome.reused for outcome in ran.outcomes.values())


# While it is being kept --------------------------------------------------------------------------


class FullDisk:
    """Makes every change below some folders fail from the n-th on, as a full disk does.

    Args:
        folders: Where the disk is full.
        after: So many changes still succeed.
    """

    def __init__(self, *folders: Path, after: int) -> None:
        self._folders = tuple(str(folder) for folder in folders)
        self._left = after
        self._descriptors: set[int] = set()
        self.failed = 0

    @contextmanager
    def inserted(self) -> Generator[None]:
        """Stand between the program and the system."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", self._opening(os.open))
            for name in ("write", "fsync"):
                patch.setattr(os, name, self._of_descriptor(getattr(os, name)))
            for name, place in (("link", 1), ("replace", 1), ("rename", 1), ("mkdir", 0)):
                patch.setattr(os, name, self._of_path(getattr(os, name), place))
            yield

    def _change(self, path: object) -> None:
        if not str(path).startswith(self._folders):
            return
        self._left -= 1
        if self._left < 0:
            self.failed += 1
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *more: Any, **named: Any) -> int:
            is_here = str(path).startswith(self._folders)
            if flags & os.O_CREAT:
                self._change(path)
            descriptor = real(path, flags, *more, **named)
            (self._descriptors.add if is_here else self._descriptors.discard)(descriptor)
            return descriptor

        return opening

    def _of_descriptor(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *more: Any) -> Any:
            if descriptor in self._descriptors:
                self._change(self._folders[0])
            return real(descriptor, *more)

        return call

    def _of_path(self, real: Callable[..., Any], place: int) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._change(arguments[place])
            return real(*arguments, **named)

        return call


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("heavy", [False, True])
async def test_a_disk_that_fills_up_at_any_moment_loses_no_whole_answer(
    image_api: ImageApi, tmp_path: Path, *, heavy: bool
) -> None:
    """At every single change in turn: the run stops, and the rerun pays nothing twice.

    What had not been received whole is unknown and waits; what had been is there without asking.
    """
    image_api.always(bills(0.05, heavy=heavy))
    settings = painter(image_api, size="96x96")
    sent_and_lost = sent_and_kept = never_sent = 0
    for after in range(200):
        folder = tmp_path / str(after)
        spool, before = folder / ".stage3" / "spool", image_api.received()
        kept = folder / ".stage3" / "objects", folder / ".stage3" / "tmp", folder / "out"
        disk = FullDisk(spool, *kept, after=after)
        with disk.inserted():
            ran = await run_stage(settings, scenes(1), folder)
        was_sent = image_api.received() - before
        was_whole = any(path.read_bytes().endswith(b"\nend\n") for path in spool.glob("*/answer"))
        rerun = await run_stage(settings, scenes(1), folder)
        if not disk.failed:
            break

        assert image_api.received() - before == 1
        if not was_sent:
            never_sent += 1
            assert rerun.code("s01") == "made"
            assert counted(folder) == HOLD
        elif was_whole or states(folder) == [State.PAID]:
            sent_and_kept += 1
            assert rerun.outcomes["s01"].reused
            assert counted(folder) == HOLD
        else:
            sent_and_lost += 1
            assert (ran.code("s01"), rerun.code("s01")) == ("storage", "unknown")
            assert states(folder) == [State.UNKNOWN]
            assert counted(folder) == HOLD
    else:
        raise AssertionError("it never came to an end without a failure")

    assert min(never_sent, sent_and_lost, sent_and_kept) > 0


async def test_a_ledger_that_cannot_grow_leaves_the_purchase_to_the_next_start(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The picture is stored and its settling fails, by an error of the system's own."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(_asked: Asked) -> Behaviour:
        log = ledger_path(tmp_path).with_name("ledger.db-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, limits[1]))
        return bills(0.05)

    image_api.otherwise = fill
    try:
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = only(tmp_path).state
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped == "storage"
    assert "ledger" in (ran.ending.message or "")
    assert micro(ran.outcomes["s01"].cost.usd) == HOLD
    assert left is State.SENDING
    assert rerun.outcomes["s01"].reused
    assert only(tmp_path).cost_microusd == HOLD
    assert image_api.received() == 1


# A disk that is really full ----------------------------------------------------------------------

IN_A_SMALL_DISK = """
mount -t tmpfs -o size=40m none .stage3 || exit 77
echo ready
while read line; do "$@"; echo "ended $?"; done
"""


def can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    asked = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs a disk of its own")
def test_a_disk_that_really_fills_up_while_answers_come(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Somebody else fills it with four requests in flight; freed, a rerun pays nothing twice."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate, heavy=True))
    project = Project(tmp_path)
    project.scenes(8)
    project.config(image_api, capacity=4, size="256x256", max_reply_bytes=ANSWER)
    (tmp_path / ".stage3").mkdir()
    running = project.start(
        "run", "scenes.json", before=["unshare", "-rm", "sh", "-c", IN_A_SMALL_DISK, "sh"]
    )
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    print("run", file=running.stdin, flush=True)
    wait_until(lambda: image_api.in_flight == 4)
    filler = Path(f"/proc/{running.pid}/root{tmp_path}/.stage3/filler")
    fill(filler)
    gate.open()
    first = until_it_ends(running)
    filler.unlink()
    print("run", file=running.stdin, flush=True)
    second = until_it_ends(running)
    output, errors = running.communicate(timeout=30)
    sold = {f"s{number:02}": image_api.received(f"s{number:02}") for number in range(1, 9)}

    assert first == "ended 3\n", errors
    assert second in {"ended 4\n", "ended 0\n"}, errors
    assert output == ""
    assert "free space on the disk, and run again" in errors
    assert "$0.00" not in errors
    assert set(sold.values()) == {1}, sold
    assert set(project.codes().values()) <= {"made", "unknown"}


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress_full_disk():
        while True:
            file.write(b"\0" * 4096)


@contextmanager
def suppress_full_disk() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def until_it_ends(process: subprocess.Popen[str]) -> str:
    """Read past what the command says, and return the word about its end."""
    assert process.stdout is not None
    return next(line for line in process.stdout if line.startswith("ended "))
