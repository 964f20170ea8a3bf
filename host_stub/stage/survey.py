"""A story whose plugin is asked about it: the request of run, plan and survey, and how it stands.

What a scene is shown of another is what the other's pointer says, and a run moves that back to a
pick whose basis holds again. So where a pick is not what is shown, who looks before a run looks
twice: the second time as that run would have it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from host_stub.contract import ImageRequest, ImageStage, SceneSurvey
from host_stub.plugins.selection import SelectedPlugin
from host_stub.scenes.index import SceneFile
from host_stub.stage.asking import Asked, RunOptions, new_run_id
from host_stub.standing.standing import Notes, SceneStanding, survey_stage
from host_stub.story.book import Book, Noted
from host_stub.story.keeper import Story


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Inquiry:
    """What is asked, of whom, about which story; what is planned is so what is run.

    Attributes:
        plugin: Would make the pictures, or will.
        options: What the run is asked to do.
        story: What is noted; if it is no copy, a look ahead moves nothing in it.
        asked: The scenes, as they are to be made.
        run_id: Names the run.
    """

    plugin: SelectedPlugin
    options: RunOptions
    story: Story
    asked: Asked
    run_id: str

    @classmethod
    def about(cls, plugin: SelectedPlugin, options: RunOptions, story: Story) -> Inquiry:
        """Ask about the scenes that options name, with the prompts that the book has now.

        Raises:
            SceneFileError: The scene file cannot be used.
            UsageError: A scene was asked for that is not there.
        """
        asked = Asked.of(options, story.book.said_prompts())
        run_id = new_run_id(plugin)
        return cls(plugin=plugin, options=options, story=story, asked=asked, run_id=run_id)

    def of_all(self) -> Inquiry:
        """Return the same about the whole story, as the book has it by now."""
        options = replace(self.options, scene_ids=(), limit=None, only=frozenset())
        asked = Asked.of(options, self.story.book.said_prompts())
        return replace(self, options=options, asked=asked)

    def request(self, scenes: SceneFile) -> ImageRequest:
        """Return the request for some of the scenes that are asked for."""
        options, story, whole = self.options, self.story, self.asked.whole
        return ImageRequest(
            run_id=self.run_id,
            scenes=scenes,
            out_dir=options.out_dir,
            story=None if len(whole) == len(scenes) else whole,
            max_cost_usd=options.max_cost_usd,
            max_in_flight=options.max_in_flight,
            scenes_dir=(options.scenes_dir or options.scenes_path.parent).absolute(),
            wanted=None if options.is_draft else story.wanted_takes,
            shown=lambda one: story.shown_picture(one, plugin=self.plugin.name),
            place=story.place_for,
            draft=options.is_draft,
            lane=options.lane,
        )

    async def look(
        self,
        stage: ImageStage,
        tell: Callable[[SceneStanding], None],
        *,
        hear: Callable[[SceneSurvey, Noted], None] | None = None,
        notes: Notes | None = None,
    ) -> None:
        """Have an open stage say how each scene stands; see :func:`survey_stage`.

        Raises:
            ContractViolation: What it told is no survey of these scenes.
        """
        await survey_stage(
            self.plugin,
            stage,
            self.request(self.asked.scenes),
            notes or self.story.book,
            tell,
            is_guest=self.options.is_guest,
            is_new=self.story.is_new,
            hear=hear,
        )

    async def look_ahead(self, stage: ImageStage, tell: Callable[[SceneStanding], None]) -> None:
        """Do the same, each scene shown of the others what the next run shows."""
        book = self.story.book
        before: dict[str, int | None] = {}

        def move(standing: SceneStanding) -> None:
            due, scene_id = standing.due, standing.scene_id
            if due is not None and due.number == picks.get(scene_id):
                before[scene_id] = book.shown(scene_id)
                book.point(scene_id, due.number, by="run")

        picks = {} if self.options.is_guest or not self.story.is_copy else _elsewhere(book)
        if picks:
            await self.look(stage, move)
        await self.look(stage, tell, notes=_As(book, before) if before else None)


def _elsewhere(book: Book) -> dict[str, int]:
    """Return the picks that are not what is shown."""
    found = ((one, book.pick(one), book.shown(one)) for one in book.picked())
    return {one: pick for one, pick, shown in found if pick is not None and pick != shown}


class _As:
    """A story's notes with what is shown now, where the copy has what a run will show."""

    def __init__(self, book: Book, shown: Mapping[str, int | None]) -> None:
        self._book = book
        self._shown = shown

    def noted(self, scene_ids: Collection[str]) -> Mapping[str, Noted]:
        noted = self._book.noted(scene_ids)
        return {
            one: replace(of, shown=self._shown[one]) if one in self._shown else of
            for one, of in noted.items()
        }
