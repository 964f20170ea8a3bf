"""Two runs at once on one project: no scene is bought twice, and both end in good order."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.settings import Settings
from tests.doors import (
    HOLD,
    Ran,
    bills,
    counted,
    painter,
    purchases,
    run_stage,
    scenes,
    states,
    story,
)
from tests.fakes.behaviours import Gate, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.projects import Project, ended, wait_until


def side_by_side(project: Project, api: ImageApi, *, in_flight: int) -> list[CompletedProcess[str]]:
    """Run the story twice at once: until so many requests are in flight none is answered."""
    gate = Gate()
    api.always(bills(0.05, gate=gate))
    first = project.start("run", "scenes.json")
    wait_until(lambda: api.in_flight == 6)
    second = project.start("run", "scenes.json")
    wait_until(lambda: api.in_flight == in_flight)
    gate.open()
    return [ended(first), ended(second)]


def test_two_processes_share_the_work(image_api: ImageApi, tmp_path: Path) -> None:
    """Each scene is sold once; what one has in work is busy for the other, and a rerun has all."""
    project = Project(tmp_path)
    project.scenes(24)
    project.config(image_api, capacity=6)
    ran = side_by_side(project, image_api, in_flight=12)
    sold = {f"s{number:02}": image_api.billed(f"s{number:02}") for number in range(1, 25)}
    manifest = project.manifest()
    journals = [
        [json.loads(line)["run_id"] for line in path.read_text(encoding="ascii").splitlines()]
        for path in (tmp_path / "out").rglob("events.jsonl")
    ]
    rerun = project.run("run", "scenes.json")

    assert set(sold.values()) == {1}, sold
    assert {one.returncode for one in ran} <= {0, 1}, [one.stderr for one in ran]
    assert not any("Traceback" in one.stderr for one in ran)
    assert len(manifest["images"]) + len(manifest["failures"]) == 24
    assert {one["code"] for one in manifest["failures"]} <= {"busy"}
    assert [len(set(run_ids)) for run_ids in journals] == [1, 1]
    assert rerun.returncode == 0, rerun.stderr
    assert image_api.received() == 24
    assert {purchase.state for purchase in project.purchases()} == {State.PAID}
    assert len(project.manifest()["images"]) == 24


def test_two_processes_share_a_cap(image_api: ImageApi, tmp_path: Path) -> None:
    """Whoever comes first: together they buy what one cap allows, and not one picture more."""
    project = Project(tmp_path)
    project.scenes(24)
    project.config(image_api, capacity=6, total_usd="0.50")
    ran = side_by_side(project, image_api, in_flight=10)

    assert image_api.billed() == image_api.received() == 10
    assert {one.returncode for one in ran} == {3}, [one.stderr for one in ran]
    assert "total_usd" in ran[0].stderr
    assert sum(purchase.counted_microusd for purchase in project.purchases()) == 500_000


pytestmark = pytest.mark.anyio


async def test_what_another_run_has_in_work_for_long_is_busy(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Within one process too; the other scenes are made, and later everything is found."""
    gate = Gate()
    for scene_id in ("s01", "s02"):
        image_api.script(bills(0.05, gate=gate), scene=scene_id)
    image_api.always(bills(0.05))
    first, second = Ran(), Ran()

    async def come_second() -> None:
        while image_api.in_flight < 2:
            await anyio.sleep(0.01)
        await run_stage(painter(image_api, timeout_s=1), scenes(4), tmp_path, into=second)
        gate.open()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come_second)
            await run_stage(painter(image_api), scenes(2), tmp_path, into=first)
    third = await run_stage(painter(image_api), scenes(4), tmp_path)
    busy = [one.failure for one in second.outcomes.values() if one.failure is not None]

    assert [second.code(scene.scene_id) for scene in scenes(4)] == ["busy", "busy", "made", "made"]
    assert all(failure.retryable for failure in busy)
    assert second.ending is not None
    assert second.ending.stopped is None
    assert {first.code("s01"), first.code("s02")} == {"made"}
    assert all(outcome.reused for outcome in third.outcomes.values())
    assert image_api.received() == 4


async def test_two_runs_at_once_in_one_process(image_api: ImageApi, tmp_path: Path) -> None:
    """Each scene is sold once, whichever of them comes to it first."""
    image_api.always(bills(0.05, delay_s=0.01))
    both = Ran(), Ran()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for ran in both:
                tasks.start_soon(keep, painter(image_api), tmp_path, ran)
    codes = [{ran.code(scene_id) for scene_id in ran.outcomes} for ran in both]

    assert image_api.received() == image_api.billed() == 20
    assert codes[0] | codes[1] <= {"made", "busy"}
    assert states(tmp_path) == [State.PAID] * 20
    assert counted(tmp_path) == 20 * HOLD


async def keep(settings: Settings, folder: Path, ran: Ran) -> None:
    await run_stage(settings, scenes(20), folder, into=ran)


async def test_a_run_that_ends_leaves_what_it_lost_to_the_other(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A request of the first that was never answered is not sent by the second, but told."""
    gate = Gate()
    image_api.script(ResetAfterRead(), scene="s01")
    image_api.always(bills(0.05, gate=gate))
    second = Ran()

    async def come_second() -> None:
        while not is_lost(tmp_path, "s01"):
            await anyio.sleep(0.01)
        await run_stage(painter(image_api), story("s01"), tmp_path, into=second)
        gate.open()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come_second)
            await run_stage(painter(image_api, capacity=2), scenes(2), tmp_path)

    assert second.code("s01") == "unknown"
    assert image_api.received("s01") == 1


def is_lost(folder: Path, scene_id: str) -> bool:
    """Return whether a scene's outcome is known to be unknown."""
    path = folder / ".stage3" / "ledger.db"
    if not path.exists():
        return False
    return [row.state for row in purchases(folder, scene_id)] == [State.UNKNOWN]
