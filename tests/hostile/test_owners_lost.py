"""A run whose lock file is removed goes on living, and what came for it is never thrown away."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from stage3_plugin.settings import Settings
from tests.doors import Ran, bills, only, painter, purchases, run_stage, scenes, stage3, states
from tests.fakes.behaviours import Gate
from tests.fakes.image_api import ImageApi
from tests.places import wait
from tests.stage3.test_recovery import Dead

pytestmark = pytest.mark.anyio


async def until_received(api: ImageApi, count: int) -> None:
    with anyio.fail_after(20):
        while api.received() < count:
            await anyio.sleep(0.005)


def locks(folder: Path) -> list[str]:
    return [path.name for path in (folder / ".stage3" / "owners").glob("*.lock")]


async def test_a_lock_file_that_is_gone_is_no_proof_of_death(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The next run waits for what is in flight, though it may send again what is unknown."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    first, second = Ran(), Ran()
    settings = painter(image_api, on_unknown="resend")

    async def run(into: Ran) -> None:
        await run_stage(settings, scenes(2), tmp_path, into=into)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, first)
        await until_received(image_api, 2)
        shutil.rmtree(tmp_path / ".stage3" / "owners")
        tasks.start_soon(run, second)
        await anyio.sleep(0.5)
        gate.open()

    assert {first.code(one) for one in first.outcomes} == {"made"}
    assert {one.reused for one in second.outcomes.values()} == {True}
    assert image_api.received() == 2
    assert states(tmp_path) == ["PAID", "PAID"]


async def test_a_run_that_lives_makes_its_lock_anew(image_api: ImageApi, tmp_path: Path) -> None:
    """Before it holds money again, so that the next run sees it living."""
    gates = {name: Gate() for name in ("s01", "s02")}
    for name, gate in gates.items():
        image_api.script(bills(0.05, gate=gate), scene=name)
    before: list[str] = []
    after: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await run_stage(painter(image_api, capacity=1), scenes(2), tmp_path)

        tasks.start_soon(run)
        await until_received(image_api, 1)
        before = locks(tmp_path)
        shutil.rmtree(tmp_path / ".stage3" / "owners")
        gates["s01"].open()
        await until_received(image_api, 2)
        after = locks(tmp_path)
        gates["s02"].open()

    assert len(before) == 1
    assert after == before
    assert locks(tmp_path) == []


async def test_a_row_that_no_request_lasts_as_long_as_is_nobodys(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a lock that was tidied away by hand would block its scene for ever."""
    wait(monkeypatch, "purchase.recovery", MARGIN_S=0.0)
    dead = Dead(tmp_path, painter(image_api, timeout_s=0.2))
    dead.leaves()
    shutil.rmtree(tmp_path / ".stage3" / "owners")
    await anyio.sleep(0.3)
    ran = await run_stage(dead.settings, scenes(1), tmp_path)

    assert ran.code("s01") == "unknown"
    assert states(tmp_path) == ["UNKNOWN"]


async def write_off(settings: Settings, folder: Path) -> str:
    """Have a later run give up what is in flight, its lock out of its eyes, and a person decide."""
    shutil.rmtree(folder / ".stage3" / "owners")
    later = datetime.now(UTC) + timedelta(hours=1)
    await run_stage(settings, scenes(1), folder, now=lambda: later)
    attempt_id = only(folder).attempt_id
    stage3("resolve", attempt_id, "--resend", "--state-dir", str(folder / ".stage3"))
    return attempt_id


@pytest.mark.parametrize("has_another", [False, True])
async def test_a_picture_that_comes_after_it_was_written_off_is_kept_and_named(
    image_api: ImageApi,
    tmp_path: Path,
    has_another: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """It is delivered where the scene has none; one that was made instead stays the scene's."""
    gate = Gate()
    image_api.script(bills(0.05, gate=gate), scene="s01")
    image_api.always(bills(0.05, size_px=(32, 32)))
    first, attempt_id = Ran(), ""

    async def run() -> None:
        await run_stage(painter(image_api), scenes(1), tmp_path, into=first)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until_received(image_api, 1)
        attempt_id = await write_off(painter(image_api), tmp_path)
        if has_another:
            other = await run_stage(painter(image_api), scenes(1), tmp_path)
            assert other.code("s01") == "made"
        gate.open()

    outcome = first.outcomes["s01"]
    listed = stage3("attempts", "--state-dir", str(tmp_path / ".stage3")).data["attempts"]
    (warned,) = first.named("stage.warned")
    assert first.code("s01") == "made"
    assert outcome.reused is has_another
    assert outcome.width == (32 if has_another else 64)
    assert attempt_id[:8] in warned["message"]
    assert [(one["attempt_id"], one["situation"]) for one in listed] == [(attempt_id, "came_late")]
    assert Path(listed[0]["late"]).is_file()
    assert outcome.image is not None
    assert outcome.image.is_file()
    assert states(tmp_path) == ["WROTE_OFF", "PAID"][: 1 + has_another]
    assert len(purchases(tmp_path)) == image_api.received()


async def test_the_picture_that_came_late_keeps_no_run_from_starting(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It lies among the objects without a row that says so, and is accounted for."""
    gate = Gate()
    image_api.script(bills(0.05, gate=gate), scene="s01")
    image_api.always(bills(0.05))
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await run_stage(painter(image_api), scenes(1), tmp_path)

        tasks.start_soon(run)
        await until_received(image_api, 1)
        await write_off(painter(image_api), tmp_path)
        gate.open()
    again = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert again.code("s01") == "made"
    assert image_api.received() == 2
