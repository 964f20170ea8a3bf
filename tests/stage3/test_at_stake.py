"""What ``on_unknown = "resend"`` may pay twice, said before there is a story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.engine.build import open_stage
from stage3_plugin.settings import Settings

OWN_SERVER: dict[str, Any] = {
    "provider": "openai",
    "model": "the-model",
    "base_url": "http://127.0.0.1:9/v1",
    "on_unknown": "resend",
}


async def warnings_with(folder: Path, **settings: Any) -> tuple[str, ...]:
    """Open a stage as ``check`` does, and return what it has to say."""
    async with open_stage(Settings(**(OWN_SERVER | settings)), folder) as stage:
        return stage.warnings


@pytest.mark.anyio
async def test_a_price_that_may_be_paid_twice_is_told_with_the_sum(tmp_path: Path) -> None:
    """One picture's price, times all that can be in flight when a connection goes."""
    (warning,) = await warnings_with(tmp_path, price_usd="0.05", capacity=12)

    assert "$0.05 for a picture" in warning
    assert "up to $0.60" in warning
    assert "all 12 that `capacity` lets be in flight" in warning


@pytest.mark.anyio
async def test_a_price_that_is_not_known_is_told(tmp_path: Path) -> None:
    """With the setting that says it, also that it is nothing."""
    (warning,) = await warnings_with(tmp_path)

    assert "what one costs is not known: set `price_usd`" in warning


@pytest.mark.anyio
async def test_each_route_has_its_own_price(tmp_path: Path) -> None:
    """A fallback's as well."""
    fallback = {"provider": "openrouter", "model": "m", "api_key": "sk-0123456789abcdef",
                "price_usd": "0.20"}  # fmt: skip
    told = await warnings_with(tmp_path, price_usd="0.05", capacity=2, fallback=[fallback])
    first, second = (line for line in told if "nothing is known of model" not in line)

    assert "of 'openai'" in first
    assert "up to $0.10" in first
    assert "of 'openrouter'" in second
    assert "up to $0.40" in second


@pytest.mark.anyio
@pytest.mark.parametrize(
    "settings",
    [{"price_usd": "0"}, {"price_usd": "0.05", "on_unknown": "hold"}],
    ids=["free", "asked for"],
)
async def test_where_nothing_is_at_stake_nothing_is_said(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Of a server that bills nothing, and where a person decides."""
    assert await warnings_with(tmp_path, **settings) == ()
