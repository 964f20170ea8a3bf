"""How scenes ended, for checks of every group."""

from __future__ import annotations

from collections.abc import Sequence

from host_stub.conformance.behaviours import Behaviour
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Failure, Scene, SceneOutcome


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
