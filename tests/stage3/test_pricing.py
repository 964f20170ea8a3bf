"""What a picture can cost: by the table, and by the bills that came."""

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.pricing import Pricing
from stage3_plugin.providers.base import Estimate
from stage3_plugin.requests import PictureRequest

amounts = st.none() | st.integers(0, 10**6)


def request(side_px: int = 64, quality: str = "low") -> PictureRequest:
    return PictureRequest(
        scene_id="s", prompt="", width_px=side_px, height_px=side_px, quality=quality
    )


@given(st.tuples(amounts, amounts), amounts)
def test_the_highest_bill_counts_where_the_table_says_less(
    table: tuple[int | None, int | None], billed: int | None
) -> None:
    """And a price that nobody has told stays unknown, whatever was billed."""
    low, high = table
    pricing = Pricing(
        lambda _: Estimate(low_microusd=low, high_microusd=high), lambda _size, _quality: billed
    )

    expected = None if high is None else max(high, billed or 0)
    assert pricing.estimate(request()) == Estimate(low_microusd=low, high_microusd=expected)


def test_bills_are_asked_for_once_for_each_kind_of_picture() -> None:
    """Each size and quality has its own; a story of 100,000 scenes asks a few times."""
    asked: list[tuple[str, str]] = []

    def dearest(size: str, quality: str) -> int | None:
        asked.append((size, quality))
        return len(asked)

    pricing = Pricing(lambda _: Estimate(low_microusd=0, high_microusd=0), dearest)
    kinds = [request(), request(32), request(quality="high")]
    highs = [pricing.estimate(kind).high_microusd for kind in kinds * 2]

    assert highs == [1, 2, 3] * 2
    assert asked == [("64x64", "low"), ("32x32", "low"), ("64x64", "high")]
