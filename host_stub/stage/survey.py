"""The survey of a story: its stage is opened, asked what there is, and closed again.

For the commands that look at a story and spend nothing. A run has its stage open already, and asks
it as :func:`host_stub.standing.standing.survey_stage` does.

What a scene is shown of another is what the other's pointer says, and a run moves that back to a
pick whose basis holds again. So where a pick is not what is shown, a story is looked at twice: the
second time as that run would have it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from host_stub.contract import ImageRequest, ImageStage, SceneSource
from host_stub.plugins.selection import SelectedPlugin
from host_stub.stage.preflight import ask
from host_stub.standing.standing import Notes, SceneStanding, survey_stage
from host_stub.story.book import Book, Noted
from host_stub.story.keeper import Story


async def survey_ahead(
    plugin: SelectedPlugin,
    stage: ImageStage,
    request: ImageRequest,
    story: Story,
    tell: Callable[[SceneStanding], None],
    *,
    scenes: SceneSource,
    least: int = 1,
    is_guest: bool = False,
) -> None:
    """Have an open stage say how scenes stand, shown of one another what the next run shows.

    Args:
        plugin: Whose stage it is.
        stage: It.
        request: What it is asked about.
        story: What is noted; if it is no copy, nothing is moved in it.
        tell: Called for each sheet and scene.
        scenes: The scenes of the request, as the host has them.
        least: So many takes are wanted of each scene in any case.
        is_guest: The plugin is not the config's.

    Raises:
        ContractViolation: What it told is no survey of these scenes.
    """
    book = story.book

    async def look(notes: Notes, say: Callable[[SceneStanding], None]) -> None:
        await survey_stage(
            plugin,
            stage,
            request,
            notes,
            say,
            scenes=scenes,
            least=least,
            is_guest=is_guest,
            is_new=story.is_new,
        )

    before: dict[str, int | None] = {}

    def move(standing: SceneStanding) -> None:
        due, scene_id = standing.due, standing.scene_id
        if due is not None and due.number == picks.get(scene_id):
            before[scene_id] = book.shown(scene_id)
            book.point(scene_id, due.number, by="run")

    picks = {} if is_guest or not story.is_copy else _elsewhere(book)
    if picks:
        await look(book, move)
    await look(_As(book, before) if before else book, tell)


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


def survey_story(
    plugin: SelectedPlugin,
    request: ImageRequest,
    story: Story,
    tell: Callable[[SceneStanding], None],
    *,
    scenes: SceneSource,
    least: int = 1,
    is_guest: bool = False,
    backend: str = "asyncio",
) -> None:
    """Tell how each scene of a story stands, sheets first; blocks until that is over.

    Args:
        plugin: Would make the pictures.
        request: What it is asked about.
        story: What is noted of it.
        tell: Called for each sheet, and for each scene in order.
        scenes: The scenes of the request, as the host has them.
        least: So many takes are wanted of each scene in any case.
        is_guest: The plugin is not the config's.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        StageFailed: The stage could not be opened, did not answer, or could not be closed.
        ContractViolation: What it told is no survey of these scenes.
    """

    async def question(stage: ImageStage) -> None:
        await survey_ahead(
            plugin, stage, request, story, tell, scenes=scenes, least=least, is_guest=is_guest
        )

    ask(plugin, question, backend=backend)
