"""Whether a plugin that resumes finds what it made, when the same command comes again."""

from __future__ import annotations

from host_stub.conformance.behaviours import Refused, Reset
from host_stub.conformance.checks.seen import codes, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import digest_of
from host_stub.conformance.verdict import Broken, NotShown


def _twice(lab: Lab) -> tuple[Recorded, Recorded]:
    """Make two scenes, and make them again."""
    scenes = lab.scenes(2)
    return lab.made(scenes), lab.made(scenes)


def _found(recorded: Recorded) -> Recorded:
    if not any(one.reused for one in recorded.pictures):
        raise NotShown("no picture was found again")
    return recorded


@tries("reuse.found", capability="resumes")
def found(lab: Lab) -> str:
    """Make two scenes twice, and look who made the second pictures."""
    scenes = lab.scenes(2)
    lab.made(scenes)
    before = 0 if lab.backend is None else len(lab.backend.calls())
    second = lab.made(scenes)
    anew = [one.scene_id for one in second.pictures if not one.reused]
    if anew:
        raise Broken(f"made anew: {', '.join(anew)}")
    after = 0 if lab.backend is None else len(lab.backend.calls())
    if after > before:
        raise Broken(f"the second run sent {after - before} requests")
    return f"{len(second.pictures)} pictures were found again"


@tries("reuse.free", capability="resumes")
def free(lab: Lab) -> str:
    """Look what a picture costs that is found again."""
    _, second = _twice(lab)
    for one in _found(second).pictures:
        if one.reused and one.cost.usd != 0:
            raise Broken(f"{one.scene_id} was found again, and costs {one.cost.usd} USD")
    return f"{len(second.pictures)} pictures were found again for nothing"


@tries("reuse.same-bytes", capability="resumes")
def same_bytes(lab: Lab) -> str:
    """Compare a picture that is found again with the first."""
    first, second = _twice(lab)
    digests = {one.scene_id: one.sha256 for one in first.pictures}
    for one in _found(second).pictures:
        if not one.reused:
            continue
        if one.sha256 != digests[one.scene_id]:
            raise Broken(f"{one.scene_id} was found again with another sha256")
        if one.image is None or digest_of(one.image) != one.sha256:
            raise Broken(f"{one.scene_id} was found again, and its file is not there, or another")
    return f"{len(second.pictures)} pictures have the bytes they had"


@tries("reuse.changed-prompt", capability="resumes")
def changed_prompt(lab: Lab) -> str:
    """Make a scene, and make it with other words."""
    lab.made([lab.scene(1)])
    other = lab.made([lab.scene(1, prompt=":scene-01: a harbour in fog")])
    if any(one.reused for one in other.pictures):
        raise Broken("a scene with another prompt got the picture of the first one")
    return "another prompt, another picture"


@with_backend("resume.makes-what-is-missing", capability="resumes", behaviours=("Refused",))
def makes_what_is_missing(lab: Lab) -> str:
    """Refuse one of three scenes in a first run, and make it in a second."""
    scenes = lab.scenes(3)
    lab.tell(scenes[1], Refused())
    if codes(lab.well(lab.run(scenes)), scenes)[1] == "made":
        raise NotShown("it asked again in the first run, until there was a picture")
    ran = lab.well(lab.run(scenes))
    ended = codes(ran, scenes)
    if ended[1] != "made":
        raise Broken(f"a scene failed in the first run and is {ended[1]!r} after the second")
    if {ended[0], ended[2]} - {"made", "reused"}:
        raise Broken(f"scenes with a picture are {ended[0]!r} and {ended[2]!r} in the second run")
    return "the scene that had failed was made by the second run"


@with_backend("resume.keeps-what-is-in-doubt", capability="resumes", behaviours=("Reset",))
def keeps_what_is_in_doubt(lab: Lab) -> str:
    """Bill a picture that never arrives, run the scene again, and count the requests."""
    scene = lab.scene()
    lab.tell(scene, Reset())
    if codes(lab.well(lab.run([scene])), [scene]) == ["made"]:
        raise NotShown("it asked again in the first run, until there was a picture")
    if not lab.service.billed():
        raise NotShown("this service bills nothing, so nothing is in doubt")
    before = len(lab.service.calls())
    ran = lab.well(lab.run([scene]))
    if len(lab.service.calls()) > before:
        raise Broken("what may have been billed in the first run was asked for by the second")
    return f"the second run asked for nothing; the scene is {codes(ran, [scene])[0]!r}"
