"""A look at a story that has been told before: its standings, found without spending or writing.

For commands that name scenes and no scene file. Sheets are found as well: their ids stand in the
plugin's settings, so the whole story is surveyed for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from host_stub.contract import ImageStage, Lane
from host_stub.errors import UsageError, closest
from host_stub.plugins.selection import SelectedPlugin
from host_stub.scenes.file import read_scenes
from host_stub.stage.asking import RunOptions
from host_stub.stage.preflight import ask
from host_stub.stage.survey import Inquiry
from host_stub.standing.standing import SceneStanding
from host_stub.story.keeper import Story

_MORE_IDS: Final = 10_000
"""Names enough to find a near one among."""


class Look:
    """A story as its plugin and its notes have it now.

    Args:
        plugin: Would make the pictures.
        options: What a run of it would be asked.
        story: What is noted of it.
    """

    def __init__(
        self,
        plugin: SelectedPlugin,
        options: RunOptions,
        story: Story,
    ) -> None:
        self._plugin = plugin
        self._options = options
        self._story = story

    def at_notes_of(self, story: Story) -> Look:
        """Return the same look at the story as it was read another time."""
        return Look(self._plugin, self._options, story)

    def by_lane(self, lane: Lane) -> Look:
        """Return a look at the same story whose run would go by a lane."""
        options = replace(self._options, lane=lane)
        return Look(self._plugin, options, self._story)

    def at_all(self, tell: Callable[[SceneStanding], None]) -> None:
        """Tell how every scene stands, sheets first.

        Raises:
            HostError: The scene file cannot be used, or the plugin cannot tell.
        """
        self._survey(self._options, tell)

    def at(self, ids: Iterable[str]) -> dict[str, SceneStanding]:
        """Return how some scenes or sheets stand, in the order in which they are named.

        Raises:
            HostError: The scene file cannot be used, or the plugin cannot tell.
            UsageError: There is no such scene, nor such a sheet.
        """
        found = self.at_known(ids)
        for one in ids:
            if one not in found:
                raise self._unknown(one)
        return found

    def at_known(self, ids: Iterable[str]) -> dict[str, SceneStanding]:
        """Do the same, and leave out what is neither a scene of the file nor a sheet."""
        named = tuple(dict.fromkeys(ids))
        places = read_scenes(self._options.scenes_path).positions
        are_scenes = all(places.find(one) is not None for one in named)
        found: dict[str, SceneStanding] = {}

        def take(standing: SceneStanding) -> None:
            if standing.scene_id in wanted:
                found[standing.scene_id] = standing

        wanted = frozenset(named)
        self._survey(replace(self._options, scene_ids=named) if are_scenes else self._options, take)
        return {one: found[one] for one in named if one in found}

    def _survey(self, options: RunOptions, tell: Callable[[SceneStanding], None]) -> None:
        asking = Inquiry.about(self._plugin, options, self._story)
        ask(self._plugin, partial(asking.look_ahead, tell=tell))

    def _unknown(self, wanted: str) -> UsageError:
        path = self._options.scenes_path
        scenes = read_scenes(path)
        near = closest(wanted, [one.scene_id for one in islice(scenes, _MORE_IDS)])
        return UsageError(
            f"there is no scene {wanted[:80]!r} in {path.name}, and no such sheet",
            hint=f"did you mean {near[:80]!r}?" if near else "'host-stub status' tells of them",
        )


def fetch_from(plugin: SelectedPlugin, sha256: str, into: Path) -> bool:
    """Have a plugin put a picture that it keeps at ``into``; return whether it had it.

    Raises:
        StageFailed: The stage could not be opened, did not answer, or could not be closed.
    """

    async def question(stage: ImageStage) -> bool:
        fetch: Any = getattr(stage, "fetch", None)
        if fetch is None:
            return False
        return await fetch(sha256, into) is True

    return ask(plugin, question)
