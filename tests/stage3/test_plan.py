"""What a run would make and cost, told without making or spending anything."""

import dataclasses
from collections.abc import Iterator, Sequence
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
from host_stub.contract import StagePlan
from stage3_plugin import hooks
from stage3_plugin.domain.money import Estimate, to_usd
from stage3_plugin.policy.plan import Prospect, Tally
from stage3_plugin.policy.reuse import Reuse
from tests.doors import settings_for
from tests.fakes.image_api import ImageApi

amounts = st.none() | st.integers(0, 10**6)
prospects = st.sampled_from(
    (*Reuse.__members__.values(), "unsendable"),
)


@given(st.lists(st.tuples(prospects, amounts, amounts)))
def test_a_sum_with_an_unknown_part_is_unknown(
    story: list[tuple[Prospect, int | None, int | None]],
) -> None:
    """It is never told smaller than it can be; and every scene is counted once."""
    plan = planned(story)
    made = [(low, high) for what, low, high in story if what in {Reuse.MAKE, Reuse.RESEND}]
    lows, highs = [low for low, _ in made], [high for _, high in made]

    assert plan.cost_low_usd == (None if None in lows else to_usd(sum(low or 0 for low in lows)))
    assert plan.cost_high_usd == (
        None if None in highs else to_usd(sum(high or 0 for high in highs))
    )
    assert plan.make == len(made)
    assert plan.refused == 0
    left = plan.reused + plan.pending + plan.held + plan.busy + plan.unsendable
    assert plan.make + left == len(story)


@given(st.lists(st.integers(0, 100)), st.integers(0, 2000))
def test_a_plan_never_passes_a_cap(highs: list[int], room: int) -> None:
    """It makes the scenes in their order until one does not fit; from there on all are left out."""
    story: list[tuple[Prospect, int | None, int | None]] = [(Reuse.MAKE, 0, high) for high in highs]
    plan = planned(story, room_microusd=room)

    assert plan.cost_high_usd is not None
    assert plan.cost_high_usd <= to_usd(room)
    assert plan.make + plan.refused == len(highs)
    if plan.refused:
        assert sum(highs[: plan.make + 1]) > room


def planned(
    story: Sequence[tuple[Prospect, int | None, int | None]],
    *,
    room_microusd: int | None = None,
    typical_s: float | None = None,
    capacity: int = 1,
) -> StagePlan:
    tally = Tally(room_microusd)
    for prospect, low, high in story:
        tally.add([prospect], Estimate(low_microusd=low, high_microusd=high))
    return tally.plan(typical_s=typical_s, capacity=capacity, day_microusd={})


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
async def test_a_cap_that_could_not_be_kept_refuses_to_start(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Where a price is not known, a promise about money would be empty; also in a plan."""
    plugin = hooks.host_image_plugin()
    asked = dataclasses.replace(request(tmp_path), max_cost_usd=Decimal(1))
    context = contract.StageContext(
        log=structlog.wrap_logger(CapturingLogger()),
        max_in_flight=1,
        stopping=anyio.Event(),
        deliver=lambda _: None,
    )
    settings = settings_for(image_api, model="some/model")
    async with plugin.open(settings, services(tmp_path)) as stage:
        with pytest.raises(contract.StageError, match="price_usd") as refused:
            await stage.run(asked, context)
        with pytest.raises(contract.StageError, match="price_usd"):
            await stage.plan(asked)

    assert refused.value.starting
    assert refused.value.hint
    assert image_api.received() == 0
    assert list(tmp_path.iterdir()) == []
