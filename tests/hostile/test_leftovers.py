"""What dead runs have left, however odd, keeps neither another scene nor the run from working."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.domain.purchase import Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.store import PictureStore
from tests.doors import bills, painter
from tests.fakes.behaviours import Behaviour, Hang, Missing, Ok, Page
from tests.fakes.image_api import ImageApi
from tests.places import wait
from tests.stage3.buying import counted, ledger_path, scenes, states
from tests.stage3.running import Ran, Story, run_stage
from tests.stage3.test_recovery import PICTURE, Dead, answer_with_picture, told

pytestmark = pytest.mark.anyio


@pytest.fixture
def dead(image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dead:
    """Return a dead run with the settings of the next one."""
    wait(monkeypatch, "policy.refetch", FIRST_WAIT_S=0.01)
    wait(monkeypatch, "engine.pending", PATIENCE_S=0.2)
    image_api.always(bills(0.05))
    return Dead(tmp_path, painter(image_api))


def address(image_api: ImageApi, name: str = "1") -> dict[str, Any]:
    """Return an answer whose picture is at an address."""
    host = image_api.base_url.removesuffix("/v1")
    return {"data": [{"url": f"{host}/pictures/{name}.png"}], "usage": {"cost": 0.03}}


async def test_whatever_judging_raises_leaves_the_answer_and_the_run_alone(
    dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the answer has just come: unknown, kept as it came, never sent again."""

    def judge(*_: Any, **__: Any) -> None:
        raise RecursionError

    attempt_id = dead.leaves()
    dead.has_received(attempt_id, answer_with_picture())
    with monkeypatch.context() as broken:
        broken.setattr("stage3_plugin.providers.hosted.judge_reply", judge)
        ran = await run_stage(dead.settings, scenes(2), dead.folder)
    kept = dead.store.spool.received()
    after = await run_stage(dead.settings, scenes(2), dead.folder)

    assert (ran.code("s01"), ran.code("s02")) == ("unknown", "unknown")
    assert image_api.received() == 1
    assert len(kept) == 2
    assert all(outcome.reused for outcome in after.outcomes.values())  # it is tried again
    assert states(dead.folder) == [State.PAID] * 2
    assert image_api.received() == 1


async def test_a_picture_that_was_fetched_whole_is_used_before_the_network_is_asked(
    dead: Dead, image_api: ImageApi
) -> None:
    """Its run died between receiving and settling, and the address is gone since."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, address(image_api))
    (dead.store.spool.folder_of(attempt_id) / "fetched").write_bytes(PICTURE)
    image_api.visit_always(Missing())
    ran = await run_stage(dead.settings, scenes(1), dead.folder)

    assert ran.outcomes["s01"].reused
    assert (dead.folder / "out/images/s01.png").read_bytes() == PICTURE
    assert image_api.visits() == []


@pytest.mark.parametrize("page", [Page(200), Missing(403), Missing(404)], ids=["200", "403", "404"])
async def test_a_death_between_storing_and_recording_harms_no_picture(
    dead: Dead, image_api: ImageApi, page: Behaviour
) -> None:
    """Neither its own, nor that of another scene with the same bytes: none is written again."""
    image_api.script(Ok(picture=PICTURE), scene="s02")
    await run_stage(dead.settings, Story(scenes(2).scenes[1:]), dead.folder)
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, address(image_api))
    fetched = dead.store.spool.folder_of(attempt_id) / "fetched"
    fetched.write_bytes(PICTURE)
    kept = dead.store.save(fetched, inspect_file(fetched, max_pixels=1 << 20))
    image_api.visit_always(page)
    ran = await run_stage(dead.settings, scenes(2), dead.folder)

    assert kept.read_bytes() == PICTURE
    for scene in ("s01", "s02"):
        assert ran.code(scene) == "made"
        assert (dead.folder / f"out/images/{scene}.png").read_bytes() == PICTURE
    assert states(dead.folder) == [State.PAID, State.PAID]
    assert image_api.received() == 1
    assert image_api.visits() == []


async def test_an_address_that_hangs_holds_nobody(dead: Dead, image_api: ImageApi) -> None:
    """Twelve of them: the other scenes are made at once, and a stop is not kept waiting."""
    for number in range(12):
        story = scenes(number + 1)
        story.scenes = story.scenes[-1:]
        dead.has_received(dead.leaves(story=story), address(image_api))
    image_api.visit_always(Hang())
    stopping, ran = anyio.Event(), Ran()

    async def stop() -> None:
        while not {"s13", "s14"} <= ran.outcomes.keys():
            await anyio.sleep(0.01)
        stopping.set()

    with anyio.fail_after(8):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            await run_stage(dead.settings, scenes(14), dead.folder, into=ran, stopping=stopping)

    assert {ran.code(one) for one in ("s13", "s14")} == {"made"}
    assert {ran.code(f"s{number:02}") for number in range(1, 13)} == {"pending"}
    assert states(dead.folder).count(State.SENDING) == 12
    assert image_api.received() == 2


async def test_cancelling_returns_while_recovery_is_under_way(
    dead: Dead, image_api: ImageApi
) -> None:
    """Soon every scene has its outcome, and nothing is lost."""
    dead.has_received(dead.leaves(), address(image_api))
    image_api.visit_always(Hang())
    ran = Ran()
    began = 0.0
    with anyio.move_on_after(8):
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await run_stage(dead.settings, scenes(1), dead.folder, into=ran)

            tasks.start_soon(run)
            while not image_api.visits():
                await anyio.sleep(0.01)
            began = time.monotonic()
            tasks.cancel_scope.cancel()
    took_s = time.monotonic() - began
    image_api.visit_always(None)
    after = await run_stage(dead.settings, scenes(1), dead.folder)

    assert took_s < 5  # within two seconds on a machine of one's own
    assert len(ran.outcomes) == 1
    assert after.outcomes["s01"].reused
    assert image_api.received() == 0


async def test_the_deadline_holds_during_recovery(
    dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts from the start of the run, not from when recovery was through."""
    wait(monkeypatch, "engine.pending", PATIENCE_S=60)
    dead.has_received(dead.leaves(), address(image_api))
    image_api.visit_always(Hang())
    with anyio.fail_after(5):
        ran = await run_stage(dead.settings, scenes(1), dead.folder, deadline_s=0.3)

    assert ran.code("s01") == "pending"
    assert ran.ending is not None
    assert ran.ending.stopped == "cancelled"


async def test_an_unknown_purchase_with_a_whole_answer_is_tried_by_every_run(
    dead: Dead, image_api: ImageApi
) -> None:
    """Once its picture can be had it is paid, whoever called it unknown before."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, answer_with_picture())
    unknown = Settlement(state=State.UNKNOWN, why="a program before could not read it")
    with Ledger.open(ledger_path(dead.folder)) as ledger, ledger.transaction():
        ledger.settle(attempt_id, unknown, now=datetime.now(UTC))
    ran = await run_stage(dead.settings, scenes(1), dead.folder)

    assert told(ran) == {"adopted": 1, "unknown": 0, "void": 0}
    assert ran.outcomes["s01"].reused
    assert counted(dead.folder) == 30_000
    assert image_api.received() == 0


async def test_a_cap_that_looks_reached_waits_for_recovery(
    dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead run held and never sent is let go first."""
    for number in range(2, 8):
        story = scenes(number)
        story.scenes = story.scenes[-1:]
        dead.leaves(sent=False, story=story)
    settings = painter(image_api, total_usd="0.31")
    ran = await run_stage(settings, scenes(6), dead.folder)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}


async def test_a_stop_ends_the_waiting_for_another_run(dead: Dead, image_api: ImageApi) -> None:
    """The scene is busy, as it was; nobody waits any longer."""
    dead.leaves()
    stopping = anyio.Event()
    with Owners(dead.folder / ".stage3").claim(dead.run_id), anyio.fail_after(5):
        ran = Ran()
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await run_stage(dead.settings, scenes(1), dead.folder, into=ran, stopping=stopping)

            tasks.start_soon(run)
            await anyio.sleep(0.3)
            stopping.set()

    assert ran.code("s01") == "busy"
    assert image_api.received() == 0


async def test_an_answer_that_another_run_takes_in_meanwhile_is_found(
    dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It vanishes while it is read here: no trouble of the disk, since its picture is there."""
    dead.has_received(dead.leaves(), answer_with_picture())
    real, others = PictureStore.save, list[Ran]()

    def save(store: PictureStore, *arguments: Any) -> None:
        if not others:
            others.append(Ran())
            anyio.run(partial(run_stage, dead.settings, scenes(1), dead.folder, into=others[0]))
        real(store, *arguments)

    monkeypatch.setattr(PictureStore, "save", save)
    ran = await run_stage(dead.settings, scenes(1), dead.folder)

    assert others[0].code("s01") == "made"
    assert ran.code("s01") == "made"
    assert states(dead.folder) == [State.PAID]
    assert image_api.received() == 0
