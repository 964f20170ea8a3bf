"""Caps on spending, and what a run says that it cost."""

from __future__ import annotations

import re
from decimal import Decimal

from host_stub.conformance.behaviours import Empty, Refused
from host_stub.conformance.checks.seen import outcome_of, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Scene, StageError

ENDLESS = 20
"""An answer comes so often in a row, so that no plugin asks past it."""
_AMOUNT = re.compile(r"\d+(?:[.,]\d+)?")


@with_backend("money.cap-holds")
def cap_holds(lab: Lab) -> str:
    """Run four scenes under a cap of two pictures and a half, and count what is billed."""
    ran, _, cap = _capped(lab)
    spent = lab.service.billed()
    if spent > cap:
        raise Broken(f"{cap} USD were allowed, and {spent} USD were billed")
    how = "it refused to start" if _refused(ran) else f"{spent} USD were billed"
    return f"{cap} USD were allowed, and {how}"


@with_backend("money.cap-is-told")
def cap_is_told(lab: Lab) -> str:
    """Run four scenes under a cap of two pictures and a half, and read the summary."""
    ran, _, cap = _capped(lab)
    if _refused(ran):
        raise NotShown("it refuses to start under a cap")
    summary = ran.summary
    if summary is None or summary.stopped != "budget":
        said = None if summary is None else summary.stopped
        raise Broken(f"a cap kept scenes from being made, and the run stopped for {said!r}")
    named = {Decimal(one.replace(",", ".")) for one in _AMOUNT.findall(summary.message or "")}
    if cap not in named:
        raise Broken(f"the run's message does not name the cap of {cap} USD: {summary.message!r}")
    return f"the run stopped for 'budget' and said: {summary.message}"


@with_backend("money.cap-leaves-out")
def cap_leaves_out(lab: Lab) -> str:
    """Run four scenes under a cap of two pictures and a half, and read the outcomes."""
    ran, scenes, _ = _capped(lab)
    if _refused(ran):
        raise NotShown("it refuses to start under a cap")
    left = [outcome_of(ran, scene).failure for scene in scenes]
    others = sorted({one.code for one in left if one} - {"budget", "not_tried"})
    if others:
        raise Broken(f"scenes that a cap left out failed with {', '.join(others)}")
    if not any(left):
        raise Broken("all scenes have a picture, and a cap was to keep some from it")
    return f"{sum(one is not None for one in left)} scenes failed with 'budget' or 'not_tried'"


def _capped(lab: Lab) -> tuple[Recorded, list[Scene], Decimal]:
    """Run four scenes under a cap of two pictures and a half."""
    if not lab.case.price_usd:
        raise NotShown("the case names no price_usd, so there is nothing to put a cap on")
    cap = lab.case.price_usd * 5 / 2
    scenes = lab.scenes(4)
    ran = lab.run(scenes, max_in_flight=4, max_cost_usd=cap)
    if not _refused(ran):
        lab.well(ran)
    return ran, scenes, cap


def _refused(ran: Recorded) -> bool:
    error = ran.raised or ran.opening
    return isinstance(error, StageError) and error.starting


@with_backend("costs.as-billed", capability="reports_cost")
def as_billed(lab: Lab) -> str:
    """Run three scenes and a refused one, and compare costs with the service's books."""
    scenes = lab.scenes(3)
    ran = lab.made(scenes)
    costs = [outcome.cost.usd for outcome in ran.outcomes]
    known = [usd for usd in costs if usd is not None]
    if len(known) < len(costs):
        raise Broken(f"{len(costs) - len(known)} of {len(costs)} pictures have an unknown cost")
    billed = lab.service.billed()
    if sum(known) != billed:
        raise Broken(f"the outcomes add up to {sum(known)} USD, and {billed} USD were billed")
    if "Refused" not in lab.case.cannot:
        _is_no_dearer(lab, billed)
    return f"the outcomes add up to {sum(known)} USD, which is what was billed"


def _is_no_dearer(lab: Lab, billed_before: Decimal) -> None:
    """Refuse a scene: where its cost is known, it is what the service's books have for it."""
    scene = lab.scene(4)
    lab.tell(scene, *(Refused() for _ in range(ENDLESS)))
    usd = outcome_of(lab.well(lab.run([scene])), scene).cost.usd
    billed = lab.service.billed() - billed_before
    if usd is not None and usd > billed:
        raise Broken(
            f"a refused scene is said to have cost {usd} USD, and {billed} USD were billed"
        )


@with_backend("costs.failed-ones-count", behaviours=("Empty",))
def failed_ones_count(lab: Lab) -> str:
    """Bill an answer without a picture, and compare the scene's cost with the service's books."""
    scene = lab.scene()
    lab.tell(scene, Empty())
    ran = lab.well(lab.run([scene]))
    billed = lab.service.billed()
    if not billed:
        raise NotShown("this service bills nothing")
    usd = outcome_of(ran, scene).cost.usd
    if usd is not None and usd < billed:
        raise Broken(f"{billed} USD were billed, and the scene is said to have cost {usd} USD")
    return f"{billed} USD were billed, and the scene's cost is {usd or 'not known'}"
