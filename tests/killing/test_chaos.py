"""A fault in every fifth step, on every provider, with kills: the books agree to the cent.

What is lost in between is decided by a person, who has the vendor's books. In the end the ledger
has as many millionths of a dollar as the vendor has billed, scene by scene, and every picture is
there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.maintenance.resolve import Decision, resolve
from stage3_plugin.maintenance.state_folder import StateFolder
from stage3_plugin.testing.queues import Queued
from tests.heavy import further, some_of
from tests.killing.checks import Left, check_pictures
from tests.killing.processes import Servers
from tests.killing.studio import SETTINGS, Studio, counted, open_studio
from tests.killing.weather import Weather

SCENES = 12
MOST_RUNS = 6
SETTLED = (State.PAID, State.PAID_BAD, State.WROTE_OFF)


def trials() -> Iterator[Any]:
    """Yield some providers; the others, and further seeds, are left to who has more time."""
    yield from some_of([(name, 1) for name in SETTINGS], every=4)
    for name in SETTINGS:
        yield from further((name, seed) for seed in range(2, 7))


def decide_by_the_books(studio: Studio, left: Left) -> None:
    """Be the person who looks up at the vendor what was billed, for all that is unknown.

    What a vendor has accepted is unknown only where it has forgotten it itself: trouble in between
    changes nothing of it.
    """
    unknown = left.of(State.UNKNOWN)
    assert {one.job_id for one in unknown if one.job_id is not None} <= studio.forgotten
    folder = StateFolder(studio.chain.folder / "state")
    later = datetime.now(UTC) + timedelta(days=1)
    missing = Counter(studio.billed)
    missing.subtract(counted(left.of(*SETTLED)))
    for one in unknown:
        ids, microusd = [one.attempt_id], missing.pop(one.scene_id, 0)
        if microusd > 0:
            resolve(folder, ids, Decision.BILLED, now=later, cost_microusd=microusd)
        else:
            resolve(folder, ids, Decision.NOT_BILLED, now=later)


@pytest.mark.parametrize("name, seed", list(trials()))
def test_books_agree_after_trouble_and_kills(
    name: str, seed: int, servers: Servers, projects: Path
) -> None:
    """Whatever was lost, and wherever the runs died."""
    chance = random.Random(f"{name} {seed}")
    backend = chance.choice(("asyncio", "trio"))
    with open_studio(name, seed, servers, projects, scenes=SCENES, backend=backend) as studio:
        weather = Weather(chance, has_queue=studio.has_queue)
        studio.api.trouble = weather
        if weather.has_queue:
            studio.api.queue.plan = Queued(polls=1)
        for _ in range(2):
            at = chance.randint(1, SCENES)
            studio.die_after(at if studio.chain.kills else min(at, 2))  # a run may end before it
            studio.look()
            studio.run()
            decide_by_the_books(studio, studio.look())
        weather.is_fair = True
        told: set[str] = set()
        for _ in range(MOST_RUNS):
            told = set((studio.run()["outcomes"] or {"": "killed"}).values())
            left = studio.look()
            decide_by_the_books(studio, left)
            if told == {"reused"}:
                break
        left = studio.look()
    print(f"{weather.met} in {studio.chain.kills} kills; {left.committed_microusd} micro-USD")

    assert told == {"reused"}
    assert counted(left.purchases.values()) == studio.billed
    assert left.committed_microusd == studio.billed.total()
    assert sum(weather.met.values()) > 0
    assert studio.chain.kills > 0
    check_pictures(studio.chain.folder, left)
