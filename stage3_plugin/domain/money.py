"""Money: micro-USD inside, Decimal at the edges, and what a reply cost.

Pure. Amounts are integers of a millionth of a dollar, so that sums are exact and a database can
hold them; a Decimal is made only where a person or another program looks. Unknown is ``None``:
it is never added up as zero, and one unknown part makes the whole unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from stage3_plugin.runtime.declared import Count, or_unknown

if TYPE_CHECKING:
    from host_stub.contract import Cost, CostBasis

MICRO = 1_000_000
MOST_USD = 10**6
MOST_MICROUSD = MOST_USD * MICRO
"""A million dollars for one answer is a broken figure, not a price."""
_WHOLE = Decimal(1)


Usd: TypeAlias = Annotated[Decimal, Field(ge=0, le=MOST_USD), or_unknown]
"""A figure that cannot be one is none: it is no reason to lose what was bought."""
Share: TypeAlias = Annotated[Decimal, Field(ge=0, le=1)]
Microusd: TypeAlias = Annotated[Count, Field(le=MOST_MICROUSD)]
LEAST_PICTURE_TOKENS = 64
"""The smallest picture on record has 120; fewer than this are no count of a picture's tokens."""


def to_microusd(usd: Decimal) -> int:
    """Turn dollars into whole micro-USD, rounding up: a cap must never be passed by rounding.

    Raises:
        ValueError: ``usd`` is negative, not finite, or beyond a million dollars.
    """
    if not usd.is_finite() or usd < 0:
        raise ValueError("an amount of money is a finite number of at least 0")
    if usd > MOST_USD:  # compared first: the product of 1e999999 and a million overflows
        raise ValueError("an amount of money is at most 1,000,000 USD")
    return int((usd * MICRO).to_integral_value(ROUND_CEILING))


def cap_in_microusd(usd: Decimal) -> int:
    """Turn a cap into whole micro-USD, rounding down: it must never be passed by rounding.

    Raises:
        ValueError: See :func:`to_microusd`.
    """
    return min(to_microusd(usd), int(usd * MICRO))


def to_usd(microusd: int) -> Decimal:
    """Turn micro-USD into dollars, exactly."""
    return Decimal(microusd) / MICRO


def usd_of(microusd: int | None) -> Decimal | None:
    """Turn micro-USD into dollars; what is not known stays ``None``."""
    return None if microusd is None else to_usd(microusd)


def usd_text(microusd: int) -> str:
    """Write micro-USD in dollars, exactly, as money is written: ``0.20``, ``0.0039``, ``0.00``."""
    whole, _, fraction = f"{to_usd(microusd):.6f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


@dataclass(frozen=True, slots=True)
class Charge:
    """What something cost in micro-USD, ``None`` if unknown, and how far that is known.

    Callers are told of it as the contract's ``Cost``, in dollars.

    Attributes:
        is_part: It cost this much at least, and the rest is not known.
        is_listed: A flat one of what the provider says that it billed, and of no person's price.
    """

    microusd: int | None
    basis: CostBasis
    is_part: bool = field(default=False, kw_only=True)
    is_listed: bool = field(default=False, kw_only=True)

    @property
    def usd(self) -> Decimal | None:
        """Return the amount in dollars."""
        return usd_of(self.microusd)

    @property
    def told(self) -> Cost:
        """Return it as the contract has it."""
        from host_stub.contract import Cost  # noqa: PLC0415 - who only counts needs no pydantic

        return Cost(usd=self.usd, basis=self.basis)


FREE = Charge(0, "free")
"""Of a local renderer, and of an answer that is known to be unbilled."""
UNKNOWN = Charge(None, "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer, by price class."""

    input_text: Count = 0
    input_image: Count = 0
    output_text: Count = 0
    output_image: Count = 0

    @property
    def lacks_input(self) -> bool:
        """Return whether the request's own tokens are not counted: there is no request of none."""
        return not self.input_text and not self.input_image


Tokens: TypeAlias = Annotated[Usage, or_unknown]
_CLASSES = tuple(one.name for one in fields(Usage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """USD per million tokens, by class; ``None`` is a class whose price is not known."""

    input_text: Usd | None = None
    input_image: Usd | None = None
    output_text: Usd | None = None
    output_image: Usd | None = None

    def at_share(self, share: Decimal | None) -> Prices:
        """Return a part of all prices; of what part is not known, only what is free has one."""
        return Prices(**{name: _at_share(getattr(self, name), share) for name in _CLASSES})

    def price(self, usage: Usage) -> int | None:
        """Price a usage in micro-USD; ``None`` if a class with tokens has no price.

        USD per million tokens is micro-USD per token, so the sum needs no further scaling.
        """
        total = Decimal(0)
        for name in _CLASSES:
            tokens, per_million = getattr(usage, name), getattr(self, name)
            if tokens == 0:
                continue
            if per_million is None:
                return None
            total += tokens * per_million
        return int(total.to_integral_value(ROUND_CEILING))


def cost_of_answer(
    *,
    reported_usd: Decimal | None,
    usage: Usage | None,
    prices: Prices | None,
    flat_usd: Decimal | None,
    listed_usd: Decimal | None = None,
    gateway_usd: Decimal | None = None,
    has_picture: bool = False,
    share: Decimal | None = _WHOLE,
) -> Charge:
    """Return what one billed answer cost.

    The order is the one that proved right on recorded answers: the provider's own figure, then
    tokens times a price table, then a flat price per picture, then what our list makes of what was
    billed, then what a gateway in between makes of it, else unknown. A gateway's figure is a price
    table of its own times the tokens, not what the provider charged, so that everything a person
    set comes before it. A usage without a single token says nothing (self-hosted servers send
    zeros), and a figure that is negative, not finite or absurd is ignored rather than believed. A
    reported zero is what a gateway says of a model that it does not know, so that any other source
    that knows a price comes before it.

    Args:
        reported_usd: The provider's own figure.
        usage: The tokens that it reports.
        prices: The price table in force.
        flat_usd: The settings' price per picture.
        listed_usd: What our price list makes of the quantity that it says it billed.
        gateway_usd: What a gateway makes of it.
        has_picture: There is a picture in the answer, which has tokens of its own.
        share: What part of every price but the provider's own figure is paid, as of a line of a
            batch; ``None`` where that is not known, and then only what is free has a price.
    """
    prices = None if prices is None else prices.at_share(share)
    flat_usd, gateway_usd = _at_share(flat_usd, share), _at_share(gateway_usd, share)
    reported: Charge | None = None
    if reported_usd is not None:
        with suppress(ValueError):  # hostile or broken: the next source decides
            reported = Charge(to_microusd(reported_usd), "reported")
    if reported is not None and reported.microusd:
        return reported
    if has_picture and usage is not None:
        usage = _with_a_picture(usage)
    guess = _by_guess(flat_usd, _at_share(listed_usd, share), gateway_usd)
    other = _by_price(usage, prices, guess)
    return reported if reported is not None and not other.microusd else other


def _at_share(price: Decimal | None, share: Decimal | None) -> Decimal | None:
    if price is None or share is None:
        return None if price else price
    return price * share


def _with_a_picture(usage: Usage) -> Usage | None:
    """Read the tokens of an answer that has a picture; ``None`` if they cannot be all of them.

    A split that leaves the picture less than any has is not believed: then all output counts as
    picture tokens, which cost the most.
    """
    if usage.output_image >= LEAST_PICTURE_TOKENS:
        return usage
    output = usage.output_text + usage.output_image
    if output < LEAST_PICTURE_TOKENS:
        return None
    return replace(usage, output_text=0, output_image=output)


def _by_price(usage: Usage | None, prices: Prices | None, other: Charge) -> Charge:
    """Price an answer that does not say what it cost.

    Tokens that are not all of them are a part of it: what another source makes of the whole comes
    before them, if it is more.
    """
    tokens = _by_tokens(usage, prices)
    if tokens.microusd is not None and not tokens.is_part:
        return tokens
    return tokens if (other.microusd or 0) < (tokens.microusd or 0) else other


def _by_tokens(usage: Usage | None, prices: Prices | None) -> Charge:
    if usage is None or prices is None or usage == Usage():
        return UNKNOWN
    microusd = prices.price(usage)
    is_free = not prices.input_text and prices.input_text is not None
    is_part = microusd is not None and usage.lacks_input and not is_free
    return UNKNOWN if microusd is None else Charge(microusd, "tokens", is_part=is_part)


def _by_guess(
    flat_usd: Decimal | None, listed_usd: Decimal | None, gateway_usd: Decimal | None
) -> Charge:
    if flat_usd is not None:
        return Charge(to_microusd(flat_usd), "flat")
    if listed_usd is not None:
        return Charge(to_microusd(listed_usd), "flat", is_listed=True)
    if gateway_usd is not None:
        try:
            return Charge(to_microusd(gateway_usd), "gateway")
        except ValueError:
            pass  # hostile or broken: then it stays unknown
    return UNKNOWN


def add_costs(costs: Iterable[Charge]) -> Charge:
    """Add costs up; one unknown part makes the whole unknown. Nothing at all costs nothing.

    The basis of a sum is that of its paid parts if they agree; a mixture is called by its least
    certain part.
    """
    certainty: tuple[CostBasis, ...] = (
        "held", "gateway", "flat", "tokens", "reported", "free",
    )  # fmt: skip
    total = 0
    bases: set[CostBasis] = set()
    for cost in costs:
        if cost.microusd is None:
            return UNKNOWN
        total += cost.microusd
        bases.add(cost.basis)
    if not bases:
        return FREE
    return Charge(total, next(basis for basis in certainty if basis in bases))


THIRD_PARTY_TIMES = Decimal("1.5")
"""So many times the upper figure is held where nobody but a third party says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one picture is expected to cost in micro-USD; ``None`` where it is not known.

    Attributes:
        low_microusd: The least.
        high_microusd: The most, which is what is held for it.
        is_third_partys: Nobody but a third party says so; see :meth:`of_third_party`.
    """

    low_microusd: Microusd | None
    high_microusd: Microusd | None
    is_third_partys: bool = False

    def of_third_party(self) -> Estimate:
        """Return what is held where nobody but a third party says so: more than they say."""
        most = _part_of(self.high_microusd, THIRD_PARTY_TIMES)
        return replace(self, high_microusd=most, is_third_partys=True)

    def at_share(self, share: Decimal | None) -> Estimate:
        """Return it at a part of the price, such as that of a batch, rounded up.

        Args:
            share: From 0 to 1; ``None`` if it is not known: then it is from half to all of it.
        """
        if share is None:
            return replace(self, low_microusd=_part_of(self.low_microusd, _HALF))
        return replace(
            self,
            low_microusd=_part_of(self.low_microusd, share),
            high_microusd=_part_of(self.high_microusd, share),
        )


_HALF = Decimal("0.5")


def _part_of(microusd: int | None, share: Decimal) -> int | None:
    return None if microusd is None else int((microusd * share).to_integral_value(ROUND_CEILING))
