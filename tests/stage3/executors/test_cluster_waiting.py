"""How long is waited for a cluster, and what people are told: in virtual time, without any."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
import trio
import trio.testing

from stage3_plugin.errors import WorkUnusable
from stage3_plugin.executors import ray
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.child import Line
from stage3_plugin.executors.messages import Said


class Roomless(ray.Ray):
    """A cluster that has no room for any replica."""

    async def _started(self, _number: int, /) -> NoReturn:
        await anyio.sleep_forever()
        raise AssertionError


class Frozen(Line):
    """How a replica is spoken with whose node froze when it had its place."""

    def __init__(self) -> None:
        """It has no process, and nothing is sent."""

    @property
    def is_alive(self) -> bool:
        return True

    def how_it_went(self) -> NoReturn:
        raise AssertionError

    async def ask(self, head: Said, parts: Sequence[bytes] = ()) -> Said:  # noqa: ARG002 - a stand-in
        await anyio.sleep_forever()
        raise AssertionError

    def kill_now(self) -> None:
        """It hears nothing."""

    async def kill(self) -> None:
        """Likewise."""


class Freezing(ray.Ray):
    """A cluster whose nodes freeze as soon as they are to do anything."""

    tries = 0

    async def _started(self, _number: int, /) -> Line:
        self.tries += 1
        return Frozen()


@pytest.fixture(autouse=True)
def _as_if_there_were_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", sys)


def test_a_node_that_freezes_while_a_replica_is_made_is_no_end(tmp_path: Path) -> None:
    """Another is tried; a class that is never made is given up all the same."""

    async def main() -> tuple[int, float]:
        options = ray.RayOptions(address="local", start_s=100)
        async with Freezing(Work(target="a:b"), options, surroundings=Surroundings()) as pool:
            began_s = anyio.current_time()
            with pytest.raises(WorkUnusable, match="not made within start_s, 100 s"):
                await pool.run(b"", tmp_path / "none")
            return pool.tries, anyio.current_time() - began_s

    tries, waited_s = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    assert tries == 2
    assert waited_s == pytest.approx(200)


def test_people_are_told_of_a_wait_after_a_while_and_now_and_then(tmp_path: Path) -> None:
    """After thirty seconds, not at once; again every five minutes; not where nobody waits."""
    told: list[tuple[int, str]] = []

    async def main() -> None:
        began_s = anyio.current_time()

        def tell(sentence: str) -> None:
            told.append((round(anyio.current_time() - began_s), sentence))

        surroundings = Surroundings(tell=tell)
        options = ray.RayOptions(address="local", replicas=16)
        async with Roomless(Work(target="a:b"), options, surroundings=surroundings) as pool:
            with anyio.move_on_after(700):
                async with anyio.create_task_group() as tasks:
                    for number in range(3):
                        tasks.start_soon(pool.run, b"", tmp_path / str(number))
            await anyio.sleep(1_000)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    assert {sentence.partition(": ")[0] for _, sentence in told} == {"waiting for 3 of 16 replicas"}
    assert [at_s for at_s, _ in told] == pytest.approx([31, 331, 631], abs=2)
