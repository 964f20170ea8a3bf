"""The library's types, as its callers use them. Checked by mypy and pyright, never executed.

A line that stops type-checking here would stop type-checking for somebody else.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import assert_type

from host_stub.contract import FailureCode, Scene, SceneOutcome, StagePlan
from stage3_plugin import (
    BudgetReached,
    PictureRun,
    Pictures,
    PictureStage,
    Progress,
    Settings,
    Stop,
    Summary,
    Waited,
    make_pictures,
    open_stage,
    plan_pictures,
    wait_for_pictures,
)


async def call_the_library(
    listed: list[Scene], entries: list[dict[str, object]], one: dict[str, str], path: Path
) -> None:
    """Whatever scenes and settings are, what comes out is the contract's."""

    def on_progress(progress: Progress) -> None:
        assert_type(progress.outcome, SceneOutcome)
        assert_type(progress.summary.cost_usd, Decimal | None)

    stop = Stop()
    async with open_stage({"provider": "previz"}, out_dir=path, project_dir="here") as stage:
        assert_type(stage, PictureStage)
        assert_type(await stage.plan(path, max_cost_usd=2), StagePlan)
        run = stage.run(iter(listed), max_cost_usd="2.50", on_progress=on_progress, stop=stop)
        assert_type(run, PictureRun)
        async for outcome in run:
            assert_type(outcome, SceneOutcome)
        assert_type(run.summary.stopped, FailureCode | None)
        assert_type(await stage.make(entries, deadline_s=3, check=False), Pictures)
        assert_type(await run.ended(), Summary)
        assert_type(await stage.wait(for_s=60, on_progress=lambda one: one.left, stop=stop), Waited)
    async with open_stage(Settings(provider="previz")), open_stage(path), open_stage("host.toml"):
        pass
    try:
        pictures = make_pictures(one, "host.toml", on_progress=on_progress)
        assert_type(pictures.made, list[SceneOutcome])
        assert_type(plan_pictures("story.json", path), StagePlan)
        assert_type(wait_for_pictures("host.toml", for_s=0.5), Waited)
    except BudgetReached as reached:
        assert_type(reached.pictures, Pictures)
    make_pictures(7, "host.toml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a number is no scene
    stop.set(at_once=True)
