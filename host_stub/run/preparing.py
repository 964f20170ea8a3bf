"""What a run does between the opening of its stage and its first request.

The files of the story are brought to what its book says, the plugin says what there is, decisions
are obeyed, and a person hears how many pictures would be made anew, why, and for how much. What
waits for a disk does so in a thread.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import anyio.from_thread
import anyio.to_thread

from host_stub.contract import ImageStage, SceneSurvey
from host_stub.decisions.apply import Applied
from host_stub.decisions.merge import Merged
from host_stub.run.taking_in import Groups
from host_stub.scenes.asked import AskedScenes
from host_stub.scenes.index import SceneFile
from host_stub.stage.asking import Asked, guest_line, is_asked_for
from host_stub.stage.directing import direct
from host_stub.stage.survey import Inquiry
from host_stub.standing.standing import SceneStanding
from host_stub.standing.standings import Standings
from host_stub.standing.story_state import StoryState
from host_stub.story.book import Noted, SaidPrompt
from host_stub.story.keeper import has_news
from host_stub.story.results import IMAGES, KEPT
from host_stub.text.file_names import expect_names
from host_stub.text.format import coded, counted

_MOST_NAMED: Final = 20
_MOST_LOOKS: Final = 5
"""A scene that refers to one that refers to another, and so on: each look follows one more."""
_SCENE: Final = "scene:"


def _named(paths: Sequence[Path], what: str) -> Iterator[str]:
    """Say the same of each of some files, up to 20."""
    for path in paths[:_MOST_NAMED]:
        yield coded("file_set_aside", f"{path} {what}")
    if len(paths) > _MOST_NAMED:
        folder = os.path.commonpath([path.parent for path in paths])
        more = f"and so are {len(paths) - _MOST_NAMED} more in {folder}"
        yield coded("file_set_aside", more)


class Preparation:
    """Prepares one run.

    Args:
        asking: What is asked, and about which story.
        said: The prompts that decisions gave to scenes; further ones are added.
        standings: Is told how every scene stands.
        merged: Decisions to obey, if there are any.

    Attributes:
        applied: What the decisions came to, if there were any.
        left_out: The ids of scenes that were asked for and need not be, or are not to be.
        pictures: How many takes are wanted of the scenes that are asked for, those that are there
            included; 0 where nobody looked.
    """

    def __init__(
        self,
        asking: Inquiry,
        *,
        said: dict[str, SaidPrompt],
        standings: Standings,
        merged: Merged | None = None,
    ) -> None:
        self._asking = asking
        self._options = asking.options
        self._story = asking.story
        self._whole = asking.asked.whole
        self._scenes = asking.asked.scenes
        self._said = said
        self._standings = standings
        self._merged = merged
        self._kept = bytearray(len(self._whole))
        self._moved: set[str] = set()
        self._referred: set[str] = set()
        self.left_out: list[str] = []
        self.pictures = 0
        self._state = StoryState()
        self.applied: Applied | None = None
        self._is_begun = False
        self._lost = self._edited = 0  # takes that cannot be had; pictures edited by hand
        self._kept_aside: Sequence[Path] = ()
        self._set_aside: Sequence[Path] = ()

    async def prepare(self, stage: ImageStage) -> SceneFile:
        """Bring the story up to date, and return the scenes to ask for.

        Raises:
            StoryError: What is kept of the story cannot be read or written.
            ResultsNotWritten: The disk did not take a picture.
            ContractViolation: What the plugin told is no survey.
        """
        story, in_thread = self._story, anyio.to_thread.run_sync
        before, self._is_begun = self._kept_files(), any(story.book.scenes())
        self._edited = len(await in_thread(story.keep_edited))
        self._kept_aside = sorted(self._kept_files() - before)
        if not self._options.is_draft:
            await self._look(stage)
            if self._merged is not None:
                self.applied = await direct(self._merged, self._asking, stage)
                await self._look(stage)
        if story.is_new and not (self._options.is_draft or self._options.is_guest):
            await in_thread(story.rebuild, self._ids())
        put_back = await in_thread(story.put_back, self._is_there, self._fetch_of(stage))
        self._lost, self._set_aside = len(put_back.lost), put_back.set_aside
        await in_thread(story.leave, self._is_there)
        expect_names((sheet, "sheet") for sheet in self._standings.sheets)
        return AskedScenes(self._whole, kept=self._kept) if self.left_out else self._scenes

    def lines(self) -> Iterator[str]:
        """Say what a person should know before the first request, once it is prepared."""
        options = self._options
        if options.is_guest and self._is_begun:
            yield guest_line(self._asking.plugin.name)
        yield from _named(
            self._kept_aside, "is no picture, and lay where one belongs: it is kept there"
        )
        yield from _named(
            self._set_aside, "lay in the place of a take, and is another file: it is kept there"
        )
        if self._edited:
            count = counted(self._edited, "picture")
            images = options.out_dir / "images"
            line = f"{count} in {images} edited by hand: kept as takes, and shown"
            yield coded("edited_by_hand", line)
        if self._lost:
            count = counted(self._lost, "take")
            line = f"{count} cannot be put back: the picture cannot be had here"
            yield coded("take_lost", line)
        if self.applied is not None:
            lines = self.applied.as_lines()
            if self._state.make.pictures:
                pictures = counted(self._state.make.pictures, "picture")
                lines.append(f"with what is decided this run makes {pictures}; {self._state.make}")
            for line in lines:
                yield coded("decisions", line.strip())
        yield from self._state.warnings()
        if (remade := self._state.remade_in_words()) is not None:
            yield coded("remakes", f"this run remakes {remade}")

    async def _look(self, stage: ImageStage) -> None:
        """Look at the story, and write down what the plugin knows and the book does not.

        What scenes are made from hangs on what others show. Where that follows the look, as with a
        pick that holds again, the story is looked at once more: else a run would buy what it did
        not say.
        """
        self._said.clear()
        self._said.update(self._story.book.said_prompts())
        for _ in range(_MOST_LOOKS):
            self._kept, self.left_out, self.pictures = bytearray(len(self._whole)), [], 0
            self._state, self._moved, self._referred = StoryState(), set(), set()
            await self._look_once(stage)
            if not self._moved & self._referred:
                return

    async def _look_once(self, stage: ImageStage) -> None:
        learned = Groups[SceneSurvey](self._learn)
        asked = Asked(whole=self._whole, scenes=self._whole)
        whole, plugin = replace(self._asking, asked=asked), self._asking.plugin
        is_begun = any(self._story.book.scenes())

        def hear(survey: SceneSurvey, noted: Noted) -> None:
            is_known = is_begun or survey.takes
            if is_known and has_news(survey, noted, plugin.name, is_guest=self._options.is_guest):
                learned.put(survey)

        try:
            await whole.look(stage, self._note, hear=hear)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(learned.close)
        for failure in learned.failures:
            raise failure

    def _learn(self, surveys: Any) -> None:
        self._moved |= self._story.learn(
            surveys,
            plugin=self._asking.plugin.name,
            is_guest=self._options.is_guest,
        )

    def _note(self, standing: SceneStanding) -> None:
        """Note how a scene stands, and whether it is to be asked for."""
        self._standings.note(standing)
        if standing.scene is None:
            self._referred.add(standing.scene_id)
        else:
            shown = (one for one in standing.scene.references if one.startswith(_SCENE))
            self._referred.update(one.removeprefix(_SCENE) for one in shown)
        if standing.position is None:
            self._state.add(standing)
            return
        if self._scenes.positions.find(standing.scene_id) is None:
            return
        if is_asked_for(standing, self._options.only):
            self._kept[standing.position] = 1
            self.pictures += standing.wanted
            self._state.add(standing)
        else:
            self.left_out.append(standing.scene_id)

    def _kept_files(self) -> set[Path]:
        folder = self._options.out_dir / IMAGES / KEPT
        return set(folder.iterdir()) if folder.is_dir() else set()

    def _ids(self) -> Iterator[tuple[str, Any]]:
        yield from ((scene.scene_id, "scene") for scene in self._whole)
        yield from ((sheet, "sheet") for sheet in self._standings.sheets)

    def _is_there(self, scene_id: str) -> bool:
        """Return whether a scene or a sheet is in the story now; of sheets, one may not know."""
        if self._whole.positions.find(scene_id) is not None:
            return True
        knows_sheets = not (self._options.is_draft or self._options.is_guest)
        return scene_id in self._standings.sheets or not knows_sheets

    def _fetch_of(self, stage: ImageStage) -> Callable[[str, Path], bool] | None:
        ask: Any = getattr(stage, "fetch", None)
        if ask is None:
            return None

        def fetch(sha256: str, into: Path) -> bool:
            found: bool = anyio.from_thread.run(ask, sha256, into)
            return found

        return fetch
