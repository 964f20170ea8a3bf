"""What a picture can cost: by the table, and by the bills that came."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy.pricing import is_absurd, most_plausible
from stage3_plugin.purchase.forecast import Pricing
from stage3_plugin.purchase.run_ledger import RunLedger
from tests.stage3.ledger.samples import DAY, NOW, new_purchase
from tests.stage3.line_shop import ROUTE

SHOWN = Reference(
    wish=ReferenceWish(image="mira.png"),
    sha256="",
    sent=SentPicture(sha256="", media_type="image/png", size_bytes=0),
)
amounts = st.none() | st.integers(0, 10**6)


def request(side_px: int = 64, quality: str = "low") -> PictureRequest:
    return PictureRequest(
        scene_id="s", prompt="", width_px=side_px, height_px=side_px, quality=quality
    )


def pricing(
    highest_bill: Callable[..., int | None],
    *,
    low: int | None = 0,
    high: int | None = 0,
    run: object = None,
) -> Pricing:
    """Return what a ledger with such bills teaches of a price table."""
    expected = Estimate(low_microusd=low, high_microusd=high)

    def list_price(_: PictureRequest) -> Estimate:
        return expected

    route = replace(ROUTE, list_price=list_price)
    ledger = cast("Ledger", SimpleNamespace(highest_bill=highest_bill))
    return Pricing(route, ledger, run=cast("RunLedger | None", run))


@given(st.tuples(amounts, amounts), amounts)
def test_the_highest_bill_counts_where_the_table_says_less(
    table: tuple[int | None, int | None], billed: int | None
) -> None:
    """And a price that nobody has told stays unknown, whatever was billed."""
    low, high = table

    def highest_bill(
        *, plausible_microusd: int, shows: bool, in_batch: bool, **_: str
    ) -> int | None:
        return None if shows or in_batch or (billed or 0) > plausible_microusd else billed

    believed = 0 if billed is None or billed > most_plausible(high or 0) else billed
    expected = None if high is None else max(high, believed)
    found = pricing(highest_bill, low=low, high=high).estimate(request())

    assert found == Estimate(low_microusd=low, high_microusd=expected)


def test_bills_are_asked_for_once_for_each_kind_of_picture() -> None:
    """Each model, size and quality has its own; a story of 100,000 scenes asks a few times.

    And what shows references has another than what shows none, a line of a batch than what is
    bought by itself.
    """
    asked: list[tuple[object, ...]] = []

    def highest_bill(**kind: object) -> int | None:
        asked.append(tuple(kind[one] for one in ("model", "size", "quality", "shows", "in_batch")))
        return len(asked)

    prices = pricing(highest_bill)
    kinds = [request(), request(32), request(quality="high"), replace(request(), model="own")]
    kinds += [replace(request(), shown=(SHOWN,)), replace(request(), lane="batch")]
    highs = [prices.estimate(kind).high_microusd for kind in kinds * 2]
    model = ROUTE.endpoint.model

    assert highs == [1, 2, 3, 4, 5, 6] * 2
    assert asked == [
        (model, "64x64", "low", False, False),
        (model, "32x32", "low", False, False),
        (model, "64x64", "high", False, False),
        ("own", "64x64", "low", False, False),
        (model, "64x64", "low", True, False),
        (model, "64x64", "low", False, True),
    ]


@pytest.mark.parametrize(
    "expected, billed, is_too_much",
    [
        (50_000, 500_000, False),
        (50_000, 500_001, True),
        (5_000, 100_000, False),
        (5_000, 100_001, True),
        (0, 1_000_000, False),
        (0, 1_000_001, True),
        (2_000_000, 20_000_000, False),
        (50_000, None, False),
    ],
)
def test_a_bill_is_believed_within_reason(
    expected: int, billed: int | None, *, is_too_much: bool
) -> None:
    """Ten times what was expected, ten cents at least, and a dollar where nothing was."""
    new = replace(new_purchase(), hold_microusd=expected)
    purchase = Purchase(
        new=new, state=State.PAID, day=DAY, held_at=NOW, changed_at=NOW, cost_microusd=billed
    )

    assert is_absurd(purchase) is is_too_much
    assert is_absurd(replace(purchase, decided_by="user")) is False
