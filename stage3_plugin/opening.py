"""From settings to an opened stage: what has to be built, and what can be refused before money is.

The only place that knows every part. Imports of the client and of the renderers happen inside, so
that a host can look at the plugin without loading either.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from stage3_plugin.attempt import LocalMaker, PaidMaker, RunBlocking, Shelf
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.money import Prices
from stage3_plugin.pictures.spool import Caps
from stage3_plugin.pictures.store import Store
from stage3_plugin.providers.base import Estimate, Profile, Provider
from stage3_plugin.providers.registry import PROFILES, provider_named
from stage3_plugin.requests import PictureRequest
from stage3_plugin.settings import Settings
from stage3_plugin.stage import Stage

DISK_THREADS = 8
"""Enough for syncs to overlap; more only delay the event loop."""

Result = TypeVar("Result")


@asynccontextmanager
async def open_stage(
    settings: Settings,
    project_dir: Path,
    *,
    blocking: RunBlocking | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Stage]:
    """Open a stage.

    Args:
        settings: Validated settings.
        project_dir: Where a relative ``state_dir`` starts.
        blocking: Runs disk work; by default in a few threads.
        tls: The certificates to trust, instead of the usual ones.

    Raises:
        SettingsRefused: The provider needs something the settings do not have.
    """
    run_blocking = blocking or _in_threads()
    store = Store(project_dir / settings.state_dir)

    def shelf(folder: Path) -> Shelf:
        return Shelf(store, folder, max_pixels=settings.max_pixels, blocking=run_blocking)

    if settings.provider == "previz":
        async with _open_previz(settings, shelf) as stage:
            yield stage
    else:
        async with _open_paid(settings, shelf, tls) as stage:
            yield stage


@asynccontextmanager
async def _open_previz(settings: Settings, shelf: Callable[[Path], Shelf]) -> AsyncGenerator[Stage]:
    from stage3_plugin.providers.previz import Previz  # noqa: PLC0415 - only when it is used
    from stage3_plugin.providers.previz.wishes import unmet_wishes  # noqa: PLC0415 - likewise
    from stage3_plugin.providers.previz.workers import usable_cores  # noqa: PLC0415 - likewise

    workers = min(settings.capacity, usable_cores())
    async with Previz(workers=workers, caption=settings.caption) as renderer:
        yield Stage(
            settings,
            lambda folder: LocalMaker(renderer, shelf(folder), unmet_wishes),
            estimate=_free,
            renderer=renderer,
            at_once=workers,
        )


@asynccontextmanager
async def _open_paid(
    settings: Settings, shelf: Callable[[Path], Shelf], tls: ssl.SSLContext | None
) -> AsyncGenerator[Stage]:
    from stage3_plugin.client import Client  # noqa: PLC0415 - imports httpx, only when it is used

    profile = PROFILES[settings.provider]
    _need_key(settings, profile)
    provider = _provider(settings)
    client = Client(
        key_header=profile.key_header,
        key_prefix=profile.key_prefix,
        key=settings.api_key,
        timeout_s=settings.timeout_s,
        trust_env=settings.trust_env,
        tls=tls,
    )
    caps = Caps(
        total_bytes=settings.max_reply_bytes,
        part_bytes=settings.max_reply_bytes,
        skeleton_bytes=min(4 << 20, settings.max_reply_bytes),
    )
    try:
        yield Stage(
            settings,
            lambda folder: PaidMaker(
                provider,
                client,
                shelf(folder),
                base_url=settings.base_url or profile.base_url,
                flat_usd=settings.price_usd,
                caps=caps,
            ),
            estimate=provider.estimate,
        )
    finally:
        await client.aclose()


def _provider(settings: Settings) -> Provider:
    prices = settings.prices
    return provider_named(
        settings.provider,
        api=settings.api,
        base_url=settings.base_url,
        model=settings.model or "",
        prices=None if prices is None else Prices(**prices.model_dump()),
        flat_usd=settings.price_usd,
        negative_prompt=settings.negative_prompt,
    )


def _need_key(settings: Settings, profile: Profile) -> None:
    """Refuse to start without a key where one is needed; a server of one's own may want none."""
    if settings.api_key is None and profile.needs_key and settings.base_url is None:
        variable = profile.key_variable
        raise SettingsRefused(
            "api_key",
            f"provider {profile.name!r} needs a key and none is set",
            hint=f"set the environment variable {variable} and add to the plugin's table: "
            f'api_key = {{ env = "{variable}" }}',
        )


def _free(_request: PictureRequest) -> Estimate:
    return Estimate(low_microusd=0, high_microusd=0)


def _in_threads() -> RunBlocking:
    limiter = anyio.CapacityLimiter(DISK_THREADS)

    async def run(work: Callable[[], Result], /) -> Result:
        return await anyio.to_thread.run_sync(work, limiter=limiter)

    return run
