"""``kill -9`` at every step of a job, from its acceptance to its picture, in one run or in two.

One scene at a time is bought at fal's queue, so that nothing else is on its way when a run dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from tests.killing.chains import Chain, hits, story
from tests.killing.checks import Left
from tests.killing.conftest import AT_ONCE
from tests.killing.failpoints import JOB_POINTS, Failpoint
from tests.killing.processes import Servers

SCENES = 2
BACKENDS = ("trio", "asyncio")
SETTINGS = {"provider": "fal", "model": "fal-ai/flux-2/turbo"}


@pytest.fixture(scope="module")
def queue_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=FalDialect()) as api:
        api.queue.plan = Queued(polls=1)
        yield api


def test_a_job_survives_every_death_of_its_run_and_of_the_next(
    servers: Servers, queue_api: ImageApi, projects: Path
) -> None:
    """Nothing is bought twice, nothing is unknown, and every picture is there in the end."""

    def die_and_recover(number_and_point: tuple[int, Failpoint]) -> tuple[Failpoint, Left, Left]:
        number, point = number_and_point
        chain = Chain(
            servers=servers,
            api=queue_api,
            folder=projects / str(number),
            scenes=story(f"job-{number}", SCENES),
            cap=SCENES,
            capacity=1,
            size="64x64",
            settings=SETTINGS,
            backend=BACKENDS[number % 2],
        )
        death = chain.die_at(point.name, hurry=50.0)
        if death.of(State.ACCEPTED):  # the next run dies there, too, if it has that step to take
            chain.run(failpoint=point.name, hurry=50.0, scenes=chain.scenes[:1])
        kills.append(chain.kills)
        return point, death, chain.to_the_end(hurry=50.0)

    kills = list[int]()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        chains = list(threads.map(die_and_recover, enumerate(JOB_POINTS)))

    assert kills.count(2) >= 4
    for point, death, left in chains:
        assert hits(death, point.leaves), f"{point.name} left no purchase with {point.leaves}"
        assert {one.state for one in left.purchases.values()} == {State.PAID}, point.name
        assert len(left.purchases) == SCENES, point.name
