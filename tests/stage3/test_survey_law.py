"""Whatever refers to what: one change marks exactly what shows it, and a run makes just that.

The model knows who refers to whom, and no key, no ledger and no picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub.contract import Scene, SceneSurvey, ShownPicture
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.stage import Stage
from tests.doors import Ran, Story, context_of
from tests.laws import tried
from tests.stage3.running import asking
from tests.stage3.showing import MEMORY, Maker, picture_of, stage_in

FILES = ("hat.png", "map.png")


@dataclass(frozen=True)
class Told:
    """A story as it is drawn: sheets by number, and what each scene shows.

    Attributes:
        sheets: How many the cast has.
        shows: For each scene, the sheets, the scenes before it, and the files that it shows.
    """

    sheets: int
    shows: tuple[tuple[frozenset[int], frozenset[int], frozenset[str]], ...]

    @property
    def cast(self) -> dict[str, dict[str, str]]:
        return {_sheet(one): {"prompt": f"sheet {one}"} for one in range(self.sheets)}

    @property
    def scenes(self) -> list[Scene]:
        return [
            Scene(
                scene_id=_scene(number),
                prompt=f"scene {number}",
                references=(
                    *(f"scene:{_scene(one)}" for one in sorted(others)),
                    *sorted(files),
                ),
                characters=tuple(map(_sheet, sorted(sheets))),
            )
            for number, (sheets, others, files) in enumerate(self.shows)
        ]

    def refers(self, scene_id: str) -> set[str]:
        """Return whose pictures a scene shows."""
        known = {_scene(one): shows for one, shows in enumerate(self.shows)}
        sheets, others, _ = known.get(scene_id, (frozenset[int](), frozenset[int](), frozenset()))
        return {*map(_sheet, sheets), *map(_scene, others)}

    @property
    def used(self) -> list[str]:
        """Return the ids of the sheets that any scene shows, and of the scenes, in their order."""
        shown = {_sheet(one) for sheets, _, _ in self.shows for one in sheets}
        sheets = [one for one in map(_sheet, range(self.sheets)) if one in shown]
        return [*sheets, *map(_scene, range(len(self.shows)))]


def _sheet(number: int) -> str:
    return f"char_{number}"


def _scene(number: int) -> str:
    return f"scene_{number}"


@dataclass
class Change:
    """One thing that is another than before.

    Attributes:
        marks: Why things are stale by it, by their ids; what shows those is stale as well.
        anew: Ids whose picture is another although they need not be made.
    """

    cast: dict[str, dict[str, str]]
    scenes: list[Scene]
    marks: dict[str, str] = field(default_factory=dict[str, str])
    anew: set[str] = field(default_factory=set[str])
    files: dict[str, str] = field(default_factory=dict[str, str])
    shown: Callable[[str], ShownPicture | None] | None = None


def _another_sheet(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    sheet = _sheet(which % told.sheets)
    marks = {sheet: "prompt"} if sheet in told.used else {}
    return Change(told.cast | {sheet: {"prompt": "older by now"}}, told.scenes, marks)


def _another_prompt(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    return _scene_changed(told, which, "prompt", prompt="other words")


def _another_size(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    return _scene_changed(told, which, "size", width=128, height=64)


def _another_model(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    return _scene_changed(told, which, "model", model="n")


def _another_quality(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    return _scene_changed(told, which, "quality", quality="low")


def _scene_changed(told: Told, which: int, reason: str, **change: Any) -> Change:
    scenes = told.scenes
    which %= len(scenes)
    scenes[which] = scenes[which].model_copy(update=change)
    return Change(told.cast, scenes, {_scene(which): reason})


def _another_file(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    file = FILES[which % len(FILES)]
    marks = {
        _scene(one): "reference" for one, (_, _, files) in enumerate(told.shows) if file in files
    }
    return Change(told.cast, told.scenes, marks, files={file: "painted over"})


def _one_file_more_or_less(told: Told, which: int, _found: Mapping[str, SceneSurvey]) -> Change:
    number, file = which % len(told.shows), FILES[which % len(FILES)]
    sheets, others, files = told.shows[number]
    shows = list(told.shows)
    shows[number] = (sheets, others, files ^ {file})
    scenes = replace(told, shows=tuple(shows)).scenes
    return Change(told.cast, scenes, {_scene(number): "reference"})


def _another_pick(told: Told, which: int, found: Mapping[str, SceneSurvey]) -> Change:
    """Let the host show a picture that somebody brought, in the place of the one that was made."""
    picked = told.used[which % len(told.used)]
    own = ShownPicture(
        sha256=hashlib.sha256(b"own").hexdigest(), basis=found[picked].basis, path=Path("own.png")
    )
    shown = {picked: own}.get
    return Change(told.cast, told.scenes, anew={picked}, shown=shown)


class Another(Maker):
    """Makes another picture each time, as a model does."""

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        result = await super().attempt(attempt_id, request)
        return replace(result, picture=picture_of(attempt_id))


CHANGES = (
    _another_sheet,
    _another_prompt,
    _another_size,
    _another_model,
    _another_quality,
    _another_file,
    _one_file_more_or_less,
    _another_pick,
)


def expected(told: Told, change: Change) -> dict[str, set[str]]:
    """Return why each is stale, by the model; nothing of what is current."""
    stale: dict[str, set[str]] = {}
    for one in told.used:
        reasons = {change.marks[one]} if one in change.marks else set[str]()
        if told.refers(one) & (stale.keys() | change.anew):
            reasons.add("sheet")
        if reasons:
            stale[one] = reasons
    return stale


async def survey(stage: Stage, change: Change) -> dict[str, SceneSurvey]:
    found: dict[str, SceneSurvey] = {}

    def tell(one: SceneSurvey) -> None:
        assert one.scene_id not in found
        found[one.scene_id] = one

    await stage.survey(asking(Story(change.scenes), shown=change.shown), tell)
    return found


async def make(stage: Stage, change: Change) -> None:
    request = asking(Story(change.scenes), shown=change.shown)
    await stage.run(request, context_of(Ran()))


def stories() -> st.SearchStrategy[Told]:
    """Draw stories; six scenes and three sheets are enough for every way of referring."""

    def shows(sheets: int, number: int) -> st.SearchStrategy[Any]:
        before = st.sampled_from(range(number)) if number else st.integers(0, 0)
        return st.tuples(
            st.frozensets(st.integers(0, sheets - 1)),
            st.frozensets(before, max_size=min(number, 2)),
            st.frozensets(st.sampled_from(FILES)),
        )

    def told(drawn: tuple[int, int]) -> st.SearchStrategy[Told]:
        sheets, scenes = drawn
        each = st.tuples(*(shows(sheets, number) for number in range(scenes)))
        return each.map(lambda one: Told(sheets, one))

    return st.tuples(st.integers(1, 3), st.integers(1, 6)).flatmap(told)


A_CHAIN = Told(
    2,
    (
        (frozenset({0}), frozenset(), frozenset()),
        (frozenset({1}), frozenset({0}), frozenset({"hat.png"})),
        (frozenset(), frozenset({1}), frozenset()),
        (frozenset(), frozenset(), frozenset({"map.png"})),
    ),
)


@given(stories(), st.sampled_from(CHANGES), st.integers(0, 5))
@example(A_CHAIN, _another_sheet, 0)
@example(A_CHAIN, _another_sheet, 1)
@example(A_CHAIN, _another_file, 0)
@example(A_CHAIN, _one_file_more_or_less, 0)
@example(A_CHAIN, _another_pick, 0)
@example(A_CHAIN, _another_pick, 3)
@tried(20)
def test_one_change_marks_exactly_what_shows_it(
    told: Told,
    kind: Callable[[Told, int, Mapping[str, SceneSurvey]], Change],
    which: int,
) -> None:
    """And a run makes just that; then nothing is stale; and taken back, nothing is either."""

    async def main(folder: Path) -> None:
        before = Change(told.cast, told.scenes)
        await make(stage_in(folder, Maker(), cast=before.cast), before)
        as_it_was = stage_in(folder, Maker(), cast=before.cast)
        found = await survey(as_it_was, before)
        assert list(found) == told.used
        _need_current(found, told.used)
        change = kind(told, which, found)
        maker = Another()
        stage = stage_in(folder, maker, files=change.files, cast=change.cast)
        marked = expected(told, change)

        changed = await survey(stage, change)

        _need_current(changed, [one for one in told.used if one not in marked])
        assert {
            one.scene_id: set(one.takes[0].stale)
            for one in changed.values()
            if not one.takes[0].current
        } == marked
        plan = await stage.plan(asking(Story(change.scenes), shown=change.shown))
        assert plan.make == len(marked)
        await make(stage, change)
        assert maker.shown.keys() == marked.keys()
        _need_current(await survey(stage, change), told.used)
        _need_current(await survey(as_it_was, before), told.used)

    with TemporaryDirectory(dir=MEMORY) as temporary:
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(main, Path(temporary), clock=clock)


def _need_current(found: Mapping[str, SceneSurvey], ids: Sequence[str]) -> None:
    """See that these have one current take, of the very basis that they have."""
    for one in ids:
        current = [take for take in found[one].takes if take.current]
        assert len(current) == 1, (one, found[one])
        assert current[0].basis == found[one].basis
        assert found[one].takes[0] is current[0]
        assert not current[0].stale
