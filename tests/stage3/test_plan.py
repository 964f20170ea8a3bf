"""What a run would make and cost, told without making or spending anything."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from host_stub import contract
from stage3_plugin import hooks
from stage3_plugin.plan import Plan, plan_run
from stage3_plugin.providers.base import Estimate
from stage3_plugin.requests import PictureRequest
from stage3_plugin.settings import Settings
from tests.fakes.image_api import ImageApi
from tests.stage3.running import settings_for

amounts = st.none() | st.integers(0, 10**6)


@given(st.lists(st.tuples(amounts, amounts)))
def test_a_sum_with_an_unknown_part_is_unknown(
    estimates: list[tuple[int | None, int | None]],
) -> None:
    """It is never told smaller than it can be."""
    requests = [
        PictureRequest(scene_id=str(number), prompt="", width_px=1, height_px=1)
        for number in range(len(estimates))
    ]
    plan = plan_run(requests, _looked_up(estimates))
    lows, highs = [low for low, _ in estimates], [high for _, high in estimates]

    assert plan == Plan(
        make=len(estimates),
        low_microusd=None if None in lows else sum(low or 0 for low in lows),
        high_microusd=None if None in highs else sum(high or 0 for high in highs),
    )


def _looked_up(
    estimates: Sequence[tuple[int | None, int | None]],
) -> Callable[[PictureRequest], Estimate]:
    def estimate(request: PictureRequest) -> Estimate:
        low, high = estimates[int(request.scene_id)]
        return Estimate(low_microusd=low, high_microusd=high)

    return estimate


class Scenes:
    """Two scenes as the host gives them."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[contract.Scene]:
        return (contract.Scene(scene_id=f"s{number}", prompt="a pier") for number in range(2))


def request(folder: Path) -> contract.ImageRequest:
    return contract.ImageRequest(run_id="r", scenes=Scenes(), out_dir=folder / "out")


def services(folder: Path) -> contract.Services:
    return contract.Services(project_dir=folder, now=lambda: datetime.now(UTC))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "more, cost",
    [
        ({"provider": "previz", "model": None, "base_url": None, "api_key": None}, "0"),
        ({"price_usd": "0.04", "model": "some/model"}, "0.08"),
        ({"model": "some/model"}, None),
    ],
    ids=["free", "flat", "unknown"],
)
async def test_the_plugin_plans_without_sending_or_writing_anything(
    more: dict[str, object], cost: str | None, image_api: ImageApi, tmp_path: Path
) -> None:
    """Through the contract: free, at a flat price, and at a price nobody knows."""
    plugin = hooks.host_image_plugin()
    settings = settings_for(image_api, **more)
    async with plugin.open(settings, services(tmp_path)) as stage:
        plan = await stage.plan(request(tmp_path))

    assert plan.make == 2
    assert plan.cost_low_usd == plan.cost_high_usd == (None if cost is None else Decimal(cost))
    assert image_api.received() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_a_cap_that_could_not_be_kept_refuses_to_start(tmp_path: Path) -> None:
    """Until there is a ledger, a promise about money would be empty."""
    plugin = hooks.host_image_plugin()
    asked = dataclasses.replace(request(tmp_path), max_cost_usd=Decimal(1))
    context = contract.StageContext(
        log=structlog.wrap_logger(CapturingLogger()),
        max_in_flight=1,
        stopping=anyio.Event(),
        deliver=lambda _: None,
    )
    async with plugin.open(Settings(), services(tmp_path)) as stage:
        with pytest.raises(contract.StageError, match="cap") as refused:
            await stage.run(asked, context)

    assert refused.value.starting
    assert refused.value.hint
