"""Whether every scene gets its outcome, and just one."""

from __future__ import annotations

from collections import Counter

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@tries("result.complete")
def complete(lab: Lab) -> str:
    """Run five scenes, and look for the outcome of each."""
    scenes = lab.scenes(5)
    recorded = lab.well(lab.run(scenes))
    missing = [scene.scene_id for scene in scenes if not recorded.of(scene.scene_id)]
    if missing and not recorded.malformed:  # else it is another rule that is broken
        raise Broken(f"no outcome came for {', '.join(missing)}")
    return f"{counted(len(scenes), 'scene')}, {counted(len(recorded.outcomes), 'outcome')}"


@tries("result.once")
def once(lab: Lab) -> str:
    """Run five scenes, and count the outcomes of each."""
    recorded = lab.well(lab.run(lab.scenes(5)))
    takes = Counter((one.scene_id, one.take) for one in recorded.outcomes)
    twice = sorted({name for (name, _), count in takes.items() if count > 1})
    if twice:
        raise Broken(f"a second outcome came for {', '.join(twice)}")
    return f"{counted(len(takes), 'outcome')}, each of another scene"
