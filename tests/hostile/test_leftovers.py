"""What dead runs have left, however odd, keeps neither another scene nor the run from working."""

from __future__ import annotations

import errno
import os
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
from stage3_plugin.purchase import drive
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.store import PictureStore
from tests.doors import HOLD, bills, painter
from tests.fakes.behaviours import Behaviour, Gate, Hang, Missing, Ok, Page
from tests.fakes.image_api import ImageApi
from tests.places import wait
from tests.stage3.buying import counted, ledger_path, only, purchases, scenes, states
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


def odd_answers() -> dict[str, Any]:
    """Return answers that have made a run raise, or are of their kind."""

    def at(url: str) -> dict[str, Any]:
        return {"data": [{"url": url}], "usage": {"cost": 0.03}}

    def costing(cost: Any) -> dict[str, Any]:
        return answer_with_picture(usage={"cost": cost})

    return {
        "a line break": at("http://127.0.0.1/a\nb.png"),
        "a line break behind": at("http://127.0.0.1:9/a.png\n"),
        "a NUL": at("http://127.0.0.1/\0.png"),
        "a surrogate": at("http://127.0.0.1/\ud800.png"),
        "a port": at("http://127.0.0.1:99999/a.png"),
        "bad IDNA": at("http://xn--a\u2028.example/a.png"),
        "deep": {"data": [{"b64_json": "x"}], "deep": _nested(900)},
        "a cost beyond reason": costing(float("1e308")),
        "a cost in words": costing("9" * 5000),
    }


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("document", odd_answers().values(), ids=odd_answers().keys())
async def test_an_odd_answer_blocks_nobody(document: Any, dead: Dead, image_api: ImageApi) -> None:
    """The run works, other scenes are made, its own is not bought again, and its answer is kept."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, document)
    with anyio.fail_after(20):
        ran = await run_stage(dead.settings, scenes(3), dead.folder)
        again = await run_stage(dead.settings, scenes(3), dead.folder)
    mine = only(dead.folder, "s01")

    for each in (ran, again):
        assert {each.code("s02"), each.code("s03")} == {"made"}
        assert each.ending is not None
        assert each.ending.stopped is None
    assert image_api.received("s01") == 0
    if mine.state is not State.PAID:
        assert ran.code("s01") in {"unknown", "pending"}
        assert dead.store.spool.received() == [attempt_id]


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


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOSPC, errno.EMFILE])
async def test_a_disk_that_does_not_read_leaves_the_purchase_open(
    number: int, dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is decided, the other scenes are made, and the next run takes it in."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, answer_with_picture())

    def load(folder: Path, *more: Any) -> Any:
        if folder.name == attempt_id:
            raise OSError(number, os.strerror(number))
        return load_reply(folder, *more)

    with monkeypatch.context() as broken:
        broken.setattr(drive, "load_reply", load)
        ran = await run_stage(dead.settings, scenes(2), dead.folder)
    found = states(dead.folder, "s01")
    after = await run_stage(dead.settings, scenes(2), dead.folder)

    assert (ran.code("s01"), ran.code("s02")) == ("storage", "made")
    assert found == [State.SENDING]
    assert after.outcomes["s01"].reused
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


async def test_a_stored_picture_survives_whatever_its_address_says_later(
    dead: Dead, image_api: ImageApi
) -> None:
    """The run died after storing it; a page at the address must not be written over the object."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, address(image_api))
    fetched = dead.store.spool.folder_of(attempt_id) / "fetched"
    fetched.write_bytes(PICTURE)
    kept = dead.store.save(fetched, inspect_file(fetched, max_pixels=1 << 20))
    fetched.unlink()  # it may be the object by another name
    fetched.write_bytes(PICTURE[:100])  # a power cut has damaged the name that was not synced
    image_api.visit_always(Page(200))
    ran = await run_stage(dead.settings, scenes(1), dead.folder)

    assert ran.code("s01") == "pending"
    assert states(dead.folder) == [State.SENDING]
    assert image_api.received() == 0
    assert kept.read_bytes() == PICTURE


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


async def test_a_stop_is_heard_while_recovery_is_under_way(dead: Dead, image_api: ImageApi) -> None:
    """Soon, though the story has nothing else, and an address hangs."""
    dead.has_received(dead.leaves(), address(image_api))
    image_api.visit_always(Hang())
    stopping, ran = anyio.Event(), Ran()
    took_s: list[float] = []

    async def stop() -> None:
        while not image_api.visits():
            await anyio.sleep(0.01)
        took_s.append(time.monotonic())
        stopping.set()

    with anyio.fail_after(8):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            await run_stage(dead.settings, scenes(1), dead.folder, into=ran, stopping=stopping)
    took_s.append(time.monotonic())

    assert took_s[1] - took_s[0] < 5  # within a second on a machine of one's own
    assert ran.code("s01") == "pending"
    assert states(dead.folder) == [State.SENDING]


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


async def test_what_recovery_finds_billed_for_nothing_is_not_bought_by_the_same_run(
    dead: Dead, image_api: ImageApi
) -> None:
    """Nobody could see it yet; the next run may."""
    dead.has_received(dead.leaves(), {"data": [], "usage": {"cost": 0.03}})
    ran = await run_stage(dead.settings, scenes(2), dead.folder)
    seen = states(dead.folder, "s01")
    after = await run_stage(dead.settings, scenes(2), dead.folder)

    assert (ran.code("s01"), ran.code("s02")) == ("no_picture", "made")
    assert seen == [State.PAID_BAD]
    assert after.code("s01") == "made"
    assert states(dead.folder, "s01") == [State.PAID_BAD, State.PAID]


async def test_the_damage_of_a_power_cut_is_unknown(dead: Dead, image_api: ImageApi) -> None:
    """The receipt says whole, a part is short: kept, counted, and not bought again."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, answer_with_picture())
    part = dead.store.spool.folder_of(attempt_id) / "part-0"
    part.write_bytes(b"\0" * part.stat().st_size)
    ran = await run_stage(dead.settings, scenes(1), dead.folder)
    again = await run_stage(dead.settings, scenes(1), dead.folder)

    assert (ran.code("s01"), again.code("s01")) == ("unknown", "unknown")
    assert states(dead.folder) == [State.UNKNOWN]
    assert counted(dead.folder) == HOLD
    assert image_api.received() == 0
    assert dead.store.spool.received() == [attempt_id]


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


async def test_looking_makes_no_dead_run_seem_alive(dead: Dead, image_api: ImageApi) -> None:
    """While somebody looks at the ledger over and over, a run that starts calls nothing busy."""
    dead.has_received(dead.leaves(), answer_with_picture())
    owners = Owners(dead.folder / ".stage3")
    (dead.folder / ".stage3" / "owners").mkdir(exist_ok=True)
    lock = dead.folder / ".stage3" / "owners" / f"{dead.run_id}.lock"
    lock.touch()
    import fcntl

    with lock.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)  # as anybody who looks holds it, for longer
        lives = owners.lives(dead.run_id)
        with anyio.fail_after(5):
            ran = await run_stage(dead.settings, scenes(1), dead.folder)

    assert not lives
    assert ran.outcomes["s01"].reused


async def test_a_scene_that_another_run_has_in_work_is_waited_for(
    dead: Dead, image_api: ImageApi
) -> None:
    """Two calls at once of one program: the second gets the first's picture, and buys nothing."""
    gate = Gate()
    image_api.always(bills(0.05, gate=gate))
    both = Ran(), Ran()

    async def run(ran: Ran) -> None:
        await run_stage(painter(image_api, capacity=1), scenes(3), dead.folder, into=ran)

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, both[0])
            while not image_api.in_flight:
                await anyio.sleep(0.01)
            tasks.start_soon(run, both[1])
            while image_api.in_flight < 2:
                await anyio.sleep(0.01)
            gate.open()

    for ran in both:
        assert {ran.code(one.scene_id) for one in scenes(3).scenes} == {"made"}
    assert image_api.received() == 3
    assert [purchase.state for purchase in purchases(dead.folder)] == [State.PAID] * 3


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
