"""What a run would make and cost, known before anything is spent.

Pure: it goes through the requests as the run would, asks the same question of each, and adds up. A
picture whose price is not known makes the sum unknown, never smaller. Caps are reckoned with the
most each picture can cost, so what is called refused here may still fit when it comes to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.policy.reuse import Reuse

Prospect: TypeAlias = Reuse | Literal["unsendable"]
"""What would become of a scene: its reuse, or that it must not be sent at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        make: Pictures that would be made.
        reused: Pictures that are there.
        pending: Scenes that are bought, and whose pictures were asked for and are not here yet.
        held: Scenes that may have been paid for and wait for a decision.
        busy: Scenes that another run has in work.
        refused: Scenes that a cap would leave out.
        unsendable: Scenes that would be rejected before anything is sent.
        low_microusd: The least the run can cost; ``None`` if a price is not known.
        high_microusd: The most.
        expected_s: Seconds, from what such pictures took; ``None`` if there were none.
        day_microusd: Held and spent today, by provider.
        warnings: What a person should know before spending, a line each.
    """

    make: int = 0
    reused: int = 0
    pending: int = 0
    held: int = 0
    busy: int = 0
    refused: int = 0
    unsendable: int = 0
    low_microusd: int | None = 0
    high_microusd: int | None = 0
    expected_s: float | None = None
    day_microusd: Mapping[str, int] = field(default_factory=dict[str, int])
    warnings: tuple[str, ...] = ()


def plan_run(
    requests: Iterable[PictureRequest],
    *,
    prospect: Callable[[PictureRequest], Prospect],
    estimate: Callable[[PictureRequest], Estimate],
    room_microusd: int | None,
    typical_s: float | None,
    capacity: int,
    day_microusd: Mapping[str, int],
) -> Plan:
    """Go through the requests and add up.

    Args:
        requests: In the run's order.
        prospect: Returns what would become of one.
        estimate: Returns what one can cost.
        room_microusd: What the tightest cap leaves; ``None`` without a cap.
        typical_s: What such a picture took, if any was made.
        capacity: How many would be in flight.
        day_microusd: Passed on to the plan.
    """
    counts = Counter[str]()
    low: int | None = 0
    high: int | None = 0
    held = 0
    for request in requests:
        expected = prospect(request)
        if expected not in {Reuse.MAKE, Reuse.RESEND}:
            counts[expected] += 1
            continue
        each = estimate(request)
        held += each.high_microusd or 0
        if counts["refused"] or (room_microusd is not None and held > room_microusd):
            counts["refused"] += 1  # the run stops at the first that does not fit
            continue
        counts["make"] += 1
        low = _plus(low, each.low_microusd)
        high = _plus(high, each.high_microusd)
    make = counts["make"]
    return Plan(
        make=make,
        reused=counts[Reuse.REUSE],
        pending=counts[Reuse.AWAITED],
        held=counts[Reuse.UNDECIDED],
        busy=counts[Reuse.BUSY],
        refused=counts["refused"],
        unsendable=counts["unsendable"],
        low_microusd=low,
        high_microusd=high,
        expected_s=0.0 if make == 0 else _times(typical_s, math.ceil(make / capacity)),
        day_microusd=day_microusd,
    )


def _plus(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def _times(each: float | None, number: int) -> float | None:
    return None if each is None else each * number
