"""A run buys only while the ledger that it has open is the one that its folder means."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from host_stub.contract import StageError
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.settings import Settings
from stage3_plugin.storage.spool.receipt import RECEIPT
from tests.doors import Ran, bills, painter, run_stage, scenes, story
from tests.fakes.behaviours import Gate, Hang
from tests.fakes.image_api import ImageApi
from tests.heavy import further, some_of
from tests.hostile.test_stopped import order_for, started
from tests.projects import STAGE3
from tests.stage3.buying import leave_lock

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


# Older than its folder ---------------------------------------------------------------------------


def emptied(state: Path) -> None:
    gone(state)
    (state / "ledger.db").touch()


def of_one_byte(state: Path) -> None:
    gone(state)
    (state / "ledger.db").write_bytes(b"\n")


def gone(state: Path) -> None:
    for end in ("", "-wal", "-shm"):
        (state / f"ledger.db{end}").unlink(missing_ok=True)


def brought_back(state: Path) -> None:
    """Put a ledger in its place that has forgotten all but its form."""
    gone(state)
    with Ledger.open(state / "ledger.db"):
        pass


OLDER = [emptied, of_one_byte, gone, brought_back]


async def bought(api: ImageApi, folder: Path) -> None:
    ran = await run_stage(painter(api), scenes(3), folder)
    assert [ran.code(one) for one in ran.outcomes] == ["made"] * 3


@pytest.mark.parametrize("harm", OLDER)
async def test_a_ledger_that_knows_less_than_its_folder_buys_nothing(
    image_api: ImageApi, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """It says which, and what to do, and an empty one is never taken for a first run."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    harm(tmp_path / ".stage3")
    with pytest.raises(StageError, match="3 in objects/") as refused:
        await run_stage(painter(image_api), scenes(3), tmp_path)

    assert image_api.received() == 3
    assert "verify --accept-folder" in (refused.value.hint or "")


async def test_a_ledger_that_was_missing_is_not_made(image_api: ImageApi, tmp_path: Path) -> None:
    """The real one may be brought back to its place."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    gone(tmp_path / ".stage3")
    with pytest.raises(StageError):
        await run_stage(painter(image_api), scenes(3), tmp_path)

    assert not (tmp_path / ".stage3" / "ledger.db").exists()


async def test_an_answer_that_no_row_has_keeps_a_run_from_buying(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Its folder was made only once its row was durable, so the row is missing."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    folder = tmp_path / ".stage3" / "spool" / ("ab" * 16)
    folder.mkdir()
    (folder / RECEIPT).touch()  # without, nothing has left: it may be a batch's that was not begun
    with pytest.raises(StageError, match="1 in spool/"):
        await run_stage(painter(image_api), scenes(4), tmp_path)

    assert image_api.received() == 3


def log_gone(log: Path) -> None:
    log.unlink()


def log_cut_in_half(log: Path) -> None:
    os.truncate(log, log.stat().st_size // 2)


def log_with_one_bit_changed(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[40] ^= 1  # from here on nothing of it counts
    log.write_bytes(data)


@pytest.mark.parametrize("harm", [log_gone, *further([log_cut_in_half, log_with_one_bit_changed])])
async def test_a_log_that_is_lost_after_a_kill_is_noticed(
    image_api: ImageApi, tmp_path: Path, anyio_backend: str, harm: Callable[[Path], None]
) -> None:
    """Until a run closes all that it knows is in the log; nobody buys what was in it again."""
    names = [f"s{number:02}" for number in range(1, 7)]
    image_api.script(Hang(), scene=names[-1])
    order = order_for(image_api, tmp_path, anyio_backend, names, capacity=1)
    buyer = started(order | {"settings": order["settings"] | {"timeout_s": 60.0}})
    with anyio.fail_after(30):
        while image_api.received() < len(names):
            await anyio.sleep(0.01)
    buyer.kill()
    buyer.communicate()
    harm(tmp_path / ".stage3" / "ledger.db-wal")
    with pytest.raises(StageError, match="older than its folder"):
        await run_stage(Settings.model_validate(order["settings"]), story(*names), tmp_path)

    assert image_api.received() == len(names)


async def test_a_ledger_of_before_the_last_pictures_buys_nothing(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A copy that was brought back knows some of the pictures, and not all."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    ledger = tmp_path / ".stage3" / "ledger.db"
    shutil.copy2(ledger, tmp_path / "backup")
    await run_stage(painter(image_api), scenes(5), tmp_path)
    shutil.copy2(tmp_path / "backup", ledger)
    with pytest.raises(StageError, match="2 in objects/"):
        await run_stage(painter(image_api), scenes(5), tmp_path)

    assert image_api.received() == 5


@pytest.mark.parametrize("harm", some_of(OLDER, every=len(OLDER)))
async def test_who_accepts_a_folder_goes_on_and_is_not_asked_again(
    image_api: ImageApi, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """``verify`` names what is wrong; accepting is written down, and what was forgotten bought."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    state = tmp_path / ".stage3"
    harm(state)
    verified = stage3("verify", state)
    accepted = stage3("verify", state, "--accept-folder")
    again = await run_stage(painter(image_api), scenes(3), tmp_path)
    once_more = await run_stage(painter(image_api), scenes(3), tmp_path)

    assert verified.returncode != 0
    assert "--accept-folder" in verified.stdout + verified.stderr
    assert accepted.returncode == 0, accepted.stderr
    assert "3 in objects/" in accepted.stdout
    assert {again.code(one) for one in again.outcomes} == {"made"}
    assert {one.reused for one in once_more.outcomes.values()} == {True}
    assert image_api.received() == 6
    assert stage3("verify", state).returncode == 0


async def test_a_ledger_that_somebody_died_over_is_looked_through(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """One changed bit in an index would hide a picture, and it would be bought again."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    state = tmp_path / ".stage3"
    with Ledger.open(state / "ledger.db") as ledger:
        key = next(ledger.purchases(scene_id="s02")).new.scene_key.encode()
    data = bytearray((state / "ledger.db").read_bytes())
    places = [at for at in range(len(data)) if data.startswith(key, at)]
    assert len(places) > 1
    for at in places[1:]:
        data[at] ^= 1
    (state / "ledger.db").write_bytes(data)
    leave_lock(state, "a" * 32)
    with pytest.raises(StageError, match="damaged"):
        await run_stage(painter(image_api), scenes(3), tmp_path)

    assert image_api.received() == 3


async def test_a_picture_that_was_let_go_of_is_accounted_for(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A damaged one that somebody resolved with ``--resend`` stays among the objects."""
    image_api.always(bills(0.05))
    await bought(image_api, tmp_path)
    state = tmp_path / ".stage3"
    with Ledger.open(state / "ledger.db") as ledger:
        purchase = next(ledger.purchases(scene_id="s01"))
    assert purchase.picture is not None
    damaged = state / "objects" / purchase.picture.sha256[:2] / purchase.picture.sha256
    damaged.unlink()
    damaged.write_bytes(b"damaged")
    for copy in (tmp_path / "out" / "images").iterdir():
        copy.unlink()
    resolved = stage3("resolve", state, purchase.new.attempt_id, "--resend")
    ran = await run_stage(painter(image_api), scenes(3), tmp_path)

    assert resolved.returncode == 0, resolved.stderr
    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert image_api.received() == 4


def stage3(command: str, state: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STAGE3, command, "--state-dir", state, *more],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
