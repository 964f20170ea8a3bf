"""What a plugin says of the lanes by which pictures may be bought."""

from __future__ import annotations

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken
from host_stub.contract import ImageStage, Lane, PlannedLanes, StageError, StagePlan


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
