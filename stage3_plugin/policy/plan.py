"""What a run would make and cost, known before anything is spent.

Pure: it goes through the requests as the run would, asks the same question of each, and adds up. A
picture whose price is not known makes the sum unknown, never smaller. Caps are reckoned with the
most each picture can cost, so what is called refused here may still fit when it comes to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from host_stub.contract import PlannedReference, PlannedState, PlanWave, StagePlan
from stage3_plugin.domain.money import Estimate, to_usd, usd_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.policy.reuse import Reuse

Prospect: TypeAlias = Reuse | Literal["unsendable"]
"""What would become of a scene: its reuse, or that it must not be sent at all."""
_COUNTED: Mapping[Prospect, PlannedState] = {
    Reuse.REUSE: "reused",
    Reuse.AWAITED: "pending",
    Reuse.UNDECIDED: "held",
    Reuse.BUSY: "busy",
    "unsendable": "unsendable",
}


@dataclass(slots=True)
class Sum:
    """Pictures, and what all of them can cost.

    Attributes:
        pictures: How many.
        low_microusd: The least; ``None`` once a price is not known.
        high_microusd: The most; likewise.
    """

    pictures: int = 0
    low_microusd: int | None = 0
    high_microusd: int | None = 0

    def add(self, each: Estimate, pictures: int = 1) -> None:
        """Count more pictures, at what each can cost."""
        self.pictures += pictures
        self.low_microusd = _plus(self.low_microusd, each.low_microusd, pictures)
        self.high_microusd = _plus(self.high_microusd, each.high_microusd, pictures)


def planned_references(request: PictureRequest) -> tuple[PlannedReference, ...]:
    """Return what would be sent along with a request; what it names, where that cannot be sent."""
    if not request.shown:
        return tuple(
            PlannedReference(image=wish.image, name=wish.name, role=wish.role)
            for wish in request.wishes
        )
    return tuple(
        PlannedReference(
            image=one.wish.image,
            name=one.wish.name,
            role=one.wish.role,
            sha256=one.sha256 or None,
            is_copy=bool(one.sha256) and one.is_copy,
        )
        for one in request.shown
    )


Note: TypeAlias = Callable[[PictureRequest, Sequence[PlannedState], Estimate | None], None]
"""Takes a note of a request: what becomes of each of its takes, and what one can cost if any of
them is made."""
_TOLD_FIRST: tuple[PlannedState, ...] = (
    "make",
    "refused",
    "held",
    "busy",
    "pending",
    "unsendable",
    "reused",
)


def told_of(states: Sequence[PlannedState]) -> PlannedState:
    """Return what is said of a scene whose takes come to different ends: what is to be done."""
    return next(one for one in _TOLD_FIRST if one in states)


def _nothing(
    _request: PictureRequest, _states: Sequence[PlannedState], _cost: Estimate | None
) -> None:
    pass


def plan_run(
    requests: Iterable[PictureRequest],
    *,
    prospects: Callable[[PictureRequest], Sequence[Prospect]],
    estimate: Callable[[PictureRequest], Estimate],
    room_microusd: int | None,
    typical_s: float | None,
    capacity: int,
    day_microusd: Mapping[str, int],
    wave_of: Callable[[PictureRequest], int] = lambda _request: 0,
    note: Note = _nothing,
) -> StagePlan:
    """Go through the requests and add up.

    Args:
        requests: In the run's order.
        prospects: Returns what would become of one: of each take that is wanted of it.
        estimate: Returns what one can cost.
        room_microusd: What the tightest cap leaves; ``None`` without a cap.
        typical_s: What such a picture took, if any was made.
        capacity: How many would be in flight.
        day_microusd: Held and spent today, by provider.
        wave_of: Returns how many pictures have to be made before one, one after the other.
        note: Called of each request, after ``prospects``.
    """
    counts = Counter[str]()
    waves: dict[int, Sum] = {}
    total = Sum()
    held = 0
    for request in requests:
        states: list[PlannedState] = []
        each: Estimate | None = None
        for expected in prospects(request):
            if expected not in {Reuse.MAKE, Reuse.RESEND}:
                states.append(_COUNTED[expected])
                continue
            each = each or estimate(request)
            held += each.high_microusd or 0
            if counts["refused"] or (room_microusd is not None and held > room_microusd):
                states.append("refused")  # the run stops at the first that does not fit
                counts["refused"] += 1
                continue
            states.append("make")
            counts["sheets"] += request.is_sheet
            waves.setdefault(wave_of(request), Sum()).add(each)
            total.add(each)
        counts.update(one for one in states if one != "refused")
        note(request, states, each if "make" in states else None)
    in_order = [waves[number] for number in sorted(waves)]
    # If all take as long, so many are made one after the other.
    rounds = sum(math.ceil(wave.pictures / capacity) for wave in in_order)
    return StagePlan(
        make=total.pictures,
        reused=counts["reused"],
        pending=counts["pending"],
        held=counts["held"],
        busy=counts["busy"],
        refused=counts["refused"],
        unsendable=counts["unsendable"],
        cost_low_usd=usd_of(total.low_microusd),
        cost_high_usd=usd_of(total.high_microusd),
        expected_s=0.0 if not rounds else None if typical_s is None else typical_s * rounds,
        day_spent_usd={name: to_usd(spent) for name, spent in day_microusd.items()},
        sheets=counts["sheets"],
        waves=tuple(
            PlanWave(scenes=wave.pictures, cost_high_usd=usd_of(wave.high_microusd))
            for wave in (in_order if len(in_order) > 1 else ())
        ),
    )


def _plus(total: int | None, each: int | None, pictures: int) -> int | None:
    return None if total is None or each is None else total + each * pictures
