"""A run buys only while the ledger that it has open is the one that its folder means."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.fakes.behaviours import Gate
from tests.fakes.image_api import ImageApi
from tests.stage3.buying import bills, painter, scenes
from tests.stage3.running import Ran, run_stage

pytestmark = pytest.mark.anyio

MOVED = "the ledger was moved or removed while this run was going"


# Taken from under a run --------------------------------------------------------------------------


def moved_away(state: Path) -> None:
    state.rename(state.with_name("elsewhere"))


def deleted(state: Path) -> None:
    shutil.rmtree(state)


def replaced_by_its_copy(state: Path) -> None:
    state.rename(state.with_name("elsewhere"))
    shutil.copytree(state.with_name("elsewhere"), state)


def ledger_deleted(state: Path) -> None:
    (state / "ledger.db").unlink()


def ledger_replaced_by_its_copy(state: Path) -> None:
    shutil.copy2(state / "ledger.db", state / "copy")
    (state / "copy").replace(state / "ledger.db")


def log_deleted(state: Path) -> None:
    (state / "ledger.db-wal").unlink()


def shared_memory_deleted(state: Path) -> None:
    (state / "ledger.db-shm").unlink()


def log_and_shared_memory_deleted(state: Path) -> None:
    log_deleted(state)
    shared_memory_deleted(state)


def backed_up_by_this_process(state: Path) -> None:
    """Closing a file takes the process's locks off it: the next that ends removes the log."""
    (state / "ledger.db").open("rb").close()
    ends = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta')"
    subprocess.run([sys.executable, "-c", f"{ends}; c.close()", state / "ledger.db"], check=True)
    assert not (state / "ledger.db-wal").exists()


async def in_flight(
    api: ImageApi, folder: Path, harm: Callable[[Path], None], gate: Gate, ran: Ran
) -> None:
    """Run six scenes, two at once, and do harm while the first two are in flight."""
    settings = painter(api, capacity=2, adaptive=False)
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await run_stage(settings, scenes(6), folder, into=ran)

        tasks.start_soon(run)
        with anyio.fail_after(20):
            while api.received() < 2:
                await anyio.sleep(0.005)
        harm(folder / ".stage3")
        gate.open()


@pytest.mark.parametrize(
    "harm",
    [
        moved_away,
        deleted,
        replaced_by_its_copy,
        ledger_deleted,
        ledger_replaced_by_its_copy,
        log_deleted,
        shared_memory_deleted,
        log_and_shared_memory_deleted,
        backed_up_by_this_process,
    ],
)
async def test_nothing_is_sent_once_the_ledger_is_not_where_it_was(
    image_api: ImageApi, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """What would be written could be found by no later run; the run stops and says so."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    ran = Ran()
    await in_flight(image_api, tmp_path, harm, gate, ran)

    assert image_api.received() == 2
    assert ran.ending is not None
    assert ran.ending.stopped == "storage"
    told = [one.failure.message for one in ran.outcomes.values() if one.failure]
    if harm not in {moved_away, deleted}:  # there the answers' folder is missed first
        assert any(MOVED in message for message in told), told


@pytest.mark.parametrize("harm", [moved_away, deleted])
async def test_no_second_state_folder_comes_to_be(
    image_api: ImageApi, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """It would have answers and pictures and no ledger, and the next run would begin in it."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    await in_flight(image_api, tmp_path, harm, gate, Ran())

    assert not (tmp_path / ".stage3").exists()


async def test_what_is_settled_after_a_move_is_written_where_the_ledger_is(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The rows of what was in flight went along; nothing new is begun among them."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    await in_flight(image_api, tmp_path, moved_away, gate, Ran())

    with sqlite3.connect(tmp_path / "elsewhere" / "ledger.db") as ledger:
        rows = ledger.execute("SELECT state FROM purchases").fetchall()
    ledger.close()
    assert len(rows) == 2
