"""The limiter through the door: nothing waits without need; a rejection is no other scene's."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from tests.doors import Ran, run_stage, scenes, settings_for
from tests.fakes.behaviours import Json, Limited, Ok, ServerError
from tests.fakes.hidden import Hidden
from tests.fakes.image_api import ImageApi
from tests.fakes.limits import AtOnce, ByChance
from tests.fakes.wire import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedUp(Ok):
    """Make the picture, and say that nothing is left for so long."""

    for_s: float = 60.0

    async def answer(self, exchange: Exchange) -> None:
        headers = {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{self.for_s}s",
        }
        exchange.is_billed = True
        await exchange.reply(200, self.body(exchange), self.headers(exchange) | headers)


@dataclass
class Crowd:
    """Make pictures as soon as so many are at work at once; remember how many that were at most.

    Nobody has to be quick for that: what came first is at work until the last has come.
    """

    awaited: int
    working: int = 0
    most: int = 0
    made: Ok = field(default_factory=Ok)
    all_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, exchange: Exchange) -> None:
        self.working += 1
        self.most = max(self.most, self.working)
        if self.working == self.awaited:
            self.all_there.set()
        try:
            async with asyncio.timeout(10):
                await self.all_there.wait()
        except TimeoutError:
            self.all_there.set()  # they do not come, which the test sees
        finally:
            self.working -= 1
        await self.made.answer(exchange)


@pytest.mark.anyio
@pytest.mark.parametrize("adaptive", [True, False])
async def test_the_run_is_over_with_its_last_picture_though_nothing_is_left_for_a_minute(
    image_api: ImageApi, tmp_path: Path, *, adaptive: bool
) -> None:
    """There is nobody to wait for the window that begins anew."""
    image_api.always(UsedUp())
    with anyio.fail_after(20):
        ran = await run_stage(
            settings_for(image_api, capacity=4, adaptive=adaptive), scenes(4), tmp_path
        )

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert len(ran.outcomes) == 4


@pytest.mark.anyio
async def test_a_wait_that_one_rejection_names_is_no_other_scenes(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It may be chance: all others go on, and the one that was rejected comes last."""
    image_api.script(Ok(), Ok(), Limited(hint="retry-after", wait_s=2))
    ran = await run_stage(settings_for(image_api, capacity=1), scenes(12), tmp_path)
    prompts = [asked.prompt for asked in image_api.asked()]

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert len(prompts) == 13
    assert prompts[-1] == prompts[2]


@pytest.mark.anyio
@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset-Requests", "Retry-After-Ms"])
async def test_a_wait_in_a_figure_that_only_python_reads_is_none(
    header: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """``6_0`` is sixty to ``float``, and to nobody who writes headers: the pause is our own."""
    figure = {"Retry-After-Ms": "6_0000", "Retry-After": "6_0"}.get(header, "6_0s")
    error = {"message": "Too many requests.", "type": "requests", "code": "rate_limit_exceeded"}
    image_api.script(Json({"error": error}, 429, {header: figure}))
    with anyio.fail_after(20):
        ran = await run_stage(settings_for(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert image_api.received() == 2


@pytest.mark.anyio
@pytest.mark.parametrize("share", [0.05, 0.1])
async def test_rejections_by_chance_leave_the_capacity_as_it_is(
    share: float, image_api: ImageApi, tmp_path: Path
) -> None:
    """All are made with one request more for each rejection, and nobody is told of a limit."""
    chance = ByChance(share, random.Random(8).random)
    hidden = Hidden(limit=chance, picture_s=lambda _: 0.02)
    image_api.always(hidden)
    ran = await run_stage(settings_for(image_api, capacity=8), scenes(80), tmp_path)
    limits = [one["limit"] for one in ran.named("capacity.changed")]

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert hidden.turned_away
    assert image_api.received() == 80 + hidden.turned_away
    assert not limits or limits[-1] >= 6


@pytest.mark.heavy  # by the machine's clock, which others must leave some of
@pytest.mark.anyio
async def test_a_short_run_before_a_hidden_limit_is_not_turned_away_more_than_one_in_ten(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Eight at once are taken of sixteen: the first burst tells it, and a try every third round."""
    hidden = Hidden(limit=AtOnce([(0, 8)]), picture_s=lambda _: 0.15, rejection_s=0.01)
    image_api.always(hidden)
    ran = await run_stage(settings_for(image_api, capacity=16), scenes(160), tmp_path)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert hidden.turned_away <= 0.2 * 160  # one in ten, and as many again on a busy machine


@pytest.mark.anyio
async def test_no_scene_is_started_while_many_wait_for_their_next_try(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Each scene fails in a moment and waits for long: a long story is not started as a whole."""
    image_api.always(ServerError())
    stopping, ran = anyio.Event(), Ran()
    settings = settings_for(
        image_api, capacity=2, backoff_base_s=3000.0, backoff_max_s=3000.0, drain_s=0.1
    )

    async def stop_when_all_wait() -> None:
        received = -1
        while received < image_api.received():
            received = image_api.received()
            await anyio.sleep(1)
        stopping.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_when_all_wait)
            await run_stage(settings, scenes(400), tmp_path, into=ran, stopping=stopping)

    assert 60 <= image_api.received() <= 70
    assert len(ran.outcomes) == 400


@pytest.mark.anyio
async def test_all_places_are_used_when_nothing_is_turned_away(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The limiter begins with sixteen, and sees that more are taken before one of them is made."""
    crowd = Crowd(awaited=24)
    image_api.always(crowd)
    ran = await run_stage(settings_for(image_api, capacity=24), scenes(60), tmp_path)

    assert {ran.code(one) for one in ran.outcomes} == {"made"}
    assert crowd.most == 24
