"""Where work runs: what all executors do alike, and what is true of real worker processes.

Those draw, die, are replaced, are deaf to Ctrl-C and leave no orphans.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest

from stage3_plugin.errors import JobFailed
from stage3_plugin.executors.base import Executor
from stage3_plugin.executors.replicas import Processes, worker_environment
from stage3_plugin.previz.cast import Cast, Member
from stage3_plugin.previz.order import Order, job_of
from stage3_plugin.previz.plate import Plate
from stage3_plugin.renderers.previz import WORK
from tests.rules.repository import ROOT
from tests.stage3.in_process import InProcess

pytestmark = pytest.mark.anyio


def job(name: str = "a", *, side_px: int = 64) -> bytes:
    """Ask for a square picture."""
    order = Order(
        plate=Plate(name, "a man in a library, tea", ("c1",)),
        cast=Cast({"c1": Member(name="Ann")}),
        width_px=side_px,
        height_px=side_px,
        seed=0,
        caption=True,
    )
    return job_of(order)


async def make(executor: Executor, folder: Path, name: str = "a", side_px: int = 64) -> None:
    """Have a picture drawn in a folder."""
    await executor.run(job(name, side_px=side_px), folder / f"{name}.png")


def names_in(folder: Path) -> list[str]:
    """List the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def is_alive(process_id: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


async def until_gone(process_id: int) -> None:
    """Wait for the end of a process that is not ours to wait for."""
    with anyio.fail_after(10):
        while is_alive(process_id):
            await anyio.sleep(0.01)


Start: TypeAlias = Callable[[str, int], Executor]
ALL = pytest.mark.parametrize("start", [Processes, InProcess])
SAME = "builtins:bytes"
"""The work that makes of a job what it was."""


@ALL
async def test_a_job_is_opaque(start: Start, tmp_path: Path) -> None:
    """Whatever bytes it has go to the work as they are, and so does what comes back."""
    jobs = [b"", b"\n", b'{"job_bytes": 3}\nabc', bytes(range(256)) * 1000]
    async with start(SAME, 1) as executor:
        for number, each in enumerate(jobs):
            await executor.run(each, tmp_path / f"\udcff{number}")

    made = [(tmp_path / f"\udcff{number}").read_bytes() for number in range(len(jobs))]
    assert made == jobs
    assert len(names_in(tmp_path)) == len(jobs)


@ALL
async def test_what_work_raises_fails_its_job_alone(start: Start, tmp_path: Path) -> None:
    """In its own words; nothing is written, and the next one is done."""
    async with start("binascii:unhexlify", 1) as executor:
        with pytest.raises(JobFailed, match="Error: Non-hexadecimal digit found"):
            await executor.run(b"no", tmp_path / "a")
        await executor.run(b"61", tmp_path / "b")

    assert names_in(tmp_path) == ["b"]
    assert (tmp_path / "b").read_bytes() == b"a"


@pytest.mark.parametrize(
    "work, job, words",
    [
        ("builtins:int", b"x" * 100_000, "ValueError: invalid literal"),
        ("builtins:int", b"1", "made int, and not bytes"),
        ("no_such_module:work", b"", "ModuleNotFoundError: "),
    ],
)
async def test_work_that_is_none_is_told(tmp_path: Path, work: str, job: bytes, words: str) -> None:
    """Words without end, something else than bytes, nothing to import: the worker lives on."""
    async with Processes(work, 1) as workers:
        for _ in range(2):
            with pytest.raises(JobFailed, match=f"^{words}"):
                await workers.run(job, tmp_path / "a")
        assert len(workers.process_ids) == 1

    assert names_in(tmp_path) == []


async def test_pictures_are_drawn_and_the_processes_end(tmp_path: Path) -> None:
    """At most as many processes as asked for; none outlives the pool."""
    async with Processes(WORK, 2) as workers:
        async with anyio.create_task_group() as group:
            for name in "abcd":
                group.start_soon(make, workers, tmp_path, name)
        process_ids = workers.process_ids

    assert names_in(tmp_path) == ["a.png", "b.png", "c.png", "d.png"]
    assert 1 <= len(process_ids) <= 2
    assert not any(map(is_alive, process_ids))


async def test_a_worker_is_deaf_to_ctrl_c(tmp_path: Path) -> None:
    """It is in a session of its own, and a SIGINT sent to it changes nothing."""
    async with Processes(WORK, 1) as workers:
        await make(workers, tmp_path, "a")
        (process_id,) = workers.process_ids
        os.kill(process_id, signal.SIGINT)
        await make(workers, tmp_path, "b")

        assert workers.process_ids == {process_id}
        assert os.getsid(process_id) != os.getsid(0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_worker_of_a_killed_parent_ends(tmp_path: Path) -> None:
    """Kill -9 of the main process leaves no worker running."""
    script = (
        "import os, signal, sys, anyio\n"
        "sys.path.append(sys.argv[2])\n"
        "from pathlib import Path\n"
        "from stage3_plugin.executors.replicas import Processes\n"
        "from stage3_plugin.renderers.previz import WORK\n"
        "from tests.stage3.test_executors import make\n"
        "async def main():\n"
        "    async with Processes(WORK, 1) as workers:\n"
        "        await make(workers, Path(sys.argv[1]))\n"
        "        print(*workers.process_ids, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "anyio.run(main)\n"
    )
    parent = await anyio.run_process(
        [sys.executable, "-c", script, str(tmp_path), str(ROOT)], check=False
    )
    process_id = int(parent.stdout)

    await until_gone(process_id)
    assert parent.returncode == -signal.SIGKILL


def test_a_worker_is_told_no_secret() -> None:
    """Its environment holds what Python, paths and locale need, and nothing else."""
    environment = {
        "PATH": "/bin",
        "PYTHONPATH": "/src",
        "PYTHONSAFEPATH": "1",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "OPENAI_API_KEY": "k",
        "GITHUB_TOKEN": "t",
        "LC_SECRET": "s",
        "DATABASE_URL": "postgres://user:secret@host",
    }

    assert set(worker_environment(environment)) == {
        "PATH",
        "PYTHONPATH",
        "PYTHONSAFEPATH",
        "LANG",
        "TMPDIR",
    }
