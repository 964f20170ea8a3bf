"""What a run would make and cost, known before anything is spent.

Pure: it goes through the requests as the run would, asks the same question of each, and adds up. A
picture whose price is not known makes the sum unknown, never smaller. Caps are reckoned with the
most each picture can cost, so what is called refused here may still fit when it comes to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from host_stub.contract import PlannedReference, PlannedState, PlanWave, StagePlan
from stage3_plugin.domain.money import Estimate, to_usd, usd_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.policy.reuse import Reuse

Prospect: TypeAlias = Reuse | Literal["unsendable"]
"""What would become of a scene: its reuse, or that it must not be sent at all."""
MADE: frozenset[Prospect] = frozenset({Reuse.MAKE, Reuse.RESEND})
"""What is sent, if the caps have room for it."""
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


@dataclass
class Tally:
    """What becomes of requests, added up in the run's order.

    Attributes:
        room_microusd: What the tightest cap leaves; ``None`` without a cap.
    """

    room_microusd: int | None
    _held: int = 0
    _counts: Counter[str] = field(default_factory=Counter[str])
    _total: Sum = field(default_factory=Sum)
    _waves: dict[int, Sum] = field(default_factory=dict[int, Sum])

    def add(
        self,
        prospects: Iterable[Prospect],
        each: Estimate | None,
        *,
        is_sheet: bool = False,
        wave: int = 0,
    ) -> list[PlannedState]:
        """Count a request, and return what becomes of each of its takes.

        Args:
            prospects: What would become of each take that is wanted of it, caps aside.
            each: What one can cost, if any of them is made.
            is_sheet: It is a sheet.
            wave: How many pictures have to be made before it, one after the other.
        """
        states: list[PlannedState] = []
        for expected in prospects:
            if expected not in MADE:
                states.append(_COUNTED[expected])
                continue
            # This only grows, so that all behind the first that does not fit are left out.
            self._held += (each and each.high_microusd) or 0
            is_over = self.room_microusd is not None and self._held > self.room_microusd
            states.append("refused" if is_over else "make")
        self._counts.update(states)
        made = states.count("make")
        if made and each is not None:
            self._counts["sheets"] += made * is_sheet
            self._waves.setdefault(wave, Sum()).add(each, made)
            self._total.add(each, made)
        return states

    def plan(
        self, *, typical_s: float | None, capacity: int, day_microusd: Mapping[str, int]
    ) -> StagePlan:
        """Return the sums.

        Args:
            typical_s: What such a picture took, if any was made.
            capacity: How many would be in flight.
            day_microusd: Held and spent today, by provider.
        """
        counts, total = self._counts, self._total
        in_order = [self._waves[number] for number in sorted(self._waves)]
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
