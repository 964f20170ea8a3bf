"""Whether a plan says what a run then does, and what it says of the lanes."""

from __future__ import annotations

from decimal import Decimal

from host_stub.conformance.lab import Lab, usd
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import changed, tree_of
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import ImageStage, Lane, PlannedLanes, StageError, StagePlan


def accounted(plan: StagePlan) -> int:
    """Add up the counts of a plan."""
    counts = (plan.make, plan.reused, plan.pending, plan.held, plan.busy, plan.refused)
    return sum(counts) + plan.unsendable


@tries("plan.counts", capability="plans")
def counts(lab: Lab) -> str:
    """Plan four scenes, and add up."""
    plan = lab.plan(lab.scenes(4))
    if accounted(plan) != 4:
        raise Broken(f"4 scenes were asked for, and the plan has {accounted(plan)}")
    return f"4 scenes: make {plan.make}, reused {plan.reused}"


@tries("plan.as-run", capability="plans")
def as_run(lab: Lab) -> str:
    """Plan three scenes, run them, and compare."""
    scenes = lab.scenes(3)
    plan = lab.plan(scenes)
    recorded = lab.made(scenes)
    made = len({(one.scene_id, one.take) for one in recorded.pictures if not one.reused})
    if plan.make != made:
        raise Broken(f"the plan would make {plan.make}, and the run made {made}")
    return f"{made} were planned, and made"


@tries("plan.ordered", capability="plans")
def ordered(lab: Lab) -> str:
    """Compare what a plan says it costs at least and at most."""
    plan = lab.plan(lab.scenes(3))
    low, high = plan.cost_low_usd, plan.cost_high_usd
    if low is not None and high is not None and low > high:
        raise Broken(f"at least {low} USD, and at most {high} USD")
    return f"between {usd(low)} and {usd(high)}"


@tries("plan.bounds", capability="plans")
def bounds(lab: Lab) -> str:
    """Run what was planned, and compare what it cost."""
    scenes = lab.scenes(3)
    plan = lab.plan(scenes)
    recorded = lab.made(scenes)
    costs = [one.cost.usd for one in recorded.pictures]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        raise NotShown("the cost of a picture is not known")
    spent = sum(known, Decimal(0))
    low, high = plan.cost_low_usd, plan.cost_high_usd
    if low is not None and high is not None and low > high:
        raise NotShown("the plan's least is above its most")
    if low is not None and spent < low:
        raise Broken(f"the run cost {spent} USD, and the plan said at least {low} USD")
    if high is not None and spent > high:
        raise Broken(f"the run cost {spent} USD, and the plan said at most {high} USD")
    return f"{spent} USD, between {usd(low)} and {usd(high)}"


@tries("plan.same-again", capability="plans")
def same_again(lab: Lab) -> str:
    """Plan the same scenes twice."""
    scenes = lab.scenes(3)
    first, second = (lab.plan(scenes).model_dump(exclude={"expected_s"}) for _ in range(2))
    other = [name for name in first if first[name] != second[name]]
    if other:
        raise Broken(f"the second plan has another {', '.join(other)}")
    return "two plans of 3 scenes are the same"


@tries("plan.writes-nothing", capability="plans")
def writes_nothing(lab: Lab) -> str:
    """Plan three scenes, and look at the project's folder."""
    before = tree_of(lab.project)
    lab.plan(lab.scenes(3))
    found = changed(before, tree_of(lab.project))
    if found:
        raise Broken("; ".join(found))
    return "the project's folder is as it was"


@tries("plan.empty", capability="plans")
def empty(lab: Lab) -> str:
    """Plan no scenes."""
    plan = lab.plan([])
    if accounted(plan):
        raise Broken(f"the plan of no scenes has {accounted(plan)}")
    if plan.cost_high_usd or plan.cost_low_usd:
        raise Broken(f"the plan of no scenes costs {usd(plan.cost_high_usd)}")
    return "nothing to make, at no cost"


@tries("lanes.plan", capability="plans")
def plan(lab: Lab) -> str:
    """Plan three scenes by either lane, and add up what is told of them."""
    ordinary = _planned(lab, "ordinary")
    if ordinary is None:
        raise Broken("the ordinary lane was refused")
    batch = _planned(lab, "batch")
    if batch is None:
        return "the ordinary lane is there, and the other one is refused"
    if ordinary.lanes is not None and ordinary.lanes.batch is None:
        raise Broken("no batch lane is told of, and a plan for it is made")
    return "both lanes are planned"


def _planned(lab: Lab, lane: Lane) -> StagePlan | None:
    """Return the plan for three scenes by a lane; ``None`` if that is refused."""
    request = lab.request(lab.scenes(3), lane=lane)

    async def question(stage: ImageStage) -> object:
        try:
            return await stage.plan(request)
        except StageError:
            return None

    found: object = lab.ask(question)
    if not isinstance(found, StagePlan):
        return None
    if found.lanes is not None and _counted(found.lanes) != found.make:
        counted = _counted(found.lanes)
        raise Broken(f"{found.make} pictures are to make, and {counted} go by the lanes")
    return found


def _counted(lanes: PlannedLanes) -> int:
    return lanes.ordinary.scenes + (0 if lanes.batch is None else lanes.batch.scenes)
