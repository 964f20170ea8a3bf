"""The survey of a story: its stage is opened, asked what there is, and closed again.

For the commands that look at a story and spend nothing. A run has its stage open already, and asks
it as :func:`host_stub.standing.standing.survey_stage` does.
"""

from __future__ import annotations

from collections.abc import Callable

from host_stub.contract import ImageRequest, ImageStage, SceneSource
from host_stub.plugins.selection import SelectedPlugin
from host_stub.stage.preflight import ask
from host_stub.standing.standing import Notes, SceneStanding, survey_stage


def survey_story(
    plugin: SelectedPlugin,
    request: ImageRequest,
    notes: Notes,
    tell: Callable[[SceneStanding], None],
    *,
    scenes: SceneSource,
    least: int = 1,
    is_guest: bool = False,
    is_new: bool = False,
    backend: str = "asyncio",
) -> None:
    """Tell how each scene of a story stands, sheets first; blocks until that is over.

    Args:
        plugin: Would make the pictures.
        request: What it is asked about.
        notes: What is noted of the story.
        tell: Called for each sheet, and for each scene in order.
        scenes: The scenes of the request, as the host has them.
        least: So many takes are wanted of each scene in any case.
        is_guest: The plugin is not the config's.
        is_new: The story has no notes yet, or none any more: all that the plugin has is its own.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        StageFailed: The stage could not be opened, did not answer, or could not be closed.
        ContractViolation: What it told is no survey of these scenes.
    """

    async def question(stage: ImageStage) -> None:
        await survey_stage(
            plugin,
            stage,
            request,
            notes,
            tell,
            scenes=scenes,
            least=least,
            is_guest=is_guest,
            is_new=is_new,
        )

    ask(plugin, question, backend=backend)
