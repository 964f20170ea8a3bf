"""A fault in every third step of batches, at both vendors, with kills: the books agree to the cent.

Every step has faults of its own: the upload, the create, the looks, the listing and the files of
results. What is lost in between is decided by a person, who has the vendor's books.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.testing.batch_plans import Batched, Line
from tests.heavy import further
from tests.killing.checks import Left, check_pictures
from tests.killing.processes import Servers
from tests.killing.studio import counted, open_studio
from tests.killing.test_chaos import decide_by_the_books
from tests.killing.weather import Weather

SCENES = 16
ROUNDS = 3
MOST_RUNS = 12
EVERY = 3
ENDS = (Line(ends="refused"), Line(ends="failed"), Line(ends="empty"))
TERMS = {"settle_s": 0.05, "most_lines": 3}


def trials() -> Iterator[Any]:
    """Yield one seed; further ones, and the other vendor, are left to who has more time."""
    yield "openai", 1
    yield from further([("gemini", 1)])
    for name in ("openai", "gemini"):
        yield from further((name, seed) for seed in range(2, 7))


def decided(left: Left) -> set[str | None]:
    """Return the batches whose files are evidence: a person has decided about a line."""
    return {one.batch for one in left.purchases.values() if one.decided_by == "user"}


@pytest.mark.parametrize("name, seed", list(trials()))
def test_books_agree_after_trouble_with_batches(
    name: str, seed: int, servers: Servers, projects: Path
) -> None:
    """Whatever was lost, expired, cut or said twice, and wherever the runs died."""
    chance = random.Random(f"{name} {seed} in batches")
    backend = chance.choice(("asyncio", "trio"))
    with open_studio(
        name,
        seed,
        servers,
        projects,
        scenes=SCENES,
        backend=backend,
        settings={"lane": "batch"},
        terms=TERMS,
    ) as studio:
        weather = Weather(chance, has_queue=False, every=EVERY)
        studio.api.trouble = weather
        studio.api.batches.plan = Batched(polls=1)
        for scene in chance.sample(studio.chain.scenes, 4):
            studio.api.batches.script_line(chance.choice(ENDS), scene=scene)
        for _ in range(ROUNDS):
            at = chance.randint(1, SCENES)
            studio.die_after(at if studio.chain.kills else min(at, 2))  # a run may end before it
            studio.look()
            studio.run()
            decide_by_the_books(studio, studio.look())
        weather.is_fair = True
        told: set[str] = set()
        for _ in range(MOST_RUNS):
            told = set((studio.run()["outcomes"] or {"": "killed"}).values())
            decide_by_the_books(studio, studio.look())
            if told == {"reused"}:
                break
        left = studio.look()
    print(f"{weather.met} in {studio.chain.kills} kills; {left.committed_microusd} micro-USD")

    assert told == {"reused"}
    assert counted(left.purchases.values()) == studio.billed
    assert left.committed_microusd == studio.billed.total()
    assert {"upload", "create"} & weather.met.keys()
    assert studio.chain.kills > 0
    assert studio.api.received() == 0, "something was bought at the ordinary price"
    assert left.spooled <= left.purchases.keys() | decided(left), "a batch that is over left files"
    check_pictures(studio.chain.folder, left)
