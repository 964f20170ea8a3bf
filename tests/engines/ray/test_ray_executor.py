"""Jobs on a real cluster of two nodes: how replicas work, go and come back."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest

from stage3_plugin.errors import JobFailed, NoWorker, StorageFailed, WorkerLost, WorkUnusable
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.child import Child
from stage3_plugin.executors.ray import Ray, RayOptions
from tests.engines.ray_cluster import KEY_ON_NODES, Cluster, heard_elsewhere, running

Pool: TypeAlias = Callable[..., Ray]
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what happens in other processes: on which loop it is waited for makes no difference."""
(SECRET,) = KEY_ON_NODES.values()


@pytest.fixture
def pool(cluster: Cluster) -> Pool:
    """Return what makes a pool of replicas on the cluster."""

    def made(
        replicas: int = 1,
        *,
        address: str = cluster.address,
        timeout_s: float = 30,
        tell: Callable[[str], None] = lambda _sentence: None,
        **said: object,
    ) -> Ray:
        work = Work(
            target="worker_module:make",
            setup=json.dumps(said).encode(),
            path=(str(Path(__file__).parent),),
            most_bytes=1_000_000,
            at_once=int(str(said.get("at_once", 1))),
        )
        surroundings = Surroundings(secrets=(SECRET,), timeout_s=timeout_s, tell=tell)
        return Ray(work, RayOptions(address=address, replicas=replicas), surroundings=surroundings)

    return made


async def have(ray: Ray, into: Path, **job: object) -> bytes:
    """Have one job done and return what was made."""
    await ray.run(json.dumps(job).encode(), into)
    return into.read_bytes()


async def until(is_so: Callable[[], bool], within_s: float = 30) -> None:
    with anyio.fail_after(within_s):
        while not is_so():
            await anyio.sleep(0.02)


def lines(file: Path) -> list[str]:
    return file.read_text("utf-8").split() if file.exists() else []


@ON_ASYNCIO
@pytest.mark.anyio
async def test_what_fails_is_that_jobs_alone(pool: Pool, tmp_path: Path) -> None:
    """Raising, something else than bytes, too many of them; and a big one passes."""
    async with pool() as ray:
        for job, words in (
            ({"raise": "out of paint"}, "RuntimeError: out of paint"),
            ({"text": "a picture"}, "made str, and not bytes"),
            ({"bytes": 1_000_001}, "made 1,000,001 bytes, and at most 1,000,000 are taken"),
        ):
            with pytest.raises(JobFailed, match=words):
                await have(ray, tmp_path / "none", **job)
        (tmp_path / "folder").write_bytes(b"no folder")
        with pytest.raises(StorageFailed, match="Not a directory"):
            await have(ray, tmp_path / "folder" / "picture")
        assert len(await have(ray, tmp_path / "big", bytes=1_000_000)) == 1_000_000
    assert not (tmp_path / "none").exists()


@ON_ASYNCIO
@pytest.mark.anyio
async def test_jobs_that_wait_go_together(pool: Pool, tmp_path: Path) -> None:
    """As many as the work takes at once; where one of them kills it, the others do not pay."""
    calls = tmp_path / "calls"
    lost: list[int] = []

    async def perhaps(ray: Ray, number: int, **job: object) -> None:
        try:
            await have(ray, tmp_path / str(number), call=str(calls), **job)
        except WorkerLost:
            lost.append(number)

    async with pool(at_once=3) as ray:
        assert ray.slots == 3
        await have(ray, tmp_path / "first")
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(perhaps, ray, number)
        assert lines(calls) == ["3", "3", "3"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(perhaps, ray, 0)
            tasks.start_soon(partial(perhaps, exit=1), ray, 1)
            tasks.start_soon(perhaps, ray, 2)
    assert lost == [1]


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_replica_that_died_idle_is_replaced_unseen(
    pool: Pool, cluster: Cluster, tmp_path: Path
) -> None:
    """No job fails for it."""
    begun = tmp_path / "begun"

    async with pool() as ray:
        await have(ray, tmp_path / "first", begun=str(begun))
        os.kill(int(lines(begun)[0]), signal.SIGKILL)
        await until(lambda: cluster.replicas() == {})
        assert await have(ray, tmp_path / "next", begun=str(begun)) == b"."
    assert len(set(lines(begun))) == 2


@ON_ASYNCIO
@pytest.mark.anyio
async def test_one_that_takes_too_long_is_ended(
    pool: Pool, cluster: Cluster, tmp_path: Path
) -> None:
    """Its process too; the pool goes on with another."""
    begun = tmp_path / "begun"

    async with pool(timeout_s=0.5) as ray:
        await have(ray, tmp_path / "first")
        with pytest.raises(WorkerLost, match=r"within timeout_s, 0\.5 s"):
            await have(ray, tmp_path / "late", begun=str(begun), sleep_s=60)
        assert await have(ray, tmp_path / "next") == b"."
        assert int(lines(begun)[0]) not in cluster.replicas()


@pytest.mark.anyio
async def test_cancelling_ends_the_replica_at_once(
    pool: Pool, cluster: Cluster, tmp_path: Path
) -> None:
    """The caller does not wait for it, nothing is left of the job, and the next one is done."""
    begun = tmp_path / "begun"
    since, driver = 0.0, 0

    async with pool() as ray:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: have(ray, tmp_path / "none", begun=str(begun), sleep_s=60))
                await until(lambda: len(lines(begun)) == 1)
                (driver,) = ray.process_ids
                since = time.monotonic()
                scope.cancel()
        assert time.monotonic() - since < 5
        await until(lambda: int(lines(begun)[0]) not in cluster.replicas(), within_s=15)
        assert await have(ray, tmp_path / "next") == b"."
        assert ray.process_ids == {driver}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "next"]


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_work_that_cannot_be_made_is_said_so(pool: Pool, tmp_path: Path) -> None:
    """Of every job, and not until for ever: it raises, or it ends its process."""
    async with pool(2, **{"raise": "no weights"}) as ray:
        with pytest.raises(WorkUnusable, match="RuntimeError: no weights"):
            await have(ray, tmp_path / "none")
        with pytest.raises(WorkUnusable, match="RuntimeError: no weights"):
            await have(ray, tmp_path / "none")
    async with pool(exit=3) as ray:
        with pytest.raises(WorkUnusable, match=r"the replica is gone \(.*\) while it was made"):
            await have(ray, tmp_path / "none")


@pytest.mark.anyio
async def test_the_driver_of_the_cluster_may_die(
    pool: Pool, cluster: Cluster, tmp_path: Path
) -> None:
    """What it had under way is lost, its replicas go with it, and the next job starts another."""
    begun = tmp_path / "begun"

    async def is_lost(ray: Ray) -> None:
        with pytest.raises(WorkerLost, match="that speaks with the cluster is gone"):
            await have(ray, tmp_path / "lost", begun=str(begun), sleep_s=60)

    async with pool() as ray:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(is_lost, ray)
            await until(lambda: len(lines(begun)) == 1)
            (driver,) = ray.process_ids
            os.kill(driver, signal.SIGKILL)
        assert await have(ray, tmp_path / "next") == b"."
        assert int(lines(begun)[0]) not in cluster.replicas()


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_driver_that_is_frozen_is_given_up(
    pool: Pool, cluster: Cluster, tmp_path: Path
) -> None:
    """After ``timeout_s`` and a moment; the next job starts another."""
    async with pool(timeout_s=2) as ray:
        await have(ray, tmp_path / "first")
        (driver,) = ray.process_ids
        os.kill(driver, signal.SIGSTOP)
        with pytest.raises(WorkerLost, match=r"within timeout_s, 2 s"):
            await have(ray, tmp_path / "lost")
        assert await have(ray, tmp_path / "next") == b"."
        assert ray.process_ids.isdisjoint({driver})
    assert not Path(f"/proc/{driver}").exists()
    assert not (tmp_path / "lost").exists()


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_driver_that_dies_over_a_connection_leaves_none_open(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another is started, and the end that was kept here is closed: a warning would say so."""
    hand_over, died = Child.hand_over, list[int]()

    async def over_it(self: Child, connection: socket.socket) -> None:
        if not died:
            died.append(self.process.pid)
            self.process.kill()
            await self.process.wait()
        await hand_over(self, connection)

    monkeypatch.setattr(Child, "hand_over", over_it)
    async with pool() as ray:
        assert await have(ray, tmp_path / "made") == b"."
        assert ray.process_ids.isdisjoint(died)
    gc.collect()


@ON_ASYNCIO
@pytest.mark.anyio
async def test_replicas_get_no_key(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the names that it has here, if a node has it; a cluster of ours never gets it."""
    monkeypatch.setenv("ACME_KEY", SECRET)
    monkeypatch.setenv("ACME_URL", f"https://user:{SECRET}@acme.example")
    monkeypatch.setenv("ACME_PLACE", "the harbour")

    async with pool() as ray:
        on_a_node = json.loads(await have(ray, tmp_path / "on_a_node", environ=True))
    async with pool(address="local") as ray:
        environ: dict[str, str] = json.loads(await have(ray, tmp_path / "is", environ=True))
        (driver,) = ray.process_ids
        its_own = Path(f"/proc/{driver}/environ").read_bytes().decode()
        elsewhere = heard_elsewhere(driver)
    assert "ACME_KEY" not in on_a_node
    assert environ["ACME_PLACE"] == "the harbour"
    assert not {"ACME_KEY", "ACME_URL"} & set(environ)
    assert SECRET not in its_own + json.dumps(environ)
    assert environ["RAY_AUTH_TOKEN"] != os.environ["RAY_AUTH_TOKEN"]
    assert elsewhere == []


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_cluster_that_is_not_there_or_lets_nobody_in(
    pool: Pool, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is named with its address; nothing is waited for."""
    async with pool(address="127.0.0.1:9") as ray:
        with pytest.raises(NoWorker, match=r"at 127\.0\.0\.1:9 .*: ConnectionRefused"):
            await have(ray, tmp_path / "none")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another-token-than-the-one-of-the-cluster")
    async with pool() as ray:
        with pytest.raises(NoWorker, match=r"none answers at .* that this machine may join"):
            await have(ray, tmp_path / "none")


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_frozen_node_is_given_up(pool: Pool, cluster: Cluster, tmp_path: Path) -> None:
    """After ``timeout_s``; the others go on, and leaving does not wait for it."""
    begun = tmp_path / "begun"
    lost: list[str] = []
    node = cluster.nodes[0]

    async def perhaps(ray: Ray, number: int) -> None:
        try:
            await have(ray, tmp_path / str(number), begun=str(begun), sleep_s=2)
        except WorkerLost as error:
            lost.append(error.how)

    try:
        async with pool(4, timeout_s=6) as ray:
            async with anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(perhaps, ray, number)
                await until(lambda: len(lines(begun)) == 4)
                cluster.freeze(node)
            assert len(lost) == 2
            for number in range(4, 8):
                assert await have(ray, tmp_path / str(number)) == b"."
            since = time.monotonic()
        assert time.monotonic() - since < 15
    finally:
        cluster.remove(node)
        await anyio.to_thread.run_sync(cluster.add, 2)


@ON_ASYNCIO
@pytest.mark.anyio
async def test_a_head_that_is_lost_takes_nobody_with_it(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray ends its driver's process for that; ours lives, and says what is lacking."""
    begun = tmp_path / "begun"
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")  # and not 60
    with running() as short:
        short.add(1)
        async with pool(address=short.address) as ray:
            await have(ray, tmp_path / "first", begun=str(begun))
            (driver,) = ray.process_ids
            short.lose_head()
            await until(lambda: not Path(f"/proc/{driver}").exists())
            with suppress(WorkerLost, NoWorker):  # it is gone a moment before its end is known
                await have(ray, tmp_path / "none")
            with pytest.raises(NoWorker, match="none answers at"):
                await have(ray, tmp_path / "none")
