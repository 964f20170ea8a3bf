"""A submit whose answer was lost is asked for: found it goes on, proved absent it costs nothing.

The vendor is the plain one of the loopback server, whose listing the settings call whole. The
clocks are ours, and the vendor's is its own: a run of yesterday has both of yesterday.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.commands import CommandError
from stage3_plugin.domain.exchange import Sought
from stage3_plugin.domain.job import Job, NewJob
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.purchase import Held, Look
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.absence import GRACE, why_not_absent
from stage3_plugin.purchase import lost
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.settings import Settings
from stage3_plugin.testing.behaviours import Behaviour, Json, Page
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from stage3_plugin.testing.wire import Exchange
from tests.doors import (
    HOLD,
    Row,
    counted,
    only,
    run_stage,
    scenes,
    settings_for,
    stage3,
    states,
    story,
)
from tests.fakes import plain
from tests.fakes.plain import Plain, PlainDialect
from tests.places import hurry, offer, wait
from tests.stage3 import buying
from tests.stage3.buying import ledger_path

pytestmark = pytest.mark.anyio

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SETTLE_S = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a thousandth of the usual time; the plain vendor is a provider like any other."""
    hurry(monkeypatch, 100, "policy.polling")
    hurry(monkeypatch, 200, "purchase.lost")
    offer(monkeypatch, "plain", Plain)


@pytest.fixture
def queue_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=PlainDialect()) as api:
        yield api


def shop(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings of the plain vendor; 0.05 USD are held for a picture, 0.03 are billed."""
    fixed = {"provider": "plain", "model": "m", "price_usd": "0.05", "drain_s": 0.05}
    return settings_for(api, **(fixed | {"listing_is_whole": True} | more))


def asked(folder: Path) -> dict[str, Any]:
    """Return what asking for the one purchase came to."""
    told: dict[str, Any] = only(folder).said["asked_for"]
    return told


async def lose(
    api: ImageApi,
    folder: Path,
    plan: Behaviour,
    *,
    hours_ago: float = 1.0,
    is_asked: bool = True,
    **more: Any,
) -> Row:
    """Lose the answer of a submit in a run of some time ago, which found nothing or did not ask."""
    then = datetime.now(UTC) - timedelta(hours=hours_ago)
    dated = {"Date": format_datetime(then, usegmt=True)}
    nothing = Json({"jobs": [], "next": None}, headers=dated)
    answer = nothing if is_asked else Page(503, billed=False)
    api.script(plan, scene="s01")
    api.trouble = lambda _, kind: answer if kind == "listing" else None
    await run_stage(shop(api, **more), scenes(1), folder, now=lambda: then)
    api.trouble = lambda _, __: None
    purchase = only(folder)
    assert purchase.state is State.UNKNOWN
    return purchase


@ONE_LOOP
async def test_nobody_calls_a_lost_request_unbilled_while_it_may_be_listed_yet(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """It may be on its way into the listing; once that is sure a person is believed."""
    lost = await lose(queue_api, tmp_path, Queued(lost="begun"), hours_ago=0.0)
    decide = ("resolve", lost.attempt_id, "--not-billed", "--state-dir", str(tmp_path / ".stage3"))
    with pytest.raises(CommandError, match="may have it and not list it yet"):
        stage3(*decide)

    assert only(tmp_path).state is State.UNKNOWN


@pytest.mark.parametrize("slept_s, voided", [(SETTLE_S / 2 + 1, 1), (SETTLE_S / 2 - 1, 0)])
async def test_a_machine_that_slept_between_the_hold_and_the_request_sends_nothing_on_it(
    queue_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slept_s: float,
    voided: int,
) -> None:
    """By then somebody may have given its home up, and the listing been believed: it holds anew."""
    ages = iter([slept_s])

    def age_s(_self: RunLedger, _held: Held) -> float:
        return next(ages, 0.0)

    monkeypatch.setattr(RunLedger, "age_s", age_s)
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert states(tmp_path) == [State.VOID] * voided + [State.PAID]
    assert queue_api.received() == queue_api.billed() == 1


# Found -------------------------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for a lost request for as long as a busy machine takes to ask a few times."""
    wait(monkeypatch, "purchase.lost", PATIENCE_S=20.0)


@pytest.mark.usefixtures("patient")
async def test_a_lost_answer_is_found_in_the_same_run(queue_api: ImageApi, tmp_path: Path) -> None:
    """Its picture is made and paid once, and the ledger says how it was found."""
    queue_api.script(Queued(lost="begun"), scene="s01")
    ran = await run_stage(shop(queue_api), scenes(2), tmp_path)
    with Ledger.open(ledger_path(tmp_path)) as ledger:
        (asking,) = ledger.askings().values()

    assert [ran.code(one) for one in ("s01", "s02")] == ["made", "made"]
    assert queue_api.received("s01") == queue_api.billed("s01") == 1
    assert states(tmp_path) == [State.PAID, State.PAID]
    assert counted(tmp_path) == 60_000
    assert asking.answered == "found"
    assert asking.why.startswith("found in the listing of plain: job ")


@pytest.mark.usefixtures("patient")
async def test_a_listing_that_lags_is_asked_again(queue_api: ImageApi, tmp_path: Path) -> None:
    """A run goes on looking for its own request for a while."""
    queue_api.script(Queued(lost="begun", unlisted=3), scene="s01")
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert queue_api.billed() == 1
    assert {event["cause"] for event in ran.named("scene.awaited")} <= {"unknown", "pending"}


async def test_a_later_run_asks_before_it_buys(queue_api: ImageApi, tmp_path: Path) -> None:
    """What a run before has lost is found, on whichever page it is, and not bought again."""
    queue_api.queue.page_jobs = 2
    await lose(queue_api, tmp_path, Queued(lost="begun", polls=0))
    with Ledger.open(ledger_path(tmp_path)) as ledger:
        before = ledger.askings()
    ran = await run_stage(shop(queue_api), story("s01", "s02", "s03", "s04"), tmp_path)

    assert [asking.answered for asking in before.values()] == ["cannot_tell"]
    assert {ran.code(f"s0{number}") for number in range(1, 5)} == {"made"}
    assert queue_api.received("s01") == 1
    assert queue_api.billed() == 4


@ONE_LOOP
async def test_only_what_nobody_can_send_any_more_is_asked_for(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """A request that may still leave is in no listing, and proves nothing by that."""
    await lose(queue_api, tmp_path, Queued(lost="not begun"))
    purchase = buying.only(tmp_path)

    assert lost.is_lost(purchase)
    assert not any(
        lost.is_lost(replace(purchase, state=state))
        for state in State
        if state is not State.UNKNOWN
    )


# Absent ------------------------------------------------------------------------------------------


async def test_what_is_proved_absent_costs_nothing_and_is_bought(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Two whole listings long after lack it: its money is free, and the scene is bought."""
    await lose(queue_api, tmp_path, Queued(lost="not begun"))
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert states(tmp_path) == [State.REFUSED, State.PAID]
    assert counted(tmp_path) == 30_000
    assert queue_api.billed() == 1
    with Ledger.open(ledger_path(tmp_path)) as ledger:
        (asking,) = ledger.askings().values()
    assert asking.answered == "absent"
    assert "two whole listings" in asking.why


@ONE_LOOP
@pytest.mark.parametrize(
    "plan, later, says",
    [
        (Queued(lost="not begun"), {}, "it is not listed yet; that it never arrived is believed"),
        (Queued(lost="not begun"), {"hours_ago": 30.0}, "does not reach back that far"),
        (Queued(lost="not begun"), {"hours_ago": 1.0, "key": "another"}, "with another key"),
        (Queued(lost="not begun"), {"hours_ago": 1.0, "headers": {"x-team": "b"}}, "other headers"),
        (Queued(lost="not begun"), {"hours_ago": 1.0, "listing_is_whole": False}, "vendor's own"),
        (Queued(lost="not begun"), {"hours_ago": 1.0, "seed": 7}, "its seed is a person's"),
        (Queued(lost="begun", unlisted=1), {"hours_ago": 1.0}, None),
    ],
    ids=[
        "not settled",
        "too long ago",
        "another key",
        "another header",
        "a gateway's",
        "a person's seed",
        "the second has it",
    ],
)
async def test_absent_is_believed_under_all_conditions_only(
    plan: Queued, later: dict[str, Any], says: str | None, queue_api: ImageApi, tmp_path: Path
) -> None:
    """All else stays unknown, is counted, and is not bought again."""
    later = {"hours_ago": 0.01} | later
    key, seed = later.pop("key", None), later.pop("seed", None)
    more = {} if seed is None else {"seed": seed}
    hours_ago = later.pop("hours_ago")
    await lose(queue_api, tmp_path, plan, hours_ago=hours_ago, headers={"x-team": "a"}, **more)
    more |= {"headers": {"x-team": "a"}} | later
    if key is not None:
        queue_api.key = key
        more["api_key"] = key
    ran = await run_stage(shop(queue_api, **more), scenes(1), tmp_path)

    assert queue_api.received() == 1
    if says is None:
        assert ran.code("s01") == "made"
        return
    assert ran.code("s01") == "unknown"
    assert states(tmp_path) == [State.UNKNOWN]
    assert counted(tmp_path) == HOLD
    assert asked(tmp_path)["answered"] == "cannot_tell"
    assert says in asked(tmp_path)["why"]


@ONE_LOOP
@pytest.mark.parametrize(
    "answer",
    [
        Page(500, billed=False),
        Page(200, billed=False),
        Json({"jobs": []}, status=401),
        Json({"jobs": []}, status=200),
    ],
    ids=["an error", "no JSON", "the key is refused", "no end of the listing"],
)
async def test_a_listing_that_is_not_whole_proves_nothing(
    answer: Behaviour, queue_api: ImageApi, tmp_path: Path
) -> None:
    """Whatever keeps a page away, the outcome stays unknown."""
    await lose(queue_api, tmp_path, Queued(lost="not begun"))
    queue_api.poll(*[answer] * 20, of="listing")
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert ran.code("s01") == "unknown"
    assert states(tmp_path) == [State.UNKNOWN]
    assert asked(tmp_path)["answered"] == "cannot_tell"
    assert asked(tmp_path)["why"]


@ONE_LOOP
async def test_a_provider_that_does_not_list_every_job_can_only_find(
    queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those whose listing shows finished jobs alone."""
    listing = Listing(settle_s=SETTLE_S, reaches_back_s=86_400.0)
    monkeypatch.setattr(plain, "PROFILE", replace(plain.PROFILE, listing=listing))
    await lose(queue_api, tmp_path, Queued(lost="not begun"))
    await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert states(tmp_path) == [State.UNKNOWN]
    assert "does not list every job" in asked(tmp_path)["why"]


SLOW = timedelta(minutes=40)


@ONE_LOOP
@pytest.mark.parametrize("has_date", [True, False], ids=["its Date", "no whole listing before"])
@pytest.mark.parametrize(
    "before, after, vendor",
    [(-SLOW, -SLOW, 0 * SLOW), (-SLOW, 0 * SLOW, 0 * SLOW), (0 * SLOW, 0 * SLOW, SLOW)],
    ids=["a clock that is slow", "one that is set right between two runs", "a fast Date"],
)
async def test_no_difference_of_two_clocks_buys_twice(
    queue_api: ImageApi,
    tmp_path: Path,
    before: timedelta,
    after: timedelta,
    vendor: timedelta,
    *,
    has_date: bool,
) -> None:
    """A request that arrived and is not listed yet is not proved absent by clocks that disagree."""
    queue_api.queue.date_s = lambda: time.time() + vendor.total_seconds()
    queue_api.script(Queued(lost="begun", unlisted=999), scene="s01")
    if not has_date:
        queue_api.trouble = lambda _, kind: Page(503, billed=False) if kind == "listing" else None
    await run_stage(shop(queue_api), scenes(1), tmp_path, now=lambda: datetime.now(UTC) + before)
    queue_api.trouble = lambda _, __: None
    await run_stage(shop(queue_api), scenes(1), tmp_path, now=lambda: datetime.now(UTC) + after)

    assert queue_api.received() == queue_api.billed() == 1
    assert states(tmp_path) == [State.UNKNOWN]
    assert asked(tmp_path)["answered"] == "cannot_tell"


@ONE_LOOP
async def test_a_run_that_found_no_listing_begins_to_measure(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """What the clock here says of a run before proves nothing; the next run has a look to go by."""
    await lose(queue_api, tmp_path, Queued(lost="not begun"), hours_ago=2.0, is_asked=False)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    queue_api.queue.date_s = hour_ago.timestamp
    first = await run_stage(shop(queue_api), scenes(1), tmp_path, now=lambda: hour_ago)
    queue_api.queue.date_s = time.time
    second = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert (first.code("s01"), second.code("s01")) == ("unknown", "made")
    assert states(tmp_path) == [State.REFUSED, State.PAID]


NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3))
OFF = st.timedeltas(min_value=timedelta(days=-2), max_value=timedelta(days=2))
NONE = st.just(timedelta(0))


def doubt_of(
    looks: Sequence[Look],
    now: Look,
    *,
    watched: timedelta = timedelta(0),
    opened_at: datetime = NOON,
    proves: bool = True,
    has_date: bool = True,
) -> str | None:
    """Return what keeps a listing of two days, settled in a quarter of an hour, from a proof."""
    new = NewJob(token="0" * 32, account="ours", endpoint="m")
    sought = Sought(
        is_whole=True,
        began_at=now.at,
        listed_at=now.listed_at if has_date else None,
        account="ours",
        is_trusted=True,
    )
    return why_not_absent(
        Listing(proves_absence=proves, settle_s=900.0, reaches_back_s=2 * 86_400.0),
        Job(new=new, provider="plain", opened_at=opened_at),
        sought,
        watched_s=watched.total_seconds(),
        looks=looks,
    )


SETTLES = timedelta(seconds=900)


@given(
    unknown_for=SPANS,
    looked_after=st.lists(SPANS, max_size=3),
    watched=SPANS,
    off=st.tuples(OFF, OFF),
    is_set=st.tuples(SPANS, OFF, NONE) | st.tuples(SPANS, NONE, OFF),
    has_date=st.booleans(),
)
def test_absence_is_never_believed_too_early(
    unknown_for: timedelta,
    looked_after: list[timedelta],
    watched: timedelta,
    off: tuple[timedelta, timedelta],
    is_set: tuple[timedelta, timedelta, timedelta],
    *,
    has_date: bool,
) -> None:
    """Both clocks may be wrong by days, and one of the two be set at any moment.

    ``is_set`` says when, and by how much ours and the provider's; ``unknown_for`` is the true time
    since the outcome became unknown; the process that asks has watched it for part of that at most,
    and it was looked for within it.
    """

    def look(after: timedelta) -> Look:
        here, there = is_set[1:] if after >= is_set[0] else (timedelta(0), timedelta(0))
        return Look(at=NOON + after + off[0] + here, listed_at=NOON + after + off[1] + there)

    looks = [look(after) for after in sorted(looked_after) if after <= unknown_for]
    opened_at = NOON + off[0]
    watched = min(watched, unknown_for)
    doubt = doubt_of(
        looks, look(unknown_for), watched=watched, opened_at=opened_at, has_date=has_date
    )

    assert doubt is not None or unknown_for >= SETTLES


@given(unknown_for=SPANS, looked_after=SPANS, off=OFF, held_before=SPANS, proves=st.booleans())
def test_absence_is_believed_in_time(
    unknown_for: timedelta,
    looked_after: timedelta,
    off: timedelta,
    held_before: timedelta,
    *,
    proves: bool,
) -> None:
    """Clocks that go right prove it, however far apart, as long as the listing reaches back."""
    opened_at = NOON - held_before
    looks = [Look(at=NOON + looked_after, listed_at=NOON + looked_after + off)]
    now = Look(at=NOON + unknown_for, listed_at=NOON + unknown_for + off)
    doubt = doubt_of(looks, now, opened_at=opened_at, proves=proves)
    age = unknown_for + held_before
    reaches = min(age, age + off) >= -GRACE and max(age, age + off) <= timedelta(days=2) - GRACE

    assert (doubt is None) == (proves and reaches and unknown_for - looked_after >= SETTLES)


def test_clocks_that_disagree_prove_nothing_until_it_is_looked_for_anew() -> None:
    """A look from before one of them was set is no use; one from after it is."""
    before = Look(at=NOON - timedelta(hours=3), listed_at=NOON - timedelta(hours=2))
    after = Look(at=NOON - timedelta(hours=1), listed_at=NOON - timedelta(hours=1))
    now, opened_at = Look(at=NOON, listed_at=NOON), NOON - timedelta(hours=4)

    assert "disagree" in (doubt_of([before], now, opened_at=opened_at) or "")
    assert doubt_of([before, after], now, opened_at=opened_at) is None


# A whole answer that nobody understands ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Muddled:
    """A submit that begins a job, or none, and is answered with something else than that."""

    status: int
    is_begun: bool

    async def answer(self, exchange: Exchange) -> None:
        if self.is_begun and exchange.begin is not None:
            exchange.begin(Queued(polls=0))
        await exchange.reply(self.status, b"<html>oops</html>", {"Content-Type": "text/html"})


@ONE_LOOP
@pytest.mark.parametrize("status", [200, 502])
async def test_what_a_gateway_answered_for_is_found(
    status: int, queue_api: ImageApi, tmp_path: Path
) -> None:
    """A whole answer that nobody understands is as good as none: the listing has the job."""
    queue_api.script(Muddled(status, is_begun=True), scene="s01")
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert queue_api.received() == queue_api.billed() == 1
    assert states(tmp_path) == [State.PAID]


@ONE_LOOP
@pytest.mark.parametrize(
    "status, then", [(502, [State.REFUSED, State.PAID]), (200, [State.UNKNOWN])]
)
async def test_a_success_is_never_absent(
    status: int, then: list[State], queue_api: ImageApi, tmp_path: Path
) -> None:
    """An error page may be all that came of a request; a success says that something did."""
    await lose(queue_api, tmp_path, Muddled(status, is_begun=False))
    await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert states(tmp_path) == then
    assert queue_api.received() == len(then)
