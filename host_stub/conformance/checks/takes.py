"""Several pictures of a scene, and what a plugin says that it has."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

from host_stub.conformance.checks.plans import accounted
from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import changed, digest_of, tree_of
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import (
    ImageRequest,
    ImageStage,
    Role,
    Scene,
    SceneOutcome,
    SceneSurvey,
    WantedTakes,
)

_UNKNOWN: Final = hashlib.sha256(b"a picture that nobody made").hexdigest()


@tries("takes.count")
def count(lab: Lab) -> str:
    """Ask for three takes of one scene, and one of another."""
    scenes = [lab.scene(1, takes=3), lab.scene(2)]
    recorded = lab.made(scenes)
    takes = sorted(one.take for one in recorded.of("scene-01"))
    if sorted(set(takes)) != [1, 2, 3]:
        raise Broken(f"3 takes were asked for, and outcomes came for {takes}")
    return "3 takes and 1 take: 4 outcomes"


@tries("takes.apart")
def apart(lab: Lab) -> str:
    """Ask for three takes, and look where they are."""
    pictures = lab.made([lab.scene(1, takes=3)]).pictures
    if len({one.image for one in pictures}) < len({one.take for one in pictures}):
        raise Broken("two takes have the same file")
    purchases = [one.purchase for one in pictures if one.purchase is not None]
    if len(set(purchases)) < len({one.take for one in pictures if one.purchase is not None}):
        raise Broken("two takes have the same purchase")
    return f"{len(pictures)} takes in {len(pictures)} files"


@tries("takes.place")
def place(lab: Lab) -> str:
    """Name a place for each picture, and look for it there."""
    named: dict[Path, str] = {}

    def place_of(scene_id: str, *, role: Role, sha256: str, media_type: str) -> Path:
        del scene_id, role
        path = lab.out / "takes" / f"{sha256[:24]}.{media_type.rpartition('/')[2]}"
        named[path] = sha256
        return path

    pictures = lab.made([lab.scene(1, takes=2), lab.scene(2)], place=place_of).pictures
    for one in pictures:
        if one.image is None or Path(one.image) not in named:
            raise Broken(f"{one.scene_id} has its picture at {one.image}, which was not named")
        if digest_of(one.image) != named[Path(one.image)]:
            raise Broken(f"{one.scene_id} has other bytes at its place than those it was named for")
    elsewhere = [
        path.relative_to(lab.out).as_posix()
        for path in lab.out.rglob("*")
        if path.is_file() and path not in named
    ]
    if elsewhere:
        raise Broken(f"also written: {', '.join(elsewhere)}")
    return f"{len(pictures)} pictures at the {len(named)} places that were named"


def _basis(pictures: list[SceneOutcome]) -> str:
    bases = {one.basis for one in pictures}
    if len(bases) > 1:
        raise Broken("the takes of one scene have different bases")
    basis = next(iter(bases), None)
    if basis is None:
        raise NotShown("the plugin gives no basis")
    return basis


@tries("takes.wanted")
def wanted(lab: Lab) -> str:
    """Make a scene, want one take more of what it was made from, and make it again."""
    scene = lab.scene(1)
    basis = _basis(lab.made([scene]).pictures)
    more = (WantedTakes(basis=basis, takes=2), WantedTakes(basis=f"{basis}-another", takes=5))

    def want(scene_id: str) -> tuple[WantedTakes, ...]:
        return more if scene_id == scene.scene_id else ()

    pictures = lab.made([scene], wanted=want).pictures
    if len(pictures) != 2:
        raise Broken(f"2 takes were wanted of its basis, and {len(pictures)} came")
    if lab.capabilities.resumes and sum(one.reused for one in pictures) != 1:
        raise Broken("the take that was there was not counted")
    return f"2 takes were wanted, {sum(one.reused for one in pictures)} of them were there"


@tries("takes.basis")
def basis(lab: Lab) -> str:
    """Make a scene twice, and once with other words."""
    first = _basis(lab.made([lab.scene(1)]).pictures)
    if _basis(lab.made([lab.scene(1)]).pictures) != first:
        raise Broken("the same scene has another basis the second time")
    if _basis(lab.made([lab.scene(1, prompt=":scene-01: a harbour in fog")]).pictures) == first:
        raise Broken("a scene with another prompt has the same basis")
    return "the same for the same, and another for other words"


@tries("takes.plan", capability="plans")
def plan(lab: Lab) -> str:
    """Plan three takes of one scene, and one of another."""
    planned = accounted(lab.plan([lab.scene(1, takes=3), lab.scene(2)]))
    if planned != 4:
        raise Broken(f"4 takes were asked for, and the plan has {planned}")
    return "4 takes are planned"


Survey = Callable[[ImageRequest, Callable[[SceneSurvey], None]], Awaitable[None]]
Fetch = Callable[[str, Path], Awaitable[bool]]


async def _methods(stage: ImageStage) -> tuple[Any, Any]:
    return getattr(stage, "survey", None), getattr(stage, "fetch", None)


def _has_both(lab: Lab) -> None:
    if None in lab.ask(_methods):
        raise NotShown("the stage has no survey and no fetch")


@tries("takes.survey-and-fetch")
def survey_and_fetch(lab: Lab) -> str:
    """Look for both methods."""
    survey, fetch = (method is not None for method in lab.ask(_methods))
    if survey != fetch:
        raise Broken(f"it has {'survey and no fetch' if survey else 'fetch and no survey'}")
    return "it has both" if survey else "it has neither of them"


def _surveyed(lab: Lab, scenes: list[Scene]) -> list[SceneSurvey]:
    told: list[object] = []
    request = lab.request(scenes)

    async def question(stage: ImageStage) -> None:
        survey = cast("Survey", cast("Any", stage).survey)
        await survey(request, told.append)

    lab.ask(question)
    for one in told:
        if not isinstance(one, SceneSurvey):
            raise Broken(f"survey told {type(one).__name__}, not SceneSurvey")
    return cast("list[SceneSurvey]", told)


@tries("takes.surveyed")
def surveyed(lab: Lab) -> str:
    """Make two scenes of three, and ask what there is of all."""
    _has_both(lab)
    scenes = lab.scenes(3)
    made = {one.scene_id: one for one in lab.made(scenes[:2]).pictures}
    told = [one for one in _surveyed(lab, scenes) if one.role == "scene"]
    names = sorted(one.scene_id for one in told)
    if names != [scene.scene_id for scene in scenes]:
        raise Broken(f"3 scenes were asked about, and it told of {', '.join(names) or 'none'}")
    for one in told:
        current = [take.sha256 for take in one.takes if take.current]
        expected = [made[one.scene_id].sha256] if one.scene_id in made else []
        if current != expected:
            raise Broken(f"{one.scene_id} has {len(current)} current takes, not {len(expected)}")
    return "2 scenes have a current take, and 1 has none"


@tries("takes.survey-writes-nothing")
def survey_writes_nothing(lab: Lab) -> str:
    """Make a scene, ask what there is, and look at the project's folder and the backend."""
    _has_both(lab)
    scenes = lab.scenes(2)
    lab.made(scenes[:1])
    before = tree_of(lab.project, without=[lab.project / name for name in lab.case.keeps])
    calls = 0 if lab.backend is None else len(lab.backend.calls())
    _surveyed(lab, scenes)
    after = tree_of(lab.project, without=[lab.project / name for name in lab.case.keeps])
    if found := changed(before, after):
        raise Broken("; ".join(found))
    if lab.backend is not None and len(lab.backend.calls()) > calls:
        raise Broken(f"{len(lab.backend.calls()) - calls} requests came to the backend")
    return "nothing was written, and nothing sent"


def _fetch(lab: Lab, sha256: str, into: Path) -> object:
    async def question(stage: ImageStage) -> object:
        return await cast("Fetch", cast("Any", stage).fetch)(sha256, into)

    return lab.ask(question)


@tries("takes.fetched")
def fetched(lab: Lab) -> str:
    """Make a scene, and ask for its bytes in another place."""
    _has_both(lab)
    sha256 = lab.made([lab.scene(1)]).pictures[0].sha256 or ""
    into = lab.folder / "fetched"
    if _fetch(lab, sha256, into) is not True:
        raise Broken("it says that it does not have the picture it made")
    if digest_of(into) != sha256:
        raise Broken("what it put there has another sha256")
    return f"{into.stat().st_size} bytes, as they were made"


@tries("takes.fetch-unknown")
def fetch_unknown(lab: Lab) -> str:
    """Ask for a picture that nobody made."""
    _has_both(lab)
    lab.made([lab.scene(1)])
    into = lab.folder / "fetched"
    if _fetch(lab, _UNKNOWN, into) is not False:
        raise Broken("it says that it has a picture that nobody made")
    if into.exists():
        raise Broken("it wrote a file all the same")
    return "it does not have it, and wrote nothing"


@tries("takes.drafts")
def drafts(lab: Lab) -> str:
    """Open it with draft settings, and look what pictures cost."""
    make = lab.plugin.draft_settings
    if make is None:
        raise NotShown("the plugin has no draft settings")
    calls = 0 if lab.backend is None else len(lab.backend.calls())
    pictures = lab.made(lab.scenes(2), settings=make(lab.settings()), draft=True).pictures
    paid = [one.scene_id for one in pictures if one.cost.usd != 0]
    if paid:
        raise Broken(f"not free: {', '.join(paid)}")
    if lab.backend is not None and len(lab.backend.calls()) > calls:
        raise Broken(f"{len(lab.backend.calls()) - calls} requests came to the backend")
    return f"{len(pictures)} drafts for nothing"
