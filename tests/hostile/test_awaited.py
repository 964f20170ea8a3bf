"""What is bought and not here yet: a plan counts it apart, and a run that waits for it says so."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import anyio
import pytest

from stage3_plugin.purchase.messages import still_waiting
from tests.doors import Ran, painter, run_stage, scenes
from tests.fakes.behaviours import Hang, Ok, ServerError
from tests.fakes.image_api import ImageApi
from tests.places import wait
from tests.projects import Project, ended, wait_until

BY_ADDRESS = Ok(url="own", usage={"cost": 0.03})


def test_a_plan_counts_a_picture_that_is_awaited_apart(image_api: ImageApi, tmp_path: Path) -> None:
    """It is neither there nor to be bought; the run asks for it again, and pays nothing."""
    image_api.always(Ok(usage={"cost": 0.03}))
    image_api.script(BY_ADDRESS, scene="s02")
    image_api.visit_always(ServerError(503))
    project = Project(tmp_path)
    project.scenes(2)
    project.config(image_api, deadline_s=1)
    first = project.run("run", "scenes.json")
    project.scenes(3)

    planned = project.run("plan", "scenes.json")
    told = json.loads(project.run("plan", "scenes.json", "--json").stdout)
    image_api.visit_always(None)
    done = project.run("run", "scenes.json")
    after = json.loads(project.run("plan", "scenes.json", "--json").stdout)

    assert first.returncode == 5, first.stderr
    assert planned.returncode == 0, planned.stderr
    assert "  1 to make\n  1 reused" in planned.stdout
    assert "  1 pending, bought and not here yet: asked for again, for nothing\n" in planned.stdout
    counts = {name: told[name] for name in ("make", "reused", "pending", "held")}
    assert counts == {"make": 1, "reused": 1, "pending": 1, "held": 0}
    assert told["cost_high_usd"] == "0.05"
    assert done.returncode == 0, done.stderr
    assert image_api.received() == 3
    assert (after["reused"], after["pending"]) == (3, 0)


def test_a_plan_is_refused_where_the_run_would_be(tmp_path: Path) -> None:
    """A ledger that was deleted beside its pictures: code 2, with the run's own words."""
    project = Project(tmp_path)
    project.scenes(2)
    (tmp_path / "host.toml").write_text('[plugin.stage3]\nsize = "64x64"\n', encoding="utf-8")
    made = project.run("run", "scenes.json")
    for file in (tmp_path / ".stage3").glob("ledger.db*"):
        file.unlink()

    planned = project.run("plan", "scenes.json")
    ran = project.run("run", "scenes.json")

    assert made.returncode == 0, made.stderr
    assert (planned.returncode, ran.returncode) == (2, 2)
    assert planned.stderr == ran.stderr
    assert "--accept-folder" in planned.stderr


@pytest.mark.anyio
async def test_a_run_says_whenever_it_has_asked_in_vain(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a scene of its own, and for one that a run before has bought: how long, and when next."""
    wait(monkeypatch, "policy.refetch", FIRST_WAIT_S=0.01, LONGEST_WAIT_S=0.05)
    wait(monkeypatch, "engine.pending", PATIENCE_S=0.3)
    wait(monkeypatch, "engine.reporter", OFTEN_S=0.0)
    image_api.always(BY_ADDRESS)
    image_api.visit_always(ServerError(503))
    first = await run_stage(painter(image_api), scenes(1), tmp_path)
    second = await run_stage(painter(image_api), scenes(1), tmp_path)

    for ran, attempt in ((first, 1), (second, 0)):
        told = ran.named("scene.awaited")
        assert len(told) >= 3
        assert {one["scene_id"] for one in told} == {"s01"}
        assert {(one["cause"], one["attempt"]) for one in told} == {("pending", attempt)}
        waited = [one["waited_s"] for one in told]
        assert waited == sorted(waited)
        assert all(0 <= one["wait_s"] <= 0.05 for one in told)
        assert all(one["wait_s"] <= one["left_s"] <= 0.3 for one in told)
        assert all("503" in one["message"] and "/pictures/1.png" in one["message"] for one in told)
        assert ran.code("s01") == "pending"


@pytest.mark.anyio
async def test_what_is_looked_for_often_is_told_now_and_then(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run has the scene in work: that is looked at twice a second, and told once."""
    wait(monkeypatch, "engine.pending", BUSY_WAIT_S=0.01)
    image_api.always(Ok(usage={"cost": 0.03}))
    image_api.script(Ok(usage={"cost": 0.03}, delay_s=0.5))
    ran = Ran()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_stage, painter(image_api), scenes(1), tmp_path)
        while image_api.received() == 0:
            await anyio.sleep(0.01)
        await run_stage(painter(image_api), scenes(1), tmp_path, into=ran)

    assert ran.outcomes["s01"].reused
    assert image_api.received() == 1
    [told] = ran.named("scene.awaited")
    assert told["cause"] == "busy"


def test_a_real_run_says_what_it_waits_for(image_api: ImageApi, tmp_path: Path) -> None:
    """In a log, while it waits: the scene, why, and when it asks again; the events are valid."""
    image_api.always(BY_ADDRESS)
    image_api.visit_always(ServerError(503))
    project = Project(tmp_path)
    project.scenes(1)
    project.config(image_api, deadline_s=6)

    done = project.run("run", "scenes.json")

    assert done.returncode == 5, done.stderr
    [line] = [line for line in done.stderr.splitlines() if "waiting for" in line]
    assert line.startswith("[0/1] waiting for 1 bought picture, at no further cost: s01 (for ")
    assert "asked again in" in line or "being asked now" in line
    assert "503" in line
    assert project.manifest()["events_rejected"] == 0


# Interrupts


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_interrupt_says_what_is_in_flight_and_what_leaving_costs(
    image_api: ImageApi, tmp_path: Path, backend: str
) -> None:
    """How many paid requests, for how long they are waited for, and what a second Ctrl-C means."""
    image_api.always(Hang())
    project = Project(tmp_path, backend=backend)
    project.scenes(8)
    project.config(image_api, capacity=3, adaptive=False, drain_s=77)
    process = project.start("run", "scenes.json")
    wait_until(lambda: image_api.in_flight == 3)
    process.send_signal(signal.SIGINT)
    first = [process.stderr.readline(), process.stderr.readline()] if process.stderr else []
    process.send_signal(signal.SIGINT)
    done = ended(process)

    assert done.returncode == 130
    assert first[0].startswith("SIGINT: nothing new is started")
    assert first[1].startswith("warning: 3 paid requests are in flight ($0.15 held)")
    assert "waits for them, 77 s at most (drain_s), which costs nothing more" in first[1]
    assert "A second Ctrl-C leaves at once" in first[1]
    assert "may be billed without a picture, stays counted" in first[1]
    assert "'stage3 attempts'" in first[1]
    assert len(project.purchases()) == 3


def test_an_interrupted_renderer_speaks_of_no_money() -> None:
    """It draws for nothing."""
    told = still_waiting([0, 0], 120.0, is_free=True, attempts="stage3 attempts")
    one = still_waiting([50_000], 2.5, is_free=False, attempts="stage3 attempts")
    unpriced = still_waiting([0], 2.5, is_free=False, attempts="stage3 attempts")

    assert told.startswith("2 pictures are being drawn, and waited for, 120 s at most;")
    assert "$" not in told + unpriced
    assert one.startswith("1 paid request is in flight ($0.05 held): the run waits for it, 2.5 ")
