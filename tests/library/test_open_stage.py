"""``open_stage``: outcomes as they come, by the ledger of the command, on both event loops."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import anyio
import anyio.lowlevel
import pytest

from host_stub.contract import Scene, SceneOutcome
from stage3_plugin import (
    BudgetReached,
    PicturesMissing,
    PictureStage,
    SettingsRefused,
    Stage2Output,
    StageUnusable,
    open_stage,
)
from stage3_plugin.domain.states import State
from tests.doors import bills, counted, states
from tests.fakes.behaviours import Gate, TextOnly
from tests.fakes.image_api import ImageApi
from tests.library.calling import code, painter, scenes, until

pytestmark = pytest.mark.anyio

ENDLESS = 50_000
"""Scenes that take longer to read than a test waits for."""
Opened: TypeAlias = Callable[..., AbstractAsyncContextManager[PictureStage]]


@pytest.fixture
def opened(image_api: ImageApi, tmp_path: Path) -> Opened:
    """Open a stage in a folder of the test's own."""

    def open_(**more: object) -> AbstractAsyncContextManager[PictureStage]:
        return open_stage(
            painter(image_api, **more), project_dir=tmp_path, out_dir=tmp_path / "pictures"
        )

    image_api.always(bills(0.05))
    return open_


async def test_outcomes_come_one_by_one_and_are_the_contracts(
    opened: Opened, image_api: ImageApi, tmp_path: Path
) -> None:
    """One for each scene, with the picture's file and what it cost."""
    async with opened(capacity=1) as stage:
        run = stage.run(scenes(3))
        outcomes = [outcome async for outcome in run]

    assert [outcome.scene_id for outcome in outcomes] == ["s01", "s02", "s03"]
    assert all(isinstance(outcome, SceneOutcome) for outcome in outcomes)
    assert outcomes[0].image == tmp_path / "pictures" / "s01.png"
    assert (tmp_path / "pictures" / "s01.png").read_bytes().startswith(b"\x89PNG")
    assert outcomes[0].cost.usd == Decimal("0.05")
    assert (run.summary.made, run.summary.cost_usd) == (3, Decimal("0.15"))
    assert run.summary.is_whole
    assert image_api.billed() == 3


async def test_what_is_there_costs_nothing_and_a_plan_says_so(
    opened: Opened, image_api: ImageApi
) -> None:
    """Whatever the stage, as long as the state folder is the same."""
    async with opened() as stage:
        before = await stage.plan(scenes(3))
        await stage.make(scenes(2))
    async with opened() as stage:
        between = await stage.plan(scenes(3))
        pictures = await stage.make(scenes(3))

    assert (before.make, before.reused, before.cost_high_usd) == (3, 0, Decimal("0.15"))
    assert (between.make, between.reused, between.cost_high_usd) == (1, 2, Decimal("0.05"))
    assert [code(one) for one in pictures] == ["reused", "reused", "made"]
    assert pictures.summary.cost_usd == Decimal("0.05")
    assert image_api.billed() == 3


async def scenes_from_afar() -> AsyncIterator[dict[str, Any]]:
    """Yield scenes as a database's driver does."""
    for scene in scenes(3):
        await anyio.lowlevel.checkpoint()
        yield scene


def written(path: Path) -> Path:
    """Write a scene file."""
    path.write_text("\n".join(map(json.dumps, scenes(3))), encoding="utf-8")
    return path


def of_the_original() -> list[Stage2Output]:
    """Return scenes as the original stage had them."""
    return [
        Stage2Output(scene_id=scene["scene_id"], image_prompt=scene["prompt"])
        for scene in scenes(3)
    ]


FORMS: dict[str, Callable[[Path], Any]] = {
    "dictionaries": lambda _: scenes(3),
    "scenes": lambda _: [Scene(**scene) for scene in scenes(3)],
    "an iterator": lambda _: iter(scenes(3)),
    "an asynchronous one": lambda _: scenes_from_afar(),
    "a document": lambda _: {"prompts": scenes(3)},
    "a file": lambda folder: written(folder / "story.jsonl"),
    "its name": lambda folder: str(written(folder / "story.jsonl")),
    "the original's": lambda _: of_the_original(),
}


@pytest.mark.parametrize("form", FORMS)
async def test_scenes_come_in_every_form_that_a_program_has(
    form: str, opened: Opened, image_api: ImageApi, tmp_path: Path
) -> None:
    """And are the same pictures then."""
    async with opened() as stage:
        pictures = await stage.make(FORMS[form](tmp_path))
        again = await stage.make(scenes(3))
        alone = await stage.make(scenes(1)[0])

    assert [one.scene_id for one in pictures] == ["s01", "s02", "s03"]
    assert [code(one) for one in (*again, *alone)] == ["reused"] * 4
    assert image_api.billed() == 3


@pytest.mark.parametrize("kind", ["dictionaries", "lines", "document"])
async def test_scenes_that_change_meanwhile_lose_no_outcome(
    kind: str, opened: Opened, image_api: ImageApi, tmp_path: Path
) -> None:
    """They are made as they were when the run began, to the last one."""
    story, given = scenes(6), scenes(6)
    path = tmp_path / ("story.jsonl" if kind == "lines" else "story.json")
    text = "\n".join(map(json.dumps, story)) if kind == "lines" else json.dumps(story)
    path.write_text(text, encoding="utf-8")
    ended: list[str] = []
    async with opened(capacity=1) as stage:
        async for outcome in stage.run(given if kind == "dictionaries" else path):
            ended.append(f"{outcome.scene_id} {code(outcome)}")
            path.unlink(missing_ok=True)
            for scene in given:
                scene["prompt"] = "another one"
            del given[1:]

    assert ended == [f"{scene['scene_id']} made" for scene in story]
    assert {asked.prompt for asked in image_api.asked()} == {scene["prompt"] for scene in story}


# Stopping ----------------------------------------------------------------------------------------


async def test_a_run_that_is_kept_goes_on_after_a_break(
    opened: Opened, image_api: ImageApi
) -> None:
    """The outcomes that came meanwhile wait, and none is there twice."""
    async with opened(capacity=1) as stage:
        run = stage.run(scenes(5))
        first = [await anext(run)]
        async for outcome in run:
            first.append(outcome)
            break
        rest = [outcome async for outcome in run]

    assert [one.scene_id for one in (*first, *rest)] == ["s01", "s02", "s03", "s04", "s05"]
    assert image_api.billed() == 5


@pytest.mark.parametrize("times", [1, 3])
def test_a_task_that_is_cancelled_again_and_again_loses_nothing_either(
    times: int, opened: Opened, image_api: ImageApi, tmp_path: Path
) -> None:
    """As asyncio's own time limits and a server's shutdown do it."""
    gate = Gate()
    image_api.script(bills(0.05, gate=gate), scene="s01")

    async def call() -> None:
        async with opened(capacity=1) as stage:
            await stage.make(scenes(9))

    async def main() -> None:
        task = asyncio.create_task(call())
        await until(lambda: image_api.received("s01") == 1)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert states(tmp_path) == [State.PAID]
    assert image_api.received() == 1


async def test_a_run_that_nobody_holds_stops_whoever_collects_it(
    opened: Opened, image_api: ImageApi, tmp_path: Path
) -> None:
    """In a circle of references, found by the collector in another thread, with the stage open."""
    gate = Gate()
    image_api.script(bills(0.05, gate=gate), scene="s02")
    ended: list[str] = []

    async def begin(stage: PictureStage) -> None:
        run = stage.run(scenes(5), on_progress=lambda one: ended.append(code(one.outcome)))
        holder: list[object] = [run]
        holder.append(holder)
        await anext(run)

    async with opened(capacity=1) as stage:
        await begin(stage)
        await until(lambda: image_api.received("s02") == 1)
        await anyio.to_thread.run_sync(gc.collect)
        gate.open()
        await until(lambda: len(ended) == 5)

    assert ended == ["made", "made", "not_tried", "not_tried", "not_tried"]
    assert image_api.received() == 2
    assert [one for one in states(tmp_path) if one is not State.VOID] == [State.PAID] * 2


async def test_scenes_without_end_are_not_read_to_their_end(
    opened: Opened, image_api: ImageApi
) -> None:
    """Who stops the run while they are read has sent nothing."""
    read, closed = 0, list[str]()

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal read
        for _ in range(ENDLESS):
            read += 1
            yield {"scene_id": f"s{read}", "prompt": "a harbour"}

    async with opened() as stage:
        run = stage.run(endless())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.ended)
            await until(lambda: read > 0)
            run.stop()

    async def from_afar() -> AsyncIterator[dict[str, Any]]:
        try:
            for scene in endless():
                await anyio.lowlevel.checkpoint()
                yield scene
        finally:
            closed.append("closed")

    async with opened() as stage:
        forgotten = stage.run(from_afar())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(forgotten.ended)
            before = read
            await until(lambda: read > before)
            tasks.cancel_scope.cancel()

    assert run.summary.stopped == forgotten.summary.stopped == "cancelled"
    assert read < ENDLESS
    assert closed == ["closed"]
    assert image_api.received() == 0


# Budgets and errors ------------------------------------------------------------------------------


async def test_a_cap_leaves_out_what_it_has_no_room_for(
    opened: Opened, image_api: ImageApi, tmp_path: Path
) -> None:
    """The error has what was made, says what to do, and nothing is spent beyond the cap."""
    async with opened(capacity=1) as stage:
        with pytest.raises(BudgetReached) as caught:
            await stage.make(scenes(4), max_cost_usd="0.10")
        values = await stage.make(scenes(4), max_cost_usd=0.05, check=False)

    pictures = caught.value.pictures
    assert [code(one) for one in pictures.made] == ["made", "made"]
    assert [one.scene_id for one in pictures.failed] == ["s03", "s04"]
    assert "2 of 4" in str(caught.value)
    assert "max_cost_usd" in str(caught.value.hint)
    assert [code(one) for one in values][:3] == ["reused", "reused", "made"]
    assert counted(tmp_path) == 150_000
    assert image_api.billed() == 3


async def test_a_scene_that_fails_is_a_value_and_raises_only_where_asked(
    opened: Opened, image_api: ImageApi
) -> None:
    """The others are made."""
    image_api.script(TextOnly(), scene="s02")
    async with opened() as stage:
        with pytest.raises(PicturesMissing, match="'s02': no_picture") as caught:
            await stage.make(scenes(3))

    assert [code(one) for one in caught.value.pictures] == ["made", "no_picture", "made"]
    assert not isinstance(caught.value, BudgetReached)
    assert caught.value.hint


async def test_what_keeps_a_run_from_starting_is_raised_in_the_loop(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A cap needs a price: nothing is sent, and the stage stays usable."""
    settings = painter(image_api)
    del settings["price_usd"]
    async with open_stage(settings, project_dir=tmp_path, out_dir=tmp_path / "p") as stage:
        with pytest.raises(SettingsRefused, match="price_usd"):
            async for _ in stage.run(scenes(1), max_cost_usd=1):
                pass
        plan = await stage.plan(scenes(1))

    assert plan.make == 1
    assert image_api.received() == 0


async def test_an_error_that_nobody_took_is_in_the_log(
    image_api: ImageApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What breaks a run is seen, also where its caller has left."""
    settings = painter(image_api)
    del settings["price_usd"]
    async with open_stage(settings, project_dir=tmp_path, out_dir=tmp_path / "p") as stage:
        async with stage.run(scenes(1), max_cost_usd=1) as left:
            with anyio.move_on_after(0):
                await anext(left)
            await until(lambda: left.is_over)
        run = stage.run(scenes(1), max_cost_usd=1)
        with pytest.raises(SettingsRefused):
            await run.ended()

    assert caplog.text.count("an error that nobody took") == 1
    assert "price_usd" in caplog.text


@pytest.mark.parametrize("usd", ["much", -1, float("nan"), True, "1e9"])
async def test_a_cap_that_is_no_amount_is_refused(
    usd: Any, opened: Opened, image_api: ImageApi
) -> None:
    """Before a scene is read."""
    async with opened() as stage:
        with pytest.raises(SettingsRefused, match="max_cost_usd"):
            stage.run(iter(()), max_cost_usd=usd)

    assert image_api.received() == 0


async def test_a_lane_that_the_provider_does_not_have_is_refused(
    opened: Opened, image_api: ImageApi
) -> None:
    """A call's or a scene's own, and one that is none; the ordinary one is there everywhere."""
    async with opened() as stage:
        with pytest.raises(SettingsRefused, match="no such lane"):
            stage.run(iter(()), lane=cast("Any", "fast"))
        with pytest.raises(SettingsRefused, match="'openrouter' has no batch lane"):
            await stage.make(scenes(1), lane="batch")
        with pytest.raises(SettingsRefused, match="scene 's01' is to be bought in a batch"):
            await stage.plan([scenes(1)[0] | {"lane": "batch"}])
        made = await stage.make([scenes(1)[0] | {"lane": "ordinary"}], lane="ordinary")

    assert [code(one) for one in made] == ["made"]
    assert image_api.received() == 1


async def test_a_stage_is_used_in_its_block_and_in_its_loop(opened: Opened) -> None:
    """Elsewhere it says so, and where it can be used."""
    async with opened() as stage:
        with pytest.raises(StageUnusable, match="another thread"):
            await anyio.to_thread.run_sync(partial(stage.run, scenes(1)))
        with pytest.raises(StageUnusable, match="another thread"):
            await anyio.to_thread.run_sync(anyio.run, stage.run(scenes(1)).ended)
        late = stage.run(scenes(1))
    with pytest.raises(StageUnusable, match="closed") as caught:
        stage.run(scenes(1))
    with pytest.raises(StageUnusable, match="closed"):
        await anext(late)

    assert "async with" in str(caught.value.hint)


# Progress, and several at once -------------------------------------------------------------------


async def test_a_failing_iterator_sends_nothing(opened: Opened, image_api: ImageApi) -> None:
    """All scenes are read before the first is bought, and its error comes out as it is."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from scenes(2)
        raise LookupError("the database is gone")

    async with opened() as stage:
        with pytest.raises(LookupError, match="the database is gone"):
            await stage.make(broken())

    assert image_api.received() == 0
