"""The checks find a broken protocol: each mutation of it turns the one red that looks at it.

Beside every mutation stands the same story without it, which stays green; so it is the mutation
that is found, and not the way the story is told.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import chain as chain_of
from itertools import count
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.image_api import ImageApi
from tests.killing import checks
from tests.killing.chains import Chain, story
from tests.killing.checks import left_in
from tests.killing.processes import Servers

_NUMBERS = count()


@contextmanager
def red(message: str) -> Generator[None]:
    """Pass only if a check fails with this message."""
    with pytest.raises(AssertionError, match=message):
        yield


@pytest.fixture
def chain(servers: Servers, service: ImageApi, projects: Path) -> Chain:
    """Return a story of six scenes."""
    name = f"mutation-{next(_NUMBERS)}"
    return Chain(servers=servers, api=service, folder=projects, scenes=story(name, 6), cap=4)


@pytest.mark.parametrize("mutations", [(), ("journal_after_send",)], ids=["whole", "broken"])
def test_journal_after_send(chain: Chain, mutations: tuple[str, ...]) -> None:
    """A request that left before its row was durable is billed and nowhere written down."""
    chain.mutations = mutations
    chain.cap = 9  # what is not written down does not count either, so no cap would stop it
    death = chain.die_at("request sent.before", 3)
    told = chain.told

    assert told.billed.total() == 3
    with red("was billed 1 times and counted 0 times") if mutations else nullcontext():
        checks.check_billing(told, death)
    # The next run finds answers that no row knows of, and begins nothing.
    with red("this ledger is older than its folder") if mutations else nullcontext():
        chain.to_the_end()


@pytest.mark.parametrize("mutations", [(), ("paid_before_kept",)], ids=["whole", "broken"])
def test_paid_before_the_picture_is_kept(chain: Chain, mutations: tuple[str, ...]) -> None:
    """A row says PAID, and there is no picture."""
    chain.mutations = mutations
    chain.die_at("settle commit.after")

    with red("is paid and its picture is not there") if mutations else nullcontext():
        chain.to_the_end()


@pytest.mark.parametrize("mutations", [(), ("unknown_releases_its_hold",)], ids=["whole", "broken"])
def test_unknown_releases_its_hold(chain: Chain, mutations: tuple[str, ...]) -> None:
    """What may have been billed is spent a second time, past the cap."""
    chain.mutations = mutations
    chain.die_at("request sent.before", 3)
    chain.run()
    left, told = left_in(chain.folder), chain.told
    billed = told.billed.total()

    # Five where two pictures were there before the death, and nothing was released for them.
    assert billed in ({5, 6} if mutations else {4})
    over = f"billed were {billed * 50_000}, over the cap of 200000"
    with red(over) if mutations else nullcontext():
        checks.check_cap(told, left, chain.cap_microusd)
    with red("the ledger complains") if mutations else nullcontext():
        checks.check_counters(left)


def race(chain: Chain, *stories: tuple[str, ...]) -> list[str]:
    """Let two runs look, and hold only when both have looked; tell how their scenes ended."""
    meeting = chain.folder / "meeting"
    meeting.mkdir(parents=True)

    def run(scenes: tuple[str, ...]) -> list[str]:
        return list((chain.run(scenes=scenes, meeting=str(meeting))["outcomes"] or {}).values())

    with ThreadPoolExecutor(len(stories)) as threads:
        return sorted(chain_of.from_iterable(threads.map(run, stories)))


@pytest.mark.parametrize(
    "mutations, ends",
    [
        ((), (["busy", "made"], ["made", "reused"])),
        (("hold_does_not_look",), (["made", "storage"],)),
        (("hold_does_not_look", "unique_index_dropped"), (["made", "made"],)),
    ],
    ids=["whole", "blind", "blind and without the index"],
)
def test_unique_index_dropped(
    chain: Chain, mutations: tuple[str, ...], ends: tuple[list[str], ...]
) -> None:
    """Where a hold does not look for a live purchase, the index alone keeps a scene from two."""
    chain.mutations = mutations
    one = chain.scenes[:1]
    ended = race(chain, one, one)
    left, told = left_in(chain.folder), chain.told

    assert ended in ends
    with red("was billed 2 times") if len(mutations) == 2 else nullcontext():
        checks.check_billing(told, left)
        checks.check_counters(left)


@pytest.mark.parametrize("mutations", [(), ("cap_looked_at_outside",)], ids=["whole", "broken"])
def test_the_budget_is_looked_at_outside_the_transaction(
    chain: Chain, mutations: tuple[str, ...]
) -> None:
    """Two runs that look at the same last dollar both spend it."""
    chain.mutations = mutations
    chain.cap = 1
    ended = race(chain, chain.scenes[:1], chain.scenes[1:2])
    left, told = left_in(chain.folder), chain.told

    assert ended == (["made", "made"] if mutations else ["budget", "made"])
    with red("over the cap") if mutations else nullcontext():
        checks.check_cap(told, left, chain.cap_microusd)
    checks.check_billing(told, left)
    checks.check_counters(left)


@pytest.mark.parametrize(
    "mutations", [(), ("answer_removed_before_settled",)], ids=["whole", "broken"]
)
def test_an_answer_is_removed_before_it_is_settled(
    chain: Chain, mutations: tuple[str, ...]
) -> None:
    """A picture that was received to its end and stored is counted as unknown all the same."""
    chain.mutations = mutations
    # One in hand: with more, the death that one settling brings may find another between the two
    # files that it removes, and half an answer is taken for a bad one and bought again.
    chain.capacity = 1
    chain.die_at("settle commit.before")

    with red("a complete answer ended as UNKNOWN") if mutations else nullcontext():
        chain.to_the_end()


@pytest.mark.parametrize(
    "mutations",
    [(), ("unanswered_is_taken_for_unsent",), ("nothing_is_noted_as_sent",)],
    ids=["whole", "broken", "unnoted"],
)
def test_an_unanswered_request_is_taken_for_unsent(
    chain: Chain, mutations: tuple[str, ...]
) -> None:
    """What a dead run has sent is sent again."""
    chain.mutations = mutations
    chain.cap = 9
    chain.die_at("request sent.before")

    with red("was billed 2 times") if mutations else nullcontext():
        chain.to_the_end()


def test_what_is_told_wrongly_is_found(chain: Chain) -> None:
    """The checks that no mutation above turns red can be turned red, too."""
    chain.run()
    left = left_in(chain.folder)
    paid = [one for one in left.purchases.values() if one.state is State.PAID]
    first, *_ = paid
    outcomes = {one.scene_id: "made" for one in paid}

    checks.check_outcomes(outcomes, left, chain.cap_microusd)
    with red("is paid and told as unknown"):
        checks.check_outcomes(outcomes | {first.scene_id: "unknown"}, left, chain.cap_microusd)
    with red("ended as storage"):
        checks.check_outcomes({chain.scenes[-1]: "storage"}, left, chain.cap_microusd)
    with red("was left out although there is money"):
        checks.check_outcomes({chain.scenes[-1]: "budget"}, left, 2 * chain.cap_microusd)
    with red("was left behind"):
        checks.check_spools(replace(left, spooled=frozenset({first.attempt_id})))
    published = chain.folder / "out" / "images" / f"{first.scene_id}.png"
    published.write_bytes(published.read_bytes()[:-1])
    with red("is not whole among the results"):
        checks.check_pictures(chain.folder, left)
