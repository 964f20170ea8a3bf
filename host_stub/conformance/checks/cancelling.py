"""The second signal: the run is cancelled, and accounts for what it had begun."""

from __future__ import annotations

from host_stub.conformance.behaviours import Hold, Ok
from host_stub.conformance.checks.concurrency import after
from host_stub.conformance.checks.endings import codes
from host_stub.conformance.checks.seen import with_backend
from host_stub.conformance.checks.stopping import LONG_S, ONE_BY_ONE
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Scene


@with_backend("cancelling.goes-on")
def goes_on(lab: Lab) -> str:
    """Cancel a run while two of six scenes are in work, which are never answered."""
    ran, _ = _cancelled(lab)
    if not ran.was_cancelled:
        how = "returned" if ran.returned else f"raised {type(ran.raised).__name__}"
        raise Broken(f"run was cancelled, and {how}")
    return "the cancellation came out of run again"


@with_backend("cancelling.accounts-for-what-was-started")
def accounts(lab: Lab) -> str:
    """Cancel a run while two of six scenes are in work, and read their outcomes."""
    ran, scenes = _cancelled(lab)
    asked = {call.scene_id for call in lab.service.calls()}
    started = [scene for scene in scenes if scene.scene_id in asked]
    ended = codes(ran, started)
    if set(ended) - {"cancelled"}:
        raise Broken(f"scenes in work when the run was cancelled are {', '.join(ended)}")
    return f"{len(started)} scenes were in work, and are 'cancelled'"


@with_backend("cancelling.starts-nothing")
def starts_nothing(lab: Lab) -> str:
    """Cancel a run while two of six scenes are in work, and count the requests after."""
    ran, _ = _cancelled(lab)
    moment = ran.stopped_s or 0.0
    later = sum(call.begun_s > moment for call in lab.service.calls())
    if later:
        raise Broken(f"{later} requests were sent after the run was cancelled")
    return "nothing was sent after the run was cancelled"


def _cancelled(lab: Lab) -> tuple[Recorded, list[Scene]]:
    """Cancel a run of six scenes while two are in work, which are never answered."""
    hold, scenes = Hold(), lab.scenes(6)
    for scene in scenes:
        lab.tell(scene, Ok(hold=hold))
    wanted = min(2, lab.case.at_once)
    late = after(LONG_S, lambda: bool(lab.service.calls()))
    ran = lab.run(
        scenes,
        max_in_flight=2,
        cancel_when=lambda ran: len(lab.service.calls()) >= wanted or late(ran),
    )
    hold.open()
    if lab.service.calls() and len(lab.service.calls()) < wanted:
        raise NotShown(ONE_BY_ONE)
    if ran.is_hung:
        raise Broken(f"run was cancelled, and had not ended after {lab.case.patience_s:g} s")
    return ran, scenes
