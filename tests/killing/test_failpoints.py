"""``kill -9`` at every step of a purchase, in a real process against a real service.

Each point is tried at its first calls, in a story of six scenes of which the cap lets five be
bought, three at once. Then the story is run to its end and once more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import Hang, Ok
from tests.fakes.image_api import ImageApi
from tests.heavy import some_of
from tests.killing.chains import Chain, hits, story
from tests.killing.checks import Left
from tests.killing.failpoints import (
    ALL_POINTS,
    FAILPOINTS,
    FETCH_POINTS,
    RECOVERY_POINTS,
    WITH_ALL_IN_HAND,
    Failpoint,
    die,
    point_named,
    wrap,
)
from tests.killing.processes import Servers

SCENES = 6
CAP = 5
BACKENDS = ("trio", "asyncio")


def slug(name: str) -> str:
    """Write a point's name so that a scene can bear it."""
    return name.replace(" ", "-").replace(".", "-")


@pytest.mark.parametrize("point", some_of(FAILPOINTS, every=5), ids=lambda point: point.name)
def test_a_run_killed_at_any_step_pays_nothing_twice_and_loses_no_answer(
    point: Failpoint, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """The next run takes in what came, counts what is unknown, and makes the rest."""

    def die_and_recover(nth: int) -> tuple[Left, Left]:
        chain = Chain(
            servers=servers,
            api=service,
            folder=projects / str(nth),
            scenes=story(f"{slug(point.name)}-{nth}", SCENES),
            cap=CAP,
            backend=BACKENDS[nth % 2],
        )
        return chain.die_at(point.name, nth), chain.to_the_end()

    with ThreadPoolExecutor(point.times) as threads:
        chains = list(threads.map(die_and_recover, range(1, point.times + 1)))

    for death, left in chains:
        assert hits(death, point.leaves), f"it left no purchase with {point.leaves}"
        assert len(left.of(State.UNKNOWN)) == len(death.lost) <= 3
        assert len(left.of(State.UNKNOWN, State.PAID)) == CAP


@pytest.mark.parametrize("point", some_of(RECOVERY_POINTS, every=3), ids=lambda point: point.name)
def test_a_recovery_killed_at_any_step_is_done_again(
    point: Failpoint, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """A run dies over three complete answers and a lost one, the next over its recovery.

    Beside which it buys, so it may leave requests of its own.
    """

    def die_twice_and_recover(nth: int) -> tuple[Left, Left, Left]:
        scenes = story(f"recovery-{slug(point.name)}-{nth}", SCENES)
        service.script(Hang(), scene=scenes[1])
        chain = Chain(
            servers=servers,
            api=service,
            folder=projects / str(nth),
            scenes=scenes,
            cap=CAP,
            capacity=4,
            backend=BACKENDS[nth % 2],
        )
        first = chain.die_at(WITH_ALL_IN_HAND.name, 3)
        return first, chain.die_at(point.name, nth), chain.to_the_end()

    with ThreadPoolExecutor(point.times) as threads:
        chains = list(threads.map(die_twice_and_recover, range(1, point.times + 1)))

    for first, second, left in chains:
        assert (len(first.whole), len(first.lost)) == (3, 1)
        assert hits(second, point.leaves), f"it left no purchase with {point.leaves}"
        assert 1 <= len(left.of(State.UNKNOWN)) <= 2
        assert first.lost <= {one.attempt_id for one in left.of(State.UNKNOWN)}
        assert first.whole <= {one.attempt_id for one in left.of(State.PAID)}
        assert len(left.of(State.UNKNOWN, State.PAID)) == CAP


@pytest.mark.parametrize("point", FETCH_POINTS, ids=lambda point: point.name)
def test_a_run_killed_while_it_fetches_a_picture_fetches_it_again(
    point: Failpoint, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """The answer came whole, and fetching from the address in it costs nothing."""
    for nth in range(1, point.times + 1):
        scenes = story(f"fetch-{slug(point.name)}-{nth}", 3)
        for scene in scenes:
            service.script(Ok(usage=None, url="own", heavy=True), scene=scene)
        chain = Chain(
            servers=servers, api=service, folder=projects / str(nth), scenes=scenes, cap=3
        )
        death, left = chain.die_at(point.name, nth), chain.to_the_end()

        assert hits(death, point.leaves), f"it left no purchase with {point.leaves}"
        assert len(left.of(State.UNKNOWN)) == len(death.lost)


IN_ORDER = (
    "hold commit.after",
    "folder.after",
    "request.before",
    "head.after",
    "end.after",
    "reading.before",
    "file on disk.after",
    "link.after",
    "rename.after",
    "name on disk.after",
    "settle commit.after",
    "publish.before",
    "copy.after",
    "tidy.before",
    "outcome.after",
)
"""What must be true before what."""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mutations", [(), ("paid_before_kept",)], ids=["whole", "broken"])
def test_a_purchase_goes_its_steps_in_order(
    mutations: tuple[str, ...],
    backend: str,
    servers: Servers,
    service: ImageApi,
    projects: Path,
) -> None:
    """A killed process loses no unsynced file, so that syncing comes first is shown by order."""
    chain = Chain(
        servers=servers,
        api=service,
        folder=projects,
        scenes=story(f"order-{backend}-{len(mutations)}", 3),
        cap=3,
        capacity=1,
        backend=backend,
        mutations=mutations,
    )
    chain.run(trace=IN_ORDER)
    traced = (projects / "trace").read_text("utf-8").splitlines()
    # A folder's name is synced up to the state folder when the first picture comes into it.
    steps = tuple(step for step, before in pairwise([*traced, ""]) if step != before)

    # The ledger's name and that of its folder are on the disk before anything is held or sent, and
    # so is the word by which the folder's own runs are known.
    first = ("name on disk.after", "file on disk.after", "name on disk.after")
    assert (steps == (*first, *IN_ORDER * 3)) is (not mutations)


@pytest.mark.parametrize("name", ["held.after", "request sent.before", "end.before", "keep.after"])
def test_a_lost_request_is_sent_once_more_where_the_settings_say_so(
    name: str, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """Twice the same death: the first is written off and sent again, the second waits."""
    point = point_named(name)
    chain = Chain(
        servers=servers,
        api=service,
        folder=projects,
        scenes=story(f"resend-{slug(name)}", 1),
        cap=2,
        capacity=1,
        settings={"on_unknown": "resend"},
    )
    first = chain.die_at(name)
    second = chain.die_at(name)
    left = chain.to_the_end()

    lost = len(first.lost)
    assert lost == (point.leaves == "no answer")
    assert len(second.of(State.WROTE_OFF)) == len(left.of(State.WROTE_OFF)) == lost
    assert len(left.of(State.UNKNOWN)) == lost
    assert len(left.of(State.PAID)) == 1 - lost


def test_a_point_that_is_not_there_any_more_is_an_error() -> None:
    """Otherwise a renamed step would be killed nowhere, and every test would stay green."""
    for target in (
        "stage3_plugin.storage.pictures:Pictures.gone",
        "stage3_plugin.storage.pictures:gone",
    ):
        with pytest.raises(AttributeError, match="gone"):
            wrap(target, "before", die)


def test_every_point_has_a_name_of_its_own() -> None:
    """A run is told its point by name."""
    assert [point_named(point.name) for point in ALL_POINTS] == list(ALL_POINTS)
