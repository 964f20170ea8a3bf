"""Three takes of every scene, whatever was killed when: each is paid once, and none is lost."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from stage3_plugin.domain.states import LIVE, State
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.wire import Asked
from tests.heavy import first_of, further
from tests.killing import checks
from tests.killing.chains import Chain, story
from tests.killing.checks import Left, left_in
from tests.killing.processes import Servers

SCENES, TAKES, CAPACITY = 5, 3, 4
POINTS = (
    "hold commit.before",
    "hold commit.after",
    "request sent.before",
    "end.after",
    "keep.after",
    "settle commit.before",
    "settle commit.after",
    "publish.after",
    "outcome.after",
)


def answer(asked: Asked) -> Ok:
    """Answer after a while that differs from scene to scene."""
    return Ok(usage=None, delay_s=random.Random(asked.prompt).uniform(0, 0.03))


def chain_of(name: str, servers: Servers, api: ImageApi, folder: Path) -> Chain:
    """Begin a story of which three takes are wanted."""
    return Chain(
        servers=servers,
        api=api,
        folder=folder / name,
        scenes=story(f"takes-{name}", SCENES),
        cap=SCENES * TAKES,
        capacity=CAPACITY,
        size="64x64",
    )


def look(chain: Chain) -> Left:
    """See what holds at any time: no take is bought twice, and all that was billed counts."""
    left, told = left_in(chain.folder), chain.told
    live = Counter(one.scene_id for one in left.of(*LIVE))
    for scene in chain.scenes:
        assert live[scene] <= TAKES, f"{scene} has {live[scene]} takes"
        assert told.received[scene] <= TAKES, f"{scene} was sent {told.received[scene]} times"
    checks.check_cap(told, left, chain.cap_microusd)
    checks.check_counters(left)
    return left


def to_the_end(chain: Chain) -> None:
    """Run until nothing is left to do, and once more."""
    outcomes = chain.run(takes=TAKES)["outcomes"]
    assert outcomes is not None
    left, told = look(chain), chain.told
    for death in chain.deaths:
        checks.check_recovered(death, left)
    checks.check_answers(left)
    checks.check_spools(left)
    ended = Counter((scene.partition(" ")[0], code) for scene, code in outcomes.items())
    for scene in chain.scenes:
        rows = [one for one in left.purchases.values() if one.scene_id == scene]
        paid = sum(one.state is State.PAID for one in rows)
        unknown = sum(one.state is State.UNKNOWN for one in rows)
        assert paid + unknown == TAKES, f"{scene}: {[one.state for one in rows]}"
        assert ended[scene, "made"] + ended[scene, "reused"] == paid
        assert ended[scene, "unknown"] == unknown
    again = chain.run(takes=TAKES)["outcomes"]
    assert again is not None
    assert "made" not in again.values()
    assert (left_in(chain.folder), chain.told) == (left, told)


@pytest.mark.parametrize("point", first_of(POINTS, "hold commit.after", "settle commit.before"))
def test_a_run_that_dies_at_a_step_loses_no_take(
    point: str, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """At its third call, so that some takes are there and others are under way."""
    service.otherwise = answer
    name = point.replace(" ", "-").replace(".", "-")
    chain = chain_of(name, servers, service, projects)
    chain.die_at(point, 3, takes=TAKES)
    look(chain)
    to_the_end(chain)


@pytest.mark.parametrize("seed", [0, 1, *further(range(2, 12))])
def test_runs_that_die_whenever_it_is_lose_no_take(
    seed: int, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """Alone, or beside another run that wants the same takes."""
    service.otherwise = answer
    chance = random.Random(seed)
    chain = chain_of(f"random-{seed}", servers, service, projects)
    dies = partial(chain.run_in_company, takes=TAKES)
    if seed % 2:
        with ThreadPoolExecutor(1) as threads:
            killed = threads.submit(dies, kill_after_s=chance.uniform(0.02, 0.3))
            survivor = chain.run_in_company(takes=TAKES)
            killed.result()
        assert survivor["outcomes"] is not None
        assert len(survivor["outcomes"]) == SCENES * TAKES
    else:
        for _ in range(2):
            chain.run(takes=TAKES, kill_after_s=chance.uniform(0.02, 0.25))
    look(chain)
    to_the_end(chain)
