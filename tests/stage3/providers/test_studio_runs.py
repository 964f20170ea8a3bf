"""Whole runs at Replicate and at xAI: what was paid for is here, or is said to be on its way."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.engine import run as engine_run
from stage3_plugin.policy import polling
from stage3_plugin.settings import Settings
from stage3_plugin.testing.dialects.replicate import ReplicateDialect
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.queues import Queued
from tests.stage3.buying import counted, only, states
from tests.stage3.running import run_stage, settings_for, story

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual time."""
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S", "GONE_WAIT_S"):
        monkeypatch.setattr(polling, name, getattr(polling, name) / 100)
    monkeypatch.setattr(engine_run, "RECOVERY_LINGERS_S", 0.1)


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
        "model": "black-forest-labs/flux-2-pro",
        "size": "256x256",
        "price_usd": "0.05",
        "drain_s": 0.05,
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


async def test_a_lost_answer_of_xai_is_unknown_and_has_a_token(
    xai_api: ImageApi, tmp_path: Path
) -> None:
    """By which it can be looked for."""
    xai_api.script(Queued(lost="begun"), scene="a:")
    ran = await run_stage(at_xai(xai_api), story("a"), tmp_path)
    purchase = only(tmp_path)

    assert (ran.code("a"), purchase.state) == ("unknown", State.UNKNOWN)
    assert purchase.job is not None
    assert purchase.job.accepted is None
    (asked,) = xai_api.asked()
    assert asked.document["storage_options"]["filename"] == f"{purchase.job.new.token}.jpg"


async def test_a_lost_answer_of_replicate_keeps_a_persons_seed_from_being_a_token(
    replicate_api: ImageApi, tmp_path: Path
) -> None:
    replicate_api.script(Queued(lost="begun"), Queued(lost="begun"))
    await run_stage(at_replicate(replicate_api, seed=7), story("a"), tmp_path)
    purchase = only(tmp_path)

    assert purchase.job is not None
    assert purchase.job.new.token is None
    assert replicate_api.asked()[0].document["input"]["seed"] == 7
