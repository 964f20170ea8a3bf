"""Scenes in work at once: never more than allowed, more than one where that is, none mixed up."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from host_stub.conformance.behaviours import Hold, Ok
from host_stub.conformance.checks.seen import outcome_of, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded, Watching
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import Scene
from host_stub.plain_image import flat_png

SETTLE_S = 0.2
"""So long a further request has to arrive, where none should."""
SIDE_PX = 64
NEAR = 12
"""Of 255: as much as a colour may differ after a picture was written anew in another format."""
_RED, _BLUE = b"\xd0\x20\x20", b"\x20\x30\xc0"


def most_at_once(lab: Lab) -> int:
    """Return the most requests that were in work at one moment."""
    return max((call.at_once for call in lab.service.calls()), default=0)


def opening(hold: Hold, when: Watching) -> Watching:
    """Return what opens a hold at a moment of the run; it stops nothing."""

    def look(ran: Recorded) -> bool:
        if not hold.is_open and when(ran):
            hold.open()
        return False

    return look


def after(seconds: float, begun: Callable[[], bool]) -> Watching:
    """Say yes that long after something was first so."""
    since: list[float] = []

    def look(_ran: Recorded) -> bool:
        if not since and begun():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return look


def held_a_moment(lab: Lab, scenes: Sequence[Scene]) -> Watching | None:
    """Have no scene answered until all had the time to be asked for that will be at once."""
    if lab.backend is None:
        return None
    hold = Hold()
    for scene in scenes:
        lab.tell(scene, Ok(hold=hold))
    return opening(hold, after(SETTLE_S, lambda: bool(lab.service.calls())))


@with_backend("concurrency.ceiling")
def ceiling(lab: Lab) -> str:
    """Allow two at once, answer none of six scenes for a moment, and count those in work."""
    scenes = lab.scenes(6)
    lab.well(lab.run(scenes, max_in_flight=2, during=held_a_moment(lab, scenes)))
    if most_at_once(lab) > 2:
        raise Broken(f"2 were allowed at once, and {most_at_once(lab)} were in work")
    return f"2 were allowed at once, and {most_at_once(lab)} were in work"


@with_backend("concurrency.used")
def used(lab: Lab) -> str:
    """Allow four at once, and answer none of four scenes before a second one is there."""
    if lab.case.at_once < 2:
        raise NotShown("the case says that this plugin makes its pictures one by one")
    hold, scenes = Hold(), lab.scenes(4)
    for scene in scenes:
        lab.tell(scene, Ok(hold=hold))
    ran = lab.run(scenes, max_in_flight=4, during=opening(hold, lambda _: most_at_once(lab) > 1))
    if most_at_once(lab) < 2:
        waited = f"{lab.case.patience_s:g} s"
        raise Broken(
            f"4 were allowed at once, and a second one did not come in {waited}; if this plugin "
            "makes its pictures one by one, say at_once=1 in the case"
        )
    lab.well(ran)
    return f"4 were allowed at once, and {most_at_once(lab)} were in work"


@with_backend("concurrency.own-picture", behaviours=("Picture",))
def own_picture(lab: Lab) -> str:
    """Answer the first of two scenes only when the second has ended; each has a colour."""
    hold, (first, second) = Hold(), lab.scenes(2)
    red, blue = (flat_png(SIDE_PX, SIDE_PX, colour) for colour in (_RED, _BLUE))
    lab.tell(first, Ok(hold=hold, picture=red))
    lab.tell(second, Ok(picture=blue))
    if lab.case.at_once < 2:
        hold.open()
    answered = opening(hold, lambda ran: bool(ran.of(second.scene_id)))
    ran = lab.made([first, second], max_in_flight=2, during=answered)
    for scene, sent, colour in ((first, red, _RED), (second, blue, _BLUE)):
        outcome = outcome_of(ran, scene)
        assert outcome.image is not None
        if outcome.sha256 != hashlib.sha256(sent).hexdigest() and not _is(outcome.image, colour):
            raise Broken(
                f"{scene.scene_id} has another picture than the one that was made for it "
                "(does the case's backend answer with the bytes of Ok.picture?)"
            )
    return "the second was answered first, and each scene has the picture that was made for it"


def _is(path: Path, colour: bytes) -> bool:
    """Return whether a picture is of one colour, more or less."""
    from PIL import Image  # noqa: PLC0415 - only a picture that was written anew needs it

    try:
        with Image.open(path) as picture:
            pixels = picture.convert("RGB").tobytes()
    except (OSError, SyntaxError, ValueError):
        return False
    middle = len(pixels) // 6 * 3
    pairs = zip(pixels[middle : middle + 3], colour, strict=True)
    return all(abs(one - other) <= NEAR for one, other in pairs)
