"""Made-up takes, and how scenes stand that have them, for decisions about them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from host_stub.contract import Scene
from host_stub.decisions.judge import Bench, Judged
from host_stub.decisions.merge import Decision, Merged, Origin
from host_stub.standing.standing import SceneStanding
from host_stub.story.takes import Take


def standing(
    *takes: Take, basis: str | None = "now", scene_id: str = "s1", **said: Any
) -> SceneStanding:
    """Say how a scene stands that has these takes."""
    scene = said.pop("scene", Scene(scene_id=scene_id, prompt="a pier"))
    return SceneStanding(
        scene_id=scene_id, scene=scene, state="current", takes=takes, basis=basis, **said
    )


def decision(
    scene_id: str = "s1", *, index: int = 0, reviewer: str = "ana", **said: Any
) -> Decision:
    """Make a decision of a file that is named after its reviewer."""
    origin = Origin(Path(f"{reviewer}.json"), index, reviewer)
    return Decision(scene_id=scene_id, origin=origin, **said)


def judge(merged: Merged, standings: Iterable[SceneStanding], *, plugin: str) -> Judged:
    """Judge the decisions about a whole story."""
    bench = Bench(merged, plugin=plugin)
    for one in standings:
        bench.look(one)
    return bench.close()
