"""Limits of the system: what an answer needs is had before its request leaves, or it does not."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import pytest

from host_stub.contract import StageError
from stage3_plugin.domain.states import State
from stage3_plugin.testing.batch_plans import Batched, Line
from tests.doors import Ran, bills, painter, purchases, run_stage, scenes, states
from tests.fakes.behaviours import (
    Behaviour,
    CutBody,
    CutJson,
    Gate,
    Gzip,
    Hang,
    Limited,
    ServerError,
)
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import further
from tests.places import ON_TRIO, wait
from tests.projects import Project, wait_until
from tests.stage3.test_disk import can_mount, until_it_ends

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them"),
]

DESCRIPTORS = Path("/proc/self/fd")
A_PICTURE: dict[str, Any] = {"heavy": True, "delay_s": 0.1}
SHOP: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-image-2",
    "lane": "batch",
    "size": "1024x1024",
    "quality": "low",
    "listing_is_whole": True,
}
BESIDE: dict[str, Any] = {"extra": {"story": "a word of it " * 8000}}
"""So much beside the picture that the document has a file of its own."""


def limited(
    project: Project, files: int, *, most: int | None = None, backend: str = "asyncio"
) -> subprocess.CompletedProcess[str]:
    """Run the story in a process that may have only so many files open."""
    program = ["-c", ON_TRIO] if backend == "trio" else ["-m", "host_stub"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most or files))

    return subprocess.run(
        [sys.executable, *program, "run", "scenes.json"],
        cwd=project.folder,
        env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "200"},
        preexec_fn=limit,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def a_project(folder: Path, api: ImageApi, *, count: int, capacity: int, **more: Any) -> Project:
    project = Project(folder)
    project.scenes(count)
    fixed = {"adaptive": False, "max_reply_bytes": 1 << 20}
    project.config(api, capacity=capacity, **(fixed | more))
    return project


def sold(api: ImageApi, count: int) -> Counter[int]:
    """Count how often the scenes were bought."""
    return Counter(api.received(f"s{number:02}:") for number in range(1, count + 1))


# Descriptors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files, capacity, count",
    [
        (24, 12, 24),
        (64, 200, 60),
        *further(
            [
                (16, 12, 24),
                (32, 12, 8),
                (40, 12, 24),
                (64, 12, 24),
                (128, 200, 150),
                (256, 200, 230),
                (512, 400, 420),
                (1024, 512, 530),
            ]
        ),
    ],
)
async def test_nothing_is_lost_where_descriptors_are_few(  # noqa: PLR0917 - three are fixtures
    image_api: ImageApi,
    tmp_path: Path,
    anyio_backend_name: str,
    files: int,
    capacity: int,
    count: int,
) -> None:
    """Either the run does not start, or no more are in flight than can be answered, and it says."""
    image_api.always(bills(0.05, **A_PICTURE))
    project = a_project(tmp_path, image_api, count=count, capacity=capacity)

    done = limited(project, files, backend=anyio_backend_name)

    if done.returncode == 2:
        assert files <= 40
        assert re.search(r"ulimit -n [0-9]+", done.stderr)
        assert image_api.received() == 0
        return
    assert done.returncode == 0, done.stderr
    assert sold(image_api, count) == {1: count}
    assert set(states(tmp_path)) == {State.PAID}
    if image_api.most_in_flight < min(count, capacity):
        assert "requests are in flight, not" in done.stderr
        assert "ulimit -n" in done.stderr


@pytest.mark.parametrize("files", [16, *further([24])])
async def test_the_number_that_is_named_is_enough(
    image_api: ImageApi, tmp_path: Path, anyio_backend_name: str, files: int
) -> None:
    """Whoever raises the limit to what the message says is not sent away once more."""
    image_api.always(bills(0.05, **A_PICTURE))
    project = a_project(tmp_path, image_api, count=3, capacity=8)
    refused = limited(project, files, backend=anyio_backend_name)
    told = re.search(r"ulimit -n ([0-9]+)", refused.stderr)
    assert told is not None
    assert refused.returncode == 2

    done = limited(project, int(told[1]), backend=anyio_backend_name)

    assert done.returncode == 0, done.stderr
    assert sold(image_api, 3) == {1: 3}


@pytest.mark.parametrize("kind", ["address", *further(["beside", "chunked", "gzip"])])
def test_answers_of_many_files_have_room_too(
    image_api: ImageApi, tmp_path: Path, kind: str
) -> None:
    """A document with a file of its own, a picture that is fetched, a body that is compressed."""
    more: dict[str, Any] = {
        "beside": BESIDE,
        "chunked": {"framing": "chunked", **BESIDE},
        "address": {"url": "own"},
    }
    image_api.always(Gzip() if kind == "gzip" else bills(0.05, **(A_PICTURE | more[kind])))
    project = a_project(tmp_path, image_api, count=40, capacity=200)

    done = limited(project, 64)

    assert done.returncode == 0, done.stderr
    assert sold(image_api, 40) == {1: 40}
    assert set(states(tmp_path)) == {State.PAID}


@pytest.mark.parametrize("files, anyio_backend", further([(48, "trio"), (64, "asyncio")]))
async def test_what_is_awaited_takes_no_descriptor_from_what_is_in_flight(
    image_api: ImageApi,
    tmp_path: Path,
    anyio_backend_name: str,
    monkeypatch: pytest.MonkeyPatch,
    files: int,
) -> None:
    """Pictures of earlier runs hang at their addresses while new ones are bought and come in."""
    wait(monkeypatch, "engine.pending", PATIENCE_S=0.05)
    old, count = 20, 32
    image_api.always(bills(0.05, url="own"))
    image_api.visit_always(ServerError(503))
    await run_stage(painter(image_api, capacity=30), scenes(old), tmp_path)
    assert states(tmp_path) == [State.SENDING] * old
    image_api.visit_always(Hang())
    image_api.always(bills(0.05, heavy=True, delay_s=0.4, **BESIDE))
    project = a_project(
        tmp_path,
        image_api,
        count=count,
        capacity=12,
        deadline_s=6,
        timeout_s=4,
        state_dir=".stage3",
    )
    done = limited(project, files, backend=anyio_backend_name)
    left = Counter(states(tmp_path))
    image_api.visit_always(None)
    healed = limited(project, 1024, backend=anyio_backend_name)

    assert done.returncode == 5, done.stderr
    assert "Too many open files" not in done.stderr
    assert left == {State.SENDING: old, State.PAID: count - old}
    assert healed.returncode == 0, healed.stderr
    assert sold(image_api, count) == {1: count}


def test_a_limit_that_may_be_raised_is_raised(image_api: ImageApi, tmp_path: Path) -> None:
    """The soft limit is a default for programs that do not ask."""
    image_api.always(bills(0.05, **A_PICTURE))
    project = a_project(tmp_path, image_api, count=24, capacity=12)

    done = limited(project, 32, most=4096)

    assert done.returncode == 0, done.stderr
    assert image_api.most_in_flight == 12
    assert "are in flight, not" not in done.stderr


@contextmanager
def no_descriptor_left() -> Generator[None]:
    """Use up every descriptor of this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(one.name) for one in DESCRIPTORS.iterdir()) + 1
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)


async def test_descriptors_that_others_use_up_meanwhile_lose_no_answer(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """What an answer needs was kept for it; what comes after may fail, and is done later."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate, heavy=True, **BESIDE))
    settings = painter(image_api, capacity=6, adaptive=False)

    async def use_up() -> None:
        await anyio.to_thread.run_sync(wait_until, lambda: image_api.in_flight == 6)
        with no_descriptor_left():
            gate.open()
            await anyio.sleep(1)

    async with anyio.create_task_group() as others:
        others.start_soon(use_up)
        await run_stage(settings, scenes(6), tmp_path)
    left = {purchase.state for purchase in purchases(tmp_path)}
    rerun = await run_stage(settings, scenes(6), tmp_path)

    assert left <= {State.PAID, State.SENDING}
    assert {rerun.code(scene_id) for scene_id in rerun.outcomes} == {"made"}
    assert image_api.received() == 6


async def test_a_request_that_has_no_room_is_sent_later(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have used up the descriptors: that is no failure of the disk, and passes."""
    real, failed = os.dup, 0

    def dup(descriptor: int) -> int:
        nonlocal failed
        if failed < 3:
            failed += 1
            raise OSError(24, "Too many open files")
        return real(descriptor)

    monkeypatch.setattr(os, "dup", dup)
    ran = await run_stage(painter(image_api, capacity=1), scenes(1), tmp_path)

    assert failed == 3
    assert ran.code("s01") == "made"
    assert image_api.received() == 1


async def test_no_descriptor_is_left_open(image_api: ImageApi, tmp_path: Path) -> None:
    """What was kept aside is let go of with its answer, whatever becomes of that."""
    odd: list[Behaviour] = [bills(0.05, **BESIDE), Limited(), CutBody(), CutJson(), bills(0.05)]
    image_api.script(*odd, *odd)
    await run_stage(painter(image_api, on_unknown="resend"), scenes(2), tmp_path / "first")
    before = len(list(DESCRIPTORS.iterdir()))
    await run_stage(painter(image_api, on_unknown="resend"), scenes(4), tmp_path / "second")

    assert len(list(DESCRIPTORS.iterdir())) <= before


# Inodes ------------------------------------------------------------------------------------------

IN_A_DISK_OF_FEW_FILES = """
mount -t tmpfs -o nr_inodes=$0 none .stage3 || exit 77
echo ready
while read line; do
    if [ "$line" = more ]; then mount -o remount,nr_inodes=4000 .stage3; echo "ended more"
    else "$@"; echo "ended $?"; fi
done
"""


@pytest.mark.skipif(not can_mount(), reason="needs a disk of its own")
@pytest.mark.parametrize("files", [40, *further([14, 24, 60, 90])])
def test_nothing_is_lost_on_a_disk_without_inodes(
    image_api: ImageApi, tmp_path: Path, files: int
) -> None:
    """It has space, and takes no further file: nothing is sent that could not be kept."""
    image_api.always(bills(0.05, heavy=True, delay_s=0.2))
    project = a_project(tmp_path, image_api, count=12, capacity=6)
    (tmp_path / ".stage3").mkdir()
    running = project.start(
        "run",
        "scenes.json",
        before=["unshare", "-rm", "sh", "-c", IN_A_DISK_OF_FEW_FILES, str(files)],
    )
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    print("run", file=running.stdin, flush=True)
    first = until_it_ends(running)
    print("more", file=running.stdin, flush=True)
    until_it_ends(running)
    print("run", file=running.stdin, flush=True)
    second = until_it_ends(running)
    _, errors = running.communicate(timeout=30)

    assert first in {"ended 2\n", "ended 3\n", "ended 0\n"}, errors
    assert second == "ended 0\n", errors
    assert sold(image_api, 12) == {1: 12}, errors
    if first == "ended 3\n":
        assert "inodes" in errors or "files too" in errors


# Threads -----------------------------------------------------------------------------------------


def can_be_somebody() -> bool:
    tools = {shutil.which("setpriv"), shutil.which("prlimit")}
    return sys.platform == "linux" and os.geteuid() == 0 and None not in tools


def under(project: Project, *before: str) -> subprocess.CompletedProcess[str]:
    """Run the story by way of another command."""
    return subprocess.run(
        [*before, sys.executable, "-m", "host_stub", "run", "scenes.json"],
        cwd=project.folder,
        env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def check_nothing_is_lost(
    api: ImageApi, project: Project, done: subprocess.CompletedProcess[str], sent: int
) -> None:
    """It did not start and sent nothing, or stopped in words; without the limit all is made."""
    assert done.returncode in {0, 2, 3}, done.stderr
    assert not (sent and done.returncode == 2), done.stderr
    assert "should not have happened" not in done.stderr
    assert "Traceback" not in done.stderr
    healed = limited(project, 1024)
    assert healed.returncode == 0, healed.stderr
    assert sold(api, 12) == {1: 12}


@pytest.mark.skipif(not can_be_somebody(), reason="root alone can become somebody else")
@pytest.mark.parametrize("threads", [3, *further([1, 2, 4, 6, 9])])
def test_nothing_is_lost_where_threads_are_few(image_api: ImageApi, threads: int) -> None:
    """As many processes and threads as a user may have in all; root is never refused one."""
    image_api.always(bills(0.05, heavy=True, delay_s=0.1, **BESIDE))
    somebody = 50_000 + os.getpid() % 10_000
    powers = "+dac_override,+dac_read_search"  # he must be able to read all that Python needs
    become = ["setpriv", "--reuid", str(somebody), "--clear-groups", "--inh-caps", powers]
    with TemporaryDirectory() as folder:  # above pytest's folders there is one for root alone
        os.chown(folder, somebody, somebody)
        project = a_project(Path(folder), image_api, count=12, capacity=6)
        done = under(project, *become, "--ambient-caps", powers, "prlimit", f"--nproc={threads}")
        sent = image_api.received()

        if done.returncode:
            assert "no other thread can be started" in done.stderr
            assert "ulimit -u" in done.stderr
        check_nothing_is_lost(image_api, project, done, sent)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="sets the limit")
@pytest.mark.parametrize("mib", [600, *further([900])])
def test_nothing_is_lost_where_memory_is_little(
    image_api: ImageApi, tmp_path: Path, mib: int
) -> None:
    """What one process may map.

    With half of the first, a thread that has no memory to begin may have its maker wait for ever
    (CPython's ``Thread.start``), which says nothing of ours.
    """
    image_api.always(bills(0.05, heavy=True, delay_s=0.1, **BESIDE))
    project = a_project(tmp_path, image_api, count=12, capacity=6)
    done = under(project, "prlimit", f"--as={mib << 20}")
    sent = image_api.received()

    check_nothing_is_lost(image_api, project, done, sent)


async def test_a_thread_that_cannot_be_started_loses_nothing(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is whole on the disk; the run says what was lacking, and what to do."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate, heavy=True))
    real = threading.Thread.start
    is_scarce = False

    def start(thread: threading.Thread) -> None:
        if is_scarce:
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(
        anyio.to_thread, "run_sync", _never_reusing(anyio.to_thread.run_sync, lambda: is_scarce)
    )

    async def make_scarce() -> None:
        nonlocal is_scarce
        while image_api.in_flight < 1:
            await anyio.sleep(0.01)
        is_scarce = True
        gate.open()

    ran = Ran()
    async with anyio.create_task_group() as others:
        others.start_soon(make_scarce)
        await run_stage(painter(image_api), scenes(1), tmp_path, into=ran)
    is_scarce = False
    left = states(tmp_path)
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    failure = ran.outcomes["s01"].failure
    assert failure is not None
    assert failure.code == "storage"
    assert "no other thread can be started" in failure.message
    assert left == [State.SENDING]
    assert rerun.code("s01") == "made"
    assert image_api.received() == 1


def _never_reusing(real: Any, is_scarce: Any) -> Any:
    """Let no idle thread of the event loop's stand in for one that cannot be started."""

    async def run_sync(*work: Any, **named: Any) -> Any:
        if is_scarce():
            raise RuntimeError("can't start new thread")
        return await real(*work, **named)

    return run_sync


async def test_a_ledger_without_a_thread_says_what_is_lacking(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent, and the next step is no ``--debug``."""
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "stage3 ledger":
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(StageError, match="no other thread can be started") as refused:
        await run_stage(painter(image_api), scenes(1), tmp_path)

    assert "ulimit -u" in (refused.value.hint or "")
    assert image_api.received() == 0


# Files -------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="sets the limit")
def test_results_of_a_batch_that_do_not_fit_are_taken_in_when_they_do(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """They stay at their provider; the run says what to do, and nothing is bought once more."""
    image_api.batches.plan = Batched(polls=0)
    image_api.batches.script_line(Line(heavy=True), scene="harbour", times=3)
    project = a_project(tmp_path, image_api, count=3, capacity=3, max_reply_bytes=8 << 20, **SHOP)
    done = under(project, "prlimit", "--fsize=600000")
    after = under(project, "prlimit")

    assert done.returncode == 1, done.stderr
    assert "ulimit -f" in done.stdout
    assert "its provider keeps the results, and the next run takes it in" in done.stdout
    assert after.returncode == 0, after.stderr
    assert image_api.batches.billed() == 3
