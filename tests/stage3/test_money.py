"""Money is exact, and unknown stays unknown."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.money import (
    FREE,
    UNKNOWN,
    Charge,
    Estimate,
    Prices,
    Usage,
    add_costs,
    cost_of_answer,
    to_microusd,
    to_usd,
    usd_text,
)

dollars = st.decimals(0, 1_000_000, places=6)


@given(dollars)
def test_whole_micro_dollars_survive_both_ways(usd: Decimal) -> None:
    """Nothing is lost between the edges and the inside."""
    assert to_usd(to_microusd(usd)) == usd


@given(st.decimals(0, 1000, places=12))
def test_a_part_of_a_micro_dollar_is_rounded_up(usd: Decimal) -> None:
    """A cap must not be passed by rounding."""
    assert 0 <= to_usd(to_microusd(usd)) - usd < Decimal("0.000001")


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity", "-Infinity", "1e30", "sNaN"])
def test_an_impossible_amount_is_refused(usd: str) -> None:
    """It can be no price."""
    with pytest.raises(ValueError, match="amount of money"):
        to_microusd(Decimal(usd))


@given(st.integers(0, 10**12))
def test_an_amount_is_written_exactly_and_with_two_decimals_or_more(microusd: int) -> None:
    """Nothing is rounded away, and no zero is written that nobody needs."""
    written = usd_text(microusd)

    whole, _, fraction = written.partition(".")
    assert to_microusd(Decimal(written)) == microusd
    assert whole.isdecimal()
    assert 2 <= len(fraction) <= 6
    assert len(fraction) == 2 or not fraction.endswith("0")


PRICES = Prices(input_text=Decimal("0.25"), output_text=Decimal("1.5"), output_image=Decimal(30))


def test_a_recorded_answer_costs_what_its_provider_charged() -> None:
    """5 x 0.25e-6 + 1120 x 30e-6 + 417 x 1.5e-6 = 0.03422675, rounded up to a micro-dollar."""
    usage = Usage(input_text=5, output_text=417, output_image=1120)

    assert PRICES.price(usage) == 34227


@pytest.mark.parametrize(
    "reported, usage, flat, expected",
    [
        ("0.04", Usage(output_image=1000), "0.5", Charge(40_000, "reported")),
        ("0", None, "0.5", Charge(500_000, "flat")),
        ("0", None, "0", Charge(0, "reported")),
        ("0", None, None, Charge(0, "reported")),
        ("0", Usage(input_text=4, output_image=1000), "0.5", Charge(30_001, "tokens")),
        (None, Usage(input_text=4, output_image=1000), "0.5", Charge(30_001, "tokens")),
        (None, Usage(output_image=1, input_image=1), "0.5", Charge(500_000, "flat")),
        (None, Usage(output_image=1000), "0.5", Charge(500_000, "flat")),
        (None, Usage(output_image=1000), "0.02", Charge(30_000, "tokens", is_part=True)),
        (None, Usage(output_image=1000), None, Charge(30_000, "tokens", is_part=True)),
        (None, Usage(), "0.5", Charge(500_000, "flat")),
        (None, Usage(), None, UNKNOWN),
        (None, None, None, UNKNOWN),
        ("NaN", Usage(input_text=4, output_image=1000), None, Charge(30_001, "tokens")),
        ("-1", None, "0.5", Charge(500_000, "flat")),
        ("1e30", None, None, UNKNOWN),
        ("1e999999", None, None, UNKNOWN),
    ],
)
def test_the_surest_source_tells_the_cost(
    reported: str | None, usage: Usage | None, flat: str | None, expected: Charge
) -> None:
    """The provider's figure, then tokens, then the flat price, else unknown; never a guess."""
    cost = cost_of_answer(
        reported_usd=None if reported is None else Decimal(reported),
        usage=usage,
        prices=PRICES,
        flat_usd=None if flat is None else Decimal(flat),
    )

    assert cost == expected


@pytest.mark.parametrize(
    "usage, expected",
    [
        (Usage(input_text=12), Charge(500_000, "flat")),
        (Usage(input_text=12, output_image=1), Charge(500_000, "flat")),
        (Usage(input_text=12, output_text=1300), Charge(39_003, "tokens")),
        (Usage(input_text=4, output_text=1300, output_image=9), Charge(39_271, "tokens")),
        (Usage(input_text=4, output_text=300, output_image=120), Charge(4_051, "tokens")),
    ],
)
def test_a_picture_is_priced_by_tokens_only_if_it_has_some(usage: Usage, expected: Charge) -> None:
    """A count without the picture's own tokens would let any number of them through a cap."""
    cost = cost_of_answer(
        reported_usd=None,
        usage=usage,
        prices=PRICES,
        flat_usd=Decimal("0.5"),
        has_picture=True,
    )

    assert cost == expected


@pytest.mark.parametrize(
    "usage, flat, gateway, expected",
    [
        (None, None, "0.042", Charge(42_000, "gateway")),
        (None, "0.5", "0.042", Charge(500_000, "flat")),
        (Usage(input_text=4, output_image=1000), "0.5", "0.042", Charge(30_001, "tokens")),
        (None, None, "1e999999", UNKNOWN),
        (None, None, "-0.042", UNKNOWN),
    ],
)
def test_a_gateways_figure_counts_where_nothing_else_is_known(
    usage: Usage | None, flat: str | None, gateway: str, expected: Charge
) -> None:
    """It is the gateway's own price table, so that whatever a person set comes before it."""
    cost = cost_of_answer(
        reported_usd=None,
        usage=usage,
        prices=PRICES,
        flat_usd=None if flat is None else Decimal(flat),
        gateway_usd=Decimal(gateway),
    )

    assert cost == expected


costs = st.one_of(
    st.builds(Charge, st.integers(0, 10**9), st.sampled_from(["reported", "tokens", "flat"])),
    st.just(FREE),
    st.just(UNKNOWN),
)


@given(
    low=st.integers(0, 10**9),
    more=st.integers(0, 10**9),
    share=st.decimals(0, 1, places=4),
)
def test_a_part_of_a_price_is_rounded_up(low: int, more: int, share: Decimal) -> None:
    """So that a cap is never passed by rounding; what is not known stays so."""
    whole = Estimate(low_microusd=low, high_microusd=low + more)

    part = whole.at_share(share)

    assert part.low_microusd is not None
    assert part.high_microusd is not None
    assert 0 <= part.low_microusd - low * share < 1
    assert 0 <= part.high_microusd - (low + more) * share < 1
    assert whole.at_share(Decimal(1)) == whole
    unknown = Estimate(low_microusd=None, high_microusd=None)
    assert unknown.at_share(share) == unknown.at_share(None) == unknown


@given(low=st.integers(0, 10**9), more=st.integers(0, 10**9))
def test_a_share_that_is_not_known_is_from_half_to_all(low: int, more: int) -> None:
    """So is a batch's price, of a model of which none is listed."""
    part = Estimate(low_microusd=low, high_microusd=low + more).at_share(None)

    assert part == Estimate(low_microusd=(low + 1) // 2, high_microusd=low + more)


@given(st.lists(costs))
def test_a_sum_is_exact_or_unknown(parts: list[Charge]) -> None:
    """One unknown part makes the whole unknown."""
    total = add_costs(parts)

    if UNKNOWN in parts:
        assert total == UNKNOWN
    else:
        assert total.microusd == sum(part.microusd or 0 for part in parts)
        assert total.basis in {part.basis for part in parts} | {"free"}
    assert (total.usd is None) == (UNKNOWN in parts)


shares = st.decimals("0.001", 1, places=3)
counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts, shares)
def test_a_line_of_a_batch_costs_the_share_of_each_price(
    text: int, shown: int, words: int, picture: int, share: Decimal
) -> None:
    """Rounded up once, and so never by more than a micro-dollar."""
    prices = Prices(
        input_text=Decimal(5), input_image=Decimal(8), output_text=Decimal("1.5"),
        output_image=Decimal(30),
    )  # fmt: skip
    usage = Usage(input_text=text, input_image=shown, output_text=words, output_image=picture)
    whole = cost_of_answer(reported_usd=None, usage=usage, prices=prices, flat_usd=None)
    part = cost_of_answer(reported_usd=None, usage=usage, prices=prices, flat_usd=None, share=share)

    assert part.basis == whole.basis
    assert part.is_part == whole.is_part
    if whole.microusd is not None:
        exact = share * (text * 5 + shown * 8 + words * Decimal("1.5") + picture * 30)
        assert part.microusd is not None
        assert exact <= part.microusd < exact + 1


@pytest.mark.parametrize(
    "share, microusd, basis",
    [("0.5", 20_000, "flat"), ("1", 40_000, "flat"), (None, None, "unknown")],
)
def test_a_flat_price_is_shared_too(share: str | None, microusd: int | None, basis: str) -> None:
    """What part is paid may not be known: then neither is the cost."""
    cost = cost_of_answer(
        reported_usd=None, usage=None, prices=None, flat_usd=Decimal("0.04"),
        share=None if share is None else Decimal(share),
    )  # fmt: skip

    assert (cost.microusd, cost.basis) == (microusd, basis)


def test_the_providers_own_figure_is_shared_by_nobody() -> None:
    """It is what was charged; and what is free is free in whatever part."""
    usage = Usage(input_text=5, output_image=1120)
    own = cost_of_answer(
        reported_usd=Decimal("0.02"), usage=usage, prices=None, flat_usd=None, share=Decimal("0.5")
    )
    nothing = Prices(input_text=Decimal(0), output_image=Decimal(0))
    free = cost_of_answer(reported_usd=None, usage=usage, prices=nothing, flat_usd=None, share=None)

    assert own == Charge(20_000, "reported")
    assert free == Charge(0, "tokens")
