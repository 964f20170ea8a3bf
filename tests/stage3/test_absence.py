"""A lost request is asked for by two clocks and by any account: every story, tried to the end.

The protocol's model of it, with the product's own rule in its place. The truth is kept beside:
where the request is, and how many ticks have passed. Both clocks may be wrong from the beginning,
and one of the two be set at any moment; a run may die, and another knows only what is durable.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from stage3_plugin.domain.exchange import Sought
from stage3_plugin.domain.job import Job, NewJob, account_of
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Look
from stage3_plugin.policy.absence import GRACE, why_not_absent

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
TICK = GRACE
SETTLE, JUMP, END = 2, 4, 7
"""Ticks: after which what arrived is listed; by which a clock is wrong; after which none passes."""
LISTING = Listing(
    proves_absence=True, settle_s=SETTLE * TICK.total_seconds(), reaches_back_s=30 * 86_400.0
)
VENDOR, GATEWAY = "https://vendor.example", "https://gateway.example"


class Asks(NamedTuple):
    """What the settings of a run say of whose account it is."""

    key: str | None = "a"
    team: str = "one"
    address: str = VENDOR

    @property
    def account(self) -> str:
        return account_of(self.key, headers={"x-team": self.team}, address=self.address)


class World(NamedTuple):
    """A lost request, from when its outcome became unknown.

    ``net`` is the truth: ``n`` on its way, ``x`` lost on it, ``r`` arrived, ``l`` and listed.
    """

    sent_as: Asks
    asks: Asks
    net: str = "n"
    now: int = 0
    here: int = 0
    there: int = 0
    opened: int = 0
    since: int = 0
    looks: tuple[tuple[int, int], ...] = ()
    sets: int = 1


def doubt(world: World) -> str | None:
    """Return why the product does not believe that the request never arrived."""
    at, listed_at = world.now + world.here, world.now + world.there
    new = NewJob(token="0" * 32, account=world.sent_as.account, endpoint="m")
    sought = Sought(
        is_whole=True,
        began_at=NOON + at * TICK,
        listed_at=NOON + listed_at * TICK,
        account=world.asks.account,
        is_trusted=world.asks.address == VENDOR,
    )
    return why_not_absent(
        LISTING,
        Job(new=new, provider="plain", opened_at=NOON + (world.opened - 1) * TICK),
        sought,
        watched_s=(world.now - world.since) * TICK.total_seconds(),
        looks=[Look(at=NOON + a * TICK, listed_at=NOON + b * TICK) for a, b in world.looks],
    )


def moves(world: World, others: tuple[Asks, ...]) -> Iterator[World]:
    """Yield what may happen next."""
    later = {"n": "xr", "r": "l"}.get(world.net, "")
    yield from (world._replace(net=net) for net in later)
    if world.now < END and (world.now + 1 < SETTLE or world.net in "xl"):
        yield world._replace(now=world.now + 1)
    yield world._replace(since=world.now)  # another process
    if world.sets:
        for change in (-JUMP, JUMP):
            yield world._replace(sets=0, here=world.here + change)
            yield world._replace(sets=0, there=world.there + change)
    yield from (world._replace(asks=asks) for asks in others)
    look = (world.now + world.here, world.now + world.there)
    if len(world.looks) < 2 and look not in world.looks and not (world.net == "l" and _sees(world)):
        yield world._replace(looks=(*world.looks, look))


def _sees(world: World) -> bool:
    """Return whether the listing that is asked for has what is listed: it goes on then."""
    return world.asks == world.sent_as


def tried(starts: list[World], others: tuple[Asks, ...] = ()) -> tuple[int, int]:
    """Try every story; return how many worlds there are, and in how many absence is proved."""
    seen, waiting, proved = set(starts), list(starts), 0
    while waiting:
        world = waiting.pop()
        is_found = world.net == "l" and _sees(world)
        if not is_found and doubt(world) is None:
            proved += 1
            assert world.net == "x", f"it may be billed, and is bought again: {world}"
        for after in moves(world, others):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return len(seen), proved


@pytest.mark.slow
@pytest.mark.parametrize("here", [-JUMP, 0, JUMP])
def test_no_story_of_two_clocks_proves_what_has_arrived_absent(here: int) -> None:
    """However far apart they are, and whichever of them is set; and what was lost is proved so."""
    ours = Asks()
    starts = [
        World(sent_as=ours, asks=ours, here=here, there=there, opened=here)
        for there in (-JUMP, 0, JUMP)
    ]
    worlds, proved = tried(starts)

    assert proved > worlds / 100


@pytest.mark.parametrize("sent_as", [Asks(), Asks(key=None), Asks(address=GATEWAY)])
def test_no_story_of_two_accounts_proves_what_has_arrived_absent(sent_as: Asks) -> None:
    """Another key, another header without a key, a gateway: each has a listing of its own."""
    others = (
        sent_as,
        sent_as._replace(key="b"),
        sent_as._replace(team="two"),
        sent_as._replace(address=GATEWAY),
        sent_as._replace(address=VENDOR),
    )
    _, proved = tried([World(sent_as=sent_as, asks=sent_as, sets=0)], others)

    assert (proved > 0) == (sent_as.address == VENDOR)


@pytest.mark.parametrize(
    "other",
    [
        {"key": None},
        {"headers": {"x-team": "two"}},
        {"headers": {}},
        {"headers": {"x-team": "one", "x-project": "p"}},
        {"address": GATEWAY},
    ],
)
def test_an_account_is_all_that_decides_whose_it_is(other: dict[str, object]) -> None:
    """And nothing of it can be read from its hash."""
    said: dict[str, object] = {"key": "a", "headers": {"x-team": "one"}, "address": VENDOR}
    ours = account_of(**said)  # type: ignore[arg-type]  # put together by its names

    assert ours != account_of(**said | other)  # type: ignore[arg-type]  # likewise
    assert ours == account_of(**said)  # type: ignore[arg-type]  # likewise
    assert len(ours) == 16


def test_a_listing_reaches_back_as_far_as_it_is_promised_to() -> None:
    """A hold that the clocks put into the future may be older than they say."""
    ours = Asks()
    settled = World(sent_as=ours, asks=ours, net="x", now=SETTLE, looks=((0, 0),))

    assert doubt(settled) is None
    for opened in (SETTLE + 3, -5000):
        assert "reach back" in (doubt(settled._replace(opened=opened)) or "")


def test_a_span_is_measured_by_the_slower_clock() -> None:
    """Also within the grace, where both are believed to go right."""
    ours = Asks()
    look = Look(at=NOON, listed_at=NOON + timedelta(minutes=5))
    new = NewJob(token="0" * 32, account=ours.account, endpoint="m")
    sought = Sought(
        is_whole=True,
        began_at=NOON + SETTLE * TICK,
        listed_at=NOON + SETTLE * TICK,
        account=ours.account,
        is_trusted=True,
    )
    job = Job(new=new, provider="plain", opened_at=NOON)
    told = why_not_absent(LISTING, job, sought, watched_s=0.0, looks=[look])

    assert told is not None
    assert told.endswith("it never arrived is believed from 2026-11-26 12:25 UTC")
