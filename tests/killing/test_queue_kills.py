"""``kill -9`` while jobs are made: what a vendor has accepted is never lost and never bought again.

A chain is one story that is killed three times while its jobs are made, and then run to its end.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.testing.queues import Queued
from tests.heavy import further, some_of
from tests.killing.checks import Left, check_pictures
from tests.killing.processes import Servers
from tests.killing.studio import Studio, open_studio

QUEUES = ("fal", "bfl", "replicate")
SCENES = 8
MADE_IN_S = 0.5
KILLS_OF_A_CHAIN = 3
MOST_CHAINS = 100


def trials() -> Iterator[Any]:
    """Yield one vendor with six kills; the others, and many, are left to who has more time."""
    yield from some_of([(name, 6) for name in QUEUES], every=len(QUEUES))
    yield from further((name, 60 if name == "fal" else 12) for name in QUEUES)


def accepted_of(left: Left) -> set[str]:
    return {one.attempt_id for one in left.of(State.ACCEPTED)}


def sending_of(left: Left) -> set[str]:
    return {one.attempt_id for one in left.of(State.SENDING)}


def kill_and_recover(studio: Studio, chance: random.Random) -> int:
    """Kill a story while its jobs are made, run it to its end, and count the kills that hit one."""
    studio.api.queue.plan = Queued(polls=1, takes_s=MADE_IN_S)
    hits, accepted, sending = 0, set[str](), set[str]()
    for _ in range(KILLS_OF_A_CHAIN):
        ended = studio.die_after(chance.randint(1, 4 * SCENES))
        left = studio.look()
        hits += ended["killed"] and bool(accepted_of(left))
        accepted |= accepted_of(left)
        sending |= sending_of(left)
    studio.run()
    studio.run()
    left = studio.look()
    submits = Counter(asked.prompt for asked in studio.api.asked())

    assert {left.purchases[one].state for one in accepted} <= {State.PAID}
    # VOID is what never left; that it did not is seen in that nothing was submitted twice.
    assert {one.attempt_id for one in left.of(State.UNKNOWN, State.VOID)} <= sending
    assert len(left.of(State.PAID, State.UNKNOWN, State.VOID)) == len(left.purchases)
    assert max(submits.values()) == 1
    check_pictures(studio.chain.folder, left)
    return hits


@pytest.mark.parametrize("name, kills", list(trials()))
def test_a_kill_loses_no_job(name: str, kills: int, servers: Servers, projects: Path) -> None:
    """Nothing is bought twice, nothing accepted is unknown, and every picture is delivered."""
    hits = seed = 0
    while hits < kills:
        assert seed < MOST_CHAINS, f"in {seed} chains only {hits} kills met a job"
        chance = random.Random(f"{name} {seed}")
        backend = chance.choice(("asyncio", "trio"))
        with open_studio(name, seed, servers, projects, scenes=SCENES, backend=backend) as studio:
            hits += kill_and_recover(studio, chance)
        seed += 1
    print(f"{name}: {hits} kills met jobs in {seed} chains")
