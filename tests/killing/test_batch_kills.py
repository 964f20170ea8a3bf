"""``kill -9`` at every step of a batch: no line is bought twice, and none that ran is lost.

A chain is one story in two or three batches that is killed three times, after some exchange or at
some step, and then run until nothing is left to do. Whatever has become of a create whose answer a
kill has lost is found by its label, or proved absent, so in the end nothing is unknown.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import LIVE, State
from stage3_plugin.testing.batch_plans import Batched
from tests.heavy import further, some_of
from tests.killing.chains import hits
from tests.killing.checks import Left, check_pictures
from tests.killing.failpoints import BATCH_POINTS, Failpoint
from tests.killing.processes import Servers
from tests.killing.studio import Studio, counted, open_studio

VENDORS = ("openai", "gemini")
SCENES = 8
MOST_LINES = 3
KILLS_OF_A_CHAIN = 3
MOST_CHAINS = 100
TERMS = {"settle_s": 0.05, "most_lines": MOST_LINES}
PATIENCE_S = 90.0
BATCHED = {"lane": "batch"}


def trials() -> Iterator[Any]:
    """Yield one vendor with six kills; the other, and many, are left to who has more time."""
    yield from some_of([(name, 6) for name in VENDORS], every=len(VENDORS))
    yield from further((name, 60) for name in VENDORS)


def begun(left: Left) -> bool:
    """Return whether there is a line whose create may have left."""
    return bool(left.of(State.SENDING, State.ACCEPTED))


def to_the_end(studio: Studio) -> Left:
    """Run until every scene has been delivered, and see that nothing was bought in vain."""
    told: set[str] = set()
    deadline = time.monotonic() + PATIENCE_S
    while told != {"reused"} and time.monotonic() < deadline:
        told = set((studio.run()["outcomes"] or {"": "killed"}).values())
    left = studio.look()
    ran = Counter(line.prompt.partition(":")[0] for line in studio.api.batches.lines if line.ran)

    assert told == {"reused"}
    assert ran == Counter(studio.chain.scenes), "a line ran twice, or never"
    assert {one.state for one in left.of(*LIVE)} == {State.PAID}
    assert len(left.of(State.PAID)) == len(studio.chain.scenes)
    assert counted(left.purchases.values()) == studio.billed
    spool = studio.chain.folder / "state" / "spool"
    full = {one for one in left.spooled if any((spool / one).iterdir())}
    assert not full, "something is left of a batch that is over"  # an empty folder goes later
    assert studio.api.received() == 0, "something was bought at the ordinary price"
    check_pictures(studio.chain.folder, left)
    return left


def kill_and_recover(studio: Studio, chance: random.Random) -> int:
    """Kill a story while its batches are made, run it to its end, and count the kills that hit.

    Some of the processes that die buy nothing: they stay for what earlier ones have left.
    """
    studio.api.batches.plan = Batched(polls=chance.randint(0, 2))
    hits = 0
    for number in range(KILLS_OF_A_CHAIN):
        stays = number > 0 and chance.random() < 0.3
        if chance.random() < 0.5:
            ended = studio.die_after(chance.randint(1, 12), stays=stays)
        else:
            point = chance.choice(BATCH_POINTS)
            nth = chance.randint(1, point.times)
            ended = studio.run(failpoint=point.name, nth=nth, stays=stays)
        hits += ended["killed"] and begun(studio.look())
    to_the_end(studio)
    return hits


@pytest.mark.parametrize("name, kills", list(trials()))
def test_a_kill_loses_no_line(name: str, kills: int, servers: Servers, projects: Path) -> None:
    """Every scene is delivered, each of its lines ran once, and the ledger has what was billed."""
    hits = seed = 0
    while hits < kills:
        assert seed < MOST_CHAINS, f"in {seed} chains only {hits} kills met a batch"
        chance = random.Random(f"{name} {seed}")
        backend = chance.choice(("asyncio", "trio"))
        with open_studio(
            name,
            seed,
            servers,
            projects,
            scenes=SCENES,
            backend=backend,
            settings=BATCHED,
            terms=TERMS,
        ) as studio:
            hits += kill_and_recover(studio, chance)
        seed += 1
    print(f"{name}: {hits} kills met batches in {seed} chains")


TELLING = ("create sent.before", "batch commit.before", "claim.after", "line commit.after")
"""Where a protocol that is broken shows soonest: these are tried by a full run."""


def steps() -> Iterator[Any]:
    """Yield every step of a batch, at one vendor or the other; most are left, as ever."""
    assert set(TELLING) <= {point.name for point in BATCH_POINTS}
    for number, point in enumerate(BATCH_POINTS):
        case = (VENDORS[number % 2], point)
        yield from [case] if point.name in TELLING else further([case])


@pytest.mark.parametrize("name, point", list(steps()))
def test_a_batch_survives_every_death_of_its_run_and_of_the_next(
    name: str, point: Failpoint, servers: Servers, projects: Path
) -> None:
    """At the same step twice, if the next run has it to take; in the end all is there, once."""
    number = BATCH_POINTS.index(point)
    backend = ("trio", "asyncio")[number // 2 % 2]
    with open_studio(
        name,
        number,
        servers,
        projects,
        scenes=4,
        backend=backend,
        settings=BATCHED,
        terms=TERMS,
    ) as studio:
        studio.api.batches.plan = Batched(polls=0)
        if point.name.startswith("lines settled"):  # something has to lack
            late = Batched(polls=0, ends="expired", done=1, tells_expired=False)
            studio.api.batches.script(late, times=2)
        ended = studio.run(failpoint=point.name)
        if not ended["killed"]:  # what a run sends, it does not wait for: the next takes it in
            ended = studio.run(failpoint=point.name)
        death = studio.look()
        studio.run(failpoint=point.name)
        studio.look()
        to_the_end(studio)

    assert ended["killed"], f"{point.name!r} was never reached"
    assert hits(death, point.leaves), f"it left no purchase with {point.leaves}"
