"""Four clients before a provider that hides its limit, over real sockets in compressed time.

Ours without its ledger and its disk: dispatch, limiter, retry and judge. Then one that knows the
limit, which is the yardstick; a fixed number in flight with exponential backoff; and the official
``openai`` client with its own retries. All waits are compressed like the provider's time, the
official client's included. Every client gets the same scenes with the same times, and is stopped
when it takes many times as long as needed.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Literal, Protocol, cast

import anyio
import httpx
import openai

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.dispatch import Dispatcher
from stage3_plugin.policy.capacity.adaptive import AdaptiveLimiter
from stage3_plugin.policy.capacity.limiter import Limiter, LimiterState, Permission, Permit
from stage3_plugin.policy.retry import Again, History, decide
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.settings import Settings
from tests.benchmarks.simulation import DeafLimiter
from tests.fakes.hidden import Hidden
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.limits import Limit

CEILING = 64
PATIENCE_S = 3000.0
"""Of the provider's seconds; then a client is stopped, and what it has not made counts as lost."""
SDK_RETRIES = 5
BACKOFF_BASE_S, BACKOFF_MAX_S = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every client gets to do: scenes before a provider, ``speed`` times as fast."""

    api: ImageApi
    hidden: Hidden
    scenes: int
    speed: float
    seed: int
    ceiling: int = CEILING


@dataclass(slots=True)
class Result:
    """What a client came to; seconds are the provider's."""

    makespan_s: float = math.nan
    made: int = 0
    sent: int = 0
    turned_away: int = 0

    @property
    def wasted(self) -> float:
        """Return the share of requests that were turned away."""
        return self.turned_away / max(1, self.sent)


class Client(Protocol):
    """Makes the scenes of a job."""

    async def __call__(self, job: Job) -> Result: ...


async def measured(job: Job, work: Callable[[Result], Awaitable[None]]) -> Result:
    """Run a client's work and fill in what the provider's books say of it."""
    result = Result()
    began = time.monotonic()
    with anyio.move_on_after(PATIENCE_S / job.speed):
        await work(result)
    result.makespan_s = (time.monotonic() - began) * job.speed
    result.turned_away = job.hidden.turned_away
    result.sent = job.hidden.taken + job.hidden.turned_away
    return result


# Ours, and the one that knows ----------------------------------------------------------------


class CompressedLimiter:
    """Puts a limiter into the provider's time; dispatch asks it in ours."""

    def __init__(self, limiter: Limiter, speed: float) -> None:
        self.limiter = limiter
        self.speed = speed

    @property
    def ceiling(self) -> int:
        return self.limiter.ceiling

    def may_send(self, now: float, in_flight: int) -> Permission:
        permission = self.limiter.may_send(now * self.speed, in_flight)
        if permission.wake_at is None:
            return permission
        return replace(permission, wake_at=permission.wake_at / self.speed)

    def enter(self) -> Permit:
        return self.limiter.enter()

    def hold_back(self, now: float, wait_s: float) -> None:
        self.limiter.hold_back(now * self.speed, wait_s)

    def state(self, now: float) -> LimiterState:
        return self.limiter.state(now * self.speed)


@dataclass(frozen=True, slots=True)
class Patience:
    """The settings that bear on retries, in the provider's seconds."""

    max_attempts: int = 4
    backoff_base_s: float = BACKOFF_BASE_S
    backoff_max_s: float = BACKOFF_MAX_S
    max_wait_s: float = 120.0
    deadline_s: float = 3600.0
    on_unknown: Literal["hold", "resend"] = "hold"
    seeds_after_refusal: int = 0


@dataclass(slots=True)
class Scene:
    """One scene on its way."""

    number: int
    turned_away: int = 0
    started_at: float | None = None


class Limited:
    """Runs scenes through dispatch and a limiter, and asks retry and judge what follows."""

    def __init__(
        self, job: Job, limiter: Limiter, result: Result, client: httpx.AsyncClient
    ) -> None:
        self._job = job
        self._limiter = limiter
        self._result = result
        self._client = client
        self._draw = random.Random(job.seed).random
        self._provider = OpenAIImages(
            Endpoint(provider="openai", base_url=job.api.base_url, model="m")
        )

    async def run(self) -> None:
        scenes = (Scene(number) for number in range(self._job.scenes))
        limiter = CompressedLimiter(self._limiter, self._job.speed)
        await Dispatcher(scenes, self._perform, cast("Limiter", limiter)).run()

    def _now(self) -> float:
        return anyio.current_time() * self._job.speed

    async def _perform(self, scene: Scene) -> float | None:
        if scene.started_at is None:
            scene.started_at = self._now()
        with self._limiter.enter() as permit:
            permit.sent(self._now())
            verdict = await self._post(scene)
            if verdict.kind is VerdictKind.PICTURES:
                permit.answered(self._now())
                self._result.made += 1
                return None
            return self._follow(scene, verdict, permit)

    async def _post(self, scene: Scene) -> Verdict:
        call = self._provider.begin(
            PictureRequest(
                scene_id=f"scene_{scene.number}",
                prompt=prompt_of(scene.number),
                width_px=64,
                height_px=64,
            )
        )
        headers = {"authorization": f"Bearer {KEY}"}
        response = await self._client.post(call.url, json=call.payload, headers=headers)
        reply = Reply(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            document=response.json(),
        )
        step = self._provider.next(reply)
        assert not isinstance(step, Accepted)
        verdict = step if isinstance(step, Verdict) else step.verdict
        if verdict.hint_s is None:
            return verdict
        return replace(verdict, hint_s=verdict.hint_s * self._job.speed)

    def _follow(self, scene: Scene, verdict: Verdict, permit: Permit) -> float | None:
        assert scene.started_at is not None
        now = self._now()
        scene.turned_away += 1
        is_covered = permit.rejected(now, verdict.hint_s)
        history = History(ran=0, turned_away=scene.turned_away, elapsed_s=now - scene.started_at)
        decision = decide(verdict, history, cast("Settings", Patience()), chance=self._draw())
        if not isinstance(decision, Again):
            return None
        return anyio.current_time() + (0.0 if is_covered else decision.wait_s / self._job.speed)


async def _limited(job: Job, limiter: Limiter) -> Result:
    async def work(result: Result) -> None:
        async with fast_client() as client:
            await Limited(job, limiter, result, client).run()

    return await measured(job, work)


async def ours(job: Job) -> Result:
    """Run the adaptive limiter, which knows nothing but a ceiling."""
    return await _limited(
        job, AdaptiveLimiter(job.ceiling, draw=random.Random(job.seed + 1).random)
    )


async def alone(job: Job) -> Result:
    """Run a fixed capacity whose scenes each wait for themselves: the yardstick before chance."""
    return await _limited(job, DeafLimiter(job.ceiling))


class KnowingLimiter(Limiter):
    """Keeps a copy of the provider's books, and sends when there is room by them."""

    def __init__(self, limit: Limit, ceiling: int) -> None:
        super().__init__(ceiling)
        self._limit = deepcopy(limit)
        self._first_at: float | None = None

    def may_send(self, now: float, in_flight: int) -> Permission:
        if self._first_at is None:
            self._first_at = now
        if in_flight >= self.ceiling:
            return Permission(allowed=False)
        wait_s = self._limit.wait_s(now - self._first_at, in_flight)
        if wait_s == math.inf:
            return Permission(allowed=False)
        return Permission(allowed=wait_s == 0, wake_at=now + wait_s if wait_s else None)

    def on_sent(self, permit: Permit, now: float) -> None:
        assert self._first_at is not None
        self._limit.took(now - self._first_at)
        super().on_sent(permit, now)

    def on_rejected(self, permit: Permit, now: float, hint_s: float | None) -> bool:
        """Put into the copy what the provider has put into its books: it came a moment early."""
        assert self._first_at is not None
        self._limit.turned_away(now - self._first_at)
        return super().on_rejected(permit, now, hint_s)


async def knowing(job: Job) -> Result:
    """Run a client that knows the limit beforehand: the yardstick."""
    return await _limited(job, KnowingLimiter(job.hidden.limit, job.ceiling))


# Those that are used today -------------------------------------------------------------------


def prompt_of(number: int) -> str:
    """Name a scene in its prompt, so that the provider gives it its own time."""
    return f"#{number} a harbour at dusk"


def fast_client() -> httpx.AsyncClient:
    """Return a client whose pool is no bottleneck at this capacity."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(60), trust_env=False)


async def fixed(job: Job) -> Result:
    """Keep a fixed number in flight; each request backs off exponentially, as often as needed."""
    chance = random.Random(job.seed + 2)
    places = asyncio.Semaphore(job.ceiling)
    url = f"{job.api.base_url}/images/generations"
    headers = {"authorization": f"Bearer {KEY}"}

    async def one(number: int, client: httpx.AsyncClient, result: Result) -> None:
        payload = {"model": "m", "prompt": prompt_of(number), "size": "64x64"}
        async with places:
            tries = 0
            while (await client.post(url, json=payload, headers=headers)).status_code != 200:
                bound_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(tries, 30))
                tries += 1
                await asyncio.sleep(chance.random() * bound_s / job.speed)
            result.made += 1

    async def work(result: Result) -> None:
        async with fast_client() as client:
            await asyncio.gather(*(one(number, client, result) for number in range(job.scenes)))

    return await measured(job, work)


@contextmanager
def _compressed_sdk(speed: float) -> Generator[None]:
    """Compress the official client's own waits; it has no setting for them."""
    constants = vars(import_module("openai._base_client"))
    names = ("INITIAL_RETRY_DELAY", "MAX_RETRY_DELAY")
    before = {name: constants[name] for name in names}
    constants.update({name: wait_s / speed for name, wait_s in before.items()})
    try:
        yield
    finally:
        constants.update(before)


async def official(job: Job) -> Result:
    """Run the official client with five retries, a fixed number in flight."""
    places = asyncio.Semaphore(job.ceiling)

    async def one(number: int, client: openai.AsyncOpenAI, result: Result) -> None:
        async with places:
            with suppress(openai.APIStatusError):
                await client.images.generate(model="m", prompt=prompt_of(number), size="auto", n=1)
                result.made += 1

    async def work(result: Result) -> None:
        with _compressed_sdk(job.speed):
            async with openai.AsyncOpenAI(
                api_key=KEY, base_url=job.api.base_url, max_retries=SDK_RETRIES
            ) as client:
                await asyncio.gather(*(one(number, client, result) for number in range(job.scenes)))

    return await measured(job, work)
