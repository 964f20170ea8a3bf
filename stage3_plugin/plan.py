"""What a run would make and cost, told before anything is spent.

Pure: it goes through the requests with the provider's estimate and adds up. A picture whose price
is not known makes the sum unknown, never smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stage3_plugin.providers.base import Estimate
from stage3_plugin.requests import PictureRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        make: Pictures that would be made.
        low_microusd: The least they can cost; ``None`` if a price is not known.
        high_microusd: The most.
    """

    make: int
    low_microusd: int | None
    high_microusd: int | None


def plan_run(
    requests: Iterable[PictureRequest], estimate: Callable[[PictureRequest], Estimate]
) -> Plan:
    """Add up what the requests would cost."""
    make = 0
    low: int | None = 0
    high: int | None = 0
    for request in requests:
        make += 1
        each = estimate(request)
        low = _plus(low, each.low_microusd)
        high = _plus(high, each.high_microusd)
    return Plan(make=make, low_microusd=low, high_microusd=high)


def _plus(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
