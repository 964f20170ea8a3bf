"""Pictures bought at fal and at Black Forest Labs over sockets, in this run and in a later one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.settings import Settings
from stage3_plugin.testing.behaviours import Json
from stage3_plugin.testing.dialects.bfl import BflDialect
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Dialect, Loss, Queued
from tests.doors import Ran, counted, only, run_stage, settings_for, states, story
from tests.fakes.requests import Refusing
from tests.places import hurry, wait

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

MODELS = {"fal": "fal-ai/flux-2/turbo", "bfl": "flux-2-pro"}
DIALECTS: dict[str, type[Dialect]] = {"fal": FalDialect, "bfl": BflDialect}
COSTS = {"fal": (Decimal("0.008"), "flat"), "bfl": (Decimal("0.03"), "reported")}
"""What a small picture costs there, and how that is known."""
ENDLESS = 10_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual time."""
    hurry(monkeypatch, 100, "policy.polling")
    hurry(monkeypatch, 200, "purchase.lost")
    wait(monkeypatch, "engine.run", RECOVERY_LINGERS_S=0.1)


@pytest.fixture(params=["fal", "bfl"])
def word(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(word: str) -> Iterator[ImageApi]:
    with ImageApi(dialect=DIALECTS[word]()) as api:
        api.refuses = Refusing()
        yield api


def shop(api: ImageApi, word: str, **more: Any) -> Settings:
    """Return settings that move all of a vendor by ``base_url`` alone."""
    fixed = {"provider": word, "model": MODELS[word], "size": "64x64", "drain_s": 0.05}
    return settings_for(api, price_usd=None, **(fixed | more))


async def cut_short(api: ImageApi, settings: Settings, folder: Path) -> Ran:
    """Run until a job is asked for, and stop as Ctrl-C does."""
    ran, stopping = Ran(), anyio.Event()

    async def watch() -> None:
        while len(api.polls()) < 2:
            await anyio.sleep(0.005)
        stopping.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await run_stage(settings, story("a"), folder, into=ran, stopping=stopping)
    return ran


async def test_a_story_is_bought(api: ImageApi, word: str, tmp_path: Path) -> None:
    """In shapes that the vendor takes, at what it bills."""
    ran = await run_stage(shop(api, word), story("a", "b"), tmp_path)

    assert [ran.code(one) for one in ("a", "b")] == ["made", "made"]
    costs = {(ran.outcomes[one].cost.usd, ran.outcomes[one].cost.basis) for one in ("a", "b")}
    assert costs == {COSTS[word]}
    assert api.queue.billed_usd == 2 * COSTS[word][0]


async def test_a_picture_of_another_job_is_never_shown(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    """A cache that mixes answers up: what names another job is asked for again."""
    await run_stage(shop(api, word), story("b"), tmp_path)
    picture = {"url": api.queue.jobs[0].picture_url(api.root_url)}
    if word == "fal":
        mixed = [
            Json({"status": "COMPLETED", "request_id": "another"}),
            Json({"images": [picture]}, headers={"X-Fal-Request-Id": "another"}),
        ]
    else:
        result = {"sample": picture["url"]}
        mixed = [Json({"id": "another", "status": "Ready", "result": result})]
    api.script(Queued(polls=0, between=mixed), scene="a:")
    ran = await run_stage(shop(api, word), story("a"), tmp_path)

    assert ran.code("a") == "made"
    files = [one.read_bytes() for one in (tmp_path / "out" / "images").iterdir()]
    assert len(set(files)) == 2
    assert counted(tmp_path) == api.queue.billed_usd * 10**6


async def test_a_later_run_takes_a_job_in_at_its_price(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    """Though nothing of the first run is left but its row."""
    api.queue.plan = Queued(polls=ENDLESS)
    first = await cut_short(api, shop(api, word), tmp_path)
    shutil.rmtree(tmp_path / ".stage3" / "spool" / only(tmp_path).attempt_id)
    for job in api.queue.jobs:
        job.plan = Queued(polls=0)
    again = await run_stage(shop(api, word), story("a"), tmp_path)

    assert first.code("a") == "pending"
    assert again.outcomes["a"].reused
    assert states(tmp_path) == [State.PAID]
    purchase = only(tmp_path)
    assert purchase.cost_microusd == int(COSTS[word][0] * 10**6)
    assert (api.received(), api.billed()) == (1, 1)


async def test_a_refusal_that_was_billed_counts_and_is_not_sent_again(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    api.script(Queued(ends="refused", billed=True), scene="a:")
    ran = await run_stage(shop(api, word), story("a", "b"), tmp_path)

    assert (ran.code("a"), ran.code("b")) == ("refused", "made")
    assert states(tmp_path, "a") == [State.PAID_BAD]
    assert ran.outcomes["a"].cost.usd is not None
    assert ran.outcomes["a"].cost.usd >= COSTS[word][0]
    assert api.received("a:") == 1


async def test_what_nobody_may_buy_stops_the_run_in_one_sentence(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    api.script(DIALECTS[word]().tells("no money"))
    ran = await run_stage(shop(api, word, capacity=1), story("a", "b"), tmp_path)

    assert ran.ending is not None
    assert ran.ending.stopped == "out_of_money"
    assert "add credit" in (ran.ending.message or "")
    assert api.received() == 1


@pytest.mark.parametrize("word", ["fal"])
async def test_what_fals_queue_has_forgotten_is_taken_from_its_history(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    api.script(Queued(polls=1, kept=2), scene="a:")
    ran = await run_stage(shop(api, word), story("a"), tmp_path)

    assert ran.code("a") == "made"
    assert len(api.polls("listing")) == 1
    assert api.billed() == 1


@pytest.mark.parametrize("word", ["fal"])
async def test_a_failure_of_fals_own_is_tried_again(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    api.script(Queued(ends="failed"), scene="a:")
    ran = await run_stage(shop(api, word, backoff_base_s=0.01), story("a"), tmp_path)

    assert ran.code("a") == "made"
    assert (api.received(), api.billed()) == (2, 1)
    assert states(tmp_path) == [State.REFUSED, State.PAID]


@pytest.mark.parametrize("word", ["fal"])
@pytest.mark.parametrize("loss, code", [("begun", "made"), ("not begun", "unknown")])
async def test_a_lost_answer_of_fals_is_found_and_never_proved_absent(
    api: ImageApi, word: str, tmp_path: Path, loss: Loss, code: str
) -> None:
    """By the seed that was drawn for it; what is not there may yet be coming, and counts."""
    api.script(Queued(lost=loss, polls=2), scene="a:")
    ran = await run_stage(shop(api, word), story("a"), tmp_path)
    again = await run_stage(shop(api, word), story("a"), tmp_path)

    assert (ran.code("a"), again.code("a")) == (code, code)
    assert states(tmp_path) == [State.PAID if code == "made" else State.UNKNOWN]
    assert api.received() == 1
    assert counted(tmp_path) == COSTS[word][0] * 10**6


@pytest.mark.parametrize("word", ["bfl"])
async def test_a_lost_answer_of_bfls_stays_unknown(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    """There is no listing to look in, and nothing is asked."""
    api.script(Queued(lost="begun"), scene="a:")
    await run_stage(shop(api, word), story("a"), tmp_path)
    again = await run_stage(shop(api, word), story("a"), tmp_path)

    assert again.code("a") == "unknown"
    assert (states(tmp_path), api.received(), api.polls()) == ([State.UNKNOWN], 1, [])


@pytest.mark.parametrize("word", ["bfl"])
async def test_a_task_that_is_forgotten_is_unknown(
    api: ImageApi, word: str, tmp_path: Path
) -> None:
    """Twice asked for, and not bought again."""
    api.script(Queued(kept=1), scene="a:")
    ran = await run_stage(shop(api, word), story("a"), tmp_path)
    again = await run_stage(shop(api, word), story("a"), tmp_path)

    assert (ran.code("a"), again.code("a")) == ("unknown", "unknown")
    assert states(tmp_path) == [State.UNKNOWN]
    assert api.received() == 1
