"""What opening a stage does, and does not."""

from __future__ import annotations

from typing import Any, Final, cast

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.seen import changed, tree_of
from host_stub.conformance.verdict import Broken
from host_stub.contract import Capabilities, ImageStage, Provider

_TIMES: Final = 5
"""More often than any other check opens a stage of one project."""


@tries("open.again")
def again(lab: Lab) -> str:
    """Open it and close it again and again, and make a picture at last."""
    for number in range(1, _TIMES):
        try:
            lab.ask(_nothing)
        except Broken as broken:
            raise Broken(f"opened for time {number}: {broken}") from broken
    recorded = lab.run(lab.scenes(1))
    if recorded.opening is not None:
        raise Broken(f"opened for time {_TIMES}: {recorded.trouble}")
    return f"opened {_TIMES} times"


@tries("open.two-at-once")
def two_at_once(lab: Lab) -> str:
    """Open two, and run both with scenes of their own while both are open."""
    first, second = lab.scenes(2), lab.scenes(2, first=3)
    for scenes, recorded in zip((first, second), lab.together(first, second), strict=True):
        lab.well(recorded)
        names = {one.scene_id for one in recorded.outcomes if one.failure is None}
        if names != {scene.scene_id for scene in scenes}:
            raise Broken(f"of {len(scenes)} scenes, {len(names)} got a picture")
    return "two stages, with 2 pictures each"


@tries("open.writes-nothing")
def writes_nothing(lab: Lab) -> str:
    """Open and close it, and look at the project's folder."""
    kept = [lab.project / name for name in lab.case.keeps]
    before = tree_of(lab.project, without=kept)
    lab.ask(_nothing)
    found = changed(before, tree_of(lab.project, without=kept))
    if found:
        raise Broken("; ".join(found))
    return "the project's folder is as it was"


async def _nothing(_stage: ImageStage) -> None:
    """Ask nothing."""


@tries("stage.extras")
def extras(lab: Lab) -> str:
    """Look at what an opened stage may have beside its methods."""

    async def question(stage: ImageStage) -> dict[str, Any]:
        names = ("warnings", "providers", "capabilities")
        return {name: getattr(stage, name) for name in names if hasattr(stage, name)}

    found = lab.ask(question)
    for name, kind in (("warnings", str), ("providers", Provider)):
        if name not in found:
            continue
        if not isinstance(found[name], tuple):
            raise Broken(f"{name} is {type(found[name]).__name__}, not a tuple")
        wrong = [
            one for one in cast("tuple[object, ...]", found[name]) if not isinstance(one, kind)
        ]
        if wrong:
            raise Broken(f"{name} has {type(wrong[0]).__name__}, not {kind.__name__}")
    if not isinstance(found.get("capabilities", Capabilities()), Capabilities):
        raise Broken(f"capabilities is {type(found['capabilities']).__name__}")
    return f"the stage has {', '.join(found) or 'none of them'}"
