"""What a run would make and cost, known before anything is spent.

Pure: it goes through the requests as the run would, asks the same question of each, and adds up. A
picture whose price is not known makes the sum unknown, never smaller. Caps are reckoned with the
most each picture can cost, so what is called refused here may still fit when it comes to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from host_stub.contract import PlannedState
from stage3_plugin.domain.money import Estimate
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWave:
    """Pictures that can be made at once, since all that they show is there by then.

    Attributes:
        scenes: How many would be made.
        cost_high_microusd: The most they can cost; ``None`` if a price is not known.
    """

    scenes: int
    cost_high_microusd: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReference:
    """A picture that would be sent along; see ``host_stub.contract.PlannedReference``."""

    image: str
    name: str | None = None
    role: str | None = None
    sha256: str | None = None
    is_copy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """What there is to say of one scene; see ``host_stub.contract.ScenePlan``."""

    scene_id: str
    role: Literal["scene", "sheet"] = "scene"
    model: str | None = None
    references: tuple[PlannedReference, ...] = ()
    labels: str | None = None
    dropped: tuple[str, ...] = ()
    prompt_sent: str | None = None
    waits_for: tuple[str, ...] = ()
    problem: str | None = None
    state: PlannedState | None = None
    cost_high_microusd: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step that scenes may be tried by; see ``host_stub.contract.PlannedStep``."""

    provider: str
    model: str | None
    prompt: int
    scenes: int
    high_microusd: int | None
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLane:
    """What pictures cost and take in one lane; see ``host_stub.contract.PlannedLane``."""

    scenes: int = 0
    low_microusd: int | None = 0
    high_microusd: int | None = 0
    expected_s: float | None = None
    within_s: float | None = None
    cannot: tuple[str, ...] = ()

    def with_more(self, pictures: int, each: Estimate, *, go_by_it: bool) -> PlannedLane:
        """Return it with more pictures, whether or not they would go by it."""
        low, high = each.low_microusd, each.high_microusd
        return replace(
            self,
            scenes=self.scenes + pictures if go_by_it else self.scenes,
            low_microusd=_plus(self.low_microusd, None if low is None else low * pictures),
            high_microusd=_plus(self.high_microusd, None if high is None else high * pictures),
        )


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
        sheets: How many of ``make`` are sheets.
        stale: How many of ``make`` have a picture that was made with other references.
        waves: What can be made at once, in order; empty where no scene waits for another.
        scenes: Each scene and sheet where prompts are sent; else those with references, or with a
            problem.
        steps: The steps by which scenes may be tried; empty where there is one.
        worst_microusd: What it costs if all scenes go through all of them, and each is billed;
            ``None`` where there is one, or a price is not known.
        ordinary: What ``make`` costs and takes bought at once; ``None`` where nobody is paid.
        batch: Likewise in batches; ``None`` where the first route has no such lane.
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
    sheets: int = 0
    stale: int = 0
    waves: tuple[PlanWave, ...] = ()
    scenes: tuple[ScenePlan, ...] = ()
    steps: tuple[PlannedStep, ...] = ()
    worst_microusd: int | None = None
    ordinary: PlannedLane | None = None
    batch: PlannedLane | None = None


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
) -> Plan:
    """Go through the requests and add up.

    Args:
        requests: In the run's order.
        prospects: Returns what would become of one: of each take that is wanted of it.
        estimate: Returns what one can cost.
        room_microusd: What the tightest cap leaves; ``None`` without a cap.
        typical_s: What such a picture took, if any was made.
        capacity: How many would be in flight.
        day_microusd: Passed on to the plan.
        wave_of: Returns how many pictures have to be made before one, one after the other.
        note: Called of each request, after ``prospects``.
    """
    counts = Counter[str]()
    waves: dict[int, PlanWave] = {}
    low: int | None = 0
    high: int | None = 0
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
            _join(waves, wave_of(request), each)
            low = _plus(low, each.low_microusd)
            high = _plus(high, each.high_microusd)
        counts.update(one for one in states if one != "refused")
        note(request, states, each if "make" in states else None)
    make = counts["make"]
    return Plan(
        make=make,
        reused=counts["reused"],
        pending=counts["pending"],
        held=counts["held"],
        busy=counts["busy"],
        refused=counts["refused"],
        unsendable=counts["unsendable"],
        low_microusd=low,
        high_microusd=high,
        expected_s=0.0 if make == 0 else _times(typical_s, _rounds(waves, capacity)),
        day_microusd=day_microusd,
        sheets=counts["sheets"],
        waves=tuple(waves[number] for number in sorted(waves)) if len(waves) > 1 else (),
    )


def _join(waves: dict[int, PlanWave], number: int, each: Estimate) -> None:
    """Count a picture in its wave."""
    wave = waves.get(number, PlanWave(scenes=0, cost_high_microusd=0))
    high = _plus(wave.cost_high_microusd, each.high_microusd)
    waves[number] = PlanWave(scenes=wave.scenes + 1, cost_high_microusd=high)


def _rounds(waves: Mapping[int, PlanWave], capacity: int) -> int:
    """Return how many pictures are made one after the other, if all take as long."""
    return sum(math.ceil(wave.scenes / capacity) for wave in waves.values())


def _plus(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def _times(each: float | None, number: int) -> float | None:
    return None if each is None else each * number
