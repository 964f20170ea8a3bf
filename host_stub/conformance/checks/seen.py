"""What a backend saw, said after what a check found: an author sees both ends of it.

How scenes ended is read here, too, for checks of every group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

from host_stub.conformance.behaviours import Behaviour
from host_stub.conformance.case import Call
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.requirement import Check, Need, tries
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Failure, Scene, SceneOutcome

MOST_CALLS = 6
"""Requests of one scene that are told one by one."""


def with_backend(
    name: str,
    *,
    capability: str | None = None,
    behaviours: tuple[str, ...] = (),
    is_needed: bool = True,
    is_asked: bool = True,
) -> Callable[[Check], Check]:
    """Register a check that has a backend; what that saw is added to what the check says.

    Args:
        name: The requirement.
        capability: As in ``tries``.
        behaviours: Likewise.
        is_needed: Without one, nothing is tried.
        is_asked: Nothing is shown unless a request came.
    """

    def register(check: Check) -> Check:
        @wraps(check)
        def tried(lab: Lab) -> str:
            if lab.backend is None:
                return check(lab)
            try:
                found = check(lab)
            except Broken as broken:
                raise Broken(f"{broken}; {told(lab.service.calls())}") from None
            if is_asked and not lab.service.calls():
                raise Broken("the backend saw no request, although there were scenes to make")
            return f"{found}; {told(lab.service.calls())}"

        needs: Need = "backend" if is_needed else "stage"
        tries(name, needs=needs, capability=capability, behaviours=behaviours)(tried)
        return check

    return register


def told(calls: Sequence[Call]) -> str:
    """Say what a backend saw, scene by scene; scenes that met the same are told together."""
    by_scene: dict[str, list[str]] = {}
    for call in calls:
        by_scene.setdefault(call.scene_id or "no scene of ours", []).append(_said(call))
    alike: dict[str, list[str]] = {}
    for scene_id, said in by_scene.items():
        alike.setdefault(_listed(said), []).append(scene_id)
    if not alike:
        return "the backend saw no request"
    parts = [f"{', '.join(scenes)}: {said}" for said, scenes in alike.items()]
    return f"the backend answered {'; '.join(parts)}"


def _said(call: Call) -> str:
    billed = f" (billed {call.billed_usd} USD)" if call.billed_usd else ""
    return f"{call.answer or 'a request'}{billed}"


def _listed(said: Sequence[str]) -> str:
    more = f" and {len(said) - MOST_CALLS} more" if len(said) > MOST_CALLS else ""
    return f"{', '.join(said[:MOST_CALLS])}{more}"


def outcome_of(ran: Recorded, scene: Scene) -> SceneOutcome:
    """Return how a scene ended.

    Raises:
        Broken: Nobody said so.
    """
    found = ran.of(scene.scene_id)
    if not found:
        raise Broken(f"no outcome came for {scene.scene_id}")
    return found[0]


def failure_of(ran: Recorded, scene: Scene) -> Failure:
    """Return why a scene has no picture.

    Raises:
        Broken: It has one, or nobody said so.
    """
    failure = outcome_of(ran, scene).failure
    if failure is None:
        raise Broken(f"{scene.scene_id} is said to have a picture")
    return failure


def codes(ran: Recorded, scenes: Sequence[Scene]) -> list[str]:
    """Return how each scene ended: ``made``, ``reused``, its failure's code, or ``nothing``."""
    found = [ran.of(scene.scene_id) for scene in scenes]
    return [_in_a_word(outcomes[0]) if outcomes else "nothing" for outcomes in found]


def _in_a_word(outcome: SceneOutcome) -> str:
    if outcome.failure is not None:
        return outcome.failure.code
    return "reused" if outcome.reused else "made"


def retried(lab: Lab, answer: Behaviour) -> tuple[Recorded, Scene]:
    """Run a scene that meets this answer first, and is made all the same.

    Raises:
        NotShown: It is not; that is another requirement's affair.
    """
    scene = lab.scene()
    lab.tell(scene, answer)
    ran = lab.well(lab.run([scene]))
    if codes(ran, [scene]) != ["made"] or len(lab.service.calls(scene.scene_id)) < 2:
        raise NotShown("it did not try again until there was a picture")
    return ran, scene
