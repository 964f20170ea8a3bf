"""Whole runs at Replicate and at xAI: what was paid for is here, or is said to be on its way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.states import State
from stage3_plugin.providers.replicate import Replicate
from stage3_plugin.settings import Settings
from stage3_plugin.testing.behaviours import Json
from stage3_plugin.testing.dialects.replicate import ReplicateDialect
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.queues import Loss, Queued
from stage3_plugin.testing.talking import Talk
from tests.doors import counted, run_stage, settings_for, states, story
from tests.places import hurry
from tests.stage3.providers.replies import request

pytestmark = pytest.mark.anyio

ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what an event loop has no part in."""
FLUX = "black-forest-labs/flux-2-pro"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual time."""
    hurry(monkeypatch, 100, "policy.polling")
    hurry(monkeypatch, 200, "purchase.lost")


@pytest.fixture
def replicate_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=ReplicateDialect()) as api:
        yield api


@pytest.fixture
def xai_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=XAIDialect()) as api:
        yield api


def at_replicate(api: ImageApi, /, **more: Any) -> Settings:
    fixed = {
        "provider": "replicate",
        "model": FLUX,
        "size": "256x256",
        "price_usd": "0.05",
        "drain_s": 0.05,
        "listing_is_whole": True,
    }
    return settings_for(api, **(fixed | more))


def at_xai(api: ImageApi, /, **more: Any) -> Settings:
    return settings_for(api, **({"provider": "xai", "model": "grok-imagine-image-2.0"} | more))


async def test_a_story_is_made_at_replicate(replicate_api: ImageApi, tmp_path: Path) -> None:
    """With the key at its pages; each picture is held for and counted at its price."""
    ran = await run_stage(at_replicate(replicate_api), story("a", "b"), tmp_path)

    assert [ran.code(one) for one in ("a", "b")] == ["made", "made"]
    assert states(tmp_path) == [State.PAID] * 2
    assert replicate_api.received() == replicate_api.billed() == 2
    assert {ran.outcomes[one].cost.usd for one in ("a", "b")} == {Decimal("0.05")}
    asked = [*replicate_api.asked(), *replicate_api.polls()]
    assert all(one.headers["authorization"] == f"Bearer {KEY}" for one in asked)
    seeds = {one.document["input"]["seed"] for one in replicate_api.asked()}
    assert len(seeds) == 2


@ONE_LOOP
async def test_a_run_that_ends_while_a_prediction_is_made_buys_nothing_anew(
    replicate_api: ImageApi, tmp_path: Path
) -> None:
    replicate_api.script(Queued(polls=10_000), scene="a:")
    waited = await run_stage(at_replicate(replicate_api, deadline_s=0.2), story("a"), tmp_path)
    for job in replicate_api.queue.jobs:
        job.plan = Queued(polls=0)
    had = await run_stage(at_replicate(replicate_api), story("a"), tmp_path)

    assert (waited.code("a"), had.code("a")) == ("pending", "made")
    assert had.outcomes["a"].reused
    assert states(tmp_path) == [State.PAID]
    assert replicate_api.received() == replicate_api.billed() == 1


@ONE_LOOP
@pytest.mark.parametrize(
    "plan, code, state",
    [
        (Queued(ends="refused", billed=True), "refused", State.PAID_BAD),
        (Queued(ends="odd", word="paused"), "pending", State.ACCEPTED),
    ],
)
async def test_a_prediction_without_a_picture_counts(
    replicate_api: ImageApi, tmp_path: Path, plan: Queued, code: str, state: State
) -> None:
    """It may be billed, and is asked for once."""
    replicate_api.script(plan, scene="a:")
    ran = await run_stage(at_replicate(replicate_api), story("a"), tmp_path)

    assert ran.code("a") == code
    assert (states(tmp_path), counted(tmp_path)) == ([state], 50_000)
    assert replicate_api.received() == 1


async def test_a_story_is_made_at_xai(xai_api: ImageApi, tmp_path: Path) -> None:
    """At an exact cost, each stored under a name of its own."""
    xai_api.script(Queued(ends="refused", billed=True), scene="b:")
    ran = await run_stage(at_xai(xai_api), story("a", "b"), tmp_path)

    assert [ran.code(one) for one in ("a", "b")] == ["made", "refused"]
    assert sorted(states(tmp_path)) == [State.PAID, State.PAID_BAD]
    assert counted(tmp_path) == xai_api.queue.billed_usd * 1_000_000 == 120_000
    names = {one.document["storage_options"]["filename"] for one in xai_api.asked()}
    assert len(names) == 2


async def lose(settings: Settings, api: ImageApi, folder: Path, plan: Queued) -> None:
    """Lose the answer of a submit in a run of an hour ago, whose listing did not have it yet."""
    then = datetime.now(UTC) - timedelta(hours=1)
    dated = {"Date": format_datetime(then, usegmt=True)}
    empty = Json({"results": [], "previous": None, "next": None, "data": []}, headers=dated)
    api.script(plan, scene="a:")
    api.trouble = lambda _, kind: empty if kind == "listing" else None
    await run_stage(settings, story("a"), folder, now=lambda: then)
    api.trouble = lambda _, __: None
    assert states(folder) == [State.UNKNOWN]


@ONE_LOOP
async def test_a_lost_answer_of_xai_is_a_file(xai_api: ImageApi, tmp_path: Path) -> None:
    """In the same run and in a later one; what it cost is not said, so what was held counts."""
    await lose(at_xai(xai_api), xai_api, tmp_path, Queued(lost="cut"))
    xai_api.script(Queued(lost="begun"), scene="b:")
    ran = await run_stage(at_xai(xai_api), story("a", "b"), tmp_path)

    assert [ran.code(one) for one in ("a", "b")] == ["made", "made"]
    assert states(tmp_path) == [State.PAID] * 2
    assert xai_api.received() == xai_api.billed() == 2
    assert counted(tmp_path) == 2 * 90_000  # by a third party
    names = [one.document["storage_options"]["filename"] for one in xai_api.asked()]
    assert len(set(names)) == 2


@ONE_LOOP
async def test_a_file_that_is_missing_proves_nothing(xai_api: ImageApi, tmp_path: Path) -> None:
    """One that was withheld is charged and leaves none."""
    plan = Queued(lost="begun", ends="refused", billed=True)
    await lose(at_xai(xai_api), xai_api, tmp_path, plan)
    ran = await run_stage(at_xai(xai_api), story("a"), tmp_path)

    assert ran.code("a") == "unknown"
    assert (states(tmp_path), counted(tmp_path)) == ([State.UNKNOWN], 90_000)
    assert xai_api.received() == 1


@ONE_LOOP
@pytest.mark.parametrize(
    "loss, states_then", [("begun", [State.PAID]), ("not begun", [State.REFUSED, State.PAID])]
)
async def test_a_lost_prediction_is_found_or_bought_anew(
    replicate_api: ImageApi, tmp_path: Path, loss: Loss, states_then: list[State]
) -> None:
    """Beside those of another program of the same account and model."""
    await lose(at_replicate(replicate_api), replicate_api, tmp_path, Queued(lost=loss))
    endpoint = Endpoint(provider="replicate", base_url=replicate_api.base_url, model=FLUX)
    Talk(Replicate(endpoint), KEY).submit(request(seed=7))
    ran = await run_stage(at_replicate(replicate_api), story("a"), tmp_path)

    assert ran.code("a") == "made"
    assert states(tmp_path) == states_then
    assert counted(tmp_path) == 50_000
    assert replicate_api.billed("a:") == 1


@ONE_LOOP
async def test_a_prediction_with_its_seed_and_other_words_is_not_it(
    replicate_api: ImageApi, tmp_path: Path
) -> None:
    """A seed can be used again for another picture, which would be shown as the scene's."""
    await lose(at_replicate(replicate_api), replicate_api, tmp_path, Queued(lost="begun"))
    (job,) = replicate_api.queue.jobs
    job.asked.document["input"]["prompt"] = "a castle"
    ran = await run_stage(at_replicate(replicate_api), story("a"), tmp_path)

    assert ran.code("a") == "unknown"
    assert states(tmp_path) == [State.UNKNOWN]
    assert replicate_api.received("a:") == 1


@ONE_LOOP
async def test_a_prediction_whose_inputs_are_deleted_may_be_it(
    replicate_api: ImageApi, tmp_path: Path
) -> None:
    """The vendor deletes them soon: what it lists without any proves nothing."""
    await lose(at_replicate(replicate_api), replicate_api, tmp_path, Queued(lost="begun"))
    (job,) = replicate_api.queue.jobs
    job.asked.document["input"].clear()
    ran = await run_stage(at_replicate(replicate_api), story("a"), tmp_path)

    assert ran.code("a") == "unknown"
    assert (states(tmp_path), counted(tmp_path)) == ([State.UNKNOWN], 50_000)
    assert replicate_api.received("a:") == 1


@ONE_LOOP
@pytest.mark.parametrize("more", [{"seed": 7}, {"model": "google/nano-banana", "size": "256x256"}])
async def test_without_a_token_nothing_is_bought_twice(
    replicate_api: ImageApi, tmp_path: Path, more: dict[str, Any]
) -> None:
    """A seed that a person has set, or a model that takes none: what is listed may be it."""
    settings = at_replicate(replicate_api, **more)
    await lose(settings, replicate_api, tmp_path, Queued(lost="begun"))
    ran = await run_stage(settings, story("a", "b"), tmp_path)

    assert (ran.code("a"), ran.code("b")) == ("unknown", "made")
    assert states(tmp_path) == [State.UNKNOWN, State.PAID]
    assert replicate_api.received("a:") == 1
