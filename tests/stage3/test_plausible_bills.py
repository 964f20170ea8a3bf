"""The one door of all figures: what a vendor says that an answer cost is believed, or is not."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import CostBasis
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.policy.settlement import believed, cost_with_hold, settlement_of
from stage3_plugin.testing.batch_plans import Batched, Line
from stage3_plugin.testing.dialects.bfl import BflDialect
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.dialects.xai import XAIDialect
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Dialect, QueueJob, Standing
from stage3_plugin.testing.wire import Said
from tests.doors import counted, only, purchases, run_stage, settings_for, story
from tests.fakes.behaviours import Behaviour, Json
from tests.fakes.pngs import make_png
from tests.places import hurry, wait
from tests.stage3.batch_shop import LOOKS_S, shop

PICTURE = Picture(sha256="0" * 64, media_type="image/png", width_px=64, height_px=64, size_bytes=99)
TOLD: tuple[CostBasis, ...] = ("reported", "tokens", "gateway")
"""Figures of a vendor, or of a gateway; one that is listed is another of a vendor's."""
WITH = (VerdictKind.PICTURES, VerdictKind.UNREADABLE)
WITHOUT = (VerdictKind.REFUSED, VerdictKind.NO_PICTURE, VerdictKind.REJECTED)
AMOUNTS = st.integers(0, 200) | st.integers(0, 10**9)
HOLDS = st.integers(1, 10**8)
FIGURES = st.builds(Charge, AMOUNTS, st.sampled_from(TOLD)) | st.builds(
    Charge, AMOUNTS, st.just("flat"), is_listed=st.just(True)
)


def answered(kind: VerdictKind, cost: Charge) -> AttemptResult:
    picture = PICTURE if kind is VerdictKind.PICTURES else None
    return AttemptResult(verdict=Verdict(kind=kind, may_be_billed=True), cost=cost, picture=picture)


@given(cost=FIGURES, hold=HOLDS, kind=st.sampled_from(WITH))
def test_a_picture_costs_a_thousandth_of_its_hold_at_the_least(
    cost: Charge, hold: int, kind: VerdictKind
) -> None:
    """Whoever told the figure: what is below counts as the hold, and what is not is the bill."""
    settlement = settlement_of(answered(kind, cost), may_be_cut=False, hold_microusd=hold)
    told = cost_with_hold(answered(kind, cost), hold, State.PAID)
    assert cost.microusd is not None
    is_plausible = cost.microusd * 1000 >= hold

    assert told == (cost if is_plausible else Charge(hold, "held"))
    assert settlement is not None
    assert settlement.cost_microusd == (cost.microusd if is_plausible else None)


@given(cost=FIGURES, hold=HOLDS, kind=st.sampled_from(WITHOUT))
def test_an_answer_without_a_picture_may_cost_next_to_nothing(
    cost: Charge, hold: int, kind: VerdictKind
) -> None:
    """But a zero of what may have been billed is none, save where tokens are reckoned at none."""
    told = cost_with_hold(answered(kind, cost), hold, State.PAID_BAD)
    is_figure = bool(cost.microusd) or cost.basis == "tokens"

    assert told == (cost if is_figure else Charge(hold, "held"))


@given(microusd=AMOUNTS, hold=HOLDS, kind=st.sampled_from([*WITH, *WITHOUT]))
def test_a_persons_own_price_is_believed(microusd: int, hold: int, kind: VerdictKind) -> None:
    """Zero as well, with a picture and without."""
    price = Charge(microusd, "flat")

    assert believed(answered(kind, price), hold) == price


@given(
    cost=FIGURES | st.builds(Charge, AMOUNTS, st.sampled_from(get_args(CostBasis))),
    is_part=st.booleans(),
    hold=HOLDS,
    kind=st.sampled_from([*WITH, *WITHOUT]),
)
def test_no_figure_lowers_what_a_cap_counts_below_a_bill_that_can_be(
    cost: Charge,
    is_part: bool,  # noqa: FBT001 - drawn
    hold: int,
    kind: VerdictKind,
) -> None:
    """What counts is the figure itself or the hold, and with a picture never less than a part."""
    drawn = Charge(cost.microusd, cost.basis, is_part=is_part, is_listed=cost.is_listed)
    counts = cost_with_hold(answered(kind, drawn), hold, State.PAID).microusd
    assert counts is not None
    assert cost.microusd is not None

    assert counts in {cost.microusd, hold}
    assert counts >= cost.microusd or cost.microusd * 1000 < hold or is_part
    if kind in WITH and (cost.basis in TOLD or cost.is_listed):
        assert counts * 1000 >= hold


@pytest.mark.parametrize("kind", [*WITH, *WITHOUT])
@given(cost=FIGURES)
def test_where_nothing_was_held_every_figure_is_believed(kind: VerdictKind, cost: Charge) -> None:
    """There is nothing that it could be compared with."""
    assert believed(answered(kind, cost), 0) == cost


# Through the door --------------------------------------------------------------------------------


class NextToNothing:
    """Whatever is billed, its vendor says that it was next to nothing."""

    def price_of(self, document: Mapping[str, Any]) -> Decimal:
        del document
        return Decimal("0.0000001")


class Bfl(NextToNothing, BflDialect):
    """The submit names the cost."""


class Xai(NextToNothing, XAIDialect):
    """The answer has ticks."""


class Fal(FalDialect):
    """The result's head has units."""

    def result(self, job: QueueJob, standing: Standing, at: str) -> Said:
        said = super().result(job, standing, at)
        return Said(said.status, said.document, {**said.headers, "X-Fal-Billable-Units": "1e-7"})


def made(usage: Mapping[str, Any], **headers: str) -> Behaviour:
    """Answer with a picture, and with such a usage."""
    text = base64.b64encode(make_png("a", 64, 64)).decode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Json({"data": [{"b64_json": text}], "usage": usage}, headers=named, billed=True)


TOKENS = {"input_tokens": 1, "output_tokens": 64}
VENDORS: dict[str, tuple[type[Dialect] | None, dict[str, Any], Behaviour | None]] = {
    "units": (Fal, {"provider": "fal", "model": "fal-ai/flux-2/turbo"}, None),
    "credits": (Bfl, {"provider": "bfl", "model": "flux-2-pro"}, None),
    "ticks": (Xai, {"provider": "xai", "model": "grok-imagine-image-2.0"}, None),
    "a cost": (
        None, {"model": "a/painter", "price_usd": "0.05"}, made({"cost": 0.0000001}),
    ),
    "a gateway's header": (
        None,
        {"provider": "openai", "model": "gpt-image-2", "quality": "high", "price_usd": None},
        made({}, x_litellm_response_cost="0.0000001"),
    ),
    "tokens": (
        None,
        {
            "provider": "openai", "model": "a-painter", "price_usd": "9",
            "prices": {"input_text": "1", "output_image": "1"},
        },
        made(TOKENS),
    ),
}  # fmt: skip


@contextmanager
def serving(dialect: type[Dialect] | None) -> Generator[ImageApi]:
    with ImageApi() if dialect is None else ImageApi(dialect=dialect()) as api:
        yield api


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual time."""
    hurry(monkeypatch, 100, "policy.polling")
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=LOOKS_S)


@pytest.mark.anyio
@pytest.mark.parametrize("figure", VENDORS)
async def test_next_to_nothing_for_a_picture_lets_nothing_through_a_cap(
    figure: str, tmp_path: Path
) -> None:
    """In whatever the vendor counts: the hold is spent, and a cap of two and a half buys two."""
    dialect, settings, answer = VENDORS[figure]
    with serving(dialect) as api:
        if answer is not None:
            api.always(answer)
        asked = {"price_usd": None, "size": "1024x1024", "capacity": 1, **settings}
        await run_stage(settings_for(api, **asked), story("a"), tmp_path)
        hold = only(tmp_path).hold_microusd
        cap = str(Decimal(hold * 5 // 2) / 10**6)
        capped = settings_for(api, **asked, total_usd=cap)
        await run_stage(capped, story("a", "b", "c", "d"), tmp_path)
        received = api.received()

    assert hold > 0
    assert {one.counted_microusd for one in purchases(tmp_path)} == {hold}
    assert received == len(purchases(tmp_path)) == 2
    assert counted(tmp_path) == 2 * hold


@pytest.mark.anyio
async def test_next_to_nothing_for_a_line_of_a_batch_counts_as_its_hold(tmp_path: Path) -> None:
    """It passes the same door."""
    text = base64.b64encode(make_png("a", 64, 64)).decode()
    document = {"data": [{"b64_json": text}], "usage": {"cost": 0.0000001}}
    with ImageApi() as api:
        api.batches.plan = Batched(polls=0)
        api.batches.line = Line(ends="said", document=document, billed=True)
        ran = await run_stage(shop(api, price_usd=None), story("a"), tmp_path)

    purchase = only(tmp_path)
    assert ran.code("a") == "made"
    assert purchase.counted_microusd == purchase.hold_microusd > 0
