"""Answers that are none, and requests that are never answered."""

from __future__ import annotations

from host_stub.conformance.behaviours import (
    Behaviour,
    CutShort,
    Empty,
    Garbage,
    Hang,
    NoPicture,
    Reset,
    TooLarge,
)
from host_stub.conformance.checks.seen import failure_of, outcome_of, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Scene

TIMES = 12
"""An answer that is none comes so often in a row, so that no patience outlasts it."""


@with_backend("hostile.empty", behaviours=("Empty",))
def empty(lab: Lab) -> str:
    """Answer a scene, again and again, with a success that has no picture."""
    return _is_no_picture(lab, Empty(), "an answer without a picture", {"no_picture"})


@with_backend("hostile.garbage", behaviours=("Garbage",))
def garbage(lab: Lab) -> str:
    """Answer a scene, again and again, with a success that is no answer of the service."""
    what = "an answer that is not of this service"
    return _is_no_picture(lab, Garbage(), what, {"no_picture", "unreadable", "unknown"})


@with_backend("hostile.half-a-picture", behaviours=("NoPicture",))
def half_a_picture(lab: Lab) -> str:
    """Answer a scene, again and again, with a success whose picture stops in the middle."""
    return _is_no_picture(lab, NoPicture(), "half of a picture", {"no_picture", "unreadable"})


@with_backend("hostile.too-large", behaviours=("TooLarge",))
def too_large(lab: Lab) -> str:
    """Answer a scene without an end."""
    codes = {"no_picture", "unreadable", "unknown"}
    return _is_no_picture(lab, TooLarge(), "an answer without an end", codes)


@with_backend("hostile.cut-short", behaviours=("CutShort",))
def cut_short(lab: Lab) -> str:
    """Cut the connection in the middle of a good answer."""
    codes = {"unknown", "unreadable", "unavailable"}
    return _is_no_picture(lab, CutShort(), "half of an answer", codes)


def _is_no_picture(lab: Lab, answer: Behaviour, what: str, allowed: set[str]) -> str:
    scene = lab.scene()
    lab.tell(scene, *(answer for _ in range(TIMES)))
    ran = lab.well(lab.run([scene]))
    if outcome_of(ran, scene).image is not None:
        if len(lab.service.calls()) > TIMES:
            raise NotShown(f"it asked more than {TIMES} times, until there was a picture")
        raise Broken(f"{what} was passed off as a picture")
    code = failure_of(ran, scene).code
    if code not in allowed:
        expected = " or ".join(map(repr, sorted(allowed)))
        raise Broken(f"{what} ended as {code!r}, not as {expected}")
    return f"{what} ended as {code!r}"


@with_backend("hostile.hang", behaviours=("Hang",))
def hang(lab: Lab) -> str:
    """Answer nothing, with the case's ``impatient`` settings."""
    scene = lab.scene()
    lab.tell(scene, *(Hang() for _ in range(TIMES)))
    ran = lab.run([scene], table=lab.table(**lab.case.impatient))
    if ran.is_hung:
        shorter = "" if lab.case.impatient else ", and the case has no shorter timeout (impatient)"
        raise Broken(f"it still waited for an answer after {lab.case.patience_s:g} s{shorter}")
    code = failure_of(lab.well(ran), scene).code
    return f"the scene whose request was never answered ended as {code!r}"


@with_backend("unanswered.is-unknown", behaviours=("Reset",))
def is_unknown(lab: Lab) -> str:
    """Bill a picture, cut the connection without a byte of answer, and read the code."""
    ran, scene = _unanswered(lab)
    if outcome_of(ran, scene).image is not None:
        raise NotShown("it asked again, until there was a picture")
    code = failure_of(ran, scene).code
    if code != "unknown":
        raise Broken(f"a request that was billed and not answered ended as {code!r}")
    return "a request that was billed and not answered ended as 'unknown'"


@with_backend("unanswered.once", behaviours=("Reset",))
def once(lab: Lab) -> str:
    """Bill a picture, cut the connection or let it time out (impatient), and count the requests."""
    ran, scene = _unanswered(lab)
    asked = len(lab.service.calls())
    if asked > 1:
        raise Broken(f"what may have been billed was asked for {asked} times")
    outcome_of(ran, scene)
    if lab.case.impatient and "Hang" not in lab.case.cannot:
        waited_for = lab.scene(2)
        lab.tell(waited_for, *(Hang() for _ in range(TIMES)))
        lab.run([waited_for], table=lab.table(**lab.case.impatient))
        asked = len(lab.service.calls(waited_for.scene_id))
        if asked > 1:
            raise Broken(f"what timed out, and may have been billed, was asked for {asked} times")
    return "what may have been billed was not asked for again"


@with_backend("unanswered.is-not-free", behaviours=("Reset",))
def is_not_free(lab: Lab) -> str:
    """Bill a picture, cut the connection without a byte of answer, and read the cost."""
    ran, scene = _unanswered(lab)
    cost = outcome_of(ran, scene).cost
    if cost.usd == 0:
        raise Broken(f"what may have been billed is said to cost 0 USD ({cost.basis})")
    said = "not known" if cost.usd is None else f"{cost.usd} USD ({cost.basis})"
    return f"its cost is said to be {said}"


def _unanswered(lab: Lab) -> tuple[Recorded, Scene]:
    """Run a scene whose picture is made and billed, and never arrives."""
    scene = lab.scene()
    lab.tell(scene, Reset())
    ran = lab.well(lab.run([scene]))
    if not lab.service.billed():
        raise NotShown("this service bills nothing, so asking again costs nothing")
    return ran, scene
