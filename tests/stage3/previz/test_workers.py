"""Real worker processes: they draw, die, are replaced, are deaf to Ctrl-C and leave no orphans."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from stage3_plugin.errors import RenderFailed
from stage3_plugin.previz.cast import Cast, Member
from stage3_plugin.previz.order import Order, order_from, order_line, problem_in
from stage3_plugin.previz.plate import Plate
from stage3_plugin.renderers.processes import Workers, usable_cores, worker_environment

pytestmark = pytest.mark.anyio

LONG_SIDE_PX = 2600
"""A picture of this size takes seconds: long enough to do something to its worker."""


def order(folder: Path, name: str = "a", *, side_px: int = 64) -> Order:
    """Ask for a square picture in a folder."""
    return Order(
        plate=Plate(name, "a man in a library, tea", ("c1",)),
        cast=Cast({"c1": Member(name="Ann")}),
        width_px=side_px,
        height_px=side_px,
        seed=0,
        caption=True,
        path=str(folder / f"{name}.png"),
        part=str(folder / f".{name}.part"),
    )


def names_in(folder: Path) -> list[str]:
    """List the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def is_alive(process_id: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
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


def cpu_seconds(process_id: int) -> float:
    """Tell how long a process has computed."""
    fields = Path(f"/proc/{process_id}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def until_busy(workers: Workers) -> int:
    """Wait until the only worker has started and imported, and is drawing; name it."""
    with anyio.fail_after(30):
        while not any(cpu_seconds(each) >= 0.3 for each in workers.process_ids):
            await anyio.sleep(0.02)
    (process_id,) = workers.process_ids
    return process_id


async def test_pictures_are_drawn_and_the_processes_end(tmp_path: Path) -> None:
    """At most as many processes as asked for; none outlives the pool."""
    async with Workers(2) as workers:
        async with anyio.create_task_group() as group:
            for name in "abcd":
                group.start_soon(workers.draw, order(tmp_path, name))
        process_ids = workers.process_ids

    assert names_in(tmp_path) == ["a.png", "b.png", "c.png", "d.png"]
    assert 1 <= len(process_ids) <= 2
    assert not any(map(is_alive, process_ids))


async def test_a_worker_is_kept_for_the_next_picture(tmp_path: Path) -> None:
    """Starting one takes longer than drawing a small picture."""
    async with Workers(1) as workers:
        await workers.draw(order(tmp_path, "a"))
        first = workers.process_ids
        await workers.draw(order(tmp_path, "b"))
        second = workers.process_ids

    assert first == second


async def test_a_killed_worker_fails_its_picture_and_is_replaced(tmp_path: Path) -> None:
    """The error says which scene and which signal; the next picture is drawn."""
    failures: list[RenderFailed] = []

    async def draw_big() -> None:
        try:
            await workers.draw(order(tmp_path, "big", side_px=LONG_SIDE_PX))
        except RenderFailed as error:
            failures.append(error)

    async with Workers(1) as workers:
        async with anyio.create_task_group() as group:
            group.start_soon(draw_big)
            os.kill(await until_busy(workers), signal.SIGKILL)
        await workers.draw(order(tmp_path, "next"))

    (failure,) = failures
    assert "was ended by SIGKILL while it drew scene 'big'" in str(failure)
    assert failure.hint is not None
    assert names_in(tmp_path) == ["next.png"]


async def test_a_worker_that_died_idle_is_replaced_unseen(tmp_path: Path) -> None:
    """Nobody's picture fails for it."""
    async with Workers(1) as workers:
        await workers.draw(order(tmp_path, "a"))
        (process_id,) = workers.process_ids
        os.kill(process_id, signal.SIGKILL)
        await until_gone(process_id)
        await anyio.sleep(0.05)  # the event loop hears of it a moment after /proc shows it
        await workers.draw(order(tmp_path, "b"))

    assert (tmp_path / "b.png").is_file()


async def test_cancelling_kills_the_worker_and_leaves_nothing(tmp_path: Path) -> None:
    """No half picture is left, and a fresh worker draws the next one."""
    process_ids: list[int] = []
    async with Workers(1) as workers:
        async with anyio.create_task_group() as group:
            group.start_soon(workers.draw, order(tmp_path, "big", side_px=LONG_SIDE_PX))
            process_ids.append(await until_busy(workers))
            group.cancel_scope.cancel()
        killed = not is_alive(process_ids[0])
        left = names_in(tmp_path)
        await workers.draw(order(tmp_path, "next"))

    assert killed
    assert left == []
    assert (tmp_path / "next.png").is_file()


async def test_a_worker_is_deaf_to_ctrl_c(tmp_path: Path) -> None:
    """It is in a session of its own, and a SIGINT sent to it changes nothing."""
    async with Workers(1) as workers:
        await workers.draw(order(tmp_path, "a"))
        (process_id,) = workers.process_ids
        os.kill(process_id, signal.SIGINT)
        await workers.draw(order(tmp_path, "b"))

        assert workers.process_ids == {process_id}
        assert os.getsid(process_id) != os.getsid(0)


async def test_a_picture_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The worker lives on: the fault was not its own."""
    async with Workers(1) as workers:
        with pytest.raises(RenderFailed, match="scene 'a' could not be drawn: FileNotFoundError"):
            await workers.draw(order(tmp_path / "missing", "a"))
        await workers.draw(order(tmp_path, "b"))

    assert names_in(tmp_path) == ["b.png"]


async def test_leaving_while_a_picture_is_drawn_ends_its_worker(tmp_path: Path) -> None:
    """A pool that is left in the middle of a run leaves no process behind."""
    failures: list[RenderFailed] = []
    process_ids: list[int] = []

    async def draw_big(workers: Workers) -> None:
        try:
            await workers.draw(order(tmp_path, "big", side_px=LONG_SIDE_PX))
        except RenderFailed as error:
            failures.append(error)

    async with anyio.create_task_group() as group, Workers(1) as workers:
        group.start_soon(draw_big, workers)
        process_ids.append(await until_busy(workers))

    assert not is_alive(process_ids[0])
    assert len(failures) == 1
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_end_of_its_input_ends_a_worker(tmp_path: Path) -> None:
    """However the process that asked is gone, its pipe is closed, and there are no orphans."""
    worker = subprocess.Popen(  # noqa: ASYNC220 - the test is the parent, and waits
        [sys.executable, "-m", "stage3_plugin.previz.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    with worker:
        worker.stdin.write(order_line(order(tmp_path)))
        worker.stdin.flush()
        answer = worker.stdout.readline()
        worker.stdin.close()
        returncode = worker.wait(10)

    assert problem_in(answer) is None
    assert returncode == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_worker_of_a_killed_parent_ends(tmp_path: Path) -> None:
    """Kill -9 of the main process leaves no worker running."""
    script = (
        "import os, signal, sys, anyio\n"
        "from pathlib import Path\n"
        "from stage3_plugin.renderers.processes import Workers\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_workers import order\n"
        "async def main():\n"
        "    async with Workers(1) as workers:\n"
        "        await workers.draw(order(Path(sys.argv[2])))\n"
        "        print(*workers.process_ids, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "anyio.run(main)\n"
    )
    parent = await anyio.run_process(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)], check=False
    )
    process_id = int(parent.stdout)

    await until_gone(process_id)
    assert parent.returncode == -signal.SIGKILL


def test_an_order_reads_as_it_was_written(tmp_path: Path) -> None:
    """Lone surrogates, NUL and every script pass through a line of ASCII."""
    plate = Plate("s\0\ud800", "两人 \udfff\n", ("char_001", "ليلى"))
    cast = Cast({"ليلى": Member(name="ليلى", passage="a\nb", colour="#ffffff")})
    written = Order(
        plate=plate,
        cast=cast,
        width_px=1,
        height_px=2,
        seed=3,
        caption=False,
        path=str(tmp_path),
        part="x",
    )
    line = order_line(written)

    assert order_from(line) == written
    assert line.isascii()
    assert line.count(b"\n") == 1


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


def test_there_is_a_worker_for_each_usable_core() -> None:
    """By default every core is used, and at least one worker draws."""
    assert Workers().count == usable_cores() >= 1
