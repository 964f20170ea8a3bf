"""The same command again."""

from __future__ import annotations

from host_stub.conformance.behaviours import Refused, Reset
from host_stub.conformance.checks.endings import codes
from host_stub.conformance.checks.seen import with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.verdict import Broken, NotShown


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
