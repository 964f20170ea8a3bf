"""Runs that buy at a queue: a job survives its run, and any later one takes it up before it buys.

The vendor is the plain one of the loopback server; the pace is a hundredth of the usual one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.settings import Settings
from stage3_plugin.testing.behaviours import Behaviour, Json, Missing, Page, ResetAfterRead
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from tests.doors import (
    HOLD,
    Ran,
    Row,
    Story,
    counted,
    only,
    run_stage,
    scenes,
    settings_for,
    states,
    story,
)
from tests.fakes.plain import KEEPS_S, Plain, PlainDialect
from tests.places import hurry, offer, wait
from tests.stage3.buying import leave_lock

pytestmark = pytest.mark.anyio

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what an event loop has no part in."""
ENDLESS = 10_000
LATER = timedelta(seconds=KEEPS_S + 60)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual time; the plain vendor is a provider like any other."""
    hurry(monkeypatch, 100, "policy.polling")
    wait(monkeypatch, "engine.run", RECOVERY_LINGERS_S=0.1)
    offer(monkeypatch, "plain", Plain)


@pytest.fixture
def queue_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=PlainDialect()) as api:
        yield api


def shop(api: ImageApi, /, **more: Any) -> Settings:
    """Return settings of the plain vendor; 0.05 USD are held for a picture, 0.03 are billed."""
    fixed = {"provider": "plain", "model": "m", "price_usd": "0.05", "drain_s": 0.05}
    return settings_for(api, **(fixed | more))


async def run_until(
    reached: Callable[[], bool], settings: Settings, scenes: Story, folder: Path
) -> Ran:
    """Run, and ask the run to stop as Ctrl-C does, once something is so."""
    ran, stopping = Ran(), anyio.Event()

    async def watch() -> None:
        while not reached():
            await anyio.sleep(0.005)
        stopping.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await run_stage(settings, scenes, folder, into=ran, stopping=stopping)
    return ran


async def left_behind(api: ImageApi, folder: Path, plan: Queued, *, scene: str = "s01") -> Row:
    """Leave a job of a run that has ended, which nobody has asked for more than a few times."""
    api.script(Queued(polls=ENDLESS), scene=scene)
    await run_until(lambda: len(api.polls()) > 1, shop(api), story(scene), folder)
    for job in api.queue.jobs:
        job.plan = plan
    return only(folder, scene)


# In one run --------------------------------------------------------------------------------------


async def test_a_picture_comes_of_a_job(queue_api: ImageApi, tmp_path: Path) -> None:
    """One submit, some free looks, the picture, and nothing left in the spool."""
    ran = await run_stage(shop(queue_api), scenes(3), tmp_path)
    purchase = only(tmp_path, "s01")

    assert {ran.code(scene_id) for scene_id in ran.outcomes} == {"made"}
    assert queue_api.received() == queue_api.billed() == 3
    assert counted(tmp_path) == 90_000
    assert purchase.job_id in {job.id for job in queue_api.queue.jobs}
    assert list((tmp_path / ".stage3" / "spool").iterdir()) == []


async def test_ctrl_c_leaves_a_job_being_made_and_says_until_when_it_is_kept(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is unknown by it: its scene is pending, and the same command takes it in."""
    queue_api.script(Queued(polls=ENDLESS), scene="s01")
    settings = shop(queue_api)
    ran = await run_until(lambda: len(queue_api.polls()) > 1, settings, scenes(1), tmp_path)
    purchase = only(tmp_path)
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=0)
    again = await run_stage(settings, scenes(1), tmp_path)
    failure = ran.outcomes["s01"].failure

    assert purchase.state is State.ACCEPTED
    assert failure is not None
    assert (failure.code, failure.retryable) == ("pending", True)
    until = f"{purchase.expires_at:%Y-%m-%d %H:%M} UTC"
    assert until in failure.message
    warned = "\n".join(one["message"] for one in ran.named("stage.warned"))
    assert "being made" in warned
    assert until in warned
    assert again.outcomes["s01"].reused
    assert states(tmp_path) == [State.PAID]
    assert queue_api.received() == queue_api.billed() == 1


@ONE_LOOP
async def test_a_key_that_is_taken_back_stops_the_run_and_loses_no_job(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Buying another would be as little use."""
    queue_api.poll(PlainDialect().tells("bad key"))
    ran = await run_stage(shop(queue_api, capacity=1), scenes(3), tmp_path)

    assert ran.code("s01") == "pending"
    assert ran.ending is not None
    assert ran.ending.stopped == "credentials"
    assert queue_api.received() == 1
    assert states(tmp_path) == [State.ACCEPTED]


@ONE_LOOP
async def test_a_word_that_nobody_knows_is_shown_and_asked_on_for_two_minutes(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Nothing is bought in its place; a later run asks on, and so would any other."""
    queue_api.script(Queued(polls=0, ends="odd", word="MELTED"), scene="s01")
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)
    looks = len(queue_api.polls())
    again = await run_stage(shop(queue_api), scenes(1), tmp_path)
    failure = ran.outcomes["s01"].failure

    assert failure is not None
    assert "MELTED" in failure.message
    assert (ran.code("s01"), again.code("s01")) == ("pending", "pending")
    assert looks == 6
    assert len(queue_api.polls()) == 12
    assert queue_api.received() == 1
    for run in (ran, again):
        (warned,) = [one for one in run.named("stage.warned") if "MELTED" in one["message"]]
        assert warned["message"].startswith("plain says what is not known here")


@ONE_LOOP
async def test_a_job_that_is_lost_while_its_run_lives_is_not_sent_again(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Not even where that is set: it was begun, and another may still get its picture."""
    queue_api.script(Queued(polls=ENDLESS, kept=2), scene="s01")
    ran = await run_stage(shop(queue_api, on_unknown="resend"), scenes(1), tmp_path)

    assert ran.code("s01") == "unknown"
    assert ran.named("scene.retried") == []
    assert queue_api.received() == 1


# In later runs -----------------------------------------------------------------------------------


async def test_a_later_run_takes_a_job_up_whatever_it_is_asked_for(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Without the answer of the submit, and in a run of another scene."""
    purchase = await left_behind(queue_api, tmp_path, Queued(polls=0))
    shutil.rmtree(tmp_path / ".stage3" / "spool" / purchase.attempt_id)
    ran = await run_stage(shop(queue_api), story("s02"), tmp_path)

    assert ran.named("ledger.recovered")[0]["adopted"] == 1
    assert states(tmp_path) == [State.PAID] * 2
    assert counted(tmp_path) == 60_000
    assert queue_api.billed("s01") == 1


async def test_a_scene_waits_for_its_own_job_and_is_not_bought_again(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """It is asked for until it is done, or for as long as a scene may take."""
    await left_behind(queue_api, tmp_path, Queued(polls=ENDLESS))
    waited = await run_stage(shop(queue_api, deadline_s=0.2), scenes(1), tmp_path)
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=job.looks + 4)
    had = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert waited.code("s01") == "pending"
    assert had.outcomes["s01"].reused
    assert queue_api.received() == 1


@ONE_LOOP
@pytest.mark.parametrize(
    "trouble",
    [
        Page(502, billed=False),
        Page(200, billed=False),
        Json({}, status=429),
        ResetAfterRead(billed=False),
        Json([1]),
    ],
)
async def test_a_poll_that_fails_changes_nothing(
    queue_api: ImageApi, tmp_path: Path, trouble: Behaviour
) -> None:
    """However it fails, the next one finds the job."""
    await left_behind(queue_api, tmp_path, Queued(polls=0))
    queue_api.poll(trouble, times=2)
    await run_stage(shop(queue_api), scenes(1), tmp_path)
    await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert states(tmp_path) == [State.PAID]
    assert queue_api.received() == queue_api.billed() == 1


@ONE_LOOP
@pytest.mark.parametrize("on_unknown", ["hold", "resend"])
async def test_what_the_provider_no_longer_knows_after_its_time_is_unknown(
    queue_api: ImageApi, tmp_path: Path, on_unknown: str
) -> None:
    """With that reason and what to do; no setting buys it again."""
    await left_behind(queue_api, tmp_path, Queued(kept=0))
    settings = shop(queue_api, on_unknown=on_unknown)
    after = datetime.now(UTC) + LATER
    ran = await run_stage(settings, scenes(1), tmp_path, now=lambda: after)
    failure = ran.outcomes["s01"].failure

    assert failure is not None
    assert failure.code == "unknown"
    assert "time is over" in failure.message
    assert "resolve" in failure.message
    assert states(tmp_path) == [State.UNKNOWN]
    assert counted(tmp_path) == HOLD
    assert queue_api.received() == 1


@ONE_LOOP
async def test_a_run_that_draws_leaves_a_job_for_a_day_after_its_time(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """It has nobody to ask; what it then calls unknown is had by a run that has."""
    await left_behind(queue_api, tmp_path, Queued(polls=0))
    drawing = Settings(size="64x64", capacity=1)
    found = list[list[State]]()
    for after in (LATER, LATER + timedelta(days=2)):
        now = datetime.now(UTC) + after
        await run_stage(drawing, story("s09"), tmp_path, now=partial(_same, now))
        found.append(states(tmp_path, "s01"))
    had = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert found == [[State.ACCEPTED], [State.UNKNOWN]]
    assert had.outcomes["s01"].reused
    assert queue_api.received() == queue_api.billed() == 1


def _same(now: datetime) -> datetime:
    return now


@ONE_LOOP
async def test_what_is_still_called_being_made_is_never_given_up_by_our_clock(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Not days after its time: each run asks, leaves it pending, and the last one has it."""
    await left_behind(queue_api, tmp_path, Queued(polls=ENDLESS))
    settings, codes, said = shop(queue_api, deadline_s=0.3), list[str](), list[str]()
    for after in (LATER, timedelta(days=3), timedelta(days=30)):
        now = datetime.now(UTC) + after
        ran = await run_stage(settings, scenes(1), tmp_path, now=partial(_same, now))
        codes.append(ran.code("s01"))
        until = f"{now + timedelta(seconds=KEEPS_S):%Y-%m-%d}"
        said += [one["message"] for one in ran.named("stage.warned") if until in one["message"]]
    waiting = states(tmp_path)
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=0)
    had = await run_stage(settings, scenes(1), tmp_path, now=partial(_same, now))

    assert codes == ["pending"] * 3
    assert waiting == [State.ACCEPTED]
    assert len(said) == 3
    assert had.outcomes["s01"].reused
    assert queue_api.received() == queue_api.billed() == 1


@ONE_LOOP
async def test_a_word_that_nobody_knows_is_waited_for_until_its_time_is_over(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Then it is unknown and counted, and had by a later run all the same if it is done by then."""
    await left_behind(queue_api, tmp_path, Queued(polls=0, ends="odd", word="MELTED"))
    codes, found = list[str](), list[State]()
    for after in (LATER - timedelta(seconds=120), LATER):
        now = datetime.now(UTC) + after
        ran = await run_stage(shop(queue_api), scenes(1), tmp_path, now=partial(_same, now))
        codes.append(ran.code("s01"))
        found += states(tmp_path)
    for job in queue_api.queue.jobs:
        job.plan = Queued(polls=0)
    had = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert codes == ["pending", "unknown"]
    assert found == [State.ACCEPTED, State.UNKNOWN]
    assert had.outcomes["s01"].reused
    assert queue_api.received() == queue_api.billed() == 1


@ONE_LOOP
async def test_a_job_given_up_too_early_is_found_again(queue_api: ImageApi, tmp_path: Path) -> None:
    """An outage that is told as 404 ends, and whoever has the answer settles."""
    await left_behind(queue_api, tmp_path, Queued(polls=0))
    queue_api.poll(Missing(), times=3)
    lost = await run_stage(shop(queue_api), scenes(1), tmp_path)
    found = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert lost.code("s01") == "unknown"
    assert found.outcomes["s01"].reused
    assert states(tmp_path) == [State.PAID]
    assert queue_api.received() == 1


@ONE_LOOP
async def test_a_job_given_up_too_early_is_pending_again_while_it_is_being_made(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Its outcome is not in doubt any more: whoever asks next is told so by the ledger."""
    await left_behind(queue_api, tmp_path, Queued(polls=ENDLESS))
    queue_api.poll(Missing(), times=3)
    lost = await run_stage(shop(queue_api), scenes(1), tmp_path)
    looks = len(queue_api.polls())
    back = await run_until(
        lambda: len(queue_api.polls()) > looks + 1, shop(queue_api), scenes(1), tmp_path
    )

    assert (lost.code("s01"), back.code("s01")) == ("unknown", "pending")
    assert states(tmp_path) == [State.ACCEPTED]
    assert queue_api.received() == 1


@ONE_LOOP
async def test_an_old_answer_whose_address_gives_nothing_is_asked_for_anew(tmp_path: Path) -> None:
    """Addresses may be good for some minutes only; a job is known for longer."""
    with ImageApi(dialect=FalDialect()) as api:
        fal = {"provider": "fal", "model": "fal-ai/flux-2/turbo", "price_usd": None}
        settings = shop(api, **fal, deadline_s=0.3)
        done = Json({"status": "COMPLETED"})
        nowhere = Json({"images": [{"url": f"{api.root_url}/pictures/999.png"}]})
        api.script(Queued(polls=0, between=[done, nowhere]), scene="s01")
        codes = [(await run_stage(settings, scenes(1), tmp_path)).code("s01") for _ in range(2)]
        looks = len(api.polls())
        answer = tmp_path / ".stage3" / "spool" / only(tmp_path).attempt_id / "done-result/answer"
        os.utime(answer, (0, answer.stat().st_mtime - 120))
        ran = await run_stage(settings, scenes(1), tmp_path)

    assert codes == ["pending"] * 2
    assert looks == 2
    assert ran.code("s01") == "made"
    assert api.received() == api.billed() == 1


@ONE_LOOP
async def test_jobs_of_other_runs_count_against_the_limit_of_the_provider(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """So many are at work there at once, whoever began them, and none is turned away."""
    await left_behind(queue_api, tmp_path, Queued(polls=ENDLESS))
    queue_api.otherwise = lambda _: Queued(polls=6)
    queue_api.queue.most_unfinished = 3
    settings = shop(queue_api, capacity=3, adaptive=False)
    more = story(*(f"s{number:02}" for number in range(2, 8)))
    ran = await run_stage(settings, more, tmp_path)

    assert {ran.code(scene_id) for scene_id in ran.outcomes} == {"made"}
    assert set(states(tmp_path)) == {State.ACCEPTED, State.PAID}
    assert queue_api.received() == 7


async def test_a_job_of_a_living_run_is_left_to_it(queue_api: ImageApi, tmp_path: Path) -> None:
    """Two runs at once ask no more often than one, and both have the picture."""
    first, second = Ran(), Ran()

    async def come_second() -> None:
        while not queue_api.polls():
            await anyio.sleep(0.005)
        looks = len(queue_api.polls())
        await run_stage(shop(queue_api), scenes(1), tmp_path, into=second)
        assert len(queue_api.polls()) <= looks + 10

    queue_api.script(Queued(polls=8), scene="s01")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come_second)
            await run_stage(shop(queue_api), scenes(1), tmp_path, into=first)

    assert first.code("s01") == second.code("s01") == "made"
    assert queue_api.received() == queue_api.billed() == 1
    assert len(queue_api.polls()) == 10


@ONE_LOOP
async def test_an_answer_of_a_submit_that_nobody_wrote_down_is_taken_up(
    queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a run that was killed between its receipt and the ledger: the spool names the job."""

    async def fails(*_: object) -> None:
        raise LedgerFailed(tmp_path / "ledger.db", "is locked", hint="wait")

    with monkeypatch.context() as failing:
        failing.setattr(RunLedger, "accept", fails)
        first = await run_stage(shop(queue_api), scenes(1), tmp_path)
    purchase = only(tmp_path)
    leave_lock(tmp_path / ".stage3", purchase.run_id)
    ran = await run_stage(shop(queue_api), scenes(1), tmp_path)

    assert first.code("s01") == "storage"
    assert purchase.state is State.SENDING
    assert ran.outcomes["s01"].reused
    assert queue_api.received() == queue_api.billed() == 1


@ONE_LOOP
async def test_a_job_is_not_asked_for_with_the_key_of_another_api(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Of another provider, or of the same one at another address: it stays as it is.

    Whoever says that the address is one of their own is asked for it there.
    """
    await left_behind(queue_api, tmp_path, Queued(polls=0))
    asked, here = len(queue_api.entries), queue_api.base_url
    elsewhere = here.replace("127.0.0.1", "localhost")
    with ImageApi() as other:
        await run_stage(settings_for(other), story("s02"), tmp_path)
    await run_stage(shop(queue_api, base_url=elsewhere), story("s01"), tmp_path)
    paths = {entry.asked.method for entry in queue_api.entries[asked:]}

    assert states(tmp_path, "s01") == [State.ACCEPTED]
    assert "GET" not in paths
    moved = shop(queue_api, base_url=elsewhere, endpoint={"name": "studio", "was": [here]})
    ran = await run_stage(moved, story("s01"), tmp_path)
    assert ran.code("s01") == "made"
    assert queue_api.received() == 1


@ONE_LOOP
async def test_another_accounts_key_does_not_prove_that_a_job_is_gone(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """Nobody there has ever heard of it: it stays accepted, and what to do is said."""
    await left_behind(queue_api, tmp_path, Queued(polls=0))
    queue_api.key = "sk-another-5678901234567890"
    queue_api.poll(Missing(), times=ENDLESS)
    others = shop(queue_api, api_key=queue_api.key, deadline_s=0.3)
    ran = await run_stage(others, scenes(1), tmp_path)
    failure = ran.outcomes["s01"].failure

    assert failure is not None
    assert failure.code == "pending"
    assert "another account does not have it: set them again" in failure.message
    assert states(tmp_path) == [State.ACCEPTED]
    assert queue_api.received() == 1


async def test_a_job_is_asked_for_with_the_next_key_where_the_first_has_run_out(
    queue_api: ImageApi, tmp_path: Path
) -> None:
    """As where a command gives it: nothing was bought with the first, and the run goes on."""
    await left_behind(queue_api, tmp_path, Queued(polls=0))
    stale = shop(queue_api, api_key="sk-stale-5678901234567890")
    asked: list[Settings] = []

    def anew() -> Settings:
        asked.append(shop(queue_api))
        return asked[-1]

    ran = await run_stage(stale, story("s01", "s02"), tmp_path, anew=anew)

    assert (ran.code("s01"), ran.code("s02")) == ("made", "made")
    assert len(asked) == 1
    assert queue_api.billed() == len(queue_api.queue.jobs) == 2
