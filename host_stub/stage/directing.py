"""Decisions, obeyed before a run makes its request, or before a plan does on a copy of the book.

The story is looked at, what can be obeyed is written down, and where that changed what scenes are
made from (a new prompt, another sheet shown) it is looked at once more, since how many takes are
wanted is bound to what they would be made from. A run and its plan go through here alike, so that
what is priced is what is bought.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from host_stub.contract import ImageStage
from host_stub.decisions.apply import Applied, apply_orders, apply_wants
from host_stub.decisions.file import read_decisions
from host_stub.decisions.judge import Bench
from host_stub.decisions.merge import Merged, merge
from host_stub.decisions.prompts import in_force, own_digests
from host_stub.scenes.file import read_scenes
from host_stub.scenes.index import SceneFile
from host_stub.stage.survey import Inquiry
from host_stub.standing.standing import SceneStanding
from host_stub.story.book import Book

Look: TypeAlias = Callable[[Callable[[SceneStanding], None]], Awaitable[None]]
"""Tells how each sheet and scene of the whole story stands, by what the book says at the time."""


def decided(paths: Sequence[Path]) -> Merged:
    """Read the decisions in files and folders; what cannot be read ends everything here.

    Raises:
        DecisionsError: One of them cannot be read.
    """
    return merge(read_decisions(paths))


def file_prompts(merged: Merged, scenes: SceneFile) -> Mapping[str, str]:
    """Return the digest of what the file itself says of each scene that is given another prompt.

    Args:
        merged: The decisions.
        scenes: The scene file, as it is.
    """
    given = {
        scene_id for scene_id, decision in merged.decisions.items() if decision.prompt is not None
    }
    return own_digests(scenes, given)


async def direct(merged: Merged, asking: Inquiry, stage: ImageStage) -> Applied:
    """Obey decisions about a story whose stage is open; what is shown moves in the book alone.

    Args:
        merged: The decisions; they are about the whole story, whatever part is asked for.
        asking: What is asked of the stage.
        stage: It.

    Raises:
        HostError: The scene file cannot be used, or the plugin cannot tell how its scenes stand.
    """

    async def look(tell: Callable[[SceneStanding], None]) -> None:
        await asking.of_all().look(stage, tell)

    own = file_prompts(merged, read_scenes(asking.options.scenes_path))
    return await obey(merged, asking.story.book, look, plugin=asking.plugin.name, own=own)


async def obey(
    merged: Merged,
    book: Book,
    look: Look,
    *,
    plugin: str,
    own: Mapping[str, str],
) -> Applied:
    """Write down what is decided, as far as it can be obeyed, and return what it came to.

    Args:
        merged: The decisions.
        book: Where it is written down.
        look: Tells how the story stands.
        plugin: The name of the plugin that would make its pictures.
        own: See :func:`file_prompts`.
    """
    said = in_force(book.said_prompts(), own)
    bench = Bench(merged, plugin=plugin, said=said)
    standings: dict[str, SceneStanding] = {}

    def keep(standing: SceneStanding) -> None:
        if standing.scene_id in merged.decisions:
            standings[standing.scene_id] = standing

    def judge(standing: SceneStanding) -> None:
        bench.look(standing)
        keep(standing)

    await look(judge)
    judged = bench.close()
    applied = apply_orders(judged, book, own=own)
    if applied.moves_bases:
        await look(keep)
    wanted = apply_wants(judged, standings.values(), book, own=own)
    applied.changed += wanted.changed
    applied.refused += wanted.refused
    applied.conflicts = merged.conflicts
    return applied
