"""``kill -9`` at random moments of a normal run, until so many have hit.

A chain is one story of forty scenes that is killed once or twice, hundredths of a second after it
began, and then run to its end and once more. In a quarter of the chains another run is at the same
story at that time. Half of the stories may not all be bought. A seed gives the same plan of kills
again, if not the same moment to the microsecond.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.wire import Asked
from tests.killing.chains import Chain, story
from tests.killing.conftest import AT_ONCE, KILLS
from tests.killing.processes import Servers

SCENES = 40
CAPACITY = 8
LONGEST_ANSWER_S = 0.04
ALLOWED_BESIDE_ANOTHER = {"made", "reused", "busy", "unknown", "budget", "not_tried"}
BATCH = 10
"""Kills of one test."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the kills that were asked for, and the seed of the first."""

    kills: int
    seed: int

    def __str__(self) -> str:
        return f"{self.kills} from seed {self.seed}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cut the kills that were asked for into tests."""
    option: Any = metafunc.config.option
    kills: int = getattr(option, "kills", KILLS)  # not there if pytest was given another folder
    first: int = getattr(option, "kill_seed", 0)
    if "batch" in metafunc.fixturenames:
        batches = [
            Batch(min(BATCH, kills - begun), first + 1000 * begun)
            for begun in range(0, kills, BATCH)
        ]
        metafunc.parametrize("batch", batches, ids=str)


def answer(asked: Asked) -> Ok:
    """Answer after a while that differs from scene to scene, whoever asks when."""
    return Ok(usage=None, delay_s=random.Random(asked.prompt).uniform(0, LONGEST_ANSWER_S))


@pytest.fixture
def unsteady(service: ImageApi) -> ImageApi:
    """Return the service with answers that take their time."""
    service.otherwise = answer
    return service


def kill_and_recover(seed: int, servers: Servers, api: ImageApi, folder: Path) -> tuple[int, int]:
    """Kill a story once or twice, bring it to its end, and count the kills and what they lost."""
    chance = random.Random(seed)
    cap = chance.choice((SCENES, SCENES * 3 // 4))
    chain = Chain(
        servers=servers,
        api=api,
        folder=folder / str(seed),
        scenes=story(f"random-{seed}", SCENES),
        cap=cap,
        capacity=CAPACITY,
        size="64x64",
        backend=chance.choice(("asyncio", "trio")),
    )
    if chance.random() < 0.25:
        in_company(chain, chance)
    else:
        for longest_s in (0.5, 0.2)[: chance.choice((1, 1, 2))]:
            chain.run(kill_after_s=chance.uniform(0.01, longest_s))
    left = chain.to_the_end()
    kills, unknown = chain.kills, len(left.of(State.UNKNOWN))

    assert unknown <= CAPACITY * kills, "more is unknown than was in flight"
    assert len(left.of(State.PAID, State.UNKNOWN)) == cap
    return kills, unknown


def in_company(chain: Chain, chance: random.Random) -> None:
    """Run the same story twice at the same time, and kill one of the two."""
    kill_after_s = chance.uniform(0.05, 0.5)
    with ThreadPoolExecutor(1) as threads:
        killed = threads.submit(chain.run_in_company, kill_after_s=kill_after_s)
        survivor = chain.run_in_company()
        killed.result()

    assert survivor["outcomes"] is not None
    assert survivor["outcomes"].keys() == set(chain.scenes)
    assert set(survivor["outcomes"].values()) <= ALLOWED_BESIDE_ANOTHER


def test_random_kills(batch: Batch, servers: Servers, unsteady: ImageApi, projects: Path) -> None:
    """Whenever it was, nothing is paid twice and no complete answer is lost."""

    def kill(seed: int) -> tuple[int, int]:
        return kill_and_recover(seed, servers, unsteady, projects)

    seeds = count(batch.seed)
    kills = unknown = chains = 0
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while kills < batch.kills:  # a run that had ended before its kill was none
            some = [next(seeds) for _ in range(min(AT_ONCE, batch.kills - kills))]
            for seed, (hit, lost) in zip(some, threads.map(kill, some), strict=True):
                print(f"seed {seed}: {hit} kills, {lost} unknown")
                kills, unknown, chains = kills + hit, unknown + lost, chains + 1
    print(f"{kills} kills in {chains} chains, {unknown} unknown of {chains * SCENES} scenes")

    assert kills >= batch.kills
