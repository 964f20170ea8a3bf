"""Replicas that are processes: how many, what becomes of their jobs when they die, what is left."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.domain.model import ModelReference, ModelRequest
from stage3_plugin.errors import (
    JobFailed,
    NoWorker,
    StorageFailed,
    WorkerLost,
    WorkUnusable,
)
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.replicas import Replicas, ReplicasOptions
from stage3_plugin.renderers.replica import WORK, job_of, setup_of
from tests.local_models import MARK, MODELS

pytestmark = pytest.mark.anyio


class Pool:
    """What opens replicas of the test's classes, and has pictures rendered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.began = time.monotonic()

    def open(
        self,
        replicas: int = 1,
        *,
        model_class: str = "my_models:Painter",
        at_once: int = 1,
        timeout_s: float = 60.0,
        secrets: tuple[str, ...] = (),
        options: dict[str, Any] | None = None,
        **model_args: Any,
    ) -> Replicas:
        """Return replicas, not started."""
        return Replicas(
            Work(
                target=WORK,
                setup=setup_of(model_class, model_args),
                path=(str(self.folder),),
                at_once=at_once,
            ),
            ReplicasOptions(replicas=replicas, gpus=0, **(options or {})),
            surroundings=Surroundings(secrets=secrets, timeout_s=timeout_s, tell=self.told.append),
        )

    async def render(self, pool: Replicas, name: str, word: str = "paint") -> None:
        """Have one picture rendered."""
        request = ModelRequest(scene_id=name, prompt=word, width_px=8, height_px=8)
        await pool.run(job_of(request), self.folder / f"{name}.png")

    async def all(self, pool: Replicas, words: dict[str, str]) -> dict[str, type[Exception] | None]:
        """Have several rendered at once; return what each raised."""
        raised: dict[str, type[Exception] | None] = {}

        async def one(name: str, word: str) -> None:
            try:
                await self.render(pool, name, word)
            except Exception as error:  # noqa: BLE001 - it is looked at
                raised[name] = type(error)
            else:
                raised[name] = None

        async with anyio.create_task_group() as group:
            for name, word in words.items():
                group.start_soon(one, name, word)
        return raised

    def log(self, name: str) -> list[Any]:
        path = self.folder / f"{name}.log"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def pictures(self) -> list[str]:
        """Name all that lies there beside the logs: pictures, and what should not be there."""
        names = (path.name for path in self.folder.iterdir() if path.is_file())
        return sorted(name for name in names if not name.endswith((".log", ".py")))


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    (tmp_path / "my_models.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(MARK, tmp_path.name)
    return Pool(tmp_path)


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.005)


def children(pool: Pool) -> set[int]:
    """Return the replicas, and what the class has started there."""
    mark = f"{MARK}={pool.folder.name}".encode()
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state = (path / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
            if state != "Z" and mark in (path / "environ").read_bytes():
                found.add(int(path.name))
        except OSError:
            continue
    return found - {os.getpid()}


async def none_left(pool: Pool) -> bool:
    """Wait for what was killed to be gone."""
    with anyio.move_on_after(10):
        while children(pool):
            await anyio.sleep(0.01)
    return not children(pool)


async def test_nothing_starts_before_the_first_job(pool: Pool) -> None:
    """And as many replicas as there is work for."""
    async with pool.open(4) as opened:
        assert opened.slots == 4
        assert opened.process_ids == set()
        await pool.render(opened, "a")
        await pool.render(opened, "b")
        assert len(opened.process_ids) == 1

    assert len(pool.log("made")) == 1


async def test_a_killed_replica_loses_its_own_job_alone(pool: Pool) -> None:
    """It is known at once, another replica is made, and the next picture comes of it."""
    raised: dict[str, type[Exception] | None] = {}
    took_s = 60.0
    async with pool.open(2) as opened, anyio.create_task_group() as group:

        async def go() -> None:
            raised.update(await pool.all(opened, {"a": "hang", "b": "hang"}))

        group.start_soon(go)
        await until(lambda: len(pool.log("rendered")) == 2)
        victim = {name: process_id for name, process_id, _ in pool.log("rendered")}["a"]
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in opened.process_ids)
        took_s = time.monotonic() - began
        await pool.render(opened, "c")
        os.kill(next(pid for name, pid, _ in pool.log("rendered") if name == "b"), 9)

    assert raised == {"a": WorkerLost, "b": WorkerLost}
    assert took_s < 3
    assert pool.pictures == ["c.png"]
    assert await none_left(pool)


async def test_a_replica_is_seen_to_die_though_a_fork_of_it_lives(pool: Pool) -> None:
    """Libraries fork: their processes are no replicas, and keep none in life."""
    async with pool.open() as opened:
        began = time.monotonic()
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await pool.render(opened, "a", "orphan")
        took_s = time.monotonic() - began
        await pool.render(opened, "b")

    assert took_s < 20
    assert pool.pictures == ["b.png"]
    assert await none_left(pool)


async def test_a_fork_that_comes_back_answers_nothing(pool: Pool) -> None:
    """A second answer would be taken for that to the next job."""
    async with pool.open() as opened:
        for name in "abcd":
            await pool.render(opened, name, "fork")
            assert (pool.folder / f"{name}.png").exists()

    assert len({process_id for _, process_id, _ in pool.log("rendered")}) == 1
    assert pool.pictures == ["a.png", "b.png", "c.png", "d.png"]
    assert await none_left(pool)


async def test_a_replica_that_died_idle_is_replaced_unseen(pool: Pool) -> None:
    """No picture fails for it."""
    async with pool.open() as opened:
        await pool.render(opened, "a")
        (process_id,) = opened.process_ids
        os.kill(process_id, signal.SIGKILL)
        await anyio.sleep(0.3)  # the event loop hears of it
        await pool.render(opened, "b")

    assert pool.pictures == ["a.png", "b.png"]


async def test_what_takes_too_long_is_ended_with_all_it_has_started(pool: Pool) -> None:
    """Also where it is stopped, and hears nothing."""
    async with pool.open(timeout_s=0.5) as opened:
        with pytest.raises(WorkerLost, match=r"within timeout_s, 0\.5 s"):
            await pool.render(opened, "a", "hang")
        assert await none_left(pool)
        async with anyio.create_task_group() as group:

            async def lose() -> None:
                with pytest.raises(WorkerLost, match="timeout_s"):
                    await pool.render(opened, "b", "hang")

            group.start_soon(lose)
            await until(lambda: len(pool.log("rendered")) == 2)
            os.kill(pool.log("rendered")[-1][1], signal.SIGSTOP)

    assert pool.pictures == []
    assert await none_left(pool)


async def test_cancelling_ends_the_replica_at_once(pool: Pool) -> None:
    """A model that blocks cannot be told; nothing is left, and the pool goes on."""
    began = 0.0
    async with pool.open() as opened:
        async with anyio.create_task_group() as group:
            group.start_soon(pool.render, opened, "a", "hang")
            await until(lambda: pool.log("rendered"))
            began = time.monotonic()
            group.cancel_scope.cancel()
        took_s = time.monotonic() - began
        assert await none_left(pool)
        await pool.render(opened, "b")

    assert took_s < 2
    assert pool.pictures == ["b.png"]


async def test_a_job_that_waits_is_cancelled_without_harm(pool: Pool) -> None:
    """The one that is being done goes on."""
    async with pool.open(seconds=0.3) as opened, anyio.create_task_group() as group:
        group.start_soon(pool.render, opened, "a")
        await until(lambda: pool.log("rendered"))
        with anyio.move_on_after(0.05):
            await pool.render(opened, "b")

    assert pool.pictures == ["a.png"]
    assert len(pool.log("made")) == 1


async def test_large_references_reach_a_replica_whole(pool: Pool) -> None:
    """Far more than a pipe holds."""
    data = os.urandom(30 << 20)
    request = ModelRequest(
        scene_id="a",
        prompt="paint",
        width_px=8,
        height_px=8,
        references=(ModelReference(data=data, media_type="image/png", name="Mira"),),
    )
    async with pool.open() as opened:
        await opened.run(job_of(request), pool.folder / "a.png")
    ((_, shown, _),) = pool.log("shown")

    assert shown == [["Mira", None, hashlib.sha256(data).hexdigest()]]


async def test_what_is_raised_inside_comes_out_as_it_is(pool: Pool) -> None:
    """And not as a group of one: whoever opens a stage knows its errors by their kind."""

    async def fail() -> None:
        async with pool.open() as opened:
            await pool.render(opened, "a")
            raise ValueError("inside")

    with pytest.raises(ValueError, match=r"^inside$"):
        await fail()

    assert await none_left(pool)


async def test_what_a_class_raises_is_its_pictures_alone(pool: Pool) -> None:
    """The replica lives on, though it printed and read what it should not."""
    async with pool.open(2) as opened:
        words = {"a": "raise", "b": "text", "c": "read", "d": "nothing", "e": "paint"}
        raised = await pool.all(opened, words)
        with pytest.raises(JobFailed) as passing:
            await pool.render(opened, "f", "raise")
        with pytest.raises(JobFailed) as lasting:
            await pool.render(opened, "g", "text")
        made = len(pool.log("made"))

    assert raised == {"a": JobFailed, "b": JobFailed, "c": None, "d": JobFailed, "e": None}
    assert (passing.value.may_pass, lasting.value.may_pass) == (True, False)
    assert made <= 2
    assert pool.pictures == ["c.png", "e.png"]


async def test_a_large_picture_never_reaches_this_process(pool: Pool) -> None:
    """Two gigabytes are refused where they were made, and leave no file."""
    peak = Path("/proc/self/status")

    def peak_kb() -> int:
        line = next(one for one in peak.read_text("utf-8").splitlines() if "VmHWM" in one)
        return int(line.split()[1])

    before = peak_kb()
    async with pool.open() as opened:
        with pytest.raises(JobFailed, match="2,147,483,648 bytes, and at most 67,108,864"):
            await pool.render(opened, "a", "huge")

    assert peak_kb() - before < 50_000
    assert pool.pictures == []


async def test_a_disk_that_does_not_take_it_is_no_fault_of_the_class(pool: Pool) -> None:
    """It is the disk's, and the run is told so."""
    request = ModelRequest(scene_id="a", prompt="paint", width_px=8, height_px=8)
    async with pool.open() as opened:
        with pytest.raises(StorageFailed):
            await opened.run(job_of(request), pool.folder / "missing" / "a.png")
        await pool.render(opened, "b")

    assert len(pool.log("made")) == 1


# Calls of several --------------------------------------------------------------------------------


async def test_pictures_are_rendered_together(pool: Pool) -> None:
    """As many in one call as the class takes; each is whole, or has its own problem."""
    words = {"a": "paint", "b": "alone", "c": "text", "d": "paint"}
    async with pool.open(model_class="my_models:Batched", at_once=4) as opened:
        assert opened.slots == 4
        raised = await pool.all(opened, words)

    assert raised == {"a": None, "b": JobFailed, "c": JobFailed, "d": None}
    assert [sorted(batch) for batch in pool.log("batches")] == [["a", "b", "c", "d"]]
    assert pool.pictures == ["a.png", "d.png"]


async def test_a_call_that_comes_to_nothing_is_done_one_by_one(pool: Pool) -> None:
    """So one picture spoils no other."""
    words = {"a": "paint", "b": "whole", "c": "paint"}
    async with pool.open(model_class="my_models:Batched", at_once=4) as opened:
        raised = await pool.all(opened, words)

    assert raised == {"a": None, "b": None, "c": None}
    assert sorted(map(len, pool.log("batches"))) == [1, 1, 1, 3]


async def test_the_picture_that_kills_a_call_is_lost_alone(pool: Pool) -> None:
    """The others of its call are rendered, each by itself."""
    words = {"a": "paint", "b": "exit", "c": "paint", "d": "paint"}
    async with pool.open(2, model_class="my_models:Batched", at_once=4) as opened:
        raised = await pool.all(opened, words)

    assert raised == {"a": None, "b": WorkerLost, "c": None, "d": None}
    assert pool.pictures == ["a.png", "c.png", "d.png"]
    assert await none_left(pool)


async def test_cancelling_one_of_a_call_leaves_the_others(pool: Pool) -> None:
    """And nothing of the one."""
    scope = anyio.CancelScope()
    async with pool.open(model_class="my_models:Batched", at_once=2, seconds=0.4) as opened:
        async with anyio.create_task_group() as group:
            group.start_soon(pool.render, opened, "a")
            with scope:
                group.start_soon(_cancel_when, scope, lambda: pool.log("batches"))
                await pool.render(opened, "b")
        assert scope.cancelled_caught
        await pool.render(opened, "c")

    assert pool.pictures == ["a.png", "c.png"]
    assert len(pool.log("made")) == 1


async def _cancel_when(scope: anyio.CancelScope, condition: Callable[[], object]) -> None:
    await until(condition)
    scope.cancel()


# What cannot be made -----------------------------------------------------------------------------

UNEVEN = """
import os
class Uneven:
    def __init__(self, bad):
        if os.environ["CUDA_VISIBLE_DEVICES"] in bad:
            raise RuntimeError("out of memory")
    def render(self, request):
        import time; time.sleep(0.1)
        return b"picture"
class Dying:
    def __init__(self):
        with open("dying.log", "a") as log: print(1, file=log)
        os._exit(9)
class Slow:
    def __init__(self):
        import time; time.sleep(1000)
"""


async def test_what_cannot_be_made_is_the_same_for_every_job(pool: Pool) -> None:
    """It is found out once in each place, and every job that waits has the same words."""
    async with pool.open(2, model_class="my_models:Broken") as opened:
        raised = await pool.all(opened, {str(number): "paint" for number in range(8)})
        with pytest.raises(WorkUnusable, match="Broken cannot be made with no model_args: File"):
            await pool.render(opened, "later")
        assert await none_left(pool)

    assert set(raised.values()) == {WorkUnusable}
    assert pool.told == []


async def test_a_place_where_nothing_can_be_made_is_left_empty(pool: Pool) -> None:
    """A GPU that is taken, say: the others do the work, and it is said once."""
    (pool.folder / "uneven.py").write_text(UNEVEN, encoding="utf-8")
    args: dict[str, Any] = {"model_class": "uneven:Uneven", "bad": ["1"]}
    opened = Replicas(
        Work(
            target=WORK,
            setup=setup_of("uneven:Uneven", {"bad": args["bad"]}),
            path=(str(pool.folder),),
        ),
        ReplicasOptions(replicas=3, gpus=1),
        surroundings=Surroundings(tell=pool.told.append),
    )
    async with opened:
        raised = await pool.all(opened, {str(number): "paint" for number in range(9)})

    assert set(raised.values()) == {None}
    assert len(pool.told) == 1
    assert "out of memory; the run goes on with 2 of 3" in pool.told[0]


async def test_one_that_dies_while_it_is_made_is_not_made_for_ever(pool: Pool) -> None:
    """Twice in each place, since it may have been for want of memory."""
    (pool.folder / "uneven.py").write_text(UNEVEN, encoding="utf-8")
    async with pool.open(2, model_class="uneven:Dying") as opened:
        raised = await pool.all(opened, {"a": "paint", "b": "paint", "c": "paint"})

    assert set(raised.values()) == {WorkUnusable}
    assert len(pool.log("dying")) == 4


async def test_one_that_is_never_made_is_given_up(pool: Pool) -> None:
    """After ``start_s``."""
    (pool.folder / "uneven.py").write_text(UNEVEN, encoding="utf-8")
    async with pool.open(model_class="uneven:Slow", options={"start_s": 0.8}) as opened:
        with pytest.raises(WorkUnusable, match=r"was not made within start_s, 0\.8 s"):
            await pool.render(opened, "a")

    assert await none_left(pool)


async def test_no_process_can_be_started(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job says so; the next one may have more luck."""
    async with pool.open() as opened:
        with monkeypatch.context() as patch:
            patch.setattr("sys.executable", "/no/such/python")
            with pytest.raises(NoWorker):
                await pool.render(opened, "a")
        await pool.render(opened, "b")

    assert pool.pictures == ["b.png"]


async def test_half_a_secret_is_not_in_last_words_either(pool: Pool) -> None:
    """Of a line that is longer than what is read, the beginning is not seen."""
    token = "a-token-of-ours-1234"
    async with pool.open(secrets=(token,), token=token) as opened:
        with pytest.raises(WorkerLost, match="status 4") as died:
            await pool.render(opened, "a", "mumble")

    assert "1234" not in str(died.value)
    assert "1234" not in died.value.last_words


async def test_what_prints_without_end_fills_no_disk(pool: Pool) -> None:
    """It is forgotten in the middle of a call, and not only after it."""
    async with pool.open() as opened:
        await pool.render(opened, "a", "chatter")

    ((most_bytes, printed_bytes),) = pool.log("printed")
    assert most_bytes < printed_bytes / 2
