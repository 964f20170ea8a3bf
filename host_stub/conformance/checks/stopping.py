"""The first signal ends what is paid for and starts nothing; the second one cancels the run."""

from __future__ import annotations

from host_stub.conformance.behaviours import Hold, Ok
from host_stub.conformance.checks.concurrency import after, opening
from host_stub.conformance.checks.seen import codes, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Scene

LONG_S = 20.0
"""After so long the first request is the only one that comes."""
ONE_BY_ONE = (
    "no second scene came to be in work beside a first; if this plugin makes its pictures one by "
    "one, say at_once=1 in the case"
)


@with_backend("stopping.starts-nothing", is_needed=False)
def starts_nothing(lab: Lab) -> str:
    """Set ``stopping`` while two of six scenes are in work, and count the requests."""
    if lab.backend is None:
        started = len(_stopped_at_once(lab)[0].events("scene.started"))
        if started:
            raise Broken(f"'stopping' was set before the run, and {started} scenes were started")
        return "'stopping' was set before the run, and no scene was started"
    _, before, _ = _stopped(lab)
    asked = len(lab.service.calls())
    if asked > before:
        raise Broken(f"{asked - before} scenes were started after 'stopping' was set")
    return f"{before} scenes were in work when 'stopping' was set, and none was started after"


@with_backend("stopping.ends-what-is-paid-for")
def ends_what_is_paid_for(lab: Lab) -> str:
    """Set ``stopping`` while two of six scenes are in work, and read their outcomes."""
    ran, before, scenes = _stopped(lab)
    started = {call.scene_id for call in lab.service.calls()[:before]}
    ended = codes(ran, [scene for scene in scenes if scene.scene_id in started])
    if set(ended) != {"made"}:
        raise Broken(f"scenes that were in work when 'stopping' was set are {', '.join(ended)}")
    return f"the {len(ended)} scenes that were in work have their pictures"


@with_backend("stopping.accounts-for-the-rest", is_needed=False)
def accounts_for_the_rest(lab: Lab) -> str:
    """Set ``stopping`` while two of six scenes are in work, and read the others' outcomes."""
    if lab.backend is None:
        ran, scenes = _stopped_at_once(lab)
        started = {str(one.event.get("scene_id")) for one in ran.events("scene.started")}
    else:
        ran, _, scenes = _stopped(lab)
        started = {call.scene_id for call in lab.service.calls()}
    rest = [scene for scene in scenes if scene.scene_id not in started]
    if not rest:
        raise NotShown("every scene was started")
    ended = codes(ran, rest)
    if set(ended) != {"not_tried"}:
        raise Broken(f"scenes that were never started are {', '.join(ended)}, not 'not_tried'")
    return f"{len(rest)} scenes were never started, and are 'not_tried'"


@with_backend("stopping.is-told", is_needed=False)
def is_told(lab: Lab) -> str:
    """Set ``stopping`` while two of six scenes are in work, and read the summary."""
    if lab.backend is None:
        ran, scenes = _stopped_at_once(lab)
    else:
        ran, _, scenes = _stopped(lab)
    if "not_tried" not in codes(ran, scenes):
        raise NotShown("no scene was left out")
    stopped = None if ran.summary is None else ran.summary.stopped
    if stopped is None:
        raise Broken("scenes were left out, and the summary does not say that the run stopped")
    return f"the summary says that the run stopped for {stopped!r}"


def _stopped_at_once(lab: Lab) -> tuple[Recorded, list[Scene]]:
    """Run three scenes with ``stopping`` set from the beginning, for want of a backend."""
    scenes = lab.scenes(3)
    return lab.well(lab.run(scenes, stop_when=lambda _: True)), scenes


def _stopped(lab: Lab) -> tuple[Recorded, int, list[Scene]]:
    """Stop a run of six scenes while two are in work, and let them go on only then.

    Returns:
        The run, how many were in work, and the scenes.
    """
    hold, scenes = Hold(), lab.scenes(6)
    for scene in scenes:
        lab.tell(scene, Ok(hold=hold))
    before: list[int] = []
    wanted = min(2, lab.case.at_once)
    late = after(LONG_S, lambda: bool(lab.service.calls()))

    def is_time(ran: Recorded) -> bool:
        asked = len(lab.service.calls())
        if asked >= wanted or late(ran):
            before.append(asked)
            return True
        return False

    ran = lab.run(
        scenes,
        max_in_flight=2,
        stop_when=is_time,
        during=opening(hold, lambda ran: ran.stopped_s is not None),
    )
    if before and before[0] < wanted:
        raise NotShown(ONE_BY_ONE)
    return lab.well(ran), before[0] if before else 0, scenes


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
def starts_nothing_any_more(lab: Lab) -> str:
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
