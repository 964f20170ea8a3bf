"""What people are told while a cluster has no room: in virtual time, with no cluster at all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
import trio
import trio.testing

from stage3_plugin.executors import ray
from stage3_plugin.executors.base import Surroundings, Work


class Roomless(ray.Ray):
    """A cluster that has no room for any replica."""

    async def _started(self, _number: int, /) -> NoReturn:
        await anyio.sleep_forever()
        raise AssertionError


def test_people_are_told_of_a_wait_after_a_while_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After thirty seconds, not at once; again every five minutes; not where nobody waits."""
    monkeypatch.setitem(sys.modules, "ray", sys)  # as good as installed
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
